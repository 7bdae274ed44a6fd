"""The store as the node uses it, watched: what fails is logged and makes the node not ready.

The store gives failures to whoever asked, as values. Here the operator learns of them: why, in the
log (which holds repetitions back), and for a balancer in `/ready`.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog
import trio

from actors.backends.bss import SubscriberReply
from actors.store.records import Identity, NewToken, Registration
from actors.store.store import (
    CountReply,
    HistoryReply,
    RegistrationReply,
    SavedReply,
    Store,
    StoreStatistics,
    StoreUnavailable,
    TokenReply,
)

# Without requests nothing can show that the store is well again: then others are let try.
FAILING_SECONDS: Final = 30.0
# Overload, another writer, the end of the process, or a bug in one operation: 503 for that one, but
# no reason to send all devices elsewhere.
PASSING: Final = frozenset({"locked", "full-queue", "closed", "crash"})

_log = structlog.get_logger("store")


class WatchedStore:
    """Hands everything on and looks at the replies; `Store` and `Bss` of the sessions."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        """Watch a store.

        Args:
            clock: seconds.
        """
        self._store = store
        self._clock = clock
        self._failing: dict[str, tuple[str, float]] = {}  # operation: why, when last

    @property
    def ready(self) -> bool:
        """Whether it is open; `problem` tells more."""
        return self._store.ready

    def problem(self) -> str:
        """Why no device should be sent here; empty when there is no reason.

        An operation that failed is failing until it succeeds again, but not for longer than
        `FAILING_SECONDS` after its last failure.
        """
        if not self._store.ready:
            return "the database is not open"
        since = self._clock() - FAILING_SECONDS
        self._failing = {name: one for name, one in self._failing.items() if one[1] > since}
        return ", ".join(f"{name} fails: {why}" for name, (why, _) in self._failing.items())

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        await self._store.run(task_status=task_status)

    def find_subscriber(self, tenant: str, imsi: str, reply: SubscriberReply) -> None:
        """See `Bss`."""
        self._store.find_subscriber(tenant, imsi, self._watched("find subscriber", reply))

    def find_token(self, tenant: str, token_hash: bytes, reply: TokenReply) -> None:
        """See `Store`."""
        self._store.find_token(tenant, token_hash, self._watched("find token", reply))

    def has_session(self, tenant: str, diameter_session_id: bytes) -> bool:
        """See `Store`; a failure is a no and cannot be seen here."""
        return self._store.has_session(tenant, diameter_session_id)

    def save_token(self, token: NewToken, reply: SavedReply) -> None:
        """See `Store`."""
        self._store.save_token(token, self._watched("save token", reply))

    def register_notification(self, registration: Registration, reply: RegistrationReply) -> None:
        """See `Store`."""
        self._store.register_notification(registration, self._watched("register", reply))

    def revoke_tokens(self, tenant: str, imsi: str, at: int, reply: CountReply) -> None:
        """See `Store`."""
        self._store.revoke_tokens(tenant, imsi, at, self._watched("revoke tokens", reply))

    def revoke_session(
        self, tenant: str, diameter_session_id: bytes, at: int, reply: CountReply
    ) -> None:
        """See `Store`."""
        watched = self._watched("revoke session", reply)
        self._store.revoke_session(tenant, diameter_session_id, at, watched)

    def bump_generation(self, tenant: str, imsi: str, reply: CountReply) -> None:
        """See `Store`."""
        self._store.bump_generation(tenant, imsi, self._watched("bump generation", reply))

    def identity_changes(
        self, tenant: str, kind: Identity, subject: str, reply: HistoryReply
    ) -> None:
        """See `Store`."""
        watched = self._watched("identity changes", reply)
        self._store.identity_changes(tenant, kind, subject, watched)

    def statistics(self) -> StoreStatistics:
        """See `Store`."""
        return self._store.statistics()

    def _watched(self, operation: str, reply: Callable[[Any], None]) -> Callable[[Any], None]:
        return partial(self._replied, operation, reply)

    def _replied(self, operation: str, reply: Callable[[Any], None], value: object) -> None:
        if isinstance(value, StoreUnavailable):
            self._failed(operation, value)
        elif self._failing:
            self._failing.pop(operation, None)
        reply(value)

    def _failed(self, operation: str, failure: StoreUnavailable) -> None:
        if failure.reason in PASSING:
            level = _log.warning
        else:
            level = _log.error
            self._failing[operation] = (failure.reason, self._clock())
        level("store fails", operation=operation, reason=failure.reason, text=str(failure))
