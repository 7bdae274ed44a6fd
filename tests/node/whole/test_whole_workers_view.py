"""What operators see of several workers: one node."""

import os
import signal
import threading
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from actors.trace.recorder import TraceEvent
from node.cli import main
from node.trace.event_json import TraceEnd, read_line
from node.trace.management_client import stream_trace
from tests.node.whole.lab_folder import LabFolder
from tests.node.whole.workers_node import WorkersNode, workers_node

pytestmark = pytest.mark.slow


async def test_numbers_add_up_over_workers_and_never_go_back(
    lab: LabFolder, tmp_path: Path
) -> None:
    async with workers_node(lab, tmp_path) as node:
        for number in range(1, 13):
            assert (await node.authenticate(number)).ok
        assert await served(node) == 12
        counted = await growing(node)
        assert counted["entitlement_leg_seconds_count"] == 24
        requests = await node.statistics("devices", "requests")
        assert sum(requests.values()) == 24
        assert min(requests.values()) > 0
        statistics = await node.json("/statistics")
        rows = statistics["counters"]["exchanges"]
        assert sum(row["count"] for row in rows if row["app"] == "ap2004") == 12
        assert {one["name"] for one in statistics["supervisor"]} == {"worker 1", "worker 2"}

        node.process.send_signal(signal.SIGUSR2)
        await node.until("rolling restart done")
        assert grew(counted, await growing(node))
        assert await served(node) == 12
        for number in range(1, 5):
            assert (await node.authenticate(number)).ok
        assert await served(node) == 16

        counted = await growing(node)
        os.kill((await node.pids())[1], signal.SIGKILL)
        await node.until("worker ended")
        assert grew(counted, await growing(node))
        await node.until("worker serves", 5)
        await node.all_ready()
        assert grew(counted, await growing(node))
        assert await served(node) == 16


async def served(node: WorkersNode) -> float:
    return await node.count("exchanges_total", app="ap2004", result="200")


async def growing(node: WorkersNode) -> dict[str, float]:
    """Every counter, summed over its labels."""
    totals: dict[str, float] = {}
    for (name, labels), value in (await node.samples()).items():
        if name.startswith("entitlement_") and name.endswith(("_total", "_count", "_bucket")):
            key = name + str(sorted(labels)) if name.endswith("_bucket") else name
            totals[key] = totals.get(key, 0.0) + value
    return totals


def grew(before: dict[str, float], after: dict[str, float]) -> bool:
    lost = {name: (value, after.get(name)) for name, value in before.items()}
    lost = {name: (old, new) for name, (old, new) in lost.items() if new is None or new < old}
    assert not lost
    return True


async def test_ready_tells_the_truth(lab: LabFolder, tmp_path: Path) -> None:
    async with workers_node(lab, tmp_path) as node:
        status, _ = await node.get("/ready")
        assert status == 200
        assert (await node.get("/live"))[0] == 200
        pids = await node.pids()
        os.kill(pids[1], signal.SIGKILL)
        await node.until("worker ended")
        body = await node.json("/ready")
        assert (body["ready"], body["ready_workers"]) == (True, 1)
        assert body["workers"]["1"]["parts"]["process"] in (
            "is being started again",
            "is starting",
        )
        await node.until("worker serves", 3)
        await node.all_ready()
        await node.aaa.leave()  # the peer says good-bye: nobody can authenticate

        async def refused() -> bool:
            return (await node.get("/ready"))[0] == 503

        await node.wait(refused)
        body = await node.json("/ready")
        assert body["parts"]["workers"] == "none is ready"
        assert body["workers"]["2"]["parts"]["diameter"] == "no AAA peer is open"


async def test_a_trace_sees_every_worker_in_the_order_of_time(
    lab: LabFolder, tmp_path: Path
) -> None:
    """Also one that starts while it runs."""
    async with workers_node(lab, tmp_path) as node:
        phone = node.phone(1)
        events: list[TraceEvent] = []
        armed, ended = threading.Event(), threading.Event()

        def read() -> None:
            for line in stream_trace(node.management, phone.usim.imsi, 60.0, False):
                armed.set()
                event = read_line(line)
                if isinstance(event, TraceEnd):
                    break
                if event is not None:
                    events.append(event)
                if ended.is_set():
                    break

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, read)
            await node.wait(lambda: is_armed(node, 2))
            await until_both_took_part(node, phone.authenticate)
            os.kill((await node.pids())[2], signal.SIGKILL)
            await node.until("worker serves", 3)
            await node.all_ready()
            await node.wait(lambda: is_armed(node, 2))
            accepted = await node.statistics("devices", "accepted")
            await until_both_took_part(node, phone.authenticate, accepted)
            await trio.sleep(
                1
            )  # the heartbeat of an idle trace lets the reader see that it is over
            ended.set()
        assert {one.exchange.partition(".")[0] for one in events} == {"1", "2"}
        times = [one.time for one in events]
        assert times == sorted(times)
        # Each exchange is whole: two requests, two DERs, two DEAs, two responses, and reasons.
        exchanges = {one.exchange for one in events}
        for exchange in exchanges:
            legs = [(one.leg, one.direction) for one in events if one.exchange == exchange]
            assert legs.count(("http", "in")) == legs.count(("http", "out")) >= 2
            assert legs.count(("swm", "out")) == legs.count(("swm", "in")) >= 2
        assert armed.is_set()
        assert await is_disarmed(node)


async def until_both_took_part(node: WorkersNode, act, before=None) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Act until each worker has accepted a connection since `before`."""
    start = before or await node.statistics("devices", "accepted")
    for _ in range(40):
        assert (await act()).ok
        now = await node.statistics("devices", "accepted")
        if all(count > start.get(number, 0) for number, count in now.items()):
            return
    raise AssertionError("one worker never had its turn")


async def is_armed(node: WorkersNode, count: int) -> bool:
    armed = await node.statistics("trace", "armed")
    return list(armed.values()) == [1] * count


async def is_disarmed(node: WorkersNode) -> bool:
    async def none_armed() -> bool:
        return not any((await node.statistics("trace", "armed")).values())

    await node.wait(none_armed)
    return True


async def test_trace_and_explain_of_the_command_line_work_unchanged(
    lab: LabFolder, tmp_path: Path
) -> None:
    async with workers_node(lab, tmp_path) as node:
        imsi = node.phone(1).usim.imsi
        options = ["--imsi", imsi, "--management", node.management]

        def run(*arguments: str) -> str:
            result = CliRunner().invoke(main, [*arguments, *options])
            assert result.exit_code == 0, result.output
            return result.stdout

        explained = await trio.to_thread.run_sync(run, "explain", "--app", "ap2004")
        assert "EntitlementStatus: 1" in explained
        shown: list[str] = []

        async def trace() -> None:
            shown.append(
                await trio.to_thread.run_sync(run, "trace", "--exchanges", "1", "--seconds", "20")
            )

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trace)
            await node.wait(lambda: is_armed(node, 2))
            assert (await node.authenticate(1)).ok
        assert "DIAMETER_SUCCESS" in shown[0]
        assert "AKA-Challenge" in shown[0]


async def test_what_makes_no_sense_is_refused_as_by_one_process(
    lab: LabFolder, tmp_path: Path
) -> None:
    async with workers_node(lab, tmp_path) as node:
        imsi = node.phone(1).usim.imsi
        for path, method, status, says in (
            (f"/trace?imsi={imsi}&seconds=0", "GET", 400, "seconds is more than 0"),
            ("/trace?imsi=x", "GET", 400, "an IMSI is 6 to 15 digits"),
            (f"/explain?imsi={imsi}&app=ap2004&tenant=nobody", "POST", 404, "no such tenant"),
            (f"/explain?imsi={imsi}&app=vowifi", "POST", 400, "app is an application id"),
        ):
            answered, text = await node.get(path, method)
            assert (answered, says in text) == (status, True), text
