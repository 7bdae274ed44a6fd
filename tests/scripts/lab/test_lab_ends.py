"""The lab as a process that is told to end: it takes AAA, SM-DP+ and node along."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.node.whole.lab_folder import free_port

pytestmark = pytest.mark.slow

SECONDS = 30.0


def children(parent: int) -> set[int]:
    """The AAA, the SM-DP+ and the node that a lab started and that still run."""
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    ours = (b"scripts.lab.aaa", b"scripts.lab.smdp_plus", b"serve")
    return {int(one) for one in found.split() if any(name in command(one) for name in ours)}


def command(number: str) -> bytes:
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    names = ("", "aaa-", "management-", "smdp-plus-", "smdp-plus-control-", "partner-")
    options = [text for name in names for text in (f"--{name}port", str(free_port()))]
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.lab", *options, "--data", str(folder), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_node_and_all_its_peers_as_well(
    tmp_path: Path, number: signal.Signals
) -> None:
    with start(tmp_path) as lab:
        try:
            assert lab.stdout is not None
            said = ""
            while "Ctrl-C ends it." not in said:
                line = lab.stdout.readline()
                assert line, said
                said += line
            started = children(lab.pid)
            assert len(started) == 3
            lab.send_signal(number)
            rest, _ = lab.communicate(timeout=SECONDS)
            assert lab.returncode == 128 + number
            assert "Traceback" not in rest
            assert not [one for one in started if alive(one)]
        finally:
            lab.kill()


def test_a_signal_while_everything_starts_leaves_nobody_behind(tmp_path: Path) -> None:
    with start(tmp_path, "--once") as lab:
        try:
            deadline = time.monotonic() + SECONDS
            while not children(lab.pid):
                assert time.monotonic() < deadline
                os.sched_yield()
            started = children(lab.pid)
            lab.send_signal(signal.SIGTERM)
            rest, _ = lab.communicate(timeout=SECONDS)
            assert lab.returncode == 128 + signal.SIGTERM
            assert "Traceback" not in rest
            assert not [one for one in started if alive(one)]
        finally:
            lab.kill()
