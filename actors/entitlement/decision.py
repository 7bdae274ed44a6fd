"""What a decision is made from, and what it is: a pure function from one to the other.

The statuses are those of GSMA TS.43 v12 (§3.1 and others): 0 allowed but not set up, 1 enabled,
2 cannot be offered, 3 being set up.
"""

from dataclasses import dataclass
from enum import IntEnum

from actors.backends.bss import Plan, Subscriber, SubscriberStatus
from config.model import Tenant
from protocols.ts43.document import Application, plain_text
from protocols.ts43.messages import LINE_ENDED, LINE_SUSPENDED, language_of, message


class EntitlementStatus(IntEnum):
    """EntitlementStatus, the same numbers for every application."""

    DISABLED = 0
    ENABLED = 1
    INCOMPATIBLE = 2
    PROVISIONING = 3


@dataclass(frozen=True, slots=True)
class DecisionInput:
    """Everything that a decision may depend on.

    Attributes:
        entitlement_version: (major, minor) of the request.
        accept_language: as sent, empty when absent.
        now: wall clock in seconds of Unix time.
        websheet_user_data: what a web sheet of this subscriber is opened with.
        boost_type: of a real-time boost request, None when it is none (ap2010).
    """

    subscriber: Subscriber
    plan: Plan
    tenant: Tenant
    entitlement_version: tuple[int, int]
    accept_language: str
    now: float
    websheet_user_data: str = ""
    boost_type: int | None = None

    def text(self, message_id: str) -> str:
        """A message in the device's language; a line that is not active is told so instead."""
        if self.subscriber.status is SubscriberStatus.SUSPENDED:
            message_id = LINE_SUSPENDED
        elif self.subscriber.status is not SubscriberStatus.ACTIVE:
            message_id = LINE_ENDED
        tenant = self.tenant
        language = language_of(self.accept_language, tenant.default_language, tenant.messages)
        return plain_text(message(message_id, language, tenant.default_language, tenant.messages))


@dataclass(frozen=True, slots=True)
class Decision:
    """One application's answer.

    Attributes:
        application: its part of the document.
        reason: a sentence for the operator, such as "VoWiFi 0: plan basic lacks vowifi".
    """

    application: Application
    reason: str


@dataclass(frozen=True, slots=True)
class Service:
    """Whether the subscriber may use one service, and why."""

    status: EntitlementStatus
    why: str


_OVERRIDES = {
    "allowed": EntitlementStatus.ENABLED,
    "blocked": EntitlementStatus.INCOMPATIBLE,
    "provisioning": EntitlementStatus.PROVISIONING,
    "disabled": EntitlementStatus.DISABLED,
}


def service(given: DecisionInput, name: str) -> Service:
    """The state of a service, before anything that only its application knows."""
    subscriber, plan = given.subscriber, given.plan
    if subscriber.status is not SubscriberStatus.ACTIVE:
        return Service(EntitlementStatus.INCOMPATIBLE, f"the line is {subscriber.status.value}")
    for service_name, override in subscriber.overrides:
        if service_name == name:
            return Service(_OVERRIDES[override], f"{name} is {override} for this line")
    if name in plan.services:
        return Service(EntitlementStatus.ENABLED, f"plan {plan.plan_id} has {name}")
    return Service(EntitlementStatus.INCOMPATIBLE, f"plan {plan.plan_id} lacks {name}")
