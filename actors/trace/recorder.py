"""Traces of single subscribers: armed by an operator, recorded by whoever acts, read as a stream.

Costs nothing while nobody looks: one test of `armed`. Everything runs in the Trio thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self

import trio

from protocols.http.message import HttpRequest, HttpResponse
from protocols.identity import masked

TRACES: Final = 16  # at the same time; each holds up to its bound of events
LONGEST_SECONDS: Final = 3_600.0  # a forgotten trace ends by itself

Leg = Literal["http", "swm", "swa", "es2+", "bss", "decision", "store"]
Direction = Literal["in", "out"]
Payload = HttpRequest | HttpResponse | bytes | str


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One thing that happened to a subscriber.

    Attributes:
        time: wall clock, seconds of Unix time.
        exchange: names the conversation; the same for all its HTTP and Diameter legs. Legs of an
            order (`es2+`, `bss`) name the order.
        tenant: id of the tenant.
        imsi: whose trace it belongs to.
        leg: `http` (device), `swm` or `swa` (AAA), `es2+` (SM-DP+), `bss` (business systems),
            `decision` or `store` (inside the node).
        direction: seen from the node.
        payload: the message; octets are a Diameter message as on the wire, text is a reason, or
            what the business systems are asked and answer.
        peer: the device's address, the Origin-Host of the Diameter connection, or the SM-DP+.
    """

    time: float
    exchange: str
    tenant: str
    imsi: str
    leg: Leg
    direction: Direction
    payload: Payload
    peer: str = ""

    def __repr__(self) -> str:
        """Without the payload: it is full of secrets."""
        return f"<TraceEvent {self.leg} {self.direction} {masked(self.imsi)} at {self.time:.3f}>"


@dataclass(frozen=True, slots=True)
class TraceStatistics:
    """The recorder as it stands now."""

    armed: int
    """Traces that are running."""
    recorded: int
    """Events handed to a trace since the start."""
    lost: int
    """Events that a trace had no room for: its reader was too slow."""


class TooManyTraces(Exception):
    """As many traces as allowed are running."""


class Trace:
    """One armed trace and the events that wait for its reader.

    Iterate over it in one task; the iteration ends with the time of the trace. Close it (or leave
    its `with` block) to disarm it.

    Attributes:
        imsi: the subscriber.
        ends_at: seconds on the Trio clock.
        lost: events that there was no room for.
    """

    __slots__ = ("_receive", "_recorder", "_send", "ends_at", "imsi", "lost")

    def __init__(self, recorder: "TraceRecorder", imsi: str, ends_at: float, bound: int) -> None:
        self._recorder = recorder
        self.imsi = imsi
        self.ends_at = ends_at
        self.lost = 0
        self._send, self._receive = trio.open_memory_channel[TraceEvent](bound)

    def __repr__(self) -> str:
        waiting = self._send.statistics().current_buffer_used
        return f"<Trace of {masked(self.imsi)} waiting={waiting} lost={self.lost}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TraceEvent:
        with trio.move_on_at(self.ends_at):
            try:
                return await self._receive.receive()
            except trio.EndOfChannel:
                raise StopAsyncIteration from None
        self.close()
        raise StopAsyncIteration

    def close(self) -> None:
        """Disarm. Its reader still gets the events that wait, then the end."""
        self._recorder.disarm(self)
        self._send.close()

    def offer(self, event: TraceEvent) -> bool:
        """Put an event before the reader; False when there is no room."""
        try:
            self._send.send_nowait(event)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            self.lost += 1
            return False
        return True


class TraceRecorder:
    """Hands events to the traces that want them.

    Attributes:
        armed: whether any trace is running. Test this before anything else.
    """

    __slots__ = ("_clock", "_lost", "_recorded", "_traces", "armed")

    def __init__(self, *, clock: Callable[[], float] = trio.current_time) -> None:
        self.armed = False
        self._clock = clock
        self._traces: dict[str, list[Trace]] = {}
        self._recorded = self._lost = 0

    def wants(self, imsi: str) -> bool:
        """Whether a trace of this subscriber is running."""
        traces = self._traces.get(imsi)
        if traces is None:
            return False
        now = self._clock()
        for trace in [one for one in traces if one.ends_at <= now]:
            trace.close()  # its reader is busy or gone: time ends the trace all the same
        return imsi in self._traces

    def arm(self, imsi: str, seconds: float, bound: int) -> Trace:
        """Start a trace.

        Args:
            imsi: the subscriber, digits only.
            seconds: how long, up to `LONGEST_SECONDS`.
            bound: events that may wait for the reader; later ones are lost and counted.

        Raises:
            TooManyTraces: `TRACES` are running.
            ValueError: the time is zero, negative, or too long.
        """
        if not 0 < seconds <= LONGEST_SECONDS:
            raise ValueError(f"seconds is more than 0 and at most {LONGEST_SECONDS:g}")
        for known in list(self._traces):
            self.wants(known)  # makes room where time has ended a trace
        if sum(map(len, self._traces.values())) >= TRACES:
            raise TooManyTraces(f"{TRACES} traces are running")
        trace = Trace(self, imsi, self._clock() + seconds, bound)
        self._traces.setdefault(imsi, []).append(trace)
        self.armed = True
        return trace

    def disarm(self, trace: Trace) -> None:
        """Stop handing events to a trace; nothing happens when it was stopped before."""
        traces = self._traces.get(trace.imsi)
        if traces is None or trace not in traces:
            return
        traces.remove(trace)
        if not traces:
            del self._traces[trace.imsi]
        self.armed = bool(self._traces)

    def record(self, event: TraceEvent) -> None:
        """Hand an event to the traces of its subscriber. Never blocks."""
        for trace in self._traces.get(event.imsi, ()):
            if trace.offer(event):
                self._recorded += 1
            else:
                self._lost += 1

    def statistics(self) -> TraceStatistics:
        """A snapshot."""
        return TraceStatistics(
            armed=sum(map(len, self._traces.values())),
            recorded=self._recorded,
            lost=self._lost,
        )
