"""What is counted of one peer, cheaply: plain attributes and one list of histogram buckets."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

# Upper bounds in seconds; the last bucket has none.
LATENCY_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class LatencyHistogram:
    """Seconds from sending a request to its answer.

    Attributes:
        buckets: one count per bound of `LATENCY_BOUNDS`, and one for what is above.
    """

    __slots__ = ("buckets", "count", "total_seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(LATENCY_BOUNDS) + 1)
        self.count = 0
        self.total_seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one answer."""
        self.buckets[bisect_left(LATENCY_BOUNDS, seconds)] += 1
        self.count += 1
        self.total_seconds += seconds


@dataclass(frozen=True, slots=True)
class PeerStatistics:
    """One peer as it stands now. Counters are since the start.

    Attributes:
        state: RFC 6733 §5.6; watchdog: RFC 3539.
        answers: by (vendor, code).
        unexpected: answers that no request waited for, late ones included.
        malformed: messages and frames that could not be read.
        load_value: 65535 of a peer without load now, 0 fully loaded; None when it does not tell.
        last_error: why the last connection or attempt ended; empty when all is well.
        origin_state_id: of the peer, None when it does not tell.
    """

    host: str
    state: str
    watchdog: str
    breaker: str
    is_agent: bool
    in_flight: int
    load_value: int | None
    requests: int
    answers: dict[tuple[int, int], int]
    timeouts: int
    failovers: int
    lost: int
    requests_received: int
    unexpected: int
    malformed: int
    connections: int
    reconnects: int
    last_error: str
    origin_state_id: int | None
    queued_octets: int
    latency_buckets: tuple[int, ...]
    latency_count: int
    latency_seconds: float
