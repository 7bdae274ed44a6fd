"""ap2005, SMS over IP (GSMA TS.43 v12 §5): one status."""

from actors.entitlement.decision import Decision, DecisionInput, service
from protocols.ts43.document import Application


def decide_sms(given: DecisionInput) -> Decision:
    """Whether the device may send SMS over IMS."""
    found = service(given, "smsoip")
    application = Application("ap2005", (("EntitlementStatus", str(int(found.status))),))
    return Decision(application, f"SMSoIP {int(found.status)}: {found.why}")
