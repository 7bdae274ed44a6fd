"""ap2010: plan, boost list, 5G SA, and the real-time boost request (TS.43 §9)."""

import itertools

import msgspec
import pytest

from actors.backends.bss import Boost, DataPlan, SubscriberStatus
from actors.entitlement.applications import decide
from config.model import DataBoost
from tests.actors.entitlement.lines import NOTHING, TENANT, USER_DATA, given, line, plan, seen

METERED = (DataPlan(3, "Unmetered"), DataPlan(4, "metered"), DataPlan(5, "METERED"))


def test_5g_sa_is_on_or_off() -> None:
    """APP-39."""
    decision = decide("ap2010", given(of_plan=plan("5gsa")))
    assert seen(decision) == {"5GSAInfo": [{"5GSAInfoDetails": {"5GSAStatus": "1"}}]}
    assert (
        decision.reason == "Data plan 2: plan basic lacks data-plan; 5G SA 1: plan basic has 5gsa"
    )
    off = seen(decide("ap2010", given(of_plan=NOTHING)))
    assert off == {"5GSAInfo": [{"5GSAInfoDetails": {"5GSAStatus": "0"}}]}


@pytest.mark.parametrize("override", ["blocked", "provisioning", "disabled"])
def test_5g_sa_that_is_not_ready_is_off(override: str) -> None:
    """APP-39."""
    subscriber = line(overrides=(("5gsa", override),))
    found = seen(decide("ap2010", given(subscriber, plan("5gsa"))))
    assert found["5GSAInfo"] == [{"5GSAInfoDetails": {"5GSAStatus": "0"}}]


def test_the_data_plan_has_a_row_for_each_access() -> None:
    """APP-39, table 82."""
    impossible = (DataPlan(6, "Metered"), DataPlan(-1, "Metered"), DataPlan(1, "free"))
    found = seen(
        decide("ap2010", given(of_plan=plan("data-plan", data_plans=METERED + impossible)))
    )
    assert found["DataPlanInfo"] == [
        {"DataPlanInfoDetails": {"AccessType": "3", "DataPlanType": "Unmetered"}},
        {"DataPlanInfoDetails": {"AccessType": "4", "DataPlanType": "Metered"}},
        {"DataPlanInfoDetails": {"AccessType": "5", "DataPlanType": "Metered"}},
    ]
    without = seen(decide("ap2010", given(of_plan=plan(data_plans=METERED))))
    assert "DataPlanInfo" not in without
    assert "DataPlanInfo" not in seen(decide("ap2010", given(of_plan=plan("data-plan"))))


@pytest.mark.parametrize(
    ("override", "statuses"),
    [
        ("", "01201"),
        ("allowed", "01201"),
        ("disabled", "00200"),
        ("provisioning", "00200"),
        ("blocked", "22222"),
    ],
)
def test_the_boost_list_has_three_statuses(override: str, statuses: str) -> None:
    """APP-39, table 77: 3 and 4 of a plan are shown as 0 and 1."""
    boosts = tuple(Boost(number, number) for number in range(5))
    subscriber = line(overrides=(("boost", override),) if override else ())
    impossible = (Boost(256, 1), Boost(-1, 1))
    found = seen(decide("ap2010", given(subscriber, plan("boost", boosts=boosts + impossible))))
    assert found["DataBoostInfo"] == [
        {"DataBoostInfoDetails": {"BoostType": str(number), "BoostTypeStatus": status}}
        for number, status in enumerate(statuses)
    ]


def test_usage_is_left_out() -> None:
    """§9.1: an ECS implements either or all of plan, boost and usage."""
    of_plan = plan("data-plan", "5gsa", "boost", data_plans=METERED, boosts=(Boost(0, 1),))
    found = seen(decide("ap2010", given(of_plan=of_plan)))
    assert set(found) == {"DataPlanInfo", "DataBoostInfo", "5GSAInfo"}


def test_a_suspended_line_has_nothing_of_it() -> None:
    subscriber = line(status=SubscriberStatus.SUSPENDED)
    of_plan = plan("data-plan", "5gsa", "boost", data_plans=METERED, boosts=(Boost(0, 1),))
    assert seen(decide("ap2010", given(subscriber, of_plan))) == {
        "DataBoostInfo": [{"DataBoostInfoDetails": {"BoostType": "0", "BoostTypeStatus": "2"}}],
        "5GSAInfo": [{"5GSAInfoDetails": {"5GSAStatus": "0"}}],
    }


REAL_TIME = [
    (0, {"EntitlementStatus": "0", "ProvStatus": "2"}),
    (1, {"EntitlementStatus": "1", "ProvStatus": "1"}),
    (3, {"EntitlementStatus": "3", "ProvStatus": "3"}),
    (4, {"EntitlementStatus": "4", "ProvStatus": "1"}),
]


@pytest.mark.parametrize(("status", "expected"), REAL_TIME)
def test_a_boost_request_is_answered_by_that_boost(status: int, expected: dict[str, str]) -> None:
    """APP-39."""
    of_plan = plan("boost", boosts=(Boost(9, 2), Boost(34, status)))
    decision = decide("ap2010", given(of_plan=of_plan, boost_type=34))
    assert seen(decision) == expected
    assert decision.entitlement_status == status
    assert decision.reason == f"Boost 34 {status}: plan basic has boost 34 as {status}"


@pytest.mark.parametrize("contents_type", ["", "json", "xml"])
def test_a_boost_for_sale_has_a_web_sheet(contents_type: str) -> None:
    """APP-39, tables 83 and 89: Android opens it for EntitlementStatus 1 with ProvStatus 0."""
    sheet = DataBoost(
        service_flow_url="https://es.mno.example/ws/boost", service_flow_contents_type=contents_type
    )
    tenant = msgspec.structs.replace(TENANT, data_boost=sheet)
    of_plan = plan("boost", boosts=tuple(Boost(number, number) for number in range(5)))
    decision = decide("ap2010", given(of_plan=of_plan, tenant=tenant, boost_type=1))
    expected = {
        "EntitlementStatus": "1",
        "ServiceFlow_URL": "https://es.mno.example/ws/boost",
        "ServiceFlow_UserData": USER_DATA,
        "ServiceFlow_ContentsType": contents_type,
        "ProvStatus": "0",
    }
    assert seen(decision) == {name: value for name, value in expected.items() if value}
    assert decision.user_data_as == contents_type
    assert decision.application.shared
    for boost_type in (0, 2, 3, 4):  # nothing to buy
        other = decide("ap2010", given(of_plan=of_plan, tenant=tenant, boost_type=boost_type))
        assert other.user_data_as is None
        assert not {name for name in seen(other) if name.startswith("ServiceFlow")}
    assert decide("ap2010", given(of_plan=of_plan, tenant=tenant)).user_data_as is None


@pytest.mark.parametrize(("wanted", "sold"), [(0, 166), (166, 0), (0, 0), (166, 166)])
def test_both_numbers_of_real_time_interactive_are_the_same(wanted: int, sold: int) -> None:
    """TS.43 table 77, note."""
    of_plan = plan("boost", boosts=(Boost(sold, 1),))
    assert decide("ap2010", given(of_plan=of_plan, boost_type=wanted)).entitlement_status == 1


@pytest.mark.parametrize("override", ["", "allowed", "blocked", "provisioning", "disabled"])
@pytest.mark.parametrize(
    ("status", "known"), list(itertools.product([-1, 0, 1, 2, 3, 4, 5], [True, False]))
)
def test_android_never_meets_a_pair_that_it_throws_away(
    override: str, status: int, known: bool
) -> None:
    """APP-39, Q-DOC-15."""
    subscriber = line(overrides=(("boost", override),) if override else ())
    of_plan = plan("boost", boosts=(Boost(7, status),))
    decision = decide("ap2010", given(subscriber, of_plan, boost_type=7 if known else 8))
    found = seen(decision)
    pair = (int(found["EntitlementStatus"]), int(found["ProvStatus"]))
    assert pair not in {(4, 0), (4, 3), (3, 0), (3, 1)}
    assert pair[0] in range(5)
    assert pair[1] in range(4)
    assert ("MessageForIncompatible" in found) == (pair[0] == 2)


def test_a_boost_that_nobody_sells_is_incompatible() -> None:
    decision = decide("ap2010", given(of_plan=plan("boost"), boost_type=5, notification_status=2))
    assert seen(decision) == {
        "EntitlementStatus": "2",
        "MessageForIncompatible": "This data boost is not available with your plan.",
        "ProvStatus": "2",
        "RegisterNotifStatus": "2",
    }
    assert decision.reason == "Boost 5 2: plan basic lacks boost 5"
