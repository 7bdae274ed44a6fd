"""What a decision is made from, and what it is."""

from typing import NamedTuple

from msgspec import Struct

from actors.backends.bss import Plan, Subscriber
from config.model import Tenant
from protocols.ts43.document import Application, Parm
from protocols.ts43.messages import message

DISABLED = 0  # allowed, not provisioned (TS.43 v12, EntitlementStatus of every application)
ENABLED = 1
INCOMPATIBLE = 2  # cannot be offered
PROVISIONING = 3
INCLUDED = 4  # ap2010 real-time boost alone (table 87)


class DecisionInput(Struct):
    """Everything that a decision may depend on. Nobody changes one after it was built.

    Attributes:
        entitlement_version: (major, minor) of the request.
        language: as `protocols.ts43.messages.language_of` chose it.
        now: Unix time in seconds.
        boost_type: of a real-time boost request, None for any other (§9.7).
        operation: one of TS.43's; empty for none and for any other.
        notification_status: RegisterNotifStatus, None when the request had no notif_action.
    """

    subscriber: Subscriber
    plan: Plan
    tenant: Tenant
    entitlement_version: tuple[int, int]
    language: str
    now: float
    boost_type: int | None = None
    operation: str = ""
    notification_status: int | None = None


class Decision(NamedTuple):
    """The answer for one application, and why.

    Attributes:
        application: for the document.
        reason: a sentence for the operator, such as `VoWiFi 2: plan basic lacks vowifi`.
        entitlement_status: of the application as a whole, for counters.
        user_data_as: the contents type of the user data that belongs into the application's slot;
            None when it has no slot.
    """

    application: Application
    reason: str
    entitlement_status: int
    user_data_as: str | None = None


def text_of(given: DecisionInput, message_id: str) -> str:
    """A message in the client's language, the tenant's text before ours."""
    tenant = given.tenant
    return message(message_id, given.language, tenant.default_language, tenant.messages)


def notification_parms(given: DecisionInput) -> tuple[Parm, ...]:
    """RegisterNotifStatus, in each application when notif_action was sent (§2.9.5)."""
    if given.notification_status is None:
        return ()
    return (("RegisterNotifStatus", str(given.notification_status)),)
