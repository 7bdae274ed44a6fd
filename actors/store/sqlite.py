"""The embedded store: SQLite, read inline on the Trio thread, written by the database thread.

A point read costs 4 to 9 µs and never waits for the writer (WAL), so it happens where it is asked
for. Other processes, such as the command line, may use the same file at the same time.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import trio

from actors.backends.bss import Plan, Subscriber, SubscriberReply
from actors.store import answers, push_tokens, writes
from actors.store.answers import Answers, Failed, Succeeded
from actors.store.database import connect, open_database
from actors.store.failures import unavailable
from actors.store.group_commit import GroupCommit
from actors.store.plans import PlanCache
from actors.store.records import (
    HISTORY,
    HISTORY_ROWS,
    Identity,
    NewToken,
    NotificationAction,
    Registration,
    RegistrationStatus,
    history_of,
)
from actors.store.sql import Database
from actors.store.store import (
    CountReply,
    HistoryReply,
    RegistrationReply,
    SavedReply,
    StoreStatistics,
    StoreUnavailable,
    TokenReply,
    TokenSuperseded,
)
from actors.store.subscriber_rows import FIND_SUBSCRIBER, subscriber_of
from actors.store.token_rows import FIND_BY_HASH, Sweeper, split_hash, token_of
from config.model import Store as Settings

T = TypeVar("T")

READ_BUSY_SECONDS: Final = 0.05  # readers wait for nobody in WAL mode, but for its recovery


class SqliteStore:
    """`actors.store.store.Store` in one file. All methods are for the Trio thread."""

    def __init__(
        self,
        path: Path,
        settings: Settings,
        end_turn: Callable[[], None],
        *,
        at_turn_end: Callable[[Callable[[], None]], None] | None = None,
        crashed: Callable[[Exception], None] | None = None,
        failed: Failed | None = None,
        succeeded: Succeeded | None = None,
    ) -> None:
        """Describe the store; `run` opens it.

        Args:
            path: the database file; its folder is made if it is missing.
            settings: [store] of the configuration.
            end_turn: called once after the replies of each batch of writes.
            at_turn_end: registers a step that ends every turn; the writes of a turn then go to
                the database thread together (`GroupCommit`).
            crashed: told of bugs in operations and replies; must not raise.
            failed: told of every StoreUnavailable (`Answers`).
            succeeded: told when an operation that had failed works again.
        """
        self._path = path
        self._settings = settings
        self._writer = GroupCommit(
            bound=settings.queue_bound,
            end_turn=end_turn,
            at_turn_end=at_turn_end,
            crashed=crashed,
        )
        self._reader: sqlite3.Connection | None = None
        self._save_tokens = _SaveTokens()
        self._plans = PlanCache()
        self._reads = 0
        self._failed_reads = 0
        self._answers = Answers(failed, succeeded)

    @property
    def ready(self) -> bool:
        """Whether it is open."""
        return self._reader is not None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Open, report ready, serve until cancelled, finish the writes that were taken, close.

        Raises:
            DatabaseRefused: the file cannot be used.
        """
        busy_seconds = self._settings.busy_seconds
        writer = await trio.to_thread.run_sync(
            lambda: open_database(self._path, busy_seconds=busy_seconds)
        )
        try:
            self._reader = connect(self._path, busy_seconds=READ_BUSY_SECONDS, read_only=True)
            await self._writer.run(writer, task_status=task_status)
        finally:
            reader, self._reader = self._reader, None
            if reader is not None:
                reader.close()
            writer.close()

    # --- reads ------------------------------------------------------------------------------

    def find_subscriber(self, tenant: str, imsi: str, reply: SubscriberReply) -> None:
        """The subscriber and its plan, None for a stranger, or StoreUnavailable."""
        row = self._row(FIND_SUBSCRIBER, (tenant, imsi))
        found = row if row is None or isinstance(row, StoreUnavailable) else self._subscriber(row)
        self._answer(answers.FIND_SUBSCRIBER, reply, found)

    def find_token(self, tenant: str, token_hash: bytes, reply: TokenReply) -> None:
        """The token of this hash if it is of this tenant, else None, or StoreUnavailable."""
        owner, hashed = split_hash(token_hash)
        row = self._row(FIND_BY_HASH, (owner, tenant))
        found = row if row is None or isinstance(row, StoreUnavailable) else token_of(row, hashed)
        self._answer(answers.FIND_TOKEN, reply, found)

    def identity_changes(
        self, tenant: str, kind: Identity, subject: str, reply: HistoryReply
    ) -> None:
        """The newest changes first, at most 100."""
        rows = self._rows(HISTORY, (tenant, int(kind), subject, HISTORY_ROWS))
        found = rows if isinstance(rows, StoreUnavailable) else history_of(rows)
        self._answer(answers.IDENTITY_CHANGES, reply, found)

    # --- writes -----------------------------------------------------------------------------

    def save_token(self, token: NewToken, reply: SavedReply) -> None:
        """Keep a token, its device and the identity history; None once committed."""
        self._writer.submit_to(
            self._save_tokens,
            token,
            partial(self._answers.give, answers.SAVE_TOKEN, reply),
            durable=self._settings.tokens_survive_power_cut,
        )

    def register_notification(self, registration: Registration, reply: RegistrationReply) -> None:
        """Register, change or end notifications. What is registered already costs no write.

        Android's client sends its registration again with every request.
        """
        if not push_tokens.is_valid(registration.action, registration.push_token):
            reply(RegistrationStatus.INVALID_TOKEN)
            return
        if registration.action != NotificationAction.DISABLE and self._has(registration):
            reply(RegistrationStatus.DUPLICATE)
            return
        self._writer.submit(
            lambda connection: writes.register(connection, registration),
            partial(self._answers.give, answers.REGISTER, reply),
            durable=self._settings.tokens_survive_power_cut,
        )

    def revoke_tokens(self, tenant: str, imsi: str, at: int, reply: CountReply) -> None:
        """Revoke all tokens of a subscriber, also those being issued; how many there were."""
        self._writer.submit(
            lambda connection: writes.revoke_tokens(connection, tenant, imsi, at),
            partial(self._answers.give, answers.REVOKE_TOKENS, reply),
            durable=True,
        )

    def revoke_session(
        self, tenant: str, diameter_session_id: bytes, at: int, reply: CountReply
    ) -> None:
        """Revoke the tokens that a Diameter session led to; how many there were."""
        self._writer.submit(
            lambda connection: writes.revoke_session(connection, tenant, diameter_session_id, at),
            partial(self._answers.give, answers.REVOKE_SESSION, reply),
            durable=True,
        )

    def bump_generation(self, tenant: str, imsi: str, reply: CountReply) -> None:
        """Void every token of a subscriber; the new generation, 0 for a stranger."""
        self._writer.submit(
            lambda connection: writes.bump_generation(connection, tenant, imsi),
            partial(self._answers.give, answers.BUMP_GENERATION, reply),
            durable=True,
        )

    def transact(
        self,
        tenant: str,
        operation: Callable[[Database], T],
        reply: Callable[[T | StoreUnavailable], None],
    ) -> None:
        """Carry out an operation in a durable transaction; see `Store`."""
        self._writer.submit(
            operation, partial(self._answers.give, answers.TRANSACT, reply), durable=True
        )

    def statistics(self) -> StoreStatistics:
        """Counters of this moment."""
        writer = self._writer
        return StoreStatistics(
            open=self.ready,
            reads=self._reads,
            failed_reads=self._failed_reads,
            received=writer.received,
            committed=writer.committed,
            failed=sum(writer.failures.values()) - writer.refused,
            refused=writer.refused,
            waiting=writer.waiting,
            batches=writer.batches,
            largest_batch=writer.largest_batch,
            longest_wait_seconds=writer.longest_wait_seconds,
            crashes=writer.crashes,
            failures=dict(self._answers.failures),
        )

    # --- inside -----------------------------------------------------------------------------

    def _rows(self, sql: str, values: tuple[object, ...]) -> list[Any] | StoreUnavailable:
        self._reads += 1
        if self._reader is None:
            return StoreUnavailable("closed")
        try:
            # fetchall resets the statement: an open read would hold up the checkpoint.
            return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            return unavailable(error)
        except UnicodeEncodeError:
            return []  # half of a surrogate pair is in no database

    def _row(self, sql: str, values: tuple[object, ...]) -> Any:  # noqa: ANN401 - a row
        rows = self._rows(sql, values)
        return rows if isinstance(rows, StoreUnavailable) else rows[0] if rows else None

    def _answer(self, operation: str, reply: Callable[[Any], None], answer: object) -> None:
        self._failed_reads += isinstance(answer, StoreUnavailable)
        self._answers.give(operation, reply, answer)

    def _subscriber(self, row: tuple[Any, ...]) -> tuple[Subscriber, Plan] | StoreUnavailable:
        try:
            subscriber = subscriber_of(row[:-2])
            return subscriber, self._plans.of(subscriber, row[-2], row[-1])
        except (ValueError, msgspec.DecodeError) as error:
            # Not by anything of ours: somebody wrote into the database by hand.
            return StoreUnavailable("bad-row", f"a row of subscribers or plans: {error}")

    def _has(self, registration: Registration) -> bool:
        self._reads += 1
        try:
            return self._reader is not None and writes.already_registered(
                self._reader, registration
            )
        except (sqlite3.Error, UnicodeEncodeError):
            return False  # the write will say so


class _SaveTokens:
    """Keeps tokens, and removes some that are no use any more; in the database thread."""

    def __init__(self) -> None:
        self._sweeper = Sweeper()

    def __call__(
        self, connection: sqlite3.Connection, tokens: Sequence[NewToken]
    ) -> list[TokenSuperseded | None]:
        self._sweeper.sweep(connection, tokens[0].issued)
        return writes.save_tokens(connection, tokens)
