"""PostgreSQL killed under a node that serves."""

from pathlib import Path

import pytest
import trio

from scripts.lab.aaa_running import HOST
from tests.faults.aaa_process import aaa_process
from tests.faults.database import lab_database
from tests.faults.devices import Device, Visit
from tests.faults.fault_node import fault_node
from tests.faults.report import Report
from tests.faults.rest import at_rest
from tests.node.whole.lab_folder import LabFolder

pytestmark = [pytest.mark.faults, pytest.mark.slow]

KNOWN = 10  # devices that have a token before
NEW = 20  # that authenticate while it dies


async def test_a_killed_database_costs_retries_and_no_token(
    lab: LabFolder, tmp_path: Path, report: Report
) -> None:
    """Known devices are served from memory, new ones wait or get 503; no token is lost."""
    with lab_database(lab, tmp_path) as database:
        store = {"store": database.settings()}
        async with (
            aaa_process() as aaa,
            fault_node(lab, tmp_path / "node", [(HOST, aaa.port)], store) as node,
        ):
            known = [node.device(number) for number in range(1, KNOWN + 1)]
            new = [node.device(number) for number in range(51, 51 + NEW)]
            visits: list[Visit] = []
            for device in known:
                assert (await device.authenticate()).extra_rounds == 0
                assert (await device.ask_with_token()).statuses == [200]  # now it is in memory
            await aaa.behave("delay=0.1")

            async def come_back() -> None:
                excused.set()
                await back.wait()
                await node.wait(reached)  # /ready was true all the time

            async def reached() -> bool:
                return await node.count("store_cache_reached_now") == 1

            excused, back = trio.Event(), trio.Event()
            async with trio.open_nursery() as nursery:
                for at, device in enumerate(new):
                    device.pause = come_back
                    nursery.start_soon(visit, device, visits, 0.02 * at)
                await trio.sleep(0.25)
                await trio.to_thread.run_sync(database.server.kill)
                for device in known:
                    assert (await device.ask_with_token()).statuses == [200]
                with trio.fail_after(10):
                    await excused.wait()
                await trio.to_thread.run_sync(database.server.start)
                back.set()
            report.add("killed under new devices", *visits)
            assert {status for one in visits for status in one.statuses} == {200, 503}
            # A 503, and both legs again: its challenge was used up.
            assert max(one.extra_rounds for one in visits) <= 2
            assert max(one.lost for one in visits) == 0
            for device in (*known, *new):
                assert (await device.ask_with_token()).statuses == [200]
            assert database.count("SELECT count(*) FROM tokens") == KNOWN + NEW
            await at_rest(node)


async def visit(device: Device, visits: list[Visit], after: float) -> None:
    await trio.sleep(after)
    visits.append(await device.authenticate())
