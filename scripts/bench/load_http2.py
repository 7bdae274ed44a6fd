"""The client half of HTTP/2 for the load client, sans-IO: frames by hand, no flow control.

Requests are encoded as Android's client does (`scripts/lab/device_hpack.py`): Huffman, repeated
fields by index. Windows are opened wide once, so that no WINDOW_UPDATE follows in a run.
"""

from struct import Struct
from typing import Final

from protocols.http2.hpack_decoder import HpackDecoder
from scripts.bench.load_messages import Answer, LoadError, Request
from scripts.lab.device_hpack import RequestEncoder

_HEAD: Final = Struct(">HBBBL")
_WINDOW: Final = (1 << 31) - 1
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


# No push; a window of 2^31-1 for every stream, and as much for the connection.
_START: Final = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + _frame(SETTINGS, 0, 0, b"\0\2\0\0\0\0" + b"\0\4" + _WINDOW.to_bytes(4, "big"))
    + _frame(8, 0, 0, (_WINDOW - 65_535).to_bytes(4, "big"))
)
_SETTINGS_ACK: Final = _frame(SETTINGS, ACK, 0)


class Http2:
    """One connection.

    Attributes:
        out: octets to send.
    """

    __slots__ = ("_answers", "_buffer", "_decoder", "_encoder", "_next", "out")

    def __init__(self, authority: bytes) -> None:
        self._encoder = RequestEncoder(authority)
        self._decoder = HpackDecoder()
        self._answers: dict[int, Answer] = {}
        self._buffer = b""
        self._next = 1
        self.out = [_START]

    def request(self, one: Request) -> int:
        """Queue a request; the number of its stream."""
        number, self._next = self._next, self._next + 2
        size = len(one.body) if one.body else None
        block = self._encoder.encode(one.method, one.path, one.headers, size)
        self._answers[number] = Answer()
        flags = END_HEADERS if one.body else END_HEADERS | END_STREAM
        self.out.append(_frame(HEADERS, flags, number, block))
        if one.body:
            self.out.append(_frame(DATA, END_STREAM, number, one.body))
        return number

    def receive(self, data: bytes) -> list[tuple[int, Answer]]:
        """Complete answers, by stream.

        Raises:
            LoadError: the server reset a stream, goes away, or breaks the protocol.
        """
        done: list[tuple[int, Answer]] = []
        if self._buffer:
            data = self._buffer + data
        at, size = 0, len(data)
        while size - at >= 9:
            high, low, kind, flags, number = _HEAD.unpack_from(data, at)
            end = at + 9 + (high << 8 | low)
            if end > size:
                break
            self._take(kind, flags, number, data[at + 9 : end], done)
            at = end
        self._buffer = data[at:]
        return done

    def _take(
        self, kind: int, flags: int, number: int, payload: bytes, done: list[tuple[int, Answer]]
    ) -> None:
        if kind == HEADERS:
            if not flags & END_HEADERS or flags & (PADDED | PRIORITY):
                raise LoadError("a HEADERS frame of a form that this client does not read")
            answer = self._answers[number]
            for name, value in self._decoder.decode(payload):
                answer.take(name, value)
        elif kind == DATA:
            if flags & PADDED:
                raise LoadError("padding, which this client does not read")
            answer = self._answers[number]
            answer.body += payload
        elif kind == SETTINGS:
            if not flags & ACK:
                self.out.append(_SETTINGS_ACK)
            return
        elif kind == PING:
            if not flags & ACK:
                self.out.append(_frame(PING, ACK, 0, payload))
            return
        elif kind in (RST_STREAM, GOAWAY, CONTINUATION):
            raise LoadError(f"frame type {kind}: {payload.hex()}")
        else:
            return
        if flags & END_STREAM:
            done.append((number, self._answers.pop(number)))
