"""What is counted while calls are made: in all, and in the current period.

Calls that were due in the warm-up are made, and not counted here but in `warm_up`. One period is
what a line of the statistics file and a point of the report's plots show.
"""

from dataclasses import dataclass, field
from typing import Final

from scripts.traffic.histogram import Histogram
from scripts.traffic.outcome import CallFailed, Reason

CALL: Final = "call"  # the timer of whole calls, from the moment they were due
MAX_EXAMPLES: Final = 5  # of each reason, for the report


@dataclass(slots=True)
class Tally:
    """Counts of one stretch of time."""

    created: int = 0
    passed: int = 0
    failed: dict[Reason, int] = field(default_factory=lambda: dict.fromkeys(Reason, 0))
    resynchronisations: int = 0
    timers: dict[str, Histogram] = field(default_factory=dict)

    @property
    def failures(self) -> int:
        """Of all reasons."""
        return sum(self.failed.values())

    def timer(self, name: str) -> Histogram:
        """The histogram of a timer, made when it is the first time."""
        found = self.timers.get(name)
        if found is None:
            found = self.timers[name] = Histogram()
        return found


@dataclass(frozen=True, slots=True)
class Period:
    """One finished period.

    Attributes:
        begin, end: seconds from the begin of the traffic.
        wanted_rate: calls a second that were due at its end.
        running: calls going on at its end.
    """

    begin: float
    end: float
    wanted_rate: float
    running: int
    tally: Tally

    @property
    def rate(self) -> float:
        """Calls created a second."""
        return self.tally.created / (self.end - self.begin) if self.end > self.begin else 0.0


class Statistics:
    """All counts of one run.

    Attributes:
        total: since the end of the warm-up.
        warm_up: calls that were due before.
        running: calls going on now; `most_running`: the largest number of them.
        late: the longest time that a call was made after it was due, seconds: above some tens of
            milliseconds the generator, not the node, is at its limit (or -l holds calls back).
        examples: a few details of each reason.
        periods: the finished ones.
    """

    def __init__(self, warm_up_seconds: float = 0.0) -> None:
        self.total = Tally()
        self.warm_up = Tally()
        self.running = 0
        self.most_running = 0
        self.late = 0.0
        self.examples: dict[Reason, list[str]] = {}
        self.periods: list[Period] = []
        self._period = Tally()
        self._period_begin = 0.0
        self._warm_up_seconds = warm_up_seconds

    def begin(self, due: float, now: float) -> "CallRecord":
        """A call is made now, `due` before; both in seconds from the begin of the traffic."""
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        warming = due < self._warm_up_seconds
        tallies = (self.warm_up,) if warming else (self.total, self._period)
        for tally in tallies:
            tally.created += 1
        if not warming:
            self.late = max(self.late, now - due)
        return CallRecord(self, due, warming)

    def tallies(self, warming: bool) -> tuple[Tally, ...]:
        """Where a call counts."""
        return (self.warm_up,) if warming else (self.total, self._period)

    def end_period(self, now: float, wanted_rate: float) -> Period:
        """Close the current period and begin the next."""
        period = Period(self._period_begin, now, wanted_rate, self.running, self._period)
        self.periods.append(period)
        self._period = Tally()
        self._period_begin = now
        return period

    def example(self, failure: CallFailed) -> None:
        """Keep the first few details of each reason."""
        examples = self.examples.setdefault(failure.reason, [])
        if len(examples) < MAX_EXAMPLES and failure.detail not in examples:
            examples.append(failure.detail)


class CallRecord:
    """What one call reports while it goes on.

    Attributes:
        due: when it should have begun, seconds from the begin of the traffic.
    """

    __slots__ = ("_statistics", "_warming", "due")

    def __init__(self, statistics: Statistics, due: float, warming: bool) -> None:
        self._statistics = statistics
        self._warming = warming
        self.due = due

    def timer(self, name: str, seconds: float) -> None:
        """A response timer ended."""
        for tally in self._statistics.tallies(self._warming):
            tally.timer(name).record(seconds)

    def resynchronised(self) -> None:
        """The card reported a synchronisation failure and got a new challenge."""
        for tally in self._statistics.tallies(self._warming):
            tally.resynchronisations += 1

    def passed(self, now: float) -> None:
        """The call ended as the scenario wants."""
        self._statistics.running -= 1
        for tally in self._statistics.tallies(self._warming):
            tally.passed += 1
            tally.timer(CALL).record(now - self.due)

    def failed(self, failure: CallFailed) -> None:
        """It did not."""
        self._statistics.running -= 1
        self._statistics.example(failure)
        for tally in self._statistics.tallies(self._warming):
            tally.failed[failure.reason] += 1
