"""Orders from a request to an active profile, against an SM-DP+ that keeps books."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from actors.backends.smdp_plus import ProfileEvent
from actors.orders.records import Progress, ServiceStatus
from actors.orders.transitions import State
from tests.actors.orders.kit import EID, MSISDN, OWNER, TENANT, Rig, imsi_of, transfer, watch


@pytest.fixture
async def rig(tmp_path: Path, autojump_clock: MockClock) -> Rig:
    return Rig(tmp_path / "node.db")


async def test_a_watch_gets_its_profile_in_one_request(rig: Rig, autojump_clock: MockClock) -> None:
    """FLOW-01: the exact order of the calls."""
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
    assert view.progress is Progress.DOWNLOAD
    assert view.activation_code is not None
    assert rig.smdp.names_called() == ["downloadOrder", "confirmOrder", "releaseProfile"]
    assert rig.bss.asked == ["activate"]
    profile = rig.books.find(view.iccid)
    assert profile is not None
    assert (profile.state, profile.eid) == ("Released", EID)
    assert view.activation_code.matching_id == profile.matching_id
    line = rig.subscriber(imsi_of(view.iccid))
    assert line is not None
    assert line.msisdn == MSISDN
    assert rig.stock_of("released") == [view.iccid]


async def test_the_line_is_active_once_the_profile_is_installed(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
        await rig.notify(view.iccid, ProfileEvent.DOWNLOADED)
        await rig.notify(view.iccid, ProfileEvent.INSTALLED)
        await rig.until(lambda: rig.order().state is State.ACTIVE)
        (told,) = await orders.configurations(TENANT, eid=EID)
    assert told.service_status is ServiceStatus.ACTIVATED
    assert told.activation_code is None
    assert rig.stock_of("installed") == [view.iccid]


async def test_the_old_line_works_until_the_new_profile_is_installed(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """FLOW-12"""
    async with rig.running() as orders:
        view = await orders.request(transfer(), 8.0)
        new = imsi_of(view.iccid)
        await rig.notify(view.iccid, ProfileEvent.DOWNLOADED)
        await trio.sleep(5)
        old = rig.subscriber(OWNER)
        assert old is not None
        assert (old.status.value, old.msisdn) == ("active", MSISDN)
        await rig.notify(view.iccid, ProfileEvent.INSTALLED)
        await rig.until(lambda: rig.order().state is State.ACTIVE)
    old, line = rig.subscriber(OWNER), rig.subscriber(new)
    assert old is not None
    assert line is not None
    assert (old.status.value, old.msisdn) == ("terminated", "")
    assert (line.status.value, line.msisdn) == ("active", MSISDN)
    assert line.overrides == (("volte", "blocked"),)
    assert rig.bss.asked == ["activate", "move"]
