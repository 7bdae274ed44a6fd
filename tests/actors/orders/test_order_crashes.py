"""The process dies between any two steps, and another one goes on (FLOW-09, FLOW-10)."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from actors.backends.smdp_plus import ProfileEvent
from actors.orders.records import OrderRequest, Progress
from actors.orders.transitions import State
from actors.store.store import StoreUnavailable
from scripts.lab.smdp_plus_profiles import LIVE
from tests.actors.orders.kit import MSISDN, OWNER, Killed, Rig, imsi_of, transfer, watch

MOST_POINTS = 60  # more than any order passes


async def order_and_install(rig: Rig, request: OrderRequest) -> None:
    """What the device and the SM-DP+ do, whatever happens to the node."""
    async with rig.running() as orders:
        view = await orders.request(request, 8.0)
        while view.progress is Progress.DELAYED:
            await trio.sleep(30)
            view = await orders.request(request, 8.0)
        if view.progress is Progress.DOWNLOAD:
            for event in (ProfileEvent.DOWNLOADED, ProfileEvent.INSTALLED):
                # An SM-DP+ that gets no answer reports it once more, with the time of the event.
                await rig.notify(view.iccid, event, happened_at=1.0)
        await rig.until(lambda: rig.order().state is State.ACTIVE, 3_000)


async def killed_at(rig: Rig, request: OrderRequest, point: int) -> bool:
    """Run until the process dies there; False: the order was finished before."""
    rig.transactions.connection.close()
    rig.boot(die_at=point)
    try:
        await order_and_install(rig, request)
    except (BaseExceptionGroup, StoreUnavailable, Killed):
        if not rig.points.dead:
            raise
        return True
    return False


def check(rig: Rig, request: OrderRequest) -> None:
    """One profile, one line, and nothing left over."""
    (order,) = [one for one in rig.all_orders() if not one.is_final]
    live = rig.books.in_state(*LIVE)
    assert [one.iccid for one in live] == [order.iccid]
    assert live[0].state == "Installed"
    assert live[0].orders == 1
    states = rig.stock_states()
    assert states.pop(order.iccid) == "installed"
    assert set(states.values()) == {"available"}
    line, old = rig.subscriber(imsi_of(order.iccid)), rig.subscriber(OWNER)
    assert line is not None
    assert old is not None
    assert (line.status.value, line.msisdn) == ("active", MSISDN)
    if request.old_iccid is not None:
        assert (old.status.value, old.msisdn, old.token_generation) == ("terminated", "", 1)
    else:
        assert (old.status.value, old.msisdn) == ("active", MSISDN)
    assert rig.bugs == []


@pytest.mark.slow
@pytest.mark.parametrize("asked", [watch(), transfer()], ids=["subscribe", "transfer"])
async def test_an_order_survives_a_kill_at_every_point(
    tmp_path: Path, autojump_clock: MockClock, asked: OrderRequest
) -> None:
    for point in range(1, MOST_POINTS):
        rig = Rig(tmp_path / f"{point}.db")
        died = await killed_at(rig, asked, point)
        if died:
            name = rig.points.names[-1]
            rig.transactions.connection.close()
            rig.boot()
            await order_and_install(rig, asked)
            try:
                check(rig, asked)
            except AssertionError as error:
                raise AssertionError(f"killed at {point}: {name}") from error
        else:
            check(rig, asked)
            assert point > 15
            return
        rig.transactions.connection.close()
    raise AssertionError("the order never ended")


@pytest.mark.slow
async def test_an_order_survives_two_kills(tmp_path: Path, autojump_clock: MockClock) -> None:
    asked = transfer()
    for first in range(4, 40, 3):
        for second in range(2, 14, 3):
            rig = Rig(tmp_path / f"{first}-{second}.db")
            await killed_at(rig, asked, first)
            await killed_at(rig, asked, second)
            rig.transactions.connection.close()
            rig.boot()
            await order_and_install(rig, asked)
            check(rig, asked)
            rig.transactions.connection.close()
