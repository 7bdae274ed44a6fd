"""The frames that steer a connection, RFC 9113 §6.3 to §6.9: SETTINGS, PING, RST_STREAM and so on.

Each costs the sender nine octets and us some work, so each is paid for from a token bucket (§10.5).
"""

import math
from typing import Final

from protocols.http.limits import HttpLimits
from protocols.http.message import text_response
from protocols.http2 import errors, frames
from protocols.http2.errors import AbuseFault, ConnectionFault
from protocols.http2.hpack_encoder import TABLE_SIZE_ZERO, encode_content_length, encode_start
from protocols.http2.output import UPDATES_PER_DATA, Output
from protocols.http2.stream_states import Input, Scope, State, step
from protocols.http2.token_bucket import TokenBucket

MAX_SETTINGS: Final = 64  # parameters in one frame: each may move the window of every stream
_REMEMBERED: Final = 64  # resets of the peer, and ranges of identifiers that it passed over
_CREDIT_BOUND: Final = 1_000  # WINDOW_UPDATE frames that may be saved up
GOAWAY_PING: Final = b"goaway\x00\x01"  # its acknowledgement is the round trip of a graceful end


class Control(Output):
    """What the peer may say about the connection and about streams, besides their contents."""

    __slots__ = (
        "_control_bucket",
        "_gaps",
        "_reset_bucket",
        "_reset_by_peer",
        "_settings_applied",
        "_settings_deadline",
    )

    def __init__(self, limits: HttpLimits, now: float) -> None:
        super().__init__(limits, now)
        # Made when first needed: most connections of phones never touch them.
        self._control_bucket: TokenBucket | None = None
        self._reset_bucket: TokenBucket | None = None
        self._reset_by_peer: list[int] = []
        self._gaps: list[tuple[int, int]] = []
        self._settings_applied = False  # the peer's first SETTINGS, which it owes us
        self._settings_deadline = now + limits.settings_seconds

    def _charge(self, name: str) -> None:
        bucket = self._control_bucket
        if bucket is None:
            limits = self._limits
            bucket = TokenBucket(limits.control_burst, limits.control_rate, self._now)
            self._control_bucket = bucket
        if not bucket.take(self._now):
            raise AbuseFault(name)

    def _state_of(self, stream_id: int) -> State:
        """The state of a stream, also of one without a record."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            return stream.state
        # §5.1.1: even identifiers are ours to open, and we open none.
        if stream_id > self._last_stream or not stream_id & 1:
            return State.IDLE
        if stream_id in self._reset_by_us:
            return State.CLOSED_RESET_BY_US
        if stream_id in self._reset_by_peer:
            return State.CLOSED_RESET_BY_PEER
        for first, last in self._gaps:
            if first <= stream_id <= last:
                return State.CLOSED_PASSED_OVER
        return State.CLOSED

    def _allows(self, stream_id: int, given: Input) -> bool:
        """Ask the table; answer an error as it says. False: the frame is dealt with."""
        outcome = step(self._state_of(stream_id), given)
        if outcome.scope is Scope.CONNECTION_ERROR:
            raise ConnectionFault(
                outcome.code, f"{given.name.lower()}_{outcome.state.name.lower()}"
            )
        if outcome.scope is Scope.STREAM_ERROR:
            self._reset(stream_id, outcome.code, f"{given.name}_{outcome.state.name}".lower())
        return outcome.scope is Scope.GO_ON

    def _reset(self, stream_id: int, code: int, name: str) -> None:
        """A stream error (§5.4.2). The peer provoked it, so it pays for it."""
        self._write(frames.rst_stream(stream_id, code))
        self._count(name)
        self._drop(stream_id)
        self._remember_reset(stream_id)
        self._charge_reset()

    def _charge_reset(self) -> None:
        bucket = self._reset_bucket
        if bucket is None:
            limits = self._limits
            bucket = TokenBucket(limits.reset_burst, limits.reset_rate, self._now)
            self._reset_bucket = bucket
        if not bucket.take(self._now):
            raise AbuseFault("resets")

    def _answer_early(
        self, stream_id: int, state: State, method: bytes, status: int, text: str
    ) -> None:
        """Refuse a request by status, if need be before it is complete (§8.1).

        The stream has no record, or none any more. The explanation is left out when the windows
        do not take it at once.
        """
        response = text_response(status, text)
        body = response.body
        block = encode_start(status, response.content_type) + encode_content_length(len(body))
        if self._table_update_owed:
            self._table_update_owed = False
            block = TABLE_SIZE_ZERO + block
        fits = method != b"HEAD" and len(body) <= min(self._send_window, self._peer_window)
        flags = frames.END_HEADERS if fits else frames.END_HEADERS | frames.END_STREAM
        self._write(frames.frame(frames.HEADERS, flags, stream_id, block))
        if fits:
            self._send_window -= len(body)
            self._window_credit += UPDATES_PER_DATA
            self._write(frames.frame(frames.DATA, frames.END_STREAM, stream_id, body))
        self._count(f"status_{status}")
        if step(state, Input.SEND_END).state is not State.CLOSED:
            # "... a server MAY request that the client abort transmission of a request without
            # error by sending a RST_STREAM with an error code of NO_ERROR" (§8.1).
            self._write(frames.rst_stream(stream_id, errors.NO_ERROR))
            self._remember_reset(stream_id)
            self._charge_reset()

    def _note_gap(self, first: int, last: int) -> None:
        """§5.1.1: "the first use of a new stream identifier implicitly closes" lower idle ones."""
        self._gaps.append((first, last))
        if len(self._gaps) > _REMEMBERED:
            del self._gaps[0]

    def _on_priority(self, flags: int, stream_id: int, payload: bytes) -> None:
        # §5.3.2: priority is deprecated and carries nothing for us; a stream that depends on
        # itself (RFC 7540 §5.3.1) is therefore not looked at.
        if not stream_id:
            raise ConnectionFault(errors.PROTOCOL_ERROR, "priority_on_connection")
        self._charge("priority")
        if len(payload) != 5:
            if stream_id not in self._streams:
                raise ConnectionFault(errors.FRAME_SIZE_ERROR, "priority_size")
            self._reset(stream_id, errors.FRAME_SIZE_ERROR, "priority_size")

    def _on_rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(errors.FRAME_SIZE_ERROR, "rst_stream_size")
        if not stream_id:
            raise ConnectionFault(errors.PROTOCOL_ERROR, "rst_stream_on_connection")
        if self._allows(stream_id, Input.RECEIVE_RST_STREAM):
            self._drop(stream_id)
            self._reset_by_peer.append(stream_id)
            if len(self._reset_by_peer) > _REMEMBERED:
                del self._reset_by_peer[0]
        self._charge_reset()

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(errors.PROTOCOL_ERROR, "settings_on_stream")
        if flags & frames.ACK:
            if payload:
                raise ConnectionFault(errors.FRAME_SIZE_ERROR, "settings_ack_size")
            if self._settings_deadline == math.inf:
                self._charge("settings")  # nothing of ours was waiting for it
            self._settings_deadline = math.inf
            return
        if len(payload) % 6:
            raise ConnectionFault(errors.FRAME_SIZE_ERROR, "settings_size")
        if self._settings_applied:
            self._charge("settings")
        self._settings_applied = True
        if len(payload) > 6 * MAX_SETTINGS:
            raise AbuseFault("settings")
        for identifier, value in frames.SETTING.iter_unpack(payload):
            self._apply(identifier, value)
        self._write(frames.SETTINGS_ACK)
        if self._blocked:
            self._send_all_pending()

    def _apply(self, identifier: int, value: int) -> None:
        """§6.5.2, one parameter. MAX_FRAME_SIZE is only checked: what we send always fits."""
        if identifier == frames.INITIAL_WINDOW_SIZE:
            if value > frames.LARGEST_WINDOW:
                raise ConnectionFault(errors.FLOW_CONTROL_ERROR, "initial_window_size")
            change = value - self._peer_window
            self._peer_window = value
            for stream in self._streams.values():
                stream.send_window += change
                if stream.send_window > frames.LARGEST_WINDOW:  # §6.9.2
                    raise ConnectionFault(errors.FLOW_CONTROL_ERROR, "initial_window_size")
        elif identifier == frames.HEADER_TABLE_SIZE:
            if value < frames.TABLE_OCTETS:
                self._table_update_owed = True
        elif identifier == frames.ENABLE_PUSH:
            if value > 1:
                raise ConnectionFault(errors.PROTOCOL_ERROR, "enable_push")
        elif identifier == frames.MAX_FRAME_SIZE and not (
            frames.FRAME_OCTETS <= value <= frames.LARGEST_FRAME_SIZE
        ):
            raise ConnectionFault(errors.PROTOCOL_ERROR, "max_frame_size")

    def _on_push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        raise ConnectionFault(errors.PROTOCOL_ERROR, "push_promise")  # §8.4

    def _on_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(errors.PROTOCOL_ERROR, "ping_on_stream")
        if len(payload) != 8:
            raise ConnectionFault(errors.FRAME_SIZE_ERROR, "ping_size")
        self._charge("ping")
        if not flags & frames.ACK:
            self._write(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif payload == GOAWAY_PING and self._goaway_deadline != math.inf:
            self._finish_goaway()

    def _finish_goaway(self) -> None:
        """§6.8, the second step: name the last stream that will be answered."""
        if self._goaway_sent:
            return
        self._goaway_deadline = math.inf
        self._goaway_sent = True
        self._write(frames.goaway(self._last_stream, errors.NO_ERROR))
        if not self._streams:
            self.closed = True

    def _on_goaway(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(errors.PROTOCOL_ERROR, "goaway_on_stream")
        if len(payload) < 8:
            raise ConnectionFault(errors.FRAME_SIZE_ERROR, "goaway_size")
        # Finish what is open, accept nothing new; saying goodbye as well would tell it nothing.
        self._charge("goaway")
        self._peer_leaves = True
        if not self._streams:
            self.closed = True

    def _on_window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(errors.FRAME_SIZE_ERROR, "window_update_size")
        # A client may well send two for each DATA frame that it got; only the rest is charged.
        if self._window_credit > 0:
            self._window_credit = min(self._window_credit, _CREDIT_BOUND) - 1
        else:
            self._charge("window_update")
        increment = frames.UINT32.unpack(payload)[0] & frames.LARGEST_WINDOW
        if not stream_id:
            if not increment:
                raise ConnectionFault(errors.PROTOCOL_ERROR, "window_update_zero")
            self._send_window += increment
            if self._send_window > frames.LARGEST_WINDOW:
                raise ConnectionFault(errors.FLOW_CONTROL_ERROR, "window_overflow")
            if self._blocked:
                self._send_all_pending()
        elif self._allows(stream_id, Input.RECEIVE_WINDOW_UPDATE):
            self._open_stream_window(stream_id, increment)

    def _open_stream_window(self, stream_id: int, increment: int) -> None:
        stream = self._streams[stream_id]
        if not increment:
            self._reset(stream_id, errors.PROTOCOL_ERROR, "window_update_zero")
            return
        stream.send_window += increment
        if stream.send_window > frames.LARGEST_WINDOW:
            self._reset(stream_id, errors.FLOW_CONTROL_ERROR, "window_overflow")
        elif stream_id in self._blocked:
            self._send_pending(stream_id, stream)
