"""Circuit breaker of one peer: after failures in a row no new sessions, then one probe at a time.

Ours. Diameter peers (3002, 3004, time-outs) and SM-DP+ (connection failures, time-outs, 5xx) have
one each, with half-open probing, so that a peer that returns meets one request and not a storm.
"""

from enum import Enum
from typing import Final

FAILURES: Final = 5  # in a row; a burst of losses is no outage yet
FIRST_OPEN_SECONDS: Final = 1.0
LONGEST_OPEN_SECONDS: Final = 30.0
BUSY_SECONDS: Final = 2.0  # others are preferred after the peer said so


class BreakerState(Enum):
    """The usual names: closed lets traffic pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitBreaker:
    """One peer's breaker.

    Attributes:
        busy_until: the peer said that it is (3004); until then others are preferred.
        opened: how often it opened.
    """

    __slots__ = ("_failures", "_open_seconds", "_open_until", "_probing", "busy_until", "opened")

    def __init__(self) -> None:
        self._failures = 0
        self._open_seconds = FIRST_OPEN_SECONDS
        self._open_until = 0.0
        self._probing = False
        self.busy_until = 0.0
        self.opened = 0

    def state(self, now: float) -> BreakerState:
        """Where it stands."""
        if self._failures < FAILURES:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._open_until else BreakerState.HALF_OPEN

    def allows(self, now: float) -> bool:
        """Whether something new may start at this peer."""
        if self._failures < FAILURES:
            return True
        return now >= self._open_until and not self._probing

    def started(self) -> None:
        """Something new starts here; in half-open it is the probe."""
        if self._failures >= FAILURES:
            self._probing = True

    def succeeded(self) -> None:
        """The peer answered with something that shows it works."""
        if self._failures:
            self._failures = 0
            self._probing = False
            self._open_seconds = FIRST_OPEN_SECONDS

    def failed(self, now: float) -> None:
        """It did not answer, or said that it cannot."""
        self._failures += 1
        if self._failures == FAILURES or self._probing:
            self.opened += 1
            self._open_until = now + self._open_seconds
            self._open_seconds = min(self._open_seconds * 2, LONGEST_OPEN_SECONDS)
            self._probing = False

    def busy(self, now: float) -> None:
        """It answered that it is too busy."""
        self.busy_until = now + BUSY_SECONDS
        self.failed(now)

    def probe_lost(self) -> None:
        """The probe ended without telling anything, such as a connection that was lost."""
        self._probing = False
