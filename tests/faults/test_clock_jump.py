"""The wall clock jumps, forwards and back, under a node that serves."""

from pathlib import Path

import pytest
import trio

from scripts.lab.aaa_running import HOST
from tests.faults.aaa_process import aaa_process
from tests.faults.clock import JumpingClock
from tests.faults.fault_node import SETTINGS, fault_node
from tests.faults.report import Report
from tests.faults.rest import at_rest
from tests.node.whole.lab_folder import LabFolder

pytestmark = [pytest.mark.faults, pytest.mark.slow]

HOUR = 3_600
EXCHANGE_SECONDS = SETTINGS["diameter"]["exchange-seconds"]
VALID_SECONDS = 48 * HOUR
TOKENS = {"tenants": {0: {"tokens": {"validity-seconds": VALID_SECONDS}}}}


async def test_a_clock_that_jumps_costs_nothing_but_what_has_expired(
    lab: LabFolder, tmp_path: Path, report: Report
) -> None:
    """Exchanges, time-outs and admission go by the monotonic clock; tokens by the wall clock."""
    clock = JumpingClock(tmp_path)
    async with (
        aaa_process() as aaa,
        fault_node(lab, tmp_path / "node", [(HOST, aaa.port)], TOKENS, clock.environment) as node,
    ):
        early = node.device(1)
        await early.authenticate()
        for number, offset in enumerate((HOUR, -2 * HOUR, 0), 2):

            async def jump() -> None:
                clock.jump(offset)  # noqa: B023 - called in this round of the loop

            device = node.device(number)
            device.at["challenged"] = jump
            visit = await device.authenticate()
            report.add(f"{offset:+d} s between the legs", visit)
            assert (visit.statuses, visit.lost) == ([200, 200], 0), offset
            for one in (early, device):
                assert (await one.ask_with_token()).statuses == [200], offset
            # A device that comes back gets a token that works, whenever its last one was issued.
            assert (await early.authenticate()).statuses == [200, 200], offset
            assert (await early.ask_with_token()).statuses == [200], offset
        await at_rest(node)

        # Timers neither run away with the clock nor stand still.
        await aaa.behave("silent")
        clock.jump(-HOUR)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            silent, excused = node.device(10), trio.Event()

            async def excuse() -> None:
                excused.set()
                await trio.sleep_forever()

            silent.pause = excuse
            nursery.start_soon(silent.authenticate)
            await trio.sleep(0.5)
            clock.jump(HOUR)
            assert not excused.is_set()
            with trio.fail_after(10):
                await excused.wait()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began >= EXCHANGE_SECONDS - 0.1
        await aaa.tell("clear")
        await at_rest(node)

        clock.jump(VALID_SECONDS + 2 * HOUR)
        visit = await early.ask_with_token()
        assert visit.statuses == [511]
        assert (await early.authenticate()).statuses == [200, 200]
        await at_rest(node)
