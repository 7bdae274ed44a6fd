"""The store's port: what the sessions ask of it, and the answers.

Callback style, as everywhere on the hot path: `reply` is called exactly once, in the Trio thread,
at once for a read of the embedded database, after the commit for a write. Failures come as values,
never as exceptions. Engines: `actors/store/sqlite.py` (embedded) and `actors/store/postgres`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import trio

from actors.backends.bss import BssUnavailable, SubscriberReply
from actors.store.records import (
    Identity,
    IdentityChange,
    NewToken,
    Registration,
    RegistrationStatus,
    Token,
)
from actors.store.sql import Database

T = TypeVar("T")


class StoreUnavailable(BssUnavailable):
    """The store could not read or keep something now; the device gets 503.

    Attributes:
        reason: one word for counters: `closed`, `full-queue`, `locked`, `full-disk`, `corrupt`
            (the database), `bad-row` (one row of it), `read-only`, `input-output`, `crash`,
            `connection` (to the server), `timeout`, `refused`, `other`.
    """

    def __init__(self, reason: str, text: str = "") -> None:
        super().__init__(text or reason)
        self.reason = reason


class TokenSuperseded(Exception):
    """The subscriber's tokens were revoked while this one was on its way: it was not kept."""


TokenReply = Callable[[Token | StoreUnavailable | None], None]
SavedReply = Callable[[StoreUnavailable | TokenSuperseded | None], None]
RegistrationReply = Callable[[RegistrationStatus | StoreUnavailable], None]
CountReply = Callable[[int | StoreUnavailable], None]
HistoryReply = Callable[[tuple[IdentityChange, ...] | StoreUnavailable], None]


@dataclass(frozen=True, slots=True)
class ConnectionStatistics:
    """One of the connections to PostgreSQL."""

    name: str
    """What it is for."""
    open: bool
    """Whether it is up."""
    waiting: int
    """Requests not answered yet."""
    connects: int
    """How often it was opened."""
    losses: int
    """How often it was lost, or could not be opened."""
    transactions: int
    """Transactions sent."""
    largest_transaction: int
    """The most requests that shared one."""
    asked_again: int
    """Requests that were sent once more."""
    timeouts: int
    """Requests that were not answered before their deadline."""
    refused: int
    """Requests not taken: too many were waiting, or the database was away."""
    longest_wait_seconds: float
    """The longest time from asking to the answer."""


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """The rows that a store in PostgreSQL keeps in memory."""

    active_tokens: int
    """Tokens in memory now."""
    active_subscribers: int
    """Subscribers in memory now."""
    hits: int
    """Reads answered from memory with a current row."""
    stale_hits: int
    """Reads answered from memory because the database was away."""
    invalidations: int
    """Rows forgotten because they changed."""
    reached_now: bool
    """Whether the database is reached now; if not, devices are served from memory."""
    hearing_now: bool
    """Whether the node hears now of changes that others make."""


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """The store as it stands now; all counts since the start."""

    open: bool
    """Whether it reads and writes."""
    reads: int
    """Point reads asked for."""
    failed_reads: int
    """Reads answered with StoreUnavailable."""
    received: int
    """Writes asked for."""
    committed: int
    """Writes that are on disk."""
    failed: int
    """Writes that came to nothing."""
    refused: int
    """Writes not taken: too many were waiting, or the store was closed."""
    waiting: int
    """Writes not answered yet."""
    batches: int
    """Transactions."""
    largest_batch: int
    """The most writes that shared one transaction."""
    longest_wait_seconds: float
    """The longest time from asking to the answer."""
    crashes: int
    """Bugs: a write or a reply that raised what it may not."""
    failures: dict[str, int]
    """StoreUnavailable answers by reason."""
    connections: tuple[ConnectionStatistics, ...] = ()
    """Of PostgreSQL."""
    cache: CacheStatistics | None = None
    """Of PostgreSQL."""


class Store(Protocol):
    """Tokens, devices, registrations and subscribers of all tenants."""

    @property
    def ready(self) -> bool:
        """Whether it is open."""
        ...

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Serve until cancelled, then finish what was taken; reports ready once open."""
        ...

    def find_subscriber(self, tenant: str, imsi: str, reply: SubscriberReply) -> None:
        """The subscriber and its plan; None for a stranger (`actors.backends.bss.Bss`)."""
        ...

    def find_token(self, tenant: str, token_hash: bytes, reply: TokenReply) -> None:
        """The token of this hash, valid or not, if it is of this tenant; else None."""
        ...

    def save_token(self, token: NewToken, reply: SavedReply) -> None:
        """Keep a token, its device and the identity history; None once committed."""
        ...

    def register_notification(self, registration: Registration, reply: RegistrationReply) -> None:
        """Register, change or end the notifications of each app; one status for all."""
        ...

    def revoke_tokens(self, tenant: str, imsi: str, at: int, reply: CountReply) -> None:
        """Revoke all tokens of a subscriber, also those being issued: bumps the generation."""
        ...

    def revoke_session(
        self, tenant: str, diameter_session_id: bytes, at: int, reply: CountReply
    ) -> None:
        """Revoke the tokens that this Diameter session led to."""
        ...

    def bump_generation(self, tenant: str, imsi: str, reply: CountReply) -> None:
        """Void every token of a subscriber; the new generation, 0 for a stranger."""
        ...

    def identity_changes(
        self, tenant: str, kind: Identity, subject: str, reply: HistoryReply
    ) -> None:
        """The newest changes first, at most 100."""
        ...

    def transact(
        self,
        tenant: str,
        operation: Callable[[Database], T],
        reply: Callable[[T | StoreUnavailable], None],
    ) -> None:
        """Carry out an operation on the rows of one tenant, in a transaction that is not its own.

        For what is rare and can wait: it runs in a thread, and again after a rollback. What it
        returns is the reply once that is on disk. After a StoreUnavailable of `connection` nobody
        knows whether it was done.
        """
        ...

    def statistics(self) -> StoreStatistics:
        """Counters of this moment."""
        ...
