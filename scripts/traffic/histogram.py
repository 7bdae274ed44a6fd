"""Latencies in buckets that grow with the value: 0.8 % wide, so percentiles are that exact.

Memory does not grow with the number of calls, and two of them can be added. The idea is that of
HdrHistogram; the coding is ours.
"""

import math
from collections.abc import Iterable

_SUB_BITS = 7  # 128 buckets between a power of two and the next
_SUB = 1 << _SUB_BITS
_RESOLUTION = 1e-6  # seconds: what lies below is one bucket each


class Histogram:
    """How often each latency was seen.

    Attributes:
        count, total, largest: of all values, in seconds; exact.
    """

    __slots__ = ("_buckets", "count", "largest", "total")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self.count = 0
        self.total = 0.0
        self.largest = 0.0

    def record(self, seconds: float) -> None:
        """Take one value; below zero counts as zero."""
        seconds = max(seconds, 0.0)
        key = _key(int(seconds / _RESOLUTION))
        self._buckets[key] = self._buckets.get(key, 0) + 1
        self.count += 1
        self.total += seconds
        self.largest = max(self.largest, seconds)

    def add(self, other: "Histogram") -> None:
        """Take all values of another one."""
        for key, times in other._buckets.items():
            self._buckets[key] = self._buckets.get(key, 0) + times
        self.count += other.count
        self.total += other.total
        self.largest = max(self.largest, other.largest)

    def percentile(self, percent: float) -> float:
        """The value in seconds that `percent` of all do not exceed; 0 when there are none."""
        if not self.count:
            return 0.0
        wanted = max(1, math.ceil(self.count * percent / 100))
        seen = 0
        for key in sorted(self._buckets):
            seen += self._buckets[key]
            if seen >= wanted:
                return min(_upper(key) * _RESOLUTION, self.largest)
        return self.largest

    @property
    def mean(self) -> float:
        """Seconds; 0 when there are no values."""
        return self.total / self.count if self.count else 0.0

    def buckets(self) -> Iterable[tuple[float, int]]:
        """(upper edge in seconds, number) in order."""
        for key in sorted(self._buckets):
            yield _upper(key) * _RESOLUTION, self._buckets[key]


def _key(ticks: int) -> int:
    """Exponent and the 7 bits below the leading one, as one number that keeps the order."""
    if ticks < _SUB:
        return ticks
    exponent = ticks.bit_length() - _SUB_BITS - 1
    return (exponent << _SUB_BITS) + (ticks >> exponent)


def _upper(key: int) -> int:
    """The end of a bucket, in ticks."""
    if key < _SUB:
        return key + 1
    exponent = (key >> _SUB_BITS) - 1
    return ((key & (_SUB - 1)) + _SUB + 1) << exponent
