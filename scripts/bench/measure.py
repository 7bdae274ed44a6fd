"""One measurement over HTTP: the load client against one server, CPU from the system's account."""

import subprocess
import tempfile
from dataclasses import dataclass
from typing import Final

import msgspec

from scripts.bench.lab import FIRST_IMSI, BenchLab, Server, cores
from scripts.bench.load_client import LoadResult
from scripts.bench.modes import HttpMode
from scripts.bench.processes import pinned, python

CLIENT_SECONDS: Final = 120.0


class MeasurementFailed(Exception):
    """A client or a server failed: there is no figure."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one client run gave.

    Attributes:
        cpu_ms: of all processes of the server, for each exchange.
        resident_mb: of the server after the run.
    """

    cpu_ms: float
    resident_mb: float
    load: LoadResult

    @property
    def rate(self) -> float:
        """Exchanges a second."""
        return self.load.count / self.load.elapsed


def measure(
    lab: BenchLab, server: Server, mode: HttpMode, count: int, *, rate: float = 0.0,
    devices: int = 128, at_once: int = 0,
) -> Measured:  # fmt: skip
    """Make `count` exchanges: in a closed loop, or with a rate in an open one.

    Raises:
        MeasurementFailed: an exchange failed.
        NotStarted: the server ended.
    """
    command = python(
        "scripts.bench.load_client", "--port", server.port, "--ca", lab.ca, "--mode", mode.name,
        "--count", count, "--rate", rate, "--devices", devices, "--first-imsi", FIRST_IMSI,
        "--at-once", at_once,
    )  # fmt: skip
    with tempfile.TemporaryFile() as errors:
        client = subprocess.Popen(
            pinned(command, cores()[1]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        try:
            if client.stdin is None or client.stdout is None:
                raise MeasurementFailed("the client has no pipes")
            prepared = client.stdout.readline()
            before = server.program.usage()
            if prepared:
                client.stdin.write("go\n")
                client.stdin.flush()
            line = client.stdout.readline()
            after = server.program.usage()
            client.wait(CLIENT_SECONDS)
        finally:
            if client.poll() is None:
                client.kill()
                client.wait()
            for pipe in (client.stdin, client.stdout):
                if pipe is not None:
                    pipe.close()
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace").strip()
    kind, _, text = line.partition(" ")
    if client.returncode != 0 or kind != "result":
        raise MeasurementFailed(f"{server.name}: {said or 'the client said nothing'}")
    load = msgspec.json.decode(text, type=LoadResult)
    cpu = after.cpu_seconds - before.cpu_seconds
    return Measured(cpu / count * 1_000, after.resident_octets / 1e6, load)
