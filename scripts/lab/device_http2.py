"""The HTTP/2 side of a device: frames, flow control, streams (RFC 9113).

One connection may be shared by many devices. There is no reader task: whichever request waits
reads for all, and hands the reading over when its own response is complete.
"""

import struct
from collections.abc import Sequence
from typing import Final, Protocol

import trio
from hpack import Decoder, HPACKError

from scripts.lab.device_hpack import RequestEncoder
from scripts.lab.device_http_errors import DeviceHttpError

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE = 0, 1, 3, 4, 5
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 6, 7, 8, 9
END_STREAM, END_HEADERS, PADDED, PRIORITY, ACK = 0x1, 0x4, 0x8, 0x20, 0x1

DEFAULT_WINDOW: Final = 65_535
CONNECTION_WINDOW: Final = 16 * 1_048_576  # as OkHttp: a device never stalls its server
STREAM_WINDOW: Final = 1_048_576
MAX_FRAME_OCTETS: Final = 16_384

_head = struct.Struct(">HBBBI")
_setting = struct.Struct(">HI")

Field = tuple[bytes, bytes]


class Transport(Protocol):
    """What carries the octets."""

    async def send(self, data: bytes) -> None:
        """Write everything."""
        ...

    async def receive(self) -> bytes:
        """Some octets; empty at the end."""
        ...


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    size = len(payload)
    return _head.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


_START: Final = (
    PREFACE
    + frame(SETTINGS, 0, 0, _setting.pack(2, 0) + _setting.pack(4, STREAM_WINDOW))
    + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", CONNECTION_WINDOW - DEFAULT_WINDOW))
)


class _Stream:
    """One request in flight."""

    __slots__ = ("body", "done", "error", "headers", "status", "wakeup", "window")

    def __init__(self, window: int) -> None:
        self.status = 0
        self.headers: list[Field] = []
        self.body: list[bytes] = []
        self.done = False
        self.error = ""
        self.window = window
        self.wakeup: trio.Event | None = None  # made when its task waits for another reader


class Http2Client:
    """One connection as a client.

    Attributes:
        closed: the server said goodbye, or the connection is lost: no new request.
        settings: what the server's SETTINGS said, number to value.
    """

    __slots__ = (
        "_buffer",
        "_consumed",
        "_decoder",
        "_encoder",
        "_header_block",
        "_header_ends_stream",
        "_header_stream",
        "_next_stream",
        "_reading",
        "_replies",
        "_start",
        "_streams",
        "_transport",
        "_window",
        "closed",
        "settings",
    )

    def __init__(self, transport: Transport, authority: bytes) -> None:
        self._transport = transport
        self._encoder = RequestEncoder(authority)
        self._decoder = Decoder()
        self._buffer = b""
        self._start = _START  # goes out with the first request, as curl does it
        self._next_stream = 1
        self._streams: dict[int, _Stream] = {}
        self._window = DEFAULT_WINDOW
        self._consumed = 0
        self._header_stream = 0
        self._header_block = b""
        self._header_ends_stream = False
        self._replies: list[bytes] = []
        self._reading = False
        self.closed = False
        self.settings: dict[int, int] = {}

    async def request(
        self, method: bytes, path: bytes, headers: Sequence[Field], body: bytes
    ) -> tuple[int, list[Field], bytes]:
        """One exchange: (status, fields, body).

        Raises:
            DeviceHttpError: the stream was reset, or the connection ended or is malformed.
        """
        if self.closed:
            raise DeviceHttpError("the connection is closed")
        number = self._next_stream
        self._next_stream += 2
        stream = _Stream(self.settings.get(4, DEFAULT_WINDOW))
        self._streams[number] = stream
        try:
            block = self._encoder.encode(method, path, headers, len(body) if body else None)
            flags = END_HEADERS if body else END_HEADERS | END_STREAM
            octets = self._start + frame(HEADERS, flags, number, block)
            self._start = b""
            if body and self._fits(stream, body):
                octets += frame(DATA, END_STREAM, number, body)
                body = b""
            await self._transport.send(octets)
            if body:
                await self._send_in_pieces(number, stream, body)
            while not stream.done:
                await self._read_or_wait(stream)
            return stream.status, stream.headers, b"".join(stream.body)
        finally:
            del self._streams[number]
            self._pass_reading_on()

    async def _send_in_pieces(self, number: int, stream: _Stream, body: bytes) -> None:
        while body and not stream.done:
            size = min(len(body), self._window, stream.window, MAX_FRAME_OCTETS)
            if size <= 0:
                await self._read_or_wait(stream)
                continue
            piece, body = body[:size], body[size:]
            self._window -= size
            stream.window -= size
            await self._transport.send(frame(DATA, 0 if body else END_STREAM, number, piece))

    def _fits(self, stream: _Stream, body: bytes) -> bool:
        size = len(body)
        if size > min(self._window, stream.window, MAX_FRAME_OCTETS):
            return False
        self._window -= size
        stream.window -= size
        return True

    # --- reading, by one of the waiting tasks --------------------------------------------------

    async def _read_or_wait(self, stream: _Stream) -> None:
        """Read once, or let the task that reads now wake this one."""
        if self._reading:
            stream.wakeup = trio.Event()
            await stream.wakeup.wait()
            if stream.error:
                raise DeviceHttpError(stream.error)
            return
        self._reading = True
        try:
            data = await self._transport.receive()
            if not data:
                raise DeviceHttpError("the connection ended")
            self._take(data)
            if self._replies:
                replies, self._replies = b"".join(self._replies), []
                await self._transport.send(replies)
        except (DeviceHttpError, OSError) as error:
            self._fail_all(str(error))
            raise
        finally:
            self._reading = False
        if stream.error:
            raise DeviceHttpError(stream.error)

    def _pass_reading_on(self) -> None:
        if self._reading:
            return
        for stream in self._streams.values():
            if stream.wakeup is not None and not stream.wakeup.is_set():
                stream.wakeup.set()
                return

    def _fail_all(self, error: str) -> None:
        self.closed = True
        for stream in self._streams.values():
            self._finish(stream, error)

    @staticmethod
    def _finish(stream: _Stream, error: str = "") -> None:
        if stream.done:
            return  # such as a reset after the complete response (RFC 9113 §8.1)
        stream.done = True
        stream.error = error
        if stream.wakeup is not None:
            stream.wakeup.set()

    # --- frames --------------------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        data = self._buffer + data
        at = 0
        while len(data) - at >= 9:
            high, low, kind, flags, number = _head.unpack_from(data, at)
            end = at + 9 + (high << 8 | low)
            if end - at - 9 > MAX_FRAME_OCTETS:
                raise DeviceHttpError("a frame over 16,384 octets")
            if end > len(data):
                break
            self._frame(kind, flags, number & 0x7FFFFFFF, data[at + 9 : end])
            at = end
        self._buffer = data[at:]

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._header_stream and kind != CONTINUATION:
            raise DeviceHttpError("a header block was interrupted")
        if kind == HEADERS:
            self._header_block = _unpadded(flags, payload)
            self._header_stream = number
            self._header_ends_stream = bool(flags & END_STREAM)
            self._headers(flags)
        elif kind == DATA:
            self._data(flags, number, payload)
        elif kind == SETTINGS:
            self._take_settings(flags, payload)
        elif kind == WINDOW_UPDATE:
            self._window_update(number, payload)
        elif kind == PING and not flags & ACK:
            self._replies.append(frame(PING, ACK, 0, payload))
        elif kind == RST_STREAM:
            if number in self._streams:
                code = int.from_bytes(payload, "big")
                self._finish(self._streams[number], f"the stream was reset, code {code}")
        elif kind == GOAWAY:
            self._goaway(payload)
        elif kind == CONTINUATION:
            self._header_block += payload
            self._headers(flags)
        elif kind == PUSH_PROMISE:
            raise DeviceHttpError("a push that we forbade")

    def _headers(self, flags: int) -> None:
        if not flags & END_HEADERS:
            return
        number, self._header_stream = self._header_stream, 0
        try:
            fields = self._decoder.decode(self._header_block, raw=True)
        except HPACKError as error:
            raise DeviceHttpError(f"HPACK: {error}") from error
        stream = self._streams.get(number)
        if stream is None:
            return  # given up by its device
        headers = [(bytes(name), bytes(value)) for name, value in fields]
        if headers[0][0] != b":status" or not headers[0][1].isdigit():
            raise DeviceHttpError("a response without :status")
        status = int(headers[0][1])
        if status >= 200:
            stream.status, stream.headers = status, headers[1:]
        if self._header_ends_stream:
            self._finish(stream, "" if stream.status else "the end without a head")

    def _data(self, flags: int, number: int, payload: bytes) -> None:
        self._consumed += len(payload)
        if self._consumed >= CONNECTION_WINDOW // 2:
            size, self._consumed = self._consumed, 0
            self._replies.append(frame(WINDOW_UPDATE, 0, 0, size.to_bytes(4, "big")))
        stream = self._streams.get(number)
        if stream is None:
            return
        stream.body.append(_unpadded(flags, payload))
        if flags & END_STREAM:
            self._finish(stream, "" if stream.status else "a body without a head")

    def _take_settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            return
        if len(payload) % 6:
            raise DeviceHttpError("SETTINGS of no sound length")
        for at in range(0, len(payload), 6):
            number, value = _setting.unpack_from(payload, at)
            if number == 4:
                change = value - self.settings.get(4, DEFAULT_WINDOW)
                for stream in self._streams.values():
                    stream.window += change
            elif number == 1:
                self._encoder.limit_table(value)
            self.settings[number] = value
        self._replies.append(frame(SETTINGS, ACK, 0))

    def _window_update(self, number: int, payload: bytes) -> None:
        size = int.from_bytes(payload, "big") & 0x7FFFFFFF
        if not number:
            self._window += size
        elif number in self._streams:
            self._streams[number].window += size
        for stream in self._streams.values():  # one of them may wait for the window
            if stream.wakeup is not None:
                stream.wakeup.set()

    def _goaway(self, payload: bytes) -> None:
        last, code = struct.unpack_from(">II", payload)
        self.closed = True
        for number, stream in self._streams.items():
            if number > last & 0x7FFFFFFF:
                self._finish(stream, f"the server goes away, code {code}")


def _unpadded(flags: int, payload: bytes) -> bytes:
    start, end = 0, len(payload)
    if flags & PADDED:
        start, end = 1, end - payload[0]
    if flags & PRIORITY:
        start += 5
    if start > end:
        raise DeviceHttpError("padding longer than the frame")
    return payload[start:end]
