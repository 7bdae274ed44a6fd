"""Hearing of what other nodes, and people with psql, change: LISTEN, and proof that it still works.

A connection that is silent may be dead. So a small question goes over it all the time: once it is
answered, everything that was committed before it was asked has been heard of, because PostgreSQL
sends the notifications that wait for a session before it says that it is ready.
"""

import math
import random
from collections.abc import Callable
from typing import Final

import structlog
import trio
from psycopg import OperationalError
from psycopg.pq.abc import PGconn

from actors.store.database import DatabaseRefused
from actors.store.postgres.connecting import ask, connect
from actors.store.postgres.link import ConnectionLost
from config.model import Store as Settings

CHANNEL: Final = "entitlement_store"
BEAT_SECONDS: Final = 0.25
# After the question that was answered last; with it a change is heard of within this time, or the
# rows in memory are not trusted any more. A token must be refused 1 s after its revocation.
TRUST_SECONDS: Final = 0.75
SILENT_SECONDS: Final = 2.0  # no answer for so long: another connection
FIRST_DELAY_SECONDS: Final = 0.05
LONGEST_DELAY_SECONDS: Final = 2.0

_log = structlog.get_logger("store")


class Listener:
    """Calls back for every change, as long as it can.

    Attributes:
        connects: how often it was connected.
        losses: how often the connection was lost, or none was to be had.
        notifications: how many came.
    """

    def __init__(self, conninfo: str, settings: Settings, changed: Callable[[str], None]) -> None:
        """Describe it; `run` connects.

        Args:
            changed: takes the text of each notification; must not raise.
        """
        self._conninfo = conninfo
        self._settings = settings
        self._changed = changed
        self._since = math.inf
        self._heard_at = -math.inf
        self.connects = 0
        self.losses = 0
        self.notifications = 0

    def heard_since(self) -> float:
        """Since when everything has been heard of (Trio clock); infinite when not even now."""
        fresh = trio.current_time() - self._heard_at < TRUST_SECONDS
        return self._since if fresh else math.inf

    @property
    def hearing(self) -> bool:
        """Whether every change is heard of now."""
        return self.heard_since() < math.inf

    async def run(self) -> None:
        """Listen until cancelled."""
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                connection = await connect(self._conninfo, self._settings.connect_seconds)
                try:
                    await self._listen(connection)
                finally:
                    self._since = math.inf
                    connection.finish()
            except (ConnectionLost, DatabaseRefused, OperationalError) as error:
                self.losses += 1
                _log.warning("changes not heard", reason=" ".join(str(error).split()))
                if self._heard_at > trio.current_time() - SILENT_SECONDS:
                    delay = FIRST_DELAY_SECONDS
            await trio.sleep(delay * (1 + random.random()))  # noqa: S311 - no secret
            delay = min(2 * delay, LONGEST_DELAY_SECONDS)

    async def _listen(self, connection: PGconn) -> None:
        asked = trio.current_time()
        await ask(connection, f"LISTEN {CHANNEL}", self._settings.statement_seconds)
        self._since, self._heard_at = trio.current_time(), asked
        self.connects += 1
        if self.losses:
            _log.info("changes heard again")
        beat_at = asked + BEAT_SECONDS
        asked_at: float | None = None
        while True:
            now = trio.current_time()
            if asked_at is None and now >= beat_at:
                connection.send_query(b"SELECT 1")
                connection.flush()
                asked_at = now
            if asked_at is not None and now - asked_at > SILENT_SECONDS:
                raise ConnectionLost(f"no answer for {SILENT_SECONDS:g} s")
            with trio.move_on_at(beat_at if asked_at is None else now + BEAT_SECONDS):
                await trio.lowlevel.wait_readable(connection.socket)
                connection.consume_input()
            answered = asked_at is not None and _answered(connection)
            while (notification := connection.notifies()) is not None:
                self.notifications += 1
                self._changed(notification.extra.decode("utf-8", "replace"))
            if answered and asked_at is not None:
                self._heard_at, beat_at = asked_at, asked_at + BEAT_SECONDS
                asked_at = None


def _answered(connection: PGconn) -> bool:
    """Whether the question has its whole answer; takes it."""
    while not connection.is_busy():
        if connection.get_result() is None:
            return True
    return False
