"""The node is killed at every point of an order, as `kill -9` does, and started again.

Points are each commit and each change of lines, and each ES2+ request that was sent and not
answered, done by the SM-DP+ or not. The SM-DP+ lives on, and its books are the witness: nothing
leaked, nothing ordered twice, and every order ends, or waits for people and says why.

By default so many crashes as fit into a minute; `ORDER_CRASHES=200` makes all points of all flows,
then points by chance.
"""

import os
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import chain, count, islice
from pathlib import Path
from typing import Final

import pytest
import trio

from scripts.lab.odsa_flows import target_parameters, watch_parameters
from scripts.lab.odsa_phone import COMPANION, PRIMARY, FlowFailed, OdsaPhone, activation_code
from scripts.lab.smdp_plus_profiles import AVAILABLE, INSTALLED
from tests.node.whole.lab_folder import LabFolder
from tests.node.whole.order_crash_rig import POLL_SECONDS, SECONDS, CrashRig, crash_rig

CRASHES: Final = int(os.environ.get("ORDER_CRASHES", "9"))
COMMITS: Final = 16  # more than an order of any flow makes
ENDS: Final = ("active", "cancelled", "failed", "ended", "manual")
SETTLE_SECONDS: Final = 20.0
TWICE_SECONDS: Final = 1.0  # for a point that the flow does not reach

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 + 12 * CRASHES)]

Flow = Callable[[CrashRig, OdsaPhone, dict[str, str]], Awaitable[None]]


async def order(rig: CrashRig, phone: OdsaPhone, named: dict[str, str], kind: str) -> None:
    """Ask until there is a profile, install it, and ask until that has been heard of."""
    while True:
        asked = await phone.operate("ManageSubscription", operation_type=kind, **named)
        match asked.application.get("SubscriptionResult"):
            case "2":
                await rig.install(activation_code(asked.group("DownloadInfo")))
            case "4":
                pass
            case _ if asked.result.status == 200:
                return
        await trio.sleep(POLL_SECONDS)


async def watch(rig: CrashRig, phone: OdsaPhone, named: dict[str, str]) -> None:
    """A companion's new line."""
    await order(rig, phone, named | {"companion_terminal_service": "SharedNumber"}, "0")


async def transfer(rig: CrashRig, phone: OdsaPhone, named: dict[str, str]) -> None:
    """The phone's line moves to another device; then the phone's token is void."""
    await order(rig, phone, named | {"old_terminal_id": phone.phone.imei}, "3")


async def given_up(rig: CrashRig, phone: OdsaPhone, named: dict[str, str]) -> None:
    """A line is ordered, and given up before the download."""
    shared = named | {"companion_terminal_service": "SharedNumber"}
    asked = await phone.operate("ManageSubscription", operation_type="0", **shared)
    while asked.application.get("SubscriptionResult") in ("2", "4"):
        asked = await phone.operate("ManageSubscription", operation_type="1", **named)
        await trio.sleep(POLL_SECONDS)


FLOWS: Final[dict[str, tuple[str, Flow, tuple[str, ...]]]] = {
    "watch": (COMPANION, watch, ("downloadOrder", "confirmOrder", "releaseProfile")),
    "transfer": (PRIMARY, transfer, ("downloadOrder", "confirmOrder", "releaseProfile")),
    "given up": (COMPANION, given_up, ("cancelOrder",)),
}


def points() -> list[tuple[str, str]]:
    """Flow and point: around every call, then after every commit."""
    calls = [
        (name, f"{when} {function}")
        for name, (_, _, functions) in FLOWS.items()
        for function in functions
        for when in ("before", "after")
    ]
    commits = [(name, str(at)) for at in range(1, COMMITS + 1) for name in FLOWS]
    return [*calls, *commits]


def chosen() -> Iterator[tuple[str, str]]:
    """All points and more, or some that are far from each other; never all of one kind."""
    every = points()
    if len(every) <= CRASHES:
        dice = random.Random(1)  # noqa: S311 - the same again
        return islice(chain(every, iter(lambda: dice.choice(every), None)), CRASHES)
    step = len(every) / CRASHES
    return (every[int(at * step)] for at in range(CRASHES))


def subscribers() -> dict[str, Iterator[int]]:
    """Who calls next in each flow.

    A subscriber may have ten lines, and a transfer ends the one that it is about.
    """
    return {
        "watch": (number for number in count(1) for _ in range(8)),
        "given up": (number for number in count(25) for _ in range(50)),
        "transfer": count(100, -1),
    }


async def test_no_crash_leaks_a_profile_or_orders_twice(lab: LabFolder, tmp_path: Path) -> None:
    """CRASH-01 to CRASH-07: the node is started once for each crash, and finds what was left."""
    reached = manual = 0
    async with crash_rig(lab, tmp_path, 3 * CRASHES + 10) as rig:
        await rig.start()
        callers = subscribers()
        for flow, point in chosen():
            app, walk, _ = FLOWS[flow]
            phone = rig.phone(next(callers[flow]), app)
            device = rig.device()
            named = target_parameters(device) if app == PRIMARY else watch_parameters(device)
            died = await crash(rig, phone, named, walk, point)
            reached += died
            await rig.end()
            await rig.start()
            state = await settled(rig, phone, named, walk, device.eid)
            manual += state == "manual"
            check(rig, device.eid, f"{flow}, {point}: {state}")
        assert rig.server.inventory.ordered_twice() == {}
        assert rig.server.inventory.leaked(rig.known()) == []
    print(f"{reached} of {CRASHES} died at their point, {manual} wait for people")
    assert reached >= CRASHES // 2, "the points are reached"
    assert manual == 0, "a crash alone is nothing that people must look at"


async def crash(
    rig: CrashRig, phone: OdsaPhone, named: dict[str, str], walk: Flow, point: str
) -> bool:
    """Walk the flow until the node dies; whether it did at the point."""
    assert rig.node is not None
    process = rig.node.process
    await phone.operate("AcquireConfiguration", **named)  # the token is there, nothing is ordered
    if point.isdigit():
        rig.die_file.write_text(point)
    else:
        rig.server.deadly = point
    async with trio.open_nursery() as nursery:

        async def until_dead() -> None:
            await process.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(until_dead)
        with trio.move_on_after(SECONDS), suppress(FlowFailed):
            await walk(rig, phone, named)
        with trio.move_on_after(TWICE_SECONDS):
            await process.wait()
        nursery.cancel_scope.cancel()
    rig.server.deadly = ""
    return process.returncode is not None


async def settled(
    rig: CrashRig, phone: OdsaPhone, named: dict[str, str], walk: Flow, eid: str
) -> str:
    """Walk the flow once more, as the device does; the state that the order comes to."""
    with trio.move_on_after(SETTLE_SECONDS), suppress(FlowFailed):
        await walk(rig, phone, named)
    with trio.move_on_after(SETTLE_SECONDS):
        while not all(state in ENDS for state, _, _ in rig.orders(eid)):  # noqa: ASYNC110
            await trio.sleep(POLL_SECONDS)
    return ", ".join(state for state, _, _ in rig.orders(eid))


def check(rig: CrashRig, eid: str, what: str) -> None:
    """What both sides have in their books.

    Only what was given up is ordered anew by the same request.
    """
    orders = rig.orders(eid)
    live = rig.server.inventory.of_eid(eid)
    *before, (state, reason, iccid) = orders
    assert all(one == "cancelled" for one, _, _ in before), what
    assert len(orders) == 1 or what.startswith("given up"), what
    assert state in ENDS, what
    assert state == "active" or reason, what
    assert rig.ordered(eid) <= len(orders), what
    if state == "active":
        assert [(one.iccid, one.state) for one in live] == [(iccid, INSTALLED)], what
    elif state != "manual":
        assert live == [], what
        profile = rig.server.inventory.find(iccid)
        assert profile is None or profile.state == AVAILABLE, what
