"""The database thread: many writes in one transaction, one wake-up of the loop for all of them.

A transaction costs 0.25 ms of waiting for the disk, whatever is in it, and a hand-over to a thread
0.1 ms of CPU; shared by all writes that came meanwhile, both nearly vanish. So does the struggle
for the interpreter lock, which SQLite gives up at every statement: neighbours of one kind are one
call of a bulk operation (`submit_to`), a few statements for all of them.

A write that was taken is never withdrawn: its caller may be gone, but "committed although the
caller believes it was cancelled" cannot happen.
"""

import queue
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import trio

from actors.store.batches import Write, commit, roll_back
from actors.store.failures import unavailable
from actors.store.store import StoreUnavailable

BATCH: Final = 512  # more only adds to the time that the first one waits

T = TypeVar("T")
R = TypeVar("R")


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
        at_turn_end: Callable[[Callable[[], None]], None] | None = None,
        crashed: Callable[[Exception], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Describe the thread; it starts with `run`.

        Args:
            bound: writes that may wait; above it they are refused at once.
            end_turn: called once after the replies of a batch.
            at_turn_end: registers a step that ends every turn (`Turn.flusher`). The writes of a
                turn are then handed over together: the thread wakes up once and finds larger
                batches. Without it each is handed over at once.
            crashed: told of every bug in an operation or a reply; must not raise.
            clock: seconds, for the waiting time.
        """
        self._bound = bound
        self._end_turn = end_turn
        self._crashed = crashed
        self._clock = clock
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._gathered: list[Write] = []
        self._gathers = at_turn_end is not None
        if at_turn_end is not None:
            at_turn_end(self._hand_over)
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
        write = Write(bulk, record, reply, durable, self._clock())
        if self._gathers:
            self._gathered.append(write)
        else:
            self._queue.put(write)

    def _hand_over(self) -> None:
        if self._gathered:
            for write in self._gathered:
                self._queue.put(write)
            self._gathered.clear()

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
                    self._hand_over()
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
                commit(connection, batch, bugs)
            except Exception as error:
                roll_back(connection)
                if not isinstance(error, sqlite3.Error):
                    bugs.append(error)  # an operation that ended the transaction of its batch
                for write in batch:
                    write.result = unavailable(error)
            try:
                entry.run_sync_soon(self._deliver, batch, bugs)
            except trio.RunFinishedError:
                return  # nobody is left to be told

    def _next_batch(self) -> list[Write] | None:
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

    def _deliver(self, batch: list[Write], bugs: list[Exception]) -> None:
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
        self._hand_over()
        while not self._queue.empty():
            write = self._queue.get_nowait()
            if write is not None:
                self.waiting -= 1
                self.failures["closed"] += 1
                write.result = StoreUnavailable("closed")
                self._tell(write)

    def _tell(self, write: Write) -> None:
        try:
            write.reply(write.result)
        except Exception as bug:  # one reply that fails must not cost the others theirs
            self._note(bug)

    def _note(self, bug: Exception) -> None:
        self.crashes += 1
        if self._crashed is not None:
            self._crashed(bug)
