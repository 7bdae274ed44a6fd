"""Diameter results to HTTP: table 7 of TS.43, row by row, and our policy around it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ts43.result_codes import OUTCOMES, Outcome, outcome

EXPERIMENTAL = 10415

# Table 7, as printed.
FORBIDDEN = [(0, 4001), (0, 5001), (0, 5003), (EXPERIMENTAL, 5001), (EXPERIMENTAL, 5003)]
ALTERNATIVE = [(0, code) for code in (*range(3001, 3011), 5002, *range(5004, 5018))]


@pytest.mark.parametrize(("vendor", "code"), FORBIDDEN)
def test_what_the_aaa_refuses_is_403_whatever_else_there_is(vendor: int, code: int) -> None:
    """EAP-16, EAP-17."""
    found = outcome(vendor, code)
    assert (found.status, found.alternative_helps, found.success) == (403, False, False)


@pytest.mark.parametrize(("vendor", "code"), ALTERNATIVE)
def test_trouble_of_the_aaa_is_511_or_503(vendor: int, code: int) -> None:
    """EAP-18a, EAP-18b."""
    found = outcome(vendor, code)
    assert (found.status, found.alternative_helps, found.success) == (503, True, False)


def test_success_and_challenge_are_200() -> None:
    assert outcome(0, 2001).success
    assert outcome(0, 2002).success
    assert not outcome(0, 1001).success
    for code in (1001, 2001, 2002):
        assert outcome(0, code).status == 200


@pytest.mark.parametrize("code", [4181, 5453, 5454])
def test_passing_states_are_503_even_with_another_authentication(code: int) -> None:
    found = outcome(EXPERIMENTAL, code)
    assert (found.status, found.alternative_helps, found.alarm) == (503, False, False)


@pytest.mark.parametrize("code", [5004, 5420, 5421, 5422, 5450, 5451, 5452, 5554])
def test_refusals_of_one_subscriber_are_403(code: int) -> None:
    found = outcome(EXPERIMENTAL, code)
    assert (found.status, found.alternative_helps) == (403, False)


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
        assert found.status == 503
        assert not found.success


def test_an_experimental_result_is_not_taken_for_a_result_code() -> None:
    assert outcome(EXPERIMENTAL, 2001).success is False
    assert outcome(EXPERIMENTAL, 1001).status == 503
    assert outcome(0, 5420).status == 503


def test_names_are_unique() -> None:
    names = [row.name for row in OUTCOMES.values()]
    assert len(set(names)) == len(names)
