"""The part of `sqlite3.Connection` that data is changed through, whatever the engine.

Functions that take a `Database` speak the SQL that SQLite and PostgreSQL share, with `?`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """Rows that it changed."""
        ...

    def fetchone(self) -> Any:  # noqa: ANN401 - a row
        """The next row; None after the last one."""
        ...

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Database(Protocol):
    """One connection, used by one thread at a time, transactions begun explicitly."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction was begun and has not ended."""
        ...

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> Rows:
        """Carry out one statement."""
        ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Rows:
        """Carry out one statement with each of the rows."""
        ...


class OperatorDatabase(Database, Protocol):
    """What the command line works on."""

    def act_for(self, tenant: str) -> None:
        """What follows is for this tenant: PostgreSQL then shows no others' rows."""
        ...

    def close(self) -> None:
        """Let go of it; what was not committed comes to nothing."""
        ...


@contextmanager
def transaction(connection: Database) -> Iterator[None]:
    """Everything inside, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # The database may have rolled back by itself, such as when the disk is full.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
