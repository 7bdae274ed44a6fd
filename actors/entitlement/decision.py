"""What a decision is made from, and what it is."""

from dataclasses import dataclass
from typing import NamedTuple

from actors.backends.bss import Plan, Subscriber
from config.model import Tenant
from protocols.ts43.document import Application, Parm
from protocols.ts43.messages import message

DISABLED = 0  # allowed, not provisioned (TS.43 v12, EntitlementStatus of every application)
ENABLED = 1
INCOMPATIBLE = 2  # cannot be offered
PROVISIONING = 3
INCLUDED = 4  # ap2010 real-time boost alone (table 87)


@dataclass(frozen=True, slots=True)
class DataUsage:
    """One DataUsageInfoDetails row (TS.43 v12 table 79).

    Attributes:
        usage_type: 0 cellular, 1 tethering.
        used_bytes: octets used in this billing cycle.
        allowance_bytes: None when it is unlimited.
        end_of_billing_cycle: ISO 8601; empty when there is no end.
    """

    usage_type: int
    used_bytes: int
    name: str = ""
    description: str = ""
    allowance_bytes: int | None = None
    end_of_billing_cycle: str = ""


@dataclass(slots=True)
class DecisionInput:
    """Everything that a decision may depend on. Nobody changes one after it was built.

    Attributes:
        entitlement_version: (major, minor) of the request.
        language: as `protocols.ts43.messages.language_of` chose it.
        now: Unix time in seconds.
        boost_type: of a real-time boost request, None for any other (§9.7).
        user_data: for ServiceFlow_UserData, opaque; empty when there is none.
        notification_status: RegisterNotifStatus, None when the request had no notif_action.
        usage: what is known of the line's data usage.
    """

    subscriber: Subscriber
    plan: Plan
    tenant: Tenant
    entitlement_version: tuple[int, int]
    language: str
    now: float
    boost_type: int | None = None
    user_data: str = ""
    notification_status: int | None = None
    usage: tuple[DataUsage, ...] = ()


class Decision(NamedTuple):
    """The answer for one application, and why.

    Attributes:
        application: for the document.
        reason: a sentence for the operator, such as `VoWiFi 2: plan basic lacks vowifi`.
        entitlement_status: of the application as a whole, for counters.
    """

    application: Application
    reason: str
    entitlement_status: int


def text_of(given: DecisionInput, message_id: str) -> str:
    """A message in the client's language, the tenant's text before ours."""
    tenant = given.tenant
    return message(message_id, given.language, tenant.default_language, tenant.messages)


def notification_parms(given: DecisionInput) -> tuple[Parm, ...]:
    """RegisterNotifStatus, in each application when notif_action was sent (§2.9.5)."""
    if given.notification_status is None:
        return ()
    return (("RegisterNotifStatus", str(given.notification_status)),)
