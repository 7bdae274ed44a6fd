"""`kill -9` of the worker that has a device's exchange, at each step of it."""

import os
import signal
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from scripts.lab.aaa_behaviour import parse_behaviour
from scripts.lab.phone import Phone
from tests.faults.devices import Device, Visit
from tests.faults.report import Report
from tests.faults.rest import at_rest, by_worker
from tests.node.whole.lab_folder import LabFolder, subscriber
from tests.node.whole.workers_node import WorkersNode, workers_node

pytestmark = [pytest.mark.faults, pytest.mark.slow]

WORKERS = 2
CHANGES = {
    "sessions": {"finished-seconds": 0.05, "answer-seconds": 4.5},
    "diameter": {"answer-seconds": 1.0, "exchange-seconds": 2.0},
    "overload": {"authentications-per-device": 0},
}
DELAY = "delay=0.3"  # of the AAA, so that there is time to kill with a DER in flight

Step = Callable[["Killed"], Awaitable[Visit]]


class Killed:
    """One device, and the worker that has its exchange."""

    def __init__(self, node: WorkersNode, number: int, database: Path) -> None:
        self.node = node
        self.device = Device(subscriber(number), node.target())
        self.imsi = subscriber(number).imsi
        self.database = database

    def asked(self) -> int:
        """DERs of the newest conversation."""
        sessions = self.node.aaa.books.of(self.imsi)
        return sessions[-1].rounds if sessions else 0

    async def owner(self) -> int:
        """The worker whose name is in the AAA's session."""
        client = self.node.aaa.books.of(self.imsi)[-1].client.decode()
        return int(client.partition(".")[0].rpartition("-")[2])

    async def kill(self, worker: int) -> None:
        """And wait until it is gone; the next one need not be there yet."""
        pid = (await self.node.pids())[worker]
        assert pid, "it is not there"
        os.kill(pid, signal.SIGKILL)
        await self.node.until("worker ended", len(self.node.logged("worker ended")) + 1)

    async def kill_owner(self) -> None:
        await self.kill(await self.owner())

    async def while_it_authenticates(self, act: Callable[[], Awaitable[object]]) -> Visit:
        """Do something beside a visit."""
        visits: list[Visit] = []

        async def visit() -> None:
            visits.append(await self.device.authenticate())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(visit)
            await act()
        return visits[0]

    async def when(self, condition: Callable[[], object]) -> None:
        """Until it holds."""

        async def holds() -> bool:
            return bool(condition())

        await self.node.wait(holds)


async def connected(it: Killed) -> Visit:
    """Its connection is open, and nothing was asked."""

    async def kill() -> None:
        async def is_there() -> bool:
            return any(one["devices"]["open"] for one in (await by_worker(it.node)).values())

        await it.node.wait(is_there)
        open_at = [n for n, one in (await by_worker(it.node)).items() if one["devices"]["open"]]
        await it.kill(open_at[0])

    it.device.at["connected"] = kill
    return await it.device.authenticate()


async def asked(it: Killed) -> Visit:
    """The first DER is at the AAA."""
    it.node.aaa.behaviours.set(it.imsi, parse_behaviour(DELAY))

    async def kill() -> None:
        await it.when(lambda: it.asked() == 1)
        await it.kill_owner()

    return await it.while_it_authenticates(kill)


async def challenged(it: Killed) -> Visit:
    """The device has its challenge; its connection dies with the worker."""
    it.device.at["challenged"] = it.kill_owner
    return await it.device.authenticate()


async def answered(it: Killed) -> Visit:
    """The second DER is at the AAA, which accepts the answer and tells a dead process."""
    it.node.aaa.behaviours.set(it.imsi, parse_behaviour(DELAY))

    async def kill() -> None:
        await it.when(lambda: it.asked() == 2)
        await it.kill_owner()

    return await it.while_it_authenticates(kill)


async def storing(it: Killed) -> Visit:
    """The AAA has accepted; the token waits for the disk."""
    other = sqlite3.connect(it.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def kill() -> None:
        async def waits() -> bool:
            return any(one["store"]["waiting"] for one in (await by_worker(it.node)).values())

        await it.node.wait(waits)
        await it.kill_owner()
        other.rollback()
        other.close()

    return await it.while_it_authenticates(kill)


async def delivered(it: Killed) -> Visit:
    """The document is on its way and never arrives."""
    it.device.at["delivered"] = it.kill_owner
    return await it.device.authenticate()


# Step, requests that it loses, and extra rounds: the AAA accepts an answer once, so that a device
# whose accepted answer died with a worker meets a new challenge.
STEPS: dict[Step, tuple[int, int]] = {
    connected: (1, 0),
    asked: (1, 0),
    challenged: (1, 0),
    answered: (1, 1),
    storing: (1, 1),
    delivered: (1, 1),
}


async def test_a_worker_killed_after_a_resynchronisation_costs_one_round(
    lab: LabFolder, tmp_path: Path, report: Report
) -> None:
    """The cookie knows the first challenge, not the second: the device gets a third one."""
    async with workers_node(lab, tmp_path, WORKERS, CHANGES) as node:
        it = Killed(node, 1, tmp_path / "node.db")
        it.device.phone.usim.lose_synchronisation()
        it.device.at["challenged again"] = it.kill_owner
        visit = await it.device.authenticate()
        report.add("resynchronised", visit)
        assert (set(visit.statuses), visit.resynchronisations) == ({200}, 1), visit
        assert (visit.lost, visit.extra_rounds) == (1, 1), visit
        await node.until("worker serves", WORKERS + 1)
        await node.all_ready()
        await at_rest(node)


async def test_a_worker_killed_at_any_step_costs_no_more_than_one_round(
    lab: LabFolder, tmp_path: Path, report: Report
) -> None:
    """And none where the sealed cookie is enough; every token that a device holds stays good."""
    early: Phone
    async with workers_node(lab, tmp_path, WORKERS, CHANGES) as node:
        early = node.phone(50)
        assert (await early.authenticate()).ok
        devices = []
        for number, (step, expected) in enumerate(STEPS.items(), 1):
            it = Killed(node, number, tmp_path / "node.db")
            visit = await step(it)
            report.add(step.__name__, visit)
            devices.append(it.device)
            assert set(visit.statuses) == {200}, (step.__name__, visit)
            assert (visit.lost, visit.extra_rounds) <= expected, (step.__name__, visit)
        await node.until("worker serves", WORKERS + len(STEPS))
        await node.all_ready()
        assert (await early.with_token()).ok
        for device in devices:
            assert (await device.ask_with_token()).statuses == [200]
        await at_rest(node)
        assert await node.end() == 0
        assert not [one for one in node.lines if one["level"] == "critical"]
