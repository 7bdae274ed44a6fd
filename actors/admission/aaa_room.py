"""What the AAA can still take: by its queue, and after an outage by a slow start.

By Little's law the DERs in flight, divided by the answers a second, are how long the next one will
wait. More than that may not be in flight as answers come in the longest wait that is accepted. An
AAA that is slower than what is offered is noticed before its answers time out, and one that answers
nothing is sent little.

After an outage, phones that were told to wait come back together, and to an AAA with cold caches:
new authentications begin at a small rate that doubles each second. Sans-IO.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from actors.diameter.router import RouterStatistics

SAMPLE_SECONDS: Final = 0.1
SOONEST_SECONDS: Final = 0.002  # the sooner sample, when no room seems to be left
SMOOTHING: Final = 0.3  # of the rate of answers, for each sample
OUTAGE_SECONDS: Final = 1.0  # a shorter one makes no storm
RAMP_SECONDS: Final = 10.0  # by then the rate has doubled ten times
PROBES: Final = 5.0  # a second, while it is out: the circuit breakers probe with them
GREEDY_ROOM: Final = 0.8  # of the room, for tenants with more than their share
MODEST_ROOM: Final = 1.1  # and for one that has had little of its share


class AaaState(Enum):
    """Where the AAA stands for new authentications."""

    OUT = "out"
    RAMP = "ramp"
    ABLE = "able"


@dataclass(frozen=True, slots=True)
class AaaSample:
    """All peers at one moment."""

    able: bool  # some peer is open, and its breaker closed
    in_flight: int
    answers: int  # since the start


def sampled(router: RouterStatistics) -> AaaSample:
    """What the Diameter client's statistics say of all peers."""
    peers = router.peers
    return AaaSample(
        able=any(one.state.endswith("OPEN") and one.breaker == "closed" for one in peers),
        in_flight=sum(one.in_flight for one in peers),
        answers=sum(one.latency_count for one in peers),
    )


class AaaRoom:
    """Counts what may be asked of the AAA.

    Attributes:
        state: as of the last sample.
        in_flight: DERs, as of the last sample, and authentications begun since then.
        limit: of them.
        outages: that were long enough for a slow start.
    """

    __slots__ = ("_answers", "_filled_at", "_least", "_level", "_out_since", "_ramp_since", "_rate",
                 "_sampled_at", "_seconds", "_start", "in_flight", "limit", "outages",
                 "state")  # fmt: skip

    def __init__(self, seconds: float, least: int, start: float) -> None:
        """Begin without a sample.

        Args:
            seconds: the longest wait for an answer.
            least: DERs that may be in flight whatever the rate of answers.
            start: new authentications a second right after an outage.
        """
        self.set_limits(seconds, least, start)
        self.state = AaaState.ABLE
        self.in_flight = 0
        self.limit = float(least)
        self.outages = 0
        self._rate = 0.0  # answers a second
        self._answers = 0
        self._sampled_at = self._out_since = self._ramp_since = 0.0
        self._level = self._filled_at = 0.0  # of the bucket of the slow start, or of the probes

    def set_limits(self, seconds: float, least: int, start: float) -> None:
        """Use other limits from the next sample on."""
        self._seconds, self._least, self._start = seconds, least, start

    def wants_sample(self, now: float, *, greedy: bool = False) -> bool:
        """Whether `takes` should get a sample first."""
        age = now - self._sampled_at
        if age >= SAMPLE_SECONDS:
            return True
        full = self.state is AaaState.OUT or self.in_flight >= self._room(greedy=greedy)
        return full and age >= SOONEST_SECONDS

    def observe(self, sample: AaaSample, now: float) -> None:
        """Take a sample."""
        self.in_flight = sample.in_flight
        age = now - self._sampled_at
        if age >= SAMPLE_SECONDS:
            rate = (sample.answers - self._answers) / age
            # A long silence has nothing to smooth with.
            smoothing = SMOOTHING if age < 10 * SAMPLE_SECONDS else 1.0
            self._rate += (rate - self._rate) * smoothing
            self.limit = max(float(self._least), self._rate * self._seconds)
            self._answers = sample.answers
            self._sampled_at = now
        if sample.able:
            self._came_back(now)
        elif self.state is not AaaState.OUT:
            self.state = AaaState.OUT
            self._out_since = self._filled_at = now
            self._level = PROBES

    def _came_back(self, now: float) -> None:
        if self.state is AaaState.OUT:
            self.state = AaaState.ABLE
            if now - self._out_since >= OUTAGE_SECONDS:
                self.state = AaaState.RAMP
                self.outages += 1
                self._ramp_since = self._filled_at = now
                self._level = max(1.0, self._start / 4)
        elif self.state is AaaState.RAMP and now - self._ramp_since > RAMP_SECONDS:
            self.state = AaaState.ABLE

    def out_seconds(self, now: float) -> float:
        """How long the outage lasts; 0 when there is none."""
        return now - self._out_since if self.state is AaaState.OUT else 0.0

    def takes(self, now: float, *, greedy: bool = False, modest: bool = False) -> str:
        """Whether a new authentication may ask the AAA; it is counted then.

        Args:
            greedy: its tenant has more than its share.
            modest: its tenant has had little of its share.

        Returns:
            Why not; empty when it may.
        """
        if self.state is not AaaState.ABLE and not self._from_bucket(now):
            return "aaa outage" if self.state is AaaState.OUT else "aaa slow start"
        room = self.limit * MODEST_ROOM if modest else self._room(greedy=greedy)
        if self.in_flight >= room:
            return "aaa busy"
        self.in_flight += 1
        return ""

    def _room(self, *, greedy: bool) -> float:
        return self.limit * GREEDY_ROOM if greedy else self.limit

    def _from_bucket(self, now: float) -> bool:
        if self.state is AaaState.OUT:
            rate = PROBES
        else:
            rate = self._start * 2.0 ** (now - self._ramp_since)
        self._level = min(self._level + (now - self._filled_at) * rate, max(rate / 4, PROBES))
        self._filled_at = now
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True
