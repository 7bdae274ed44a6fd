"""Transactions whose steps need each other's answers: orders, and what can wait a millisecond.

They run in threads, with psycopg, on connections of their own: a few of them at a time, for they
are rare. The pipeline is for the requests of devices, which are not.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import psycopg
import trio

from actors.store.postgres.database import PostgresDatabase, StatementFailed
from actors.store.postgres.failures import AGAIN, RECONNECT, unavailable
from actors.store.schema import DatabaseRefused
from actors.store.sql import Database
from actors.store.store import StoreUnavailable
from config.model import Store as Settings

THREADS: Final = 4
TRIES: Final = 5

T = TypeVar("T")


class Transacting:
    """Carries out operations, each in one transaction.

    Attributes:
        waiting: operations not answered yet.
        crashes: operations and replies that raised what they may not.
    """

    def __init__(
        self,
        settings: Settings,
        end_turn: Callable[[], None],
        crashed: Callable[[Exception], None] | None,
    ) -> None:
        """Describe it; `run` begins.

        Args:
            end_turn: called once after each reply.
            crashed: told of bugs; must not raise.
        """
        self._settings = settings
        self._end_turn = end_turn
        self._crashed = crashed
        self._idle: list[PostgresDatabase] = []  # used by the threads; append and pop are atomic
        self._limiter = trio.CapacityLimiter(THREADS)
        self._nursery: trio.Nursery | None = None
        self.waiting = 0
        self.crashes = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take operations until cancelled; those that were taken are finished."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None
            while self._idle:
                self._idle.pop().close()

    def transact(
        self,
        tenant: str,
        operation: Callable[[Database], T],
        reply: Callable[[T | StoreUnavailable], None],
    ) -> None:
        """Carry out an operation; `reply` once, after the commit.

        Args:
            operation: runs in a thread, and again after a rollback.
        """
        if self._nursery is None:
            reply(StoreUnavailable("closed"))
        elif self.waiting >= self._settings.queue_bound:
            reply(StoreUnavailable("full-queue"))
        else:
            self.waiting += 1
            self._nursery.start_soon(self._carry_out, tenant, operation, reply)

    async def _carry_out(
        self, tenant: str, operation: Callable[[Database], Any], reply: Callable[[Any], None]
    ) -> None:
        with trio.CancelScope(shield=True):  # what was taken is done
            answer = await trio.to_thread.run_sync(
                partial(self._try, tenant, operation), limiter=self._limiter
            )
        self.waiting -= 1
        try:
            if isinstance(answer, _Crash):
                self._note(answer.bug)
                answer = StoreUnavailable("crash", type(answer.bug).__name__)
            reply(answer)
        except Exception as bug:
            self._note(bug)
        self._end_turn()

    def _note(self, bug: Exception) -> None:
        self.crashes += 1
        if self._crashed is not None:
            self._crashed(bug)

    # --- in a thread ------------------------------------------------------------------------

    def _try(self, tenant: str, operation: Callable[[Database], T]) -> object:
        """The result, or a StoreUnavailable, or a _Crash."""
        failure = StoreUnavailable("other")
        for _ in range(TRIES):
            try:
                database = self._idle.pop() if self._idle else self._opened()
            except DatabaseRefused as error:
                return StoreUnavailable("connection", str(error))
            committing = False
            try:
                database.execute("BEGIN")
                database.act_for(tenant)
                result = operation(database)
                committing = True
                database.execute("COMMIT")
            except StatementFailed as error:
                failure = unavailable(error.state, error.text) if error.state else _LOST
                self._put_back(database)
                known = not committing or error.state  # a lost COMMIT may have been done
                if not known or (error.state and error.state not in AGAIN | RECONNECT):
                    return failure
            except Exception as bug:  # an operation's own: nothing of it is kept
                self._put_back(database)
                return _Crash(bug)
            else:
                self._idle.append(database)
                return result
        return failure

    def _opened(self) -> PostgresDatabase:
        settings = self._settings
        database = PostgresDatabase(settings.postgres, connect_seconds=settings.connect_seconds)
        database.execute(f"SET statement_timeout = {int(settings.statement_seconds * 1_000)}")
        return database

    def _put_back(self, database: PostgresDatabase) -> None:
        """After a rollback it can be used again, if it is still there."""
        try:
            if database.in_transaction:
                database.execute("ROLLBACK")
        except (DatabaseRefused, psycopg.Error):
            database.close()
        else:
            self._idle.append(database)


class _Crash:
    """What an operation raised."""

    def __init__(self, bug: Exception) -> None:
        self.bug = bug


_LOST: Final = StoreUnavailable("connection", "connection: lost in the middle of a transaction")
