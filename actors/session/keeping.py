"""What an answer promises beyond this process: the token issued, the notifications registered.

Source: GSMA TS.43 v12 §2.8.5 (tokens), §2.9.5 (RegisterNotifStatus).
"""

import time
from collections.abc import Callable

from actors.session.messages import Keep, Stored, StoreFailed
from actors.session.randomness import RandomOctets
from actors.store.records import NewToken, Registration, RegistrationStatus
from actors.store.store import Store, StoreUnavailable, TokenSuperseded
from actors.store.tokens import SECRET_OCTETS, mint, owner_key, token_hash
from config.model import Tenant

KeptReply = Callable[[Stored | StoreFailed], None]


class Keeping:
    """Carries out `Keep` effects against the store; `reply` once, when all of it is on disk."""

    def __init__(self, store: Store, random: RandomOctets) -> None:
        self._store = store
        self._random = random

    def keep(self, tenant: Tenant, keep: Keep, reply: KeptReply) -> None:
        """Ask for both writes at once, so that they share one commit."""
        registers = keep.request.notif_action is not None
        promise = _Promise(reply, waiting=registers + keep.issue_token)
        if registers:
            self._store.register_notification(_registration(tenant, keep), promise.registered)
        if keep.issue_token:
            request = keep.request
            owner = owner_key(
                tenant.id, keep.imsi, request.terminal_id, request.apps, request.app_name
            )
            token = mint(tenant.id, keep.imsi, self._random.take(SECRET_OCTETS), owner)
            promise.token = token
            self._store.save_token(_new_token(tenant, keep, token), promise.saved)


class _Promise:
    """One `Keep` on its way: it is kept when every write has answered."""

    __slots__ = ("_cause", "_reply", "_status", "_waiting", "token")

    def __init__(self, reply: KeptReply, waiting: int) -> None:
        self._reply = reply
        self._waiting = waiting
        self._status: int | None = None
        self._cause = ""
        self.token = ""

    def registered(self, status: RegistrationStatus | StoreUnavailable) -> None:
        """The registration is on disk, or not."""
        if isinstance(status, StoreUnavailable):
            self._cause = f"store {status.reason}"
        else:
            self._status = int(status)
        self._answered()

    def saved(self, failure: StoreUnavailable | TokenSuperseded | None) -> None:
        """The token is on disk, or not."""
        if isinstance(failure, TokenSuperseded):
            # Revoked while it was on its way (a SIM swap, say): the device starts over.
            self._cause = "token superseded"
        elif failure is not None:
            self._cause = f"store {failure.reason}"
        self._answered()

    def _answered(self) -> None:
        self._waiting -= 1
        if not self._waiting:
            failed = bool(self._cause)
            self._reply(StoreFailed(self._cause) if failed else Stored(self.token, self._status))


def _registration(tenant: Tenant, keep: Keep) -> Registration:
    request = keep.request
    return Registration(
        tenant=tenant.id,
        imsi=keep.imsi,
        terminal_id=request.terminal_id,
        apps=request.apps,
        app_name=request.app_name,
        action=-1 if request.notif_action is None else request.notif_action,
        push_token=request.notif_token,
        at=int(time.time()),
    )


def _new_token(tenant: Tenant, keep: Keep, token: str) -> NewToken:
    request = keep.request
    hashed = token_hash(token)
    assert hashed is not None, "a minted token has the form of one"
    now = int(time.time())
    return NewToken(
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
    )
