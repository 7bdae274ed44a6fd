"""The timer wheel: many timers that mostly never ring, at the price of a list append each.

Buckets of 50 ms on Trio's clock; a cancelled timer stays in its bucket until that is due. One task
rings the due ones and ends the turn once for all of them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

import trio

from actors.runtime.turn import Turn

BUCKET_SECONDS: Final = 0.05


class Timer:
    """One alarm; `cancel()` it when it is no longer wanted."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Do not ring; nothing happens when it has rung."""
        self.callback = None


@dataclass(frozen=True, slots=True)
class TimerStatistics:
    """The wheel as it stands now."""

    waiting: int  # timers set and not due yet, cancelled ones included
    rung: int
    failed: int  # callbacks that raised, which they must not


class TimerWheel:
    """Rings callbacks in the Trio thread, never early and at most a bucket late."""

    def __init__(self, turn: Turn, *, failed: Callable[[Exception], None] | None = None) -> None:
        """Nothing rings before `run`.

        Args:
            turn: ended after each batch of callbacks.
            failed: told of a callback that raised; the wheel goes on.
        """
        self._turn = turn
        self._failed = failed
        self._buckets: dict[int, list[Timer]] = {}
        self._due: list[int] = []  # heap of the buckets' numbers
        self._sooner = trio.Event()
        self._sleeping_until = math.inf
        self._waiting = self._rung = self._failures = 0

    def after(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Ring `callback` in `seconds` on Trio's clock.

        Args:
            seconds: from now; zero and less ring in the next batch.
            callback: must not raise or block.
        """
        number = math.ceil((trio.current_time() + seconds) / BUCKET_SECONDS)
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = []
            heappush(self._due, number)
            if number < self._sleeping_until:
                self._sooner.set()
        timer = Timer(callback)
        bucket.append(timer)
        self._waiting += 1
        return timer

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ring until cancelled."""
        task_status.started()
        while True:
            self._sleeping_until = self._due[0] if self._due else math.inf
            self._sooner = trio.Event()
            with trio.move_on_at(self._sleeping_until * BUCKET_SECONDS):
                await self._sooner.wait()
            if self._ring_due(math.floor(trio.current_time() / BUCKET_SECONDS + 1e-9)):
                self._turn.end()

    def statistics(self) -> TimerStatistics:
        """A snapshot."""
        return TimerStatistics(self._waiting, self._rung, self._failures)

    def _ring_due(self, number: int) -> bool:
        rang = False
        while self._due and self._due[0] <= number:
            for timer in self._buckets.pop(heappop(self._due)):
                self._waiting -= 1
                callback, timer.callback = timer.callback, None
                if callback is None:
                    continue
                rang = True
                self._rung += 1
                try:
                    callback()
                except Exception as error:  # one bad callback must not stop all clocks
                    self._failures += 1
                    if self._failed is not None:
                        self._failed(error)
        return rang
