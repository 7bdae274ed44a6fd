"""RAR and ASR: the AAA ends a session, and the tokens that came of it die."""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from actors.counters import Counters
from actors.diameter.outcomes import ServerRequest
from actors.store.store import Store, StoreUnavailable

DIAMETER_SUCCESS: Final = 2001
DIAMETER_UNKNOWN_SESSION_ID: Final = 5002
DIAMETER_UNABLE_TO_COMPLY: Final = 5012

_log = structlog.get_logger("sessions")


class Revocation:
    """Revokes the tokens of one Diameter session, whichever tenants they are of; then replies.

    The result is 2001 once they are revoked on disk (or when there were none, of a session that is
    under way), 5012 when they could not be, 5002 when nothing is known by that id.
    """

    def __init__(
        self,
        request: ServerRequest,
        reply: Callable[[int], None],
        *,
        under_way: bool,
        store: Store,
        tenants: tuple[str, ...],
        counters: Counters,
    ) -> None:
        """Ask the store at once.

        Args:
            reply: takes the Result-Code.
            under_way: a session of this process has that id.
            tenants: ids of all tenants; a Session-Id does not say whose it is.
        """
        self._reply = reply
        self._counters = counters
        self._known = under_way
        self._failed = False
        self._waiting = len(tenants)
        now = int(time.time())
        for tenant in tenants:
            store.revoke_session(tenant, request.session_id, now, partial(self._revoked, tenant))

    def _revoked(self, tenant: str, count: int | StoreUnavailable) -> None:
        self._waiting -= 1
        if isinstance(count, StoreUnavailable):
            self._failed = True
            _log.error("tokens not revoked", tenant=tenant, reason=count.reason)
        elif count:
            self._known = True
            self._counters.token(tenant, "revoked-by-aaa")
        if not self._waiting:
            self._reply(self._result())

    def _result(self) -> int:
        if self._failed:
            return DIAMETER_UNABLE_TO_COMPLY
        return DIAMETER_SUCCESS if self._known else DIAMETER_UNKNOWN_SESSION_ID
