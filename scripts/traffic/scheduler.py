"""Makes calls when they are due, whatever became of the calls before: an open loop on Trio.

At the limit of simultaneous calls, or when every subscriber is calling, the next call waits, and
its latency counts from when it was due: a slow node cannot hide behind its own slowness
("coordinated omission").
"""

from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import trio

from scripts.traffic.arrivals import Arrivals
from scripts.traffic.outcome import CallFailed, Reason
from scripts.traffic.statistics import CallRecord, Statistics

GRACE_SECONDS: Final = 5.0  # for running calls after Ctrl-C

W = TypeVar("W")


class Scheduler(Generic[W]):
    """One run of traffic; `W` is who makes a call.

    Attributes:
        began: Trio time of the begin; due times are relative to it.
        stopped: somebody asked for an early end.
    """

    def __init__(
        self,
        arrivals: Arrivals,
        statistics: Statistics,
        make_call: Callable[[W, CallRecord], Awaitable[None]],
        *,
        take: Callable[[], W | None],
        give_back: Callable[[W], None],
        simultaneous: int,
        number: int = 0,
        timeout_seconds: float,
    ) -> None:
        """Prepare a run.

        Args:
            make_call: makes one call; raises CallFailed when it fails.
            take: who makes the next call; None when nobody is free.
            give_back: its call is over.
            simultaneous: most calls at the same time.
            number: calls in all; 0: until the arrivals end.
            timeout_seconds: for one call, from its first message.
        """
        self.began = 0.0
        self.stopped = False
        self._arrivals = arrivals
        self._statistics = statistics
        self._make_call = make_call
        self._take = take
        self._give_back = give_back
        self._simultaneous = simultaneous
        self._number = number
        self._timeout_seconds = timeout_seconds
        self._made = 0
        self._place = trio.Event()  # a call ended, or stop
        self._changed = trio.Event()  # rate or stop
        self._calls = trio.CancelScope()

    @property
    def elapsed(self) -> float:
        """Seconds since the begin."""
        return trio.current_time() - self.began

    @property
    def wanted_rate(self) -> float:
        """Calls a second that are due now."""
        return 0.0 if self.stopped else self._arrivals.rate(self.elapsed)

    def adjust(self, change: float) -> None:
        """Add `change` calls a second to the rate from now on."""
        self._arrivals.adjust(self.elapsed, change)
        self._changed.set()

    def stop(self) -> None:
        """Make no more calls; those that run get some seconds. The second time: end them."""
        if self.stopped:
            self._calls.cancel()
            return
        self.stopped = True
        self._calls.deadline = trio.current_time() + GRACE_SECONDS
        self._changed.set()
        self._place.set()

    async def run(self) -> None:
        """Make all calls; returns when the last one has ended."""
        self.began = trio.current_time()
        with self._calls:
            async with trio.open_nursery() as nursery:
                while await self._is_due() and (who := await self._free()) is not None:
                    due = self._arrivals.due
                    if due is None:  # cannot be: a due call stays due while we wait for a place
                        self._give_back(who)
                        return
                    self._arrivals.taken()
                    self._made += 1
                    record = self._statistics.begin(due, self.elapsed)
                    nursery.start_soon(self._call, who, record)

    async def _is_due(self) -> bool:
        """Wait until the next call is due; false when there is none."""
        while not self.stopped and not (self._number and self._made >= self._number):
            due = self._arrivals.due
            if due is None:
                return False
            at = self.began + due
            if at <= trio.current_time():
                return True
            self._changed = trio.Event()
            with trio.move_on_at(at):
                await self._changed.wait()
        return False

    async def _free(self) -> W | None:
        """Who makes the next call, as soon as there is a place; None when stopped."""
        while not self.stopped:
            if self._statistics.running < self._simultaneous:
                who = self._take()
                if who is not None:
                    return who
            self._place = trio.Event()
            await self._place.wait()
        return None

    async def _call(self, who: W, record: CallRecord) -> None:
        failure: CallFailed | None = CallFailed(Reason.TIMEOUT, "ended with the test")
        try:
            with trio.fail_after(self._timeout_seconds):
                await self._make_call(who, record)
            failure = None
        except CallFailed as failed:
            failure = failed
        except trio.TooSlowError:
            failure = CallFailed(Reason.TIMEOUT, f"no end in {self._timeout_seconds:g} s")
        finally:  # also when cancelled: by the second Ctrl-C, or after the grace
            if failure is None:
                record.passed(self.elapsed)
            else:
                record.failed(failure)
            self._give_back(who)
            self._place.set()
