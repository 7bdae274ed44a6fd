"""One device connection: TLS transport, HTTP machine, the exchanges that wait, and its deadlines.

Stepped by the reactor, never waits. What is received is worked off at once; what is to be sent
leaves when the turn ends, in one TLS write and one `send`.
"""

import math
import select
import socket
import time
from collections.abc import Callable
from typing import Final, Protocol

import trio

from actors.runtime.timers import Timer, TimerWheel
from node.device.authority import AuthorityRefused, name_of
from node.device.exchange import Exchange
from node.device.statistics import DeviceCounters
from node.device.tls import ServerCertificates
from node.device.transport import CLOSE_NOTIFY, PEER_CLOSED, PLAIN_HTTP, RESET, TlsTransport
from protocols.http.content_coding import CodingRefused, decoded
from protocols.http.events import Event
from protocols.http.limits import HttpLimits
from protocols.http.message import HttpRequest, HttpResponse
from protocols.http1.connection import Http1Connection
from protocols.http2.connection import Http2Connection
from protocols.ts43.responses import unavailable

# After our last octet the peer's are still taken for a while: closing a socket with unread octets
# sends RST, which may destroy the answer or alert on its way (RFC 9112 §9.6).
LINGER_SECONDS: Final = 1.0
LINGER_OCTETS: Final = 262_144

Handle = Callable[[HttpRequest, Exchange], None]

RETRY_AFTER_SECONDS: Final = 30  # of a fault of ours


class Owner(Protocol):
    """What a connection needs of the listener."""

    certificates: ServerCertificates
    counters: DeviceCounters
    draining: bool
    handle: Handle
    handshake_seconds: float
    limits: HttpLimits
    wheel: TimerWheel

    def changed(self, connection: "DeviceConnection") -> None:
        """Flush the connection when the turn ends."""

    def watch(self, connection: "DeviceConnection", mask: int) -> None:
        """Have epoll wait for something else."""

    def established(self, connection: "DeviceConnection") -> None:
        """The handshake is done."""

    def left(self, connection: "DeviceConnection") -> None:
        """Forget the connection; its socket is still open."""

    def lost(self, exchange: Exchange) -> None:
        """Tell whoever works for this exchange that its device left."""

    def crashed(self, error: Exception) -> None:
        """Count and report a bug."""


class DeviceConnection:
    """A connection from accept to close.

    Attributes:
        since: when it was accepted, Trio clock.
        peer: the client's address.
        http_version: `1.1` or `2`; empty during the handshake.
        handshaking: the TLS handshake is not done.
        marked: it stands on the owner's list of changed connections.
    """

    __slots__ = (
        "_authority",
        "_cause",
        "_closed",
        "_due",
        "_exchanges",
        "_limits",
        "_lingered",
        "_lingering",
        "_machine",
        "_name",
        "_own_deadline",
        "_owner",
        "_timer",
        "_transport",
        "handshaking",
        "http_version",
        "marked",
        "peer",
        "since",
    )

    def __init__(self, owner: Owner, connection: socket.socket, peer: str, now: float) -> None:
        self.since = now
        self.peer = peer
        self.http_version = ""
        self.handshaking = True
        self.marked = False
        self._owner = owner
        self._transport = TlsTransport(connection, owner.certificates)
        self._limits = owner.limits
        self._machine: Http2Connection | Http1Connection | None = None
        self._exchanges: dict[int, Exchange] = {}  # those that wait for their answer
        self._lingering = False
        self._lingered = 0
        self._closed = False
        self._cause = ""
        self._authority: bytes | None = None  # of the request before, and the name that it meant
        self._name = ""
        self._own_deadline = now + owner.handshake_seconds  # handshake, stalled write, lingering
        self._due = math.inf  # when the timer looks at the deadlines
        self._timer: Timer | None = None
        self._arm(now)

    def __repr__(self) -> str:
        return (
            f"<DeviceConnection http={self.http_version or None} waiting={len(self._exchanges)} "
            f"{'closed' if self._closed else 'open'}>"
        )

    @property
    def socket(self) -> socket.socket:
        """The non-blocking socket."""
        return self._transport.socket

    @property
    def waiting(self) -> tuple[Exchange, ...]:
        """Requests that are not answered yet."""
        return tuple(self._exchanges.values())

    # --- input ----------------------------------------------------------------------------------

    def ready(self, now: float) -> None:
        """The socket is ready for what is watched."""
        if self._lingering:
            self._linger()
            return
        transport = self._transport
        if not transport.stalled:  # while it is, nothing is read: the peer must read first
            data = transport.receive()
            machine = self._machine
            begins = machine is None and transport.handshake_done
            if begins:
                machine = self._begin(now)
            if data and machine is not None:
                self._deliver(machine.receive(data, now))
            if begins and self._owner.draining:
                self.close_gracefully(now)  # the first request, if it was quick, is answered
            if transport.ended:
                self._peer_ended(now)
                return
        if not self.marked:
            self._owner.changed(self)

    def _begin(self, now: float) -> Http2Connection | Http1Connection:
        """The handshake is done: ALPN chose the machine."""
        owner = self._owner
        self.handshaking = False
        self._own_deadline = math.inf
        machine: Http2Connection | Http1Connection
        protocol = self._transport.alpn_protocol
        if protocol == "h2":
            self.http_version = "2"
            machine = Http2Connection(self._limits, now)
        else:
            self.http_version = "1.1"
            machine = Http1Connection(self._limits, now)
        self._machine = machine
        owner.counters.protocols[protocol] += 1
        owner.established(self)
        return machine

    def _deliver(self, events: list[Event]) -> None:
        for stream_id, request in events:
            if request is None:
                gone = self._exchanges.pop(stream_id, None)
                if gone is not None:
                    self._owner.lost(gone)
                continue
            exchange = Exchange(self, stream_id, self._name)
            self._exchanges[stream_id] = exchange
            try:
                if request.authority != self._authority:
                    self._read_authority(request.authority, exchange)
                if request.coding and request.body:
                    request.body = decoded(
                        request.body, request.coding, self._limits.max_body_octets
                    )
                    request.coding = b""
                self._owner.counters.requests += 1
                self._owner.handle(request, exchange)
            except (AuthorityRefused, CodingRefused) as refused:
                self._count(f"status_{refused.status}")
                exchange.answer(refused.response())
            except Exception as error:  # a bug of the handler: this request alone pays for it
                self._owner.crashed(error)
                exchange.answer(_our_fault())

    def _read_authority(self, authority: bytes, exchange: Exchange) -> None:
        """Find out what the authority of a request means, when it differs from the last one's."""
        transport = self._transport
        name = name_of(authority, transport.server_name, transport.covered)
        self._authority = authority
        exchange.server_name = self._name = name

    def _count(self, name: str) -> None:
        self._owner.counters.protocol_errors[f"http{self.http_version[0]}_{name}"] += 1

    def _peer_ended(self, now: float) -> None:
        """Nothing more will come: the peer left, or TLS failed."""
        transport = self._transport
        cause = transport.ended
        if transport.broken or cause == PLAIN_HTTP:
            self.close(cause)  # without a word: a client without TLS would not understand it
        elif cause in (CLOSE_NOTIFY, PEER_CLOSED):
            if self._machine is not None:  # answers of this very step, for one that half-closed
                transport.send(self._machine.data_to_send())
            if cause == CLOSE_NOTIFY:
                transport.say_goodbye()  # RFC 5246 §7.2.1: a MUST; 10 us (measured)
            self.close(cause)
        else:
            self._finish(cause, now)  # the alert leaves first

    # --- output ---------------------------------------------------------------------------------

    def respond(self, stream_id: int, response: HttpResponse) -> None:
        """The answer of one exchange."""
        machine = self._machine
        if self._exchanges.pop(stream_id, None) is None or machine is None:
            return
        now = trio.current_time()
        try:
            machine.respond(stream_id, response, now)
        except ValueError as error:  # a field that would split the response: a bug of the caller
            self._owner.crashed(error)
            machine.respond(stream_id, _our_fault(), now)
        if not self.marked:
            self._owner.changed(self)

    def flush(self, now: float) -> None:
        """Send what the step and the answers brought, then look after the end and the deadline."""
        if self._closed or self._lingering:
            return
        transport, machine = self._transport, self._machine
        if transport.stalled:
            transport.send(b"")
            if not transport.stalled:
                self._own_deadline = math.inf
                self._owner.watch(self, select.EPOLLIN)
        if not transport.stalled:
            transport.send(b"" if machine is None else machine.data_to_send())
            if transport.stalled:
                self._own_deadline = now + self._limits.blocked_seconds
                self._owner.watch(self, select.EPOLLOUT)
        if transport.broken:
            self.close(transport.ended or RESET)
        elif machine is not None and machine.closed:
            if machine.counters.get("queued_output"):
                self.close("queued_output")
            elif not transport.stalled:
                self._finish("protocol_error" if machine.counters else "ended", now)
            else:
                self._arm(now)
        else:
            self._arm(now)

    # --- time -----------------------------------------------------------------------------------

    def _deadline(self) -> float:
        machine = self._machine
        if machine is None:
            return self._own_deadline
        return min(self._own_deadline, machine.next_timeout())

    def _arm(self, now: float) -> None:
        """Have the timer look when the next deadline comes; one that moved away costs nothing."""
        deadline = self._deadline()
        if deadline < self._due:
            if self._timer is not None:
                self._timer.cancel()
            self._due = deadline
            self._timer = self._owner.wheel.after(deadline - now, self._look_at_clock)

    def _look_at_clock(self) -> None:
        self._due = math.inf
        now = trio.current_time()
        if self._deadline() > now:
            self._arm(now)
            return
        try:
            self._timed_out(now)
        except Exception as error:  # the shell of a step
            self._owner.crashed(error)
            self.close("crash")

    def _timed_out(self, now: float) -> None:
        if self._machine is None:
            self.close(self._cause or "timeout")
        elif now >= self._own_deadline:
            self.close(self._cause or "stalled")
        else:
            self._deliver(self._machine.timed_out(now))
            self._owner.changed(self)

    # --- the end --------------------------------------------------------------------------------

    def close_gracefully(self, now: float) -> None:
        """Take no new requests and end when the open ones are answered.

        A handshake under way is finished first: its client would take a reset for a failure.
        """
        if self._machine is not None and not (self._closed or self._lingering):
            self._machine.close_gracefully(now)
            self._owner.changed(self)

    def _finish(self, cause: str, now: float) -> None:
        """We end it: say so, and give the peer a moment to read."""
        self._cause = cause
        self._transport.say_goodbye()
        if self._transport.broken or self._transport.stalled:
            self.close(cause)
            return
        self._transport.send_end()
        self._let_go(now)
        self._lingering = True
        self._own_deadline = now + LINGER_SECONDS
        self._arm(now)

    def _linger(self) -> None:
        self._lingered += self._transport.throw_away()
        if self._transport.broken or self._lingered > LINGER_OCTETS:
            self.close(self._cause)

    def _let_go(self, now: float) -> None:
        """Nobody is answered any more."""
        exchanges, self._exchanges = self._exchanges, {}
        for exchange in exchanges.values():
            self._owner.lost(exchange)
        machine = self._machine
        if machine is None:
            return
        try:
            machine.eof(now)
        except Exception as error:  # the end comes in any case
            self._owner.crashed(error)
        for name, count in machine.counters.items():
            self._owner.counters.protocol_errors[f"http{self.http_version[0]}_{name}"] += count
        machine.counters.clear()

    def close(self, cause: str) -> None:
        """Close at once; whoever waits for an answer is told. Harmless when it was closed."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self.handshaking:
            self._owner.counters.handshakes_failed[cause] += 1
        else:
            self._owner.counters.closed[cause] += 1
        self._owner.left(self)
        self._transport.socket.close()
        if not self._lingering:
            self._let_go(trio.current_time())


def _our_fault() -> HttpResponse:
    """With a Date: Samsung's client needs it to read Retry-After."""
    return unavailable(RETRY_AFTER_SECONDS, time.time())
