"""The embedded store: what only SQLite does."""

import sqlite3
from pathlib import Path

import pytest
import trio

from actors.store.database import DatabaseRefused, open_database
from actors.store.sql import transaction
from actors.store.sqlite import SqliteStore
from actors.store.token_rows import SWEPT_ROWS, Sweeper
from actors.store.writes import save_tokens
from config.model import Store as Settings
from tests.actors.store.kit import SqliteKit, opened, put
from tests.actors.store.samples import GOLD, IMSI, LINE, NOW, new_token


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.db"


def test_a_large_table_is_swept_a_stretch_at_a_time(path: Path) -> None:
    connection = open_database(path)
    tokens = [new_token(n, terminal_id=f"{n}", expires=NOW + n % 2) for n in range(SWEPT_ROWS + 9)]
    with transaction(connection):
        save_tokens(connection, tokens)
    sweeper, left = Sweeper(), []
    for at in range(4):
        sweeper.sweep(connection, NOW + 601)
        sweeper.sweep(connection, NOW + 601 + at)
        left.append(connection.execute("SELECT count(*) FROM tokens").fetchone()[0])
    connection.close()
    assert left == [9, 0, 0, 0]


async def test_a_database_that_cannot_be_used_ends_the_actor(path: Path) -> None:
    await trio.Path(path).write_bytes(b"something else" * 1_000)
    store = SqliteStore(path, Settings(), end_turn=lambda: None)
    with pytest.raises(DatabaseRefused, match="not a database"):
        await store.run()


async def test_reads_hold_up_no_checkpoint(path: Path) -> None:
    put(SqliteKit(path), LINE, plans=(GOLD,))
    async with opened(SqliteKit(path)) as store:
        await store.ask("save_token", new_token())
        await store.ask("find_token", "mno", new_token().token_hash)
        await store.ask("find_subscriber", "mno", IMSI)
        other = sqlite3.connect(path, isolation_level=None)
        busy, _, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        other.close()
        assert busy == 0
