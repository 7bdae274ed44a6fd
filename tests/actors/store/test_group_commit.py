"""The database thread: one transaction for many, failure of one alone, bounds, the end."""

import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.store.database import connect
from actors.store.group_commit import BATCH, GroupCommit
from actors.store.store import StoreUnavailable


def add(number: int) -> Callable[[sqlite3.Connection], int]:
    def operation(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))
        return number

    return operation


def numbers(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    found = [n for (n,) in connection.execute("SELECT number FROM numbers ORDER BY number")]
    connection.close()
    return found


class Bench:
    """A group commit on a table of numbers, and everything it said."""

    def __init__(
        self,
        path: Path,
        bound: int,
        at_turn_end: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self.path = path
        self.replies: list[Any] = []
        self.turns: list[int] = []
        self._turned = trio.Event()
        self.bugs: list[Exception] = []
        self.connection = connect(path, busy_seconds=0.1)
        self.connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
        self.writer = GroupCommit(
            bound=bound,
            end_turn=self._end_turn,
            at_turn_end=at_turn_end,
            crashed=self.bugs.append,
        )

    def _end_turn(self) -> None:
        self.turns.append(len(self.replies))
        self._turned.set()
        self._turned = trio.Event()

    def submit(
        self, operation: Callable[[sqlite3.Connection], Any], *, durable: bool = False
    ) -> None:
        self.writer.submit(operation, self.replies.append, durable=durable)

    async def answered(self) -> None:
        """Wait until nothing is waiting."""
        with trio.fail_after(10):
            while self.writer.waiting:
                await self._turned.wait()


@asynccontextmanager
async def bench(
    tmp_path: Path,
    bound: int = 10_000,
    at_turn_end: Callable[[Callable[[], None]], None] | None = None,
) -> AsyncIterator[Bench]:
    one = Bench(tmp_path / "numbers.db", bound, at_turn_end)
    async with trio.open_nursery() as nursery:
        await nursery.start(
            lambda task_status: one.writer.run(one.connection, task_status=task_status)
        )
        yield one
        nursery.cancel_scope.cancel()
    one.connection.close()


class Gate:
    """An operation that keeps the thread busy until the test lets it go."""

    def __init__(self) -> None:
        self.taken = threading.Event()
        self.open = threading.Event()

    def __call__(self, _connection: sqlite3.Connection) -> str:
        self.taken.set()
        assert self.open.wait(10)
        return "let go"

    async def wait_until_taken(self) -> None:
        """What is submitted from now on waits for the next batch."""
        await trio.to_thread.run_sync(self.taken.wait)


@pytest.fixture
def gate() -> Gate:
    return Gate()


async def test_writes_that_wait_share_a_transaction_and_a_turn(tmp_path: Path, gate: Gate) -> None:
    async with bench(tmp_path) as one:
        one.submit(gate)
        await gate.wait_until_taken()
        for number in range(100):
            one.submit(add(number))
        gate.open.set()
        await one.answered()
        assert one.replies == ["let go", *range(100)]
        assert one.turns == [1, 101]
        assert one.writer.batches == 2
        assert one.writer.largest_batch == 100
    assert numbers(one.path) == list(range(100))


async def test_no_batch_is_larger_than_the_limit(tmp_path: Path, gate: Gate) -> None:
    async with bench(tmp_path) as one:
        one.submit(gate)
        for number in range(BATCH * 2):
            one.submit(add(number))
        gate.open.set()
        await one.answered()
        assert one.writer.largest_batch == BATCH
        assert one.writer.committed == BATCH * 2 + 1
        assert one.writer.longest_wait_seconds > 0


async def test_a_write_that_fails_is_rolled_back_alone(tmp_path: Path, gate: Gate) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO numbers VALUES (1000)")
        connection.execute("INSERT INTO numbers VALUES (1)")  # there already

    def bug(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO numbers VALUES (2000)")
        raise KeyError("a bug")

    async with bench(tmp_path) as one:
        one.submit(gate)
        await gate.wait_until_taken()
        for operation in (add(1), half, add(2), bug, add(3)):
            one.submit(operation)
        gate.open.set()
        await one.answered()
        _, first, failed, second, crashed, third = one.replies
        assert (first, second, third) == (1, 2, 3)
        assert isinstance(failed, StoreUnavailable)
        assert failed.reason == "other"
        assert isinstance(crashed, StoreUnavailable)
        assert crashed.reason == "crash"
        assert "a bug" not in str(crashed)
        assert [type(bug) for bug in one.bugs] == [KeyError]
        assert one.writer.failures == {"other": 1, "crash": 1}
        assert one.writer.crashes == 1
    assert numbers(one.path) == [1, 2, 3]


async def test_neighbours_of_one_kind_are_done_together_and_fail_alone(
    tmp_path: Path, gate: Gate
) -> None:
    calls: list[list[int]] = []

    def add_all(connection: sqlite3.Connection, records: Sequence[int]) -> list[int]:
        calls.append(list(records))
        connection.executemany("INSERT INTO numbers VALUES (?)", [(one,) for one in records])
        return [-one for one in records]

    async with bench(tmp_path) as one:
        for records in ((1, 2, 3), (4, 4, 5)):
            gate.taken.clear()
            gate.open.clear()
            one.submit(gate)
            await gate.wait_until_taken()
            for record in records[:2]:
                one.writer.submit_to(add_all, record, one.replies.append, durable=False)
            one.submit(add(records[0] * 10))
            one.writer.submit_to(add_all, records[2], one.replies.append, durable=False)
            gate.open.set()
            await one.answered()
        assert one.replies[:5] == ["let go", -1, -2, 10, -3]
        assert calls == [[1, 2], [3], [4, 4], [4], [4], [5]]
        _, first, again, between, last = one.replies[5:]
        assert (first, between, last) == (-4, 40, -5)
        assert isinstance(again, StoreUnavailable)
    assert numbers(one.path) == [1, 2, 3, 4, 5, 10, 40]


async def test_a_bulk_operation_with_too_few_results_fails_its_writes(
    tmp_path: Path, gate: Gate
) -> None:
    def forgetful(_connection: sqlite3.Connection, _records: Sequence[int]) -> list[int]:
        return []

    async with bench(tmp_path) as one:
        one.submit(gate)
        one.writer.submit_to(forgetful, 1, one.replies.append, durable=False)
        gate.open.set()
        await one.answered()
        assert one.replies[1].reason == "crash"


async def test_an_operation_that_ends_the_transaction_costs_its_batch_and_no_more(
    tmp_path: Path,
) -> None:
    def ends_it(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")
        raise KeyError

    async with bench(tmp_path) as one:
        one.submit(ends_it)
        await one.answered()
        one.submit(add(1))
        await one.answered()
        assert [getattr(reply, "reason", reply) for reply in one.replies] == ["crash", 1]


async def test_a_reply_that_raises_costs_the_others_nothing(tmp_path: Path, gate: Gate) -> None:
    def bad_reply(_result: object) -> None:
        raise RuntimeError

    async with bench(tmp_path) as one:
        one.submit(gate)
        one.writer.submit(add(1), bad_reply, durable=False)
        one.submit(add(2))
        gate.open.set()
        await one.answered()
        assert one.replies == ["let go", 2]
        assert one.turns[-1] == 2
        assert [type(bug) for bug in one.bugs] == [RuntimeError]


async def test_above_the_bound_writes_are_refused_at_once(tmp_path: Path, gate: Gate) -> None:
    async with bench(tmp_path, bound=3) as one:
        one.submit(gate)
        for number in range(4):
            one.submit(add(number))
        refused = [reply.reason for reply in one.replies]
        assert refused == ["full-queue", "full-queue"]
        assert (one.writer.waiting, one.writer.refused, one.writer.received) == (3, 2, 5)
        gate.open.set()
        await one.answered()
        one.submit(add(9))
        await one.answered()
    assert numbers(one.path) == [0, 1, 9]


async def test_what_was_taken_before_the_end_is_committed_and_answered(
    tmp_path: Path, gate: Gate
) -> None:
    async with bench(tmp_path) as one:
        one.submit(gate)
        for number in range(BATCH + 10):
            one.submit(add(number))
        gate.open.set()
    assert one.replies == ["let go", *range(BATCH + 10)]
    assert numbers(one.path) == list(range(BATCH + 10))


async def test_the_writes_of_a_turn_are_handed_over_at_its_end(tmp_path: Path, gate: Gate) -> None:
    steps: list[Callable[[], None]] = []
    async with bench(tmp_path, at_turn_end=steps.append) as one:
        (hand_over,) = steps
        one.submit(add(0))
        hand_over()
        await one.answered()
        one.submit(gate)
        hand_over()
        await gate.wait_until_taken()
        for number in range(1, 10):
            one.submit(add(number))
        hand_over()
        hand_over()
        gate.open.set()
        await one.answered()
        assert one.writer.batches == 3
        one.submit(add(10))  # its turn never ends: the store is closed before
    assert one.replies == [0, "let go", *range(1, 11)]
    assert numbers(one.path) == list(range(11))


async def test_before_the_start_and_after_the_end_writes_are_refused(tmp_path: Path) -> None:
    never = GroupCommit(bound=1, end_turn=lambda: None)
    replies: list[object] = []
    never.submit(add(1), replies.append, durable=True)
    async with bench(tmp_path) as one:
        pass
    one.writer.submit(add(1), replies.append, durable=True)
    assert [getattr(reply, "reason", None) for reply in replies] == ["closed", "closed"]


async def test_a_database_locked_by_another_process_fails_the_batch_only(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        other = sqlite3.connect(one.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        one.submit(add(1))
        one.submit(add(2))
        await one.answered()
        assert {reply.reason for reply in one.replies} == {"locked"}
        other.execute("ROLLBACK")
        other.close()
        one.submit(add(3))
        await one.answered()
        assert one.replies[-1] == 3
    assert numbers(one.path) == [3]


async def test_a_full_disk_fails_what_does_not_fit_and_nothing_else(tmp_path: Path) -> None:
    def large(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE IF NOT EXISTS large (content BLOB)")
        connection.execute("INSERT INTO large VALUES (zeroblob(1000000))")

    async with bench(tmp_path) as one:
        one.connection.execute("PRAGMA max_page_count=50")
        one.submit(large)
        await one.answered()
        one.submit(add(1))
        await one.answered()
        assert one.replies[0].reason == "full-disk"
        assert one.replies[1] == 1


async def test_a_closed_database_is_told_as_a_value(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.connection.close()
        one.submit(add(1))
        await one.answered()
        assert one.replies[0].reason == "other"


async def test_only_a_batch_with_a_durable_write_waits_for_the_disk(tmp_path: Path) -> None:
    def synchronous(connection: sqlite3.Connection) -> int:
        (value,) = connection.execute("PRAGMA synchronous").fetchone()
        return int(value)

    async with bench(tmp_path) as one:
        for durable in (True, False, True, False, False):
            one.submit(synchronous, durable=durable)
            await one.answered()
        full, normal = 2, 1
        assert one.replies == [full, normal, full, normal, normal]
