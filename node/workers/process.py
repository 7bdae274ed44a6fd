"""A worker as its supervisor sees it: a process, what it has said, and what it is asked."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
import trio

import node
from node.workers.control import (
    Channel,
    Enough,
    Failed,
    Piece,
    Prepared,
    Question,
    Released,
    Serving,
    Start,
    ToSupervisor,
    Totals,
    ToWorker,
    to_supervisor,
)

LAST_WORDS_SECONDS: Final = 1.0  # of a process that has ended, still on their way
PULSE_SECONDS: Final = 10.0
# A loop that does not turn for so long is stuck for good. Counted in steps, each of which must pass
# here as well: a machine that was suspended as a whole finds nobody missing.
MISSED_PULSES: Final = 3

_log = structlog.get_logger("workers")


class WorkerSilent(Exception):
    """The worker is gone, or does not answer."""


class WorkerProcess:
    """One process.

    Attributes:
        number: of the worker.
        pid: 0 before it runs.
        prepared, serving, released, ended: what has happened to it.
        failed: why it could not start, as it said.
        totals: its last word: the dump of its metrics; empty when it could not say it.
        status: of its exit; None while it runs.
    """

    def __init__(self, start: Start) -> None:
        """Describe it; what is posted from now on reaches it once it runs."""
        self.number = start.number
        self.pid = 0
        self.prepared = trio.Event()
        self.serving = trio.Event()
        self.released = trio.Event()
        self.ended = trio.Event()
        self.failed: list[str] = []
        self.totals = b""
        self.status: int | None = None
        self._process: trio.Process | None = None
        self._sockets = [*start.sockets, *([start.partner] if start.partner >= 0 else [])]
        ours, self._theirs = socket.socketpair()
        self._channel = Channel(
            trio.SocketStream(trio.socket.from_stdlib_socket(ours)), to_supervisor
        )
        self._channel.post(start)
        self._said_all = trio.Event()
        self._asked = 0
        self._readers: dict[int, Callable[[Piece], None]] = {}

    def __repr__(self) -> str:
        return f"<WorkerProcess {self.number} pid={self.pid} status={self.status}>"

    async def run(self) -> None:
        """Have the process run until it ends; killed when this is cancelled."""
        control = self._theirs.fileno()
        try:
            self._process = process = await trio.lowlevel.open_process(
                [sys.executable, "-m", "node", "worker", "--control", str(control)],
                stdin=subprocess.DEVNULL,
                pass_fds=(control, *self._sockets),
                env=environment(),
                # Ctrl-C of a terminal is for the supervisor, which then ends the workers in order.
                start_new_session=True,
            )
        finally:
            self._theirs.close()
        self.pid = process.pid
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._carry)
                nursery.start_soon(self._watch_pulse)
                await process.wait()
                with trio.move_on_after(LAST_WORDS_SECONDS):
                    await self._said_all.wait()
                nursery.cancel_scope.cancel()
        finally:
            if process.returncode is None:
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
            self.status = process.returncode
            self._end()

    async def _carry(self) -> None:
        await self._channel.run(self._take)
        self._said_all.set()

    def _end(self) -> None:
        self.ended.set()
        readers, self._readers = self._readers, {}
        for number, reader in readers.items():
            reader(Piece(number, b"the worker has ended", "silent"))

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal, if it still runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    # --- what is said ---------------------------------------------------------------------------

    def post(self, message: ToWorker) -> bool:
        """Tell it something; False when it is gone, or takes nothing."""
        return self._channel.post(message)

    def _take(self, message: ToSupervisor) -> None:
        match message:
            case Prepared():
                self.prepared.set()
            case Serving():
                self.serving.set()
            case Released():
                self.released.set()
            case Failed(reasons):
                self.failed = reasons
            case Totals(dump):
                self.totals = dump
            case Piece(number):
                if message.last:
                    reader = self._readers.pop(number, None)
                else:
                    reader = self._readers.get(number)
                if reader is not None:
                    reader(message)

    # --- questions ------------------------------------------------------------------------------

    def open(self, what: str, arguments: dict[str, str], reader: Callable[[Piece], None]) -> int:
        """Ask a question; `reader` gets the pieces of the answer until the last one.

        Returns:
            The number of the question, for `close`.

        Raises:
            WorkerSilent: it is gone.
        """
        self._asked += 1
        if self.ended.is_set() or not self.post(Question(self._asked, what, arguments)):
            raise WorkerSilent(f"worker {self.number} is gone")
        self._readers[self._asked] = reader
        return self._asked

    def close(self, number: int) -> None:
        """No more pieces of that answer are wanted."""
        if self._readers.pop(number, None) is not None:
            self.post(Enough(number))

    async def ask(self, what: str, arguments: dict[str, str], seconds: float) -> bytes:
        """Ask a question that has one piece as its answer.

        Raises:
            WorkerSilent: no answer, in time or at all.
            LookupError, ValueError: what it says of the question.
        """
        pieces: list[Piece] = []
        arrived = trio.Event()

        def reader(piece: Piece) -> None:
            pieces.append(piece)
            arrived.set()

        number = self.open(what, arguments, reader)
        try:
            with trio.move_on_after(seconds):
                await arrived.wait()
        finally:
            self.close(number)
        if not pieces:
            raise WorkerSilent(f"worker {self.number} does not answer")
        return checked(pieces[0])

    async def _watch_pulse(self) -> None:
        """End a process whose loop is stuck; the supervisor then starts another one."""
        await self.serving.wait()
        missed = 0
        while missed < MISSED_PULSES:
            await trio.sleep(PULSE_SECONDS)
            try:
                await self.ask("pulse", {}, PULSE_SECONDS)
                missed = 0
            except WorkerSilent:
                missed += 1
        _log.error("worker is stuck", number=self.number, pid=self.pid)
        self.kill()


def checked(piece: Piece) -> bytes:
    """The body of a piece.

    Raises:
        WorkerSilent, LookupError, ValueError: it tells of a fault.
    """
    text = piece.body.decode()
    match piece.error:
        case "":
            return piece.body
        case "lookup":
            raise LookupError(text)
        case "value":
            raise ValueError(text)
    raise WorkerSilent(text)


def environment() -> dict[str, str]:
    """The workers' variables: ours, and where this very program is found."""
    root = str(Path(node.__file__).parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
