"""Programs of the benchmark: started, accounted for, ended, and never somebody else's."""

import os
import socket
import sys
from pathlib import Path

import pytest

from scripts.bench.processes import NotStarted, free_ports, pinned, running


def script(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_ports_are_free_and_different() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    for port in ports:
        with socket.socket() as one:
            one.bind(("127.0.0.1", port))


def test_a_program_is_accounted_for_with_its_children(tmp_path: Path) -> None:
    text = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    until = time.process_time() + 0.15\n"
        "    while time.process_time() < until: pass\n"
        "    print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    with running("burner", script(text), tmp_path) as program:
        usage = program.usage()
    assert 0.1 <= usage.cpu_seconds <= 5
    assert usage.resident_octets > 5_000_000


def test_children_that_have_ended_count_too(tmp_path: Path) -> None:
    text = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    until = time.process_time() + 0.15\n"
        "    while time.process_time() < until: pass\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    with running("burner", script(text), tmp_path) as program:
        assert program.usage().cpu_seconds >= 0.1


def test_a_program_that_ends_is_not_started_even_if_its_port_answers(tmp_path: Path) -> None:
    """What listens there is somebody else's: it must not be measured."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        text = f"import socket; socket.socket().bind(('127.0.0.1', {port}))"
        with (
            pytest.raises(NotStarted, match=r"(?s)server ended with 1: .*Address already in use"),
            running("server", script(text), tmp_path),
        ):
            pytest.fail("it is not ready")


def test_a_program_that_says_nothing_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.bench.processes.READY_SECONDS", 0.2)
    with (
        pytest.raises(NotStarted, match=r"is not ready after 0.2 s: it said nothing"),
        running("mute", script("import time; time.sleep(60)"), tmp_path),
    ):
        pytest.fail("it is not ready")


def test_a_program_ends_with_its_block(tmp_path: Path) -> None:
    with running("one", script("print('ready', flush=True); input()"), tmp_path) as program:
        pid = program.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(NotStarted):
        program.usage()


def test_pinning_is_left_out_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pinned(["x"], None) == ["x"]
    assert pinned(["x"], 10_000) == ["x"]
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert pinned(["x"], 0) == ["x"]
