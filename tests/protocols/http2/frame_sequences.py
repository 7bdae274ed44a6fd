"""Frames as a client might send them, right and wrong, for two servers that should agree on them.

Header blocks are literals without indexing, so that what a frame means depends on nothing before.
"""

from typing import Final, NamedTuple

import h2.config
import h2.connection
import h2.exceptions
import h2.settings

from protocols.http.limits import HttpLimits
from protocols.http.message import HttpResponse
from protocols.http2.connection import Http2Connection
from protocols.http2.stream_states import State
from tests.protocols.http2.raw_client import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITIZED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    parse,
    settings,
)

Fields = tuple[tuple[str, str], ...]

GET: Final[Fields] = (
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "a.example"),
    (":path", "/"),
)
POST: Final[Fields] = ((":method", "POST"), *GET[1:])

FIELDS: Final[dict[str, Fields]] = {
    "get": GET,
    "post": POST,
    "trailers": (("x-trailer", "1"),),
    "length 5": (*POST, ("content-length", "5")),
    "length -1": (*POST, ("content-length", "-1")),
    "two lengths": (*POST, ("content-length", "5"), ("content-length", "6")),
    "upper case": (*GET, ("X-Upper", "1")),
    "empty name": (*GET, ("", "1")),
    "blank in a name": (*GET, ("x y", "1")),
    "line feed in a value": (*GET, ("x", "a\nb")),
    "blank before a value": (*GET, ("x", " a")),
    "connection": (*GET, ("connection", "close")),
    "keep-alive": (*GET, ("keep-alive", "1")),
    "transfer-encoding": (*GET, ("transfer-encoding", "chunked")),
    "te gzip": (*GET, ("te", "gzip")),
    "te trailers": (*GET, ("te", "trailers")),
    "no method": GET[1:],
    "no scheme": (GET[0], *GET[2:]),
    "no path": GET[:3],
    "empty path": (*GET[:3], (":path", "")),
    "no authority": (*GET[:2], GET[3]),
    "empty authority": (*GET[:2], (":authority", ""), GET[3]),
    "method twice": (GET[0], *GET),
    "path twice": (*GET, GET[3]),
    "status": ((":status", "200"), *GET),
    "unknown pseudo": ((":unknown", "1"), *GET),
    "late pseudo": (GET[0], ("x", "1"), *GET[1:]),
    "protocol": ((":protocol", "websocket"), *GET),
    "host agrees": (*GET, ("host", "a.example")),
    "host differs": (*GET, ("host", "b.example")),
    "host alone": (*GET[:2], GET[3], ("host", "a.example")),
    "cookies": (*GET, ("cookie", "a=1"), ("cookie", "b=2")),
    "connect": ((":method", "CONNECT"), (":authority", "a.example:443")),
}


def block(fields: Fields) -> bytes:
    """A header block of literals without indexing (RFC 7541 §6.2.2)."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def _text(text: str) -> bytes:
    return bytes((len(text),)) + text.encode()


class Sent(NamedTuple):
    """One frame.

    Attributes:
        label: what it is, for the list of differences.
        stream: its stream.
        octets: as sent.
    """

    label: str
    stream: int
    octets: bytes


def headers(stream: int, fields: str, *, end: bool = True) -> Sent:
    flags = END_HEADERS | (END_STREAM if end else 0)
    label = f"headers {fields}{' end' if end else ''}"
    return Sent(label, stream, frame(HEADERS, flags, stream, block(FIELDS[fields])))


def _variants(stream: int) -> list[Sent]:
    request = block(POST)

    def one(label: str, kind: int, flags: int, payload: bytes) -> Sent:
        return Sent(label, stream, frame(kind, flags, stream, payload))

    return [
        one("headers padded", HEADERS, END_HEADERS | PADDED, b"\x03" + request + bytes(3)),
        one("headers pad too long", HEADERS, END_HEADERS | PADDED, b"\xff" + request),
        one("headers priority", HEADERS, END_HEADERS | PRIORITIZED, bytes(4) + b"\x0f" + request),
        one("headers priority cut", HEADERS, END_HEADERS | PRIORITIZED, bytes(4)),
        one("headers depends on itself", HEADERS, END_HEADERS | PRIORITIZED,
            stream.to_bytes(4, "big") + b"\x0f" + request),
        one("headers broken block", HEADERS, END_HEADERS, b"\x40\x85\xf2"),
        one("headers index 0", HEADERS, END_HEADERS, b"\x80"),
        one("headers index too high", HEADERS, END_HEADERS, b"\xc5"),
        one("headers empty block", HEADERS, END_HEADERS | END_STREAM, b""),
        one("headers begun", HEADERS, 0, request[:20]),
        one("continuation", CONTINUATION, 0, b""),
        one("continuation end", CONTINUATION, END_HEADERS, request[20:]),
        one("data", DATA, 0, b"12345"),
        one("data end", DATA, END_STREAM, b"12345"),
        one("data empty end", DATA, END_STREAM, b""),
        one("data empty", DATA, 0, b""),
        one("data padded", DATA, PADDED, b"\x02" + b"12345" + bytes(2)),
        one("data pad too long", DATA, PADDED, b"\x09" + b"12345"),
        one("data no pad length", DATA, PADDED, b""),
        one("priority", PRIORITY, 0, bytes(4) + b"\x0f"),
        one("priority short", PRIORITY, 0, bytes(4)),
        one("priority on itself", PRIORITY, 0, stream.to_bytes(4, "big") + b"\x0f"),
        one("rst_stream", RST_STREAM, 0, b"\0\0\0\x08"),
        one("rst_stream unknown code", RST_STREAM, 0, b"\0\0\xff\xff"),
        one("rst_stream short", RST_STREAM, 0, b"\0\0\x08"),
        one("settings", SETTINGS, 0, b""),
        one("settings values", SETTINGS, 0, b"\0\x01\0\0\x10\0" + b"\0\x03\0\0\0\x64"),
        one("settings window 0", SETTINGS, 0, b"\0\x04\0\0\0\0"),
        one("settings window 65535", SETTINGS, 0, b"\0\x04\0\0\xff\xff"),
        one("settings window too large", SETTINGS, 0, b"\0\x04\x80\0\0\0"),
        one("settings frame size small", SETTINGS, 0, b"\0\x05\0\0\x3f\xff"),
        one("settings frame size large", SETTINGS, 0, b"\0\x05\x01\0\0\0"),
        one("settings frame size", SETTINGS, 0, b"\0\x05\0\xff\xff\xff"),
        one("settings push 1", SETTINGS, 0, b"\0\x02\0\0\0\x01"),
        one("settings push 2", SETTINGS, 0, b"\0\x02\0\0\0\x02"),
        one("settings unknown", SETTINGS, 0, b"\xff\x02\0\0\0\x02"),
        one("settings short", SETTINGS, 0, b"\0\x04\0\0\0"),
        one("settings ack", SETTINGS, ACK, b""),
        one("settings ack payload", SETTINGS, ACK, b"\0\x04\0\0\0\0"),
        one("push_promise", PUSH_PROMISE, END_HEADERS, b"\0\0\0\x02" + request),
        one("ping", PING, 0, b"12345678"),
        one("ping ack", PING, ACK, b"12345678"),
        one("ping short", PING, 0, b"1234567"),
        one("goaway", GOAWAY, 0, bytes(8)),
        one("goaway debug", GOAWAY, 0, bytes(7) + b"\x99" + b"debug"),
        one("goaway short", GOAWAY, 0, bytes(7)),
        one("window_update", WINDOW_UPDATE, 0, b"\0\0\0\x0a"),
        one("window_update zero", WINDOW_UPDATE, 0, bytes(4)),
        one("window_update overflow", WINDOW_UPDATE, 0, b"\x7f\xff\xff\xff"),
        one("window_update short", WINDOW_UPDATE, 0, bytes(3)),
        one("unknown", 0x16, 0xFF, b"whatever"),
        one("too large", DATA, 0, bytes(16_385)),
    ]  # fmt: skip


STREAMS: Final = (0, 1, 2, 3, 5, 7)
ALL: Final[list[Sent]] = [
    *(
        headers(stream, name, end=end)
        for stream in STREAMS
        for name in FIELDS
        for end in (True, False)
    ),
    *(one for stream in STREAMS for one in _variants(stream)),
]
USUAL: Final[list[Sent]] = [
    one
    for one in ALL
    if one.stream in (1, 3, 5)
    and one.label
    in (
        "headers get end",
        "headers post",
        "headers length 5",
        "headers trailers end",
        "data",
        "data end",
        "data empty end",
        "rst_stream",
        "window_update",
        "headers begun",
        "continuation end",
    )
]

ACCEPTED: Final = "accepted"
STREAM: Final = "stream error"
CONNECTION: Final = "connection error"


class Ours:
    """Our machine, asked for its verdict on one frame after the other."""

    def __init__(self) -> None:
        limits = HttpLimits(max_streams=100, reset_burst=1e9, control_burst=1e9)
        self.machine = Http2Connection(limits, 0.0)
        self.machine.receive(PREFACE + settings() + frame(SETTINGS, ACK, 0), 0.0)
        self.machine.data_to_send()
        self.requests: list[int] = []

    def state(self, sent: Sent) -> str:
        """Of the stream before the frame; `IN BLOCK` when a header block is not complete."""
        if self.machine._block_stream:
            return "IN BLOCK"
        return self.machine._state_of(sent.stream).name if sent.stream else "CONNECTION"

    def take(self, sent: Sent) -> str:
        events = self.machine.receive(sent.octets, 0.0)
        self.requests += [stream for stream, request in events if request is not None]
        frames = parse(self.machine.data_to_send())
        if any(one.kind == GOAWAY for one in frames):
            return CONNECTION
        if any(one.kind == RST_STREAM or one.kind == HEADERS for one in frames):
            return STREAM  # a request that is refused by its status is refused
        return ACCEPTED

    def answer(self, stream: int) -> bool:
        if self.machine._state_of(stream) is not State.HALF_CLOSED_REMOTE:
            return False
        self.machine.respond(stream, HttpResponse(204), 0.0)
        self.machine.data_to_send()
        return True


class Theirs:
    """h2 as the server."""

    def __init__(self) -> None:
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None)
        )
        self.h2.local_settings = h2.settings.Settings(
            client=False, initial_values={3: 100, 6: 65_536}
        )
        self.h2.initiate_connection()
        self.h2.receive_data(PREFACE + settings() + frame(SETTINGS, ACK, 0))
        self.h2.data_to_send()
        self.reason = ""

    def take(self, sent: Sent) -> str:
        self.reason = ""
        try:
            self.h2.receive_data(sent.octets)
        except h2.exceptions.ProtocolError as error:
            self.reason = f"{type(error).__name__}: {error}"
            return CONNECTION
        frames = parse(self.h2.data_to_send())
        return STREAM if any(one.kind == RST_STREAM for one in frames) else ACCEPTED

    def answer(self, stream: int) -> None:
        self.h2.send_headers(stream, [(":status", "204")], end_stream=True)
        self.h2.data_to_send()
