"""What a benchmark runs: the lab's AAA, our node, and the ordinary stack, each where it is alone.

The AAA and the load client share one core, the measured server has the other: only its own account
is read, but on one core it would be measured with cold caches.

Both servers make the same exchange: the ordinary stack ends no Diameter session after a success
(STR), so our node is told not to, either.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.store.database import open_database
from actors.store.subscriber_import import Imported, RowWriter
from config.load import load
from scripts.bench.processes import (
    NotStarted,
    Program,
    free_ports,
    python,
    running,
    wait_until_listening,
)
from scripts.lab.installation import Installation

FIRST_IMSI: Final = 1_010_000_100_001  # behind the lab's own subscribers
FIRST_NUMBER: Final = 491_710_000_001
SUBSCRIBERS: Final = 2_000
PLAN: Final = "full"  # everything allowed: the longest document
TENANT: Final = "mno"


def cores() -> tuple[int | None, int | None]:
    """(for the measured server, for everything else); None where there is only one core."""
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) > 1 else (None, None)


@dataclass(frozen=True, slots=True)
class Server:
    """A server under test."""

    name: str
    program: Program
    port: int


@dataclass(frozen=True, slots=True)
class BenchLab:
    """All that runs."""

    folder: Path
    ca: Path
    aaa: Program
    aaa_port: int
    node: Server
    ordinary: Server | None
    management_url: str


@contextlib.contextmanager
def bench_lab(folder: Path, *, ordinary: bool = True) -> Iterator[BenchLab]:
    """Start everything; end it with the block.

    Args:
        folder: for the database, certificates and logs of this run.

    Raises:
        NotStarted: a program did not start.
    """
    server_core, other_core = cores()
    aaa_port, port, management_port, ordinary_port = free_ports(4)
    lab = Installation.prepare(folder, port, aaa_port, management_port)
    without_termination(lab.config)
    provision(lab.config)
    with contextlib.ExitStack() as stack:
        aaa = stack.enter_context(
            running("aaa", lab.aaa_command, folder, core=other_core, ready="")
        )
        wait_until_listening(aaa, aaa_port)
        node = stack.enter_context(
            running("node", lab.node_command, folder, core=server_core, ready="")
        )
        wait_until_listening(node, port)
        server = None
        if ordinary:
            command = python(
                "scripts.bench.ordinary_stack", "--port", ordinary_port,
                "--aaa", f"127.0.0.1:{aaa_port}", "--tls", folder / "tls",
            )  # fmt: skip
            program = stack.enter_context(
                running("ordinary stack", command, folder, core=server_core)
            )
            server = Server("ordinary stack", program, ordinary_port)
        yield BenchLab(
            folder, lab.ca, aaa, aaa_port, Server("node", node, port), server, lab.management_url
        )


def without_termination(config_file: Path) -> None:
    """Have the measured tenant send no STR.

    Raises:
        NotStarted: the configuration of the lab does not look as expected.
    """
    text = config_file.read_text()
    tenant = f'[[tenants]]\nid = "{TENANT}"\n'
    if tenant not in text:
        raise NotStarted(f"the lab has no tenant {TENANT}")
    config_file.write_text(
        text.replace(tenant, f"{tenant}authentication.session-termination = false\n")
    )


def provision(config_file: Path) -> None:
    """Put the benchmark's subscribers into the node's database.

    Raises:
        NotStarted: they are not all in it: a stranger's document is shorter, and faster.
    """
    config = load(config_file)
    connection = open_database(Path(config.node.data) / config.store.path)
    imported = Imported()
    try:
        writer = RowWriter(connection, TENANT, ("imsi", "msisdn", "plan"), int(time.time()))
        numbers = range(SUBSCRIBERS)
        writer.add([(f"{FIRST_IMSI + at:015}", str(FIRST_NUMBER + at), PLAN) for at in numbers])
        writer.apply(imported)
    finally:
        connection.close()
    if imported.added != SUBSCRIBERS:
        raise NotStarted(f"{imported.added} of {SUBSCRIBERS} subscribers were added")
