"""Applications of TS.43 that the node knows by name and does not serve.

What each gets, where one of the applications of a request is served or has a status of its own:

| application | answer in the document | source (GSMA TS.43 v12) |
|---|---|---|
| with an EntitlementStatus | 2 INCOMPATIBLE and a message | tables 91, 96, 110; §15.1 |
| ODSA, CheckEligibility | eligibility 0, "cannot be offered" | table 39 |
| ODSA, ManageService | OperationResult 103: the client goes on without | table 38 |
| any other operation, see below | OperationResult 100: the client stops | table 38 |
| no operation, or none of TS.43 | OperationResult 101 | table 38 |

A request for nothing but operations that are known and not supported gets HTTP 405 (§2.10, table
13). Clients take a missing APPLICATION for a fault of the server, so there always is one; only ids
that TS.43 does not have are left out, and 400 is the answer when no other is asked for (ours).
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
    CARRIER_BILLING,
    DEVICE_AND_USER_INFORMATION,
    DEVICE_APPLICATION,
)
from protocols.ts43.document import Application, Parm, plain_text
from protocols.ts43.messages import APPLICATION_NOT_OFFERED
from protocols.ts43.odsa import ELIGIBILITY_PARMS
from protocols.ts43.operations import CHECK_ELIGIBILITY, MANAGE_SERVICE

SUCCESS: Final = "1"  # OperationResult (table 38)
GENERAL_ERROR: Final = "100"
INVALID_OPERATION: Final = "101"
OPERATION_NOT_SUPPORTED: Final = "103"  # "only applies to optional operations"

CANNOT_BE_OFFERED: Final = "0"  # ...AppEligibility (table 39); 2 would blame the device
# These answer operations; the others have an EntitlementStatus.
WITH_OPERATIONS: Final = frozenset(
    {*ELIGIBILITY_PARMS, DEVICE_AND_USER_INFORMATION, DEVICE_APPLICATION}
)


def declined_in_document(app_id: str, operation: str) -> bool:
    """Whether the no has words of its own in a document; else it is HTTP 405.

    Args:
        app_id: of an application that is not served.
        operation: one of TS.43's; empty for none or any other.
    """
    if app_id not in WITH_OPERATIONS or not operation:
        return True
    return app_id in ELIGIBILITY_PARMS and operation in (CHECK_ELIGIBILITY, MANAGE_SERVICE)


def decline(app_id: str, given: DecisionInput) -> Decision:
    """No, in the words of the application."""
    parms = _operation(app_id, given) if app_id in WITH_OPERATIONS else _status(app_id, given)
    parms += notification_parms(given)
    name = APPLICATION_NAMES.get(app_id, app_id)
    reason = f"{name} {INCOMPATIBLE}: the node does not serve {app_id}"
    return Decision(Application(app_id, parms), reason, INCOMPATIBLE)


def _status(app_id: str, given: DecisionInput) -> tuple[Parm, ...]:
    text = plain_text(text_of(given, APPLICATION_NOT_OFFERED))
    parms = (("EntitlementStatus", str(INCOMPATIBLE)), ("MessageForIncompatible", text))
    if app_id == CARRIER_BILLING:
        return (*parms, ("TC_Status", "2"))  # §11.1.2: mandatory; 2 is NOT REQUIRED
    return parms


def _operation(app_id: str, given: DecisionInput) -> tuple[Parm, ...]:
    operation = given.operation
    if not operation:
        return (("OperationResult", INVALID_OPERATION),)
    if not declined_in_document(app_id, operation):
        text = plain_text(text_of(given, APPLICATION_NOT_OFFERED))
        return (("OperationResult", GENERAL_ERROR), ("GeneralErrorText", text))
    if operation == MANAGE_SERVICE:
        return (("OperationResult", OPERATION_NOT_SUPPORTED),)
    # CompanionDeviceServices is mandatory and would be empty, which clients do not like.
    return ((ELIGIBILITY_PARMS[app_id], CANNOT_BE_OFFERED), ("OperationResult", SUCCESS))
