"""One turn of the loop: what was received is worked off, then everything leaves in a few writes.

Whoever receives input (device sockets, a Diameter socket, store completions, timers) handles all of
it and calls `Turn.end` once. The turn first steps the actors that have mail (`before_flush`), then
lets every output write what has gathered (`flusher`): one write per Diameter peer and one per
changed device connection, instead of one per message. Everything runs in the Trio thread.
"""

from collections.abc import Callable
from typing import Final

import trio

ROUNDS: Final = 8  # within one turn; what still produces work then waits for the sockets' turn

Step = Callable[[], None]


class Turn:
    """The end of every turn, registered once and called often.

    Attributes:
        turns: how often the steps were walked through.
        crashes: exceptions that came out of a step, or were reported with `crashed`.
    """

    __slots__ = (
        "_again",
        "_before",
        "_failed",
        "_flushers",
        "_on_crash",
        "_running",
        "crashes",
        "turns",
    )

    def __init__(self, on_crash: Callable[[Exception], None] | None = None) -> None:
        """Begin without steps.

        Args:
            on_crash: told of every exception, which then ends nothing; must not raise. Without
                it, `end` raises the first one after all steps have run: right for tests.
        """
        self._before: tuple[Step, ...] = ()
        self._flushers: tuple[Step, ...] = ()
        self._on_crash = on_crash
        self._running = False
        self._again = False
        self._failed: Exception | None = None
        self.turns = 0
        self.crashes = 0

    def before_flush(self, step: Step) -> None:
        """Call `step` in every turn before the flushers, in order of registration."""
        self._before += (step,)

    def flusher(self, step: Step) -> None:
        """Call `step` in every turn after all the others, in order of registration.

        A flusher that makes new work, such as mail about a lost connection, calls `end` itself.
        """
        self._flushers += (step,)

    def end(self) -> None:
        """Work off what the input brought, and write.

        Called from inside a step it only asks for one more round. A step that raises does not
        keep the others from running.
        """
        if self._running:
            self._again = True
            return
        self._running = True
        try:
            self._rounds()
        finally:
            self._running = False
        if self._failed is not None:
            failed, self._failed = self._failed, None
            raise failed

    def crashed(self, error: Exception) -> None:
        """Count an exception of a shell elsewhere and report it the way `end` does."""
        self.crashes += 1
        if self._on_crash is not None:
            self._on_crash(error)
        elif self._failed is None:
            self._failed = error

    def _rounds(self) -> None:
        for _ in range(ROUNDS):
            self._again = False
            self.turns += 1
            for step in self._before:
                try:
                    step()
                except Exception as error:  # one output's bug must not silence the others
                    self.crashed(error)
            for step in self._flushers:
                try:
                    step()
                except Exception as error:
                    self.crashed(error)
            if not self._again:
                return
        self._again = False
        trio.lowlevel.current_trio_token().run_sync_soon(self._later, idempotent=True)

    def _later(self) -> None:
        """The rounds that one turn did not get: run by Trio, where nobody could take an error."""
        try:
            self.end()
        except Exception as error:
            self._failed = error  # raised by the next turn, in a task
