"""Log lines on their way to standard error: a bounded queue and one thread that writes.

Standard error may be a pipe that nobody reads for a while. The loop never waits for it: a line that
finds the queue full is dropped and counted.
"""

import os
import queue
import threading
from dataclasses import dataclass
from typing import Final

LINES: Final = 10_000  # waiting; some 3 MB
CLOSE_SECONDS: Final = 2.0  # for the last lines on the way out


@dataclass(frozen=True, slots=True)
class LogStatistics:
    """The log as it stands now."""

    written: int
    """Lines written since the start."""
    dropped: int
    """Lines lost because standard error was not read, or is closed."""
    waiting: int
    """Lines that wait to be written."""


class LogWriter:
    """Writes lines to a file descriptor from a thread that begins with the first line."""

    def __init__(self, descriptor: int = 2, bound: int = LINES) -> None:
        """Describe the writer.

        Args:
            descriptor: where to; it is not closed.
            bound: lines that may wait.
        """
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes | None] = queue.Queue(bound)
        self._thread: threading.Thread | None = None
        self._process = 0  # whose thread it is: a fork has none
        self._written = self._dropped = 0

    def write(self, line: str) -> None:
        """Put one line on the way; never waits."""
        if self._thread is None or self._process != os.getpid():
            self._begin()
        try:
            self._lines.put_nowait(line.encode("utf-8", "backslashreplace") + b"\n")
        except queue.Full:
            self._dropped += 1

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Write what waits, within the time given, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is None or self._process != os.getpid():
            return
        try:
            self._lines.put(None, timeout=seconds)
        except queue.Full:
            return
        thread.join(seconds)

    def statistics(self) -> LogStatistics:
        """A snapshot."""
        return LogStatistics(self._written, self._dropped, self._lines.qsize())

    def _begin(self) -> None:
        if self._thread is not None:  # a fork: the parent writes what waited there
            self._lines = queue.Queue(self._lines.maxsize)
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        lines = self._lines
        while (line := lines.get()) is not None:
            try:
                _write_all(self._descriptor, line)
                self._written += 1
            except OSError:
                self._dropped += 1


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
