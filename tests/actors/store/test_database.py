"""Opening the database: migrations, settings, and what is refused."""

import sqlite3
from pathlib import Path

import pytest

from actors.store import database, schema
from actors.store.database import (
    DatabaseRefused,
    connect,
    open_database,
    schema_version,
)
from actors.store.schema import Engine, migrations, statements
from actors.store.sql import transaction


def tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name for (name,) in rows} - {"sqlite_stat1", "sqlite_stat4"}


def test_an_empty_folder_gets_the_newest_schema(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "new" / "node.db")
    assert schema_version(connection) == migrations()[-1].version
    assert tables(connection) >= {
        "schema_version",
        "plans",
        "subscribers",
        "devices",
        "tokens",
        "registrations",
        "identity_changes",
    }
    connection.close()


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    open_database(path).close()
    before = path.read_bytes()
    open_database(path).close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("engine", list(Engine))
def test_migrations_are_numbered_without_gaps(engine: Engine) -> None:
    steps = migrations(engine)
    assert [step.version for step in steps] == list(range(1, len(steps) + 1))


def test_the_first_step_is_the_one_that_databases_have() -> None:
    # A digest that changes shuts every existing database out.
    assert migrations()[0].digest.startswith("d0e428f7dc1756b0")


def test_a_later_step_is_applied_to_an_older_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "node.db"
    open_database(path).close()
    steps = tmp_path / "steps"
    steps.mkdir()
    for file in schema.MIGRATIONS.glob("*.sql"):
        (steps / file.name).write_text(file.read_text())
    last = migrations()[-1].version
    (steps / f"{last + 1:04}_more.sql").write_text(
        "-- a comment; with a semicolon\nCREATE TABLE more (a TEXT);\n"
        "INSERT INTO more VALUES ('x;\ny');\n"
    )
    (steps / "README.md").write_text("not a step")
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    connection = open_database(path)
    assert schema_version(connection) == last + 1
    assert connection.execute("SELECT a FROM more").fetchall() == [("x;\ny",)]
    connection.close()


def test_a_step_that_fails_leaves_the_schema_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = tmp_path / "steps"
    steps.mkdir()
    (steps / "0001_one.sql").write_text("CREATE TABLE one (a TEXT);")
    (steps / "0002_two.sql").write_text("CREATE TABLE two (a TEXT);\nCREATE TABLE one (a TEXT);")
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    with pytest.raises(DatabaseRefused, match="one already exists"):
        open_database(tmp_path / "node.db")
    connection = connect(tmp_path / "node.db", busy_seconds=1)
    assert tables(connection) == set()
    connection.close()


def test_a_step_that_changed_after_it_was_applied_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = tmp_path / "steps"
    steps.mkdir()
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    step = steps / "0001_one.sql"
    step.write_text("CREATE TABLE one (a TEXT);")
    open_database(tmp_path / "node.db").close()
    step.write_text("-- only a comment\nCREATE TABLE one (a TEXT);\n")
    open_database(tmp_path / "node.db").close()
    step.write_text("CREATE TABLE one (a TEXT, b TEXT);")
    with pytest.raises(DatabaseRefused, match="step 1 of its schema is not the one"):
        open_database(tmp_path / "node.db")
    (steps / "0002_two.sql").write_text("CREATE TABLE two (a TEXT);")
    with pytest.raises(DatabaseRefused, match="step 1 of its schema is not the one"):
        open_database(tmp_path / "node.db")


def test_a_database_from_before_the_digests_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    connection = open_database(path)
    connection.execute("ALTER TABLE schema_version DROP COLUMN digest")
    connection.close()
    with pytest.raises(DatabaseRefused, match="unreleased version"):
        open_database(path)


def test_a_database_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    connection = open_database(path)
    connection.execute("INSERT INTO schema_version VALUES (9999, 'future', 0, '')")
    connection.close()
    with pytest.raises(DatabaseRefused, match=r"has schema 9999, .* newer release"):
        open_database(path)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    with pytest.raises(DatabaseRefused, match="another program"):
        open_database(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    path.write_bytes(b"not a database at all" * 1_000)
    with pytest.raises(DatabaseRefused, match="file is not a database"):
        open_database(path)


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    open_database(path).close()
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3_996  # the root page of the schema; the header stays
    path.write_bytes(content)
    with pytest.raises(DatabaseRefused, match="malformed"):
        open_database(path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseRefused, match="File exists"):
        open_database(tmp_path / "file" / "node.db")


def test_the_settings_are_those_of_a_server(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "node.db", busy_seconds=1.5)
    names = ("journal_mode", "synchronous", "busy_timeout", "application_id")
    values = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    assert values == ["wal", 2, 1_500, database.APPLICATION_ID]
    reader = connect(tmp_path / "node.db", busy_seconds=1, read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("INSERT INTO plans VALUES ('a', 'b', '', '')")
    reader.close()
    connection.close()


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "node.db")
    with transaction(connection):
        connection.execute("INSERT INTO plans VALUES ('a', 'b', '', '')")
    with pytest.raises(sqlite3.IntegrityError), transaction(connection):
        connection.executemany("INSERT INTO plans VALUES (?, 'b', '', '')", [("c",), ("a",)])
    assert connection.execute("SELECT tenant FROM plans").fetchall() == [("a",)]
    connection.close()


def test_a_statement_without_an_end_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no end"):
        list(statements("CREATE TABLE one (a TEXT);\nCREATE TABLE two (a TEXT)"))


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("SELECT * FROM tokens WHERE tenant = ? AND owner = ?", "PRIMARY KEY (rowid=?)"),
        ("SELECT * FROM tokens WHERE tenant = ? AND diameter_session_id = ?", "tokens_by_session"),
        (
            "SELECT * FROM tokens WHERE tenant = ? AND previous_session = ?",
            "tokens_by_previous_session",
        ),
        ("SELECT * FROM tokens WHERE tenant = ? AND imsi = ?", "tokens_by_subscriber"),
        ("SELECT * FROM devices WHERE tenant = ? AND terminal_id = ?", "devices_by_terminal"),
        ("SELECT * FROM subscribers WHERE tenant = ? AND msisdn = ?", "subscribers_by_msisdn"),
    ],
)
def test_no_question_reads_a_whole_tenant(tmp_path: Path, sql: str, index: str) -> None:
    # SQLite, left alone, takes the first column of the primary key for good enough.
    path = tmp_path / "node.db"
    for _ in range(2):  # the connection that made the schema, and a later one
        connection = open_database(path)
        plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", ("a", "b")).fetchall()
        assert index in plan[0][3]
        connection.close()
