"""CheckEligibility (GSMA TS.43 v12 §6.5.2): may this subscriber have another line on a device?

From the line and its plan, then what the business systems say, then how many companions there are.
"""

from actors.entitlement.decision import Decision
from actors.odsa.question import REFUSED, Question, answer, why_not
from actors.orders.port import Eligible
from actors.orders.records import OrderView, ServiceStatus
from protocols.ts43 import odsa_documents as documents
from protocols.ts43.applications import COMPANION_ODSA
from protocols.ts43.messages import ODSA_NOT_POSSIBLE, ODSA_TOO_MANY
from protocols.ts43.odsa import ELIGIBILITY_PARMS, AppEligibility
from protocols.ts43.odsa_documents import Polling, WebView
from protocols.ts43.odsa_request import OdsaRequest

_USED = (ServiceStatus.ACTIVATED, ServiceStatus.ACTIVATING, ServiceStatus.DEACTIVATED)


def standing(
    question: Question,
    request: OdsaRequest,
    eligible: Eligible | None,
    companions: tuple[OrderView, ...],
) -> tuple[AppEligibility, tuple[str, ...], str, str]:
    """(eligibility, services of a companion, reason, id of the message for the user).

    Args:
        eligible: what the business systems say; None: they were not asked.
        companions: the subscriber's, with the orders that are not finished.
    """
    reason, message_id = why_not(question)
    if reason:
        return AppEligibility.DISABLED, (), reason, message_id
    if eligible is not None and eligible.eligibility.value != AppEligibility.ENABLED:
        reason = f"the business systems say no: {eligible.reason or 'no reason'}"
        return AppEligibility(eligible.eligibility.value), (), reason, ODSA_NOT_POSSIBLE
    if question.app != COMPANION_ODSA:
        return AppEligibility.ENABLED, (), "", ""
    most = question.tenant.odsa.max_companions
    others = sum(_used(view) and not _is(view, request) for view in companions)
    if others >= most:
        return AppEligibility.DISABLED, (), f"{others} companions of {most}", ODSA_TOO_MANY
    services = services_of(question, eligible)
    if not services:
        return AppEligibility.DISABLED, (), "no companion service is sold", ODSA_NOT_POSSIBLE
    return AppEligibility.ENABLED, services, "", ""


def services_of(question: Question, eligible: Eligible | None) -> tuple[str, ...]:
    """The tenant's companion services, as far as the business systems sell them."""
    own = question.tenant.odsa.companion_services
    if eligible is None or not eligible.services:
        return own
    sold = {service.value for service in eligible.services}
    return tuple(name for name in own if name in sold)


def decide_eligibility(
    question: Question,
    request: OdsaRequest,
    eligible: Eligible | None,
    companions: tuple[OrderView, ...],
) -> Decision:
    """The answer to CheckEligibility."""
    found, services, reason, _ = standing(question, request, eligible, companions)
    odsa = question.tenant.odsa
    minutes = odsa.eligibility_polling_minutes
    application = documents.eligibility(
        question.app,
        found,
        services=services,
        not_enabled=WebView(odsa.not_enabled_url) if odsa.not_enabled_url else None,
        polling=Polling(minutes) if minutes else None,
    )
    words = f"{ELIGIBILITY_PARMS[question.app]} {int(found)}"
    if found is AppEligibility.ENABLED:
        more = f": {', '.join(services)}" if services else f": plan {question.plan.plan_id}"
        return answer(question, application, words + more)
    decision = answer(question, application, f"{words}: {reason}")
    return decision._replace(entitlement_status=REFUSED)


def _used(view: OrderView) -> bool:
    return view.app == COMPANION_ODSA and view.service_status in _USED


def _is(view: OrderView, request: OdsaRequest) -> bool:
    """Whether a view is of the companion that the request is about."""
    managed = request.managed
    if managed.eid is not None and view.target_eid:
        return view.target_eid == managed.eid
    return bool(managed.id) and view.target_terminal_id == managed.id
