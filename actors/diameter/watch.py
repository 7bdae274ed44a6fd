"""The watchdog of one peer with its timer: the table of `protocols/diameter/watchdog.py`, wired.

Not wired: Throwaway. Requests that a peer sends while it is on probation (REOPEN) are served, and
one that is alone is used: the probation shall keep traffic with others, not make an outage longer.
"""

import random
from collections.abc import Callable

import trio

from actors.runtime.timers import Timer, TimerWheel
from protocols.diameter.watchdog import Action, Event, State, Watchdog


class Watch:
    """Runs the table on the timer wheel."""

    def __init__(
        self,
        tw_seconds: float,
        timers: TimerWheel,
        generator: random.Random,
        *,
        send_dwr: Callable[[], None],
        fail_over: Callable[[], None],
        close: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        """Wire the actions; `changed` is told of every new state."""
        self._machine = Watchdog(tw_seconds)
        self._timers = timers
        self._random = generator
        self._timer: Timer | None = None
        self._changed = changed
        self._actions: dict[Action, Callable[[], None]] = {
            Action.SEND_WATCHDOG: send_dwr,
            Action.FAILOVER: fail_over,
            Action.CLOSE_CONNECTION: close,
        }

    @property
    def state(self) -> State:
        """RFC 3539's state."""
        return self._machine.state

    def handle(self, event: Event) -> None:
        """Go on by one event and carry out what the table says."""
        before = self._machine.state
        jitter = 2 * self._random.random() - 1
        for action in self._machine.handle(event, trio.current_time(), jitter):
            carry_out = self._actions.get(action)
            if carry_out is not None:
                carry_out()
        if self._machine.state is not before:
            self._changed()

    def heard(self, now: float) -> None:
        """Something that is no DWA was received: any traffic proves life (RFC 3539 §3.4.1)."""
        if self._machine.state is State.OKAY:
            self._machine.heard(now, 2 * self._random.random() - 1)
        else:
            self.handle(Event.RECEIVE_NON_DWA)

    def up(self) -> None:
        """The connection is open: watch it."""
        self.handle(Event.CONNECTION_UP)
        self._arm()

    def down(self, orderly: bool) -> None:
        """The connection is gone."""
        self.cancel()
        self.handle(Event.DISCONNECTED if orderly else Event.CONNECTION_DOWN)

    def use(self, tw_seconds: float) -> None:
        """Another Tw: what is left of the running one is measured anew."""
        if tw_seconds == self._machine.tw:
            return
        self._machine.tw = tw_seconds
        if self._timer is not None:
            self.cancel()
            self._machine.heard(trio.current_time(), 2 * self._random.random() - 1)
            self._arm()

    def cancel(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        left = self._machine.deadline - trio.current_time()
        self._timer = self._timers.after(left, self._expired)

    def _expired(self) -> None:
        """Traffic has often moved the deadline since the timer was set."""
        timer = self._timer
        if trio.current_time() >= self._machine.deadline:
            self.handle(Event.TIMER_EXPIRES)
        if self._timer is timer:  # not cancelled by what was carried out
            self._arm()
