"""Opening the SQLite database: its settings, its schema, and what is refused.

The application id in the header tells our files from others; `schema.py` has the schema.
"""

import sqlite3
import time
from pathlib import Path
from typing import Final

from actors.store.schema import (
    SCHEMA_VERSION,
    DatabaseRefused,
    Migration,
    migrations,
    missing,
    statements,
)
from actors.store.sql import transaction
from config.model import Config

__all__ = [
    "DatabaseRefused",
    "SqliteDatabase",
    "connect",
    "database_path",
    "missing_steps",
    "open_database",
    "schema_version",
]

APPLICATION_ID: Final = 0x54533433  # "TS43"
CACHED_STATEMENTS: Final = 256
CACHE_KIBIBYTES: Final = 65_536
MMAP_OCTETS: Final = 1 << 30  # 1,000,000 subscribers take 160 MB: a read copies nothing
WAL_LIMIT_OCTETS: Final = 1 << 26  # the -wal file is cut back to this after a checkpoint
CHECKPOINT_PAGES: Final = 4_000  # 16 MB: fewer checkpoints than with SQLite's 4 MB


class SqliteDatabase(sqlite3.Connection):
    """A connection; for functions that work on PostgreSQL as well."""

    def act_for(self, tenant: str) -> None:
        """Nothing: whoever opens the file sees all of it, and every statement names its tenant."""


def database_path(config: Config) -> Path:
    """Where the database of a node is."""
    return Path(config.node.data) / config.store.path


def connect(path: Path, *, busy_seconds: float, read_only: bool = False) -> SqliteDatabase:
    """Open the database with the settings that everybody uses; no schema is looked at.

    Used by one thread at a time, transactions begun explicitly.

    Args:
        path: the file; made if it is not there and `read_only` is false.
        busy_seconds: how long a statement waits for another process.
        read_only: writing is refused. The WAL files beside it are still written to.

    Raises:
        DatabaseRefused: it cannot be opened, or is no SQLite database.
    """
    try:
        connection = sqlite3.connect(
            path,
            timeout=busy_seconds,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=CACHED_STATEMENTS,
            factory=SqliteDatabase,
        )
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA cache_size=-{CACHE_KIBIBYTES}")
            connection.execute(f"PRAGMA mmap_size={MMAP_OCTETS}")
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.execute(f"PRAGMA journal_size_limit={WAL_LIMIT_OCTETS}")
            connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            if read_only:
                connection.execute("PRAGMA query_only=1")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise DatabaseRefused(f"{path}: {error}") from None
    return connection


def open_database(path: Path, *, busy_seconds: float = 5.0) -> SqliteDatabase:
    """Open for reading and writing, with the newest schema.

    Raises:
        DatabaseRefused: it cannot be opened, is damaged, is not ours, or is newer than this
            program.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseRefused(f"{path.parent}: {error.strerror}") from None
    connection = connect(path, busy_seconds=busy_seconds)
    try:
        _migrate(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise DatabaseRefused(f"{path}: {error}") from None
    except BaseException:
        connection.close()
        raise
    return connection


def schema_version(connection: sqlite3.Connection) -> int:
    """The newest step that was applied; 0 for an empty database."""
    if not _has_table(connection, "schema_version"):
        return 0
    (version,) = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    return int(version or 0)


def missing_steps(path: Path) -> list[Migration]:
    """What `open_database` would apply.

    Raises:
        DatabaseRefused: it cannot be opened, or is newer than this program.
    """
    if not path.exists():
        return migrations()
    connection = connect(path, busy_seconds=1.0, read_only=True)
    try:
        return missing(str(path), migrations(), _applied(connection))
    except sqlite3.Error as error:
        raise DatabaseRefused(f"{path}: {error}") from None
    finally:
        connection.close()


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    steps = migrations()
    if not missing(str(path), steps, _applied(connection)):
        return
    with transaction(connection):  # again inside: another process may have done it meanwhile
        applied = _applied(connection)
        if not applied:
            if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                raise DatabaseRefused(f"{path}: is a database of another program")
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(SCHEMA_VERSION)
        for step in missing(str(path), steps, applied):
            for statement in statements(step.sql):
                connection.execute(statement)
            connection.execute(
                "INSERT INTO schema_version VALUES (?, ?, ?, ?)",
                (step.version, step.name, int(time.time()), step.digest),
            )
    connection.execute("ANALYZE sqlite_master")  # loads the statistics that a step set


def _applied(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    """Versions and digests; a digest is empty where it was never kept."""
    columns = [row[1] for row in connection.execute("PRAGMA table_info(schema_version)")]
    if not columns:
        return []
    digest = "digest" if "digest" in columns else "''"
    return connection.execute(f"SELECT version, {digest} FROM schema_version").fetchall()  # noqa: S608


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    found = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)
    )
    return found.fetchone() is not None
