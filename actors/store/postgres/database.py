"""PostgreSQL for the command line and for migrations: plain, synchronous, one connection.

`PostgresDatabase` has the shape of `sqlite3.Connection` (`actors.store.sql.Database`), so that the
same functions work on both.
"""

import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from actors.store.postgres.connecting import attempts
from actors.store.postgres.statements import numbered
from actors.store.schema import (
    SCHEMA_VERSION,
    DatabaseRefused,
    Engine,
    Migration,
    migrations,
    missing,
)

LOCK: Final = 0x54533433  # "TS43": the advisory lock under which the schema is changed
WHERE: Final = "PostgreSQL"  # how it is called in texts: a connection string may hold a password
# Our statements look up rows by their keys. Without statistics, such as right after a first import,
# PostgreSQL takes the tenant alone for a good key, and reads and hashes all of its rows for a
# handful: 50 ms for 64 tokens instead of 1 (measured).
POINT_LOOKUPS: Final = (
    "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off;"
    " SET enable_bitmapscan = off; SET enable_material = off; SET enable_memoize = off"
)

_numbered = lru_cache(maxsize=256)(numbered)


class StatementFailed(DatabaseRefused):
    """The server, or the way to it, failed a statement.

    Attributes:
        state: SQLSTATE; empty when the connection is lost.
        text: the primary message.
    """

    def __init__(self, state: str, text: str) -> None:
        super().__init__(f"{WHERE}: {text}")
        self.state = state
        self.text = text


class PostgresDatabase:
    """One connection; each statement is a transaction unless one was begun."""

    def __init__(self, conninfo: str, *, connect_seconds: float = 10.0) -> None:
        """Connect.

        Raises:
            DatabaseRefused: nobody takes the connection.
        """
        self._connection = open_connection(conninfo, connect_seconds)
        self.execute(POINT_LOOKUPS)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction was begun and has not ended."""
        return self._connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE

    def act_for(self, tenant: str) -> None:
        """Everything from now on sees the rows of this tenant, and can write no others."""
        self.execute("SELECT set_config('app.tenant', ?, false)", (tenant,))

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Any:  # noqa: ANN401 - a cursor
        """Carry out one statement of the portable subset; the cursor has its rows.

        Raises:
            DatabaseRefused: it failed; the text holds no values.
        """
        try:
            return self._connection.execute(_numbered(sql).encode(), values or None)
        except psycopg.Error as error:
            raise _refused(error) from None

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Any:  # noqa: ANN401
        """Carry out one statement with each of the rows."""
        cursor = self._connection.cursor()
        try:
            cursor.executemany(_numbered(sql).encode(), rows)
        except psycopg.Error as error:
            raise _refused(error) from None
        return cursor

    def missing_steps(self) -> list[Migration]:
        """What `migrate` would apply.

        Raises:
            DatabaseRefused: the database is newer than this program.
        """
        try:
            return missing(WHERE, migrations(Engine.POSTGRES), _applied(self._connection))
        except psycopg.Error as error:
            raise _refused(error) from None

    def close(self) -> None:
        """Disconnect; what was not committed comes to nothing."""
        self._connection.close()


def open_connection(conninfo: str, connect_seconds: float) -> psycopg.Connection[Any]:
    """A connection with `$n` for values.

    Raises:
        DatabaseRefused: nobody takes it.
    """
    reason = ""
    for attempt in attempts(conninfo):
        try:
            return psycopg.connect(
                attempt,
                autocommit=True,
                connect_timeout=max(2, int(connect_seconds)),
                cursor_factory=psycopg.RawCursor,
            )
        except psycopg.OperationalError as error:
            reason = " ".join(str(error).split())
    raise DatabaseRefused(f"{WHERE}: {reason}")


def role_of(conninfo: str) -> str:
    """The role that a connection string names; empty if it leaves that to libpq."""
    return str(conninfo_to_dict(conninfo).get("user") or "")


def migrate(conninfo: str, application: str, *, connect_seconds: float = 10.0) -> list[Migration]:
    """Bring the schema up to date; several may do it at once, one does.

    Args:
        conninfo: of the role that owns the tables, or will.
        application: the role that the node works as gets the right to read and write; empty: none.

    Returns:
        The steps that were applied.

    Raises:
        DatabaseRefused: it cannot be done.
    """
    connection = open_connection(conninfo, connect_seconds)
    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock($1)", (LOCK,))
            applied = _applied(connection)
            if not applied:
                connection.execute(numbered(SCHEMA_VERSION).encode())
            steps = missing(WHERE, migrations(Engine.POSTGRES), applied)
            for step in steps:
                connection.execute(numbered(step.sql).encode())
                connection.execute(
                    "INSERT INTO schema_version VALUES ($1, $2, $3, $4)",
                    (step.version, step.name, int(time.time()), step.digest),
                )
            if application:
                _grant(connection, application)
        return steps
    except psycopg.Error as error:
        raise _refused(error) from None
    finally:
        connection.close()


def _refused(error: psycopg.Error) -> StatementFailed:
    """The primary message alone: details quote values."""
    text = error.diag.message_primary or " ".join(str(error).split())
    return StatementFailed(error.sqlstate or "", text)


def _applied(connection: psycopg.Connection[Any]) -> list[tuple[int, str]]:
    (found,) = connection.execute("SELECT to_regclass('schema_version')").fetchone() or (None,)
    if found is None:
        return []
    return connection.execute("SELECT version, digest FROM schema_version").fetchall()


def _grant(connection: psycopg.Connection[Any], role: str) -> None:
    """Reading and writing, but no changing of tables, policies and triggers."""
    (owner,) = connection.execute("SELECT current_user").fetchone() or ("",)
    if owner == role:
        return
    name = psycopg.sql.Identifier(role)
    tables = connection.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relkind = 'r' AND a.attname = 'tenant' AND NOT a.attisdropped"
        " AND c.relnamespace = current_schema()::regnamespace"
        " AND c.relowner = current_user::regrole ORDER BY c.relname"
    ).fetchall()
    for (table,) in tables:
        connection.execute(
            psycopg.sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}").format(
                psycopg.sql.Identifier(table), name
            )
        )
    connection.execute(psycopg.sql.SQL("GRANT SELECT ON schema_version TO {}").format(name))
