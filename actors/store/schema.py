"""The steps of the schema: numbered SQL files, applied once each, in order.

`0001_name.sql` is for every engine; `0001_name.sqlite.sql` and `0001_name.postgres.sql` are what
one of them needs besides. `schema_version` in the database holds which steps were applied, with a
digest of each: a file that changes after it was applied somewhere is refused there, instead of
failing at every statement.
"""

import hashlib
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

MIGRATIONS: Final = Path(__file__).parent / "migrations"
SCHEMA_VERSION: Final = (
    "CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY,"
    " name TEXT NOT NULL, applied INTEGER NOT NULL, digest TEXT NOT NULL)"
)

_NAME: Final = re.compile(r"(?P<version>\d{4})_(?P<name>\w+)\.sql")


class Engine(Enum):
    """Whose files are read."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"


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


def migrations(engine: Engine = Engine.SQLITE) -> list[Migration]:
    """All steps, in order."""
    steps = []
    for file in sorted(MIGRATIONS.glob("*.sql")):
        match = _NAME.fullmatch(file.name)
        if match is not None:
            own = file.with_suffix(f".{engine.value}.sql")
            sql = file.read_text() + (own.read_text() if own.exists() else "")
            steps.append(Migration(int(match["version"]), match["name"], sql))
    return steps


def newest_version() -> int:
    """The schema that this program works with."""
    return migrations()[-1].version


def missing(
    where: str, steps: list[Migration], applied: Iterable[tuple[int, str]]
) -> list[Migration]:
    """The steps that a database lacks.

    Args:
        where: the database, for people.
        steps: all steps of its engine.
        applied: versions and digests of those that it has.

    Raises:
        DatabaseRefused: it is newer than this program, or a step has other statements now.
    """
    digests = {step.version: step.digest for step in steps}
    newest = max(digests)
    version = 0
    for version, digest in sorted(applied):
        if version > newest:
            raise DatabaseRefused(
                f"{where}: has schema {version}, but this program knows only up to {newest}: "
                "it was used by a newer release, which is needed to open it"
            )
        if digest != digests[version]:
            raise DatabaseRefused(
                f"{where}: step {version} of its schema is not the one of this program: it was made"
                " by an unreleased version; export what you need with that one, and start anew"
            )
    return [step for step in steps if step.version > version]


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
