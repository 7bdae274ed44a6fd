"""A PostgreSQL server that the fault suite kills, with the lab's subscribers in it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.store.lab import seed_lab
from actors.store.postgres.database import PostgresDatabase
from config.load import load
from tests.actors.store.kit import TEMPLATE, make_template
from tests.actors.store.postgres_server import PostgresServer, postgres_folder
from tests.node.whole.lab_folder import Changes, LabFolder

NAME = "lab"


class LabDatabase:
    """A server with one seeded database.

    Attributes:
        server: to be killed and started again.
    """

    def __init__(self, server: PostgresServer) -> None:
        self.server = server

    def settings(self) -> Changes:
        """[store] of a node that works on it."""
        conninfo = self.server.conninfo("application", NAME)
        return {
            "postgres": conninfo,
            "connect-seconds": 1.0,
            "statement-seconds": 0.5,
            "answer-seconds": 1.0,
        }

    def seed(self, lab: LabFolder, folder: Path) -> None:
        """Put the lab's plans and subscribers in."""
        config = load(lab.prepare(folder / "seed"))
        database = PostgresDatabase(self.server.conninfo("application", NAME))
        try:
            seed_lab(database, config, int(time.time()))
        finally:
            database.close()

    def count(self, sql: str) -> int:
        """One number, as the superuser, whom row-level security does not stop."""
        with self.server.connect("postgres", NAME) as connection:
            row = connection.execute(sql.encode()).fetchone()
        assert row is not None
        return int(str(row[0]))


@contextmanager
def lab_database(lab: LabFolder, folder: Path) -> Iterator[LabDatabase]:
    """A server for the block; without PostgreSQL the test is skipped."""
    if postgres_folder() is None:
        pytest.skip("postgres is not installed")
    server = PostgresServer()
    try:
        make_template(server)
        server.create_database(NAME, TEMPLATE)
        one = LabDatabase(server)
        one.seed(lab, folder)
        yield one
    finally:
        server.remove()
