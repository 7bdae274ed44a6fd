"""When a peer is connected to again.

Source: RFC 6733 §2.1 (Tc, 30 s) and §5.4.3 (what a Disconnect-Cause asks for). Ours: after a loss
the first tries come quicker than Tc, twice as late each time, and never in step with other nodes.
"""

import random
from typing import Final

from config.model import Diameter
from protocols.diameter import numbers

STABLE_SECONDS: Final = 10.0  # a connection that held this long starts afresh
BUSY_FACTOR: Final = 10  # times Tc before a peer that said BUSY is asked again
JITTER: Final = 0.2  # of the delay, either way


class BackOff:
    """The delay before the next attempt.

    Attributes:
        settings: Tc and the first delay; others count from the next delay.
        seconds: the delay.
    """

    __slots__ = ("_failures", "_random", "seconds", "settings")

    def __init__(self, settings: Diameter, generator: random.Random) -> None:
        """The first attempt comes at once."""
        self.settings = settings
        self._random = generator
        self._failures = 0
        self.seconds = 0.0

    def at_once(self) -> None:
        """The operator wants it now."""
        self._failures = 0
        self.seconds = 0.0

    def after_loss(self, open_seconds: float) -> None:
        """The connection was lost, or never came up (0 seconds)."""
        if open_seconds >= STABLE_SECONDS:
            self._failures = 0
        settings = self.settings
        delay = settings.first_reconnect_seconds * 2 ** min(self._failures, 16)
        self._failures += 1
        spread = 1 + JITTER * (2 * self._random.random() - 1)
        self.seconds = min(delay, settings.reconnect_seconds) * spread

    def after_disconnect(self, cause: int) -> bool:
        """The peer said good-bye with a Disconnect-Cause.

        Returns:
            Whether to come back at all.
        """
        self._failures = 0
        factor = BUSY_FACTOR if cause == numbers.BUSY else 1
        self.seconds = self.settings.reconnect_seconds * factor
        return cause != numbers.DO_NOT_WANT_TO_TALK_TO_YOU
