"""One HTTP/1.1 exchange of a device, sans-IO (RFC 9112).

Strict where a phone's client is: a status line, fields, Content-Length or chunks or the end.
"""

from collections.abc import Sequence
from typing import Final

from scripts.lab.device_http_errors import DeviceHttpError

MAX_HEAD_OCTETS: Final = 65_536

Field = tuple[bytes, bytes]


class Http1Exchange:
    """One request and its response.

    Attributes:
        status, headers, body: of the response, when `receive` returned True.
        must_close: the server closes after this response.
    """

    __slots__ = (
        "_authority",
        "_buffer",
        "_chunked",
        "_head_done",
        "_is_head_request",
        "_length",
        "body",
        "headers",
        "must_close",
        "status",
    )

    def __init__(self, authority: bytes) -> None:
        self._authority = authority
        self._buffer = b""
        self._head_done = False
        self._is_head_request = False
        self._length: int | None = None
        self._chunked = False
        self.status = 0
        self.headers: list[Field] = []
        self.body = b""
        self.must_close = False

    def encode(self, method: bytes, path: bytes, headers: Sequence[Field], body: bytes) -> bytes:
        """The request's octets."""
        self._is_head_request = method == b"HEAD"
        lines = [b"%b %b HTTP/1.1\r\nhost: %b" % (method, path, self._authority)]
        lines += [b"%b: %b" % field for field in headers]
        if body or method in (b"POST", b"PUT"):
            lines.append(b"content-length: %d" % len(body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    def receive(self, data: bytes) -> bool:
        """Take octets (empty: the end of the stream). True when the response is complete.

        Raises:
            DeviceHttpError: it is malformed, or ended too early.
        """
        ended = not data
        self._buffer += data
        while not self._head_done:
            if not self._read_head():
                if ended:
                    raise DeviceHttpError("the connection ended before a response")
                if len(self._buffer) > MAX_HEAD_OCTETS:
                    raise DeviceHttpError("an endless response head")
                return False
        if self._chunked:
            done = self._read_chunks()
        elif self._length is None:
            # RFC 9112 §6.3: without a length the body goes to the end of the connection.
            self.must_close = True
            done = ended
            self.body = self._buffer
        else:
            done = len(self._buffer) >= self._length
            if len(self._buffer) > self._length:
                raise DeviceHttpError("octets after the response")
            self.body = self._buffer
        if ended and not done:
            raise DeviceHttpError("the connection ended inside a response")
        return done

    def _read_head(self) -> bool:
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return False
        lines = head.split(b"\r\n")
        parts = lines[0].split(b" ", 2)
        if len(parts) < 2 or parts[0] != b"HTTP/1.1" or not parts[1].isdigit():
            raise DeviceHttpError("no status line of HTTP/1.1")
        self.status = int(parts[1])
        self._buffer = rest
        if 100 <= self.status < 200:
            return self._read_head()  # an interim response comes before the real one
        self.headers = [_field(line) for line in lines[1:]]
        self._read_framing(dict(self.headers))
        self._head_done = True
        return True

    def _read_framing(self, fields: dict[bytes, bytes]) -> None:
        self.must_close = fields.get(b"connection", b"").lower() == b"close"
        length = fields.get(b"content-length")
        self._chunked = fields.get(b"transfer-encoding", b"").lower() == b"chunked"
        if self._is_head_request or self.status in (204, 304):
            self._length, self._chunked = 0, False
        elif length is not None:
            if self._chunked or not length.isdigit():
                raise DeviceHttpError("no sound Content-Length")
            self._length = int(length)

    def _read_chunks(self) -> bool:
        while True:
            line, separator, rest = self._buffer.partition(b"\r\n")
            if not separator:
                return False
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                raise DeviceHttpError("no sound chunk") from None
            if len(rest) < size + 2:
                return False
            if rest[size : size + 2] != b"\r\n":
                raise DeviceHttpError("a chunk without its end")
            self.body += rest[:size]
            self._buffer = rest[size + 2 :]
            if not size:
                return True


def _field(line: bytes) -> Field:
    name, colon, value = line.partition(b":")
    if not colon or not name or name.strip() != name:
        raise DeviceHttpError("no sound header field")
    return name.lower(), value.strip()
