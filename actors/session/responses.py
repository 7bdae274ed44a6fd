"""What a session answers: one function for each kind of HTTP response (GSMA TS.43 v12 §2.10).

Clients remember 400 and 403 until reboot, so only what can never succeed gets them; trouble of the
network or of our own is 503 with Retry-After and Date, and never 500.
"""

from actors.backends.bss import Plan, Subscriber
from actors.entitlement.composition import document as compose
from actors.entitlement.decision import Decision, DecisionInput, notification_parms
from actors.entitlement.remembered import RememberedDecisions
from actors.odsa.question import with_notification
from actors.session.cookie import ResumePoint
from actors.session.user_data import UserData, UserDataSeal, in_form
from config.model import Tenant
from protocols.http.message import HttpResponse, text_response
from protocols.ts43.messages import language_of
from protocols.ts43.operations import OPERATION_NAMES
from protocols.ts43.request import EapRelayAnswer, Ts43Request
from protocols.ts43.responses import document_response


def document(
    request: Ts43Request,
    tenant: Tenant,
    subscriber: Subscriber,
    plan: Plan,
    *,
    token: str,
    token_seconds: int,
    notification_status: int | None,
    wall_clock: float,
    gzip_from_octets: int,
    remembered: RememberedDecisions,
    user_data: UserDataSeal,
    decided: Decision | None = None,
) -> tuple[HttpResponse, tuple[Decision, ...]]:
    """The final document: every application that was asked for, decided and rendered.

    Args:
        token_seconds: what is left of the token's validity.
        notification_status: RegisterNotifStatus, None when nothing was registered.
        wall_clock: seconds of Unix time.
        gzip_from_octets: smaller documents stay as they are.
        remembered: decisions that were made before.
        user_data: seals what web sheets need to know.
        decided: the answer to an operation, for the application that it is of.
    """
    given = decision_input(
        tenant,
        subscriber,
        plan,
        entitlement_version=request.entitlement_version,
        accept_language=request.accept_language,
        wall_clock=wall_clock,
        boost_type=request.boost_type,
        operation=request.operation,
        notification_status=notification_status,
    )
    if decided is None:
        decisions = remembered.decide(request.apps, given)
    else:
        decisions = _beside(decided, request.apps, given, remembered)
    content = compose(
        decisions,
        subscriber,
        tenant,
        token=token,
        token_validity_seconds=token_seconds,
        fillings=_user_data(decisions, given, request.terminal_id, user_data),
    )
    form = request.format_for(tenant.prefer_json)
    return document_response(content, form, request.accepts_gzip, gzip_from_octets), decisions


def _beside(
    decided: Decision,
    apps: tuple[str, ...],
    given: DecisionInput,
    remembered: RememberedDecisions,
) -> tuple[Decision, ...]:
    """The answer to an operation, and what else was asked for with it."""
    own = with_notification(decided, notification_parms(given))
    app_id = own.application.app_id
    return tuple(own if one == app_id else remembered.decide((one,), given)[0] for one in apps)


def _user_data(
    decisions: tuple[Decision, ...], given: DecisionInput, terminal_id: str, seal: UserDataSeal
) -> tuple[str, ...]:
    """The value of each ServiceFlow_UserData in the document; nothing is sealed without one."""
    tenant, imsi = given.tenant, given.subscriber.imsi
    values = []
    for decision in decisions:
        contents_type = decision.user_data_as
        if contents_type is not None:
            expires = int(given.now) + tenant.web_sheet_seconds
            app_id = decision.application.app_id
            data = UserData(expires, tenant.id, imsi, app_id, terminal_id, given.language)
            values.append(in_form(seal.seal(data), contents_type))
    return tuple(values)


def decision_input(
    tenant: Tenant,
    subscriber: Subscriber,
    plan: Plan,
    *,
    entitlement_version: tuple[int, int],
    accept_language: str,
    wall_clock: float,
    boost_type: int | None = None,
    operation: str = "",
    notification_status: int | None = None,
) -> DecisionInput:
    """What the decisions of one request are made from; `operation` may be anything."""
    return DecisionInput(
        subscriber=subscriber,
        plan=plan,
        tenant=tenant,
        entitlement_version=entitlement_version,
        language=language_of(accept_language, tenant.default_language, tenant.messages),
        now=wall_clock,
        boost_type=boost_type,
        operation=operation if operation in OPERATION_NAMES else "",
        notification_status=notification_status,
    )


def take_form(request: Ts43Request, answer: EapRelayAnswer) -> None:
    """The document is for the leg that asks for it last: its Accept and language count."""
    request.document_format = answer.document_format
    request.takes_both_formats = answer.takes_both_formats
    request.accept_language = answer.accept_language or request.accept_language
    request.accepts_gzip = answer.accepts_gzip


def bad_request(text: str) -> HttpResponse:
    """400: what was sent can never be right."""
    return text_response(400, text)


def resumed_request(point: ResumePoint) -> Ts43Request:
    """The request of an exchange that a sealed cookie describes; its form comes with the answer."""
    return Ts43Request(
        {
            "app": ",".join(point.apps),
            "terminal_id": point.terminal_id,
            "requestor_id": "resumed",  # a request may have come without terminal_id
            "entitlement_version": f"{point.version[0]}.{point.version[1]}",
            "app_name": point.app_name,
            "eap_id": point.eap_id,
            **({} if point.boost_type is None else {"boost_type": str(point.boost_type)}),
        }
    )
