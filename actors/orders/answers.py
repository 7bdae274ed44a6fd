"""What an answer of the SM-DP+ means for an order: pure.

Source: GSMA SGP.22 §5.3 for the codes. The standard neither has a status query nor promises to
recognise a repetition, so what a refusal means depends on whether an earlier attempt may have been
carried out: a profile that we may hold ourselves and that is "in use" is ours.
"""

from dataclasses import replace
from typing import Final

from actors.backends.smdp_plus import (
    Contradicted,
    Executed,
    NotExecuted,
    Outcome,
    OutcomeUnknown,
    ProfileState,
    Refused,
)
from actors.orders.machine import Event
from actors.orders.records import Order
from actors.orders.transitions import Input
from protocols.es2plus.requests import DownloadOrdered, OrderConfirmed
from protocols.es2plus.status_codes import Function, StatusClass

PROFILE_IN_USE: Final = "profile-in-use"
_MATCHING_ID_IN_USE: Final = ("8.2.6", "3.3")
_GOT_AWAY: Final = frozenset(
    {
        ProfileState.RELEASED,
        ProfileState.DOWNLOADED,
        ProfileState.INSTALLED,
        ProfileState.ENABLED,
        ProfileState.DISABLED,
    }
)


def read_outcome(
    order: Order, outcome: Outcome, blank: Event, *, elsewhere: bool, address: str, oid: str
) -> Event:
    """The event that an outcome of the order's open call is.

    Args:
        blank: carries the time, the jitter and a fresh matching id.
        elsewhere: another SM-DP+ could serve this order.
        address, oid: of the SM-DP+, for the activation code.
    """
    function = order.call.function
    assert function is not None  # noqa: S101 - there was a call
    match outcome:
        case Executed(result):
            return _executed(function, result, order, blank, address, oid)
        case NotExecuted(cause, retry_after):
            free = function is Function.DOWNLOAD_ORDER and not order.call.doubt and not order.reuse
            given = Input.TRY_ELSEWHERE if free and elsewhere else Input.CALL_NOT_EXECUTED
            return replace(
                blank, given=given, retry_after=retry_after, reason=f"smdp-{cause.value}"
            )
        case OutcomeUnknown(cause, retry_after):
            return replace(
                blank,
                given=Input.CALL_UNKNOWN,
                retry_after=retry_after,
                reason=f"smdp-{cause.value}",
                leak=function is Function.DOWNLOAD_ORDER and not order.iccid,
            )
        case Contradicted(contradiction):
            return replace(
                blank,
                given=Input.PROFILE_LOST,
                quarantine=True,
                leak=True,
                reason=f"contradiction: {contradiction.value}",
            )
        case Refused():
            return _refused(function, outcome, order, blank, address, oid)


def _executed(
    function: Function, result: object, order: Order, blank: Event, address: str, oid: str
) -> Event:
    match result:
        case DownloadOrdered(iccid):
            return replace(blank, given=Input.PROFILE_RESERVED, iccid=str(iccid))
        case OrderConfirmed(matching_id, _, smdp_address):
            return replace(
                blank,
                given=Input.PROFILE_CONFIRMED,
                matching_id=str(matching_id),
                smdp_address=smdp_address or address,
                smdp_oid=oid,
            )
    released = function is Function.RELEASE_PROFILE
    return replace(blank, given=Input.PROFILE_RELEASED if released else Input.PROFILE_CANCELLED)


def _refused(
    function: Function, refused: Refused, order: Order, blank: Event, address: str, oid: str
) -> Event:
    reason = f"smdp: {refused.code.text} ({refused.code})" if refused.code else "smdp: refused"
    blank = replace(
        blank,
        reason=reason,
        quarantine=refused.code is not None and refused.code.subject == "8.2.1",
    )
    if refused.status_class is StatusClass.TRANSIENT:
        return replace(blank, given=Input.CALL_NOT_EXECUTED)
    doubt = order.call.doubt or refused.after_doubt
    if doubt:
        blank = replace(blank, assumed=True)
    match function:
        case Function.DOWNLOAD_ORDER:
            return _download_refused(refused, order, blank, doubt)
        case Function.CONFIRM_ORDER:
            confirmed = replace(
                blank,
                given=Input.PROFILE_CONFIRMED,
                assumed=True,
                matching_id=order.matching_id,
                smdp_address=address,
                smdp_oid=oid,
            )
            return _confirm_refused(refused, order, blank, confirmed if doubt else None)
        case Function.RELEASE_PROFILE:
            return _release_refused(refused, order, blank, doubt)
    return _cancel_refused(refused, order, blank)


def _download_refused(refused: Refused, order: Order, blank: Event, doubt: bool) -> Event:
    match refused.status_class:
        case StatusClass.MAYBE_DONE if doubt:
            # Held by this order's own intent; ConfirmOrder decides.
            return replace(blank, given=Input.PROFILE_RESERVED, assumed=True)
        case StatusClass.MAYBE_DONE | StatusClass.ICCID_UNUSABLE if order.reuse:
            # The eUICC has not deleted it yet.
            reason = f"{PROFILE_IN_USE}: {blank.reason}"
            return replace(blank, given=Input.CALL_REFUSED, reason=reason, quarantine=False)
        case StatusClass.MAYBE_DONE | StatusClass.ICCID_UNUSABLE:
            return replace(blank, given=Input.ICCID_UNUSABLE)
        case StatusClass.POOL_EMPTY:
            return replace(blank, given=Input.TYPE_EXHAUSTED)
    return replace(blank, given=Input.CALL_REFUSED)


def _confirm_refused(
    refused: Refused, order: Order, blank: Event, confirmed: Event | None
) -> Event:
    code = refused.code
    match refused.status_class:
        case StatusClass.MATCHING_ID_TAKEN:
            in_use = code is not None and (code.subject, code.reason) == _MATCHING_ID_IN_USE
            if in_use and confirmed is not None:
                return confirmed  # probably by us; ReleaseProfile will tell
            return replace(blank, given=Input.MATCHING_ID_TAKEN)
        case StatusClass.MAYBE_DONE if confirmed is not None:
            return confirmed
        case StatusClass.ICCID_UNUSABLE:
            return replace(blank, given=Input.ICCID_UNUSABLE)
        case StatusClass.MAYBE_DONE | StatusClass.RECONCILE:
            # If we only believed that we hold it, somebody else does.
            given = Input.ICCID_UNUSABLE if order.assumed else Input.PROFILE_LOST
            return replace(blank, given=given, quarantine=True)
    return replace(blank, given=Input.CALL_REFUSED)


def _release_refused(refused: Refused, order: Order, blank: Event, doubt: bool) -> Event:
    match refused.status_class:
        case StatusClass.RECONCILE if order.assumed:
            # The matching id was another order's after all: nothing was confirmed.
            return replace(blank, given=Input.PROFILE_LOST, quarantine=False)
        case StatusClass.RECONCILE if doubt:
            # A released profile would have been released again: it is further, or back.
            return replace(blank, given=Input.CALL_UNCLEAR)
        case StatusClass.RECONCILE | StatusClass.ICCID_UNUSABLE:
            return replace(blank, given=Input.PROFILE_LOST, quarantine=True)
    return replace(blank, given=Input.CALL_REFUSED)


def _cancel_refused(refused: Refused, order: Order, blank: Event) -> Event:
    match refused.status_class:
        case StatusClass.MAYBE_DONE:
            return _too_late(order, blank)
        case StatusClass.ICCID_UNUSABLE:
            return replace(blank, given=Input.PROFILE_CANCELLED)
        case StatusClass.RECONCILE if not order.cancel_plain:
            return replace(blank, given=Input.CANCEL_OTHERWISE)
    return replace(blank, given=Input.CALL_UNCLEAR)


def _too_late(order: Order, blank: Event) -> Event:
    """CancelOrder: the profile was downloaded."""
    if order.cancel_as == "unavailable" and order.downloaded_at and not order.installed_at:
        # Known, and given up: it can be neither cancelled nor used again.
        return replace(blank, given=Input.PROFILE_CANCELLED)
    if order.reuse and not order.released_at:
        # In its life before: this order holds nothing.
        return replace(blank, given=Input.PROFILE_CANCELLED)
    if not (order.line_touched or order.reuse):
        return replace(blank, given=Input.CALL_UNCLEAR)
    return replace(blank, given=Input.ALREADY_DOWNLOADED)


def settled(order: Order, state: ProfileState, unclear: Event) -> Event:
    """What a vendor's status query says about a call that no rule explains."""
    if order.call.function is Function.CANCEL_ORDER:
        if state in (ProfileState.AVAILABLE, ProfileState.UNAVAILABLE):
            return replace(unclear, given=Input.PROFILE_CANCELLED)
        return _too_late(order, unclear) if state in _GOT_AWAY else unclear
    if order.call.function is Function.RELEASE_PROFILE:
        if state in _GOT_AWAY:
            return replace(unclear, given=Input.PROFILE_RELEASED)
        if state is ProfileState.CONFIRMED:
            return replace(unclear, given=Input.CALL_NOT_EXECUTED)
        if state in (ProfileState.AVAILABLE, ProfileState.ERROR):
            return replace(unclear, given=Input.PROFILE_LOST)
    return unclear
