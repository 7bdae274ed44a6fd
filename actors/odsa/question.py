"""What an operation is decided from, and what every answer is made of. Pure."""

from typing import Final

from msgspec import Struct

from actors.backends.bss import Plan, Subscriber, SubscriberStatus
from actors.entitlement.decision import Decision, DecisionInput, text_of
from actors.orders.port import TemporaryToken
from config.model import Tenant
from protocols.ts43 import odsa_documents as documents
from protocols.ts43.applications import APPLICATION_NAMES, COMPANION_ODSA
from protocols.ts43.document import Application
from protocols.ts43.messages import (
    LINE_ENDED,
    LINE_SUSPENDED,
    ODSA_BAD_REQUEST,
    ODSA_NOT_POSSIBLE,
)
from protocols.ts43.odsa import OperationResult, SubscriptionResult
from protocols.ts43.odsa_documents import WebView
from protocols.ts43.odsa_request import OdsaFault, OdsaRequest, read_odsa

REFUSED: Final = 0  # for counters, in the place of an EntitlementStatus
DONE: Final = 1


class Unanswered(Struct, frozen=True):
    """Nobody could be asked now; the device comes back.

    Attributes:
        cause: a counter's word.
    """

    cause: str


class Question(Struct):
    """One operation of an authenticated subscriber. Nobody changes one after it was built.

    Attributes:
        app, operation: what is asked, of which application.
        params: of the request, by lower-case name.
        given: subscriber, plan, tenant, language and time.
        known: the BSS has the subscriber.
        terminal_id: of the device that asks.
        token: the temporary token that authorised this; None: the device authenticated itself.
        budget_seconds: how long the device may wait.
    """

    app: str
    operation: str
    params: dict[str, str]
    given: DecisionInput
    known: bool
    terminal_id: str
    token: TemporaryToken | None = None
    budget_seconds: float = 0.0

    @property
    def tenant(self) -> Tenant:
        """Whose subscriber it is."""
        return self.given.tenant

    @property
    def subscriber(self) -> Subscriber:
        """Who asks, and pays."""
        return self.given.subscriber

    @property
    def plan(self) -> Plan:
        """What the subscriber bought."""
        return self.given.plan

    def read(self) -> OdsaRequest:
        """The parameters as values, checked against the tenant's rules too.

        Raises:
            OdsaFault: with OperationResult and reason.
        """
        request = read_odsa(self.app, self.operation, self.params)
        eid = request.managed.eid
        strict = self.tenant.odsa.eid_check_digits
        if strict and eid is not None and not eid.check_digits_are_valid:
            raise OdsaFault(OperationResult.INVALID_PARAMETER, "the EID's check digits are wrong")
        return request


def answer(question: Question, application: Application, reason: str) -> Decision:
    """An operation that was done, or has a result of its own."""
    slots = any(name.endswith("UserData") for name, _ in application.parms)
    contents_type = None
    if slots:
        contents_type = next(
            (value for name, value in application.parms if name.endswith("ContentsType")), ""
        )
    return Decision(application, _reason(question, reason), DONE, contents_type)


def refuse(question: Question, fault: OdsaFault) -> Decision:
    """An operation that fails, with words for the user and a hint for the hotline (table 38)."""
    url = question.tenant.odsa.error_url
    blamed = fault.result in (OperationResult.INVALID_PARAMETER, OperationResult.INVALID_OPERATION)
    text = text_of(question.given, ODSA_BAD_REQUEST if blamed else ODSA_NOT_POSSIBLE)
    application = documents.failure(
        question.app,
        fault.result,
        text="" if url else f"{text} ({fault.reason})",
        page=WebView(url) if url else None,
    )
    decision = answer(question, application, f"{int(fault.result)}: {fault.reason}")
    return decision._replace(entitlement_status=REFUSED)


def dismiss(question: Question, reason: str, message_id: str = ODSA_NOT_POSSIBLE) -> Decision:
    """SubscriptionResult 5: the flow ends without a profile, and nobody is to blame."""
    application = documents.subscription(
        question.app, SubscriptionResult.DISMISS, text=text_of(question.given, message_id)
    )
    decision = answer(question, application, f"DISMISS: {reason}")
    return decision._replace(entitlement_status=REFUSED)


def portal(question: Question, reason: str) -> Decision:
    """SubscriptionResult 1: the rest happens in the operator's web sheet."""
    odsa = question.tenant.odsa
    application = documents.subscription(
        question.app,
        SubscriptionResult.CONTINUE_TO_WEBSHEET,
        web_sheet=WebView(odsa.portal_url, odsa.portal_contents_type),
    )
    return answer(question, application, f"CONTINUE_TO_WEBSHEET: {reason}")


def why_not(question: Question) -> tuple[str, str]:
    """Why this subscriber cannot use the application: (reason, id of the message); empty: may.

    The line's status, then the line's own override, then the plan.
    """
    line, odsa = question.subscriber, question.tenant.odsa
    if not question.known:
        return "the BSS does not know the subscriber", ODSA_NOT_POSSIBLE
    if line.status is SubscriberStatus.TERMINATED:
        return "the line is terminated", LINE_ENDED
    if line.status is not SubscriberStatus.ACTIVE:
        return f"the line is {line.status.value}", LINE_SUSPENDED
    companion = question.app == COMPANION_ODSA
    name = "companion" if companion else "esim"
    override = dict(line.overrides).get(name)
    if override is not None:
        allowed = override == "allowed"
        return ("", "") if allowed else (f"{name} is {override} for this line", ODSA_NOT_POSSIBLE)
    plans = odsa.companion_plans if companion else odsa.primary_plans
    if plans and question.plan.plan_id not in plans:
        return f"plan {question.plan.plan_id} has no {name}", ODSA_NOT_POSSIBLE
    return "", ""


# What says most of an answer, in this order.
_TELLING: Final = (
    "SubscriptionResult",
    "PrimaryAppEligibility",
    "CompanionAppEligibility",
    "EnterpriseAppEligibility",
    "ServiceStatus",
    "PhoneNumberVerification",
)


def result_of(decision: Decision) -> str:
    """What the device was told, in two words for counters."""
    parms = dict(decision.application.parms)
    result = parms.get("OperationResult", "")
    if result == str(int(OperationResult.SUCCESS)):
        for name in _TELLING:
            if name in parms:
                return f"{name} {parms[name]}"
    return f"OperationResult {result}"


def with_notification(decision: Decision, parms: tuple[tuple[str, str], ...]) -> Decision:
    """The decision with RegisterNotifStatus, which is known last (§2.9.5)."""
    if not parms:
        return decision
    application = decision.application
    return decision._replace(application=application._replace(parms=application.parms + parms))


def _reason(question: Question, reason: str) -> str:
    name = APPLICATION_NAMES.get(question.app, question.app)
    return f"{name} {question.operation}: {reason}"
