"""One trace over all workers: the events of each, in the order of their time."""

import heapq
from collections.abc import AsyncGenerator, Iterable
from typing import Final

import msgspec
import trio

from actors.trace.recorder import TooManyTraces
from node.trace.event_json import HEARTBEAT, TraceEnd, end_line, read_line
from node.view import HEARTBEAT_SECONDS
from node.workers.answering import ARMED
from node.workers.control import Piece
from node.workers.process import WorkerProcess, WorkerSilent, checked

HOLD_SECONDS: Final = 0.2  # an event waits so long for earlier ones of other workers
ARM_SECONDS: Final = 2.0
BOUND: Final = 4_000  # events that wait for a slow reader


class _Time(msgspec.Struct):
    time: float = 0.0


_time_of: Final = msgspec.json.Decoder(_Time).decode


class MergedTrace:
    """A running trace; workers that start meanwhile are added to it.

    Attributes:
        lost: events that did not reach the reader.
    """

    def __init__(self, imsi: str, seconds: float, *, hide: bool) -> None:
        self.lost = 0
        self._imsi = imsi
        self._hide = hide
        self._ends_at = trio.current_time() + seconds
        self._open: list[tuple[WorkerProcess, int]] = []
        self._arrived = trio.Event()
        self._heap: list[tuple[float, int, float, bytes]] = []  # time, order, due, line
        self._count = 0

    async def arm(self, processes: Iterable[WorkerProcess]) -> None:
        """Begin, in these workers.

        Raises:
            ValueError: the time is zero, negative or too long.
            TooManyTraces: a worker has as many as it may.
        """
        replies = [self._ask(process) for process in processes]
        for armed, first in replies:
            with trio.move_on_after(ARM_SECONDS):
                await armed.wait()
            for piece in first:
                if piece.error == "full":
                    raise TooManyTraces(piece.body.decode())
                if piece.error == "value":
                    checked(piece)

    def add(self, process: WorkerProcess) -> None:
        """A worker has started while the trace runs."""
        self._ask(process)

    def _ask(self, process: WorkerProcess) -> tuple[trio.Event, list[Piece]]:
        armed, first = trio.Event(), list[Piece]()

        def reader(piece: Piece) -> None:
            if not armed.is_set():
                first.append(piece)
                armed.set()
            if piece.body != ARMED and not piece.error:
                self._take(piece.body)

        seconds = self._ends_at - trio.current_time()
        question = {
            "imsi": self._imsi,
            "seconds": repr(seconds),
            "hide": "1" if self._hide else "0",
        }
        try:
            self._open.append((process, process.open("trace", question, reader)))
        except WorkerSilent:
            armed.set()
        return armed, first

    def _take(self, line: bytes) -> None:
        if not line:
            return
        event = read_line(line) if line.startswith(b'{"ended"') else None
        if isinstance(event, TraceEnd):
            self.lost += event.lost
        elif len(self._heap) >= BOUND:
            self.lost += 1
        else:
            self._count += 1
            due = trio.current_time() + HOLD_SECONDS
            heapq.heappush(self._heap, (_time_of(line).time, self._count, due, line))
            self._arrived.set()

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """The lines, until the time is over."""
        quiet_at = trio.current_time() + HEARTBEAT_SECONDS
        while True:
            now = trio.current_time()
            over = now >= self._ends_at + HOLD_SECONDS
            while self._heap and (over or self._heap[0][2] <= now):
                yield heapq.heappop(self._heap)[3]
                quiet_at = trio.current_time() + HEARTBEAT_SECONDS
            if over:
                yield end_line(self.lost)
                return
            if now >= quiet_at:
                yield HEARTBEAT
                quiet_at = trio.current_time() + HEARTBEAT_SECONDS
            self._arrived = trio.Event()
            due = self._heap[0][2] if self._heap else quiet_at
            with trio.move_on_at(min(due, quiet_at, self._ends_at + HOLD_SECONDS)):
                await self._arrived.wait()

    def close(self) -> None:
        """Disarm it everywhere."""
        for process, number in self._open:
            process.close(number)
        self._open.clear()
