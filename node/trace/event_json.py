"""Trace events as lines of JSON, one object each: how they travel to the command line.

| line | meaning |
|---|---|
| `{"time": …, "leg": …, "request": {…}}` | an event: or `response`, `diameter`, `reason` |
| empty | nothing happened for a while; the stream lives |
| `{"ended": true, "lost": 3}` | the trace is over |

Octets (bodies, Diameter messages) are base64, header fields are text in ISO 8859-1.
"""

from typing import Final

import msgspec

from actors.trace.recorder import Direction, Leg, Payload, TraceEvent
from protocols.http.message import HttpRequest, HttpResponse

HEARTBEAT: Final = b"\n"

_Fields = list[tuple[str, str]]


class _Request(msgspec.Struct, omit_defaults=True):
    method: str
    target: str
    authority: str = ""
    headers: _Fields = []
    body: bytes = b""


class _Response(msgspec.Struct, omit_defaults=True):
    status: int
    content_type: str = ""
    headers: _Fields = []
    body: bytes = b""


class _Line(msgspec.Struct, omit_defaults=True):
    """Every kind of line."""

    time: float = 0.0
    exchange: str = ""
    tenant: str = ""
    imsi: str = ""
    leg: Leg = "http"
    direction: Direction = "in"
    peer: str = ""
    request: _Request | None = None
    response: _Response | None = None
    diameter: bytes | None = None
    reason: str | None = None
    ended: bool = False
    lost: int = 0


class TraceEnd(msgspec.Struct, frozen=True):
    """The trace is over; `lost` events did not reach the reader."""

    lost: int


class NotATraceLine(Exception):
    """The other side sent something else."""


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(_Line).decode


def event_line(event: TraceEvent) -> bytes:
    """One event as a line."""
    payload = event.payload
    line = _Line(
        time=event.time,
        exchange=event.exchange,
        tenant=event.tenant,
        imsi=event.imsi,
        leg=event.leg,
        direction=event.direction,
        peer=event.peer,
    )
    if isinstance(payload, HttpRequest):
        line.request = _Request(
            _text(payload.method),
            _text(payload.target),
            _text(payload.authority),
            [(_text(name), _text(value)) for name, value in payload.headers],
            payload.body,
        )
    elif isinstance(payload, HttpResponse):
        line.response = _Response(
            payload.status,
            _text(payload.content_type),
            [(_text(name), _text(value)) for name, value in payload.headers],
            payload.body,
        )
    elif isinstance(payload, bytes):
        line.diameter = payload
    else:
        line.reason = payload
    return _encode(line) + b"\n"


def end_line(lost: int) -> bytes:
    """The last line."""
    return _encode(_Line(ended=True, lost=lost)) + b"\n"


def read_line(line: bytes) -> TraceEvent | TraceEnd | None:
    """What a line says; None for a heartbeat.

    Raises:
        NotATraceLine: it is no line of a trace.
    """
    if not line.strip():
        return None
    try:
        read = _decode(line)
    except msgspec.DecodeError as error:
        raise NotATraceLine(str(error)) from None
    if read.ended:
        return TraceEnd(read.lost)
    return TraceEvent(
        time=read.time,
        exchange=read.exchange,
        tenant=read.tenant,
        imsi=read.imsi,
        leg=read.leg,
        direction=read.direction,
        payload=_payload(read),
        peer=read.peer,
    )


def _payload(line: _Line) -> Payload:
    if line.request is not None:
        request = line.request
        return HttpRequest(
            _octets(request.method),
            _octets(request.target),
            _octets(request.authority),
            [(_octets(name), _octets(value)) for name, value in request.headers],
            request.body,
        )
    if line.response is not None:
        response = line.response
        return HttpResponse(
            response.status,
            _octets(response.content_type),
            response.body,
            tuple((_octets(name), _octets(value)) for name, value in response.headers),
        )
    if line.diameter is not None:
        return line.diameter
    if line.reason is None:
        raise NotATraceLine("an event without a payload")
    return line.reason


def _text(octets: bytes) -> str:
    return octets.decode("latin-1")


def _octets(text: str) -> bytes:
    return text.encode("latin-1", "replace")
