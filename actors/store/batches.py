"""One batch of writes in one transaction.

When one write fails the batch is done again, one by one with a savepoint around each, so that it
fails alone; savepoints from the start would cost every write 9 µs (measured).
"""

import sqlite3
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from actors.store.failures import unavailable

_operation_of: Final = attrgetter("operation")
_record_of: Final = attrgetter("record")


class Write:
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


def commit(connection: sqlite3.Connection, batch: list[Write], bugs: list[Exception]) -> None:
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
        roll_back(connection)
        connection.execute("BEGIN IMMEDIATE")
        for write in batch:
            _try(connection, write, bugs)
    connection.execute("COMMIT")


def _try(connection: sqlite3.Connection, write: Write, bugs: list[Exception]) -> None:
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


def roll_back(connection: sqlite3.Connection) -> None:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        pass  # the next BEGIN fails as well then, and says so
