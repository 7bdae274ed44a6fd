"""HEADERS, CONTINUATION and DATA: how a request comes together.

Source: RFC 9113 §6.1, §6.2, §6.10 for the frames, §8.1 for the message.
"""

import math
from typing import Final

from protocols.http.limits import HttpLimits
from protocols.http2 import errors, frames
from protocols.http2.control import GOAWAY_PING, Control
from protocols.http2.errors import AbuseFault, ConnectionFault, MalformedRequest, WrongAuthority
from protocols.http2.hpack_decoder import HpackDecoder
from protocols.http2.requests import build_request, check_trailers
from protocols.http2.static_table import Field
from protocols.http2.stream import UNKNOWN_LENGTH, Stream
from protocols.http2.stream_states import Input, State, step

_END_STREAM: Final = frames.END_STREAM
_PADDED_OR_PRIORITIZED: Final = frames.PADDED | frames.PRIORITIZED
_PRIORITY_OCTETS: Final = 5
_HALF_CLOSED_REMOTE: Final = State.HALF_CLOSED_REMOTE
_RECEIVE_DATA: Final = Input.RECEIVE_DATA
_RECEIVE_DATA_END: Final = Input.RECEIVE_DATA_END
_NO_STREAM: Final = 0
_WORTHWHILE_OCTETS: Final = 256  # of DATA: less is not how a body is sent


class Inbound(Control):
    """The reading of requests."""

    __slots__ = (
        "_block",
        "_block_flags",
        "_block_stream",
        "_continuations",
        "_decoder",
        "_last_welcome",
        "_receive_window",
        "_window_size",
    )

    def __init__(self, limits: HttpLimits, now: float) -> None:
        super().__init__(limits, now)
        self._decoder = HpackDecoder()
        # A body up to the limit must fit the window, otherwise it stalls instead of being refused.
        self._window_size = max(frames.WINDOW, limits.max_body_octets)
        self._receive_window = frames.WINDOW  # of the connection; a stream's is never opened again
        self._block_stream = _NO_STREAM  # the stream whose header block is not complete
        self._block_flags = 0
        self._block = b""
        self._continuations = 0
        self._last_welcome = 2 * limits.max_requests - 1  # the stream that ends the connection
        self._write(
            frames.server_settings(limits.max_streams, self._window_size, limits.max_header_octets)
        )

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if flags & _PADDED_OR_PRIORITIZED:
            payload = _without_extras(flags, payload)
        if not stream_id & 1:  # §5.1.1, and stream 0 (§6.2)
            raise ConnectionFault(errors.PROTOCOL_ERROR, "headers_stream_identifier")
        if flags & frames.END_HEADERS:
            self._take_block(stream_id, flags & _END_STREAM, payload)
        else:
            self._block_stream = stream_id
            self._block_flags = flags
            self._block = payload
            self._continuations = 0

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id != self._block_stream or not stream_id:
            raise ConnectionFault(errors.PROTOCOL_ERROR, "continuation_out_of_place")
        self._continuations += 1
        if self._continuations > self._limits.max_continuations:
            raise AbuseFault("continuations")
        block = self._block + payload
        if len(block) > self._limits.max_header_octets:
            raise AbuseFault("header_block")
        if not flags & frames.END_HEADERS:
            self._block = block
            return
        self._block_stream = _NO_STREAM
        self._block = b""
        self._take_block(stream_id, self._block_flags & _END_STREAM, block)

    def _take_block(self, stream_id: int, end_stream: int, block: bytes) -> None:
        """A complete header block: always decoded, whatever then becomes of its stream (§4.3)."""
        fields = self._decoder.decode(block)
        if stream_id <= self._last_stream:
            self._take_trailers(stream_id, end_stream, fields)
            return
        if stream_id > self._last_stream + 2:
            self._note_gap(self._last_stream + 1, stream_id - 1)
        self._last_stream = stream_id
        given = Input.RECEIVE_HEADERS_END if end_stream else Input.RECEIVE_HEADERS
        state = step(State.IDLE, given).state
        limits = self._limits
        most = limits.max_header_octets
        if len(self._streams) >= limits.max_streams or self._goaway_sent or self._peer_leaves:
            self._refuse(stream_id)
        elif (
            len(fields) > limits.max_fields or self._decoder.list_octets(block, fields, most) > most
        ):
            method = _method(fields)
            self._answer_early(stream_id, state, method, 431, "header fields too large or too many")
            if end_stream:  # else it is paid for as a reset; decoding costs more than sending
                self._charge_reset()
        else:
            self._open(stream_id, state, fields)

    def _open(self, stream_id: int, state: State, fields: list[Field]) -> None:
        try:
            request, expected = build_request(fields)
        except WrongAuthority as error:
            self._answer_early(stream_id, state, _method(fields), 400, str(error))
            return
        except MalformedRequest:
            self._reset(stream_id, errors.PROTOCOL_ERROR, "malformed_request")
            return
        if request.method == b"CONNECT":
            self._answer_early(stream_id, state, b"CONNECT", 405, "no tunnels here")
        elif state is _HALF_CLOSED_REMOTE:
            if expected > 0:  # §8.1.1: no DATA will come
                self._reset(stream_id, errors.PROTOCOL_ERROR, "content_length")
                return
            self._streams[stream_id] = Stream(state, request, expected, self._peer_window, 0.0)
            self._events.append((stream_id, request))
            if stream_id >= self._last_welcome:
                self._say_goodbye()
        elif expected > self._limits.max_body_octets:
            self._answer_early(stream_id, state, request.method, 413, "body too large")
        else:
            stream = Stream(
                state,
                request,
                expected,
                self._peer_window,
                self._now + self._limits.request_seconds,
            )
            self._streams[stream_id] = self._incomplete[stream_id] = stream

    def _refuse(self, stream_id: int) -> None:
        """§5.1.2: too many at once, or after GOAWAY. REFUSED_STREAM says that a retry is safe."""
        if self._settings_deadline == math.inf and not self._goaway_sent:
            self._reset(stream_id, errors.REFUSED_STREAM, "refused_stream")
        else:
            # The peer cannot know yet: that is nothing to charge it for.
            self._write(frames.rst_stream(stream_id, errors.REFUSED_STREAM))
            self._count("refused_stream")
            self._remember_reset(stream_id)

    def _take_trailers(self, stream_id: int, end_stream: int, fields: list[Field]) -> None:
        """§8.1: checked, then ignored."""
        given = Input.RECEIVE_HEADERS_END if end_stream else Input.RECEIVE_HEADERS
        if not self._allows(stream_id, given):
            self._charge("late_headers")
            return
        try:
            check_trailers(fields)
        except MalformedRequest:
            self._reset(stream_id, errors.PROTOCOL_ERROR, "malformed_trailers")
            return
        self._complete(stream_id, self._streams[stream_id], b"")

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._receive_window -= len(payload)
        if self._receive_window < 0:  # §6.9.1
            raise ConnectionFault(errors.FLOW_CONTROL_ERROR, "connection_window")
        if not stream_id:
            raise ConnectionFault(errors.PROTOCOL_ERROR, "data_on_connection")
        padding = 0
        if flags & frames.PADDED:
            padding = len(payload)
            payload = _without_extras(flags & frames.PADDED, payload)
            padding -= len(payload)
        end_stream = flags & _END_STREAM
        if not self._allows(stream_id, _RECEIVE_DATA_END if end_stream else _RECEIVE_DATA):
            if len(payload) < _WORTHWHILE_OCTETS:  # larger ones are the rest of a refused body
                self._charge("late_data")
            return
        stream = self._streams[stream_id]
        limits = self._limits
        received = len(payload) + (len(stream.body) if stream.body is not None else 0)
        if received > limits.max_body_octets:
            self._drop(stream_id)
            self._answer_early(
                stream_id, stream.state, stream.request.method, 413, "body too large"
            )
        elif stream.expected != UNKNOWN_LENGTH and received > stream.expected:
            self._reset(stream_id, errors.PROTOCOL_ERROR, "content_length")
        elif end_stream:
            self._complete(stream_id, stream, payload)
        else:
            if not payload:
                self._charge("empty_data")
            if stream.body is None:
                stream.body = bytearray(payload)
            else:
                stream.body += payload
            if padding:
                # A stream's window is not opened again for its body, which fits; for padding it is.
                self._write(frames.window_update(stream_id, padding))

    def _complete(self, stream_id: int, stream: Stream, last: bytes) -> None:
        """The request is whole: hand it over."""
        body = last if stream.body is None else bytes(stream.body + last)
        if stream.expected not in (UNKNOWN_LENGTH, len(body)):
            self._reset(stream_id, errors.PROTOCOL_ERROR, "content_length")
            return
        stream.state = _HALF_CLOSED_REMOTE
        stream.body = None
        stream.request.body = body
        del self._incomplete[stream_id]
        self._events.append((stream_id, stream.request))
        if stream_id >= self._last_welcome:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        """The first of the two steps of a graceful end (§6.8): no stream is refused yet."""
        if self._goaway_deadline == math.inf and not self._goaway_sent:
            self._goaway_deadline = self._now + self._limits.goaway_seconds
            self._write(frames.goaway(frames.LARGEST_STREAM, errors.NO_ERROR))
            self._write(frames.frame(frames.PING, 0, 0, GOAWAY_PING))

    def _credit(self) -> None:
        """Open the connection's window again, once for all that was received (§6.9)."""
        self._write(frames.window_update(0, frames.WINDOW - self._receive_window))
        self._receive_window = frames.WINDOW


def _method(fields: list[Field]) -> bytes:
    return next((value for name, value in fields if name == b":method"), b"")


def _without_extras(flags: int, payload: bytes) -> bytes:
    """The payload without pad length, padding and priority (§6.1, §6.2)."""
    first = 0
    last = len(payload)
    if flags & frames.PADDED:
        if not payload:
            raise ConnectionFault(errors.FRAME_SIZE_ERROR, "pad_length")
        first = 1
        last -= payload[0]
    if flags & frames.PRIORITIZED:
        if len(payload) < first + _PRIORITY_OCTETS:
            raise ConnectionFault(errors.FRAME_SIZE_ERROR, "headers_priority")
        first += _PRIORITY_OCTETS
    if first > last:
        raise ConnectionFault(errors.PROTOCOL_ERROR, "pad_length")
    return payload[first:last]
