"""What an HTTP answer means: ES2-17 to ES2-29, FAIL-05, FAIL-09, FAIL-10; and limits, drivers."""

import json
from typing import Any

import pytest
import trio
import trio.testing

from actors.backends.smdp_plus import (
    Call,
    Capabilities,
    Cause,
    Contradicted,
    Contradiction,
    Executed,
    NotExecuted,
    Outcome,
    OutcomeUnknown,
    ProfileEvent,
    ProfileState,
    Refused,
)
from actors.backends.smdp_plus_answers import HttpAnswer, interpret, retry_after_seconds
from actors.backends.smdp_plus_drivers import DRIVERS, driver_of
from actors.backends.smdp_plus_limits import CallLimits, is_maintenance
from actors.backends.smdp_plus_states import profile_state
from config.model import SmdpPlus
from config.rules import PROFILE_EVENTS, SMDP_PLUS_DRIVERS
from protocols.es2plus.bodies import encode_request
from protocols.es2plus.identifiers import MatchingId
from protocols.es2plus.requests import (
    CancelOrder,
    ConfirmOrder,
    Done,
    DownloadOrder,
    DownloadOrdered,
    FinalProfileStatus,
    OrderConfirmed,
    ReleaseProfile,
    Request,
)
from protocols.es2plus.status_codes import StatusClass, StatusCode
from protocols.identity import Eid, Iccid

NOW = 1_709_712_041.0
ICCID = Iccid("8949000000000000018")
EID = Eid("89049032123451234512345678901235")
OTHER_EID = Eid("89049032000000000000000000000066")


def call(request: Request) -> Call:
    return Call(request.function, "c", encode_request(request, "r", "c"), request)


def outcome(request: Request, status: object = "Executed-Success", **fields: object) -> Outcome:
    execution = status if isinstance(status, dict) else {"status": status}
    body = json.dumps({"header": {"functionExecutionStatus": execution}, **fields})
    found, again = interpret(call(request), HttpAnswer(200, {}, body.encode()), NOW)
    assert not again  # never after an answer of the function
    return found


def transport(status: int, **headers: str) -> tuple[Outcome, bool]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = HttpAnswer(status, named, b"<html></html>")
    return interpret(call(ReleaseProfile(ICCID)), answer, NOW)


def test_a_named_iccid_comes_back_with_or_without_f() -> None:
    """ES2-21"""
    for text in (ICCID, ICCID.padded, int(ICCID)):
        assert outcome(DownloadOrder(ICCID), iccid=text) == Executed(DownloadOrdered(ICCID))
    assert outcome(DownloadOrder(ICCID)) == Executed(DownloadOrdered(ICCID))


def test_another_iccid_than_the_named_one_contradicts() -> None:
    """ES2-22, FAIL-16"""
    other = Iccid("8949000000000000000")
    assert outcome(DownloadOrder(ICCID), iccid=other) == Contradicted(
        Contradiction.OTHER_ICCID, other
    )


def test_by_profile_type_the_iccid_of_the_answer_counts_and_none_is_a_doubt() -> None:
    assert outcome(DownloadOrder(profile_type="T"), iccid=ICCID) == Executed(DownloadOrdered(ICCID))
    found = outcome(DownloadOrder(profile_type="T"))
    assert isinstance(found, OutcomeUnknown)
    assert found.cause is Cause.MALFORMED_ANSWER


CONFIRM = ConfirmOrder(ICCID, False, EID, MatchingId("A-1"))


def test_another_matching_id_or_eid_contradicts() -> None:
    """ES2-23"""
    assert outcome(CONFIRM, matchingId="B-2") == Contradicted(Contradiction.OTHER_MATCHING_ID)
    assert outcome(CONFIRM, matchingId="A-1", eid=OTHER_EID) == Contradicted(
        Contradiction.OTHER_EID
    )
    default = ConfirmOrder(ICCID, True, EID, MatchingId(""))
    assert outcome(default, matchingId="B-2") == Contradicted(Contradiction.OTHER_MATCHING_ID)
    assert outcome(default, matchingId="") == Executed(OrderConfirmed(MatchingId(""), EID))


def test_the_address_of_the_answer_is_told_when_there_is_one() -> None:
    """ES2-24, ES2-25"""
    assert outcome(CONFIRM, matchingId="A-1", smdpAddress="dp2.example") == Executed(
        OrderConfirmed(MatchingId("A-1"), EID, "dp2.example")
    )
    assert outcome(CONFIRM, matchingId="A-1") == Executed(OrderConfirmed(MatchingId("A-1"), EID))
    assert outcome(CONFIRM, matchingId="A-1", smdpAddress="https://x/") == Contradicted(
        Contradiction.UNUSABLE_ADDRESS
    )


def test_a_matching_id_must_come_from_somebody() -> None:
    """ES2-26"""
    assert outcome(CONFIRM) == Executed(OrderConfirmed(MatchingId("A-1"), EID))
    bare = ConfirmOrder(ICCID, False)
    assert outcome(bare) == Contradicted(Contradiction.NO_MATCHING_ID)
    assert outcome(bare, matchingId="X") == Executed(OrderConfirmed(MatchingId("X")))


def test_a_failure_is_a_refusal_with_its_class() -> None:
    """ES2-17"""
    data = {"subjectCode": "8.2.5", "reasonCode": "3.7", "message": f"none for {EID}\n"}
    found = outcome(DownloadOrder(ICCID), {"status": "Failed", "statusCodeData": data})
    assert found == Refused(
        StatusCode("8.2.5", "3.7"), StatusClass.POOL_EMPTY, "none for 89049…35 "
    )


def test_expired_is_a_failure_and_a_missing_code_is_survived() -> None:
    """ES2-19, ES2-20"""
    for status in ("Expired", "Failed"):
        found = outcome(ReleaseProfile(ICCID), status)
        assert found == Refused(None, StatusClass.FATAL_CONFIGURATION)


def test_a_warning_is_success_and_is_told() -> None:
    """ES2-18"""
    data = {"subjectCode": "8.9", "reasonCode": "4.2"}
    found = outcome(
        CancelOrder(ICCID, FinalProfileStatus.AVAILABLE),
        {"status": "Executed-WithWarning", "statusCodeData": data},
    )
    assert found == Executed(Done(), True, StatusCode("8.9", "4.2"))


@pytest.mark.parametrize("status", [429, 503])
def test_a_request_that_was_not_handled_was_not_executed(status: int) -> None:
    """FAIL-09"""
    found, again = transport(status, retry_after="7")
    assert again
    assert found == NotExecuted(Cause.OVERLOADED, 7.0, f"HTTP {status}")


@pytest.mark.parametrize(
    ("status", "again"),
    [(500, False), (501, False), (502, True), (504, True), (408, True), (599, False)],
)
def test_a_server_error_leaves_a_doubt(status: int, again: bool) -> None:
    """ES2-27"""
    found = transport(status)
    assert found == (OutcomeUnknown(Cause.SERVER_ERROR, 0.0, f"HTTP {status}"), again)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 413])
def test_other_statuses_are_never_repeated(status: int) -> None:
    """FAIL-10"""
    found, again = transport(status)
    assert not again
    assert found == Refused(
        None, StatusClass.FATAL_CONFIGURATION, f"HTTP {status}", http_status=status
    )


@pytest.mark.parametrize("status", [200, 201, 204])
def test_an_answer_that_is_none_leaves_a_doubt(status: int) -> None:
    """FAIL-05"""
    found, again = transport(status)
    assert isinstance(found, OutcomeUnknown)
    assert (found.cause, again) == (Cause.MALFORMED_ANSWER, False)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0.0),
        ("", 0.0),
        ("120", 120.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("99999999999", 86_400.0),
        ("Wed, 06 Mar 2024 08:01:41 GMT", 60.0),
        ("Wed, 06 Mar 2024 07:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float) -> None:
    """FAIL-09, FAIL-11"""
    assert retry_after_seconds(value, NOW) == seconds


def peer(**others: object) -> SmdpPlus:
    named: dict[str, Any] = {"name": "d", "url": "https://x", "requester": "r"}
    return SmdpPlus(**(named | {"ca": "", "certificate": "", "key": ""} | others))


def test_the_configuration_knows_every_driver_and_event() -> None:
    assert tuple(DRIVERS) == SMDP_PLUS_DRIVERS
    assert tuple(event.value for event in ProfileEvent) == PROFILE_EVENTS


@pytest.mark.parametrize(
    ("driver", "point", "event"),
    [
        ("standard", "1", ProfileEvent.ELIGIBILITY),
        ("standard", "2", ProfileEvent.CONFIRMATION_FAILURE),
        ("standard", "3", ProfileEvent.DOWNLOADED),
        ("standard", "4", ProfileEvent.INSTALLED),
        ("standard", "5", ProfileEvent.UNKNOWN),
        ("standard", "101", ProfileEvent.UNKNOWN),
        ("idemia", "5", ProfileEvent.DELETED),
        ("monogoto", "5", ProfileEvent.INSTALLED),
        ("monogoto", "8", ProfileEvent.DELETED),
        ("china-mobile-international", "101", ProfileEvent.INSTALLED),
        ("china-mobile-international", "102", ProfileEvent.DISABLED),
    ],
)
def test_a_point_means_what_the_vendor_means(driver: str, point: str, event: ProfileEvent) -> None:
    """ES2-42"""
    assert driver_of(peer(driver=driver)).event(point) is event


def test_the_configuration_overrides_the_driver() -> None:
    own = driver_of(
        peer(
            driver="idemia",
            notification_points={"5": "disabled", "120": "enabled"},
            version="3.1.0",
            path_prefix="/x",
            iccid_form="padded",
            notification_prefix="/n",
        )
    )
    assert own.event("5") is ProfileEvent.DISABLED
    assert own.event("120") is ProfileEvent.ENABLED
    assert own.event("4") is ProfileEvent.INSTALLED
    assert (own.version, own.path_prefix, own.padded) == ("3.1.0", "/x", True)
    assert own.notification_prefix == "/n"
    assert own.capabilities == Capabilities(status_query=True)
    assert not driver_of(peer(iccid_form="plain")).padded


def test_vendors_words_for_states() -> None:
    assert profile_state("RELEASED") is ProfileState.RELEASED
    assert profile_state(" Install ") is ProfileState.INSTALLED
    assert profile_state("???") is ProfileState.UNKNOWN


@pytest.mark.parametrize(
    ("windows", "expected"),
    [  # NOW is Wednesday 08:00:41 UTC
        (["08:00-09:00"], True),
        (["07:00-08:00"], False),
        (["wed 08:00-08:01"], True),
        (["thu 08:00-09:00"], False),
        (["22:00-08:01"], True),
        (["tue 22:00-08:01"], True),
        (["wed 22:00-08:01"], False),
        (["wed 08:00-02:00"], True),
        (["thu 08:00-02:00"], False),
        ([], False),
        (["01:00-02:00", "08:00-09:00"], True),
    ],
)
def test_maintenance_windows(windows: list[str], expected: bool) -> None:
    assert is_maintenance(windows, NOW) is expected


async def test_calls_wait_for_a_place_and_no_longer_than_they_may(
    autojump_clock: trio.testing.MockClock,
) -> None:
    limits = CallLimits(1, 0.0)
    assert await limits.enter(trio.current_time() + 1)
    began = trio.current_time()
    assert not await limits.enter(began + 1)
    assert trio.current_time() == pytest.approx(began + 1)
    limits.leave()
    assert await limits.enter(trio.current_time() + 1)


async def test_calls_keep_the_rate(autojump_clock: trio.testing.MockClock) -> None:
    limits = CallLimits(8, 2.0)
    began = trio.current_time()
    for _ in range(4):
        assert await limits.enter(began + 100)
    assert trio.current_time() == pytest.approx(began + 1.5)
    assert not await limits.enter(began + 1.6)
    with trio.move_on_after(0.1) as scope:
        await limits.enter(began + 100)
    assert scope.cancelled_caught
    for _ in range(4):
        limits.leave()
    for _ in range(8):  # nobody kept a place that it does not have
        assert await limits.enter(began + 100)
