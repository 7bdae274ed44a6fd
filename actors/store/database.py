"""Opening the SQLite database: its settings, its schema, and what is refused.

Migrations are numbered SQL files, applied once each, in order. `schema_version` holds which ones
were, with a digest of each: a file that changes after it was applied somewhere is refused there,
instead of failing at every statement. The application id in the header tells our files from others.
"""

import hashlib
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.model import Config

MIGRATIONS: Final = Path(__file__).parent / "migrations"
APPLICATION_ID: Final = 0x54533433  # "TS43"
CACHED_STATEMENTS: Final = 256
CACHE_KIBIBYTES: Final = 65_536
MMAP_OCTETS: Final = 1 << 30  # 1,000,000 subscribers take 160 MB: a read copies nothing
WAL_LIMIT_OCTETS: Final = 1 << 26  # the -wal file is cut back to this after a checkpoint
CHECKPOINT_PAGES: Final = 4_000  # 16 MB: fewer checkpoints than with SQLite's 4 MB

_NAME: Final = re.compile(r"(?P<version>\d{4})_(?P<name>\w+)\.sql")


class DatabaseRefused(Exception):
    """The database cannot be used; the text tells a person why and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    version: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        """Of its statements: comments and blank lines do not change what was applied."""
        lines = (line.strip() for line in self.sql.splitlines())
        kept = "\n".join(line for line in lines if line and not line.startswith("--"))
        return hashlib.sha256(kept.encode()).hexdigest()


def database_path(config: Config) -> Path:
    """Where the database of a node is."""
    return Path(config.node.data) / config.store.path


def connect(path: Path, *, busy_seconds: float, read_only: bool = False) -> sqlite3.Connection:
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


def open_database(path: Path, *, busy_seconds: float = 5.0) -> sqlite3.Connection:
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


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything inside, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite may have rolled back by itself, such as when the disk is full.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def migrations() -> list[Migration]:
    """All steps, in order."""
    steps = []
    for file in sorted(MIGRATIONS.glob("*.sql")):
        match = _NAME.fullmatch(file.name)
        if match is not None:
            steps.append(Migration(int(match["version"]), match["name"], file.read_text()))
    return steps


def schema_version(connection: sqlite3.Connection) -> int:
    """The newest step that was applied; 0 for an empty database."""
    if not _has_table(connection, "schema_version"):
        return 0
    (version,) = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    return int(version or 0)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    steps = migrations()
    newest = steps[-1].version
    if schema_version(connection) == newest:
        _check_digests(connection, path, steps)
        return
    with transaction(connection):  # again inside: another process may have done it meanwhile
        version = schema_version(connection)
        if version == 0 and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise DatabaseRefused(f"{path}: is a database of another program")
        if version > newest:
            raise DatabaseRefused(
                f"{path}: has schema {version}, but this program knows only up to {newest}: "
                "it was used by a newer release, which is needed to open it"
            )
        if version == 0:
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(
                "CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY,"
                " name TEXT NOT NULL, applied INTEGER NOT NULL, digest TEXT NOT NULL)"
            )
        _check_digests(connection, path, steps)
        for step in steps:
            if step.version > version:
                for statement in statements(step.sql):
                    connection.execute(statement)
                connection.execute(
                    "INSERT INTO schema_version VALUES (?, ?, ?, ?)",
                    (step.version, step.name, int(time.time()), step.digest),
                )
    connection.execute("ANALYZE sqlite_master")  # loads the statistics that a step set


def _check_digests(connection: sqlite3.Connection, path: Path, steps: list[Migration]) -> None:
    """What was applied must be what this program would apply.

    Raises:
        DatabaseRefused: a step has other statements now, or its digest was never kept.
    """
    known = {step.version: step.digest for step in steps}
    columns = [row[1] for row in connection.execute("PRAGMA table_info(schema_version)")]
    digest = "digest" if "digest" in columns else "''"
    for version, applied in connection.execute(f"SELECT version, {digest} FROM schema_version"):  # noqa: S608
        if applied != known[version]:
            raise DatabaseRefused(
                f"{path}: step {version} of its schema is not the one of this program: it was made "
                "by an unreleased version; export what you need with that one, and start anew"
            )


def statements(sql: str) -> Iterator[str]:
    """The statements of a file one by one (`executescript` would end the transaction)."""
    lines: list[str] = []
    for line in sql.splitlines():
        if not line.lstrip().startswith("--"):
            lines.append(line)
        text = "\n".join(lines).strip()
        if text and sqlite3.complete_statement(text):
            yield text
            lines.clear()
    if "".join(lines).strip():
        raise ValueError("the last statement of a migration has no end")


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    found = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)
    )
    return found.fetchone() is not None
