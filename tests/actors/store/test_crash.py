"""`kill -9` in the middle of writing: nothing that was acknowledged is lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from actors.store.database import open_database
from tests.actors.store.kit import PostgresKit

WRITER = Path(__file__).with_name("acknowledging_writer.py")
ROOT = Path(__file__).parents[3]
ENOUGH = 1_500  # acknowledgements before the kill


def acknowledged_until_killed(database: str, against: str) -> list[int]:
    process = subprocess.Popen(
        [sys.executable, str(WRITER), database, against],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    with process.stdout as output:
        lines = [output.readline() for _ in range(ENOUGH)]
        process.send_signal(signal.SIGKILL)
        lines.extend(output.readlines())
    assert process.wait() == -signal.SIGKILL
    # The kill may have cut the last line.
    return [int(line) for line in lines if line.endswith(b"\n")]


@pytest.mark.slow
@pytest.mark.parametrize("against", ["process", "power"])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path, against: str) -> None:
    path = tmp_path / "node.db"
    acknowledged = acknowledged_until_killed(str(path), against)
    assert len(acknowledged) >= ENOUGH
    connection = open_database(path)
    kept = {
        number for (number,) in connection.execute("SELECT owner FROM tokens WHERE tenant = 'mno'")
    }
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert set(acknowledged) <= kept


@pytest.mark.slow
@pytest.mark.interop
def test_a_killed_node_loses_nothing_that_its_server_acknowledged(postgres: PostgresKit) -> None:
    acknowledged = acknowledged_until_killed(postgres.settings.postgres, "process")
    assert len(acknowledged) >= ENOUGH
    kept = {number for (number,) in postgres.execute("SELECT owner FROM tokens")}
    assert set(acknowledged) <= kept
