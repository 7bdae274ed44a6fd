"""How the store does, for operators: failures in the log, and a node that is not ready.

The store gives failures to whoever asked, as values, and tells this watch of them. Here the
operator learns why, in the log (which holds repetitions back), and a balancer in `/ready`.
"""

import time
from collections.abc import Callable
from typing import Final

import structlog

from actors.store.store import Store, StoreUnavailable

# Without requests nothing can show that the store is well again: then others are let try.
FAILING_SECONDS: Final = 30.0
# Overload, another writer, the end of the process, a bug in one operation, or one row that nobody
# can read: 503 for that device, but no reason to send all the others elsewhere. Nor is a database
# that cannot be reached, by itself: the store says how long it can serve without (`Store.ready`).
PASSING: Final = frozenset(
    {"locked", "full-queue", "closed", "crash", "bad-row", "refused", "timeout", "connection"}
)
# Of these, what a person must look at all the same.
ALARMS: Final = frozenset({"bad-row", "crash"})

_log = structlog.get_logger("store")


class StoreWatch:
    """Told by the store of what fails (`failed`) and of what works again (`succeeded`)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing failing.

        Args:
            clock: seconds.
        """
        self._clock = clock
        self._failing: dict[str, tuple[str, float]] = {}  # operation: why, when last

    def problem(self, store: Store) -> str:
        """Why no device should be sent here; empty when there is no reason.

        An operation that failed is failing until it succeeds again, but not for longer than
        `FAILING_SECONDS` after its last failure.
        """
        if not store.ready:
            return "the database is not open"
        since = self._clock() - FAILING_SECONDS
        self._failing = {name: one for name, one in self._failing.items() if one[1] > since}
        return ", ".join(f"{name} fails: {why}" for name, (why, _) in self._failing.items())

    def failed(self, operation: str, failure: StoreUnavailable) -> None:
        """An operation of the store came to nothing."""
        passing = failure.reason in PASSING
        if not passing:
            self._failing[operation] = (failure.reason, self._clock())
        level = _log.warning if passing and failure.reason not in ALARMS else _log.error
        level("store fails", operation=operation, reason=failure.reason, text=str(failure))

    def succeeded(self, operation: str) -> None:
        """An operation that had failed works again."""
        self._failing.pop(operation, None)
        _log.info("store works again", operation=operation)
