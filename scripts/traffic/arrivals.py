"""When calls are due: an open loop, which never waits for the system under test.

The load is a list of segments with a rate at their begin and end; the n-th call is due when the
integral of the rate reaches n. So a test of 10 s at 25 calls a second makes exactly 250.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

ROUNDING: Final = 1e-9  # of a call: the sum of many steps must not make one too many


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of load with a straight line from one rate to another.

    Attributes:
        lasts: seconds; infinite only with a constant rate.
        begin, end: calls a second.
    """

    lasts: float
    begin: float
    end: float

    def rate(self, at: float) -> float:
        """Calls a second, `at` seconds after its begin."""
        if self.begin == self.end:
            return self.begin
        return self.begin + (self.end - self.begin) * at / self.lasts

    def calls(self, start: float, stop: float) -> float:
        """The integral of the rate between two moments of it."""
        both = self.rate(start) + self.rate(stop)
        return both / 2 * (stop - start) if both else 0.0  # no rate for ever is no call

    def reached(self, start: float, calls: float) -> float:
        """When, after `start`, `calls` more are due; infinite when the line never gets there."""
        first = self.rate(start)
        slope = 0.0 if self.begin == self.end else (self.end - self.begin) / self.lasts
        if calls <= 0:
            return start if first > 0 or slope > 0 else math.inf
        # calls = first*x + slope*x*x/2, its smaller root, in the form that does not cancel.
        root = first * first + 2 * slope * calls
        below = first + math.sqrt(root) if root >= 0 else 0.0
        return start + 2 * calls / below if below > 0 else math.inf


class Arrivals:
    """The moments at which calls are due, seconds from the begin of the traffic.

    Attributes:
        due: of the next call; infinite while the rate is 0 for ever; None when no more will come.
    """

    __slots__ = ("_at", "_index", "_missing", "_segments", "_start", "due")

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = list(segments)
        self._index = 0
        self._start = 0.0  # of the segment with that index
        self._at = 0.0  # up to here the integral has been taken
        self._missing = 0.0  # of a call until the next is due: the first comes at once
        self.due: float | None = self._next()

    @classmethod
    def staged(
        cls, rate: float, stages: Sequence[tuple[float, float, bool]], ramp_seconds: float
    ) -> Self:
        """The load of a scenario.

        Args:
            rate: calls a second, for ever, when there are no stages.
            stages: (seconds, calls a second, by a ramp from the one before).
            ramp_seconds: from nothing to the first rate, before everything.
        """
        first = stages[0][1] if stages else rate
        segments = [Segment(ramp_seconds, 0.0, first)] if ramp_seconds else []
        before = first if ramp_seconds else 0.0
        for lasts, target, ramped in stages:
            segments.append(Segment(lasts, before if ramped else target, target))
            before = target
        return cls(segments if stages else [*segments, Segment(math.inf, rate, rate)])

    def taken(self) -> None:
        """The call that was due has been made."""
        if self.due is not None:
            self._advance(self.due)
            self._missing = 1.0
            self.due = self._next()

    def rate(self, now: float) -> float:
        """The rate that is wanted at `now`; 0 after the end."""
        begin = 0.0
        for segment in self._segments:
            if now < begin + segment.lasts:
                return segment.rate(max(0.0, now - begin))
            begin += segment.lasts
        return 0.0

    @property
    def lasts(self) -> float:
        """Seconds until the last stage ends; infinite without stages."""
        return sum(segment.lasts for segment in self._segments)

    def adjust(self, now: float, change: float) -> None:
        """Add `change` to all rates from `now` on; none falls below 0."""
        if self.due is None:
            return
        self._advance(min(max(now, self._at), self.due))
        cut = self._segments[self._index]
        done = self._at - self._start
        before = [replace(cut, lasts=done, end=cut.rate(done))] if done > 0 else []
        later = [
            replace(cut, lasts=cut.lasts - done, begin=cut.rate(done)),
            *self._segments[self._index + 1 :],
        ]
        changed = [
            replace(one, begin=max(0.0, one.begin + change), end=max(0.0, one.end + change))
            for one in later
        ]
        self._segments[self._index :] = before + changed
        self._index += len(before)
        self._start = self._at
        self.due = self._next()

    def _advance(self, until: float) -> None:
        """Take the integral up to `until`, which is not after the call that is due."""
        while True:
            segment = self._segments[self._index]
            stop = min(until, self._start + segment.lasts)
            self._missing -= segment.calls(self._at - self._start, stop - self._start)
            self._missing = max(0.0, self._missing)
            self._at = stop
            if stop >= until or self._index + 1 == len(self._segments):
                return
            self._index += 1
            self._start = stop

    def _next(self) -> float | None:
        at, start, missing = self._at, self._start, self._missing
        for segment in self._segments[self._index :]:
            rest = segment.calls(at - start, segment.lasts)
            if missing < rest - ROUNDING:
                return start + segment.reached(at - start, missing)
            if math.isinf(segment.lasts):
                return math.inf  # no rate now, but it may be raised
            missing = max(0.0, missing - rest)
            at = start = start + segment.lasts
        return None
