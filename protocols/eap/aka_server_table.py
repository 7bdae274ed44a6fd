"""What an EAP-AKA server may do next, as one table.

Source: RFC 4187 §3 (protocol overview), §6.1 and §6.3 (notifications and errors), RFC 3748 §5.3
(Nak). The RFC draws no machine; the state names are ours. Fast re-authentication is not served.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class State(Enum):
    """What the server waits for."""

    START = auto()  # the first EAP-Response/Identity
    IDENTITY = auto()  # the response to AKA-Identity
    VECTOR = auto()  # the home network's authentication vector
    CHALLENGE = auto()  # the response to AKA-Challenge
    SUCCESS_NOTIFICATION = auto()  # the response to the protected result indication
    FAILURE_NOTIFICATION = auto()  # the response to a notification of a failure
    ENDED = auto()


class Input(Enum):
    """What can happen."""

    IDENTITY_ENOUGH = auto()
    IDENTITY_NOT_ENOUGH = auto()
    VECTOR_FOUND = auto()
    RESPONSE_RIGHT = auto()
    RESPONSE_RIGHT_TO_NOTIFY = auto()  # both sides sent AT_RESULT_IND
    RESYNCHRONISATION = auto()
    OTHER_TYPE_WANTED = auto()
    NOTIFICATION_ANSWERED = auto()
    FAULT = auto()
    FAULT_TO_NOTIFY = auto()


class Action(Enum):
    """What the server does on the way."""

    ASK_IDENTITY = auto()
    FETCH_VECTOR = auto()
    CHALLENGE = auto()
    NOTIFY_SUCCESS = auto()
    NOTIFY_FAILURE = auto()
    SUCCEED = auto()
    FAIL = auto()


TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[Action, State]]] = {
    # §4.1: the server may ask for another identity, or for the same one again.
    (State.START, Input.IDENTITY_NOT_ENOUGH): (Action.ASK_IDENTITY, State.IDENTITY),
    (State.START, Input.IDENTITY_ENOUGH): (Action.FETCH_VECTOR, State.VECTOR),
    (State.IDENTITY, Input.IDENTITY_ENOUGH): (Action.FETCH_VECTOR, State.VECTOR),
    # §3: full authentication.
    (State.VECTOR, Input.VECTOR_FOUND): (Action.CHALLENGE, State.CHALLENGE),
    (State.CHALLENGE, Input.RESPONSE_RIGHT): (Action.SUCCEED, State.ENDED),
    # §6.2: result indications.
    (State.CHALLENGE, Input.RESPONSE_RIGHT_TO_NOTIFY): (
        Action.NOTIFY_SUCCESS,
        State.SUCCESS_NOTIFICATION,
    ),
    (State.SUCCESS_NOTIFICATION, Input.NOTIFICATION_ANSWERED): (Action.SUCCEED, State.ENDED),
    # §6.3.1, figure 8: a new vector with the card's SQN, in the same conversation.
    (State.CHALLENGE, Input.RESYNCHRONISATION): (Action.FETCH_VECTOR, State.VECTOR),
    # RFC 3748 §5.3.1: the peer names the type that it can do.
    (State.IDENTITY, Input.OTHER_TYPE_WANTED): (Action.FETCH_VECTOR, State.VECTOR),
    (State.CHALLENGE, Input.OTHER_TYPE_WANTED): (Action.FETCH_VECTOR, State.VECTOR),
    # §6.3.2: "the server issues the EAP-Request/AKA-Notification", and then EAP-Failure.
    (State.IDENTITY, Input.FAULT_TO_NOTIFY): (Action.NOTIFY_FAILURE, State.FAILURE_NOTIFICATION),
    (State.VECTOR, Input.FAULT_TO_NOTIFY): (Action.NOTIFY_FAILURE, State.FAILURE_NOTIFICATION),
    (State.CHALLENGE, Input.FAULT_TO_NOTIFY): (Action.NOTIFY_FAILURE, State.FAILURE_NOTIFICATION),
    (State.FAILURE_NOTIFICATION, Input.NOTIFICATION_ANSWERED): (Action.FAIL, State.ENDED),
    # §6.3.3: EAP-Failure at once (after Authentication-Reject, Client-Error and the like).
    (State.IDENTITY, Input.FAULT): (Action.FAIL, State.ENDED),
    (State.VECTOR, Input.FAULT): (Action.FAIL, State.ENDED),
    (State.CHALLENGE, Input.FAULT): (Action.FAIL, State.ENDED),
    (State.SUCCESS_NOTIFICATION, Input.FAULT): (Action.FAIL, State.ENDED),
    (State.FAILURE_NOTIFICATION, Input.FAULT): (Action.FAIL, State.ENDED),
}


class IllegalTransition(Exception):
    """An input that the table does not allow in this state. The state is left as it was."""

    def __init__(self, state: State, given: Input) -> None:
        super().__init__(f"{given.name} is not allowed in {state.name}")
        self.state = state
        self.given = given


def step(state: State, given: Input) -> tuple[Action, State]:
    """Look up what `given` does in `state`.

    Raises:
        IllegalTransition: the pair is not in the table.
    """
    try:
        return TRANSITIONS[state, given]
    except KeyError:
        raise IllegalTransition(state, given) from None
