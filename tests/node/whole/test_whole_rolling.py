"""Workers replaced and configurations reloaded under a steady load: no exchange fails."""

import signal
import tomllib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from scripts.lab.aaa_behaviour import parse_behaviour
from scripts.lab.device_http import DeviceConnection, DeviceHttpError, Response
from tests.node.whole.device_legs import answer_of, first_leg, relay
from tests.node.whole.lab_folder import LabFolder, changed_settings, toml
from tests.node.whole.workers_node import WorkersNode, alive, workers_node

pytestmark = pytest.mark.slow

DEVICES = 6


@dataclass
class Load:
    """Devices that authenticate one after another, and what they got.

    Attributes:
        statuses: of the final answers; an exchange that got none is counted as what was said.
    """

    node: WorkersNode
    statuses: Counter[int | str] = field(default_factory=Counter)
    reopened: int = 0
    stopped: bool = False
    _number: int = 0

    async def run(self, http2: bool) -> None:
        """One device after another, until told to stop."""
        while not self.stopped:
            self._number += 1
            try:
                status: int | str = await self.exchange(self._number % 100 + 1, http2)
            except (DeviceHttpError, AssertionError) as error:
                status = repr(error)
            self.statuses[status] += 1

    async def exchange(self, number: int, http2: bool) -> int:
        """GET and POST over one connection, as long as that lasts."""
        phone = self.node.phone(number)
        target = self.node.target(http2=http2)
        async with await target.connect() as connection:
            leg = await first_leg(phone, connection)
            answer = answer_of(phone, leg.response)
            final = await self._on_same(connection, answer, leg.cookie_field)
        if final is None:
            self.reopened += 1
            async with await target.connect() as connection:
                final = await relay(answer, connection, leg.cookie_field)
        return final.status

    async def _on_same(
        self, connection: DeviceConnection, answer: bytes, cookie: tuple[bytes, bytes]
    ) -> Response | None:
        """The second leg, or None when the connection has ended meanwhile.

        RFC 9112 §9.3.1, RFC 9113 §6.8: what a server did not answer on a connection that was kept
        open goes over a new one; a fresh connection gets no such second chance.
        """
        if connection.closed:
            return None
        try:
            return await relay(answer, connection, cookie)
        except DeviceHttpError:
            return None

    async def enough(self, more: int) -> None:
        """Until so many more exchanges are done."""
        wanted = self.statuses.total() + more
        with trio.fail_after(60):
            while self.statuses.total() < wanted:  # noqa: ASYNC110
                await trio.sleep(0.01)


@asynccontextmanager
async def loaded(node: WorkersNode) -> AsyncIterator[Load]:
    """Devices of both kinds ask all the time; at the end every exchange must have been good."""
    load = Load(node)
    async with trio.open_nursery() as nursery:
        for device in range(DEVICES):
            nursery.start_soon(load.run, device % 2 == 0)
        await load.enough(10)
        try:
            yield load
        except BaseException:
            load.stopped = True
            raise
        await load.enough(10)
        load.stopped = True
    assert set(load.statuses) == {200}, load.statuses


async def test_a_rolling_restart_fails_no_exchange(lab: LabFolder, tmp_path: Path) -> None:
    """Each worker is replaced; its name at the AAA is never there twice."""
    async with workers_node(lab, tmp_path, 3) as node:
        node.aaa.behaviours.set("*", parse_behaviour("delay=0.02"))
        before = await node.pids()
        async with loaded(node) as load:
            for times in (1, 2):
                node.process.send_signal(signal.SIGUSR2)
                await node.until("rolling restart done", times)
        after = await node.pids()
        assert not set(before.values()) & set(after.values())
        assert after.keys() == before.keys()

        async def old_ones_ended() -> bool:
            return not any(map(alive, before.values()))

        await node.wait(old_ones_ended)
        assert {host.partition(".")[0] for host in node.aaa.server.peers} == {
            "ecs1-1",
            "ecs1-2",
            "ecs1-3",
        }
        assert not node.logged("worker ended")
        # Numbers do not go back, and nothing is counted twice.
        served = await node.count("exchanges_total", app="ap2004", result="200")
        assert served >= load.statuses[200]
        assert served == node.aaa.books.answers[268, 0, 2001]
        assert await node.end() == 0
        assert not [one for one in node.lines if one["level"] in ("error", "critical")]


async def test_a_rolling_restart_finishes_slow_exchanges(lab: LabFolder, tmp_path: Path) -> None:
    """The AAA takes a third of a second: every worker has some under way when it is told."""
    async with workers_node(lab, tmp_path) as node:
        node.aaa.behaviours.set("*", parse_behaviour("delay=0.3"))
        async with loaded(node):
            node.process.send_signal(signal.SIGUSR2)
            await node.until("rolling restart done")


async def test_connections_that_devices_keep_are_served_by_the_successor(
    lab: LabFolder, tmp_path: Path
) -> None:
    """Until they end: the old process only passes their requests on."""
    async with workers_node(lab, tmp_path) as node:
        phone = node.phone(1)
        leg, answer, owner = await node.begin_at(phone)
        node.aaa.behaviours.set("*", parse_behaviour("delay=0.2"))
        async with node.connected() as connection, trio.open_nursery() as nursery:
            finals: list[int] = []

            async def finish() -> None:
                finals.append((await relay(answer, connection, leg.cookie_field)).status)

            node.process.send_signal(signal.SIGUSR2)
            nursery.start_soon(finish)
            await node.until("rolling restart done")
        assert finals == [200]
        assert owner in (1, 2)


async def test_a_rolling_restart_takes_over_what_needs_a_restart(
    lab: LabFolder, tmp_path: Path
) -> None:
    async with workers_node(lab, tmp_path) as node:
        rewrite(node, {"node": {"name": "other"}})
        node.process.send_signal(signal.SIGHUP)
        await node.until("configuration reloaded", 3)
        assert {str(one["needs_restart"]) for one in node.logged("configuration reloaded")} == {
            "['node.name']"
        }
        node.process.send_signal(signal.SIGUSR2)
        await node.until("rolling restart done")
        phone = node.phone(1)
        assert (await phone.authenticate()).ok
        (session,) = node.aaa.books.of(phone.usim.imsi)
        assert b";other-" in session.session_id


async def test_a_worker_that_cannot_start_stops_the_rolling_restart(
    lab: LabFolder, tmp_path: Path
) -> None:
    """The one that serves goes on, and so does the node."""
    async with workers_node(lab, tmp_path) as node:
        before = await node.pids()
        chain = tmp_path / "tls" / "device.pem"
        good = chain.read_bytes()
        chain.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
        async with loaded(node):
            node.process.send_signal(signal.SIGUSR2)
            await node.until("rolling restart stopped")
        (line,) = node.logged("rolling restart stopped")
        assert "device.pem" in str(line["reasons"])
        assert await node.pids() == before
        chain.write_bytes(good)
        node.process.send_signal(signal.SIGUSR2)
        await node.until("rolling restart done")
        assert await node.pids() != before


async def test_a_reload_under_load_fails_no_exchange(lab: LabFolder, tmp_path: Path) -> None:
    async with workers_node(lab, tmp_path) as node:
        async with loaded(node) as load:
            for times in (1, 2):
                rewrite(node, {"tenants": {0: {"versions": {"validity-seconds": 4_000 + times}}}})
                node.process.send_signal(signal.SIGHUP)
                await node.until("configuration reloaded", 3 * times)
                await load.enough(5)
        assert {one["worker"] for one in node.logged("configuration reloaded")} == {0, 1, 2}
        phone = node.phone(1)
        result = await phone.authenticate()
        assert result.document is not None
        assert result.document.token_validity or result.ok


async def test_a_broken_file_changes_nothing_in_no_worker(lab: LabFolder, tmp_path: Path) -> None:
    """Nor for a worker that starts later: it gets what was last found good."""
    async with workers_node(lab, tmp_path) as node:
        node.config.write_text("this is no TOML")
        node.process.send_signal(signal.SIGHUP)
        await node.until("configuration not reloaded")
        assert not node.logged("configuration reloaded")
        node.process.send_signal(signal.SIGUSR2)
        await node.until("rolling restart done")
        assert (await node.authenticate(1)).ok


async def test_broken_certificates_are_refused_before_any_worker_hears_of_them(
    lab: LabFolder, tmp_path: Path
) -> None:
    async with workers_node(lab, tmp_path) as node:
        (tmp_path / "tls" / "device.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
        rewrite(node, {"device": {"max-streams": 7}})
        node.process.send_signal(signal.SIGHUP)
        await node.until("configuration not reloaded")
        assert not node.logged("configuration reloaded")
        assert (await node.authenticate(1)).ok


def rewrite(node: WorkersNode, changes: dict[str, object]) -> None:
    """Edit the configuration file as an operator does."""
    settings = tomllib.loads(node.config.read_text())
    node.config.write_text(toml(changed_settings(settings, changes)))
