"""Where an eSIM order can stand and what moves it, as one table.

Source: GSMA SGP.22 §5.3 (ES2+) for the calls; the saga is ours. It prints itself:
`python -m actors.orders.transitions`. ReleaseProfile is the pivot: before it everything is taken
back, after the download only forward recovery exists.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final


class State(Enum):
    """Where the order stands; the first ten are its ranks, in order."""

    REQUESTED = "requested"
    ICCID_CHOSEN = "iccid-chosen"
    RESERVED = "reserved"  # DownloadOrder succeeded
    CONFIRMED = "confirmed"  # ConfirmOrder without release succeeded
    BSS_READY = "bss-ready"  # the line of the new card works
    RELEASED = "released"  # the pivot: the device may know the activation code
    DOWNLOADED = "downloaded"
    INSTALLED = "installed"
    SWAPPED = "swapped"  # transfers only: the number moved, the old line ended
    ACTIVE = "active"
    # Beside the ranks.
    WAIT_USER = "wait-user"  # terms, plan or address are missing: the web sheet
    DELAYED = "delayed"  # no call is open; tried again later
    IN_DOUBT = "in-doubt"  # a call was sent and its outcome is unknown
    COMPENSATING = "compensating"
    ENDING = "ending"  # the line is being taken away
    CANCELLED = "cancelled"
    FAILED = "failed"
    ENDED = "ended"
    MANUAL = "manual"  # waits for a person


class Input(Enum):
    """What can happen to an order."""

    # The user and the device.
    USER_ANSWERED = "user answered"
    UNSUBSCRIBED = "unsubscribed"
    DEVICE_SEEN = "device seen"  # it used the new profile, or asked with its ICCID
    # The pools of profiles.
    ICCID_TAKEN = "iccid taken"
    POOL_EMPTY = "pool empty"
    TRIES_EXHAUSTED = "tries exhausted"  # as many profiles as one order may try
    # Answers of the SM-DP+, after the rules for calls in doubt (answers.py).
    PROFILE_RESERVED = "profile reserved"
    PROFILE_CONFIRMED = "profile confirmed"
    PROFILE_RELEASED = "profile released"
    PROFILE_CANCELLED = "profile cancelled"
    ALREADY_DOWNLOADED = "already downloaded"  # CancelOrder lost the race
    CANCEL_OTHERWISE = "cancel otherwise"  # another association is bound than we named
    ICCID_UNUSABLE = "iccid unusable"  # not ours, or unknown there: the next one
    TYPE_EXHAUSTED = "type exhausted"  # the SM-DP+ has no more profiles of this type
    MATCHING_ID_TAKEN = "matching id taken"
    TRY_ELSEWHERE = "try elsewhere"  # nothing happened there, and another SM-DP+ can serve
    CALL_NOT_EXECUTED = "call not executed"
    CALL_UNKNOWN = "call unknown"
    CALL_REFUSED = "call refused"
    PROFILE_LOST = "profile lost"  # the SM-DP+ knows it otherwise than we do: start over
    CALL_UNCLEAR = "call unclear"  # no rule says what happened
    # Answers of the business systems.
    LINE_READY = "line ready"
    LINE_MOVED = "line moved"
    LINE_ENDED = "line ended"
    BSS_PENDING = "bss pending"
    BSS_AWAY = "bss away"
    BSS_REFUSED = "bss refused"
    # Nothing is left to be asked for.
    NOTHING_LEFT = "nothing left"
    SUPERSEDED = "superseded"  # another order has the line now
    # Notifications of the SM-DP+.
    DOWNLOADED = "downloaded"
    INSTALLED = "installed"
    INSTALLATION_FAILED = "installation failed"
    USER_REJECTED = "user rejected"
    PROFILE_DELETED = "profile deleted"
    # Time.
    RETRY_DUE = "retry due"
    EXPIRED = "expired"
    # Operators, and ourselves.
    OPERATOR_RETRIED = "operator retried"
    OPERATOR_DONE = "operator marked done"
    OPERATOR_CANCELLED = "operator cancelled"
    OPERATOR_BURNT = "operator burnt"
    BUG = "bug"  # nothing is repeated blindly


class Action(Enum):
    """What is done on the way: the function of this name in machine.py."""

    BEGIN = "begin"
    USE_ICCID = "use_iccid"
    KEEP_RESERVATION = "keep_reservation"
    KEEP_CONFIRMATION = "keep_confirmation"
    KEEP_LINE = "keep_line"
    PUBLISH = "publish"  # the device may know the activation code
    ADVANCE = "advance"
    NOTE = "note"  # only remembered
    NOTE_DELETED = "note_deleted"
    MOVE_LINE = "move_line"
    FINISH = "finish"
    QUARANTINE = "quarantine"
    DROP_TYPE = "drop_type"
    GIVE_BACK = "give_back"
    NEW_MATCHING_ID = "new_matching_id"
    WAIT = "wait"
    WAIT_FOR_BSS = "wait_for_bss"
    DOUBT = "doubt"
    RESUME = "resume"
    REPEAT_LATER = "repeat_later"
    UNDO_FAIL = "undo_fail"
    UNDO_CANCEL = "undo_cancel"
    UNDO_RESTART = "undo_restart"
    UNDO_BURN = "undo_burn"
    UNDO_PROFILE = "undo_profile"
    UNDO_LINE = "undo_line"
    UNDO_OTHERWISE = "undo_otherwise"
    UNDONE = "undone"
    RECOVER_FORWARD = "recover_forward"
    END_LINE = "end_line"
    CLOSE = "close"
    CLOSE_BURNT = "close_burnt"
    ASK_PEOPLE = "ask_people"
    DECIDED_RETRY = "decided_retry"
    DECIDED_DONE = "decided_done"
    IGNORE = "ignore"


class Next(Enum):
    """Where to, when it depends on the order."""

    SAME = "(the same)"
    REACHED = "(rank reached)"
    AIM = "(aim of the compensation)"
    RESUMED = "(as before)"
    DECIDED = "(as if it had succeeded)"


RANKS: Final = (
    State.REQUESTED,
    State.ICCID_CHOSEN,
    State.RESERVED,
    State.CONFIRMED,
    State.BSS_READY,
    State.RELEASED,
    State.DOWNLOADED,
    State.INSTALLED,
    State.SWAPPED,
    State.ACTIVE,
)
RANK: Final[Mapping[State, int]] = {state: number for number, state in enumerate(RANKS, 1)}
FINAL: Final = frozenset({State.CANCELLED, State.FAILED, State.ENDED})

Row = tuple[Action, State | Next]
_S, _I, _A, _N = State, Input, Action, Next

TRANSITIONS: Final[dict[tuple[State, Input], Row]] = {}


def _row(
    states: State | Iterable[State], given: Input, action: Action, following: State | Next
) -> None:
    for state in (states,) if isinstance(states, State) else states:
        assert (state, given) not in TRANSITIONS, (state, given)  # noqa: S101 - a slip in the table
        TRANSITIONS[state, given] = (action, following)


_CALLING: Final = (_S.ICCID_CHOSEN, _S.RESERVED, _S.BSS_READY)  # a call to the SM-DP+ is next
_FORWARD: Final = (*_CALLING, _S.CONFIRMED, _S.DELAYED, _S.IN_DOUBT)  # something may be held
_ALIVE: Final = tuple(state for state in State if state not in FINAL)

# The user is asked first; nothing is held yet.
_row(_S.WAIT_USER, _I.USER_ANSWERED, _A.BEGIN, _S.REQUESTED)
for _given in (_I.UNSUBSCRIBED, _I.OPERATOR_CANCELLED, _I.EXPIRED):
    _row(_S.WAIT_USER, _given, _A.CLOSE, _S.CANCELLED)
# ICCID and matching id are our own choice: a lost answer is harmless then.
_row(_S.REQUESTED, _I.ICCID_TAKEN, _A.USE_ICCID, _S.ICCID_CHOSEN)
_row(_S.REQUESTED, _I.POOL_EMPTY, _A.WAIT, _S.DELAYED)
_row(_S.REQUESTED, _I.TRIES_EXHAUSTED, _A.CLOSE, _S.FAILED)
_row(_S.REQUESTED, _I.EXPIRED, _A.CLOSE, _S.FAILED)
_row(_S.REQUESTED, _I.UNSUBSCRIBED, _A.CLOSE, _S.CANCELLED)
_row(_S.REQUESTED, _I.OPERATOR_CANCELLED, _A.CLOSE, _S.CANCELLED)
# SGP.22 §5.3.1 DownloadOrder.
_DOWNLOADING: Final = (_S.ICCID_CHOSEN, _S.IN_DOUBT)
_row(_DOWNLOADING, _I.PROFILE_RESERVED, _A.KEEP_RESERVATION, _S.RESERVED)
_row(_S.ICCID_CHOSEN, _I.TYPE_EXHAUSTED, _A.DROP_TYPE, _S.REQUESTED)
_row(_S.IN_DOUBT, _I.TYPE_EXHAUSTED, _A.UNDO_RESTART, _S.COMPENSATING)
_row(_S.ICCID_CHOSEN, _I.TRY_ELSEWHERE, _A.GIVE_BACK, _S.REQUESTED)
_row((*_DOWNLOADING, _S.RESERVED), _I.ICCID_UNUSABLE, _A.QUARANTINE, _S.REQUESTED)
# §5.3.2 ConfirmOrder; in doubt 8.2.6/3.3 with our own matching id is no refusal (answers.py).
_row((_S.RESERVED, _S.IN_DOUBT), _I.PROFILE_CONFIRMED, _A.KEEP_CONFIRMATION, _S.CONFIRMED)
_row((_S.RESERVED, _S.IN_DOUBT), _I.MATCHING_ID_TAKEN, _A.NEW_MATCHING_ID, _S.RESERVED)
# The line of the new card, before the device can use it.
_row(_S.CONFIRMED, _I.LINE_READY, _A.KEEP_LINE, _S.BSS_READY)
_row(_S.CONFIRMED, _I.BSS_PENDING, _A.WAIT_FOR_BSS, _S.CONFIRMED)
_row(_S.CONFIRMED, _I.BSS_AWAY, _A.WAIT, _S.DELAYED)
_row(_S.CONFIRMED, _I.BSS_REFUSED, _A.UNDO_FAIL, _S.COMPENSATING)
# §5.3.4 ReleaseProfile: the pivot. It may be repeated by the standard.
_row((_S.BSS_READY, _S.IN_DOUBT), _I.PROFILE_RELEASED, _A.PUBLISH, _S.RELEASED)
# Every call can fail in these ways.
_row(_CALLING, _I.CALL_NOT_EXECUTED, _A.WAIT, _S.DELAYED)
_row(_S.IN_DOUBT, _I.CALL_NOT_EXECUTED, _A.REPEAT_LATER, _S.IN_DOUBT)
_row(_CALLING, _I.CALL_UNKNOWN, _A.DOUBT, _S.IN_DOUBT)
_row(_S.IN_DOUBT, _I.CALL_UNKNOWN, _A.REPEAT_LATER, _S.IN_DOUBT)
_row((*_CALLING, _S.IN_DOUBT), _I.CALL_REFUSED, _A.UNDO_FAIL, _S.COMPENSATING)
_row((*_CALLING, _S.IN_DOUBT), _I.PROFILE_LOST, _A.UNDO_RESTART, _S.COMPENSATING)
_row((*_CALLING, _S.IN_DOUBT), _I.CALL_UNCLEAR, _A.ASK_PEOPLE, _S.MANUAL)
_row(_S.DELAYED, _I.RETRY_DUE, _A.RESUME, _N.REACHED)
_row(_S.DELAYED, _I.OPERATOR_RETRIED, _A.RESUME, _N.REACHED)
# Before the pivot everything is taken back.
_row(_FORWARD, _I.EXPIRED, _A.UNDO_FAIL, _S.COMPENSATING)
_row(_FORWARD, _I.UNSUBSCRIBED, _A.UNDO_CANCEL, _S.COMPENSATING)
_row(_FORWARD, _I.OPERATOR_CANCELLED, _A.UNDO_CANCEL, _S.COMPENSATING)
# §5.3.5: notifications come early (before the answer of ReleaseProfile), late, twice and out of
# order: state only moves up. Those for an order below BSS_READY are not of this download and only
# noted (machine.py).
_EARLY: Final = (_S.BSS_READY, _S.IN_DOUBT, _S.DELAYED, _S.RELEASED)
_row(_EARLY, _I.DOWNLOADED, _A.ADVANCE, _S.DOWNLOADED)
_row((*_EARLY, _S.DOWNLOADED), _I.INSTALLED, _A.ADVANCE, _S.INSTALLED)
_row((*_EARLY, _S.DOWNLOADED), _I.DEVICE_SEEN, _A.ADVANCE, _S.INSTALLED)
_row((*_EARLY, _S.DOWNLOADED), _I.INSTALLATION_FAILED, _A.UNDO_RESTART, _S.COMPENSATING)
_row((*_EARLY, _S.DOWNLOADED), _I.USER_REJECTED, _A.UNDO_CANCEL, _S.COMPENSATING)
# Released, and nobody came; CancelOrder says whether that is so.
for _given in (_I.EXPIRED, _I.UNSUBSCRIBED, _I.OPERATOR_CANCELLED):
    _row(_S.RELEASED, _given, _A.UNDO_CANCEL, _S.COMPENSATING)
_row(_S.DOWNLOADED, _I.EXPIRED, _A.UNDO_BURN, _S.COMPENSATING)
# After the download CancelOrder is not defined any more: the line is ended.
for _given in (_I.UNSUBSCRIBED, _I.OPERATOR_CANCELLED):
    _row((_S.DOWNLOADED, _S.ACTIVE), _given, _A.END_LINE, _S.ENDING)
# Installed: only forward. A transfer ends the old line here and nowhere else.
_row(_S.INSTALLED, _I.LINE_MOVED, _A.MOVE_LINE, _S.SWAPPED)
_row((_S.INSTALLED, _S.SWAPPED), _I.NOTHING_LEFT, _A.FINISH, _S.ACTIVE)
_row((_S.INSTALLED, _S.ENDING), _I.BSS_PENDING, _A.REPEAT_LATER, _N.SAME)
_row((_S.INSTALLED, _S.ENDING), _I.BSS_AWAY, _A.REPEAT_LATER, _N.SAME)
_row((_S.INSTALLED, _S.ENDING), _I.BSS_REFUSED, _A.REPEAT_LATER, _N.SAME)
_row((_S.INSTALLED, _S.SWAPPED, _S.ENDING), _I.EXPIRED, _A.ASK_PEOPLE, _S.MANUAL)
_row(_S.ACTIVE, _I.SUPERSEDED, _A.CLOSE_BURNT, _S.ENDED)
_row(_S.ACTIVE, _I.PROFILE_DELETED, _A.NOTE_DELETED, _S.ACTIVE)
_row(_S.ENDING, _I.LINE_ENDED, _A.CLOSE_BURNT, _S.ENDED)
_row(_S.ENDING, _I.SUPERSEDED, _A.CLOSE_BURNT, _S.ENDED)
# Compensation, in reverse order (machine.py says which is next).
_row(_S.COMPENSATING, _I.LINE_ENDED, _A.UNDO_LINE, _S.COMPENSATING)
_row(_S.COMPENSATING, _I.PROFILE_CANCELLED, _A.UNDO_PROFILE, _S.COMPENSATING)
_row(_S.COMPENSATING, _I.CANCEL_OTHERWISE, _A.UNDO_OTHERWISE, _S.COMPENSATING)
_row(_S.COMPENSATING, _I.NOTHING_LEFT, _A.UNDONE, _N.AIM)
# §5.3.3: 8.2.1/3.3: the device was quicker.
_row(_S.COMPENSATING, _I.ALREADY_DOWNLOADED, _A.RECOVER_FORWARD, _S.DOWNLOADED)
for _given in (_I.CALL_NOT_EXECUTED, _I.CALL_UNKNOWN, _I.BSS_AWAY, _I.BSS_PENDING):
    _row(_S.COMPENSATING, _given, _A.REPEAT_LATER, _S.COMPENSATING)
for _given in (_I.CALL_REFUSED, _I.CALL_UNCLEAR, _I.BSS_REFUSED, _I.EXPIRED):
    _row(_S.COMPENSATING, _given, _A.ASK_PEOPLE, _S.MANUAL)
_row(_S.COMPENSATING, _I.UNSUBSCRIBED, _A.UNDO_CANCEL, _S.COMPENSATING)
_row(_S.COMPENSATING, _I.OPERATOR_CANCELLED, _A.UNDO_CANCEL, _S.COMPENSATING)
for _given in (_I.DOWNLOADED, _I.INSTALLED, _I.DEVICE_SEEN):
    _row((_S.COMPENSATING, _S.MANUAL), _given, _A.NOTE, _N.SAME)
# People decide.
_row(_S.MANUAL, _I.OPERATOR_RETRIED, _A.DECIDED_RETRY, _N.RESUMED)
_row(_S.MANUAL, _I.OPERATOR_DONE, _A.DECIDED_DONE, _N.DECIDED)
_row(_S.MANUAL, _I.OPERATOR_CANCELLED, _A.UNDO_CANCEL, _S.COMPENSATING)
_row(_S.MANUAL, _I.OPERATOR_BURNT, _A.CLOSE_BURNT, _S.FAILED)
for _state in (_S.CONFIRMED, *_CALLING, _S.IN_DOUBT, _S.COMPENSATING, _S.INSTALLED, _S.ENDING):
    _row(_state, _I.OPERATOR_RETRIED, _A.RESUME, _N.SAME)
_row([one for one in _ALIVE if one is not _S.MANUAL], _I.BUG, _A.ASK_PEOPLE, _S.MANUAL)

# What a running call, another process, a device or a person can say at any time, also after the
# state it was for: outside the table it changes nothing. A pair that is in neither is a bug.
LATE: Final = frozenset(Input) - {
    _I.OPERATOR_DONE,
    _I.OPERATOR_BURNT,
    _I.OPERATOR_CANCELLED,
    _I.OPERATOR_RETRIED,
}

# What a person means who marks the open step of a MANUAL order as done.
DONE: Final[Mapping[State, Input]] = {
    _S.ICCID_CHOSEN: _I.PROFILE_RESERVED,
    _S.RESERVED: _I.PROFILE_CONFIRMED,
    _S.CONFIRMED: _I.LINE_READY,
    _S.BSS_READY: _I.PROFILE_RELEASED,
    _S.INSTALLED: _I.LINE_MOVED,
    _S.SWAPPED: _I.NOTHING_LEFT,
    _S.ENDING: _I.LINE_ENDED,
    _S.COMPENSATING: _I.NOTHING_LEFT,
}


class IllegalTransition(Exception):
    """A person asked for what cannot be done in this state. The order is left as it was."""

    def __init__(self, state: State, given: Input) -> None:
        super().__init__(f"{given.value}: not possible in {state.value}")
        self.state = state
        self.given = given


def look_up(state: State, given: Input) -> Row:
    """What `given` does in `state`.

    Raises:
        IllegalTransition: the table does not allow it.
    """
    found = TRANSITIONS.get((state, given))
    if found is not None:
        return found
    if given in LATE:
        return Action.IGNORE, Next.SAME
    raise IllegalTransition(state, given)


if __name__ == "__main__":
    for (_state, _given), (_action, _following) in TRANSITIONS.items():
        print(f"{_state.value:13} {_given.value:20} {_action.value:18} {_following.value}")
