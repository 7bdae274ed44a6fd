"""Several workers as one node: exchanges across them, and what a killed process costs."""

import contextlib
import os
import signal
import stat
import sys
from pathlib import Path

import pytest
import trio

from scripts.lab.aaa_behaviour import parse_behaviour as parse
from scripts.lab.device_http import DeviceConnection, DeviceHttpError
from tests.node.whole.device_legs import answer_of, ask_for_challenge, first_leg, relay
from tests.node.whole.lab_folder import LabFolder
from tests.node.whole.workers_node import WorkersNode, alive, workers_node
from tests.protocols.ts43.document_readers import read_xml

pytestmark = pytest.mark.slow

ATTEMPTS = 40  # a new connection lands on another worker half of the time


async def forwarded(node: WorkersNode) -> float:
    return await node.count("forwarding_answered_total")


async def test_two_workers_serve_and_any_of_them_finishes_what_another_began(
    lab: LabFolder, tmp_path: Path
) -> None:
    """A POST that reaches the wrong worker is passed on; nothing is resumed, no round is lost."""
    async with workers_node(lab, tmp_path) as node:
        for number in range(1, ATTEMPTS):
            leg, answer = await node.begin(node.phone(number))
            assert await node.finish(leg, answer) == 200
            if await forwarded(node) >= 3:
                break
        assert await forwarded(node) >= 3
        assert await node.count("session_events_total", event="resumed") == 0
        assert min((await node.statistics("devices", "accepted")).values()) > 0
        # Each worker is a peer of its own, and its name is in the Session-Ids that it makes.
        names = {host.partition(".")[0] for host in node.aaa.server.peers}
        assert names == {"ecs1-1", "ecs1-2"}
        for session in node.aaa.books.of(node.phone(1).usim.imsi):
            host, _, _, tail = session.session_id.decode().split(";")
            assert tail.startswith(f"{host.partition('.')[0]}-")
        assert await node.end() == 0
        assert not [one for one in node.lines if one["level"] in ("error", "critical")]
        assert {one["worker"] for one in node.lines} == {0, 1, 2}


async def test_a_token_is_good_on_every_worker(lab: LabFolder, tmp_path: Path) -> None:
    async with workers_node(lab, tmp_path, 3) as node:
        phone = node.phone(1)
        assert (await phone.authenticate()).ok
        for _ in range(ATTEMPTS):
            assert (await phone.with_token()).ok
            if min((await node.statistics("devices", "accepted")).values()):
                break
        assert min((await node.statistics("devices", "accepted")).values()) > 0


async def test_the_writes_of_all_workers_wait_for_each_other(
    lab: LabFolder, tmp_path: Path
) -> None:
    """One database file has one writer at a time: nobody is told 503 for that."""
    changes = {"store": {"tokens-survive-power-cut": True}}
    async with workers_node(lab, tmp_path, 3, changes) as node:
        results = []

        async def ask(number: int) -> None:
            results.append(await node.authenticate(number))

        async with trio.open_nursery() as nursery:
            for number in range(1, 61):
                nursery.start_soon(ask, number)
        assert [one.status for one in results] == [200] * 60
        assert await node.count("token_events_total", event="issued") == 60
        assert await node.count("store_failed_total") == 0
        assert min((await node.statistics("store", "committed")).values()) > 0


async def test_a_resynchronisation_goes_on_where_it_was_begun(
    lab: LabFolder, tmp_path: Path
) -> None:
    """Only the owner knows of the second challenge: the cookie is that of the first one."""
    async with workers_node(lab, tmp_path) as node:
        for number in range(1, ATTEMPTS):
            phone = node.phone(number)
            phone.usim.lose_synchronisation()
            leg, answer = await node.begin(phone)
            async with node.connected() as connection:
                again = await relay(answer, connection, leg.cookie_field)
            assert await node.finish(leg, answer_of(phone, again)) == 200
            if await forwarded(node) >= 4:
                break
        assert await forwarded(node) >= 4


async def test_a_worker_killed_between_the_legs_costs_no_round(
    lab: LabFolder, tmp_path: Path
) -> None:
    """SIGKILL of the owner: another one, or the one that takes its place, has only the cookie."""
    async with workers_node(lab, tmp_path, 3) as node:
        phone = node.phone(1)
        leg, answer, owner = await node.begin_at(phone)
        pid = (await node.pids())[owner]
        os.kill(pid, signal.SIGKILL)
        async with node.connected() as connection:
            final = await relay(answer, connection, leg.cookie_field)
        assert final.status == 200
        assert "TOKEN" in read_xml(final.body)
        assert len(node.aaa.books.of(phone.usim.imsi)) == 1
        assert node.aaa.books.answers[268, 0, 1001] == 1  # one challenge
        assert node.aaa.books.answers[268, 0, 2001] == 1
        await node.until("worker serves", 4)
        await node.all_ready()
        pids = await node.pids()
        assert pids[owner] != pid
        assert await node.count("supervisor_crashes_total", name=f"worker {owner}") == 1
        # What the dead one had counted is not lost with it, as far as it was seen.
        assert await node.count("session_events_total", event="resumed") == 1


async def test_no_connection_is_refused_while_a_worker_is_started_again(
    lab: LabFolder, tmp_path: Path
) -> None:
    """Its connections wait in the queue of its socket, which the supervisor keeps."""
    async with workers_node(lab, tmp_path) as node:
        os.kill((await node.pids())[1], signal.SIGKILL)
        results = []

        async def ask(number: int) -> None:
            results.append(await node.authenticate(number))

        async with trio.open_nursery() as nursery:
            for number in range(1, 21):
                nursery.start_soon(ask, number)
        assert [one.status for one in results] == [200] * 20
        assert min((await node.statistics("devices", "accepted")).values()) > 0


async def test_a_stopped_worker_is_gone_on_without(lab: LabFolder, tmp_path: Path) -> None:
    """SIGSTOP: its sockets accept, nobody reads. When it wakes up it leaves that request alone."""
    async with workers_node(lab, tmp_path) as node:
        for number in range(1, ATTEMPTS):
            leg, answer, owner = await node.begin_at(node.phone(number))
            pid = (await node.pids())[owner]
            os.kill(pid, signal.SIGSTOP)
            status = 0
            try:
                with trio.move_on_after(3):  # it may land in the queue of the stopped one
                    status = await node.finish(leg, answer)
            finally:
                os.kill(pid, signal.SIGCONT)
            if status:
                break
        assert status == 200
        assert await node.count("session_events_total", event="resumed") == 1
        assert await node.count("forwarding_gone_on_total", kind="late") == 1
        # The AAA was asked by one worker alone: a second DER for that answer is an error to it.
        assert {code for command, _, code in node.aaa.books.answers if command == 268} <= {
            1001,
            2001,
        }


async def test_workers_that_die_again_and_again_end_the_node(
    lab: LabFolder, tmp_path: Path
) -> None:
    async with workers_node(lab, tmp_path, 3) as node:
        killed: set[int] = set()
        with trio.fail_after(60):
            while node.process.returncode is None and not node.logged("giving up"):
                try:
                    pids = set((await node.pids()).values())
                except (OSError, ValueError):
                    break
                for pid in pids - killed - {0}:
                    killed.add(pid)
                    if alive(pid):
                        os.kill(pid, signal.SIGKILL)
                await trio.sleep(0.05)
        assert await node.ended() == 1
        assert len(node.logged("giving up")) == 1
        # Six restarts within a minute; what is killed while it starts counts as well.
        assert 7 <= sum(map(len, map(node.logged, ("worker ended", "worker does not start")))) <= 9


async def test_a_worker_whose_supervisor_is_killed_ends(lab: LabFolder, tmp_path: Path) -> None:
    """And what was begun is finished first; the AAA gets DPR."""
    before = await trio.to_thread.run_sync(socket_folders)
    async with workers_node(lab, tmp_path) as node:
        pids = await node.pids()
        (folder,) = (await trio.to_thread.run_sync(socket_folders)) - before
        async with node.connected() as connection:
            phone = node.phone(1)
            leg = await first_leg(phone, connection)
            assert leg.response.status == 200
            assert await node.end(signal.SIGKILL) == -signal.SIGKILL
        await node.until("the supervisor is gone", 2)

        async def all_ended() -> bool:
            return not any(map(alive, pids.values()))

        await node.wait(all_ended)
        for peer in node.aaa.server.peers.values():
            assert peer.statistics().watchdog == "INITIAL"  # DPR; a loss would have left DOWN
        assert not await trio.Path(folder).exists()


async def test_sigterm_lets_every_worker_finish(lab: LabFolder, tmp_path: Path) -> None:
    async with workers_node(lab, tmp_path) as node:
        node.aaa.behaviours.set("*", parse("delay=0.3"))
        pids = await node.pids()
        statuses = []

        async def ask(number: int) -> None:
            async with node.connected(http2=number % 2 == 0) as connection:
                leg = await first_leg(node.phone(number), connection)
                statuses.append(leg.response.status)

        async with trio.open_nursery() as nursery:
            for number in range(1, 11):
                nursery.start_soon(ask, number)

            async def all_arrived() -> bool:
                return len(node.aaa.books.open) == 10

            await node.wait(all_arrived)
            assert await node.end() == 0
        assert statuses == [200] * 10
        assert not any(map(alive, pids.values()))
        assert not [one for one in node.lines if one["level"] in ("error", "critical")]


async def test_a_second_sigterm_ends_at_once(lab: LabFolder, tmp_path: Path) -> None:
    async with workers_node(lab, tmp_path, changes={"node": {"drain-seconds": 20.0}}) as node:
        pids = await node.pids()
        node.aaa.behaviours.set("*", parse("silent"))
        async with node.connected() as connection, trio.open_nursery() as nursery:
            nursery.start_soon(unanswered, node, connection)

            async def arrived() -> bool:
                return sum((await node.statistics("sessions", "alive")).values()) > 0

            await node.wait(arrived)
            node.process.send_signal(signal.SIGTERM)
            await node.until("draining", 3)
            began = trio.current_time()
            assert await node.end() == 0
            assert trio.current_time() - began < 5
            nursery.cancel_scope.cancel()
        assert not any(map(alive, pids.values()))


async def unanswered(node: WorkersNode, connection: DeviceConnection) -> None:
    with contextlib.suppress(DeviceHttpError):
        await ask_for_challenge(node.phone(1), connection)


async def test_an_operator_may_end_one_worker_and_another_takes_its_place(
    lab: LabFolder, tmp_path: Path
) -> None:
    async with workers_node(lab, tmp_path) as node:
        pid = (await node.pids())[2]
        os.kill(pid, signal.SIGTERM)
        await node.until("worker serves", 3)
        await node.all_ready()
        assert (await node.pids())[2] != pid
        assert (await node.authenticate(1)).ok
        assert await node.count("supervisor_crashes_total", name="worker 2") == 0


async def test_nobody_else_may_reach_the_workers_and_no_secret_can_be_seen(
    lab: LabFolder, tmp_path: Path
) -> None:
    key = "C" * 42 + "A"
    before = await trio.to_thread.run_sync(socket_folders)
    async with workers_node(lab, tmp_path, changes={"node": {"cookie-keys": [key]}}) as node:
        assert (await node.authenticate(1)).ok
        for pid in (await node.pids()).values():
            assert key.encode() not in visible(pid)
        (folder,) = (await trio.to_thread.run_sync(socket_folders)) - before
        assert mode(folder) == 0o700
        assert await node.end() == 0
        assert folder not in socket_folders()


def visible(pid: int) -> bytes:
    """What everybody, and whoever is the same user, can read of a process without stopping it."""
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


def socket_folders() -> set[Path]:
    """Folders of the sockets of all nodes that run on this machine."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    folders = {Path(line.split()[-1]).parent for line in lines if "/entitlement-node-" in line}
    return {one for one in folders if one.exists()}


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


async def test_what_no_worker_could_start_with_is_told_once(lab: LabFolder, tmp_path: Path) -> None:
    path = lab.prepare(tmp_path, changes={"node": {"workers": 2}})
    (tmp_path / "tls" / "device.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    command = [sys.executable, "-m", "node", "serve", "--config", str(path)]
    ended = await trio.run_process(command, capture_stderr=True, check=False)
    assert ended.returncode == 1
    lines = [one for one in ended.stderr.decode().splitlines() if not one.startswith("{")]
    assert len(lines) == 1
    assert lines[0].startswith("cannot start: ")
