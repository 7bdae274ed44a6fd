"""What an HTTP answer of an SM-DP+ means for the call: pure, one table.

Source: GSMA SGP.22 §6.3 (every result of a function is HTTP 200; anything else is transport), and
ours: which transport status leaves it unknown whether the function was executed. 429 and 503 say
that the request was not handled (RFC 6585 §4, RFC 9110 §15.6.4); 500, 502 and 504 may come from
anywhere behind.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from actors.backends.smdp_plus import (
    Call,
    Cause,
    Contradicted,
    Contradiction,
    Executed,
    NotExecuted,
    Outcome,
    OutcomeUnknown,
    Refused,
)
from protocols.es2plus.bodies import ExecutionStatus, Response, decode_response
from protocols.es2plus.failures import Es2PlusError
from protocols.es2plus.identifiers import ActivationCode, MatchingId
from protocols.es2plus.requests import (
    ConfirmOrder,
    Done,
    DownloadOrder,
    DownloadOrdered,
    OrderConfirmed,
    Result,
)
from protocols.es2plus.status_codes import Function, StatusClass, status_class
from protocols.identity import masked

LONGEST_RETRY_AFTER_SECONDS: Final = 86_400.0
_MESSAGE_SYMBOLS: Final = 200
_DIGITS: Final = re.compile(r"[0-9]{8,}")
# HTTP statuses after which the same call is sent again at once; others wait for the background.
_AT_ONCE: Final = frozenset({408, 429, 502, 503, 504})
_NOT_HANDLED: Final = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def interpret(call: Call, answer: HttpAnswer, now: float) -> tuple[Outcome, bool]:
    """The outcome of a call, and whether to repeat it at once.

    Args:
        call: that was sent.
        answer: that came.
        now: seconds since 1970, for a Retry-After that is a date.
    """
    if answer.status == 200:
        try:
            return _of_function(call, decode_response(answer.body)), False
        except Es2PlusError as error:
            return OutcomeUnknown(Cause.MALFORMED_ANSWER, detail=str(error)), False
    return transport_outcome(answer, now), answer.status in _AT_ONCE


def transport_outcome(answer: HttpAnswer, now: float) -> NotExecuted | OutcomeUnknown | Refused:
    """The outcome of an answer that is not 200."""
    status = answer.status
    wait = retry_after_seconds(answer.headers.get("retry-after"), now)
    if status in _NOT_HANDLED:
        return NotExecuted(Cause.OVERLOADED, wait, f"HTTP {status}")
    if status >= 500 or status == 408:
        return OutcomeUnknown(Cause.SERVER_ERROR, wait, f"HTTP {status}")
    if status < 300:
        return OutcomeUnknown(Cause.MALFORMED_ANSWER, detail=f"HTTP {status} instead of 200")
    # 4xx, and redirects, which are not followed: the client certificate is for one peer alone.
    return Refused(None, StatusClass.FATAL_CONFIGURATION, f"HTTP {status}", status)


def retry_after_seconds(value: str | None, now: float) -> float:
    """Seconds or a date (RFC 9110 §10.2.3); 0 when it is absent, malformed or over."""
    if not value:
        return 0.0
    text = value.strip()
    try:
        wait = float(text) if text.isdigit() else parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0
    return min(max(wait, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def refusal(function: Function, status: ExecutionStatus) -> Refused:
    """A failure that the function itself reported."""
    code = status.code
    return Refused(code, status_class(function, code), for_people(status.message))


def for_people(message: str) -> str:
    """A peer's text without whole identities."""
    shown = _DIGITS.sub(lambda match: masked(match[0]), message[:_MESSAGE_SYMBOLS])
    return "".join(symbol if symbol.isprintable() else " " for symbol in shown)


def _of_function(call: Call, response: Response) -> Outcome:
    status = response.status
    if not status.succeeded:
        return refusal(call.function, status)
    result: Result | Contradicted | OutcomeUnknown
    match call.request:
        case DownloadOrder():
            result = _download_ordered(call.request, response)
        case ConfirmOrder():
            result = _order_confirmed(call.request, response)
        case _:
            result = Done()
    if isinstance(result, DownloadOrdered | OrderConfirmed | Done):
        warned = status.status == "Executed-WithWarning"
        return Executed(result, warned, status.code if warned else None)
    return result


def _download_ordered(
    request: DownloadOrder, response: Response
) -> DownloadOrdered | Contradicted | OutcomeUnknown:
    iccid = response.iccid or request.iccid
    if iccid is None:
        # A profile is reserved that nobody knows.
        return OutcomeUnknown(Cause.MALFORMED_ANSWER, detail="there is no iccid")
    if request.iccid is not None and iccid != request.iccid:
        return Contradicted(Contradiction.OTHER_ICCID, iccid)
    return DownloadOrdered(iccid)


def _order_confirmed(request: ConfirmOrder, response: Response) -> OrderConfirmed | Contradicted:
    # The schema of v2.2 does not require matchingId, so that one may miss that we sent.
    matching_id = response.matching_id
    if matching_id is None:
        matching_id = request.matching_id
    if matching_id is None:
        return Contradicted(Contradiction.NO_MATCHING_ID)
    if request.matching_id is not None and matching_id != request.matching_id:
        return Contradicted(Contradiction.OTHER_MATCHING_ID)
    if request.eid is not None and response.eid not in (None, request.eid):
        return Contradicted(Contradiction.OTHER_EID)
    if response.smdp_address and not _is_host(response.smdp_address):
        return Contradicted(Contradiction.UNUSABLE_ADDRESS)
    return OrderConfirmed(matching_id, response.eid or request.eid, response.smdp_address)


def _is_host(text: str) -> bool:
    try:
        ActivationCode(text, MatchingId(""))
    except ValueError:
        return False
    return True
