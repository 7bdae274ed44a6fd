"""The engines that the tests of the store run on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actors.store.kit import TEMPLATE, Kit, PostgresKit, SqliteKit, make_template
from tests.actors.store.postgres_server import PostgresServer, postgres_folder


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server with a migrated template."""
    if postgres_folder() is None:
        pytest.skip("postgres is not installed")
    one = PostgresServer()
    try:
        make_template(one)
        one.create_database("shared", TEMPLATE)
        yield one
    finally:
        one.remove()


@pytest.fixture
def postgres(server: PostgresServer) -> Iterator[PostgresKit]:
    """An empty database."""
    kit = PostgresKit(server, "shared")
    kit.clear()
    yield kit
    kit.close()


@pytest.fixture(
    params=["sqlite", pytest.param("postgres", marks=pytest.mark.interop)],
)
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Kit:
    """The same tests for both."""
    if request.param == "sqlite":
        return SqliteKit(tmp_path / "node.db")
    found: PostgresKit = request.getfixturevalue("postgres")
    return found
