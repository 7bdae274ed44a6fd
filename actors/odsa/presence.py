"""An application of operations that was asked for without one (GSMA TS.43 v12 §8.7 step 1).

Devices do so to be authenticated and get a token; the operation comes with the next request.
"""

from actors.entitlement.decision import Decision, DecisionInput, notification_parms
from actors.odsa.question import DONE, REFUSED, Question, why_not
from protocols.ts43.applications import APPLICATION_NAMES, DEVICE_AND_USER_INFORMATION
from protocols.ts43.document import Application
from protocols.ts43.odsa_documents import SUCCESS


def present(app_id: str, given: DecisionInput) -> Decision:
    """It is there; whether the subscriber may use it is for the operator to read."""
    application = Application(app_id, (SUCCESS, *notification_parms(given)))
    name, plan = APPLICATION_NAMES[app_id], given.plan.plan_id
    if app_id == DEVICE_AND_USER_INFORMATION:
        return Decision(application, f"{name} {DONE}: offered", DONE)
    reason, _ = why_not(Question(app_id, "", {}, given, True, ""))
    if reason:
        return Decision(application, f"{name} {REFUSED}: {reason}", REFUSED)
    return Decision(application, f"{name} {DONE}: plan {plan} may have it", DONE)
