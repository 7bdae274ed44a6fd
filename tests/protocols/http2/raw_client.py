"""A client that writes any frame it likes and reads what the server machine answers."""

import struct
from typing import NamedTuple

import hpack

from protocols.http.events import Event
from protocols.http.limits import HttpLimits
from protocols.http.message import HttpRequest, HttpResponse
from protocols.http2.connection import Http2Connection

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY = range(8)
WINDOW_UPDATE, CONTINUATION = 8, 9
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITIZED = 0x4, 0x8, 0x20
NO_ERROR, PROTOCOL, INTERNAL, FLOW_CONTROL, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE = range(7)
REFUSED_STREAM, CANCEL, COMPRESSION, CONNECT, CALM = range(7, 12)

GET = ((":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", "/"))
POST = ((":method", "POST"), *GET[1:])
HEAD = ((":method", "HEAD"), *GET[1:])
OK = HttpResponse(200, b"text/plain", b"hello")


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> int:
        """The error code of RST_STREAM or GOAWAY."""
        return int.from_bytes(self.payload[-4:], "big")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBL", kind, flags, stream) + payload


def settings(**values: int) -> bytes:
    numbers = {
        "table": 1,
        "push": 2,
        "streams": 3,
        "window": 4,
        "frame_size": 5,
        "list_size": 6,
        "unknown": 99,
    }
    payload = b"".join(struct.pack(">HL", numbers[name], value) for name, value in values.items())
    return frame(SETTINGS, 0, 0, payload)


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">L", increment))


def rst_stream(stream: int, code: int = CANCEL) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack(">L", code))


def parse(data: bytes) -> list[Frame]:
    frames = []
    while data:
        length = int.from_bytes(data[:3], "big")
        kind, flags, stream = struct.unpack(">BBL", data[3:9])
        assert len(data) >= 9 + length, "a frame was cut"
        frames.append(Frame(kind, flags, stream, data[9 : 9 + length]))
        data = data[9 + length :]
    return frames


class RawClient:
    """Starts with preface, SETTINGS and the acknowledgement of ours, unless told not to."""

    def __init__(
        self, limits: HttpLimits | None = None, *, start: bool = True, window: int | None = None
    ) -> None:
        self.server = Http2Connection(limits or HttpLimits(), 0.0)
        self.now = 0.0
        self.events: list[Event] = []
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        if start:
            opening = settings() if window is None else settings(window=window)
            self.send(PREFACE + opening + frame(SETTINGS, ACK, 0))
            assert [f.kind for f in self.frames()] == [SETTINGS, SETTINGS]

    def send(self, *parts: bytes) -> list[Event]:
        events = self.server.receive(b"".join(parts), self.now)
        self.events += events
        return events

    def frames(self) -> list[Frame]:
        return parse(self.server.data_to_send())

    def wait(self, seconds: float) -> list[Event]:
        """Let time pass; the deadline must be known to `next_timeout`."""
        self.now += seconds
        assert self.server.next_timeout() <= self.now
        events = self.server.timed_out(self.now)
        self.events += events
        return events

    def block(self, fields: tuple[tuple[str, str], ...]) -> bytes:
        encoded: bytes = self.encoder.encode(fields)
        return encoded

    def headers(
        self, stream: int, fields: tuple[tuple[str, str], ...] = GET, *, end: bool = True
    ) -> bytes:
        flags = END_HEADERS | (END_STREAM if end else 0)
        return frame(HEADERS, flags, stream, self.block(fields))

    def request(self, stream: int, fields: tuple[tuple[str, str], ...] = GET) -> HttpRequest:
        """Send a request without a body that must be accepted."""
        [(number, request)] = self.send(self.headers(stream, fields))
        assert number == stream
        assert request is not None
        return request

    def respond(self, stream: int, response: HttpResponse = OK) -> list[Frame]:
        self.server.respond(stream, response, self.now)
        return self.frames()

    def answer(self, frames: list[Frame], stream: int) -> tuple[int, dict[str, str], bytes]:
        """Status, fields and body of a complete answer."""
        mine = [f for f in frames if f.stream == stream and f.kind in (HEADERS, DATA)]
        assert mine[-1].flags & END_STREAM
        assert mine[0].kind == HEADERS
        assert mine[0].flags & END_HEADERS
        fields = dict(self.decoder.decode(mine[0].payload))
        return int(fields.pop(":status")), fields, b"".join(f.payload for f in mine[1:])

    def expect_connection_error(self, *codes: int) -> None:
        assert self.server.closed
        last = self.frames()[-1]
        assert last.kind == GOAWAY
        assert last.code in codes
        assert self.server.counters
        assert self.send(self.headers(99)) == []

    def expect_stream_error(self, stream: int, code: int) -> None:
        assert not self.server.closed
        assert [(f.stream, f.code) for f in self.frames() if f.kind == RST_STREAM] == [
            (stream, code)
        ]
        assert self.server.counters
        # The connection lives: a PING is answered.
        self.send(frame(PING, 0, 0, b"still..."))
        assert self.frames() == [Frame(PING, ACK, 0, b"still...")]

    def expect_life(self) -> None:
        assert not self.server.closed
        assert not self.server.counters
        self.send(frame(PING, 0, 0, b"still..."))
        assert self.frames()[-1] == Frame(PING, ACK, 0, b"still...")
