"""What goes wrong at SM-DP+, BSS and store, and what becomes of the order."""

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.backends.bss_lines import LineAway, LinePending, LineRefused
from actors.backends.smdp_plus import Capabilities, Disposition, ProfileEvent
from actors.orders.orders import Orders
from actors.orders.port import TokenRefusal
from actors.orders.records import Kind, Progress, Service, ServiceStatus
from actors.orders.transitions import State
from actors.store.database import transaction
from config.model import Orders as Settings
from protocols.es2plus.status_codes import Function, StatusCode
from protocols.identity import Iccid
from scripts.lab.smdp_plus_profiles import AVAILABLE, Inventory, inventory
from tests.actors.orders.kit import (
    ANSWER_LOST,
    DOWN,
    EID,
    LOST,
    MSISDN,
    OTHER_EID,
    OWNER,
    TENANT,
    Fault,
    Rig,
    imsi_of,
    put_subscriber,
    refusal,
    transfer,
    watch,
)

DOWNLOAD, CONFIRM = Function.DOWNLOAD_ORDER, Function.CONFIRM_ORDER
RELEASE, CANCEL = Function.RELEASE_PROFILE, Function.CANCEL_ORDER


@pytest.fixture
async def rig(tmp_path: Path, autojump_clock: MockClock) -> Rig:
    return Rig(tmp_path / "node.db")


def nothing_is_held(rig: Rig) -> bool:
    return set(rig.stock_states().values()) == {"available"} and len(
        rig.books.in_state(AVAILABLE)
    ) == len(rig.books.profiles)


def refused_at(rig: Rig, function: Function, code: str, times: int = 1) -> None:
    rig.smdp.fault(function, *[refusal(function, code)] * times)


# --- repetition -----------------------------------------------------------------------------------


async def test_a_repeated_request_gets_the_same_activation_code(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """FLOW-02, ODSA-47"""
    async with rig.running() as orders:
        first = await orders.request(watch(), 8.0)
        again = await orders.request(watch(), 8.0)
    assert again.repeated
    assert again.activation_code == first.activation_code
    assert rig.smdp.names_called().count("downloadOrder") == 1


async def test_ten_requests_at_once_are_one_order(rig: Rig, autojump_clock: MockClock) -> None:
    """FLOW-03"""
    views = []

    async def ask(orders: Orders) -> None:
        views.append(await orders.request(watch(), 8.0))

    async with rig.running() as orders, trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ask, orders)
    assert len({view.order_id for view in views}) == 1
    assert {view.progress for view in views} == {Progress.DOWNLOAD}
    assert rig.smdp.names_called().count("downloadOrder") == 1


async def test_another_order_for_the_same_device_is_in_the_way(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.running() as orders:
        first = await orders.request(watch(), 8.0)
        other = await orders.request(watch(service=Service.DIFF_NUMBER), 8.0)
    assert other.conflicting
    assert other.progress is Progress.DISMISS
    assert other.activation_code is None
    assert other.order_id == first.order_id


async def test_a_transfer_that_is_repeated_when_it_is_done_ends_nothing_again(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """ODSA-47"""
    async with rig.running() as orders:
        view = await orders.request(transfer(), 8.0)
        await rig.notify(view.iccid, ProfileEvent.INSTALLED)
        await rig.until(lambda: rig.order().state is State.ACTIVE)
        again = await orders.request(transfer(), 8.0)
    assert again.progress is Progress.DONE
    assert again.order_id == view.order_id
    assert rig.bss.asked.count("move") == 1


# --- the SM-DP+ refuses ---------------------------------------------------------------------------


async def test_an_empty_type_falls_back_to_another_one(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """FLOW-04"""
    books = Inventory([*inventory(3, "A"), *inventory(3, "B", first=100)])
    rig = Rig(tmp_path / "node.db", books)
    refused_at(rig, DOWNLOAD, "8.2.5/3.7")
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
    assert view.progress is Progress.DOWNLOAD
    found = books.find(view.iccid)
    assert found is not None
    assert found.profile_type == "A"  # any type may serve: the type stands for the whole pool


async def test_an_empty_pool_makes_the_device_wait_until_there_are_profiles(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """FLOW-04"""
    with transaction(rig.transactions.connection):
        rig.transactions.connection.execute("UPDATE profiles SET state = 'burnt'")
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
        assert view.progress is Progress.DELAYED
        assert view.service_status is ServiceStatus.ACTIVATING
        assert (view.polling_minutes, view.reason) == (1, "pool-empty")
        with transaction(rig.transactions.connection):
            rig.transactions.connection.execute("UPDATE profiles SET state = 'available'")
        await rig.until(lambda: rig.order().state is State.RELEASED)


@pytest.mark.parametrize("code", ["8.2.1/3.3", "8.2.1/3.9"])
async def test_a_profile_that_is_not_ours_is_put_aside(
    rig: Rig, autojump_clock: MockClock, code: str
) -> None:
    """FLOW-05"""
    refused_at(rig, DOWNLOAD, code)
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
    first, second = (fields["iccid"] for name, fields in rig.smdp.calls if name == "downloadOrder")
    assert first != second == view.iccid
    assert rig.stock_of("quarantined") == [first]
    assert view.progress is Progress.DOWNLOAD


async def test_no_more_than_the_configured_profiles_are_tried(
    rig: Rig, autojump_clock: MockClock
) -> None:
    refused_at(rig, DOWNLOAD, "8.2.1/3.3", times=5)
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
    assert (view.state, view.progress) == (State.FAILED, Progress.DISMISS)
    assert len(rig.stock_of("quarantined")) == 3


async def test_a_matching_id_in_use_is_replaced(rig: Rig, autojump_clock: MockClock) -> None:
    """FLOW-06"""
    refused_at(rig, CONFIRM, "8.2.6/3.3")
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
    first, second = (
        fields["matchingId"] for name, fields in rig.smdp.calls if name == "confirmOrder"
    )
    assert first != second
    assert view.activation_code is not None
    assert view.activation_code.matching_id == second


@pytest.mark.parametrize(
    ("function", "code"),
    [
        (DOWNLOAD, "8.2.5/3.9"),
        (DOWNLOAD, "8.2.1/1.2"),
        (DOWNLOAD, "8.2.12/3.10"),
        (CONFIRM, "8.1.1/2.2"),
        (CONFIRM, "1.6/6.3"),
        (RELEASE, "8.2.12/3.10"),
    ],
)
async def test_a_refusal_that_repeating_cannot_help_is_taken_back(
    rig: Rig, autojump_clock: MockClock, function: Function, code: str
) -> None:
    refused_at(rig, function, code)
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
        await rig.until(lambda: rig.order().is_final)
    assert view.progress is Progress.DISMISS
    assert rig.order().state is State.FAILED
    assert code in rig.order().reason
    assert len(rig.books.in_state(AVAILABLE)) == len(rig.books.profiles)
    assert not rig.stock_of("reserved")
    line = rig.subscriber(imsi_of(rig.order().iccid))
    assert line is None


@pytest.mark.parametrize("function", [DOWNLOAD, CONFIRM, RELEASE])
async def test_passing_trouble_delays_the_order(
    rig: Rig, autojump_clock: MockClock, function: Function
) -> None:
    """8.9/5.1 and 4.2: transient"""
    refused_at(rig, function, "8.9/5.1")
    rig.smdp.fault(function, DOWN)
    async with rig.running() as orders:
        view = await orders.request(watch(), 30.0)
    assert view.progress is Progress.DOWNLOAD
    states = [step.state for step in rig.history(view.order_id)]
    assert states.count("delayed") == 2
    assert len({f["header"]["functionCallIdentifier"] for n, f in rig.smdp.calls
                if n == function.value}) == 1  # fmt: skip


# --- answers are lost -----------------------------------------------------------------------------


@pytest.mark.parametrize("function", [DOWNLOAD, CONFIRM, RELEASE])
@pytest.mark.parametrize("fault", [LOST, ANSWER_LOST], ids=["not done", "done"])
async def test_a_lost_answer_is_settled_by_the_same_call(
    rig: Rig, autojump_clock: MockClock, function: Function, fault: Fault
) -> None:
    """FLOW-08, FLOW-09"""
    rig.smdp.fault(function, fault, fault)
    async with rig.running() as orders:
        view = await orders.request(watch(), 60.0)
    assert view.progress is Progress.DOWNLOAD
    bodies = [fields for name, fields in rig.smdp.calls if name == function.value]
    assert len(bodies) >= 2
    assert all(body == bodies[0] for body in bodies)
    assert "in-doubt" in [step.state for step in rig.history(view.order_id)]
    released = rig.books.in_state("Released")
    assert [one.iccid for one in released] == [view.iccid]
    assert view.activation_code is not None
    assert view.activation_code.matching_id == released[0].matching_id
    assert len(rig.books.in_state(AVAILABLE)) == len(rig.books.profiles) - 1


async def test_a_cancellation_whose_answer_is_lost_is_done(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """FLOW-09, the fourth function"""
    rig.smdp.fault(CANCEL, ANSWER_LOST)
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
        await orders.unsubscribe(TENANT, view.order_id, 8.0)
        await rig.until(lambda: rig.order().is_final)
    assert rig.order().state is State.CANCELLED
    assert nothing_is_held(rig)


async def test_a_reservation_that_was_only_assumed_is_another_operators(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """Section 4: ConfirmOrder decides; then the profile is put aside and never cancelled."""
    rig.smdp.fault(DOWNLOAD, LOST, refusal(DOWNLOAD, "8.2.1/3.3"))
    refused_at(rig, CONFIRM, "8.2.1/3.5")
    async with rig.running() as orders:
        view = await orders.request(watch(), 60.0)
    assert view.progress is Progress.DOWNLOAD
    assert len(rig.stock_of("quarantined")) == 1
    assert "cancelOrder" not in rig.smdp.names_called()


# --- slow and down --------------------------------------------------------------------------------


async def test_a_slow_smdp_makes_the_device_poll(rig: Rig, autojump_clock: MockClock) -> None:
    """FLOW-11, ODSA-46a"""
    rig.smdp.fault(DOWNLOAD, Fault(executed=True, delay=25.0))
    async with rig.running() as orders:
        began = trio.current_time()
        view = await orders.request(watch(), 8.0)
        assert trio.current_time() - began <= 8.01
        assert view.progress is Progress.DELAYED
        await trio.sleep(30)
        (told,) = await orders.configurations(TENANT, eid=EID)
    assert told.activation_code is not None
    assert told.service_status is ServiceStatus.ACTIVATING


async def test_another_smdp_serves_when_one_is_down(rig: Rig, autojump_clock: MockClock) -> None:
    """FLOW-18"""
    rig.add_smdp("dp2", Inventory(inventory(3, first=500)))
    rig.smdp.fault(DOWNLOAD, *[DOWN] * 20)
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
    assert view.progress is Progress.DOWNLOAD
    assert rig.order().smdp == "dp2"
    assert len([one for one in rig.stock_states().values() if one == "available"]) == 14


async def test_a_device_that_polls_too_often_is_told_to_give_up(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """FLOW-16, ODSA-46b"""
    rig.orders.reload(Settings(max_polls=3, look_seconds=0.5), [TENANT])
    rig.smdp.fault(DOWNLOAD, *[DOWN] * 100)
    async with rig.running() as orders:
        await orders.request(watch(), 0.0)
        told = [(await orders.configurations(TENANT, eid=EID))[0] for _ in range(4)]
    assert [one.service_status.value for one in told] == [2, 2, 2, 4]
    assert told[-1].polling_minutes == 0


async def test_a_store_that_is_away_only_delays(rig: Rig, autojump_clock: MockClock) -> None:
    """FAIL-14"""

    def fail(function: str, fields: dict[str, Any]) -> None:
        rig.transactions.away = "locked"

    rig.smdp.on_call = fail
    async with rig.running() as orders:
        with pytest.raises(Exception, match="locked"):
            await orders.request(watch(), 8.0)
        rig.smdp.on_call = lambda function, fields: None
        await trio.sleep(5)
        rig.transactions.away = ""
        await rig.until(lambda: rig.order().state is State.RELEASED)
    assert rig.bugs == []
    assert len(rig.books.in_state("Released")) == 1


# --- the BSS --------------------------------------------------------------------------------------


async def test_a_refusal_of_the_bss_before_the_pivot_takes_everything_back(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """FLOW-07: CancelOrder with EID and matching id"""
    rig.bss.answers["activate"] = [LineRefused("credit")]
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
        await rig.until(lambda: rig.order().is_final)
    assert view.progress is Progress.DISMISS
    (cancel,) = [fields for name, fields in rig.smdp.calls if name == "cancelOrder"]
    assert (cancel["eid"], cancel["finalProfileStatusIndicator"]) == (EID, "Available")
    assert cancel["matchingId"]
    assert nothing_is_held(rig)
    assert rig.bss.asked == ["activate", "undo"]


async def test_a_bss_that_takes_its_time_is_asked_again(
    rig: Rig, autojump_clock: MockClock
) -> None:
    rig.bss.answers["activate"] = [LinePending(30.0), LineAway("timeout")]
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
        assert view.progress is Progress.DELAYED
        await rig.until(lambda: rig.order().state is State.RELEASED)


async def test_a_bss_that_fails_after_the_installation_is_asked_until_it_works(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """Forward only; the number is never in two places, nor in none."""
    rig.bss.answers["move"] = [LineAway("timeout"), LineRefused("busy"), LineAway("timeout")]
    async with rig.running() as orders:
        view = await orders.request(transfer(), 8.0)
        await rig.notify(view.iccid, ProfileEvent.INSTALLED)
        await rig.until(lambda: rig.order().state is State.ACTIVE)
    assert rig.bss.asked.count("move") == 4
    assert "cancelOrder" not in rig.smdp.names_called()


async def test_a_swap_whose_reply_is_lost_is_done_once(rig: Rig, autojump_clock: MockClock) -> None:
    """FAIL-17"""
    rig.bss.lost.add("move")
    async with rig.running() as orders:
        view = await orders.request(transfer(), 8.0)
        await rig.notify(view.iccid, ProfileEvent.INSTALLED)
        await rig.until(lambda: rig.order().state is State.ACTIVE)
    old, new = rig.subscriber(OWNER), rig.subscriber(imsi_of(view.iccid))
    assert old is not None
    assert new is not None
    assert (old.token_generation, new.msisdn) == (1, MSISDN)


async def test_a_bss_that_must_swap_early_swaps_back(rig: Rig, autojump_clock: MockClock) -> None:
    rig.settings = Settings(swap_at="release", look_seconds=0.5)
    rig.orders.reload(rig.settings, [TENANT])
    refused_at(rig, RELEASE, "8.2.12/3.10")
    async with rig.running() as orders:
        await orders.request(transfer(), 8.0)
        await rig.until(lambda: rig.order().is_final)
    assert rig.bss.asked == ["move", "restore", "undo"]
    old = rig.subscriber(OWNER)
    assert old is not None
    assert (old.status.value, old.msisdn) == ("active", MSISDN)
    assert rig.subscriber(imsi_of(rig.order().iccid)) is None


# --- notifications --------------------------------------------------------------------------------


async def test_a_user_who_declines_keeps_the_old_line(rig: Rig, autojump_clock: MockClock) -> None:
    """FLOW-13"""
    async with rig.running() as orders:
        view = await orders.request(transfer(), 8.0)
        code = StatusCode("8.8.5", "3.8")
        await rig.notify(view.iccid, ProfileEvent.DOWNLOADED, succeeded=False, code=code)
        await rig.until(lambda: rig.order().is_final)
    assert (rig.order().state, rig.order().reason) == (State.CANCELLED, "user-rejected")
    old = rig.subscriber(OWNER)
    assert old is not None
    assert (old.status.value, old.msisdn) == ("active", MSISDN)
    assert nothing_is_held(rig)


async def test_a_failed_installation_gets_another_profile(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """ES2-43"""
    async with rig.running() as orders:
        first = await orders.request(watch(), 8.0)
        profile = rig.books.find(first.iccid)
        assert profile is not None
        profile.move("Error")
        code = StatusCode("8.2.10", "4.2")
        await rig.notify(first.iccid, ProfileEvent.INSTALLED, succeeded=False, code=code)
        await rig.until(lambda: rig.order().state is State.RELEASED and rig.order().tries == 2)
    assert rig.order().iccid != first.iccid
    assert rig.stock_states()[first.iccid] == "burnt"
    assert profile.state == "Unavailable"


async def test_duplicates_and_late_notifications_change_nothing(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """ES2-39, ES2-40"""
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
        kept = await rig.notify(view.iccid, ProfileEvent.INSTALLED, happened_at=5.0)
        twice = await rig.notify(view.iccid, ProfileEvent.INSTALLED, happened_at=5.0)
        await rig.until(lambda: rig.order().state is State.ACTIVE)
        late = await rig.notify(view.iccid, ProfileEvent.DOWNLOADED, happened_at=4.0)
        await trio.sleep(5)
    assert [kept, twice, late] == [Disposition.KEPT, Disposition.DUPLICATE, Disposition.KEPT]
    assert rig.order().state is State.ACTIVE
    assert [step.state for step in rig.history(view.order_id)].count("active") == 1


async def test_notifications_of_strangers_are_kept_or_refused(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """ES2-38, ES2-41"""
    rig.add_smdp("dp2", Inventory(inventory(3, first=500)))
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
        unknown = await rig.notify("8949000000077777771", ProfileEvent.INSTALLED)
        foreign = await rig.notify(view.iccid, ProfileEvent.INSTALLED, smdp="dp2")
        await trio.sleep(5)
    assert (unknown, foreign) == (Disposition.UNKNOWN_ICCID, Disposition.FOREIGN_ICCID)
    assert rig.order().state is State.RELEASED
    assert (rig.orders.statistics().orphans, rig.orders.statistics().foreign) == (1, 1)


async def test_the_device_may_be_quicker_than_the_answer_to_the_release(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """FAIL-20"""
    rig.smdp.fault(RELEASE, Fault(executed=True, delay=3.0))
    async with rig.running() as orders:
        await orders.request(watch(), 1.0)
        await rig.notify(rig.order().iccid, ProfileEvent.DOWNLOADED)
        await rig.notify(rig.order().iccid, ProfileEvent.INSTALLED)
        await rig.until(lambda: rig.order().state is State.ACTIVE)
        await trio.sleep(10)
    assert rig.order().state is State.ACTIVE
    assert rig.bugs == []


async def test_a_device_that_uses_the_profile_needs_no_notification(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.running() as orders:
        view = await orders.request(transfer(), 8.0)
        assert await orders.seen(TENANT, imsi=OWNER) is None  # the old line is no sign of it
        seen = await orders.seen(TENANT, iccid=Iccid(view.iccid))
        assert seen is not None
        await rig.until(lambda: rig.order().state is State.ACTIVE)


# --- ends -----------------------------------------------------------------------------------------


async def test_unsubscribing_a_delayed_order_takes_it_back(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """FLOW-14"""
    rig.smdp.fault(CONFIRM, *[DOWN] * 3)
    async with rig.running() as orders:
        view = await orders.request(watch(), 0.0)
        await rig.until(lambda: rig.order().state is State.DELAYED)
        ended = await orders.unsubscribe(TENANT, view.order_id, 8.0)
        await rig.until(lambda: rig.order().is_final)
    assert ended is not None
    assert ended.progress is Progress.DONE
    assert rig.order().state is State.CANCELLED
    assert nothing_is_held(rig)


async def test_a_cancellation_that_comes_too_late_goes_on_forward(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """FLOW-15"""
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
        profile = rig.books.find(view.iccid)
        assert profile is not None
        profile.move("Downloaded")  # and the notification is late
        await orders.unsubscribe(TENANT, view.order_id, 8.0)
        await rig.until(lambda: rig.order().state is State.DOWNLOADED)
        assert rig.subscriber(imsi_of(view.iccid)) is not None
        await rig.notify(view.iccid, ProfileEvent.INSTALLED)
        await rig.until(lambda: rig.order().state is State.ACTIVE)


async def test_a_line_can_be_unsubscribed(rig: Rig, autojump_clock: MockClock) -> None:
    """A'"""
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
        await rig.notify(view.iccid, ProfileEvent.INSTALLED)
        await rig.until(lambda: rig.order().state is State.ACTIVE)
        ended = await orders.request(watch(kind=Kind.UNSUBSCRIBE), 8.0)
        again = await orders.request(watch(kind=Kind.UNSUBSCRIBE), 8.0)
    line, owner = rig.subscriber(imsi_of(view.iccid)), rig.subscriber(OWNER)
    assert line is not None
    assert owner is not None
    assert (line.status.value, owner.status.value) == ("terminated", "active")
    assert ended.progress is Progress.DONE
    assert again.progress is Progress.DONE
    assert rig.bss.asked.count("end") == 1
    assert rig.stock_states()[view.iccid] == "burnt"


async def test_nobody_fetched_the_profile_in_time(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
        await trio.sleep(rig.settings.download_seconds + 60)
        await rig.until(lambda: rig.order().is_final)
    assert rig.order().state is State.CANCELLED
    assert rig.subscriber(imsi_of(view.iccid)) is None
    assert nothing_is_held(rig)


async def test_a_downloaded_profile_that_is_never_installed_is_burnt(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
        await rig.notify(view.iccid, ProfileEvent.DOWNLOADED)
        await trio.sleep(rig.settings.install_seconds + 60)
        await rig.until(lambda: rig.order().is_final)
    assert rig.order().state is State.FAILED
    assert rig.stock_states()[view.iccid] == "burnt"
    assert rig.subscriber(imsi_of(view.iccid)) is None


# --- recovery -------------------------------------------------------------------------------------


async def test_a_watch_after_a_factory_reset_gets_its_own_profile_again(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """Flow F, ODSA-51"""
    async with rig.running() as orders:
        first = await orders.request(watch(), 8.0)
        await rig.notify(first.iccid, ProfileEvent.INSTALLED)
        await rig.until(lambda: rig.order().state is State.ACTIVE)
        await trio.sleep(61)
        profile = rig.books.find(first.iccid)
        assert profile is not None
        profile.forget_order()
        profile.move("Available")  # the eUICC reported the deletion
        await rig.notify(first.iccid, ProfileEvent.DELETED)
        again = await orders.request(watch(), 8.0)
        assert again.iccid == first.iccid
        assert again.progress is Progress.DOWNLOAD
        await rig.notify(again.iccid, ProfileEvent.INSTALLED)
        await rig.until(lambda: rig.order(again.order_id).state is State.ACTIVE)
        await rig.until(lambda: rig.order(first.order_id).state is State.ENDED)
    assert again.activation_code is not None
    assert again.activation_code != first.activation_code
    assert rig.stock_states()[first.iccid] == "installed"
    line = rig.subscriber(imsi_of(first.iccid))
    assert line is not None
    assert line.status.value == "active"


async def test_a_profile_that_is_still_on_the_old_device_must_be_deleted_first(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """SubscriptionResult 6"""
    async with rig.running() as orders:
        first = await orders.request(watch(), 8.0)
        await rig.notify(first.iccid, ProfileEvent.INSTALLED)
        await rig.until(lambda: rig.order().state is State.ACTIVE)
        again = await orders.request(watch(kind=Kind.RECOVER, iccid=Iccid(first.iccid)), 8.0)
        await rig.until(lambda: rig.order(again.order_id).is_final)
        view = await orders.find(TENANT, again.order_id)
    assert view is not None
    assert view.progress is Progress.DELETE_PROFILE_IN_USE
    assert rig.order(first.order_id).state is State.ACTIVE
    line = rig.subscriber(imsi_of(first.iccid))
    assert line is not None
    assert line.status.value == "active"
    assert rig.stock_states()[first.iccid] != "available"


async def test_a_line_whose_card_is_lost_moves_to_a_new_profile(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """Flow F with a new ICCID, ODSA-51"""
    asked = transfer(kind=Kind.RECOVER, old_iccid=None)
    async with rig.running() as orders:
        view = await orders.request(asked, 8.0)
        await rig.notify(view.iccid, ProfileEvent.INSTALLED)
        await rig.until(lambda: rig.order().state is State.ACTIVE)
    new = rig.subscriber(imsi_of(view.iccid))
    assert new is not None
    assert new.msisdn == MSISDN


# --- who may --------------------------------------------------------------------------------------


async def test_a_suspended_subscriber_orders_nothing(rig: Rig, autojump_clock: MockClock) -> None:
    with transaction(rig.transactions.connection):
        put_subscriber(rig.transactions.connection, "001010000000002", "491", status="suspended")
    async with rig.running() as orders:
        view = await orders.request(watch(imsi="001010000000002"), 8.0)
    assert (view.progress, view.reason) == (Progress.DISMISS, "not-allowed: suspended")
    assert rig.all_orders() == []


async def test_a_card_of_somebody_else_is_not_transferred(
    rig: Rig, autojump_clock: MockClock
) -> None:
    with transaction(rig.transactions.connection):
        put_subscriber(rig.transactions.connection, "001010000000002", "491", "8949000000000055558")
    async with rig.running() as orders:
        view = await orders.request(transfer(old_iccid=Iccid("8949000000000055558")), 8.0)
    assert view.reason == "not-allowed: not-the-subscribers-line"


async def test_a_watch_never_ends_or_takes_the_phones_own_line(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.running() as orders:
        for kind in (Kind.UNSUBSCRIBE, Kind.RECOVER, Kind.TRANSFER):
            view = await orders.request(watch(kind=kind), 8.0)
            assert view.reason == "not-allowed: no-such-line"


async def test_temporary_tokens(rig: Rig, autojump_clock: MockClock) -> None:
    """FLOW-17, AUTH-35, ODSA-50"""
    targets = ("ManageSubscription", "AcquireConfiguration")
    async with rig.running() as orders:
        token, _ = await orders.issue_token(TENANT, OWNER, "old-phone", "ap2009", targets)
        good = await orders.redeem_token(TENANT, token, "ap2009", "ManageSubscription", EID)
        assert not isinstance(good, TokenRefusal)
        assert (good.imsi, good.terminal_id) == (OWNER, "old-phone")
        outside = await orders.redeem_token(TENANT, token, "ap2009", "AcquirePlan", EID)
        other_app = await orders.redeem_token(TENANT, token, "ap2006", "ManageSubscription", EID)
        assert (outside, other_app) == (TokenRefusal.OUTSIDE_TARGETS,) * 2
        thief = await orders.redeem_token(TENANT, token, "ap2009", targets[0], OTHER_EID)
        assert thief is TokenRefusal.UNKNOWN
        view = await orders.request(transfer(imsi=good.imsi, token_hash=good.token_hash), 8.0)
        assert view.progress is Progress.DOWNLOAD
        polled = await orders.redeem_token(TENANT, token, "ap2009", targets[1], EID)
        assert not isinstance(polled, TokenRefusal)
        await orders.consume_token(TENANT, good.token_hash)
        used = await orders.redeem_token(TENANT, token, "ap2009", targets[1], EID)
        late, _ = await orders.issue_token(TENANT, OWNER, "old-phone", "ap2009", targets)
        await trio.sleep(601)
        expired = await orders.redeem_token(TENANT, late, "ap2009", targets[0], None)
    assert (used, expired) == (TokenRefusal.UNKNOWN, TokenRefusal.UNKNOWN)


async def test_the_web_sheet_comes_first(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.running() as orders:
        view = await orders.request(watch(user_input_missing=True), 8.0)
        assert view.progress is Progress.WEB_SHEET
        assert rig.smdp.calls == []
        answered = await orders.answered(TENANT, view.order_id, 8.0)
    assert answered is not None
    assert answered.progress is Progress.DOWNLOAD


async def test_an_smdp_that_chooses_the_profile_itself(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    rig = Rig(tmp_path / "node.db")
    rig.capabilities = Capabilities(order_by_iccid=False)
    rig.smdp_types = ("CONSUMER_5G",)
    rig.transactions.connection.close()
    rig.boot()
    async with rig.running() as orders:
        view = await orders.request(watch(), 8.0)
    (download,) = [fields for name, fields in rig.smdp.calls if name == "downloadOrder"]
    assert "iccid" not in download
    assert view.progress is Progress.DOWNLOAD
    assert rig.subscriber(imsi_of(view.iccid)) is not None
