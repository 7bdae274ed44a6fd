"""The statistics file: one line a period, `;` between columns, in SIPp's manner.

(P) columns are of the period, (C) columns are cumulative since the end of the warm-up.
"""

import datetime
from collections.abc import Sequence
from typing import Final, TextIO

from scripts.traffic.outcome import Reason
from scripts.traffic.statistics import CALL, Period, Statistics

HEAD: Final = (
    "StartTime",
    "CurrentTime",
    "ElapsedTime(C)",
    "TargetRate",
    "CallRate(P)",
    "CallRate(C)",
    "TotalCallCreated",
    "CurrentCall",
    "SuccessfulCall(P)",
    "SuccessfulCall(C)",
    "FailedCall(P)",
    "FailedCall(C)",
    *(f"Failed[{reason.value}]({kind})" for reason in Reason for kind in "PC"),
    "Resynchronisations(C)",
)
TIMER_COLUMNS: Final = ("count(P)", "p50ms(P)", "p95ms(P)", "p99ms(P)", "maxms(P)")


class StatFile:
    """Writes the lines of one run."""

    def __init__(self, file: TextIO, timers: Sequence[str], began_at: datetime.datetime) -> None:
        """Write the head.

        Args:
            timers: names of the scenario's timers; that of whole calls is added.
        """
        self._file = file
        self._timers = (CALL, *(name for name in timers if name != CALL))
        self._began_at = began_at
        columns = [f"{name}.{column}" for name in self._timers for column in TIMER_COLUMNS]
        self._write([*HEAD, *columns])

    def period(self, period: Period, statistics: Statistics) -> None:
        """Write the line of a finished period."""
        total, tally = statistics.total, period.tally
        now = self._began_at + datetime.timedelta(seconds=period.end)
        reasons = [
            str(count)
            for reason in Reason
            for count in (tally.failed[reason], total.failed[reason])
        ]
        row = [
            self._began_at.isoformat(timespec="milliseconds"),
            now.isoformat(timespec="milliseconds"),
            f"{period.end:.3f}",
            f"{period.wanted_rate:.3f}",
            f"{period.rate:.3f}",
            f"{total.created / period.end if period.end else 0:.3f}",
            str(total.created),
            str(period.running),
            str(tally.passed),
            str(total.passed),
            str(tally.failures),
            str(total.failures),
            *reasons,
            str(total.resynchronisations),
        ]
        for name in self._timers:
            row += self._timer(period, name)
        self._write(row)
        self._file.flush()

    @staticmethod
    def _timer(period: Period, name: str) -> list[str]:
        histogram = period.tally.timers.get(name)
        if histogram is None:
            return ["0", "", "", "", ""]
        values = [histogram.percentile(percent) for percent in (50, 95, 99)]
        values.append(histogram.largest)
        return [str(histogram.count), *(f"{value * 1_000:.3f}" for value in values)]

    def _write(self, row: list[str]) -> None:
        self._file.write(";".join(row) + "\n")
