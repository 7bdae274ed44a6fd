"""A connection that is fit for use: the right role, the right schema, everything prepared."""

from collections.abc import Sequence
from typing import Final

import trio
from psycopg.pq.abc import PGconn

from actors.store.postgres.connecting import ask, connect
from actors.store.postgres.database import POINT_LOOKUPS, WHERE, migrate, role_of
from actors.store.postgres.failures import unavailable
from actors.store.postgres.link import ConnectionLost, Link
from actors.store.postgres.statements import Statement
from actors.store.schema import DatabaseRefused, Engine, migrations, missing
from config.model import Store as Settings

# Row-level security does not hold for these, whatever the policies say.
_TOO_MIGHTY: Final = (
    "SELECT rolname FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)"
)
_OWNS: Final = (
    "SELECT relname FROM pg_class WHERE oid = to_regclass('tokens')"
    " AND pg_has_role(current_user, relowner, 'MEMBER')"
)


class Dialing:
    """Opens connections as the settings say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._fits = False

    async def dial(self, statements: Sequence[Statement]) -> Link:
        """Connect, check, and prepare.

        Raises:
            ConnectionLost: not now; another time it may succeed.
            DatabaseRefused: a person must do something first.
        """
        settings = self._settings
        connection = await connect(settings.postgres, settings.connect_seconds)
        try:
            if not self._fits:
                await self._check_schema(connection)
            await self._check_role(connection)
            milliseconds = int(settings.statement_seconds * 1_000)
            await self._ask(
                connection,
                f"SET statement_timeout = {milliseconds}; SET plan_cache_mode ="
                f" force_generic_plan; {POINT_LOOKUPS}",
            )
            link = Link(connection, statements, trio.current_time())
        except BaseException:
            connection.finish()
            raise
        try:
            with trio.fail_after(settings.answer_seconds):
                await _prepare(link)
        except trio.TooSlowError:
            link.close()
            raise ConnectionLost("the statements were not prepared in time") from None
        except BaseException:
            link.close()
            raise
        # A newer release may migrate while this one runs; its statements still work then.
        self._fits = True
        return link

    async def _check_schema(self, connection: PGconn) -> None:
        applied: list[tuple[int, str]] = []
        found = await self._ask(connection, "SELECT to_regclass('schema_version') IS NOT NULL")
        if found == [("t",)]:
            rows = await self._ask(connection, "SELECT version, digest FROM schema_version")
            applied = [(int(version), digest) for version, digest in rows]
        if not missing(WHERE, migrations(Engine.POSTGRES), applied):
            return
        owner, role = self._settings.postgres_owner, role_of(self._settings.postgres)
        if not owner:
            raise DatabaseRefused(
                f"{WHERE}: its schema is not up to date: run `entitlement-node database migrate`"
            )
        await trio.to_thread.run_sync(lambda: migrate(owner, role))

    async def _check_role(self, connection: PGconn) -> None:
        if await self._ask(connection, _TOO_MIGHTY):
            raise DatabaseRefused(
                f"{WHERE}: the role of store.postgres is a superuser or bypasses row-level"
                " security: tenants would not be kept apart; use an ordinary one"
            )
        if await self._ask(connection, _OWNS):
            raise DatabaseRefused(
                f"{WHERE}: the role of store.postgres owns the tables, and could take row-level"
                " security away: use another one, and this one in store.postgres-owner"
            )

    async def _ask(self, connection: PGconn, sql: str) -> list[tuple[str, ...]]:
        return await ask(connection, sql, self._settings.statement_seconds)


async def _prepare(link: Link) -> None:
    everything = link.prepare(trio.current_time())
    link.flush()
    while True:
        if link.blocked:
            await trio.lowlevel.wait_writable(link.socket)
            link.flush()
            continue
        await trio.lowlevel.wait_readable(link.socket)
        if everything in link.receive(trio.current_time()):
            break
    if everything.failure is not None:
        raise DatabaseRefused(f"{WHERE}: {unavailable(*everything.failure)}")
