"""Programs that are not ours: found or skipped, run, and ended by whoever started them."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import trio

ROOT: Final = Path(__file__).parents[2]
SEARCH_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
RUN_SECONDS: Final = 30.0
END_SECONDS: Final = 5.0


def needs(name: str) -> str:
    """Path of a program; without it the test is skipped (in CI that is a failure)."""
    found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


async def run(name: str, *arguments: str, stdin: bytes = b"") -> str:
    """Standard output of a program that must succeed."""
    program = needs(name)
    with trio.fail_after(RUN_SECONDS):
        done = await trio.run_process(
            [program, *arguments],
            stdin=stdin,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="replace")


@asynccontextmanager
async def running_python(script: Path, *arguments: str) -> AsyncIterator[trio.Process]:
    """A Python program of the tests in its own process; killed at the end of the block.

    Its standard input ends with the block, its standard output can be read.
    """
    process = await trio.lowlevel.open_process(
        [sys.executable, str(script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            with trio.move_on_after(END_SECONDS):
                await process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    await stream.aclose()


async def first_line(process: trio.Process) -> str:
    """What the program says first."""
    assert process.stdout is not None
    said = b""
    with trio.fail_after(RUN_SECONDS):
        while b"\n" not in said:
            some = await process.stdout.receive_some()
            assert some, "the program ended without a word"
            said += some
    return said.partition(b"\n")[0].decode()
