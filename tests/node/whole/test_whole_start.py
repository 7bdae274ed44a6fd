"""A node that cannot start says why in one line, without a traceback."""

import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.node.whole.whole_node import Changes, LabFolder

pytestmark = pytest.mark.slow

SECONDS = 30.0


@pytest.fixture
def taken() -> Iterator[str]:
    """An address that somebody else listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield f"127.0.0.1:{other.getsockname()[1]}"


def start(path: Path) -> list[str]:
    """Have `serve` fail; what it says besides its log."""
    command = [sys.executable, "-m", "node", "serve", "--config", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == 1
    return [line for line in ended.stderr.splitlines() if not line.startswith("{")]


@pytest.mark.parametrize("section", ["device", "management"])
def test_an_address_that_is_taken(lab: LabFolder, tmp_path: Path, taken: str, section: str) -> None:
    changes: Changes = {section: {"listen": [taken] if section == "device" else taken}}
    (line,) = start(lab.prepare(tmp_path, changes=changes))
    assert line == f"cannot start: cannot listen on {taken}: Address already in use"


def no_database(folder: Path) -> None:
    (folder / "node.db").write_bytes(b"something else" * 1_000)


def newer_schema(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "node.db")) as connection:
        connection.execute(
            "INSERT INTO schema_version SELECT 9999, name, applied, digest FROM schema_version"
            " LIMIT 1"
        )
        connection.commit()


def broken_certificate(folder: Path) -> None:
    (folder / "tls" / "device.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")


@pytest.mark.parametrize(
    ("spoil", "name", "says"),
    [
        (no_database, "node.db", "file is not a database"),
        (newer_schema, "node.db", "newer"),
        (broken_certificate, "tls/device.pem", "PEM"),
    ],
)
def test_a_file_that_cannot_be_used(
    lab: LabFolder, tmp_path: Path, spoil: Callable[[Path], None], name: str, says: str
) -> None:
    path = lab.prepare(tmp_path)
    spoil(tmp_path)
    (line,) = start(path)
    assert line.startswith(f"cannot start: {tmp_path / name}")
    assert says in line
