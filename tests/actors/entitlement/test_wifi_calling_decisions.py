"""ap2004: every combination of table 20, addresses that expire, web sheets (TS.43 §3)."""

import itertools
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from actors.backends.bss import SubscriberStatus
from actors.entitlement.applications import decide
from actors.entitlement.wifi_calling import Mode, mode_of
from config.model import VoWifi
from tests.actors.entitlement.lines import (
    EVERYTHING,
    NOTHING,
    NOW,
    TENANT,
    USER_DATA,
    given,
    line,
    seen,
)

STATUSES = ("EntitlementStatus", "TC_Status", "AddrStatus", "ProvStatus")


def table_20(status: int, terms: int, address: int, provisioning: int) -> str | None:
    """TS.43 v12 §3.3.1 to §3.3.5, word by word; None: no mode, the client shows an error."""
    data = {terms, address}
    if status == 2:
        return "cannot be offered"
    if status == 3:
        return "service being provisioned"
    if status == 0 and 0 in data:
        return "service data missing"
    if status == 0 and 3 in data:
        return "service data being updated"
    if status == 0 and data <= {1, 2} and provisioning in (0, 3):
        return "service being provisioned"
    if status == 1 and data <= {1, 2} and provisioning in (1, 2):
        return "can be activated"
    return None


def statuses_of(
    *,
    overrides: tuple[tuple[str, str], ...] = (),
    plan_has: bool = True,
    tc: int = 2,
    address: int = 2,
    provisioning: int = 2,
) -> tuple[int, ...]:
    subscriber = line(
        overrides=overrides,
        vowifi_tc_status=tc,
        vowifi_addr_status=address,
        vowifi_prov_status=provisioning,
    )
    decision = decide("ap2004", given(subscriber, EVERYTHING if plan_has else NOTHING))
    found = seen(decision)
    assert found["EntitlementStatus"] == str(decision.entitlement_status)
    return tuple(int(found[name]) for name in STATUSES)


@pytest.mark.parametrize("combination", list(itertools.product(range(4), repeat=4)))
def test_the_mode_of_every_combination_is_table_20s(combination: tuple[int, ...]) -> None:
    """APP-37."""
    mode = mode_of(*combination)
    assert (None if mode is None else mode.value) == table_20(*combination)


@pytest.mark.parametrize("record", list(itertools.product(range(4), repeat=3)))
@pytest.mark.parametrize("override", ["", "allowed", "blocked", "provisioning", "disabled"])
@pytest.mark.parametrize("plan_has", [False, True])
def test_only_combinations_of_table_20_leave_the_node(
    record: tuple[int, int, int], override: str, plan_has: bool
) -> None:
    """APP-37, Q-DOC-16: whatever the record and the plan say."""
    tc, address, provisioning = record
    overrides = (("vowifi", override),) if override else ()
    status, sent_tc, sent_address, sent_provisioning = statuses_of(
        overrides=overrides, plan_has=plan_has, tc=tc, address=address, provisioning=provisioning
    )
    mode = table_20(status, sent_tc, sent_address, sent_provisioning)
    assert mode is not None
    assert (sent_tc, sent_address) == (tc, address)
    expected = override or ("allowed" if plan_has else "blocked")
    data = {tc, address}
    if expected == "blocked":
        assert mode == "cannot be offered"
    elif expected == "provisioning":
        assert mode == "service being provisioned"
    elif 0 in data:
        assert mode == "service data missing"
    elif 3 in data:
        assert mode == "service data being updated"
    elif expected == "disabled" or provisioning in (0, 3):
        assert mode == "service being provisioned"
    else:
        assert mode == "can be activated"
    if expected == "allowed" and mode != "service data missing":
        assert sent_provisioning == provisioning


@pytest.mark.parametrize("value", [-1, 4, 99])
def test_a_status_that_ts43_does_not_have_counts_as_0(value: int) -> None:
    found = statuses_of(tc=value, address=value, provisioning=value)
    assert found == (0, 0, 0, 0)
    assert mode_of(*found) is Mode.SERVICE_DATA_MISSING


def test_the_fields_stand_in_the_order_of_the_samples() -> None:
    subscriber = line(
        vowifi_addr_status=1,
        vowifi_addr_expiry="2030-01-01T00:00:00Z",
        vowifi_addr_identifier="AID-1",
    )
    decision = decide("ap2004", given(subscriber, notification_status=0))
    assert list(seen(decision).items()) == [
        ("EntitlementStatus", "1"),
        ("ServiceFlow_URL", "https://es.mno.example/ws/vowifi"),
        ("ServiceFlow_UserData", USER_DATA),
        ("MessageForIncompatible", "Wi-Fi calling is not available with your plan."),
        ("AddrStatus", "1"),
        ("AddrExpiry", "2030-01-01T00:00:00Z"),
        ("AddrIdentifier", "AID-1"),
        ("TC_Status", "2"),
        ("ProvStatus", "2"),
        ("RegisterNotifStatus", "0"),
    ]


def test_without_a_web_sheet_there_is_no_empty_pointer() -> None:
    """Q-DOC-8: an empty value is never sent."""
    tenant = msgspec.structs.replace(TENANT, vowifi=VoWifi())
    decision = decide("ap2004", given(tenant=tenant))
    assert not {"ServiceFlow_URL", "ServiceFlow_UserData"} & set(seen(decision))
    assert decision.user_data_as is None


def test_tenants_that_require_nothing_say_so_whatever_the_record_says() -> None:
    rules = VoWifi(emergency_address_required=False, terms_required=False)
    tenant = msgspec.structs.replace(TENANT, vowifi=rules)
    subscriber = line(
        vowifi_tc_status=0,
        vowifi_addr_status=0,
        vowifi_addr_identifier="AID-1",
        vowifi_addr_expiry="2030-01-01T00:00:00Z",
    )
    found = seen(decide("ap2004", given(subscriber, tenant=tenant)))
    assert tuple(found[name] for name in STATUSES) == ("1", "2", "2", "2")
    assert not {"AddrExpiry", "AddrIdentifier"} & set(found)


EXPIRIES = [
    ("2023-11-14T22:13:21Z", "2023-11-14T22:13:21Z", "1"),
    ("2023-11-14T22:13:20Z", None, "0"),
    ("2023-11-14T23:13:21+01:00", "2023-11-14T22:13:21Z", "1"),
    ("2023-11-14T21:13:19-01:00", None, "0"),
    ("2023-11-14T22:13:21", "2023-11-14T22:13:21Z", "1"),
    ("2023-11-15", "2023-11-15T00:00:00Z", "1"),
    ("1999-01-01T00:00:00Z", None, "0"),
    ("0001-01-01T00:00:00+14:00", None, "1"),  # no time that a clock has: as if there were none
    ("9999-12-31T23:59:59-14:00", None, "1"),
    ("soon", None, "1"),
    ("", None, "1"),
]


@pytest.mark.parametrize(("expiry", "sent", "status"), EXPIRIES)
def test_an_address_whose_time_is_over_is_missing(
    expiry: str, sent: str | None, status: str
) -> None:
    subscriber = line(
        vowifi_addr_status=1, vowifi_addr_expiry=expiry, vowifi_addr_identifier="AID-1"
    )
    decision = decide("ap2004", given(subscriber))
    found = seen(decision)
    assert found.get("AddrExpiry") == sent
    assert found["AddrStatus"] == status
    assert found["EntitlementStatus"] == status
    assert ("AddrIdentifier" in found) == (status == "1")
    if status == "0":
        assert decision.reason == (
            "VoWiFi 0: plan gold has vowifi, the emergency address has expired"
        )


@hypothesis_given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))
def test_any_time_is_compared_as_a_time(moment: datetime) -> None:
    text = moment.replace(microsecond=0).isoformat() + "+00:00"
    subscriber = line(vowifi_addr_status=1, vowifi_addr_expiry=text)
    found = seen(decide("ap2004", given(subscriber)))
    later = moment.replace(tzinfo=UTC, microsecond=0).timestamp() > NOW
    assert found["AddrStatus"] == ("1" if later else "0")


REASONS = [
    ({}, "VoWiFi 1: plan gold has vowifi"),
    ({"vowifi_tc_status": 0}, "VoWiFi 0: plan gold has vowifi, the terms are not accepted"),
    (
        {"vowifi_tc_status": 0, "vowifi_addr_status": 3},
        "VoWiFi 0: plan gold has vowifi, the terms are not accepted, "
        "the emergency address is being checked",
    ),
    ({"vowifi_addr_status": 0}, "VoWiFi 0: plan gold has vowifi, the emergency address is missing"),
    ({"vowifi_prov_status": 0}, "VoWiFi 0: plan gold has vowifi, it is not provisioned"),
    ({"vowifi_prov_status": 3}, "VoWiFi 3: plan gold has vowifi, it is being provisioned"),
    ({"overrides": (("vowifi", "blocked"),)}, "VoWiFi 2: vowifi is blocked for this line"),
    (
        {"overrides": (("vowifi", "provisioning"),)},
        "VoWiFi 3: vowifi is being set up for this line",
    ),
    ({"status": SubscriberStatus.SUSPENDED}, "VoWiFi 2: the line is suspended"),
]


@pytest.mark.parametrize(("changes", "reason"), REASONS)
def test_the_reason_says_what_is_missing(changes: dict[str, object], reason: str) -> None:
    assert decide("ap2004", given(line(**changes))).reason == reason


def test_a_plan_without_it_says_so() -> None:
    decision = decide("ap2004", given(of_plan=NOTHING))
    assert decision.reason == "VoWiFi 2: plan basic lacks vowifi"


def test_only_what_many_share_is_kept_rendered() -> None:
    shared = decide("ap2004", given()).application
    assert shared.shared
    for own in (
        {"vowifi_addr_identifier": "AID-1"},
        {"vowifi_addr_expiry": "2030-01-01T00:00:00Z"},
    ):
        assert not decide("ap2004", given(line(vowifi_addr_status=1, **own))).application.shared


def test_what_no_attribute_can_carry_is_made_plain() -> None:
    subscriber = line(vowifi_addr_status=1, vowifi_addr_identifier='a "<\n>&')
    own = {"vowifi-not-offered": {"en": 'No "Wi-Fi"'}}
    tenant = msgspec.structs.replace(TENANT, messages=own)
    found = seen(decide("ap2004", given(subscriber, tenant=tenant)))
    assert found["AddrIdentifier"] == "a \u201d\u2039 \u203a&"
    assert found["MessageForIncompatible"] == "No \u201dWi-Fi\u201d"
