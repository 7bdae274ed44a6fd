"""The ordinary stack answers the exchange of the benchmark, against an AAA with foreign Diameter.

The client is the benchmark's own, which checks every answer.
"""

import datetime
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from node.device.certificates import make_lab_certificates
from scripts.bench.load_client import LoadResult
from scripts.bench.modes import HTTP_MODES
from scripts.bench.processes import Program, free_ports, python, running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ordinary")
    make_lab_certificates(path / "tls", ["localhost"], datetime.datetime.now(datetime.UTC))
    return path


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[tuple[Program, int]]:
    """The ordinary stack and its port."""
    aaa_port, port = free_ports(2)
    aaa = python("scripts.bench.independent_aaa", "--port", aaa_port)
    stack = python(
        "scripts.bench.ordinary_stack", "--port", port, "--aaa", f"127.0.0.1:{aaa_port}",
        "--tls", folder / "tls",
    )  # fmt: skip
    with running("aaa", aaa, folder), running("stack", stack, folder) as program:
        yield program, port


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(HTTP_MODES))
def test_every_mode_is_answered(stack: tuple[Program, int], folder: Path, mode: str) -> None:
    program, port = stack
    before = program.usage().cpu_seconds
    command = python(
        "scripts.bench.load_client", "--port", port, "--ca", folder / "tls" / "ca.pem",
        "--mode", mode, "--count", 20, "--devices", 20,
    )  # fmt: skip
    found = subprocess.run(command, input=b"go\n", capture_output=True, timeout=30)
    assert found.returncode == 0, found.stderr.decode()
    prepared, result = found.stdout.decode().splitlines()
    assert prepared == "prepared"
    kind, _, text = result.partition(" ")
    assert kind == "result"
    measured = msgspec.json.decode(text, type=LoadResult)
    assert measured.count == 20
    assert 0 < measured.p50 <= measured.p95 <= measured.p99 <= measured.largest
    assert program.usage().cpu_seconds > before


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["volte_vowifi_activation", "token_refresh", "sqn_resync", "wrong_res", "abandoned"]
)
def test_the_shipped_scenarios_pass_against_it(
    stack: tuple[Program, int], folder: Path, name: str
) -> None:
    """The traffic generator against real sockets: TLS, HTTP/2, Diameter."""
    _, port = stack
    command = python(
        "scripts.traffic", "run", name, "--target", f"https://localhost:{port}", "--cacert",
        folder / "tls" / "ca.pem", "-r", 50, "-m", 10, "--ramp", "0s", "--quiet",
    )  # fmt: skip
    found = subprocess.run(command, capture_output=True, timeout=30)
    assert found.returncode == 0, found.stderr.decode()
    assert f"{name}: 10 passed, 0 failed" in found.stderr.decode()
