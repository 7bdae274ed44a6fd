"""Diameter results to HTTP: table 7 of TS.43, row by row, and our policy around it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ts43.result_codes import (
    EAP_FAILURE,
    NO_CONNECTION,
    OUTCOMES,
    Outcome,
    Retry,
    http_status,
    outcome,
)

EXPERIMENTAL = 10415

# Table 7, as printed.
FORBIDDEN = [(0, 4001), (0, 5001), (0, 5003), (EXPERIMENTAL, 5001), (EXPERIMENTAL, 5003)]
ALTERNATIVE = [(0, code) for code in (*range(3001, 3011), 5002, *range(5004, 5018))]


@pytest.mark.parametrize(("vendor", "code"), FORBIDDEN)
def test_what_the_aaa_refuses_is_403_whatever_else_there_is(vendor: int, code: int) -> None:
    """EAP-16, EAP-17."""
    for alternative in (False, True):
        for had_token in (False, True):
            assert http_status(outcome(vendor, code), alternative, had_token) == 403


@pytest.mark.parametrize(("vendor", "code"), ALTERNATIVE)
def test_trouble_of_the_aaa_is_511_or_503(vendor: int, code: int) -> None:
    """EAP-18a, EAP-18b."""
    found = outcome(vendor, code)
    assert http_status(found, alternative=True, had_token=False) == 511
    assert http_status(found, alternative=True, had_token=True) == 503
    assert http_status(found, alternative=False, had_token=False) == 503
    assert not found.success


def test_no_connection_is_trouble_of_the_aaa() -> None:
    """EAP-18a, EAP-18b."""
    assert http_status(NO_CONNECTION, alternative=True, had_token=False) == 511
    assert http_status(NO_CONNECTION, alternative=False, had_token=False) == 503


def test_success_and_challenge_are_200() -> None:
    assert outcome(0, 1001).multi_round
    assert outcome(0, 2001).success
    assert outcome(0, 2002).success
    for code in (1001, 2001, 2002):
        assert http_status(outcome(0, code), alternative=True, had_token=False) == 200


@pytest.mark.parametrize("code", [4181, 5453, 5454])
def test_passing_states_are_503_even_with_another_authentication(code: int) -> None:
    found = outcome(EXPERIMENTAL, code)
    assert http_status(found, alternative=True, had_token=False) == 503
    assert found.retry is not Retry.NEVER
    assert not found.alarm


@pytest.mark.parametrize("code", [5004, 5420, 5421, 5422, 5450, 5451, 5452, 5554])
def test_refusals_of_one_subscriber_are_403(code: int) -> None:
    assert http_status(outcome(EXPERIMENTAL, code), alternative=True, had_token=False) == 403


@pytest.mark.parametrize(
    ("key", "retry"),
    [
        ((0, 3002), Retry.OTHER_PEER),
        ((0, 3004), Retry.OTHER_PEER),
        ((0, 3006), Retry.REDIRECT),
        ((0, 5002), Retry.NEW_SESSION),
        ((EXPERIMENTAL, 4181), Retry.OTHER_PEER_FIRST_ROUND),
        ((0, 5012), Retry.NEVER),
        ((0, 4001), Retry.NEVER),
        ((0, 3007), Retry.NEVER),
    ],
)
def test_what_the_node_may_try_first(key: tuple[int, int], retry: Retry) -> None:
    assert outcome(*key).retry is retry


def test_configuration_mistakes_raise_an_alarm_and_refusals_do_not() -> None:
    alarms = {code for (vendor, code), row in OUTCOMES.items() if not vendor and row.alarm}
    assert {3001, 3003, 3005, 3007, 3008, 3009, 3010, 5001, 5004, 5005, 5017} <= alarms
    assert not alarms & {1001, 2001, 3002, 3004, 3006, 4001, 5002, 5003, 5012}
    assert outcome(EXPERIMENTAL, 5554).alarm


@given(st.integers(0, 20_000), st.integers(0, 2**32 - 1))
def test_a_result_that_nobody_knows_never_sticks_to_the_phone(vendor: int, code: int) -> None:
    """Samsung remembers 400, 403, 500 until reboot: only a known refusal may give 403."""
    found = outcome(vendor, code)
    assert isinstance(found, Outcome)
    if (vendor, code) not in OUTCOMES:
        assert http_status(found, alternative=False, had_token=False) == 503
        assert not found.success
        assert not found.multi_round


def test_an_experimental_result_is_not_taken_for_a_result_code() -> None:
    assert outcome(EXPERIMENTAL, 2001).success is False
    assert outcome(EXPERIMENTAL, 1001).multi_round is False
    assert outcome(0, 5420).status == 503
    assert EAP_FAILURE.status == 403


def test_names_are_unique() -> None:
    names = [row.name for row in OUTCOMES.values()]
    assert len(set(names)) == len(names)
