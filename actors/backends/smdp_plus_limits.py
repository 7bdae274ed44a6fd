"""When a call may go to an SM-DP+: the operator's limits and the vendor's maintenance windows."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import trio

from config.rules import split_window

_DAY_MINUTES: Final = 24 * 60


def is_maintenance(windows: Iterable[str], now: float) -> bool:
    """Whether any window of the configuration holds `now` (seconds since 1970)."""
    moment = datetime.fromtimestamp(now, UTC)
    minute = moment.hour * 60 + moment.minute
    today = moment.weekday()
    for window in windows:
        day, begin, end = split_window(window)
        if begin < end:
            if begin <= minute < end and day in (None, today):
                return True
        elif minute >= begin:
            if day in (None, today):
                return True
        elif minute < end and day in (None, (today - 1) % 7):
            return True
    return False


class CallLimits:
    """How many calls at the same time and within a second."""

    def __init__(self, max_calls: int, max_calls_per_second: float) -> None:
        """Set the limits.

        Args:
            max_calls: at the same time.
            max_calls_per_second: 0: no limit.
        """
        self._places = trio.Semaphore(max_calls, max_value=max_calls)
        self._gap = 1 / max_calls_per_second if max_calls_per_second else 0.0
        self._next = -float("inf")

    async def enter(self, deadline: float) -> bool:
        """Wait for a place until `deadline` (Trio clock); `leave` after the call.

        Returns:
            False when there is none in time; nothing is taken then.
        """
        with trio.move_on_at(deadline):
            await self._places.acquire()
            begin = max(self._next, trio.current_time())
            if begin > deadline:
                self._places.release()
                return False
            self._next = begin + self._gap
            try:
                await trio.sleep_until(begin)
            except trio.Cancelled:
                self._places.release()
                raise
            return True
        return False

    def leave(self) -> None:
        """The call is over."""
        self._places.release()
