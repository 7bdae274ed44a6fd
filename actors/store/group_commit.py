"""The database thread: many writes in one transaction, one wake-up of the loop for all of them.

A transaction costs 0.25 ms of waiting for the disk, whatever is in it, and a hand-over to a thread
0.1 ms of CPU; shared by all writes that came meanwhile, both nearly vanish. So does the struggle
for the interpreter lock, which SQLite gives up at every statement: neighbours of one kind are one
call of a bulk operation (`submit_to`), a few statements for all of them.

When one write fails the batch is done again, one by one with a savepoint around each, so that it
fails alone; savepoints from the start would cost every write 9 µs (measured).

A write that was taken is never withdrawn: its caller may be gone, but "committed although the
caller believes it was cancelled" cannot happen.
"""

import queue
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, TypeVar

import trio

from actors.store.failures import unavailable
from actors.store.store import StoreUnavailable

BATCH: Final = 512  # more only adds to the time that the first one waits

T = TypeVar("T")
R = TypeVar("R")

_operation_of: Final = attrgetter("operation")
_record_of: Final = attrgetter("record")


class _Write:
    """One operation on its way to the disk and back."""

    __slots__ = ("asked", "durable", "operation", "record", "reply", "result")

    def __init__(
        self,
        operation: Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]],
        record: object,
        reply: Callable[[Any], None],
        durable: bool,
        asked: float,
    ) -> None:
        self.operation = operation
        self.record = record
        self.reply = reply
        self.durable = durable
        self.asked = asked
        self.result: Any = None


class GroupCommit:
    """Takes writes in the Trio thread, commits them in its own, replies in the Trio thread.

    Attributes:
        received: writes asked for; `refused` of them were not taken.
        waiting: writes not answered yet.
        failures: StoreUnavailable answers by reason.
        crashes: operations and replies that raised what they may not.
    """

    def __init__(
        self,
        *,
        bound: int,
        end_turn: Callable[[], None],
        crashed: Callable[[Exception], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Describe the thread; it starts with `run`.

        Args:
            bound: writes that may wait; above it they are refused at once.
            end_turn: called once after the replies of a batch.
            crashed: told of every bug in an operation or a reply; must not raise.
            clock: seconds, for the waiting time.
        """
        self._bound = bound
        self._end_turn = end_turn
        self._crashed = crashed
        self._clock = clock
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._accepting = False
        self.received = 0
        self.refused = 0
        self.waiting = 0
        self.committed = 0
        self.batches = 0
        self.largest_batch = 0
        self.longest_wait_seconds = 0.0
        self.crashes = 0
        self.failures: Counter[str] = Counter()

    def submit(
        self,
        operation: Callable[[sqlite3.Connection], T],
        reply: Callable[[T | StoreUnavailable], None],
        *,
        durable: bool,
    ) -> None:
        """Queue a write; call in the Trio thread.

        Args:
            operation: changes the database, in the database thread, inside a transaction that is
                not its own; what it returns is the reply. It may be called again after a
                rollback, when another write of its batch failed.
            reply: called once, after the commit; before this returns when the write is refused.
            durable: on disk before the reply, against a power cut too. Without it a killed
                process loses nothing either.
        """
        self.submit_to(lambda connection, _: (operation(connection),), None, reply, durable=durable)

    def submit_to(
        self,
        bulk: Callable[[sqlite3.Connection, Sequence[R]], Sequence[T]],
        record: R,
        reply: Callable[[T | StoreUnavailable], None],
        *,
        durable: bool,
    ) -> None:
        """Queue a write that is done together with its neighbours; call in the Trio thread.

        Args:
            bulk: as `operation` of `submit`, for several records; as many results, in order.
            record: what it is given.
            reply: as for `submit`.
            durable: as for `submit`.
        """
        self.received += 1
        if not self._accepting or self.waiting >= self._bound:
            self.refused += 1
            reason = "full-queue" if self._accepting else "closed"
            self.failures[reason] += 1
            reply(StoreUnavailable(reason))
            return
        self.waiting += 1
        self._queue.put(_Write(bulk, record, reply, durable, self._clock()))

    async def run(
        self,
        connection: sqlite3.Connection,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Commit until cancelled; then commit and answer what was taken before."""
        entry = trio.lowlevel.current_trio_token()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._serve_in_thread, connection, entry)
                self._accepting = True
                task_status.started()
                try:
                    await trio.sleep_forever()
                finally:
                    self._accepting = False
                    self._queue.put(None)
        finally:
            self._refuse_the_rest()

    async def _serve_in_thread(
        self, connection: sqlite3.Connection, entry: trio.lowlevel.TrioToken
    ) -> None:
        # Shielded: a cancelled start would leave writes behind that were taken.
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(
                self._serve, connection, entry, limiter=trio.CapacityLimiter(1)
            )

    def _serve(self, connection: sqlite3.Connection, entry: trio.lowlevel.TrioToken) -> None:
        """The thread."""
        synchronous = True
        while (batch := self._next_batch()) is not None:
            durable = any(write.durable for write in batch)
            bugs: list[Exception] = []
            try:
                if durable != synchronous:
                    connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                    synchronous = durable
                _commit(connection, batch, bugs)
            except Exception as error:
                _roll_back(connection)
                if not isinstance(error, sqlite3.Error):
                    bugs.append(error)  # an operation that ended the transaction of its batch
                for write in batch:
                    write.result = unavailable(error)
            try:
                entry.run_sync_soon(self._deliver, batch, bugs)
            except trio.RunFinishedError:
                return  # nobody is left to be told

    def _next_batch(self) -> list[_Write] | None:
        first = self._queue.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < BATCH:
            try:
                write = self._queue.get_nowait()
            except queue.Empty:
                break
            if write is None:
                self._queue.put(None)  # the end: after this batch
                break
            batch.append(write)
        return batch

    def _deliver(self, batch: list[_Write], bugs: list[Exception]) -> None:
        """In the Trio thread: tell everybody, then end the turn."""
        self.batches += 1
        self.largest_batch = max(self.largest_batch, len(batch))
        self.longest_wait_seconds = max(
            self.longest_wait_seconds, self._clock() - min(write.asked for write in batch)
        )
        for bug in bugs:
            self._note(bug)
        for write in batch:
            self.waiting -= 1
            if isinstance(write.result, StoreUnavailable):
                self.failures[write.result.reason] += 1
            else:
                self.committed += 1
            self._tell(write)
        self._end_turn()

    def _refuse_the_rest(self) -> None:
        """After the thread: nothing may be left without an answer."""
        while not self._queue.empty():
            write = self._queue.get_nowait()
            if write is not None:
                self.waiting -= 1
                self.failures["closed"] += 1
                write.result = StoreUnavailable("closed")
                self._tell(write)

    def _tell(self, write: _Write) -> None:
        try:
            write.reply(write.result)
        except Exception as bug:  # one reply that fails must not cost the others theirs
            self._note(bug)

    def _note(self, bug: Exception) -> None:
        self.crashes += 1
        if self._crashed is not None:
            self._crashed(bug)


def _commit(connection: sqlite3.Connection, batch: list[_Write], bugs: list[Exception]) -> None:
    """Everything in one transaction; a write that fails comes to nothing alone.

    Raises:
        sqlite3.Error: nothing of it was kept.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        for operation, neighbours in groupby(batch, _operation_of):
            writes = list(neighbours)
            results = operation(connection, list(map(_record_of, writes)))
            for write, result in zip(writes, results, strict=True):
                write.result = result
    except Exception:
        _roll_back(connection)
        connection.execute("BEGIN IMMEDIATE")
        for write in batch:
            _try(connection, write, bugs)
    connection.execute("COMMIT")


def _try(connection: sqlite3.Connection, write: _Write, bugs: list[Exception]) -> None:
    connection.execute("SAVEPOINT one")
    try:
        (write.result,) = write.operation(connection, (write.record,))
    except Exception as error:
        if not connection.in_transaction:
            # A full or failing disk makes SQLite roll back all of the transaction.
            raise
        connection.execute("ROLLBACK TO one")
        write.result = unavailable(error)
        if not isinstance(error, sqlite3.Error):
            bugs.append(error)
    connection.execute("RELEASE one")


def _roll_back(connection: sqlite3.Connection) -> None:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        pass  # the next BEGIN fails as well then, and says so
