"""Requests between the workers of one node: to the owner of a session, or to a successor.

A new connection of a device reaches any worker, its session is in one: `forward` is what sessions
call for a cookie that names another owner. When that one is gone the asking worker goes on by
itself. A request is never passed on in a circle: it carries its hops.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
import trio

from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from node.forwarding.inlet import ForwardedExchange, Inlet
from node.forwarding.messages import LAST_HOP
from node.forwarding.outlet import Exchange, Outlet
from node.forwarding.place import Place
from node.forwarding.wire import Wire
from protocols.http.message import HttpRequest
from protocols.ts43.responses import unavailable

# A successor begins when its predecessor has let go, and first connects to the AAA, which may be
# down.
SUCCESSOR_SECONDS: Final = 5.0
SUCCESSOR_POLL_SECONDS: Final = 0.01

Handle = Callable[[HttpRequest, Exchange], None]

_log = structlog.get_logger("forwarding")


@dataclass(frozen=True, slots=True)
class ForwardingStatistics:
    """Requests between workers since the start."""

    sent: int
    """Requests that were passed on to the worker that owns their session."""
    answered: int
    """Those of them that came back with a response."""
    gone_on: dict[str, int]
    """Those that this worker went on with by itself: the owner is elsewhere, down, full, late,
    lost, or refuses."""
    excused: int
    """Those that the owner took and did not answer in time: 503."""
    abandoned: int
    """Those whose device left."""
    waiting: int
    """Those that wait for their answer now."""
    handed_over: int
    """Requests passed on to a successor."""
    served: int
    """Requests of other workers' devices that were taken."""
    refused: int
    """Requests of other workers' devices that came too late, or when this worker was leaving."""
    lost: int
    """Requests taken whose device, or whose worker, went away."""
    serving: int
    """Requests taken and not answered yet, now."""


class Forwarding:
    """Both directions of one worker."""

    def __init__(
        self, place: Place, turn: Turn, timers: TimerWheel, *, answer_seconds: float
    ) -> None:
        """Describe it; nothing runs yet.

        Args:
            answer_seconds: within which a worker answers whatever it has taken.
        """
        self._place = place
        self._turn = turn
        self._timers = timers
        self._answer_seconds = answer_seconds
        self._handle: Handle | None = None
        self._changed: list[Wire] = []
        self._elsewhere = self._handed_over = 0
        self._nursery: trio.Nursery | None = None
        self._inlet = Inlet(
            place.socket_of(place.number), self._serve, self._changed.append, turn.end
        )
        self._outlets = {
            number: self._outlet(number)
            for number in range(1, place.workers + 1)
            if number != place.number
        }
        self._successor: Outlet | None = None
        self._held: list[tuple[HttpRequest, Exchange]] | None = None
        turn.flusher(self._flush)

    def _outlet(self, number: int) -> Outlet:
        return Outlet(
            self._place.socket_of(number),
            answer_seconds=self._answer_seconds,
            changed=self._changed.append,
            timers=self._timers,
            start=self._start_wire,
            end_turn=self._turn.end,
            excuse=_excuse,
        )

    def serve_with(self, handle: Handle) -> None:
        """What takes the requests of other workers' devices: the surface of this one."""
        self._handle = handle

    # --- passing on -----------------------------------------------------------------------------

    def forward(
        self, owner: int, http: HttpRequest, exchange: Exchange, otherwise: Callable[[], None]
    ) -> None:
        """Have the owner of a session serve a request, or call `otherwise`.

        Args:
            owner: as the cookie names it.
            otherwise: goes on here; called at once or later, or never.
        """
        number = self._place.worker_of(owner)
        outlet = None if number is None else self._outlets.get(number)
        hops = exchange.hops if isinstance(exchange, ForwardedExchange) else 0
        if outlet is None or hops >= LAST_HOP:
            self._elsewhere += 1
            return otherwise()
        outlet.ask(http, exchange, LAST_HOP, otherwise)

    # --- letting go -----------------------------------------------------------------------------

    def refuse(self) -> None:
        """Take nothing more of other workers; what was taken is answered."""
        self._inlet.refuse()

    def hand_over(self, http: HttpRequest, exchange: Exchange) -> None:
        """Pass a request of a device of this worker on to the process that takes its place.

        Until that one listens the request is held. This takes the place of the surface's `handle`.
        """
        self._handed_over += 1
        if self._held is not None:
            self._held.append((http, exchange))
        elif self._successor is None:
            self._held = [(http, exchange)]
            if self._nursery is not None:
                self._nursery.start_soon(self._find_successor)
        else:
            self._successor.ask(http, exchange, LAST_HOP - 1, partial(_excuse, exchange))

    async def _find_successor(self) -> None:
        successor = self._outlet(self._place.number)
        with trio.move_on_after(SUCCESSOR_SECONDS):
            while not successor.connect():  # noqa: ASYNC110 - nobody tells when a file appears
                await trio.sleep(SUCCESSOR_POLL_SECONDS)
        self._successor = successor
        held, self._held = self._held or [], None
        for http, exchange in held:
            if not exchange.gone:
                successor.ask(http, exchange, LAST_HOP - 1, partial(_excuse, exchange))
        self._turn.end()

    def waiting(self) -> int:
        """Requests of other workers' devices that are not answered yet."""
        return self._inlet.waiting

    # --- life -----------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled.

        Raises:
            OSError: the socket cannot be made.
        """
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await nursery.start(self._inlet.run)
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def _start_wire(self, wire: Wire, ended: Callable[[Wire], None]) -> bool:
        if self._nursery is not None:
            self._nursery.start_soon(self._run_wire, wire, ended)
        return self._nursery is not None

    async def _run_wire(self, wire: Wire, ended: Callable[[Wire], None]) -> None:
        try:
            await wire.run(self._turn.end)
        finally:
            ended(wire)

    def _flush(self) -> None:
        """A step of the turn: one write for each worker that there is something for."""
        if self._changed:
            changed = self._changed[:]
            self._changed.clear()
            for wire in changed:
                wire.flush()

    def _serve(self, http: HttpRequest, exchange: ForwardedExchange) -> None:
        """The shell around a request of another worker: a bug costs that request alone."""
        try:
            assert self._handle is not None, "serve_with comes before run"  # noqa: S101
            self._handle(http, exchange)
        except Exception as error:
            self._turn.crashed(error)
            _excuse(exchange)

    def statistics(self) -> ForwardingStatistics:
        """A snapshot."""
        outlets = list(self._outlets.values())
        gone_on = sum((one.gone_on for one in outlets), Counter[str]())
        if self._elsewhere:
            gone_on["elsewhere"] = self._elsewhere
        return ForwardingStatistics(
            sent=sum(one.sent for one in outlets),
            answered=sum(one.answered for one in outlets),
            gone_on=dict(gone_on),
            excused=sum(one.excused for one in outlets),
            abandoned=sum(one.abandoned for one in outlets),
            waiting=sum(one.waiting for one in outlets),
            handed_over=self._handed_over,
            served=self._inlet.served,
            refused=self._inlet.refused,
            lost=self._inlet.lost,
            serving=self._inlet.waiting,
        )


RETRY_AFTER_SECONDS: Final = 10


def _excuse(exchange: Exchange) -> None:
    exchange.answer(
        unavailable(RETRY_AFTER_SECONDS, time.time(), "try again later: no answer within the node")
    )
