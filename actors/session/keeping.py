"""What an answer promises beyond this process: the token issued, the notifications registered.

Source: GSMA TS.43 v12 §2.8.5 (tokens), §2.9.5 (RegisterNotifStatus).
"""

import secrets
import time
from collections.abc import Callable

from actors.session.messages import Keep, Stored, StoreFailed
from actors.store.records import NewToken, Registration, RegistrationStatus
from actors.store.store import Store, StoreUnavailable, TokenSuperseded
from actors.store.tokens import SECRET_OCTETS, mint, token_hash
from config.model import Tenant

KeptReply = Callable[[Stored | StoreFailed], None]


class Keeping:
    """Carries out `Keep` effects against the store, one write after the other."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, tenant: Tenant, keep: Keep, reply: KeptReply) -> None:
        """Register first, then issue the token; `reply` once, when all of it is on disk."""
        request = keep.request
        if request.notif_action is None:
            return self._issue(tenant, keep, None, reply)

        def registered(status: RegistrationStatus | StoreUnavailable) -> None:
            if isinstance(status, StoreUnavailable):
                reply(StoreFailed(f"store {status.reason}"))
            elif keep.issue_token:
                self._issue(tenant, keep, int(status), reply)
            else:
                reply(Stored("", int(status)))

        self._store.register_notification(
            Registration(
                tenant=tenant.id,
                imsi=keep.imsi,
                terminal_id=request.terminal_id,
                apps=request.apps,
                app_name=request.app_name,
                action=request.notif_action,
                push_token=request.notif_token,
                at=int(time.time()),
            ),
            registered,
        )

    def _issue(
        self, tenant: Tenant, keep: Keep, notification_status: int | None, reply: KeptReply
    ) -> None:
        request = keep.request
        token = mint(tenant.id, keep.imsi, secrets.token_bytes(SECRET_OCTETS))
        hashed = token_hash(token)
        assert hashed is not None, "a minted token has the form of one"
        now = int(time.time())

        def saved(failure: StoreUnavailable | TokenSuperseded | None) -> None:
            if failure is None:
                reply(Stored(token, notification_status))
            elif isinstance(failure, TokenSuperseded):
                # Revoked while it was on its way (a SIM swap, say): the device starts over.
                reply(StoreFailed("token superseded"))
            else:
                reply(StoreFailed(f"store {failure.reason}"))

        self._store.save_token(
            NewToken(
                tenant=tenant.id,
                token_hash=hashed,
                imsi=keep.imsi,
                terminal_id=request.terminal_id,
                apps=request.apps,
                app_name=request.app_name,
                issued=now,
                expires=now + tenant.tokens.validity_seconds,
                grace_seconds=tenant.tokens.grace_seconds,
                generation=keep.token_generation,
                method="eap-aka",
                diameter_session_id=keep.diameter_session_id,
                terminal_vendor=request.terminal_vendor,
                terminal_model=request.terminal_model,
                terminal_sw_version=request.terminal_sw_version,
            ),
            saved,
        )
