"""One step of an order: pure. State and event in; the order as it is to be kept, and what becomes
of its profile, out.

What happens when is `transitions.py`; what is asked of whom next is `work.py`. Nothing here waits,
draws random numbers or looks at a clock: they come with the event.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

from actors.orders.records import NO_CALL, CallState, Order
from actors.orders.transitions import (
    DONE,
    RANK,
    RANKS,
    Action,
    IllegalTransition,
    Input,
    Next,
    State,
    look_up,
)
from protocols.es2plus.status_codes import Function


class StockState(Enum):
    """Where a profile of our pools stands."""

    AVAILABLE = "available"
    RESERVED = "reserved"
    RELEASED = "released"
    INSTALLED = "installed"
    DELETED = "deleted"  # the eUICC no longer has it; still the line's
    BURNT = "burnt"  # never to be used again
    QUARANTINED = "quarantined"  # the SM-DP+ knows it otherwise than we do: people must look


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an order stays where it is, in seconds ([orders] of the configuration)."""

    user: int = 3_600
    order: int = 86_400  # for what is repeated in the background
    reservation: int = 1_800
    download: int = 1_209_600
    install: int = 86_400
    bss_callback: int = 900
    first_retry: int = 1
    longest_retry: int = 900
    burn_failed: bool = True  # after a failed installation; False: the profile is used again


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, and what came with it; each input uses the fields that it needs.

    Attributes:
        now: wall-clock seconds.
        jitter: in [0, 1): spreads repetitions.
        reason: for people; one word, then details; no identities.
        retry_after: seconds that the other side asked for.
        assumed: concluded from a refusal in doubt; of a refusal: an earlier attempt may have been
            carried out.
        quarantine: the profile must not be used again before people have looked.
        reuse: the profile is the line's own.
        leak: a profile may be reserved that nobody knows.
    """

    given: Input
    now: int
    jitter: float = 0.0
    reason: str = ""
    retry_after: float = 0.0
    assumed: bool = False
    quarantine: bool = False
    reuse: bool = False
    leak: bool = False
    smdp: str = ""
    profile_type: str = ""
    iccid: str = field(default="", repr=False)
    imsi: str = field(default="", repr=False)
    msisdn: str = field(default="", repr=False)
    matching_id: str = field(default="", repr=False)
    smdp_address: str = ""
    smdp_oid: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of a step.

    Attributes:
        order: to be kept; its version is not counted up yet.
        action: what was done; IGNORE: nothing, and nothing is to be kept.
        stock: what becomes of the profile `stock_iccid`; None: nothing.
    """

    order: Order
    action: Action
    stock: StockState | None = None
    stock_iccid: str = field(default="", repr=False)


# They are about a download; below BSS_READY none can have begun.
_OF_A_DOWNLOAD: Final = frozenset(
    {
        Input.DOWNLOADED,
        Input.INSTALLED,
        Input.DEVICE_SEEN,
        Input.INSTALLATION_FAILED,
        Input.USER_REJECTED,
    }
)


def step(order: Order, event: Event, patience: Patience) -> Decision:
    """What an event does to an order.

    Raises:
        IllegalTransition: a person asked for what is not possible here.
    """
    _check(order, event)
    if event.given in _OF_A_DOWNLOAD and order.rank < RANK[State.BSS_READY]:
        return Decision(order, Action.IGNORE)
    action, following = look_up(order.state, event.given)
    if action is Action.IGNORE:
        return Decision(order, action)
    if action is Action.DECIDED_DONE:
        assert order.resumes is not None  # noqa: S101 - of every MANUAL order
        before = replace(order, state=order.resumes, resumes=None)
        if order.resumes not in DONE:
            raise IllegalTransition(order.resumes, event.given)
        return step(before, replace(event, given=DONE[order.resumes]), patience)
    changed, stock = _ACTIONS[action](order, event, patience)
    changed = _move(order, changed, following, event, patience)
    return Decision(changed, action, stock, order.iccid or changed.iccid)


def _check(order: Order, event: Event) -> None:
    """What a person may not decide: nothing is undone after the installation."""
    if order.state is not State.MANUAL:
        return
    undoing = (Input.OPERATOR_CANCELLED, Input.OPERATOR_BURNT)
    if event.given in undoing and (order.rank >= RANK[State.INSTALLED] or order.installed_at):
        raise IllegalTransition(order.resumes or order.state, event.given)


def _move(
    order: Order, changed: Order, following: State | Next, event: Event, patience: Patience
) -> Order:
    """The state that follows, with the rank and the timers that belong to it."""
    match following:
        case Next.SAME:
            state = order.state
        case Next.REACHED:
            state = changed.reached
        case Next.AIM:
            state = order.aim or State.FAILED
            changed = replace(changed, aim=None)
        case Next.RESUMED:
            state = order.resumes or order.reached
            changed = replace(changed, resumes=None)
        case Next.DECIDED:
            raise AssertionError("decided before")
        case State():
            state = following
    if state in RANKS and state is not changed.reached:
        changed = replace(changed, reached=state)
    if state is not order.state:
        changed = _entered(replace(changed, state=state), order.state, event, patience)
    return replace(changed, changed_at=event.now)


def _entered(order: Order, before: State, event: Event, patience: Patience) -> Order:
    """A new state: how long it may last, and when it is looked at."""
    now = event.now
    if before is State.DELAYED and order.state in RANKS and not order.past_pivot:
        # The same patience goes on, and the back-off too.
        return replace(order, next_at=now)
    ends: Mapping[State, int] = {
        State.WAIT_USER: patience.user,
        State.REQUESTED: patience.order,
        State.RELEASED: patience.download,
        State.DOWNLOADED: patience.install,
        State.INSTALLED: patience.order,
        State.COMPENSATING: patience.order,
        State.ENDING: patience.order,
    }
    if order.state in ends:
        order = replace(order, expires_at=now + ends[order.state])
    elif _begins_reservation(order, before):
        order = replace(order, expires_at=now + patience.reservation)
    if order.state in (State.ACTIVE, State.MANUAL) or order.is_final:
        order = replace(order, expires_at=0)
    match order.state:
        case State.RELEASED | State.DOWNLOADED | State.WAIT_USER:
            order = replace(order, next_at=order.expires_at, attempts=0)
        case State.ACTIVE | State.MANUAL | State.CANCELLED | State.FAILED | State.ENDED:
            order = replace(order, next_at=0, attempts=0)
        case State.DELAYED | State.IN_DOUBT:
            pass  # set by the action
        case State.COMPENSATING | State.ENDING | State.INSTALLED:
            order = replace(order, next_at=now, attempts=0)
        case _:
            order = replace(order, next_at=now)
    if order.is_final:
        order = replace(order, ended_at=now)
    return order


def _begins_reservation(order: Order, before: State) -> bool:
    if before is State.MANUAL:
        return not order.expires_at
    return order.state is State.RESERVED and before in (State.ICCID_CHOSEN, State.IN_DOUBT)


def back_off(attempts: int, event: Event, patience: Patience) -> int:
    """When to try again: the delay doubles; a wish of the other side is respected."""
    seconds = min(patience.first_retry * 2.0 ** min(attempts, 20), patience.longest_retry)
    seconds = max(seconds * (1.0 + event.jitter), event.retry_after)
    return event.now + max(1, round(seconds))


# --- actions: (order, event, patience) -> (order, what becomes of the profile) ------------------

Changed = tuple[Order, StockState | None]


def begin(order: Order, event: Event, _: Patience) -> Changed:
    return order, None


def use_iccid(order: Order, event: Event, _: Patience) -> Changed:
    fresh = _without_profile(order)
    return (
        replace(
            fresh,
            smdp=event.smdp,
            profile_type=event.profile_type,
            iccid=event.iccid,
            new_imsi=event.imsi,
            msisdn=event.msisdn,
            matching_id=event.matching_id,
            reuse=event.reuse,
            tries=order.tries + 1,
            reason="",
        ),
        None,  # the pool has reserved it in the same transaction
    )


def keep_reservation(order: Order, event: Event, _: Patience) -> Changed:
    kept = replace(order, call=NO_CALL, assumed=event.assumed, attempts=0, reason="")
    if event.iccid and not order.iccid:
        # By profile type: the SM-DP+ chose, and the pool told whose card it is.
        kept = replace(kept, iccid=event.iccid, new_imsi=event.imsi, msisdn=event.msisdn)
        return kept, StockState.RESERVED
    return kept, None


def keep_confirmation(order: Order, event: Event, _: Patience) -> Changed:
    return (
        replace(
            order,
            call=NO_CALL,
            assumed=event.assumed,
            matching_id=event.matching_id or order.matching_id,
            smdp_address=event.smdp_address,
            smdp_oid=event.smdp_oid,
            # Before the BSS is asked. In a recovery it is the line of today, never taken back.
            line_touched=not order.reuse,
            attempts=0,
            reason="",
        ),
        None,
    )


def keep_line(order: Order, event: Event, _: Patience) -> Changed:
    return replace(order, line_moved=order.swap_early, attempts=0, reason=""), None


def publish(order: Order, event: Event, _: Patience) -> Changed:
    return (
        replace(order, call=NO_CALL, assumed=False, released_at=event.now, reason=""),
        StockState.RELEASED,
    )


def advance(order: Order, event: Event, _: Patience) -> Changed:
    noted = _noted(order, event)
    if event.given is Input.DOWNLOADED:
        return replace(noted, call=NO_CALL), StockState.RELEASED
    return replace(noted, call=NO_CALL, reason=""), StockState.INSTALLED


def note(order: Order, event: Event, _: Patience) -> Changed:
    return _noted(order, event), None


def _noted(order: Order, event: Event) -> Order:
    released = order.released_at or event.now
    downloaded = order.downloaded_at or event.now
    if event.given is Input.DOWNLOADED:
        return replace(order, released_at=released, downloaded_at=downloaded)
    return replace(
        order,
        released_at=released,
        downloaded_at=downloaded,
        installed_at=order.installed_at or event.now,
    )


def note_deleted(order: Order, event: Event, _: Patience) -> Changed:
    return replace(order, reason="profile-deleted"), StockState.DELETED


def move_line(order: Order, event: Event, _: Patience) -> Changed:
    return replace(order, line_moved=True, reason=""), None


def finish(order: Order, event: Event, _: Patience) -> Changed:
    return replace(order, reason=""), None


def quarantine(order: Order, event: Event, patience: Patience) -> Changed:
    aside = StockState.DELETED if order.reuse else StockState.QUARANTINED
    return _without_profile(replace(order, reason=event.reason)), aside


def drop_type(order: Order, event: Event, patience: Patience) -> Changed:
    pool = f"{order.smdp}/{order.profile_type}"
    dropped = replace(order, excluded=(*order.excluded, pool), reason=event.reason)
    # No profile was used up.
    return _without_profile(replace(dropped, tries=order.tries - 1)), _given_back(order)


def give_back(order: Order, event: Event, patience: Patience) -> Changed:
    # Left out until the order has waited.
    kept = replace(order, excluded=(*order.excluded, f"{order.smdp}/"), reason=event.reason)
    return _without_profile(replace(kept, tries=order.tries - 1)), _given_back(order)


def new_matching_id(order: Order, event: Event, _: Patience) -> Changed:
    kept = replace(order, call=NO_CALL, matching_id=event.matching_id, next_at=event.now)
    return replace(kept, attempts=0), None


def wait(order: Order, event: Event, patience: Patience) -> Changed:
    kept = replace(
        order,
        attempts=order.attempts + 1,
        next_at=back_off(order.attempts, event, patience),
        reason=event.reason,
    )
    if event.given is Input.POOL_EMPTY:
        lasting = tuple(pool for pool in order.excluded if not pool.endswith("/"))
        kept = replace(kept, excluded=lasting)
    return _not_executed(kept, event), None


def wait_for_bss(order: Order, event: Event, patience: Patience) -> Changed:
    # The BSS calls back; if it does not, it is asked.
    seconds = event.retry_after or patience.bss_callback
    return replace(order, next_at=event.now + round(seconds), reason="bss-pending"), None


def doubt(order: Order, event: Event, patience: Patience) -> Changed:
    kept = replace(
        order,
        attempts=order.attempts + 1,
        next_at=back_off(order.attempts, event, patience),
        reason=event.reason,
        possible_leak=order.possible_leak or event.leak,
    )
    call = replace(kept.call, state=CallState.NOT_EXECUTED, doubt=True)
    return replace(kept, call=call), None


def resume(order: Order, event: Event, _: Patience) -> Changed:
    return replace(order, next_at=event.now), None


def repeat_later(order: Order, event: Event, patience: Patience) -> Changed:
    kept = replace(
        order,
        attempts=order.attempts + 1,
        next_at=back_off(order.attempts, event, patience),
        reason=event.reason or order.reason,
    )
    if event.given is Input.CALL_UNKNOWN:
        call = replace(kept.call, state=CallState.NOT_EXECUTED, doubt=True)
        return replace(kept, call=call), None
    return _not_executed(kept, event), None


def _not_executed(order: Order, event: Event) -> Order:
    """The same call may be sent once more; what was in doubt stays so."""
    if order.call.function is None:
        return order
    return replace(order, call=replace(order.call, state=CallState.NOT_EXECUTED))


def undo_fail(order: Order, event: Event, _: Patience) -> Changed:
    undone = _undo(order, State.FAILED, event)
    return (replace(undone, cancel_as="quarantined") if event.quarantine else undone), None


def undo_cancel(order: Order, event: Event, _: Patience) -> Changed:
    return _undo(order, State.CANCELLED, event), None


def undo_restart(order: Order, event: Event, patience: Patience) -> Changed:
    undone = _undo(order, State.REQUESTED, event)
    undone = replace(undone, possible_leak=order.possible_leak or event.leak)
    if event.quarantine:
        return replace(undone, cancel_as="quarantined"), None
    if event.given is Input.INSTALLATION_FAILED and patience.burn_failed:
        return replace(undone, cancel_as="unavailable"), None
    return undone, None


def undo_burn(order: Order, event: Event, _: Patience) -> Changed:
    return replace(_undo(order, State.FAILED, event), cancel_as="unavailable"), None


def _undo(order: Order, aim: State, event: Event) -> Order:
    """What the open call may have brought about is taken back as well."""
    if State.COMPENSATING in (order.state, order.resumes):
        return replace(order, aim=aim, resumes=None, reason=event.reason or order.reason)
    call, reached = order.call, order.reached
    answered = event.given is Input.CALL_REFUSED
    maybe = event.assumed if answered else call.doubt or call.state is CallState.SENDING
    if maybe and call.function is Function.DOWNLOAD_ORDER:
        reached = max(reached, State.RESERVED, key=RANK.__getitem__)
    if maybe and call.function is Function.CONFIRM_ORDER:
        reached = max(reached, State.CONFIRMED, key=RANK.__getitem__)
    released = order.released_at
    if maybe and call.function is Function.RELEASE_PROFILE:
        released = released or event.now
    return replace(
        order,
        aim=aim,
        reached=reached,
        released_at=released,
        resumes=None,
        call=NO_CALL,
        cancel_as="available",
        cancel_plain=False,
        reason=event.reason or event.given.value.replace(" ", "-"),
    )


def undo_profile(order: Order, event: Event, _: Patience) -> Changed:
    """The SM-DP+ holds nothing for us any more; the rank says so."""
    stock = _given_back(order)
    if order.cancel_as == "quarantined" and not order.reuse:
        stock = StockState.QUARANTINED
    elif order.cancel_as == "unavailable":
        stock = StockState.BURNT
    return replace(order, reached=State.REQUESTED, call=NO_CALL, attempts=0), stock


def undo_line(order: Order, event: Event, _: Patience) -> Changed:
    return replace(order, line_touched=False, line_moved=False, attempts=0), None


def undo_otherwise(order: Order, event: Event, _: Patience) -> Changed:
    return replace(order, cancel_plain=True, call=NO_CALL, next_at=event.now), None


def undone(order: Order, event: Event, _: Patience) -> Changed:
    kept = order
    stock: StockState | None = None
    if order.iccid and order.reached is not State.REQUESTED:
        # Chosen, or people say that it is done: nothing is held at the SM-DP+.
        kept, stock = undo_profile(order, event, Patience())
    if order.aim is State.REQUESTED:
        return _without_profile(kept), stock
    return replace(kept, reached=State.REQUESTED), stock


def recover_forward(order: Order, event: Event, _: Patience) -> Changed:
    kept = replace(order, aim=None, call=NO_CALL, downloaded_at=order.downloaded_at or event.now)
    return replace(kept, reason="downloaded-before-cancelling"), StockState.RELEASED


def end_line(order: Order, event: Event, _: Patience) -> Changed:
    return replace(order, call=NO_CALL, reason=event.reason or "unsubscribed"), None


def close(order: Order, event: Event, _: Patience) -> Changed:
    return replace(order, reason=event.reason or event.given.value.replace(" ", "-")), None


def close_burnt(order: Order, event: Event, _: Patience) -> Changed:
    kept = replace(order, call=NO_CALL, reason=event.reason or event.given.value.replace(" ", "-"))
    # Who takes the line over may have taken its profile, too.
    return kept, StockState.BURNT if order.iccid and not event.reuse else None


def ask_people(order: Order, event: Event, _: Patience) -> Changed:
    why = event.reason or order.reason or event.given.value.replace(" ", "-")
    call = replace(order.call, doubt=order.call.doubt or order.call.state is CallState.SENDING)
    return replace(order, resumes=_resumable(order), reason=why, call=call), None


def _resumable(order: Order) -> State:
    beside = (State.DELAYED, State.IN_DOUBT)
    return order.reached if order.state in beside else order.state


def decided_retry(order: Order, event: Event, patience: Patience) -> Changed:
    return replace(order, attempts=0), None


def _given_back(order: Order) -> StockState | None:
    """To the pool; the profile of a line of today never goes there."""
    if not order.iccid:
        return None
    return StockState.DELETED if order.reuse else StockState.AVAILABLE


def _without_profile(order: Order) -> Order:
    return replace(
        order,
        smdp="",
        profile_type="",
        iccid="",
        new_imsi="",
        msisdn="",
        matching_id="",
        smdp_address="",
        smdp_oid="",
        reuse=False,
        call=NO_CALL,
        assumed=False,
        cancel_as="available",
        cancel_plain=False,
        released_at=0,
        downloaded_at=0,
        installed_at=0,
    )


_ACTIONS: Final[Mapping[Action, Callable[[Order, Event, Patience], Changed]]] = {
    action: globals()[action.value]
    for action in Action
    if action not in (Action.IGNORE, Action.DECIDED_DONE)
}


def explained(value: Any) -> str:  # noqa: ANN401 - an enum of es2plus or of a port
    """A value as one word of a reason."""
    return str(getattr(value, "value", value))
