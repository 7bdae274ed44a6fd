"""Programs that a benchmark starts: on free ports, pinned to a core, ready, and accounted for.

A program counts as started only when this very process says that it is ready: somebody else's
server on the same port would answer just as well, and the figures would be somebody else's.
"""

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

READY_SECONDS: Final = 20.0
STOP_SECONDS: Final = 5.0
TICK_SECONDS: Final = 1 / os.sysconf("SC_CLK_TCK")
PAGE_OCTETS: Final = os.sysconf("SC_PAGE_SIZE")


class NotStarted(Exception):
    """A program ended, or did not get ready in time; the text has the end of what it said."""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def python(module: str, *arguments: object) -> list[str]:
    """The command of one of our modules."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def pinned(command: Sequence[str], core: int | None) -> list[str]:
    """The command on one core, where the machine has several and `taskset`."""
    if core is None or core not in os.sched_getaffinity(0) or shutil.which("taskset") is None:
        return list(command)
    return ["taskset", "-c", str(core), *command]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and its children have used.

    Attributes:
        cpu_seconds: user and system time of all its threads; in ticks of 10 ms.
        resident_octets: now.
    """

    cpu_seconds: float
    resident_octets: int


class Program:
    """A running program."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Of the process that was started; `taskset` becomes the program."""
        return self.process.pid

    def usage(self) -> Usage:
        """Of all processes of the program that run, and of those that have ended."""
        self.check()
        found = [_usage(pid) for pid in descendants(self.pid)]
        return Usage(
            sum(one.cpu_seconds for one in found), sum(one.resident_octets for one in found)
        )

    def check(self) -> None:
        """See that it still runs.

        Raises:
            NotStarted: it ended.
        """
        if self.process.poll() is not None:
            raise NotStarted(f"{self.name} ended with {self.process.returncode}: {self._said()}")

    def wait_for_line(self, word: str, seconds: float) -> str:
        """Read its standard output until a line that begins with `word`.

        Raises:
            NotStarted: it ended, or said no such line in time.
        """
        output = self.process.stdout
        if output is None:
            raise NotStarted(f"{self.name} has no standard output")
        descriptor, buffer = output.fileno(), b""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([descriptor], [], [], min(left, 0.1))[0]:
                self.check()
                continue
            data = os.read(descriptor, 4096)
            buffer += data
            for line in buffer.decode("utf-8", "replace").splitlines():
                if line.startswith(word):
                    return line
            if not data:
                self.process.wait(STOP_SECONDS)
                self.check()
        raise NotStarted(f"{self.name} is not ready after {seconds:g} s: {self._said()}")

    def _said(self) -> str:
        return self._log.read_text(errors="replace")[-600:].strip() or "it said nothing"

    def stop(self) -> None:
        """End it: SIGTERM, then SIGKILL."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextlib.contextmanager
def running(
    name: str,
    command: Sequence[str],
    folder: Path,
    *,
    core: int | None = None,
    ready: str = "ready",
) -> Iterator[Program]:
    """A program that is ready, ended with the block.

    Args:
        folder: for what it says on standard error.
        ready: begin of the line on standard output that says so; empty: do not wait.

    Raises:
        NotStarted: see there.
    """
    log = folder / f"{name.replace(' ', '-')}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            pinned(command, core), stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
    program = Program(name, process, log)
    try:
        if ready:
            program.wait_for_line(ready, READY_SECONDS)
        yield program
    finally:
        program.stop()


def descendants(pid: int) -> list[int]:
    """A process and everything that it has started and that still runs."""
    found = [pid]
    for parent in found:
        for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in tasks.read_text().split()]
    return found


def _usage(pid: int) -> Usage:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return Usage(0.0, 0)
    # The name stands in brackets and may hold spaces and brackets itself.
    fields = text[text.rindex(")") + 2 :].split()
    # utime, stime, cutime, cstime (proc(5), fields 14 to 17); children that have ended count too.
    return Usage(sum(map(int, fields[11:15])) * TICK_SECONDS, int(fields[21]) * PAGE_OCTETS)


def wait_until_listening(program: Program, port: int) -> None:
    """Until the program itself, or a child of it, listens on a port of TCP.

    Raises:
        NotStarted: it ended, or did not in time.
    """
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        program.check()
        if _listening_inodes(port) & _socket_inodes(program.pid):
            return
        time.sleep(0.02)
    raise NotStarted(f"{program.name} does not listen on {port}")


def _listening_inodes(port: int) -> set[str]:
    """Sockets in state LISTEN (0A) on the port, from /proc/net/tcp."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
            found.add(fields[9])
    return found


def _socket_inodes(pid: int) -> set[str]:
    found = set()
    for process in descendants(pid):
        for descriptor in Path(f"/proc/{process}/fd").glob("*"):
            with contextlib.suppress(OSError):
                kind, _, inode = os.readlink(descriptor).partition(":")
                if kind == "socket":
                    found.add(inode.strip("[]"))
    return found
