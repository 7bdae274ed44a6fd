"""What a subscriber session may do next, as one table.

Source: GSMA TS.43 v12 §2.8.1 (EAP-AKA relay) and §2.8.5 (fast authentication with a token).
`python -m actors.session.transitions` prints it.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class _Symbol(Enum):
    """A member of a table's alphabet. There is one object of each, so its address is its hash."""

    __hash__ = object.__hash__  # Enum's own is Python code, and every step looks up two


class State(_Symbol):
    """Where the conversation with the device stands."""

    NEW = auto()
    WAITING_FOR_AAA = auto()
    WAITING_FOR_DEVICE = auto()
    WAITING_FOR_BSS = auto()
    WAITING_FOR_STORE = auto()
    WAITING_FOR_DESK = auto()  # an operation of an application: eSIM orders, phone numbers
    SERVED = auto()
    REFUSED = auto()
    ENDED = auto()


class Input(_Symbol):
    """What can happen to a session."""

    IDENTITY_RECEIVED = auto()  # GET or POST with EAP_ID
    TOKEN_PRESENTED = auto()  # a request whose token was found good
    ANSWER_RECEIVED = auto()  # EAP response of the device to the outstanding request
    ANSWER_REPEATED = auto()  # the EAP response that was answered before
    ANSWER_MALFORMED = auto()  # an EAP response that answers nothing outstanding
    ANSWER_OF_LOST_ROUND = auto()  # to a challenge that another process gave after the cookie
    CHALLENGE_RECEIVED = auto()  # DEA 1001 with a request that phones understand
    NODE_CAN_ANSWER = auto()  # DEA 1001 with a request that the node answers itself
    NOBODY_CAN_ANSWER = auto()  # DEA 1001 with a request that needs keys the node does not hold
    SUCCESS_RECEIVED = auto()  # DEA 2001
    REFUSAL_RECEIVED = auto()  # a final result of the AAA about this subscriber
    SESSION_LOST = auto()  # the AAA does not know the conversation (any more), or is gone
    AAA_FAILED = auto()  # every other result, and no answer at all
    SUBSCRIBER_FOREIGN = auto()  # DEA 2001 for a subscriber that no tenant here has
    IDENTITY_UNKNOWN = auto()  # DEA 2001 that does not say whose pseudonym it accepted
    SUBSCRIBER_FOUND = auto()  # and a token or a registration has to be kept
    SUBSCRIBER_SUFFICES = auto()  # and nothing has to be kept
    OPERATION_ASKED = auto()  # the subscriber was found, and an operation is to be answered
    DESK_ANSWERED = auto()  # and a token or a registration has to be kept
    DESK_SUFFICES = auto()  # and nothing has to be kept
    DESK_FAILED = auto()
    DESK_LATE = auto()  # of an operation that was given up
    TOKEN_OUTDATED = auto()  # the subscriber's tokens were voided after this one was issued
    BSS_FAILED = auto()
    STORED = auto()
    STORE_FAILED = auto()
    DEVICE_GONE = auto()  # the exchange that waits was reset or its connection died
    TIME_PASSED = auto()
    ABORTED = auto()  # ASR or RAR of the AAA


class Action(_Symbol):
    """What the session does on the way."""

    ASK_AAA = auto()
    JOIN_WAITING_ANSWER = auto()
    ANSWER_FOR_DEVICE = auto()
    RELAY_CHALLENGE = auto()
    START_AGAIN = auto()
    ASK_BSS = auto()
    KEEP = auto()
    ASK_DESK = auto()
    KEEP_WITH_OPERATION = auto()
    ANSWER_DOCUMENT = auto()
    REJECT_TOKEN = auto()
    REPEAT_RESPONSE = auto()
    REJECT_REPLAY = auto()
    REJECT_ANSWER = auto()
    AUTHENTICATE_AGAIN = auto()
    REFUSE = auto()
    REFUSE_FOREIGN = auto()
    APOLOGISE = auto()
    QUEUE = auto()
    REMEMBER_GONE = auto()
    CLOSE = auto()
    CLOSE_UNANSWERED = auto()
    IGNORE = auto()


_S, _I, _A = State, Input, Action

TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[Action, State]]] = {
    # §2.8.1: the first request carries EAP_ID; it becomes the first DER.
    (_S.NEW, _I.IDENTITY_RECEIVED): (_A.ASK_AAA, _S.WAITING_FOR_AAA),
    # §2.8.5: a good token needs no AAA.
    (_S.NEW, _I.TOKEN_PRESENTED): (_A.ASK_BSS, _S.WAITING_FOR_BSS),
    (_S.SERVED, _I.TOKEN_PRESENTED): (_A.ASK_BSS, _S.WAITING_FOR_BSS),
    (_S.REFUSED, _I.TOKEN_PRESENTED): (_A.ASK_BSS, _S.WAITING_FOR_BSS),
    # Ours: what one device asks at the same time is served one after the other.
    (_S.WAITING_FOR_AAA, _I.TOKEN_PRESENTED): (_A.QUEUE, _S.WAITING_FOR_AAA),
    (_S.WAITING_FOR_DEVICE, _I.TOKEN_PRESENTED): (_A.QUEUE, _S.WAITING_FOR_DEVICE),
    (_S.WAITING_FOR_BSS, _I.TOKEN_PRESENTED): (_A.QUEUE, _S.WAITING_FOR_BSS),
    (_S.WAITING_FOR_STORE, _I.TOKEN_PRESENTED): (_A.QUEUE, _S.WAITING_FOR_STORE),
    (_S.WAITING_FOR_DESK, _I.TOKEN_PRESENTED): (_A.QUEUE, _S.WAITING_FOR_DESK),
    # §2.8.1: DEA 1001 carries the next EAP request; it goes to the device untouched.
    (_S.WAITING_FOR_AAA, _I.CHALLENGE_RECEIVED): (_A.RELAY_CHALLENGE, _S.WAITING_FOR_DEVICE),
    # Ours: Identity, AKA-Identity and early Notification rounds, which no phone can answer.
    (_S.WAITING_FOR_AAA, _I.NODE_CAN_ANSWER): (_A.ANSWER_FOR_DEVICE, _S.WAITING_FOR_AAA),
    (_S.WAITING_FOR_AAA, _I.NOBODY_CAN_ANSWER): (_A.APOLOGISE, _S.REFUSED),
    (_S.WAITING_FOR_AAA, _I.SUCCESS_RECEIVED): (_A.ASK_BSS, _S.WAITING_FOR_BSS),
    (_S.WAITING_FOR_AAA, _I.SUBSCRIBER_FOREIGN): (_A.REFUSE_FOREIGN, _S.REFUSED),
    (_S.WAITING_FOR_AAA, _I.IDENTITY_UNKNOWN): (_A.APOLOGISE, _S.REFUSED),
    # Table 7: 403 for 4001, 5001, 5003; 511 or 503 for everything else.
    (_S.WAITING_FOR_AAA, _I.REFUSAL_RECEIVED): (_A.REFUSE, _S.REFUSED),
    (_S.WAITING_FOR_AAA, _I.AAA_FAILED): (_A.APOLOGISE, _S.REFUSED),
    # Ours: an AAA that restarted, or another one, gets one new conversation; the device sees a new
    # challenge.
    (_S.WAITING_FOR_AAA, _I.SESSION_LOST): (_A.START_AGAIN, _S.WAITING_FOR_AAA),
    (_S.WAITING_FOR_DEVICE, _I.ANSWER_RECEIVED): (_A.ASK_AAA, _S.WAITING_FOR_AAA),
    # Ours: a device that repeats its POST gets the answer to the first one, never a second DER.
    (_S.WAITING_FOR_AAA, _I.ANSWER_REPEATED): (_A.JOIN_WAITING_ANSWER, _S.WAITING_FOR_AAA),
    (_S.WAITING_FOR_BSS, _I.ANSWER_REPEATED): (_A.JOIN_WAITING_ANSWER, _S.WAITING_FOR_BSS),
    (_S.WAITING_FOR_STORE, _I.ANSWER_REPEATED): (_A.JOIN_WAITING_ANSWER, _S.WAITING_FOR_STORE),
    (_S.WAITING_FOR_DESK, _I.ANSWER_REPEATED): (_A.JOIN_WAITING_ANSWER, _S.WAITING_FOR_DESK),
    (_S.WAITING_FOR_DEVICE, _I.ANSWER_REPEATED): (_A.REPEAT_RESPONSE, _S.WAITING_FOR_DEVICE),
    # Ours: after the end only a response that never reached the device is given once more.
    (_S.SERVED, _I.ANSWER_REPEATED): (_A.REJECT_REPLAY, _S.SERVED),
    (_S.REFUSED, _I.ANSWER_REPEATED): (_A.REJECT_REPLAY, _S.REFUSED),
    (_S.SERVED, _I.ANSWER_RECEIVED): (_A.REJECT_REPLAY, _S.SERVED),
    (_S.REFUSED, _I.ANSWER_RECEIVED): (_A.REJECT_REPLAY, _S.REFUSED),
    (_S.SERVED, _I.ANSWER_MALFORMED): (_A.REJECT_REPLAY, _S.SERVED),
    (_S.REFUSED, _I.ANSWER_MALFORMED): (_A.REJECT_REPLAY, _S.REFUSED),
    # RFC 3748 §4.1: a response whose identifier or type is not the request's is not relayed.
    (_S.WAITING_FOR_DEVICE, _I.ANSWER_MALFORMED): (_A.REJECT_ANSWER, _S.WAITING_FOR_DEVICE),
    # Ours: one answer to a challenge; another one beside it does not disturb the first.
    (_S.WAITING_FOR_AAA, _I.ANSWER_RECEIVED): (_A.REJECT_ANSWER, _S.WAITING_FOR_AAA),
    (_S.WAITING_FOR_BSS, _I.ANSWER_RECEIVED): (_A.REJECT_ANSWER, _S.WAITING_FOR_BSS),
    (_S.WAITING_FOR_STORE, _I.ANSWER_RECEIVED): (_A.REJECT_ANSWER, _S.WAITING_FOR_STORE),
    (_S.WAITING_FOR_DESK, _I.ANSWER_RECEIVED): (_A.REJECT_ANSWER, _S.WAITING_FOR_DESK),
    # Ours: the cookie knows the first challenge only; the device did nothing wrong (never 400).
    (_S.WAITING_FOR_DEVICE, _I.ANSWER_OF_LOST_ROUND): (_A.AUTHENTICATE_AGAIN, _S.WAITING_FOR_AAA),
    (_S.WAITING_FOR_AAA, _I.ANSWER_MALFORMED): (_A.REJECT_ANSWER, _S.WAITING_FOR_AAA),
    (_S.WAITING_FOR_BSS, _I.ANSWER_MALFORMED): (_A.REJECT_ANSWER, _S.WAITING_FOR_BSS),
    (_S.WAITING_FOR_STORE, _I.ANSWER_MALFORMED): (_A.REJECT_ANSWER, _S.WAITING_FOR_STORE),
    (_S.WAITING_FOR_DESK, _I.ANSWER_MALFORMED): (_A.REJECT_ANSWER, _S.WAITING_FOR_DESK),
    (_S.WAITING_FOR_BSS, _I.SUBSCRIBER_FOUND): (_A.KEEP, _S.WAITING_FOR_STORE),
    # §2.8.5: fast authentication changes nothing that has to outlive this answer.
    (_S.WAITING_FOR_BSS, _I.SUBSCRIBER_SUFFICES): (_A.ANSWER_DOCUMENT, _S.SERVED),
    (_S.WAITING_FOR_BSS, _I.TOKEN_OUTDATED): (_A.REJECT_TOKEN, _S.REFUSED),
    (_S.WAITING_FOR_BSS, _I.BSS_FAILED): (_A.APOLOGISE, _S.REFUSED),
    # §6.1: an operation is answered before anything is kept; without an answer nothing is.
    (_S.WAITING_FOR_BSS, _I.OPERATION_ASKED): (_A.ASK_DESK, _S.WAITING_FOR_DESK),
    (_S.WAITING_FOR_DESK, _I.DESK_ANSWERED): (_A.KEEP_WITH_OPERATION, _S.WAITING_FOR_STORE),
    (_S.WAITING_FOR_DESK, _I.DESK_SUFFICES): (_A.ANSWER_DOCUMENT, _S.SERVED),
    (_S.WAITING_FOR_DESK, _I.DESK_FAILED): (_A.APOLOGISE, _S.REFUSED),
    (_S.WAITING_FOR_DESK, _I.DESK_LATE): (_A.IGNORE, _S.WAITING_FOR_DESK),
    (_S.WAITING_FOR_STORE, _I.STORED): (_A.ANSWER_DOCUMENT, _S.SERVED),
    (_S.WAITING_FOR_STORE, _I.STORE_FAILED): (_A.APOLOGISE, _S.REFUSED),
    # Ours: nobody waits for the first leg any more, so nothing is worth finishing.
    (_S.WAITING_FOR_AAA, _I.DEVICE_GONE): (_A.REMEMBER_GONE, _S.WAITING_FOR_AAA),
    (_S.WAITING_FOR_BSS, _I.DEVICE_GONE): (_A.REMEMBER_GONE, _S.WAITING_FOR_BSS),
    (_S.WAITING_FOR_STORE, _I.DEVICE_GONE): (_A.REMEMBER_GONE, _S.WAITING_FOR_STORE),
    (_S.WAITING_FOR_DESK, _I.DEVICE_GONE): (_A.REMEMBER_GONE, _S.WAITING_FOR_DESK),
    (_S.WAITING_FOR_DEVICE, _I.DEVICE_GONE): (_A.IGNORE, _S.WAITING_FOR_DEVICE),
    (_S.SERVED, _I.DEVICE_GONE): (_A.IGNORE, _S.SERVED),
    (_S.REFUSED, _I.DEVICE_GONE): (_A.IGNORE, _S.REFUSED),
    # Ours: phones go silent when AUTN is wrong; an unfinished exchange must not hold memory.
    (_S.WAITING_FOR_DEVICE, _I.TIME_PASSED): (_A.CLOSE_UNANSWERED, _S.ENDED),
    # Ours: the whole budget of one HTTP leg, far under the 30 s for which devices wait.
    (_S.WAITING_FOR_AAA, _I.TIME_PASSED): (_A.APOLOGISE, _S.REFUSED),
    (_S.WAITING_FOR_BSS, _I.TIME_PASSED): (_A.APOLOGISE, _S.REFUSED),
    (_S.WAITING_FOR_STORE, _I.TIME_PASSED): (_A.APOLOGISE, _S.REFUSED),
    (_S.WAITING_FOR_DESK, _I.TIME_PASSED): (_A.APOLOGISE, _S.REFUSED),
    (_S.SERVED, _I.TIME_PASSED): (_A.CLOSE, _S.ENDED),
    (_S.REFUSED, _I.TIME_PASSED): (_A.CLOSE, _S.ENDED),
    # TS 29.273 §7.2.2.3: the AAA ends the session. Its tokens are the store's: `serve_aaa`.
    (_S.WAITING_FOR_AAA, _I.ABORTED): (_A.APOLOGISE, _S.REFUSED),
    (_S.WAITING_FOR_DEVICE, _I.ABORTED): (_A.CLOSE, _S.ENDED),
    (_S.WAITING_FOR_BSS, _I.ABORTED): (_A.APOLOGISE, _S.REFUSED),
    (_S.WAITING_FOR_STORE, _I.ABORTED): (_A.APOLOGISE, _S.REFUSED),
    (_S.WAITING_FOR_DESK, _I.ABORTED): (_A.APOLOGISE, _S.REFUSED),
    (_S.SERVED, _I.ABORTED): (_A.IGNORE, _S.SERVED),
    (_S.REFUSED, _I.ABORTED): (_A.IGNORE, _S.REFUSED),
}

# Answers that arrive after the state they were for (the budget ran out, the session was aborted)
# are dropped; anything else outside the table is a bug.
LATE: Final = frozenset(
    {
        Input.CHALLENGE_RECEIVED,
        Input.NODE_CAN_ANSWER,
        Input.NOBODY_CAN_ANSWER,
        Input.SUCCESS_RECEIVED,
        Input.REFUSAL_RECEIVED,
        Input.SESSION_LOST,
        Input.AAA_FAILED,
        Input.SUBSCRIBER_FOREIGN,
        Input.IDENTITY_UNKNOWN,
        Input.SUBSCRIBER_FOUND,
        Input.SUBSCRIBER_SUFFICES,
        Input.OPERATION_ASKED,
        Input.DESK_ANSWERED,
        Input.DESK_SUFFICES,
        Input.DESK_FAILED,
        Input.DESK_LATE,
        Input.TOKEN_OUTDATED,
        Input.BSS_FAILED,
        Input.STORED,
        Input.STORE_FAILED,
        Input.TIME_PASSED,
        Input.DEVICE_GONE,
    }
)


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
    found = TRANSITIONS.get((state, given))
    if found is None:
        raise IllegalTransition(state, given)
    return found


if __name__ == "__main__":
    for (state, given), (action, following) in TRANSITIONS.items():
        print(f"{state.name:20} {given.name:20} {action.name:22} {following.name}")
