"""ap2005, SMS over IP (GSMA TS.43 v12 §5): one status and nothing else."""

from actors.entitlement.decision import Decision, DecisionInput, notification_parms
from actors.entitlement.services import standing
from protocols.ts43.applications import SMS_OVER_IP
from protocols.ts43.document import Application


def decide_sms(given: DecisionInput) -> Decision:
    """EntitlementStatus of SMS over IP."""
    found = standing(given, "smsoip")
    parms = (("EntitlementStatus", str(found.status)), *notification_parms(given))
    return Decision(
        Application(SMS_OVER_IP, parms), f"SMSoIP {found.status}: {found.reason}", found.status
    )
