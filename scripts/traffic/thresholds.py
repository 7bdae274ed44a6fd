"""Thresholds: what decides whether a run has passed, and the exit code that says so."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from scripts.traffic.histogram import Histogram
from scripts.traffic.sections import Limits, Threshold
from scripts.traffic.statistics import CALL, Statistics

_PERCENTILES: Final = (("p50_ms", 50.0), ("p90_ms", 90.0), ("p95_ms", 95.0), ("p99_ms", 99.0))


class ExitCode(IntEnum):
    """As SIPp has them."""

    PASSED = 0
    SOME_FAILED = 1
    STOPPED = 97  # by command, before the calls were all made
    NO_CALLS = 99
    FATAL = 255  # -1


@dataclass(frozen=True, slots=True)
class Verdict:
    """One threshold and what was measured."""

    name: str
    limit: float
    measured: float | None  # None: nothing was measured

    @property
    def passed(self) -> bool:
        """At the limit is passed; what was not measured is not."""
        return self.measured is not None and self.measured <= self.limit


def judge(threshold: Threshold, statistics: Statistics) -> tuple[Verdict, ...]:
    """All thresholds of a scenario."""
    total = statistics.total
    verdicts = []
    if threshold.failed_ratio is not None:
        ended = total.passed + total.failures
        ratio = total.failures / ended if ended else 0.0
        verdicts.append(Verdict("failed-ratio", threshold.failed_ratio, ratio))
    verdicts += _timer(CALL, threshold, total.timers.get(CALL))
    for name, limits in threshold.timers.items():
        verdicts += _timer(name, limits, total.timers.get(name))
    return tuple(verdicts)


def _timer(name: str, limits: Limits, histogram: Histogram | None) -> list[Verdict]:
    verdicts = []
    for key, percent in (*_PERCENTILES, ("max_ms", 100.0)):
        limit: float | None = getattr(limits, key)
        if limit is not None:
            measured = histogram.percentile(percent) * 1_000 if histogram else None
            verdicts.append(Verdict(f"{name} {key.replace('_', '-')}", limit, measured))
    return verdicts


def exit_code(statistics: Statistics, verdicts: tuple[Verdict, ...], stopped: bool) -> ExitCode:
    """What the process ends with.

    With a failed-ratio threshold that ratio decides over failed calls; without one, a single
    failed call is enough, as in SIPp.
    """
    total = statistics.total
    if not total.passed and not total.failures:
        return ExitCode.STOPPED if stopped else ExitCode.NO_CALLS
    ratio_decides = any(verdict.name == "failed-ratio" for verdict in verdicts)
    if (total.failures and not ratio_decides) or not all(one.passed for one in verdicts):
        return ExitCode.SOME_FAILED
    return ExitCode.STOPPED if stopped else ExitCode.PASSED
