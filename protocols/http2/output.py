"""Everything that the HTTP/2 machine writes: answers, flow control of RFC 9113 §5.2, the queue.

An answer whose body fits both windows is appended as finished pieces and joined once with whatever
else is due: about 1.5 us (measured). Only a body that does not fit is kept and sent in parts.
"""

import math
from typing import Final

from protocols.http.events import Event
from protocols.http.limits import HttpLimits
from protocols.http.message import HttpResponse
from protocols.http2 import frames
from protocols.http2.hpack_encoder import (
    TABLE_SIZE_ZERO,
    encode_content_length,
    encode_fields,
    encode_start,
)
from protocols.http2.stream import Stream
from protocols.http2.stream_states import State

_WITHOUT_CONTENT: Final = frozenset((204, 304))  # RFC 9110 §6.4.1
_RECENT_RESETS: Final = 64  # streams reset by us whose late frames are ignored
UPDATES_PER_DATA: Final = 2  # one for the stream, one for the connection
_HALF_CLOSED_REMOTE: Final = State.HALF_CLOSED_REMOTE
_PACK: Final = frames.HEADER.pack


class Output:
    """The writing half of a connection, and the streams that both halves work on.

    Attributes:
        closed: nothing more is read; close the socket once `data_to_send` is empty.
        counters: protocol errors and abuse by name; empty for a peer that behaves.
    """

    __slots__ = (
        "_abuse",
        "_blocked",
        "_events",
        "_goaway_deadline",
        "_goaway_sent",
        "_held",
        "_idle_deadline",
        "_incomplete",
        "_last_stream",
        "_limits",
        "_now",
        "_out",
        "_peer_leaves",
        "_peer_window",
        "_queued",
        "_reset_by_us",
        "_send_window",
        "_streams",
        "_table_update_owed",
        "_window_credit",
        "closed",
        "counters",
    )

    def __init__(self, limits: HttpLimits, now: float) -> None:
        self.closed = False
        self.counters: dict[str, int] = {}
        self._limits = limits
        self._now = now
        self._events: list[Event] = []
        self._out: list[bytes] = []
        self._queued = 0  # octets in _out
        self._held = 0  # octets of bodies that wait for window
        self._streams: dict[int, Stream] = {}
        self._incomplete: dict[int, Stream] = {}  # requests not yet complete, oldest first
        self._blocked: dict[int, Stream] = {}  # answers that wait for window, oldest first
        self._send_window = frames.WINDOW
        self._peer_window = frames.WINDOW  # their SETTINGS_INITIAL_WINDOW_SIZE
        self._table_update_owed = False
        # WINDOW_UPDATE frames that need no excuse: those that our DATA frames give rise to, and
        # the one with which most clients begin.
        self._window_credit = UPDATES_PER_DATA
        self._last_stream = 0  # the highest identifier that the peer used
        self._reset_by_us: list[int] = []
        self._peer_leaves = False
        self._goaway_sent = False  # the second of the two steps, or the only one of an error
        self._goaway_deadline = math.inf
        self._idle_deadline = now + limits.first_request_seconds

    @property
    def open_streams(self) -> int:
        """Streams with a request in progress or an answer outstanding."""
        return len(self._streams)

    def data_to_send(self) -> bytes:
        """Everything to write now; empty when there is nothing."""
        out = self._out
        if not out:
            return b""
        data = b"".join(out)
        self._out = []
        self._queued = 0
        return data

    def respond(self, stream_id: int, response: HttpResponse, now: float) -> None:
        """Answer one request, completely. Ignored for a stream that is gone or answered.

        Raises:
            ValueError: a field value would split the response.
        """
        stream = self._streams.get(stream_id)
        if (
            stream is None
            or stream.state is not _HALF_CLOSED_REMOTE
            or stream.pending is not None
            or self.closed
        ):
            return
        self._now = now
        body = response.body
        size = len(body)
        status = response.status
        block = encode_start(status, response.content_type)
        if status not in _WITHOUT_CONTENT:
            block += encode_content_length(size)
        elif size:
            size = 0
        if response.headers:
            block += encode_fields(response.headers)
        if size and stream.request.method == b"HEAD":
            size = 0
        if self._table_update_owed:
            self._table_update_owed = False
            block = TABLE_SIZE_ZERO + block
        length = len(block)
        out = self._out
        if length > frames.FRAME_OCTETS:
            self._write_long_block(stream_id, block, end_stream=not size)
        else:
            # END_HEADERS 4, and END_STREAM 1 when nothing follows.
            out.append(_PACK(length >> 8, length & 0xFF, 1, 4 if size else 5, stream_id))
            out.append(block)
        self._queued += length + 9
        if not size:
            self._finish(stream_id)
        elif size <= self._send_window and size <= stream.send_window and size <= 16_384:
            self._send_window -= size
            self._window_credit += UPDATES_PER_DATA
            out.append(_PACK(size >> 8, size & 0xFF, 0, 1, stream_id))
            out.append(body)
            self._queued += size + 9
            self._finish(stream_id)
        else:
            stream.pending = body
            stream.deadline = now + self._limits.blocked_seconds
            self._held += size
            self._blocked[stream_id] = stream
            self._send_pending(stream_id, stream)
        if self._queued + self._held > self._limits.max_queued_octets:
            self._abort("queued_output")

    def _write(self, data: bytes) -> None:
        self._out.append(data)
        self._queued += len(data)

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1

    def _abort(self, name: str) -> None:
        """End at once, without a word: the peer does not read."""
        self._count(name)
        self._out = []
        self._queued = 0
        self.closed = True

    def _write_long_block(self, stream_id: int, block: bytes, *, end_stream: bool) -> None:
        """§6.10: a header block of more than one frame."""
        size = frames.FRAME_OCTETS
        flags = frames.END_STREAM if end_stream else 0
        self._write(frames.frame(frames.HEADERS, flags, stream_id, block[:size]))
        for at in range(size, len(block), size):
            flags = 0 if at + size < len(block) else frames.END_HEADERS
            part = block[at : at + size]
            self._write(frames.frame(frames.CONTINUATION, flags, stream_id, part))

    def _send_pending(self, stream_id: int, stream: Stream) -> None:
        """Send as much of a waiting body as both windows allow."""
        body = stream.pending or b""
        size = len(body)
        while stream.sent < size:
            room = min(
                self._send_window, stream.send_window, frames.FRAME_OCTETS, size - stream.sent
            )
            if room <= 0:
                return
            part = body[stream.sent : stream.sent + room]
            stream.sent += room
            stream.send_window -= room
            self._send_window -= room
            self._held -= room
            self._window_credit += UPDATES_PER_DATA
            flags = frames.END_STREAM if stream.sent == size else 0
            self._write(frames.frame(frames.DATA, flags, stream_id, part))
        del self._blocked[stream_id]
        self._finish(stream_id)

    def _send_all_pending(self) -> None:
        for stream_id, stream in list(self._blocked.items()):
            if self._send_window <= 0:
                break
            self._send_pending(stream_id, stream)

    def _remember_reset(self, stream_id: int) -> None:
        self._reset_by_us.append(stream_id)
        if len(self._reset_by_us) > _RECENT_RESETS:
            del self._reset_by_us[0]

    def _finish(self, stream_id: int) -> None:
        """The stream ended with an answer."""
        del self._streams[stream_id]
        if not self._streams:
            self._rest()

    def _drop(self, stream_id: int) -> Stream | None:
        """Forget a stream that ends without an answer, or in the middle of one."""
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return None
        self._incomplete.pop(stream_id, None)
        if self._blocked.pop(stream_id, None) is not None and stream.pending is not None:
            self._held -= len(stream.pending) - stream.sent
        elif stream.state is _HALF_CLOSED_REMOTE:
            self._events.append((stream_id, None))
        if not self._streams:
            self._rest()
        return stream

    def _drop_all(self) -> None:
        for stream_id in list(self._streams):
            self._drop(stream_id)

    def _rest(self) -> None:
        """No stream is open: the idle limit runs, or a connection that was ending is at its end."""
        self._idle_deadline = self._now + self._limits.idle_seconds
        if self._goaway_sent or self._peer_leaves:
            self.closed = True
