"""What an order needs done next, and the calls for it: pure.

The worker (`driver.py`) carries it out and comes back with an event.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from actors.orders.records import CallState, Order
from actors.orders.transitions import RANK, Input, State
from protocols.es2plus.identifiers import MatchingId
from protocols.es2plus.requests import (
    CancelOrder,
    ConfirmOrder,
    DownloadOrder,
    FinalProfileStatus,
    ReleaseProfile,
    Request,
)
from protocols.identity import Eid, Iccid


class Verb(Enum):
    """What is asked of the business systems; each is idempotent by its key."""

    ACTIVATE = "activate"  # the new line works, beside the old one
    RECOVER = "recover"  # the line gets its profile again; nothing changes
    MOVE = "move"  # the number goes to the new line, the old one ends
    RESTORE = "restore"  # the number goes back, the old line works again
    UNDO = "undo"  # the new line never was
    END = "end"


@dataclass(frozen=True, slots=True)
class TakeProfile:
    """Take a profile from a pool."""


@dataclass(frozen=True, slots=True)
class CallSmdp:
    """Send a call; `request` is None when the order has it written down already."""

    request: Request | None


@dataclass(frozen=True, slots=True)
class AskBss:
    """Ask the business systems."""

    verb: Verb


@dataclass(frozen=True, slots=True)
class Conclude:
    """Nobody need be asked: this happened."""

    given: Input
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Supersede:
    """The order that made the old line ends with it; then the order is finished."""


Work = TakeProfile | CallSmdp | AskBss | Conclude | Supersede

_EXPIRE: Final = frozenset(State) - {
    State.ACTIVE,
    State.MANUAL,
    State.CANCELLED,
    State.FAILED,
    State.ENDED,
}


def next_work(order: Order, now: int) -> Work | None:
    """What is to be done now; None: wait until `next_at`, or until something happens.

    Only asked while no call of the order is under way: one that is written down as being sent was
    left by a process that died.
    """
    if order.call.state is CallState.SENDING:
        return Conclude(Input.CALL_UNKNOWN, "interrupted")
    if order.state in _EXPIRE and order.expires_at and now >= order.expires_at:
        return Conclude(Input.EXPIRED)
    if order.installed_at and order.state in (State.BSS_READY, State.RELEASED, State.DOWNLOADED):
        return Conclude(Input.INSTALLED, "reported-before")
    if now < order.next_at:
        return None
    match order.state:
        case State.REQUESTED:
            return TakeProfile()
        case State.ICCID_CHOSEN | State.RESERVED | State.BSS_READY | State.IN_DOUBT:
            return _call(order)
        case State.CONFIRMED:
            return AskBss(_line_verb(order))
        case State.DELAYED:
            return Conclude(Input.RETRY_DUE)
        case State.INSTALLED:
            return _after_installation(order)
        case State.SWAPPED:
            return Supersede()
        case State.ENDING:
            return AskBss(Verb.END)
        case State.COMPENSATING:
            return _compensation(order)
    return None


def _line_verb(order: Order) -> Verb:
    if order.reuse:
        return Verb.RECOVER
    return Verb.MOVE if order.swap_early else Verb.ACTIVATE


def _after_installation(order: Order) -> Work:
    if not order.old_imsi:
        return Supersede()
    return Conclude(Input.LINE_MOVED) if order.line_moved else AskBss(Verb.MOVE)


def _compensation(order: Order) -> Work:
    """In reverse order, except that after the release CancelOrder decides whether it is too late.

    Had the line been ended first, a device that was quicker would have a profile of a dead line.
    """
    held = order.rank >= RANK[State.RESERVED]
    if order.line_touched and not (held and order.released_at):
        if order.swap_early and order.line_moved:
            return AskBss(Verb.RESTORE)
        return AskBss(Verb.UNDO)
    return _call(order) if held else Conclude(Input.NOTHING_LEFT)


def _call(order: Order) -> CallSmdp:
    """The call that is written down, for it is repeated as it was; else a new one."""
    return CallSmdp(None if order.call.function is not None else request_of(order))


def request_of(order: Order) -> Request:
    """The call that the order's state needs."""
    eid = Eid(order.target_eid) if order.target_eid else None
    iccid = Iccid(order.iccid) if order.iccid else None
    if order.state is State.ICCID_CHOSEN:
        # A profile type beside the ICCID is checked by the SM-DP+ (8.2.5/3.8).
        return DownloadOrder(iccid, order.profile_type, eid)
    assert iccid is not None, "a reserved profile has an ICCID"  # noqa: S101
    matching_id = MatchingId(order.matching_id)
    if order.state is State.RESERVED:
        return ConfirmOrder(iccid, release=False, eid=eid, matching_id=matching_id)
    if order.state is State.COMPENSATING:
        becomes = (
            FinalProfileStatus.UNAVAILABLE
            if order.cancel_as == "unavailable"
            else FinalProfileStatus.AVAILABLE
        )
        bound = (order.rank >= RANK[State.CONFIRMED]) is not order.cancel_plain
        return CancelOrder(iccid, becomes, eid, matching_id if bound else None)
    return ReleaseProfile(iccid)
