"""Histograms, counts, thresholds and exit codes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.traffic.histogram import Histogram
from scripts.traffic.outcome import CallFailed, Reason
from scripts.traffic.sections import Limits, Threshold
from scripts.traffic.statistics import MAX_EXAMPLES, Statistics
from scripts.traffic.thresholds import ExitCode, exit_code, judge

TIMEOUT = CallFailed(Reason.TIMEOUT, "too slow")


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300), st.floats(0.1, 100))
def test_a_percentile_is_exact_to_one_percent(values: list[float], percent: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    ordered = sorted(values)
    exact = next(
        value for at, value in enumerate(ordered, 1) if at >= len(values) * percent / 100 - 1e-9
    )
    found = histogram.percentile(percent)
    assert exact <= found + 1e-9 or found == pytest.approx(exact)
    assert found <= exact * 1.01 + 2e-6
    assert histogram.percentile(100) == max(values)


def test_an_empty_histogram_says_zero() -> None:
    histogram = Histogram()
    assert (histogram.percentile(99), histogram.mean, histogram.largest) == (0, 0, 0)


def test_histograms_add_up() -> None:
    one, two, both = Histogram(), Histogram(), Histogram()
    randomness = random.Random(1)  # noqa: S311 (the same values every time)
    for at in range(1_000):
        value = randomness.expovariate(10)
        (one if at % 3 else two).record(value)
        both.record(value)
    one.add(two)
    assert list(one.buckets()) == list(both.buckets())
    assert (one.count, one.largest) == (both.count, both.largest)
    assert one.mean == pytest.approx(both.mean)
    assert sum(count for _, count in one.buckets()) == 1_000


def test_calls_of_the_warm_up_do_not_count() -> None:
    statistics = Statistics(warm_up_seconds=10)
    statistics.begin(due=9.9, now=9.9).passed(11.0)
    statistics.begin(due=10.0, now=10.0).passed(10.5)
    assert statistics.warm_up.created == 1
    assert (statistics.total.created, statistics.total.passed) == (1, 1)
    assert statistics.total.timers["call"].count == 1
    assert statistics.total.timers["call"].largest == pytest.approx(0.5)


def test_latency_counts_from_when_a_call_was_due() -> None:
    statistics = Statistics()
    record = statistics.begin(due=1.0, now=4.0)
    record.passed(now=5.0)
    assert statistics.total.timers["call"].largest == pytest.approx(4.0)
    assert statistics.late == pytest.approx(3.0)


def test_a_period_holds_what_ended_in_it_and_the_total_all() -> None:
    statistics = Statistics()
    first, second = statistics.begin(0, 0), statistics.begin(0, 0)
    first.passed(0.5)
    one = statistics.end_period(1.0, wanted_rate=2)
    second.failed(TIMEOUT)
    two = statistics.end_period(2.0, wanted_rate=0)
    assert (one.tally.created, one.tally.passed, one.tally.failures, one.running) == (2, 1, 0, 1)
    assert (two.tally.created, two.tally.passed, two.tally.failures, two.running) == (0, 0, 1, 0)
    assert one.rate == 2
    assert statistics.total.failed[Reason.TIMEOUT] == 1
    assert statistics.most_running == 2


def test_few_examples_are_kept_and_none_twice() -> None:
    statistics = Statistics()
    for at in [0, 0, *range(20)]:
        statistics.begin(0, 0).failed(CallFailed(Reason.CHECK, f"number {at}"))
    assert len(statistics.examples[Reason.CHECK]) == MAX_EXAMPLES
    assert len(set(statistics.examples[Reason.CHECK])) == MAX_EXAMPLES


def counted(passed: int, failed: int, seconds: float = 0.1) -> Statistics:
    statistics = Statistics()
    for _ in range(passed):
        record = statistics.begin(0, 0)
        record.timer("challenge", seconds / 2)
        record.passed(seconds)
    for _ in range(failed):
        statistics.begin(0, 0).failed(TIMEOUT)
    return statistics


@pytest.mark.parametrize(
    ("passed", "failed", "threshold", "stopped", "code"),
    [
        (10, 0, Threshold(), False, ExitCode.PASSED),
        (10, 1, Threshold(), False, ExitCode.SOME_FAILED),
        (0, 0, Threshold(), False, ExitCode.NO_CALLS),
        (0, 0, Threshold(), True, ExitCode.STOPPED),
        (10, 0, Threshold(), True, ExitCode.STOPPED),
        (10, 1, Threshold(), True, ExitCode.SOME_FAILED),
        (99, 1, Threshold(failed_ratio=0.01), False, ExitCode.PASSED),
        (98, 2, Threshold(failed_ratio=0.01), False, ExitCode.SOME_FAILED),
        (10, 0, Threshold(p95_ms=200), False, ExitCode.PASSED),
        (10, 0, Threshold(p95_ms=99), False, ExitCode.SOME_FAILED),
        (10, 0, Threshold(max_ms=99), False, ExitCode.SOME_FAILED),
        (10, 0, Threshold(timers={"challenge": Limits(p50_ms=40)}), False, ExitCode.SOME_FAILED),
        (10, 0, Threshold(timers={"challenge": Limits(p50_ms=60)}), False, ExitCode.PASSED),
        (10, 0, Threshold(timers={"nothing": Limits(p50_ms=60)}), False, ExitCode.SOME_FAILED),
    ],
)
def test_the_exit_code(
    passed: int, failed: int, threshold: Threshold, stopped: bool, code: ExitCode
) -> None:
    statistics = counted(passed, failed)
    assert exit_code(statistics, judge(threshold, statistics), stopped) is code


def test_the_exit_codes_are_those_of_sipp() -> None:
    assert [int(code) for code in ExitCode] == [0, 1, 97, 99, 255]


def test_a_verdict_names_timer_and_limit() -> None:
    statistics = counted(10, 0)
    threshold = Threshold(p95_ms=200, timers={"challenge": Limits(max_ms=1)})
    call, challenge = judge(threshold, statistics)
    assert (call.name, call.limit, call.passed) == ("call p95-ms", 200, True)
    assert call.measured == pytest.approx(100, rel=0.01)
    assert (challenge.name, challenge.passed) == ("challenge max-ms", False)
