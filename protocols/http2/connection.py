"""The HTTP/2 server machine of the device listener, RFC 9113: octets in, requests out, and back.

Sans-IO: no socket, no clock. One pass over what was received, one join of what is sent. A request
of eleven fields with its body and answer takes 12 us on a warm connection; the first request of a
fresh one 23, of which 10 are HPACK; a quiet connection keeps 2.4 kB (measured). In
layers: `output` writes, `control` steers, `inbound` reads requests; here are the frame loop, time
and end.
Not here: TLS, push, upgrade from HTTP/1.1, CONNECT.
"""

import math
from collections.abc import Callable
from typing import Final

from protocols.http.events import Event
from protocols.http.limits import HttpLimits
from protocols.http2 import errors, frames
from protocols.http2.errors import AbuseFault, ConnectionFault
from protocols.http2.inbound import Inbound

_UNPACK: Final = frames.HEADER.unpack_from
_STREAM_BITS: Final = 0x7FFF_FFFF  # §4.1: the reserved bit is ignored
_CREDIT_BELOW: Final = frames.WINDOW // 2  # no body can stall at this window: a frame is smaller

Handler = Callable[["Http2Connection", int, int, bytes], None]


class Http2Connection(Inbound):
    """One client connection; see `Output` for `respond`, `data_to_send`, `closed`, `counters`.

    All times are seconds on the caller's monotonic clock. Events come in order: `(stream, request)`
    when a request is complete, `(stream, None)` when a delivered one can no longer be answered.
    """

    __slots__ = ("_needed", "_partial", "_preface_seen")

    def __init__(self, limits: HttpLimits, now: float) -> None:
        super().__init__(limits, now)
        self._partial: bytearray | None = None  # the beginning of a frame
        self._needed = 0  # octets until it is complete
        self._preface_seen = False

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take octets from the client."""
        if self.closed:
            return []
        self._now = now
        events: list[Event] = []
        self._events = events
        partial = self._partial
        if partial is not None:
            partial += data
            if len(partial) < self._needed:
                return events
            data = bytes(partial)
            self._partial = None
        try:
            if self._preface_seen:
                self._read_frames(data, 0)
            else:
                self._read_preface(data)
            if self._receive_window < _CREDIT_BELOW:
                self._credit()
        except ConnectionFault as fault:
            self._end(fault)
        if self._queued > self._limits.max_queued_octets and not self.closed:
            self._abort("queued_output")
            self._drop_all()
        self._events = []  # a quiet connection must not keep its last request alive
        return events

    def _read_preface(self, data: bytes) -> None:
        """§3.4: exactly these octets, then SETTINGS."""
        preface = frames.PREFACE
        if not data.startswith(preface):
            if not preface.startswith(data):
                raise ConnectionFault(errors.PROTOCOL_ERROR, "preface")
            self._keep(data, 0, len(preface))
            return
        self._preface_seen = True
        self._read_frames(data, len(preface))

    def _keep(self, data: bytes, at: int, needed: int) -> None:
        self._partial = bytearray(data[at:])
        self._needed = needed

    def _read_frames(self, data: bytes, at: int) -> None:
        end = len(data)
        while end - at >= 9:
            high, low, kind, flags, stream_id = _UNPACK(data, at)
            length = high << 8 | low
            if length > 16_384:  # §4.2
                raise ConnectionFault(errors.FRAME_SIZE_ERROR, "frame_size")
            stop = at + 9 + length
            if stop > end:
                self._keep(data, at, stop - at)
                return
            payload = data[at + 9 : stop]
            at = stop
            stream_id &= _STREAM_BITS
            if self._block_stream or not self._settings_applied:
                self._check_order(kind, flags, stream_id)
            if kind == 1:
                self._on_headers(flags, stream_id, payload)
            elif kind == 0:
                self._on_data(flags, stream_id, payload)
            elif kind < len(_HANDLERS):
                _HANDLERS[kind](self, flags, stream_id, payload)
            else:
                self._charge("unknown_frame")  # §4.1: ignored
            if self.closed:
                return
        if at < end:
            self._keep(data, at, 9)

    def _check_order(self, kind: int, flags: int, stream_id: int) -> None:
        if not self._settings_applied:
            if kind != frames.SETTINGS or flags & frames.ACK:  # §3.4
                raise ConnectionFault(errors.PROTOCOL_ERROR, "preface")
        elif kind != frames.CONTINUATION or stream_id != self._block_stream:  # §4.3, §5.5
            raise ConnectionFault(errors.PROTOCOL_ERROR, "frame_inside_header_block")

    def _end(self, fault: ConnectionFault) -> None:
        """§5.4.1: GOAWAY, then nothing more."""
        self._count(fault.reason)
        if isinstance(fault, AbuseFault):
            self._count("abuse")
        self._write(frames.goaway(self._last_stream, fault.code))
        self._drop_all()
        self._goaway_sent = True
        self.closed = True

    def next_timeout(self) -> float:
        """When to call `timed_out`, `math.inf` for never."""
        if self.closed:
            return math.inf
        deadline = min(self._settings_deadline, self._goaway_deadline)
        if not self._streams:
            if not self._goaway_sent and self._goaway_deadline == math.inf:
                deadline = min(deadline, self._idle_deadline)
            return deadline
        for waiting in (self._incomplete, self._blocked):
            for stream in waiting.values():  # the oldest is the first to be due
                deadline = min(deadline, stream.deadline)
                break
        return deadline

    def timed_out(self, now: float) -> list[Event]:
        """Do what is due; harmless when nothing is."""
        if self.closed:
            return []
        self._now = now
        events: list[Event] = []
        self._events = events
        try:
            self._expire(now)
        except ConnectionFault as fault:
            self._end(fault)
        return events

    def _expire(self, now: float) -> None:
        if now >= self._settings_deadline:  # §6.5.3
            raise ConnectionFault(errors.SETTINGS_TIMEOUT, "settings_timeout")
        if now >= self._goaway_deadline:
            self._finish_goaway()
        elif not self._streams and now >= self._idle_deadline:
            self._say_goodbye()
        for waiting, name in (
            (self._incomplete, "request_timeout"),
            (self._blocked, "blocked_timeout"),
        ):
            for stream_id, stream in list(waiting.items()):
                if now < stream.deadline:
                    break
                self._reset(stream_id, errors.CANCEL, name)

    def close_gracefully(self, now: float) -> None:
        """§6.8: refuse nothing for one round trip, then answer all that came until then."""
        if not self.closed:
            self._now = now
            self._say_goodbye()

    def eof(self, now: float) -> list[Event]:
        """The client is gone, or the caller gives the connection up. Call it whenever a connection
        ends: after `closed` it still reports requests that an abort left without an answer."""
        self._now = now
        events: list[Event] = []
        self._events = events
        self._drop_all()
        self.closed = True
        return events


_HANDLERS: Final[tuple[Handler, ...]] = (
    Http2Connection._on_data,
    Http2Connection._on_headers,
    Http2Connection._on_priority,
    Http2Connection._on_rst_stream,
    Http2Connection._on_settings,
    Http2Connection._on_push_promise,
    Http2Connection._on_ping,
    Http2Connection._on_goaway,
    Http2Connection._on_window_update,
    Http2Connection._on_continuation,
)
"""By frame type."""
