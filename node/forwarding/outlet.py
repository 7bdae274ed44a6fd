"""The side that passes requests on: one worker as the others of its node reach it.

A request is passed on only while that worker is there: it must say within `TAKE_SECONDS` that it
serves it. Without that word, or when its connection ends, the sender goes on by itself: it calls
`otherwise`, which resumes the exchange from the cookie. The word is what keeps two workers from
asking the AAA the same thing: a worker that was stopped for a while reads in the request that its
time is over, and one that has taken it may wait for a slow AAA as long as any worker may.
"""

import socket
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from actors.runtime.timers import Timer, TimerWheel
from node.forwarding.messages import Answered, Ask, Gone, Message, Refused, Taken
from node.forwarding.wire import Wire
from protocols.http.message import HttpRequest, HttpResponse

# For a worker of the same machine to read its socket: hundreds of times what a turn takes. A device
# waits 30 s for a round of EAP; after this one it still has nearly all of it.
TAKE_SECONDS: Final = 0.5
SLACK_SECONDS: Final = 0.2  # for the word that it was taken, on its way back
MARGIN_SECONDS: Final = 1.0  # beyond the time after which the owner answers in any case
BOUND: Final = 10_000  # requests that may wait for one worker


class Exchange(Protocol):
    """The device's exchange, as it is needed here."""

    on_gone: Callable[[], None] | None

    @property
    def gone(self) -> bool:
        """Nobody waits."""
        ...

    @property
    def server_name(self) -> str:
        """The host that the request is for."""
        ...

    @property
    def peer(self) -> str:
        """Address of the client."""
        ...

    @property
    def http_version(self) -> str:
        """For counters."""
        ...

    def answer(self, response: HttpResponse) -> None:
        """Give the response."""
        ...


class _Waiting:
    """One request that was passed on."""

    __slots__ = ("exchange", "otherwise", "taken", "timer", "wire")

    def __init__(
        self, exchange: Exchange, otherwise: Callable[[], None], wire: Wire, timer: Timer
    ) -> None:
        self.exchange = exchange
        self.otherwise = otherwise
        self.wire = wire
        self.timer = timer
        self.taken = False


class Outlet:
    """The way to one other worker; connects when it is first needed, and again when it broke.

    Attributes:
        sent, answered: requests passed on, and those that came back with a response.
        gone_on: requests that `otherwise` was called for, by reason: `down` (nobody listens),
            `full`, `lost` (the connection ended), `late` (no word in time), `refused`.
        excused: requests taken and then not answered; their devices got 503.
        abandoned: requests whose device left.
    """

    def __init__(
        self,
        path: Path,
        *,
        answer_seconds: float,
        changed: Callable[[Wire], None],
        timers: TimerWheel,
        start: Callable[[Wire, Callable[[Wire], None]], bool],
        end_turn: Callable[[], None],
        excuse: Callable[[Exchange], None],
    ) -> None:
        """Describe it; nothing is connected yet.

        Args:
            path: of the other worker's socket.
            answer_seconds: within which a worker answers whatever it has taken.
            changed: told of wires that have something to flush.
            start: has a new wire run, and the second argument called after its end; False: nothing
                runs any more.
            end_turn: works off what the end of a wire brought.
            excuse: answers 503.
        """
        self.answer_seconds = answer_seconds
        self.sent = self.answered = self.excused = self.abandoned = 0
        self.gone_on: Counter[str] = Counter()
        self._path = path
        self._changed = changed
        self._timers = timers
        self._start = start
        self._end_turn = end_turn
        self._excuse = excuse
        self._wire: Wire | None = None
        self._last = 0
        self._waiting: dict[int, _Waiting] = {}

    @property
    def waiting(self) -> int:
        """Requests passed on and not answered yet."""
        return len(self._waiting)

    def connect(self) -> bool:
        """Have a connection, if the other one listens."""
        if self._wire is not None and not self._wire.closed:
            return True
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.connect(str(self._path))  # of this machine: it is done, or refused, at once
        except OSError:
            connection.close()
            return False
        wire = self._wire = Wire(connection, self._changed, self._handle)
        if not self._start(wire, self._ended):
            wire.close()
        return not wire.closed

    def ask(
        self, http: HttpRequest, exchange: Exchange, hops: int, otherwise: Callable[[], None]
    ) -> None:
        """Pass a request on; its answer goes to the exchange.

        Args:
            hops: how often it will have been passed on.
            otherwise: called, perhaps before this returns, when the other worker does not serve it.
        """
        if len(self._waiting) >= BOUND:
            return self._go_on("full", otherwise)
        if not self.connect():
            return self._go_on("down", otherwise)
        wire = self._wire
        assert wire is not None  # noqa: S101 - connect says so
        self.sent += 1
        self._last = number = self._last + 1
        timer = self._timers.after(TAKE_SECONDS + SLACK_SECONDS, partial(self._no_word, number))
        self._waiting[number] = _Waiting(exchange, otherwise, wire, timer)
        exchange.on_gone = partial(self._device_gone, number)
        wire.put(
            Ask(
                number,
                time.monotonic() + TAKE_SECONDS,
                hops,
                exchange.peer,
                exchange.server_name,
                exchange.http_version,
                http.method,
                http.target,
                http.authority,
                http.headers,
                http.body,
            )
        )

    def _go_on(self, reason: str, otherwise: Callable[[], None]) -> None:
        self.gone_on[reason] += 1
        otherwise()

    # --- what comes back ------------------------------------------------------------------------

    def _handle(self, messages: list[Message]) -> None:
        for message in messages:
            if type(message) is Answered:
                waiting = self._done(message.number)
                if waiting is not None:
                    self.answered += 1
                    waiting.exchange.answer(message.response())
            elif type(message) is Taken:
                for number in message.numbers:
                    if number in self._waiting:
                        self._waiting[number].taken = True
            elif type(message) is Refused:
                waiting = self._done(message.number)
                if waiting is not None:
                    self._go_on("refused", waiting.otherwise)

    def _done(self, number: int) -> _Waiting | None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            waiting.timer.cancel()
            waiting.exchange.on_gone = None
        return waiting

    def _device_gone(self, number: int) -> None:
        waiting = self._done(number)
        if waiting is not None:
            self.abandoned += 1
            self._withdraw(number, waiting.wire)

    def _withdraw(self, number: int, wire: Wire) -> None:
        if not wire.closed:
            wire.put(Gone(number))

    def _no_word(self, number: int) -> None:
        """The time for its word is over."""
        waiting = self._waiting[number]
        while waiting.wire.look():
            pass  # this process may have been the one that was stopped
        if number not in self._waiting:
            return
        if waiting.taken:
            seconds = self.answer_seconds + MARGIN_SECONDS
            waiting.timer = self._timers.after(seconds, partial(self._no_answer, number))
            return
        self._done(number)
        self._withdraw(number, waiting.wire)
        self._go_on("late", waiting.otherwise)

    def _no_answer(self, number: int) -> None:
        """It was taken, and hangs. Another DER for it would only meet an AAA that is further on."""
        waiting = self._done(number)
        if waiting is not None:
            self._withdraw(number, waiting.wire)
            self.excused += 1
            self._excuse(waiting.exchange)

    def _ended(self, wire: Wire) -> None:
        """The other worker died, or threw us out."""
        lost = [number for number, one in self._waiting.items() if one.wire is wire]
        for number in lost:
            waiting = self._done(number)
            if waiting is not None:
                self._go_on("lost", waiting.otherwise)
        self._end_turn()
