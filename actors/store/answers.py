"""Answers on their way to whoever asked; whoever watches the store learns what fails."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from actors.store.store import StoreUnavailable

Failed = Callable[[str, StoreUnavailable], None]
Succeeded = Callable[[str], None]

# The names of the operations, as operators see them.
FIND_SUBSCRIBER: Final = "find subscriber"
FIND_TOKEN: Final = "find token"  # noqa: S105 - a name
SAVE_TOKEN: Final = "save token"  # noqa: S105
REGISTER: Final = "register"
REVOKE_TOKENS: Final = "revoke tokens"
REVOKE_SESSION: Final = "revoke session"
BUMP_GENERATION: Final = "bump generation"
IDENTITY_CHANGES: Final = "identity changes"
TRANSACT: Final = "transaction"


class Answers:
    """Hands every answer on, and counts those that are failures.

    Attributes:
        failures: StoreUnavailable answers by reason.
    """

    def __init__(self, failed: Failed | None = None, succeeded: Succeeded | None = None) -> None:
        """Begin with nothing failing.

        Args:
            failed: told of each failure with the name of its operation; must not raise.
            succeeded: told when an operation that had failed works again; must not raise.
        """
        self._failed = failed
        self._succeeded = succeeded
        self._failing: set[str] = set()
        self.failures: Counter[str] = Counter()

    def give(self, operation: str, reply: Callable[[Any], None], answer: object) -> None:
        """Tell the watcher, then whoever asked."""
        if isinstance(answer, StoreUnavailable):
            self.failures[answer.reason] += 1
            self._failing.add(operation)
            if self._failed is not None:
                self._failed(operation, answer)
        elif self._failing and operation in self._failing:
            self._failing.discard(operation)
            if self._succeeded is not None:
                self._succeeded(operation)
        reply(answer)
