"""One device connection: a non-blocking socket, TLS over memory buffers, and an HTTP machine.

Stepped by the reactor (`listener.py`); never waits. Received octets go through TLS into the
machine, complete requests come out as `Exchange`s; what is to be written leaves with one TLS write
and one `send` when the turn ends.
"""

import contextlib
import math
import socket
import ssl
from collections.abc import Callable
from typing import Final

from node.device.exchange import Exchange
from node.device.tls import DeviceTls, TlsContexts
from protocols.http.events import Event
from protocols.http.limits import HttpLimits
from protocols.http.message import HttpRequest, HttpResponse
from protocols.http1.connection import Http1Connection
from protocols.http2.connection import Http2Connection

RECEIVE_OCTETS: Final = 65_536
RECORD_OCTETS: Final = 16_384  # one TLS record holds no more

Handle = Callable[[HttpRequest, Exchange], None]


class DeviceConnection:
    """What the reactor knows of one socket.

    Attributes:
        dirty: it stands on the listener's list of connections to flush.
        wants_write: the kernel's buffer was full; the reactor asks for EPOLLOUT.
        finished: why it ended, a word for counters; empty while it lives.
        handshaking: TLS is not established yet.
        end_of_stream: the peer closed its side; there is nothing more to read.
        watched: what the reactor's epoll watches this socket for.
    """

    __slots__ = (
        "_deadline",
        "_exchanges",
        "_handle",
        "_incoming",
        "_limits",
        "_machine",
        "_mark_dirty",
        "_now",
        "_outgoing",
        "_tls",
        "_unsent",
        "dirty",
        "end_of_stream",
        "finished",
        "handshaking",
        "http_version",
        "peer",
        "requests",
        "sock",
        "stalled_until",
        "wants_write",
        "watched",
    )

    def __init__(
        self,
        sock: socket.socket,
        peer: str,
        contexts: TlsContexts,
        limits: HttpLimits,
        handle: Handle,
        mark_dirty: "Callable[[DeviceConnection], None]",
        now: float,
        handshake_seconds: float,
    ) -> None:
        self.sock = sock
        self.peer = peer
        self.dirty = False
        self.wants_write = False
        self.finished = ""
        self.handshaking = True
        self.end_of_stream = False
        self.watched = 0
        self.http_version = ""
        self.requests = 0
        self.stalled_until = math.inf
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: DeviceTls = contexts.wrap(self._incoming, self._outgoing)
        self._limits = limits
        self._handle = handle
        self._mark_dirty = mark_dirty
        self._machine: Http2Connection | Http1Connection | None = None
        self._exchanges: dict[int, Exchange] = {}
        self._unsent = b""
        self._now = now
        self._deadline = now + handshake_seconds

    def __repr__(self) -> str:
        state = "handshaking" if self.handshaking else self.finished or "open"
        return f"<DeviceConnection {state} http={self.http_version or '?'}>"

    @property
    def server_name(self) -> str:
        """SNI, lower case; empty when the client sent none."""
        return self._tls.server_name

    @property
    def counters(self) -> dict[str, int]:
        """Protocol errors and abuse, by name."""
        return {} if self._machine is None else self._machine.counters

    # --- input ---------------------------------------------------------------------------------

    def readable(self, now: float) -> None:
        """Take what the socket has: one `recv`, all TLS records in it, all requests in them."""
        self._now = now
        try:
            data = self.sock.recv(RECEIVE_OCTETS)
        except BlockingIOError:
            return
        except OSError:
            self.abandon("reset")
            return
        if not data:
            self._end_of_stream(now)
            return
        self._incoming.write(data)
        plain = self._decrypt()
        machine = self._machine
        if machine is None:
            machine = self._start_machine(now)
        if plain and machine is not None and not self.finished:
            self._take(machine.receive(plain, now))
        self._mark_dirty(self)

    def _decrypt(self) -> bytes:
        """All plain octets that the received records hold."""
        read, incoming = self._tls.read, self._incoming
        parts: list[bytes] = []
        try:
            while True:
                part = read(RECORD_OCTETS)
                if not part:  # close-notify
                    break
                parts.append(part)
                if not incoming.pending and not self._tls.pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            # The alert, if there is one, is in the outgoing buffer and leaves with the flush.
            self.finished = _cause(error, self.handshaking)
        if len(parts) == 1:
            return parts[0]
        return b"".join(parts)

    def _start_machine(self, now: float) -> Http2Connection | Http1Connection | None:
        """The engine that ALPN chose, once the handshake is done."""
        if self._tls.version() is None:
            return None
        self.handshaking = False
        if self._tls.selected_alpn_protocol() == "h2":
            self.http_version = "2"
            self._machine = Http2Connection(self._limits, now)
        else:  # also a client without ALPN
            self.http_version = "1.1"
            self._machine = Http1Connection(self._limits, now)
        return self._machine

    def _take(self, events: list[Event]) -> None:
        for stream_id, request in events:
            if request is None:
                exchange = self._exchanges.pop(stream_id, None)
                if exchange is not None:
                    exchange.leave()
            else:
                self.requests += 1
                exchange = Exchange(self, stream_id)
                self._exchanges[stream_id] = exchange
                self._handle(request, exchange)

    def _end_of_stream(self, now: float) -> None:
        """The peer closed its side; phones rarely say close-notify before."""
        self.end_of_stream = True
        self._incoming.write_eof()
        self._mark_dirty(self)
        if self._machine is None:
            self.abandon("closed in handshake" if self.handshaking else "closed")
            return
        self._take(self._machine.eof(now))
        if not self._machine.closed and self._exchanges:
            return  # it half-closed and still reads: its answers go out
        self.finished = self.finished or "closed by peer"

    # --- output --------------------------------------------------------------------------------

    def respond(self, stream_id: int, response: HttpResponse) -> None:
        """The answer of an exchange; written when the turn ends."""
        if self._exchanges.pop(stream_id, None) is None or self._machine is None:
            return
        self._machine.respond(stream_id, response, self._now)
        self._mark_dirty(self)

    def flush(self, now: float) -> None:
        """Write what there is: one TLS write, one `send`. What the kernel refuses is kept."""
        self._now = now
        machine = self._machine
        if machine is not None and not self.finished:
            data = machine.data_to_send()
            if data:
                self._write_tls(data)
            if machine.closed:
                self._say_goodbye()
        if self._outgoing.pending:
            out = self._outgoing.read()
            self._unsent = self._unsent + out if self._unsent else out
        if self._unsent:
            self._send(now)
        if self.finished and not self._unsent:
            self._leave_all()

    def _write_tls(self, data: bytes) -> None:
        try:
            self._tls.write(data)
        except ssl.SSLError:
            self.finished = "tls write"

    def _say_goodbye(self) -> None:
        """Close-notify, without waiting for the peer's."""
        self.finished = "closed"
        # SSLWantReadError: ours is in the buffer; other errors: there is no session to close.
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()

    def _send(self, now: float) -> None:
        try:
            sent = self.sock.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.abandon("reset")
            return
        if sent == len(self._unsent):
            self._unsent = b""
            self.wants_write = False
            self.stalled_until = math.inf
            return
        self._unsent = self._unsent[sent:]
        if len(self._unsent) > self._limits.max_queued_octets:
            self.abandon("never reads")
            return
        self.wants_write = True
        if sent or self.stalled_until == math.inf:
            self.stalled_until = now + self._limits.blocked_seconds

    # --- time and end --------------------------------------------------------------------------

    def next_timeout(self) -> float:
        """When `timed_out` wants to be called, on the clock of `now`."""
        machine = self._machine
        return min(
            self._deadline if machine is None else machine.next_timeout(), self.stalled_until
        )

    def timed_out(self, now: float) -> None:
        """A deadline passed: of the handshake, of a stalled write, or one of the machine's."""
        self._now = now
        machine = self._machine
        if machine is None:
            self.abandon("handshake timeout")
        elif now >= self.stalled_until:
            self.abandon("stalled write")
        else:
            self._take(machine.timed_out(now))
            self._mark_dirty(self)

    def close_gracefully(self, now: float) -> None:
        """Take no new request; the connection ends when the open ones are answered."""
        self._now = now
        if self._machine is None:
            self.abandon("drained")
        else:
            self._machine.close_gracefully(now)
            self._mark_dirty(self)

    def abandon(self, cause: str) -> None:
        """End at once; what was not written is lost."""
        self.finished = self.finished or cause
        self._unsent = b""
        self._outgoing.read()
        self._leave_all()
        self._mark_dirty(self)

    def _leave_all(self) -> None:
        while self._exchanges:
            self._exchanges.popitem()[1].leave()


def _cause(error: ssl.SSLError, handshaking: bool) -> str:
    if error.reason == "HTTP_REQUEST":
        return "plain http"
    kind = "handshake" if handshaking else "tls"
    return f"{kind} {(error.reason or 'error').lower().replace('_', ' ')}"
