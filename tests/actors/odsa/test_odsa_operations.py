"""What each ODSA operation is answered, against an orders' desk in memory."""

import base64

import pytest
import trio

from actors.backends.bss import Plan, SubscriberStatus
from actors.odsa.clerk import Clerk
from actors.odsa.question import Unanswered
from actors.orders.port import Eligibility, Eligible
from actors.orders.records import Kind, OrderRequest, OrderView, Service
from actors.orders.transitions import State
from actors.runtime.turn import Turn
from actors.store.store import StoreUnavailable
from config.model import UserInput
from protocols.es2plus.identifiers import ActivationCode
from tests.actors.odsa.asking import EID, WATCH, Asker, line, tenant, working
from tests.actors.odsa.order_desk import SMDP, MemoryDesk

OTHER_EID = "89049032000001000000000087654321"


@pytest.fixture
def desk() -> MemoryDesk:
    return MemoryDesk()


@pytest.fixture
async def clerk(nursery: trio.Nursery, desk: MemoryDesk) -> Clerk:
    return await working(nursery, desk)


@pytest.fixture
def asker(clerk: Clerk) -> Asker:
    return Asker(clerk)


# --- CheckEligibility ---------------------------------------------------------------------------


async def test_eligibility_names_the_services_that_are_sold(asker: Asker) -> None:
    """ODSA-43."""
    read = await asker.ask("ap2006", "CheckEligibility", companion_terminal_id=WATCH)
    assert read == {
        "CompanionAppEligibility": "1",
        "CompanionDeviceServices": "SharedNumber,DiffNumber",
        "OperationResult": "1",
    }
    assert asker.reasons[-1].endswith("CompanionAppEligibility 1: SharedNumber, DiffNumber")
    assert await asker.ask("ap2009", "CheckEligibility") == {
        "PrimaryAppEligibility": "1",
        "OperationResult": "1",
    }


@pytest.mark.parametrize(
    ("changes", "known", "why"),
    [
        ({"status": SubscriberStatus.SUSPENDED}, True, "the line is suspended"),
        ({"status": SubscriberStatus.TERMINATED}, True, "the line is terminated"),
        ({"overrides": (("companion", "blocked"),)}, True, "companion is blocked for this line"),
        ({}, False, "the BSS does not know the subscriber"),
    ],
)
async def test_a_line_that_may_not_is_not_eligible(
    clerk: Clerk, changes: dict[str, object], known: bool, why: str
) -> None:
    asker = Asker(clerk, subscriber=line(**changes), known=known)
    read = await asker.ask("ap2006", "CheckEligibility", companion_terminal_id=WATCH)
    assert read["CompanionAppEligibility"] == "0"
    assert asker.reasons[-1].endswith(why)


async def test_a_plan_that_is_not_listed_is_not_eligible_unless_the_line_is(clerk: Clerk) -> None:
    rules = tenant(primary_plans=("platinum",), eligibility_polling_minutes=3)
    asker = Asker(clerk, rules)
    assert await asker.ask("ap2009", "CheckEligibility") == {
        "PrimaryAppEligibility": "0",
        "PollingInterval": "3",
        "OperationResult": "1",
    }
    allowed = Asker(clerk, rules, line(overrides=(("esim", "allowed"),)))
    assert (await allowed.ask("ap2009", "CheckEligibility"))["PrimaryAppEligibility"] == "1"


async def test_the_business_systems_may_say_no(asker: Asker, desk: MemoryDesk) -> None:
    desk.eligible = Eligible(Eligibility.INCOMPATIBLE, reason="device-unknown")
    read = await asker.ask("ap2009", "CheckEligibility")
    assert read["PrimaryAppEligibility"] == "2"
    assert "device-unknown" in asker.reasons[-1]


async def test_only_services_that_both_sell_are_offered(clerk: Clerk, desk: MemoryDesk) -> None:
    desk.eligible = Eligible(Eligibility.ENABLED, (Service.DIFF_NUMBER, Service.FAMILY_NUMBER))
    asker = Asker(clerk)
    read = await asker.ask("ap2006", "CheckEligibility", companion_terminal_id=WATCH)
    assert read["CompanionDeviceServices"] == "DiffNumber"
    nothing = Asker(clerk, tenant(companion_services=("SharedNumber",)))
    read = await nothing.ask("ap2006", "CheckEligibility", companion_terminal_id=WATCH)
    assert read == {"CompanionAppEligibility": "0", "OperationResult": "1"}


async def test_a_subscriber_has_so_many_companions_and_each_counts_once(clerk: Clerk) -> None:
    asker = Asker(clerk, tenant(max_companions=1, not_enabled_url="https://es.example/no"))
    assert (await asker.watch(0))["SubscriptionResult"] == "2"
    again = await asker.ask("ap2006", "CheckEligibility", companion_terminal_id=WATCH)
    assert again["CompanionAppEligibility"] == "1"
    assert (await asker.watch(0))["SubscriptionResult"] == "2"
    other = await asker.ask("ap2006", "CheckEligibility", companion_terminal_id="350000000000059")
    assert other["CompanionAppEligibility"] == "0"
    assert other["NotEnabledURL"] == "https://es.example/no"
    assert other["NotEnabledUserData"] == "st=00"
    refused = await asker.watch(
        0, companion_terminal_id="350000000000059", companion_terminal_eid=OTHER_EID
    )
    assert refused["SubscriptionResult"] == "5"
    assert "as many devices" in refused["GeneralErrorText"]


# --- ManageSubscription -------------------------------------------------------------------------


async def test_a_watch_gets_an_activation_code(asker: Asker, desk: MemoryDesk) -> None:
    """ODSA-44, FLOW-01."""
    read = await asker.watch(0, companion_terminal_model="Watch 9")
    assert (read["SubscriptionResult"], read["OperationResult"]) == ("2", "1")
    encoded = read["DownloadInfo"]["ProfileActivationCode"]
    code = ActivationCode.from_profile_activation_code(encoded)
    assert code.smdp_address == SMDP
    (order,) = desk.requests
    assert (order.kind, order.service) == (Kind.SUBSCRIBE, Service.SHARED_NUMBER)
    assert (order.target_eid, order.target_terminal_id) == (EID, WATCH)
    assert (order.device.model, order.device.device_class) == ("Watch 9", "watch")


async def test_a_repetition_gets_the_same_code(asker: Asker, desk: MemoryDesk) -> None:
    """FLOW-02."""
    first = await asker.watch(0)
    assert await asker.watch(0) == first
    assert len(desk.orders) == 1
    assert asker.reasons[-1].endswith("asked for before")


async def test_the_code_begins_with_lpa_where_the_tenant_wants_it(clerk: Clerk) -> None:
    """ES2-32."""
    read = await Asker(clerk, tenant(activation_code_prefix=True)).watch(0)
    text = base64.b64decode(read["DownloadInfo"]["ProfileActivationCode"])
    assert text.startswith(b"LPA:1$smdp.example$")


async def test_a_service_that_is_not_sold_is_an_invalid_parameter(asker: Asker) -> None:
    read = await asker.watch(0, companion_terminal_service="FamilyNumber")
    assert read["OperationResult"] == "102"
    assert "companion_terminal_service" in read["GeneralErrorText"]


async def test_a_tenant_that_sells_no_service_takes_no_order(
    clerk: Clerk, desk: MemoryDesk
) -> None:
    await Asker(clerk).watch(0)
    nothing = Asker(clerk, tenant(companion_services=()))
    assert (await nothing.watch(0))["OperationResult"] == "102"
    assert len(desk.orders) == 1


async def test_a_missing_eid_is_102_with_words_for_the_user(asker: Asker) -> None:
    """ODSA-45a."""
    read = await asker.watch(0, companion_terminal_eid="")
    assert read == {
        "OperationResult": "102",
        "GeneralErrorText": "Your device asked for something that cannot be done. "
        "(companion_terminal_eid is missing)",
    }


async def test_an_operation_that_ts43_does_not_have_is_101(clerk: Clerk) -> None:
    """ODSA-45b."""
    asker = Asker(clerk, tenant(error_url="https://es.example/error"))
    assert await asker.ask("ap2009", "Frobnicate") == {
        "OperationResult": "101",
        "GeneralErrorURL": "https://es.example/error",
        "GeneralErrorUserData": "st=00",
    }


async def test_wrong_check_digits_of_an_eid_are_the_tenants_policy(clerk: Clerk) -> None:
    assert (await Asker(clerk).watch(0))["OperationResult"] == "1"
    strict = Asker(clerk, tenant(eid_check_digits=True))
    assert (await strict.watch(0))["OperationResult"] == "102"


async def test_a_delayed_download_is_polled_until_it_is_there(
    asker: Asker, desk: MemoryDesk
) -> None:
    """ODSA-46a, FLOW-11."""
    desk.slow = True
    assert (await asker.watch(0))["SubscriptionResult"] == "4"
    (order_id,) = desk.orders

    async def poll(**more: str) -> dict[str, str]:
        read = await asker.ask(
            "ap2006", "AcquireConfiguration", companion_terminal_id=WATCH, **more
        )
        (only,) = read["CompanionConfigurations"]
        found: dict[str, str] = only["CompanionConfiguration"]
        return found

    waiting = await poll()
    assert (waiting["ServiceStatus"], waiting["PollingInterval"]) == ("2", "1")
    assert "DownloadInfo" not in waiting
    desk.move(order_id, State.RELEASED)
    ready = await poll()
    assert "DownloadInfo" in ready
    installed = await poll(companion_terminal_iccid=ready["ICCID"])
    assert installed["ServiceStatus"] == "1"
    assert "DownloadInfo" not in installed
    assert "PollingInterval" not in installed


async def test_too_many_polls_end_the_flow(asker: Asker, desk: MemoryDesk) -> None:
    """ODSA-46b, FLOW-16."""
    desk.slow, desk.max_polls = True, 2
    await asker.watch(0)
    statuses = []
    for _ in range(3):
        read = await asker.ask("ap2006", "AcquireConfiguration", companion_terminal_id=WATCH)
        (only,) = read["CompanionConfigurations"]
        statuses.append(only["CompanionConfiguration"]["ServiceStatus"])
    assert statuses == ["2", "2", "4"]


async def test_an_order_that_failed_is_dismissed(asker: Asker, desk: MemoryDesk) -> None:
    await asker.watch(0)
    (order_id,) = desk.orders
    desk.move(order_id, State.FAILED)
    assert (await asker.watch(0))["SubscriptionResult"] == "5"


async def test_the_portal_takes_what_the_tenant_does_there(clerk: Clerk, desk: MemoryDesk) -> None:
    """ODSA-44."""
    rules = tenant(
        portal_url="https://portal.example/ws",
        portal_contents_type="json",
        portal_operations=("subscribe", "unsubscribe", "change"),
    )
    asker = Asker(clerk, rules)
    for kind in (0, 1, 2):
        read = await asker.watch(kind)
        assert read == {
            "SubscriptionServiceURL": "https://portal.example/ws",
            "SubscriptionServiceUserData": "st=00",
            "SubscriptionServiceContentsType": "json",
            "SubscriptionResult": "1",
            "OperationResult": "1",
        }
    (order,) = desk.requests
    assert order.user_input_missing


async def test_a_change_without_portal_is_dismissed(asker: Asker) -> None:
    assert (await asker.watch(2))["SubscriptionResult"] == "5"


async def test_unsubscribing_ends_what_was_ordered(asker: Asker, desk: MemoryDesk) -> None:
    """FLOW-14 from the device's side."""
    desk.slow = True
    await asker.watch(0)
    assert (await asker.watch(1))["SubscriptionResult"] == "3"
    (view,) = desk.orders.values()
    assert view.state is State.ENDED


async def test_unsubscribing_what_no_order_made_asks_the_business_systems(
    asker: Asker, desk: MemoryDesk
) -> None:
    read = await asker.watch(1, companion_terminal_iccid="8949000000000000099")
    assert read["SubscriptionResult"] == "3"
    (order,) = desk.requests
    assert (order.kind, order.iccid) == (Kind.UNSUBSCRIBE, "8949000000000000099")


async def test_a_transfer_by_the_old_device_twice_is_one_order(
    asker: Asker, desk: MemoryDesk
) -> None:
    """ODSA-47."""
    old = {"old_terminal_id": "350000000000018", "old_terminal_iccid": "8949000000000000001"}
    first = await asker.phone(3, **old)
    assert first["SubscriptionResult"] == "2"
    assert await asker.phone(3, **old) == first
    assert len(desk.orders) == 1
    order = desk.requests[0]
    assert (order.kind, order.target_eid) == (Kind.TRANSFER, EID)
    assert (order.old_terminal_id, order.old_iccid) == (*old.values(),)


async def test_a_repeated_transfer_of_a_line_that_has_moved_gets_its_order(
    clerk: Clerk, desk: MemoryDesk
) -> None:
    """ODSA-47: the old line is terminated by then."""
    await Asker(clerk).phone(3)
    (order_id,) = desk.orders
    desk.move(order_id, State.ACTIVE)
    late = Asker(clerk, subscriber=line(status=SubscriberStatus.TERMINATED))
    assert (await late.phone(3))["SubscriptionResult"] == "3"
    assert len(desk.orders) == 1
    suspended = Asker(clerk, subscriber=line(status=SubscriberStatus.SUSPENDED))
    assert (await suspended.phone(3))["SubscriptionResult"] == "5"


async def test_the_old_device_learns_that_its_profile_has_left(
    asker: Asker, desk: MemoryDesk
) -> None:
    await asker.phone(3)
    (order_id,) = desk.orders
    desk.move(order_id, State.ACTIVE)
    read = await asker.ask("ap2009", "AcquireConfiguration", terminal_iccid="8949000000000000001")
    assert read["PrimaryConfiguration"] == {"ICCID": "8949000000000000001", "ServiceStatus": "4"}


async def test_a_tenant_may_need_devices_that_fetch_a_profile_again(clerk: Clerk) -> None:
    asker = Asker(clerk, tenant(redownloadable_only=True))
    assert (await asker.phone(3))["SubscriptionResult"] == "7"
    assert (await asker.phone(3, redownloadable_profile="1"))["SubscriptionResult"] == "2"
    assert (await asker.phone(0))["SubscriptionResult"] == "2"


async def test_the_confirmation_of_a_download_is_done(asker: Asker, desk: MemoryDesk) -> None:
    """§8.13, ManageSubscription type 4."""
    read = await asker.phone(0)
    iccid = read["DownloadInfo"]["ProfileIccid"]
    assert (await asker.phone(4, terminal_iccid=iccid))["SubscriptionResult"] == "3"
    (view,) = desk.orders.values()
    assert view.state is State.ACTIVE
    assert (await asker.phone(4, terminal_iccid="8949000000000000088"))["SubscriptionResult"] == "3"


async def test_a_recovery_goes_to_the_same_euicc(asker: Asker, desk: MemoryDesk) -> None:
    """ODSA-51."""
    iccid = (await asker.phone(0))["DownloadInfo"]["ProfileIccid"]
    (order_id,) = desk.orders
    desk.move(order_id, State.ACTIVE)
    read = await asker.ask("ap2009", "ManageSubscription", operation_type="7", terminal_iccid=iccid)
    assert read["SubscriptionResult"] == "2"
    order = desk.requests[-1]
    assert (order.kind, order.iccid, order.target_eid) == (Kind.RECOVER, iccid, EID)


async def test_a_recovery_of_nothing_we_know_needs_an_eid(asker: Asker) -> None:
    read = await asker.ask(
        "ap2009", "ManageSubscription", operation_type="7", terminal_iccid="8949000000000000088"
    )
    assert read["OperationResult"] == "102"


async def test_a_line_can_be_woken_but_not_put_to_rest(asker: Asker) -> None:
    iccid = (await asker.phone(0))["DownloadInfo"]["ProfileIccid"]
    assert (await asker.phone(5, terminal_iccid=iccid))["SubscriptionResult"] == "3"
    assert (await asker.phone(6, terminal_iccid=iccid))["SubscriptionResult"] == "5"


# --- MSG ----------------------------------------------------------------------------------------

ASKED = UserInput(
    operations=("transfer",), free_text=True, pattern="[0-9]{4}", expected="msisdn-end"
)


async def test_the_user_is_asked_and_the_right_answer_goes_on(
    clerk: Clerk, desk: MemoryDesk
) -> None:
    """ODSA-48a."""
    asker = Asker(clerk, tenant(user_input=ASKED))
    read = await asker.phone(3, msg_character_display_limits="55,270,20,20,40,45")
    assert read["SubscriptionResult"] == "8"
    message = read["MSG"]
    assert all(message[name] for name in ("Message", "Accept_btn", "Reject_btn", "Accept_freetext"))
    assert not desk.requests
    assert (await asker.phone(3, msg_btn="1", msg_response="0001"))["SubscriptionResult"] == "2"


@pytest.mark.parametrize("typed", ["", "1234", "00001", "001", "491700000001"])
async def test_a_wrong_answer_of_the_user_is_104(clerk: Clerk, typed: str) -> None:
    """ODSA-48b."""
    asker = Asker(clerk, tenant(user_input=ASKED))
    read = await asker.phone(3, msg_btn="1", msg_response=typed)
    assert read["OperationResult"] == "104"
    assert "SubscriptionResult" not in read


async def test_a_user_who_declines_ends_the_flow(clerk: Clerk, desk: MemoryDesk) -> None:
    """FLOW-13 from the device's side."""
    asker = Asker(clerk, tenant(user_input=ASKED))
    assert (await asker.phone(3, msg_btn="0"))["SubscriptionResult"] == "5"
    assert not desk.requests


# --- the others ---------------------------------------------------------------------------------


async def test_manage_service_tells_that_the_line_works(asker: Asker) -> None:
    iccid = (await asker.watch(0))["DownloadInfo"]["ProfileIccid"]
    named = {
        "companion_terminal_id": WATCH,
        "companion_terminal_iccid": iccid,
        "companion_terminal_service": "SharedNumber",
    }
    read = await asker.ask("ap2006", "ManageService", operation_type="10", **named)
    assert read == {"ServiceStatus": "1", "OperationResult": "1"}
    read = await asker.ask("ap2006", "ManageService", operation_type="11", **named)
    assert read["OperationResult"] == "103"
    named["companion_terminal_iccid"] = "8949000000000000088"
    read = await asker.ask("ap2006", "ManageService", operation_type="10", **named)
    assert read["OperationResult"] == "102"


async def test_manage_service_may_be_switched_off(clerk: Clerk) -> None:
    """ODSA-45c."""
    asker = Asker(clerk, tenant(manage_service=False))
    read = await asker.ask(
        "ap2006",
        "ManageService",
        operation_type="10",
        companion_terminal_id=WATCH,
        companion_terminal_iccid="8949000000000000088",
        companion_terminal_service="SharedNumber",
    )
    assert read["OperationResult"] == "103"


async def test_no_configuration_is_a_success_without_element(asker: Asker) -> None:
    assert await asker.ask("ap2009", "AcquireConfiguration") == {"OperationResult": "1"}


async def test_another_subscribers_profile_is_not_told(asker: Asker, clerk: Clerk) -> None:
    """A device only hears of the lines of whom it authenticated as."""
    iccid = (await asker.watch(0))["DownloadInfo"]["ProfileIccid"]
    stranger = Asker(clerk, subscriber=line(imsi="001010000000002"))
    named = {"companion_terminal_id": WATCH, "companion_terminal_eid": EID}
    read = await stranger.ask(
        "ap2006", "AcquireConfiguration", **named, companion_terminal_iccid=iccid
    )
    assert read == {"OperationResult": "1"}
    read = await stranger.ask(
        "ap2006",
        "ManageService",
        operation_type="10",
        **named,
        companion_terminal_iccid=iccid,
        companion_terminal_service="SharedNumber",
    )
    assert read["OperationResult"] == "102"


async def test_companions_are_described_for_devices_without_web_view(clerk: Clerk) -> None:
    """§7.6."""
    asker = Asker(clerk, tenant(companion_device_info=True))
    await asker.watch(0, companion_terminal_friendly_name="Ann's watch")
    read = await asker.ask("ap2006", "AcquireConfiguration", companion_terminal_id="other")
    (only,) = read["CompanionConfigurations"]
    info = only["CompanionConfiguration"]["CompanionDeviceInfo"]
    assert info["CompanionTerminalFriendlyName"] == "Ann's watch"
    assert info["CompanionTerminalEid"] == EID


async def test_plans_are_offered_to_servers_and_ordered_by_id(
    clerk: Clerk, desk: MemoryDesk
) -> None:
    """§10.2."""
    asker = Asker(clerk, tenant(server=True))
    assert await asker.ask("ap2011", "AcquirePlan") == {"OperationResult": "1"}
    desk.offers = (Plan("p1", "Plan One", frozenset()), Plan("p2", "", frozenset()))
    read = await asker.ask("ap2011", "AcquirePlan")
    assert [one["PlanOffer"]["PlanId"] for one in read["PlanOffers"]] == ["p1", "p2"]
    device = {"enterprise_terminal_id": "350000000000042", "enterprise_terminal_eid": OTHER_EID}
    read = await asker.ask(
        "ap2011", "ManageSubscription", operation_type="0", plan_id="p1", **device
    )
    assert read["SubscriptionResult"] == "2"
    assert desk.requests[-1].plan_id == "p1"
    read = await asker.ask("ap2011", "AcquireConfiguration", **device)
    assert read["EnterpriseConfiguration"]["ServiceStatus"] == "2"
    assert (await asker.ask("ap2011", "CheckEligibility"))["EnterpriseAppEligibility"] == "1"


async def test_a_temporary_token_is_issued_for_what_the_tenant_allows(
    asker: Asker, desk: MemoryDesk
) -> None:
    """AUTH-35."""
    read = await asker.ask(
        "ap2009",
        "AcquireTemporaryToken",
        operation_targets="ManageSubscription,AcquireConfiguration",
    )
    assert read["OperationTargets"] == "ManageSubscription,AcquireConfiguration"
    assert read["TemporaryTokenExpiry"].endswith("Z")
    assert desk.tokens[read["TemporaryToken"]].iccid == "8949000000000000001"
    for targets in ("AcquireTemporaryToken", "ManageSubscription,GetPhoneNumber"):
        read = await asker.ask("ap2009", "AcquireTemporaryToken", operation_targets=targets)
        assert read["OperationResult"] == "102"


async def test_a_transfer_by_token_leaves_the_device_that_got_the_token(
    asker: Asker, desk: MemoryDesk
) -> None:
    """ODSA-50."""
    await asker.ask("ap2009", "AcquireTemporaryToken", operation_targets="ManageSubscription")
    (token,) = desk.tokens.values()
    read = await asker.ask(
        "ap2009",
        "ManageSubscription",
        token,
        operation_type="3",
        target_terminal_eid=EID,
        target_terminal_id="350000000000034",
    )
    assert read["SubscriptionResult"] == "2"
    order = desk.requests[-1]
    assert order.token_hash == token.token_hash
    assert order.old_terminal_id == "350000000000018"


# --- trouble ------------------------------------------------------------------------------------


class AwayDesk(MemoryDesk):
    async def eligibility(self, tenant: str, imsi: str, app: str, eid: str | None) -> Eligible:
        raise StoreUnavailable("queue-full")


class BuggyDesk(MemoryDesk):
    async def request(self, request: OrderRequest, budget_seconds: float) -> OrderView:
        raise RuntimeError("bug")


async def test_a_store_that_is_away_leaves_the_operation_unanswered(nursery: trio.Nursery) -> None:
    asker = Asker(await working(nursery, AwayDesk()))
    assert await asker.decision("ap2009", "CheckEligibility") == Unanswered("store queue-full")


async def test_a_bug_ends_one_operation_alone(nursery: trio.Nursery) -> None:
    bugs: list[Exception] = []
    clerk = Clerk(BuggyDesk(), Turn(), crashed=bugs.append)
    await nursery.start(clerk.run)
    asker = Asker(clerk)
    found = await asker.decision(
        "ap2009", "ManageSubscription", operation_type="0", target_terminal_eid=EID
    )
    assert found == Unanswered("crash")
    assert len(bugs) == 1
    assert (await asker.ask("ap2009", "CheckEligibility"))["PrimaryAppEligibility"] == "1"
    assert clerk.statistics() == {"open": 0, "answered": 1, "failed": 1}


async def test_without_a_desk_or_beyond_the_capacity_the_device_comes_back(
    nursery: trio.Nursery, desk: MemoryDesk
) -> None:
    asker = Asker(await working(nursery, None))
    assert await asker.decision("ap2009", "CheckEligibility") == Unanswered("no desk")
    full = Clerk(desk, Turn(), crashed=print, capacity=0)
    await nursery.start(full.run)
    assert await Asker(full).decision("ap2009", "CheckEligibility") == Unanswered(
        "too many operations"
    )
