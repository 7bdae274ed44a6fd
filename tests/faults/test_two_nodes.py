"""Two nodes on one PostgreSQL behind a plain TCP balancer; one of them is killed."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from scripts.lab.aaa_running import HOST, REALM
from scripts.lab.phone import Target
from tests.faults.aaa_process import aaa_process
from tests.faults.balancer import balancer
from tests.faults.database import LabDatabase, lab_database
from tests.faults.devices import Device, Visit
from tests.faults.fault_node import FaultNode, fault_node
from tests.faults.report import Report
from tests.faults.rest import at_rest
from tests.node.whole.lab_folder import LabFolder, subscriber

pytestmark = [pytest.mark.faults, pytest.mark.slow]

DEVICES = 40
KEY = "A" * 43  # of the cookies, on both


@dataclass
class TwoNodes:
    """What is behind the balancer."""

    nodes: list[FaultNode]
    database: LabDatabase
    lab: LabFolder
    port: int

    def device(self, number: int) -> Device:
        """A phone that knows the balancer alone."""
        target = Target(
            ("127.0.0.1", self.port), f"localhost:{self.port}", self.lab.contexts[number % 2 == 0]
        )
        return Device(subscriber(number), target)


@asynccontextmanager
async def two_nodes(lab: LabFolder, folder: Path) -> AsyncIterator[TwoNodes]:
    """Both nodes ready, one AAA, one database."""
    async with AsyncExitStack() as stack:
        database = stack.enter_context(lab_database(lab, folder))
        aaa = await stack.enter_async_context(aaa_process())
        nodes: list[FaultNode] = []

        async def start(name: str) -> None:
            changes = {
                "node": {"name": name, "cookie-keys": [KEY]},
                "diameter": {"origin-host": f"{name}.{REALM}"},
                "store": database.settings(),
            }
            node = fault_node(lab, folder / name, [(HOST, aaa.port)], changes)
            nodes.append(await stack.enter_async_context(node))

        await start("ecs1")
        await start("ecs2")
        await aaa.behave("delay=0.05")
        ports = [one.port for one in nodes]
        port = await stack.enter_async_context(balancer(folder, ports))
        yield TwoNodes(nodes, database, lab, port)


async def test_a_node_killed_in_the_middle_costs_its_devices_at_most_one_round(
    lab: LabFolder, tmp_path: Path, report: Report
) -> None:
    """Every device finishes: the other node goes on from the cookie; all tokens are good there."""
    async with two_nodes(lab, tmp_path) as both:
        doomed, other = both.nodes
        early = both.device(DEVICES + 1)
        assert (await early.authenticate()).extra_rounds == 0
        devices = [both.device(number) for number in range(1, DEVICES + 1)]
        visits: list[Visit] = []

        async def visit(device: Device, after: float) -> None:
            await trio.sleep(after)
            visits.append(await device.authenticate())

        async with trio.open_nursery() as nursery:
            for at, device in enumerate(devices):
                nursery.start_soon(visit, device, 0.01 * at)

            async def some_finished() -> bool:
                return len(visits) >= DEVICES // 4

            await doomed.wait(some_finished)
            doomed.process.kill()
        report.add("one of two nodes", *visits)
        assert len(visits) == DEVICES
        assert {status for one in visits for status in one.statuses} == {200}
        assert max(one.extra_rounds for one in visits) <= 1
        assert max(one.lost for one in visits) <= 2
        assert any(one.lost for one in visits)  # it was in the middle
        for device in (early, *devices):
            assert (await device.ask_with_token()).statuses == [200]
        assert both.database.count("SELECT count(*) FROM tokens") == DEVICES + 1
        assert await other.count("session_events_total", event="resumed") > 0
        await at_rest(other)
