"""Applications of TS.43 that the node knows by name and does not serve.

Clients take a missing APPLICATION for a fault of the server, so each gets its own kind of no.
"""

from typing import Final

from actors.entitlement.decision import (
    INCOMPATIBLE,
    Decision,
    DecisionInput,
    notification_parms,
    text_of,
)
from protocols.ts43.applications import (
    APPLICATION_NAMES,
    COMPANION_ODSA,
    DEVICE_AND_USER_INFORMATION,
    DEVICE_APPLICATION,
    PRIMARY_ODSA,
    SERVER_ODSA,
)
from protocols.ts43.document import Application, Parm, plain_text
from protocols.ts43.messages import APPLICATION_NOT_OFFERED

OPERATION_NOT_SUPPORTED: Final = "103"  # OperationResult (TS.43 v12 §6.5.1)

# These answer operations; the others have an EntitlementStatus.
_WITH_OPERATIONS: Final = frozenset(
    {
        COMPANION_ODSA,
        PRIMARY_ODSA,
        SERVER_ODSA,
        DEVICE_AND_USER_INFORMATION,
        DEVICE_APPLICATION,
    }
)


def decline(app_id: str, given: DecisionInput) -> Decision:
    """No, in the words of the application."""
    parms: tuple[Parm, ...]
    if app_id in _WITH_OPERATIONS:
        parms = (("OperationResult", OPERATION_NOT_SUPPORTED),)
    else:
        parms = (
            ("EntitlementStatus", str(INCOMPATIBLE)),
            ("MessageForIncompatible", plain_text(text_of(given, APPLICATION_NOT_OFFERED))),
        )
    parms += notification_parms(given)
    name = APPLICATION_NAMES.get(app_id, app_id)
    reason = f"{name} {INCOMPATIBLE}: the node does not serve {app_id}"
    return Decision(Application(app_id, parms), reason, INCOMPATIBLE)
