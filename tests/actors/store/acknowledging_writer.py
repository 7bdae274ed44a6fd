"""A process that writes tokens and prints each one that the store acknowledged, until it is killed.

Usage: python acknowledging_writer.py FILE|CONNINFO power|process
"""

import os
import sys
from pathlib import Path

import trio

from actors.store.postgres.store import PostgresStore
from actors.store.records import NewToken
from actors.store.sqlite import SqliteStore
from actors.store.store import StoreUnavailable, TokenSuperseded
from config.model import Store

WAITING = 64


class Writer:
    """Keeps so many writes waiting; says on standard output which ones came back."""

    def __init__(self, database: str, *, power: bool) -> None:
        self.store: SqliteStore | PostgresStore
        if "=" in database:
            self.store = PostgresStore(Store(postgres=database), end_turn=self.end_turn)
        else:
            settings = Store(tokens_survive_power_cut=power)
            self.store = SqliteStore(Path(database), settings, end_turn=self.end_turn)
        self.number = 0
        self.acknowledged: list[bytes] = []

    def write(self) -> None:
        self.number += 1
        number = self.number
        token = NewToken(
            tenant="mno",
            # One owner each: the number is the key of the row, see `split_hash`.
            token_hash=(number << 1).to_bytes(8, "big") + bytes(32),
            imsi=f"00101{number:010}",
            terminal_id="990000862471854",
            apps=("ap2003",),
            app_name="",
            issued=1_800_000_000 + number,
            expires=1_900_000_000 + number,
            grace_seconds=1_000_000,
        )

        def saved(failure: StoreUnavailable | TokenSuperseded | None) -> None:
            assert failure is None
            self.acknowledged.append(b"%d\n" % number)
            self.write()

        self.store.save_token(token, saved)

    def end_turn(self) -> None:
        os.write(1, b"".join(self.acknowledged))
        self.acknowledged.clear()

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: self.store.run(task_status=task_status))
            for _ in range(WAITING):
                self.write()


if __name__ == "__main__":
    trio.run(Writer(sys.argv[1], power=sys.argv[2] == "power").run)
