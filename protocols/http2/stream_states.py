"""The stream states of RFC 9113 §5.1 as one table.

The reserved states do not occur: a client must not push (§8.4) and we never do. CLOSED is split by
what we still remember of the stream, because §5.1 asks for different answers: it ended, we reset
it, the peer reset it, or its identifier was passed over (§5.1.1). Only OPEN and the half-closed
states have a record; the others follow from the identifier.

A pair that is not in the table is a mistake of our own code.
"""

from collections.abc import Mapping
from enum import IntEnum, auto
from typing import Final, NamedTuple

from protocols.http2.errors import PROTOCOL_ERROR, STREAM_CLOSED


class State(IntEnum):
    """Where a stream stands, seen from the server."""

    IDLE = 0
    OPEN = auto()
    HALF_CLOSED_LOCAL = auto()
    HALF_CLOSED_REMOTE = auto()
    CLOSED = auto()
    CLOSED_RESET_BY_US = auto()
    CLOSED_RESET_BY_PEER = auto()
    CLOSED_PASSED_OVER = auto()


class Input(IntEnum):
    """What can happen to a stream; END means that the frame carries END_STREAM."""

    RECEIVE_HEADERS = 0
    RECEIVE_HEADERS_END = auto()
    RECEIVE_DATA = auto()
    RECEIVE_DATA_END = auto()
    RECEIVE_RST_STREAM = auto()
    RECEIVE_WINDOW_UPDATE = auto()
    SEND_HEADERS = auto()
    SEND_END = auto()
    SEND_RST_STREAM = auto()


class Scope(IntEnum):
    """What an answer of the table concerns."""

    GO_ON = 0  # the frame is right; the stream is then in `Outcome.state`
    IGNORE = auto()
    STREAM_ERROR = auto()
    CONNECTION_ERROR = auto()


class Outcome(NamedTuple):
    """The answer of the table; `code` only with an error."""

    scope: Scope
    state: State
    code: int = 0


def _to(state: State) -> Outcome:
    return Outcome(Scope.GO_ON, state)


def _ignore(state: State) -> Outcome:
    return Outcome(Scope.IGNORE, state)


def _stream_error(state: State, code: int) -> Outcome:
    return Outcome(Scope.STREAM_ERROR, state, code)


def _connection_error(state: State, code: int) -> Outcome:
    return Outcome(Scope.CONNECTION_ERROR, state, code)


S = State
I = Input  # noqa: E741 - the table is read as columns

TRANSITIONS: Final[Mapping[tuple[State, Input], Outcome]] = {
    # §5.1 idle: "Receiving any frame other than HEADERS or PRIORITY ... MUST be treated as a
    # connection error of type PROTOCOL_ERROR."
    (S.IDLE, I.RECEIVE_HEADERS): _to(S.OPEN),
    (S.IDLE, I.RECEIVE_HEADERS_END): _to(S.HALF_CLOSED_REMOTE),
    (S.IDLE, I.RECEIVE_DATA): _connection_error(S.IDLE, PROTOCOL_ERROR),
    (S.IDLE, I.RECEIVE_DATA_END): _connection_error(S.IDLE, PROTOCOL_ERROR),
    (S.IDLE, I.RECEIVE_RST_STREAM): _connection_error(S.IDLE, PROTOCOL_ERROR),
    (S.IDLE, I.RECEIVE_WINDOW_UPDATE): _connection_error(S.IDLE, PROTOCOL_ERROR),
    # §8.1: a second header block is the trailer section and ends the stream.
    (S.OPEN, I.RECEIVE_HEADERS): _stream_error(S.OPEN, PROTOCOL_ERROR),
    (S.OPEN, I.RECEIVE_HEADERS_END): _to(S.HALF_CLOSED_REMOTE),
    (S.OPEN, I.RECEIVE_DATA): _to(S.OPEN),
    (S.OPEN, I.RECEIVE_DATA_END): _to(S.HALF_CLOSED_REMOTE),
    (S.OPEN, I.RECEIVE_RST_STREAM): _to(S.CLOSED_RESET_BY_PEER),
    (S.OPEN, I.RECEIVE_WINDOW_UPDATE): _to(S.OPEN),
    # §8.1: the server may answer before the request is complete (413, 431).
    (S.OPEN, I.SEND_HEADERS): _to(S.OPEN),
    (S.OPEN, I.SEND_END): _to(S.HALF_CLOSED_LOCAL),
    (S.OPEN, I.SEND_RST_STREAM): _to(S.CLOSED_RESET_BY_US),
    # §8.1: after an early answer we always send RST_STREAM(NO_ERROR), so no frame of the peer
    # meets this state; the rows are the standard's.
    (S.HALF_CLOSED_LOCAL, I.RECEIVE_HEADERS): _stream_error(S.HALF_CLOSED_LOCAL, PROTOCOL_ERROR),
    (S.HALF_CLOSED_LOCAL, I.RECEIVE_HEADERS_END): _to(S.CLOSED),
    (S.HALF_CLOSED_LOCAL, I.RECEIVE_DATA): _to(S.HALF_CLOSED_LOCAL),
    (S.HALF_CLOSED_LOCAL, I.RECEIVE_DATA_END): _to(S.CLOSED),
    (S.HALF_CLOSED_LOCAL, I.RECEIVE_RST_STREAM): _to(S.CLOSED_RESET_BY_PEER),
    (S.HALF_CLOSED_LOCAL, I.RECEIVE_WINDOW_UPDATE): _to(S.HALF_CLOSED_LOCAL),
    (S.HALF_CLOSED_LOCAL, I.SEND_RST_STREAM): _to(S.CLOSED_RESET_BY_US),
    # §5.1 half-closed (remote): other frames "MUST [be answered] with a stream error of type
    # STREAM_CLOSED".
    (S.HALF_CLOSED_REMOTE, I.RECEIVE_HEADERS): _stream_error(S.HALF_CLOSED_REMOTE, STREAM_CLOSED),
    (S.HALF_CLOSED_REMOTE, I.RECEIVE_HEADERS_END): _stream_error(
        S.HALF_CLOSED_REMOTE, STREAM_CLOSED
    ),
    (S.HALF_CLOSED_REMOTE, I.RECEIVE_DATA): _stream_error(S.HALF_CLOSED_REMOTE, STREAM_CLOSED),
    (S.HALF_CLOSED_REMOTE, I.RECEIVE_DATA_END): _stream_error(S.HALF_CLOSED_REMOTE, STREAM_CLOSED),
    (S.HALF_CLOSED_REMOTE, I.RECEIVE_RST_STREAM): _to(S.CLOSED_RESET_BY_PEER),
    (S.HALF_CLOSED_REMOTE, I.RECEIVE_WINDOW_UPDATE): _to(S.HALF_CLOSED_REMOTE),
    (S.HALF_CLOSED_REMOTE, I.SEND_HEADERS): _to(S.HALF_CLOSED_REMOTE),
    (S.HALF_CLOSED_REMOTE, I.SEND_END): _to(S.CLOSED),
    (S.HALF_CLOSED_REMOTE, I.SEND_RST_STREAM): _to(S.CLOSED_RESET_BY_US),
    # §5.1 closed, by END_STREAM from both sides. Frames that were under way are harmless.
    (S.CLOSED, I.RECEIVE_HEADERS): _connection_error(S.CLOSED, STREAM_CLOSED),
    (S.CLOSED, I.RECEIVE_HEADERS_END): _connection_error(S.CLOSED, STREAM_CLOSED),
    (S.CLOSED, I.RECEIVE_DATA): _stream_error(S.CLOSED, STREAM_CLOSED),
    (S.CLOSED, I.RECEIVE_DATA_END): _stream_error(S.CLOSED, STREAM_CLOSED),
    (S.CLOSED, I.RECEIVE_RST_STREAM): _ignore(S.CLOSED),
    (S.CLOSED, I.RECEIVE_WINDOW_UPDATE): _ignore(S.CLOSED),
    # §5.1 closed, by our RST_STREAM: the peer may not have seen it yet.
    **{
        (S.CLOSED_RESET_BY_US, given): _ignore(S.CLOSED_RESET_BY_US)
        for given in I
        if given <= I.RECEIVE_WINDOW_UPDATE
    },
    # §5.1 closed, by their RST_STREAM: "any frames other than PRIORITY ... stream error of type
    # STREAM_CLOSED". A second RST_STREAM cannot be answered by one (§6.4), so it is ignored.
    **{
        (S.CLOSED_RESET_BY_PEER, given): _stream_error(S.CLOSED_RESET_BY_PEER, STREAM_CLOSED)
        for given in I
        if given <= I.RECEIVE_DATA_END
    },
    (S.CLOSED_RESET_BY_PEER, I.RECEIVE_RST_STREAM): _ignore(S.CLOSED_RESET_BY_PEER),
    (S.CLOSED_RESET_BY_PEER, I.RECEIVE_WINDOW_UPDATE): _ignore(S.CLOSED_RESET_BY_PEER),
    # §5.1.1: "An endpoint that receives an unexpected stream identifier MUST respond with a
    # connection error of type PROTOCOL_ERROR."
    **{
        (S.CLOSED_PASSED_OVER, given): _connection_error(S.CLOSED_PASSED_OVER, PROTOCOL_ERROR)
        for given in I
        if given <= I.RECEIVE_WINDOW_UPDATE
    },
}

NEXT: Final[tuple[tuple[Outcome | None, ...], ...]] = tuple(
    tuple(TRANSITIONS.get((state, given)) for given in Input) for state in State
)
"""The same table as rows, for `NEXT[state][input]` on the way of every frame."""


class IllegalTransition(Exception):
    """Our own code asked for what the table does not have. The state is left as it was."""

    def __init__(self, state: State, given: Input) -> None:
        super().__init__(f"{given.name} is not allowed in {state.name}")
        self.state = state
        self.given = given


def step(state: State, given: Input) -> Outcome:
    """What `given` does in `state`.

    Raises:
        IllegalTransition: the pair is not in the table.
    """
    outcome = NEXT[state][given]
    if outcome is None:
        raise IllegalTransition(state, given)
    return outcome
