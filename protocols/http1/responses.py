"""Responses in HTTP/1.1 form, RFC 9112 §4: always with Content-Length, joined into one piece."""

from http import HTTPStatus
from typing import Final

from protocols.http.message import HttpResponse

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_WITHOUT_CONTENT: Final = frozenset((204, 304))  # RFC 9110 §6.4.1
_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}

# From our own code, so few; the bound is a guard.
_MEMORY_BOUND: Final = 512
_starts: Final[dict[tuple[int, bytes], bytes]] = {}


def encode_response(response: HttpResponse, connection: bytes, *, head_only: bool) -> bytes:
    """The whole response.

    Args:
        response: what to say.
        connection: value of the Connection field; empty for none.
        head_only: the request was HEAD.

    Raises:
        ValueError: NUL, CR or LF in a field value: our own code would split the response.
    """
    status = response.status
    body = response.body
    parts = [_start(status, response.content_type)]
    if status in _WITHOUT_CONTENT:
        body = b""
    else:
        parts.append(b"content-length: %d\r\n" % len(body))
    for name, value in response.headers:
        if 0x0A in value or 0x0D in value or 0 in value:
            raise ValueError(f"forbidden octet in the value of {name!r}")
        parts.append(b"%b: %b\r\n" % (name, value))
    if connection:
        parts.append(b"connection: %b\r\n" % connection)
    parts.append(b"\r\n")
    if not head_only:
        parts.append(body)
    return b"".join(parts)


def _start(status: int, content_type: bytes) -> bytes:
    start = _starts.get((status, content_type))
    if start is None:
        start = b"HTTP/1.1 %d %b\r\n" % (status, _REASONS.get(status, b""))
        if content_type:
            start += b"content-type: %b\r\n" % content_type
        if len(_starts) < _MEMORY_BOUND:
            _starts[status, content_type] = start
    return start
