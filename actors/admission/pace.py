"""The pace at which work may begin, found by whether the loop still catches up with its input.

The signal is CoDel's (RFC 8289 §3: a standing queue, not a burst): did the reactor, in a whole
interval and over several rounds, never once take all the input there was? Then what came waited
longer than the interval. It costs two calls a round and no clock; a long step alone, such as a
garbage collection, is one round and no congestion. CPU use would be no signal: on a shared core it
says nothing of waiting, and a busy loop may have the shortest of queues. Once work is limited, the
aim is stricter: again and again little or nothing is to wait. Never anything would be too strict: a
loop that finds one event at a time does a fifth less than one that finds some (measured).

The answer is a rate of work (additive growth, multiplicative decrease, as TCP's) behind one bucket.
The classes share it by water marks, as trunk reservation does in a switch: what is shed first may
not take the last of it. Work that was started is charged and never refused. Sans-IO: every time is
an argument.
"""

import math
from enum import IntEnum
from typing import Final

ONSET_SECONDS: Final = 0.4  # of congestion, before anything is limited: a burst is worked off
ONSET_ROUNDS: Final = 4  # of the reactor within it: fewer are one long step, not a queue
FEW: Final = 2  # events of a round: that little may wait while work is limited
DECREASE: Final = 0.9  # of the pace, for an interval of congestion
LEAST_INCREASE: Final = 0.01
MOST_INCREASE: Final = 0.05  # for an interval in which little waited in every round
RELEASE_SECONDS: Final = 3.0  # without a refusal, and nothing is limited any more
BUCKET_SECONDS: Final = 0.02  # of work that may begin at once,
BURST_SECONDS: Final = 0.04  # and more of it the less is refused: arrivals come in bursts
LEAST_BUCKET: Final = 4.0
LEAST_PACE: Final = 20.0  # a second: never nothing, or nobody would find out that it is over
BLOCK_INTERVALS: Final = 2.0  # of standing input, and connections wait until it is worked off
SMOOTHING: Final = 0.25  # of the rates, for each interval


class Work(IntEnum):
    """What may begin, the first to be shed first."""

    CONNECTION = 0
    """A TLS handshake, for nobody knows what."""
    AUTHENTICATION = 1
    URGENT_AUTHENTICATION = 2
    """For emergency calls over Wi-Fi."""
    TOKEN = 3
    STARTED = 4
    """Goes on with what was begun."""


# Of a whole exchange on a connection of its own, which is 1: as measured, roughly.
COST: Final = (0.45, 0.5, 0.5, 0.15, 0.45)
# How full the bucket must be, as a share of it.
_MARK: Final = (0.5, 0.3, 0.2, -0.5, -math.inf)
# The same, for a tenant that has more than its share already.
_GREEDY_MARK: Final = (0.8, 0.6, 0.5, -0.2, -math.inf)
# And for one that has had little of it: what the others have begun may not keep it out.
_MODEST_MARK: Final = (-0.4, -0.5, -0.5, -0.6, -math.inf)


class Pace:
    """How fast work begins.

    Attributes:
        limiting: some work may be refused.
        rate: exchanges a second that may begin; infinite while nothing is limited.
        refused_share: of the work that wanted to begin, smoothed, 0 to 1.
        onsets: how often limiting began.
    """

    __slots__ = ("_begun", "_catches", "_caught_up_at", "_congested_rounds",
                 "_congested_since",
                 "_drained", "_few", "_few_at", "_filled_at", "_interval", "_judged_at", "_level",
                 "_polite", "_refused", "_refused_at", "_rounds", "_spent_rate", "limiting",
                 "onsets", "rate", "refused_share")  # fmt: skip

    def __init__(self, interval: float) -> None:
        """Begin without limits.

        Args:
            interval: seconds; input that waits longer is congestion.
        """
        self._interval = interval
        self.limiting = False
        self.rate = math.inf
        self.refused_share = 0.0
        self.onsets = 0
        self._drained = True  # the last look at the sockets found nothing
        self._few = self._catches = self._rounds = 0
        self._few_at = self._caught_up_at = self._judged_at = 0.0
        self._congested_rounds = 0
        self._congested_since = math.inf  # without an interval in between that was not
        self._begun = self._refused = 0.0  # work of this interval
        self._spent_rate = 0.0
        self._level = self._polite = 0.0  # work in the bucket, and in that of polite refusals
        self._filled_at = self._refused_at = 0.0

    def set_interval(self, interval: float) -> None:
        """Use another interval from now on."""
        self._interval = interval

    # --- what the reactor tells -------------------------------------------------------------------

    def round(self, now: float) -> bool:
        """The reactor has input to work off; whether an interval was judged."""
        if self._drained:
            self._drained = False
            self._few_at = self._caught_up_at = now
        self._rounds += 1
        if now - self._judged_at < self._interval:
            return False
        self._judge(now)
        return True

    def caught_up(self, events: int, began: float, now: float) -> None:
        """A round took all the input that there was when it began.

        Args:
            events: how much that was.
            began: that moment: what came since then has waited no longer.
        """
        if now - began < self._interval:
            self._catches += 1
            self._caught_up_at = now
            if events <= FEW:
                self._few += 1
                self._few_at = now

    def drained(self) -> None:
        """The reactor found nothing more to read."""
        self._drained = True
        self._few += 1

    def holds(self, now: float) -> bool:
        """Whether strangers stay outside as long as those who are in have input.

        Before anything is limited: a burst then waits in the kernel's queue, where it costs
        nothing, and if it turns out to be more than a burst, it is closed quickly.
        """
        if self._drained or self.limiting:
            return False
        return now - self._caught_up_at > self._interval

    # --- what wants to begin ----------------------------------------------------------------------

    def takes(self, work: Work, now: float, *, greedy: bool = False, modest: bool = False) -> bool:
        """Whether this may begin now; it is charged then.

        Args:
            greedy: its tenant has more than its share.
            modest: its tenant has had little of its share.
        """
        cost = COST[work]
        if not self.limiting:
            self._begun += cost
            return True
        self._fill(now)
        bucket = self._bucket
        blocked = work is Work.CONNECTION and not self._drained and not modest and (
            now - self._few_at > BLOCK_INTERVALS * self._interval
        )  # fmt: skip
        mark = (_MODEST_MARK if modest else _GREEDY_MARK if greedy else _MARK)[work]
        if not blocked:
            if self._level >= mark * bucket:
                return self._charge(cost)
            if work is Work.CONNECTION and not greedy and self._polite >= cost:
                # Over the pace, so that some new authentications are told when to come back.
                self._polite -= cost
                return self._charge(cost)
        self._refused += cost if work is not Work.CONNECTION else 1.0
        self._refused_at = now
        return False

    @property
    def _bucket(self) -> float:
        seconds = BUCKET_SECONDS + BURST_SECONDS * (1.0 - self.refused_share) ** 4
        return max(LEAST_BUCKET, self.rate * seconds)

    def _charge(self, cost: float) -> bool:
        self._begun += cost
        self._level = max(self._level - cost, -self._bucket)
        return True

    def _fill(self, now: float) -> None:
        seconds = now - self._filled_at
        if seconds > 0:
            self._filled_at = now
            self._level = min(self._level + seconds * self.rate, self._bucket)
            polite = 0.1 * (1.0 - self.refused_share) ** 2
            self._polite = min(self._polite + seconds * self.rate * polite, self._bucket / 4)

    # --- the pace ---------------------------------------------------------------------------------

    def _judge(self, now: float) -> None:
        """An interval is over: slower or faster."""
        seconds = now - self._judged_at
        standing = not self._few and not self._drained
        congested = standing and (self.limiting or not self._catches)
        if not congested:
            self._congested_since = math.inf
            self._congested_rounds = 0
        elif math.isinf(self._congested_since):
            self._congested_since = max(self._judged_at, self._caught_up_at)
        self._congested_rounds += self._rounds
        spent = self._begun / seconds
        smoothing = min(1.0, SMOOTHING * seconds / self._interval)
        self._spent_rate += (spent - self._spent_rate) * smoothing
        wanted = self._begun + self._refused
        share = self._refused / wanted if wanted else 0.0
        self.refused_share += (share - self.refused_share) * smoothing
        if not self.limiting:
            lasts = now - self._congested_since >= ONSET_SECONDS
            if lasts and self._congested_rounds >= ONSET_ROUNDS:
                self._begin_limiting(now)
        elif congested:
            if spent > self.rate / 2:  # else it is what was let in before that stands
                self.rate = max(self.rate * DECREASE, LEAST_PACE)
        else:
            self._speed_up(now)
        self._judged_at = now
        self._few = self._catches = self._rounds = 0
        self._begun = self._refused = 0.0

    def _begin_limiting(self, now: float) -> None:
        self.limiting = True
        self.onsets += 1
        self.rate = max(self._spent_rate * DECREASE, LEAST_PACE)
        self._filled_at = self._refused_at = now
        self._level = self._polite = 0.0

    def _speed_up(self, now: float) -> None:
        if now - self._refused_at > RELEASE_SECONDS:
            self.limiting = False
            self.rate = math.inf
            self.refused_share = 0.0
            return
        if self._refused:
            ease = self._few / max(self._rounds, 1)
            self.rate *= 1.0 + max(LEAST_INCREASE, MOST_INCREASE * min(ease, 1.0))
