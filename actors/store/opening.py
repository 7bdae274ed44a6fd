"""The engine that the configuration chooses: `store.postgres`, else SQLite."""

from collections.abc import Callable

from actors.store.answers import Failed, Succeeded
from actors.store.database import database_path, missing_steps, open_database
from actors.store.schema import DatabaseRefused, Migration
from actors.store.sql import OperatorDatabase
from actors.store.sqlite import SqliteStore
from actors.store.store import Store
from config.model import Config

NO_DRIVER = "store.postgres needs the PostgreSQL driver: pip install 'entitlement-node[postgres]'"
NOT_MIGRATED = "its schema is not up to date: run `entitlement-node database migrate`"


def open_store(
    config: Config,
    end_turn: Callable[[], None],
    *,
    at_turn_end: Callable[[Callable[[], None]], None] | None = None,
    crashed: Callable[[Exception], None] | None = None,
    failed: Failed | None = None,
    succeeded: Succeeded | None = None,
) -> Store:
    """The store of a node; its `run` opens it. The arguments are those of `SqliteStore`.

    Raises:
        DatabaseRefused: what it needs is not installed.
    """
    if not config.store.postgres:
        return SqliteStore(
            database_path(config),
            config.store,
            end_turn,
            at_turn_end=at_turn_end,
            crashed=crashed,
            failed=failed,
            succeeded=succeeded,
        )
    try:
        from actors.store.postgres.store import PostgresStore
    except ImportError:
        raise DatabaseRefused(NO_DRIVER) from None
    return PostgresStore(
        config.store,
        end_turn,
        at_turn_end=at_turn_end,
        crashed=crashed,
        failed=failed,
        succeeded=succeeded,
    )


def open_for_operator(config: Config, *, busy_seconds: float) -> OperatorDatabase:
    """The database that the node works on, for one command.

    Args:
        busy_seconds: how long to wait for another writer (SQLite), or for a connection.

    Raises:
        DatabaseRefused: it cannot be used.
    """
    if not config.store.postgres:
        return open_database(database_path(config), busy_seconds=busy_seconds)
    try:
        from actors.store.postgres.database import PostgresDatabase
    except ImportError:
        raise DatabaseRefused(NO_DRIVER) from None
    database = PostgresDatabase(config.store.postgres, connect_seconds=busy_seconds)
    if database.missing_steps():
        database.close()
        raise DatabaseRefused(f"PostgreSQL: {NOT_MIGRATED}")
    return database


def migrate(config: Config, owner: str = "") -> tuple[str, list[Migration]]:
    """Bring the schema up to date.

    Args:
        owner: connection string of the role that owns the tables, instead of
            `store.postgres-owner`.

    Returns:
        Where the database is, and the steps that were applied.

    Raises:
        DatabaseRefused: it cannot be done.
    """
    if not config.store.postgres:
        path = database_path(config)
        steps = missing_steps(path)
        open_database(path).close()
        return str(path), steps
    owner = owner or config.store.postgres_owner
    if not owner:
        raise DatabaseRefused(
            "PostgreSQL: who owns the tables? Give --owner, or store.postgres-owner"
        )
    try:
        from actors.store.postgres.database import migrate as migrate_postgres
        from actors.store.postgres.database import role_of
    except ImportError:
        raise DatabaseRefused(NO_DRIVER) from None
    return "PostgreSQL", migrate_postgres(owner, role_of(config.store.postgres))
