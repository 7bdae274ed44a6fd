"""The HTTP/1.1 server machine of the device listener, RFC 9112: octets in, requests out, and back.

Sans-IO and strict. A request with its answer takes 10 us; with h11, which is the oracle of the
tests, 52 (measured). Not here: TLS, upgrades, CONNECT.
"""

import math
from typing import Final

from protocols.http.events import Event
from protocols.http.limits import HttpLimits
from protocols.http.message import HttpRequest, text_response
from protocols.http1.answers import Answers, Exchange
from protocols.http1.chunked import ChunkedBody, Part
from protocols.http1.errors import BadRequest
from protocols.http1.head import CHUNKED, NO_BODY, Head, parse_head
from protocols.http1.responses import CONTINUE, encode_response
from protocols.http1.states import Input, State, step

_LINGER_OCTETS: Final = 262_144  # of a refused body that are read and thrown away
_EMPTY_LINES: Final = 8  # octets of empty lines before a request (RFC 9112 §2.2)


class Http1Connection(Answers):
    """One client connection; see `Answers` for `respond`, `data_to_send`, `closed`, `counters`.

    The stream of an event is the number of its request on the connection, from 1.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_chunks",
        "_draining",
        "_events",
        "_head",
        "_lingered",
        "_scanned",
        "_stream",
    )

    def __init__(self, limits: HttpLimits, now: float) -> None:
        super().__init__(limits, now)
        self._events: list[Event] = []
        self._buffer: bytearray | None = None  # the beginning of a head
        self._scanned = 0  # octets of it in which the end was looked for
        self._head: Head | None = None  # of the request whose body is being read
        self._body = bytearray()
        self._chunks: ChunkedBody | None = None
        self._draining = False
        self._stream = 0
        self._lingered = 0

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take octets from the client."""
        if self.closed:
            return []
        self._now = now
        events: list[Event] = []
        self._events = events
        buffer = self._buffer
        if buffer is not None:
            buffer += data
            data = bytes(buffer) if self._head_is_whole(buffer) else b""
        try:
            if data:
                self._read(data)
        except BadRequest as error:
            self._refuse(error)
        self._events = []  # a quiet connection must not keep its last request alive
        return events

    def _head_is_whole(self, buffer: bytearray) -> bool:
        """Look for the end of the head in what is new."""
        end = buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
        self._scanned = len(buffer)
        if end < 0 and len(buffer) <= self._limits.max_header_octets:
            return False
        self._buffer = None
        self._scanned = 0
        return True

    def _read(self, data: bytes) -> None:
        at = 0
        end = len(data)
        while at < end:
            state = self._state
            if state is State.WAITING:
                at = self._read_head(data, at)
            elif state is State.BODY:
                at = self._read_body(data, at)
            elif state is State.CHUNKS:
                at = self._read_chunks(data, at)
            else:
                self._throw_away(end - at)
                return

    def _read_head(self, data: bytes, at: int) -> int:
        limits = self._limits
        start = at
        while data.startswith(b"\r\n", start):  # RFC 9112 §2.2
            start += 2
        if start - at > _EMPTY_LINES:
            raise BadRequest(400, "empty lines")
        end = data.find(b"\r\n\r\n", start)
        if (end if end >= 0 else len(data)) - start > limits.max_header_octets:
            raise BadRequest(431, "head too large")
        if end < 0:
            self._buffer = bytearray(data[at:])
            self._scanned = len(data) - at
            self._start_request_clock()
            return len(data)
        head = parse_head(data[start:end], limits.max_fields)
        self._begin(head, body_follows=end + 4 < len(data))
        return end + 4

    def _begin(self, head: Head, *, body_follows: bool) -> None:
        """The head is read; a body may follow."""
        limits = self._limits
        if head.length == NO_BODY:
            self._state = step(self._state, Input.HEAD_WITHOUT_BODY)
            self._complete(head)
            return
        self._head = head
        if head.length > limits.max_body_octets:
            raise BadRequest(413, "body too large")
        if head.length == CHUNKED:
            self._state = step(self._state, Input.HEAD_WITH_CHUNKS)
            self._chunks = ChunkedBody(limits.max_body_octets)
        else:
            self._state = step(self._state, Input.HEAD_WITH_LENGTH)
        self._start_request_clock()
        # RFC 9110 §10.1.1: not needed when the body is on its way; never before earlier answers.
        if head.expects_continue and not body_follows:
            if self._waiting:
                self._continue_owed = True
            else:
                self._write(CONTINUE)

    def _start_request_clock(self) -> None:
        if self._request_deadline == math.inf:
            self._request_deadline = self._now + self._limits.request_seconds

    def _read_body(self, data: bytes, at: int) -> int:
        head = self._head
        assert head is not None  # noqa: S101 - BODY is only entered with it
        body = self._body
        stop = at + head.length - len(body)
        if stop > len(data):
            body += data[at:]
            return len(data)
        head.request.body = bytes(body) + data[at:stop] if body else data[at:stop]
        body.clear()
        self._end_body(head)
        return stop

    def _read_chunks(self, data: bytes, at: int) -> int:
        chunks = self._chunks
        head = self._head
        assert chunks is not None  # noqa: S101 - CHUNKS is only entered with both
        assert head is not None  # noqa: S101
        at = chunks.receive(data, at)
        if chunks.part is Part.COMPLETE:
            head.request.body = bytes(chunks.body)
            self._chunks = None
            self._end_body(head)
        return at

    def _end_body(self, head: Head) -> None:
        self._state = step(self._state, Input.BODY_COMPLETE)
        self._head = None
        self._continue_owed = False
        self._complete(head)

    def _complete(self, head: Head) -> None:
        """Hand a request over, and decide whether another may follow it."""
        self._request_deadline = math.inf
        self._stream += 1
        last = (
            not head.keep_alive
            or self._draining
            or self._stream >= self._limits.max_requests
            or len(self._waiting) >= self._limits.max_streams - 1
        )
        request: HttpRequest = head.request
        connection = b"close" if last else b"keep-alive" if head.is_http_1_0 else b""
        self._waiting[self._stream] = Exchange(
            head_only=request.method == b"HEAD", connection=connection
        )
        if last:
            self._state = step(self._state, Input.LAST_REQUEST)
        self._events.append((self._stream, request))

    def _throw_away(self, octets: int) -> None:
        """After the last request, or the rest of a refused one: read, never kept."""
        self._lingered += octets
        if self._lingered > _LINGER_OCTETS:
            self._count("lingering")
            self._leave()

    def _refuse(self, error: BadRequest) -> None:
        """Answer by status after all earlier answers, then end."""
        self._count(f"status_{error.status}")
        head_only = self._head is not None and self._head.request.method == b"HEAD"
        self._state = step(self._state, Input.FAULT)
        self._request_deadline = math.inf
        self._head = self._chunks = self._buffer = None
        self._continue_owed = False
        self._stream += 1
        exchange = Exchange(head_only=head_only, connection=b"close")
        response = text_response(error.status, error.reason)
        exchange.answer = encode_response(response, b"close", head_only=head_only)
        self._queued += len(exchange.answer)
        self._waiting[self._stream] = exchange
        self._write_answers()

    def next_timeout(self) -> float:
        """When to call `timed_out`, `math.inf` for never."""
        if self.closed:
            return math.inf
        if self._request_deadline != math.inf or self._waiting:
            return self._request_deadline
        return self._idle_deadline

    def timed_out(self, now: float) -> list[Event]:
        """Do what is due; harmless when nothing is."""
        if self.closed or now < self.next_timeout():
            return []
        self._now = now
        if self._state is State.LINGERING or self._request_deadline == math.inf:
            self._leave()
        else:
            self._refuse(BadRequest(408, "request not complete in time"))
        return []

    def close_gracefully(self, now: float) -> None:
        """Take no request after the one in progress; the last answer says `connection: close`.

        A client that has just connected has its first request on the way: it gets a moment, for no
        client would take that close for the end of an idle connection and try another one.
        """
        self._now = now
        self._draining = True
        if self.closed or self._state is not State.WAITING or self._buffer is not None:
            return
        if not self._waiting:
            if self._stream:
                self._leave()
            else:
                soon = now + self._limits.goaway_seconds
                self._idle_deadline = min(self._idle_deadline, soon)
            return
        last = next(reversed(self._waiting.values()))
        last.connection = b"close"
        self._state = step(self._state, Input.LAST_REQUEST)

    def eof(self, now: float) -> list[Event]:
        """The client is gone, or the caller gives the connection up. Call it whenever a connection
        ends: after `closed` it still reports requests that were left without an answer."""
        self._now = now
        gone = [number for number, exchange in self._waiting.items() if exchange.answer is None]
        self._waiting.clear()
        self._leave()
        return [(number, None) for number in gone]
