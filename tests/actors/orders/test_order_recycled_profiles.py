"""A profile that came back to its pool is told of with the order that has it now."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from actors.backends.smdp_plus import ProfileEvent
from actors.orders.transitions import State
from protocols.identity import Iccid
from tests.actors.orders.kit import EID, OTHER_EID, OWNER, TENANT, Rig, watch


@pytest.fixture
async def rig(tmp_path: Path, autojump_clock: MockClock) -> Rig:
    return Rig(tmp_path / "node.db")


async def test_the_order_that_gave_a_profile_back_is_not_told_beside_the_one_that_took_it(
    rig: Rig,
    autojump_clock: MockClock,
) -> None:
    async with rig.running() as orders:
        first = await orders.request(watch(), 8.0)
        await orders.unsubscribe(TENANT, first.order_id, 8.0)
        await rig.until(lambda: rig.order(first.order_id).state is State.CANCELLED)
        await trio.sleep(0.01)  # the id of an order is its age, too
        second = await orders.request(watch(target_eid=OTHER_EID), 8.0)
        assert second.iccid == first.iccid
        await rig.notify(second.iccid, ProfileEvent.INSTALLED)
        await rig.until(lambda: rig.order(second.order_id).state is State.ACTIVE)
        told = await orders.configurations(TENANT, imsi=OWNER, iccid=Iccid(second.iccid))
        assert [one.order_id for one in told] == [second.order_id]
        (gone,) = await orders.configurations(TENANT, eid=EID)
    assert gone.order_id == first.order_id
