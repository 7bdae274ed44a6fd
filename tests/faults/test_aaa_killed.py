"""AAAs that are killed, or stop without a word, at each step of an exchange."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from scripts.lab.aaa_running import HOST, REALM
from tests.faults.aaa_process import AaaProcess, aaa_process
from tests.faults.devices import Device, Visit
from tests.faults.fault_node import FaultNode, fault_node
from tests.faults.report import Report
from tests.faults.rest import at_rest
from tests.node.whole.lab_folder import LabFolder

pytestmark = [pytest.mark.faults, pytest.mark.slow]

SECOND = f"aaa2.{REALM}"
DELAY = "delay=0.3"
# The first one gets all that is new as long as it is there.
PREFERRED = {"diameter": {"peers": {0: {"priority": 1}, 1: {"priority": 2}}}}

Fault = Callable[[AaaProcess], Awaitable[object]]


async def killed(aaa: AaaProcess) -> None:
    """SIGKILL: the kernel closes its connections."""
    await aaa.kill()


async def silenced(aaa: AaaProcess) -> None:
    """SIGSTOP: connections stay open, nobody answers."""
    aaa.stop()


async def beside(device: Device, act: Callable[[], Awaitable[object]]) -> Visit:
    """A visit, and what happens to it."""
    visits: list[Visit] = []

    async def visit() -> None:
        visits.append(await device.authenticate())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(visit)
        await act()
    return visits[0]


async def meets(
    aaa: AaaProcess, node: FaultNode, device: Device, rounds: int, fault: Fault
) -> Visit:
    """The fault, when so many DERs of the device are at the AAA and the last is not answered.

    With `rounds` 0 the device has its first challenge.
    """
    if not rounds:
        device.at["challenged"] = lambda: fault(aaa)
        return await device.authenticate()
    await aaa.behave(DELAY)

    async def act() -> None:
        async def arrived() -> bool:
            return await aaa.rounds_of(device.phone.usim.imsi) == rounds

        await node.wait(arrived)
        await fault(aaa)

    return await beside(device, act)


# Which DER is in flight (0: none, the device has its challenge); extra rounds.
MOMENTS = {"first DER": (1, 0), "challenged": (0, 1), "second DER": (2, 1)}


@pytest.mark.parametrize("fault", [killed, silenced])
async def test_one_of_two_aaas_that_dies_costs_no_more_than_one_round(
    lab: LabFolder, tmp_path: Path, report: Report, fault: Fault
) -> None:
    """A first DER goes to the other one; a conversation begins again there: one more challenge."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(aaa_process(HOST))
        second = await stack.enter_async_context(aaa_process(SECOND))
        places = [(one.host, one.port) for one in (first, second)]
        node = await stack.enter_async_context(fault_node(lab, tmp_path, places, PREFERRED))
        for number, (moment, (rounds, extra)) in enumerate(MOMENTS.items(), 1):
            visit = await meets(first, node, node.device(number), rounds, fault)
            report.add(moment, visit)
            assert set(visit.statuses) == {200}, (moment, visit)
            assert (visit.lost, visit.extra_rounds) <= (0, extra), (moment, visit)
            if fault is killed:
                await first.start()
            else:
                first.go_on()
                await first.tell("clear")
            await node.connected_to(2)
        await at_rest(node)


async def test_the_only_aaa_that_dies_costs_the_rounds_that_it_was_away(
    lab: LabFolder, tmp_path: Path, report: Report
) -> None:
    """503 with Retry-After until it is back; tokens are good meanwhile."""
    async with aaa_process() as aaa, fault_node(lab, tmp_path, [(HOST, aaa.port)]) as node:
        early = node.device(50)
        await early.authenticate()

        async def come_back() -> None:
            await aaa.start()
            await node.connected_to(1)

        async def die() -> None:
            await aaa.kill()
            await node.connected_to(0)
            assert (await early.ask_with_token()).statuses == [200]

        async def die_and_come_back() -> None:
            await die()
            await come_back()

        for number, (moment, (rounds, _)) in enumerate(MOMENTS.items(), 1):
            device = node.device(number)
            if rounds:  # it comes back while the device waits
                device.pause = come_back
            fault = die if rounds else die_and_come_back
            visit = await meets(aaa, node, device, rounds, lambda _, act=fault: act())
            report.add(moment, visit)
            expected = [200, 503] if rounds else [200]
            assert sorted(set(visit.statuses)) == expected, (moment, visit)
            assert visit.extra_rounds <= 2, (moment, visit)  # the 503, and a first leg once more
            assert (await device.ask_with_token()).statuses == [200]
        await at_rest(node)
