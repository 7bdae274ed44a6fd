"""What the embedded store costs, in a process of its own: point reads inline, writes committed.

python -m scripts.bench.store_load --folder /tmp/x --count 20000
"""

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
import msgspec
import trio

from actors.backends.bss import BssUnavailable, Plan, Subscriber
from actors.runtime.turn import Turn
from actors.store.database import open_database
from actors.store.lab import seed_lab
from actors.store.records import NewToken, Token
from actors.store.sqlite import SqliteStore
from actors.store.store import StoreUnavailable, TokenSuperseded
from config.load import load
from config.model import Store as Settings
from scripts.bench.idle_sessions import LAB
from scripts.lab.subscribers import FIRST_IMSI

IN_FLIGHT: Final = 64
KNOWN: Final = 100  # subscribers that `seed_lab` made


class StoreResult(msgspec.Struct, frozen=True):
    """Microseconds of CPU for each operation, and committed writes a second."""

    count: int
    find_subscriber_us: float
    find_token_us: float
    save_token_us: float
    saved_per_second: float


class StoreFailed(Exception):
    """An operation did not do what it should."""


class StoreLoad:
    """One store under load."""

    def __init__(self, path: Path) -> None:
        self._turn = Turn()
        self._store = SqliteStore(path, Settings(), self._turn.end)
        self._hashes: list[bytes] = []
        self._found = self._left = self._saved = 0
        self._finished = trio.Event()
        self._failure: Exception | None = None

    async def measure(self, count: int) -> StoreResult:
        """Write `count` tokens, then read as often.

        Raises:
            StoreFailed: see there.
        """
        async with trio.open_nursery() as nursery:
            await nursery.start(self._store.run)
            save_us, per_second = await self._write(count)
            subscriber_us = self._timed(count, self._find_subscriber)
            token_us = self._timed(count, self._find_token)
            nursery.cancel_scope.cancel()
        if self._found != 2 * count:
            raise StoreFailed(f"{2 * count - self._found} rows were not found")
        return StoreResult(count, subscriber_us, token_us, save_us, per_second)

    async def _write(self, count: int) -> tuple[float, float]:
        self._left = count
        cpu, begin = time.process_time(), time.perf_counter()
        for _ in range(min(IN_FLIGHT, count)):
            self._save()
        self._turn.end()
        await self._finished.wait()
        if self._failure is not None:
            raise StoreFailed(repr(self._failure))
        elapsed = time.perf_counter() - begin
        return (time.process_time() - cpu) / count * 1e6, count / elapsed

    def _save(self) -> None:
        self._left -= 1
        hashed = secrets.token_bytes(32)
        self._hashes.append(hashed)
        number = FIRST_IMSI + self._left % KNOWN
        token = NewToken(
            "mno", hashed, f"{number:015d}", "356000000000018", ("ap2003", "ap2004", "ap2005"),
            "", 1_790_000_000, 1_790_172_800, 600,
        )  # fmt: skip
        self._store.save_token(token, self._kept)

    def _kept(self, failure: StoreUnavailable | TokenSuperseded | None) -> None:
        self._failure = self._failure or failure
        self._saved += 1
        if self._left and self._failure is None:
            self._save()
        elif self._saved == len(self._hashes):
            self._finished.set()

    def _timed(self, count: int, read: Callable[[int], None]) -> float:
        cpu = time.process_time()
        for number in range(count):
            read(number)
        return (time.process_time() - cpu) / count * 1e6

    def _find_subscriber(self, number: int) -> None:
        self._store.find_subscriber("mno", f"{FIRST_IMSI + number % KNOWN:015d}", self._has_row)

    def _find_token(self, number: int) -> None:
        self._store.find_token("mno", self._hashes[number], self._has_row)

    def _has_row(self, row: tuple[Subscriber, Plan] | Token | BssUnavailable | None) -> None:
        self._found += isinstance(row, tuple | Token)


@click.command()
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--count", default=20_000, show_default=True)
def main(folder: Path, count: int) -> None:
    """Measure and print a JSON object."""
    path = folder / "store-bench.db"
    connection = open_database(path)
    try:
        seed_lab(connection, load(LAB, here=False), int(time.time()))
    finally:
        connection.close()
    click.echo(msgspec.json.encode(trio.run(StoreLoad(path).measure, count)).decode())


if __name__ == "__main__":
    main()
