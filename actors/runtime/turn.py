"""One turn of the loop: whoever received input ends it, and everything it led to is done at once.

Inputs (device sockets, Diameter peers, store completions, timers) arrive in the one Trio thread.
Their receiver handles all that is available, then calls `end()`: session actors that have mail are
stepped, then every outlet writes once what the turn produced. So a hundred requests that came in
one turn leave as one Diameter write, and no task is woken for any of them.
"""

from collections.abc import Callable
from typing import Final

ROUNDS: Final = 8  # stepping and flushing may cause new mail; more than this waits for another turn


class Turn:
    """Ends turns: steps first, flushers after them, each in the order of registration."""

    __slots__ = ("_again", "_ending", "_flushers", "_steps", "turns")

    def __init__(self) -> None:
        self._steps: list[Callable[[], None]] = []
        self._flushers: list[Callable[[], None]] = []
        self._ending = False
        self._again = False
        self.turns = 0

    def before_flush(self, step: Callable[[], None]) -> None:
        """Call `step` at the end of every turn, before anything is written. It must not raise."""
        self._steps.append(step)

    def flusher(self, flush: Callable[[], None]) -> None:
        """Call `flush` at the end of every turn, after the steps. It must not raise."""
        self._flushers.append(flush)

    def end(self) -> None:
        """End the turn. Called again from within a step or a flusher, it makes one more round."""
        if self._ending:
            self._again = True
            return
        self._ending = True
        self.turns += 1
        try:
            for _ in range(ROUNDS):
                self._again = False
                for step in self._steps:
                    step()
                for flush in self._flushers:
                    flush()
                if not self._again:
                    return
        finally:
            self._ending = False
