"""One store for a test, whichever engine: made empty, opened, looked into from outside."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import trio

from actors.backends.bss import Plan, Subscriber
from actors.store.database import open_database
from actors.store.plans import put_plans
from actors.store.postgres.database import PostgresDatabase, migrate
from actors.store.postgres.store import PostgresStore
from actors.store.schema import DatabaseRefused
from actors.store.sql import OperatorDatabase, transaction
from actors.store.sqlite import SqliteStore
from actors.store.store import Store
from actors.store.subscriber_rows import SUBSCRIBER_COLUMNS, row_of
from config.model import Store as Settings
from tests.actors.store.postgres_server import PostgresServer

TEMPLATE = "migrated"
TABLES = ("plans", "subscribers", "devices", "tokens", "registrations", "identity_changes")


class Asker:
    """Awaits what the store answers to a callback."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.watched: list[tuple[str, str]] = []  # operation, and why it failed or nothing

    async def ask(self, method: str, *arguments: object) -> Any:  # noqa: ANN401
        answered = trio.Event()
        answers: list[object] = []

        def reply(answer: object) -> None:
            answers.append(answer)
            answered.set()

        getattr(self.store, method)(*arguments, reply)
        with trio.fail_after(10):
            await answered.wait()
        assert len(answers) == 1
        return answers[0]

    async def until(self, holds: Callable[[], bool], seconds: float = 10.0) -> None:
        with trio.fail_after(seconds):
            while not holds():  # noqa: ASYNC110 - nothing tells
                await trio.sleep(0.005)


class Kit(Protocol):
    """What tests of both engines use."""

    name: str

    def store(self, **callbacks: Any) -> Store:  # noqa: ANN401
        """A store that is not open yet."""
        ...

    def operator(self) -> OperatorDatabase:
        """What the command line works on."""
        ...

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """Look at, or change, anything behind the store's back."""
        ...

    async def ready(self, asker: Asker) -> None:
        """Wait until the store hears of changes."""
        ...

    async def heard(self, asker: Asker) -> None:
        """Wait until the store must know what was changed behind its back."""
        ...


@asynccontextmanager
async def opened(kit: Kit, **callbacks: Any) -> AsyncIterator[Asker]:  # noqa: ANN401
    """A store that is open, and closes at the end."""
    watched: list[tuple[str, str]] = []
    callbacks = {
        "end_turn": lambda: None,
        "failed": lambda operation, failure: watched.append((operation, failure.reason)),
        "succeeded": lambda operation: watched.append((operation, "")),
    } | callbacks
    store = kit.store(**callbacks)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: store.run(task_status=task_status))
        asker = Asker(store)
        asker.watched = watched
        await kit.ready(asker)
        yield asker
        nursery.cancel_scope.cancel()
    assert not store.ready


def put(kit: Kit, *subscribers: Subscriber, plans: Sequence[Plan]) -> None:
    """Plans and subscribers of `mno`, as the command line would put them."""
    database = kit.operator()
    with transaction(database):
        put_plans(database, "mno", plans)
        marks = ", ".join("?" * len(SUBSCRIBER_COLUMNS))
        for one in subscribers:
            database.execute(
                "DELETE FROM subscribers WHERE tenant = ? AND imsi = ?", (one.tenant, one.imsi)
            )
            database.execute(f"INSERT INTO subscribers VALUES ({marks})", row_of(one))  # noqa: S608
    database.close()


class SqliteKit:
    """A file."""

    name = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path

    def store(self, *, settings: Settings | None = None, **callbacks: Any) -> SqliteStore:  # noqa: ANN401
        return SqliteStore(self.path, settings or Settings(), **callbacks)

    def operator(self) -> OperatorDatabase:
        return open_database(self.path)

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        connection = sqlite3.connect(self.path, isolation_level=None)
        rows = connection.execute(sql, values).fetchall()
        connection.close()
        return rows

    async def ready(self, _asker: Asker) -> None:
        """It reads the file each time."""

    heard = ready


class PostgresKit:
    """A database on the server of the test run."""

    name = "postgres"

    def __init__(self, server: PostgresServer, database: str) -> None:
        self.server = server
        self.database = database
        self.settings = Settings(postgres=server.conninfo("application", database))
        self._superuser: PostgresDatabase | None = None

    def store(self, *, settings: Settings | None = None, **callbacks: Any) -> PostgresStore:  # noqa: ANN401
        return PostgresStore(settings or self.settings, **callbacks)

    def operator(self) -> OperatorDatabase:
        return PostgresDatabase(self.settings.postgres)

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """As the superuser, whom row-level security does not stop."""
        if self._superuser is None:
            self._superuser = PostgresDatabase(self.server.conninfo("postgres", self.database))
        try:
            cursor = self._superuser.execute(sql, values)
        except DatabaseRefused:
            self.close()
            raise
        return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """Disconnect the superuser."""
        if self._superuser is not None:
            self._superuser.close()
            self._superuser = None

    async def ready(self, asker: Asker) -> None:
        """It listens."""
        store = asker.store
        assert isinstance(store, PostgresStore)
        await asker.until(lambda: store.listener.hearing)

    async def heard(self, asker: Asker) -> None:
        """By a notification that comes after those of the change."""
        before = _listened(asker)
        self.execute("NOTIFY entitlement_store, 'test'")
        await asker.until(lambda: _listened(asker) > before)

    def clear(self) -> None:
        """As after the migration."""
        self.execute(f"TRUNCATE {', '.join(TABLES)}")


def _listened(asker: Asker) -> int:
    store = asker.store
    assert isinstance(store, PostgresStore)
    return store.listener.notifications


def make_template(server: PostgresServer) -> None:
    """A migrated database that others are copies of."""
    server.create_database(TEMPLATE)
    migrate(server.conninfo("owner", TEMPLATE), "application")
