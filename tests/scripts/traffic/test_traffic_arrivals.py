"""When calls are due: exact numbers for every shape of load."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.traffic.arrivals import Arrivals
from scripts.traffic.durations import seconds
from scripts.traffic.plan import Plan, parse_stages
from scripts.traffic.sections import Load, Stage


def all_due(arrivals: Arrivals, most: int = 100_000) -> list[float]:
    found = []
    while arrivals.due is not None and len(found) < most:
        found.append(arrivals.due)
        arrivals.taken()
    return found


def test_a_constant_rate_makes_evenly_spaced_calls_from_the_begin() -> None:
    found = all_due(Arrivals.staged(4, [], 0), most=5)
    assert found == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])


@pytest.mark.parametrize(
    ("stages", "ramp", "calls"),
    [
        ([(10, 25, False)], 0, 250),
        ([(10, 100, True)], 0, 500),
        ([(10, 100, False)], 10, 1_500),
        ([(10, 100, True), (5, 100, False), (10, 0, True)], 0, 1_500),
        ([(10, 100, False), (5, 0, False), (10, 3, False)], 0, 1_030),
        ([(5, 0, False)], 0, 0),
        ([(1, 0.5, False), (1, 0.5, False)], 0, 1),
    ],
)
def test_stages_and_ramps_make_the_exact_number(
    stages: list[tuple[float, float, bool]], ramp: float, calls: int
) -> None:
    found = all_due(Arrivals.staged(1, stages, ramp))
    assert len(found) == calls
    assert found == sorted(found)
    assert not found or found[-1] < ramp + sum(lasts for lasts, _, _ in stages)


def test_a_ramp_is_denser_at_its_end() -> None:
    found = all_due(Arrivals.staged(1, [(10, 100, True)], 0))
    # The integral of a line is a parabola: the n-th call is due at 10 * sqrt(n / 500).
    assert found == pytest.approx([10 * math.sqrt(n / 500) for n in range(500)])


def test_the_rate_of_a_moment_is_that_of_its_stage() -> None:
    arrivals = Arrivals.staged(1, [(10, 50, True), (10, 50, False), (10, 0, True)], 0)
    assert [arrivals.rate(at) for at in (0, 5, 15, 25, 31)] == [0, 25, 50, 25, 0]
    assert arrivals.lasts == 30


def test_a_change_counts_from_its_moment_on() -> None:
    arrivals = Arrivals.staged(10, [(10, 10, False)], 0)
    while arrivals.due is not None and arrivals.due < 4.92:
        arrivals.taken()
    arrivals.adjust(4.95, 10)  # half of the next call was due
    found = all_due(arrivals)
    assert found[0] == pytest.approx(4.975)
    assert len(found) == 101  # 5.025 s at 20
    assert arrivals.rate(7) == 20
    assert arrivals.rate(3) == 10


def test_a_change_while_nothing_is_due_for_long_takes_effect_at_once() -> None:
    arrivals = Arrivals.staged(1, [(2, 1, False), (100, 0, False), (1, 1, False)], 0)
    assert [arrivals.due, arrivals.taken(), arrivals.due] == [0, None, 1]
    arrivals.taken()
    assert arrivals.due == 102
    arrivals.adjust(50.0, 2)
    assert arrivals.due == pytest.approx(50.0)


def test_no_rate_falls_below_zero() -> None:
    arrivals = Arrivals.staged(10, [], 0)
    arrivals.taken()
    arrivals.adjust(0.05, -50)
    assert arrivals.due == math.inf
    assert arrivals.rate(1) == 0
    arrivals.adjust(100.0, 5)
    assert arrivals.due == pytest.approx(100.1)  # half of a call was due when it fell to 0


@given(
    st.lists(
        st.tuples(
            st.integers(1, 8), st.integers(0, 40), st.booleans(),
        ),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 3),
)  # fmt: skip
def test_the_number_of_calls_is_the_integral_of_the_rate(
    stages: list[tuple[int, int, bool]], ramp: int
) -> None:
    arrivals = Arrivals.staged(1, stages, ramp)
    rates = [0.0 if ramp else float(stages[0][1])]
    area = ramp * stages[0][1] / 2
    before = float(stages[0][1]) if ramp else 0.0
    for lasts, rate, ramped in stages:
        area += lasts * ((before + rate) / 2 if ramped else rate)
        before = float(rate)
        rates.append(before)
    found = all_due(arrivals)
    # The first call is due when nothing of the integral is missing: one more than its floor.
    assert len(found) == math.ceil(area - 1e-6)
    assert all(a <= b for a, b in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("text", "value"), [("500ms", 0.5), ("10s", 10), ("1.5m", 90), ("2h", 7_200), ("3", 3)]
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 day", "1e3", "1 s s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="a duration is expected"):
        seconds(text)


def test_stages_of_the_command_line() -> None:
    assert parse_stages("10s@50, 500ms>100") == ((10, 50, False), (0.5, 100, True))
    for wrong in ("10s", "10s@", "x@5", "10s@-1", "10s@nan", ""):
        with pytest.raises(ValueError):  # noqa: PT011 (several texts, none of them ours alone)
            parse_stages(wrong)


LOAD = Load(call_rate=7, number_calls=9, ramp="2s", stages=(Stage(lasts="10s", rate=5),))


def test_the_scenario_says_the_load() -> None:
    plan = Plan.of(LOAD)
    assert (plan.rate, plan.number, plan.ramp_seconds) == (7, 9, 2)
    assert plan.stages == ((10, 5, False),)
    assert plan.ends


def test_the_command_line_replaces_it() -> None:
    plan = Plan.of(LOAD, rate=100, number=0, simultaneous=3, ramp_seconds=0, warm_up_seconds=1)
    assert (plan.rate, plan.number, plan.simultaneous) == (100, 0, 3)
    assert plan.stages == ()
    assert not plan.ends
    assert all_due(plan.arrivals(), most=3) == pytest.approx([0, 0.01, 0.02])
