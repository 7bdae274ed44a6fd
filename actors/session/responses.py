"""What a session answers: one function for each kind of HTTP response (GSMA TS.43 v12 §2.10).

Clients remember 400 and 403 until reboot, so only what can never succeed gets them; trouble of the
network or of our own is 503 with Retry-After and Date, and never 500.
"""

import base64
import gzip
from email.utils import formatdate
from typing import Final

from actors.backends.bss import Plan, Subscriber, SubscriberStatus
from actors.entitlement.applications import decide
from actors.entitlement.decision import Decision, DecisionInput
from actors.session.cookie import ResumePoint
from config.model import Tenant
from protocols.http.message import HttpResponse, text_response
from protocols.ts43.cookies import set_cookie
from protocols.ts43.document import Document
from protocols.ts43.json_document import render_json
from protocols.ts43.negotiation import EAP_RELAY_TYPE, JSON_TYPE, XML_TYPE, DocumentFormat
from protocols.ts43.request import Form, Ts43Request
from protocols.ts43.result_codes import Outcome
from protocols.ts43.xml_document import render_xml

GZIP_FROM_OCTETS: Final = 2_000  # a smaller document fits into the packets it takes anyway
GZIP_LEVEL: Final = 1  # text of tags: the higher levels cost more and gain nothing

XML_CONTENT: Final = XML_TYPE + b"; charset=utf-8"
_NO_STORE: Final = ((b"cache-control", b"no-store"),)
_GZIP: Final = (*_NO_STORE, (b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))


def challenge(packet: bytes, cookie: str) -> HttpResponse:
    """200 with the EAP request, one line of standard base64; the cookie is always the same one.

    Content-Type without charset: Samsung compares it as a whole.
    """
    body = b'{"eap-relay-packet":"%s"}' % base64.b64encode(packet)
    return HttpResponse(
        200, EAP_RELAY_TYPE, body, (*_NO_STORE, (b"set-cookie", set_cookie(cookie)))
    )


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
) -> tuple[HttpResponse, tuple[Decision, ...]]:
    """The final document: every application that was asked for, decided and rendered.

    Args:
        token_seconds: what is left of the token's validity.
        notification_status: RegisterNotifStatus, None when nothing was registered.
        wall_clock: seconds of Unix time.
    """
    given = DecisionInput(
        subscriber=subscriber,
        plan=plan,
        tenant=tenant,
        entitlement_version=request.entitlement_version,
        accept_language=request.form.language,
        now=wall_clock,
        boost_type=request.boost_type,
    )
    decisions = tuple(decide(app_id, given) for app_id in request.apps)
    versions = tenant.versions
    barred = subscriber.status is SubscriberStatus.BARRED
    rendered = Document(
        # §5.2 of the reply's VERS: 0, -1 and -2 tell the device to stop, each in its way.
        version=versions.barred if barred else 1,
        validity=versions.barred if barred else versions.validity_seconds,
        token=token,
        token_validity=token_seconds,
        applications=tuple(decision.application for decision in decisions),
        notification_status=notification_status,
    )
    return _rendered(rendered, request.form, tenant.prefer_json), decisions


def _rendered(content: Document, form: Form, prefer_json: bool) -> HttpResponse:
    if form.document_format(prefer_json) is DocumentFormat.JSON:
        content_type, body = JSON_TYPE, render_json(content)
    else:
        content_type, body = XML_CONTENT, render_xml(content)
    if form.gzip and len(body) >= GZIP_FROM_OCTETS:
        return HttpResponse(200, content_type, gzip.compress(body, GZIP_LEVEL, mtime=0), _GZIP)
    return HttpResponse(200, content_type, body, _NO_STORE)


def authenticate_again(text: str) -> HttpResponse:
    """511: the device shall authenticate, from the start or in another way."""
    return text_response(511, text, _NO_STORE)


def bad_request(text: str) -> HttpResponse:
    """400: what was sent can never be right."""
    return text_response(400, text, _NO_STORE)


def refused(outcome: Outcome) -> HttpResponse:
    """403: the AAA's word about this subscriber."""
    return text_response(403, f"refused: {outcome.name}", _NO_STORE)


def foreign() -> HttpResponse:
    """403: nobody here serves this subscriber."""
    return text_response(403, "no operator here serves this subscriber", _NO_STORE)


def unavailable(seconds: int, wall_clock: float, cause: str) -> HttpResponse:
    """503: try again in `seconds`. With Date, against which Samsung reads a relative time."""
    date = formatdate(wall_clock, usegmt=True).encode()
    return text_response(
        503,
        f"try again later: {cause}",
        (*_NO_STORE, (b"retry-after", b"%d" % seconds), (b"date", date)),
    )


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
        },
        Form([]),
    )
