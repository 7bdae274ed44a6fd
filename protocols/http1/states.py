"""Where the reading of one HTTP/1.1 connection stands, as one table.

RFC 9112 has no named states; these follow its §2.2 (parsing a message), §6 (body) and §9
(connection). Answers have their own order, by request, and need no state.
"""

from collections.abc import Mapping
from enum import IntEnum, auto
from typing import Final


class State(IntEnum):
    """What the next octets are."""

    WAITING = 0  # for the head of a request
    BODY = auto()  # with Content-Length
    CHUNKS = auto()  # with Transfer-Encoding: chunked
    STOPPED = auto()  # the last request is complete; what follows is not read
    REFUSED = auto()  # a request was wrong; its answer waits for those before it
    LINGERING = auto()  # all is said; the rest of what was refused is thrown away
    CLOSED = auto()


class Input(IntEnum):
    """What can happen."""

    HEAD_WITHOUT_BODY = 0
    HEAD_WITH_LENGTH = auto()
    HEAD_WITH_CHUNKS = auto()
    BODY_COMPLETE = auto()
    LAST_REQUEST = auto()
    FAULT = auto()
    ALL_ANSWERED = auto()
    GONE = auto()


TRANSITIONS: Final[Mapping[tuple[State, Input], State]] = {
    # RFC 9112 §6.3: the head decides how long the body is.
    (State.WAITING, Input.HEAD_WITHOUT_BODY): State.WAITING,
    (State.WAITING, Input.HEAD_WITH_LENGTH): State.BODY,
    (State.WAITING, Input.HEAD_WITH_CHUNKS): State.CHUNKS,
    (State.BODY, Input.BODY_COMPLETE): State.WAITING,
    (State.CHUNKS, Input.BODY_COMPLETE): State.WAITING,
    # §9.6: "A server that receives a 'close' connection option MUST initiate closure ... after it
    # sends the final response", and must not process further requests.
    (State.WAITING, Input.LAST_REQUEST): State.STOPPED,
    (State.STOPPED, Input.ALL_ANSWERED): State.CLOSED,
    # §2.2, §6.3: after a request that cannot be understood its end is unknown.
    (State.WAITING, Input.FAULT): State.REFUSED,
    (State.BODY, Input.FAULT): State.REFUSED,
    (State.CHUNKS, Input.FAULT): State.REFUSED,
    # §9.6: closing at once with unread octets would reset the connection and lose the answer.
    (State.REFUSED, Input.ALL_ANSWERED): State.LINGERING,
    # Ours: the client left, or time or patience is over.
    **{(state, Input.GONE): State.CLOSED for state in State},
}


NEXT: Final[tuple[tuple[State | None, ...], ...]] = tuple(
    tuple(TRANSITIONS.get((state, given)) for given in Input) for state in State
)
"""The same table as rows, for the way of every request."""


class IllegalTransition(Exception):
    """An input that the table does not allow in this state. The state is left as it was."""

    def __init__(self, state: State, given: Input) -> None:
        super().__init__(f"{given.name} is not allowed in {state.name}")
        self.state = state
        self.given = given


def step(state: State, given: Input) -> State:
    """What `given` leads to in `state`.

    Raises:
        IllegalTransition: the pair is not in the table.
    """
    state_then = NEXT[state][given]
    if state_then is None:
        raise IllegalTransition(state, given)
    return state_then
