"""One turn of the loop: what was received is worked off, then everything leaves in a few writes.

Whoever receives input (device sockets, a Diameter socket, store completions, timers) handles all of
it and calls `Turn.end` once. The turn first steps the actors that have mail (`before_flush`), then
lets every output write what has gathered (`flusher`): one write per Diameter peer and one per
changed device connection, instead of one per message. Everything runs in the Trio thread.
"""

from collections.abc import Callable
from typing import Final

import structlog
import trio

ROUNDS: Final = 8  # within one turn; what still produces work then waits for the sockets' turn

Step = Callable[[], None]

_log = structlog.get_logger("turn")


class Turn:
    """The end of every turn: steps are registered once, `end` is called often.

    Attributes:
        now: seconds on the Trio clock.
        turns: how often the steps were walked through.
        crashes: exceptions that came out of a step, or were reported with `crashed`.
    """

    __slots__ = (
        "_again",
        "_before",
        "_flushers",
        "_on_crash",
        "_running",
        "crashes",
        "now",
        "turns",
    )

    def __init__(self, on_crash: Callable[[Exception], None] | None = None) -> None:
        """Begin without steps.

        Args:
            on_crash: told of every exception, which then ends nothing; must not raise. Without
                it they are logged.
        """
        self._before: tuple[Step, ...] = ()
        self._flushers: tuple[Step, ...] = ()
        self._on_crash = on_crash or _log_crash
        self._running = False
        self._again = False
        self.now: Callable[[], float] = trio.current_time
        self.turns = 0
        self.crashes = 0

    def use_clock_of_this_run(self) -> None:
        """Ask the clock itself for `now`: `trio.current_time` looks it up each time, for 0.3 µs."""
        self.now = trio.lowlevel.current_clock().current_time

    def before_flush(self, step: Step) -> None:
        """Call `step` in every turn before the flushers, in order of registration."""
        self._before += (step,)

    def flusher(self, step: Step) -> None:
        """Call `step` in every turn after all the others, in order of registration.

        A flusher that makes new work, such as mail about a lost connection, calls `end` itself.
        """
        self._flushers += (step,)

    def end(self) -> None:
        """Work off what the input brought, and write. Never raises.

        Called from inside a step it only asks for one more round. A step that raises does not
        keep the others from running.
        """
        if self._running:
            self._again = True
            return
        self._running = True
        try:
            for _ in range(ROUNDS):
                self._again = False
                self._round()
                if not self._again:
                    return
        finally:
            self._running = False
        trio.lowlevel.current_trio_token().run_sync_soon(self.end, idempotent=True)

    def crashed(self, error: Exception) -> None:
        """Count and report an exception that a shell caught, here or elsewhere."""
        self.crashes += 1
        self._on_crash(error)

    def _round(self) -> None:
        self.turns += 1
        for steps in (self._before, self._flushers):
            for step in steps:
                try:
                    step()
                except Exception as error:  # the shell: one bug must not silence the others
                    self.crashed(error)


def _log_crash(error: Exception) -> None:
    _log.error("step crashed", exc_info=error)
