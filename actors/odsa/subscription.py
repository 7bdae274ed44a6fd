"""ManageSubscription (GSMA TS.43 v12 §6.5.3): what is ordered, and what the device is told.

Stateless: a repetition of a request leads to the same order (Q: old devices repeat a transfer), and
an order's view to the same answer.
"""

import re
from typing import Final

from actors.entitlement.decision import Decision, text_of
from actors.odsa.question import REFUSED, Question, answer, dismiss, portal
from actors.orders.records import Device, Kind, OrderRequest, OrderView, Progress, Service
from protocols.identity import Eid, Imsi
from protocols.ts43 import odsa_documents as documents
from protocols.ts43.applications import COMPANION_ODSA, SERVER_ODSA
from protocols.ts43.messages import (
    ODSA_BUSY,
    ODSA_INPUT,
    ODSA_INPUT_FAILED,
    ODSA_INPUT_HINT,
    ODSA_INPUT_TITLE,
)
from protocols.ts43.odsa import OperationResult, OperationType, SubscriptionResult
from protocols.ts43.odsa_documents import Download
from protocols.ts43.odsa_message import UserMessage, message_characteristic
from protocols.ts43.odsa_request import OdsaFault, OdsaRequest

KINDS: Final = {
    OperationType.SUBSCRIBE: Kind.SUBSCRIBE,
    OperationType.UNSUBSCRIBE: Kind.UNSUBSCRIBE,
    OperationType.TRANSFER: Kind.TRANSFER,
    OperationType.RECOVER: Kind.RECOVER,
}
# As [tenants.odsa] names them.
_NAMES: Final = {
    OperationType.SUBSCRIBE: "subscribe",
    OperationType.UNSUBSCRIBE: "unsubscribe",
    OperationType.CHANGE: "change",
    OperationType.TRANSFER: "transfer",
    OperationType.RECOVER: "recover",
}
_MSISDN_END: Final = 4  # digits


def kind_of(request: OdsaRequest) -> Kind:
    """What is ordered.

    Raises:
        KeyError: nothing is.
    """
    return KINDS[OperationType.SUBSCRIBE if request.kind is None else request.kind]


def before_order(question: Question, request: OdsaRequest) -> Decision | None:
    """What the device is told before anybody is asked; None: go on.

    The user's consent or answer (MSG), and whether the device can do what the tenant needs.

    Raises:
        OdsaFault: INVALID_MSG_RESPONSE (104).
    """
    odsa, kind = question.tenant.odsa, request.kind
    transfer = kind is OperationType.TRANSFER
    if transfer and odsa.redownloadable_only and not request.redownloadable:
        result = SubscriptionResult.REDOWNLOADABLE_PROFILE_IS_MANDATORY
        application = documents.subscription(question.app, result)
        decision = answer(question, application, "the device cannot fetch a profile again")
        return decision._replace(entitlement_status=REFUSED)
    if request.accepted is False:
        return dismiss(question, "the user declined")
    name = _NAMES.get(kind, "") if kind is not None else ""
    if name not in odsa.user_input.operations:
        return None
    if request.accepted is None:
        return _ask_user(question, request)
    _check_response(question, request)
    return None


def in_portal(question: Question, kind: OperationType | None) -> bool:
    """Whether the tenant does this in its web sheet."""
    name = _NAMES.get(kind, "") if kind is not None else ""
    return name in question.tenant.odsa.portal_operations


def order_of(
    question: Question, request: OdsaRequest, *, eid: Eid | None = None, services: tuple[str, ...]
) -> OrderRequest:
    """What is asked of the orders' desk.

    Args:
        eid: of the line that is recovered, when the request does not name it.
        services: of a companion, the first one when the request names none.

    Raises:
        OdsaFault: INVALID_PARAMETER: the service is not sold, or no EID is known.
    """
    kind, managed = kind_of(request), request.managed
    service = Service.PRIMARY
    if question.app == COMPANION_ODSA and kind is not Kind.UNSUBSCRIBE:
        wanted = request.service or next(iter(services), "")
        if wanted not in services:
            reason = "companion_terminal_service is not offered"
            raise OdsaFault(OperationResult.INVALID_PARAMETER, reason)
        service = Service(wanted)
    target = managed.eid or eid
    if target is None and kind is not Kind.UNSUBSCRIBE:
        raise OdsaFault(OperationResult.INVALID_PARAMETER, "the EID of the target is missing")
    return OrderRequest(
        tenant=question.tenant.id,
        app=question.app,
        kind=kind,
        imsi=Imsi(question.subscriber.imsi),
        target_eid=target,
        target_terminal_id=managed.id,
        iccid=managed.iccid if kind in (Kind.RECOVER, Kind.UNSUBSCRIBE) else None,
        old_terminal_id=_old_terminal(question, request) if kind is Kind.TRANSFER else "",
        old_iccid=request.old_iccid if kind is Kind.TRANSFER else None,
        service=service,
        plan_id=request.plan_id,
        device=Device(
            vendor=managed.vendor,
            model=managed.model,
            sw_version=managed.sw_version,
            friendly_name=managed.friendly_name,
            device_class=_device_class(question.app),
        ),
        user_input_missing=in_portal(question, request.kind),
        token_hash=b"" if question.token is None else question.token.token_hash,
    )


def _old_terminal(question: Question, request: OdsaRequest) -> str:
    """A transfer that names no old device leaves the one that authenticated (§8.7, §8.9)."""
    if request.old_id:
        return request.old_id
    if question.token is not None:
        return question.token.terminal_id
    return question.terminal_id


def _device_class(app: str) -> str:
    if app == COMPANION_ODSA:
        return "watch"
    return "" if app == SERVER_ODSA else "phone"


def told(question: Question, view: OrderView) -> Decision:
    """SubscriptionResult of an order as it stands."""
    progress = view.progress
    if progress is Progress.WEB_SHEET:
        if question.tenant.odsa.portal_url:
            return portal(question, f"order {view.state.value}")
        return dismiss(question, "the user is needed and there is no portal")
    if progress is Progress.DISMISS:
        message = {"message_id": ODSA_BUSY} if view.conflicting else {}
        return dismiss(question, f"order {view.state.value}: {view.reason or '-'}", **message)
    download = download_of(question, view)
    if progress is Progress.DOWNLOAD and download is None:
        progress = Progress.DELAYED
    result = SubscriptionResult(progress.value)
    application = documents.subscription(question.app, result, download=download)
    again = ", asked for before" if view.repeated else ""
    return answer(question, application, f"{result.name}: order {view.state.value}{again}")


def download_of(question: Question, view: OrderView) -> Download | None:
    """DownloadInfo of an order; None while there is none, or no more."""
    code = view.activation_code
    if code is None:
        return None
    if not code.matching_id:  # prepared for the default SM-DP+ address of the device
        return Download(view.iccid, "", (code.smdp_address,))
    prefix = question.tenant.odsa.activation_code_prefix
    return Download(view.iccid, code.profile_activation_code(qr_prefix=prefix))


def done(question: Question, reason: str) -> Decision:
    """SubscriptionResult 3."""
    application = documents.subscription(question.app, SubscriptionResult.DONE)
    return answer(question, application, f"DONE: {reason}")


# --- MSG ------------------------------------------------------------------------------------------


def _ask_user(question: Question, request: OdsaRequest) -> Decision:
    """SubscriptionResult 8 with the message (§8.9, §8.12.2, §8.13.2)."""
    asked, given = question.tenant.odsa.user_input, question.given
    message = UserMessage(
        title=text_of(given, ODSA_INPUT_TITLE),
        message=text_of(given, ODSA_INPUT),
        free_text=asked.free_text,
        hint=text_of(given, ODSA_INPUT_HINT) if asked.free_text else "",
        pattern=asked.pattern,
        failed_text=text_of(given, ODSA_INPUT_FAILED) if asked.pattern else "",
    )
    application = documents.subscription(
        question.app,
        SubscriptionResult.REQUIRES_USER_INPUT,
        message=message_characteristic(message, request.display_limits),
    )
    return answer(question, application, "REQUIRES_USER_INPUT")


def _check_response(question: Question, request: OdsaRequest) -> None:
    """Whether what the user typed will do.

    Raises:
        OdsaFault: INVALID_MSG_RESPONSE.
    """
    asked, typed = question.tenant.odsa.user_input, request.message_response
    if not asked.free_text:
        return
    good = bool(typed)
    if asked.pattern:
        good = re.fullmatch(asked.pattern, typed) is not None
    if good and asked.expected == "msisdn-end":
        good = bool(typed) and question.subscriber.msisdn.endswith(typed)
        good = good and len(typed) == _MSISDN_END
    if not good:
        raise OdsaFault(OperationResult.INVALID_MSG_RESPONSE, "MSG_response is not what was asked")
