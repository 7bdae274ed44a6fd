"""ap2010 with boost_type: may this boost be bought or used now (GSMA TS.43 v12 §9.4-9.10).

A plan's boost holds the status of table 77, and may hold 3 or 4 of table 87 as well. One that is
ENABLED is for sale where the tenant has a web sheet for it, and there without any more ado where
it has none.
"""

from typing import Final

from actors.entitlement.decision import (
    DISABLED,
    ENABLED,
    INCLUDED,
    INCOMPATIBLE,
    PROVISIONING,
    Decision,
    DecisionInput,
    notification_parms,
    text_of,
)
from actors.entitlement.services import Standing, standing
from actors.entitlement.web_sheet import web_sheet_parms
from protocols.ts43.applications import DATA_PLAN
from protocols.ts43.document import Application, Parm, plain_text
from protocols.ts43.messages import BOOST_NOT_OFFERED

REALTIME_INTERACTIVE: Final = 0
REALTIME_INTERACTIVE_TS24526: Final = 166  # table 77: both numbers mean the same

NOT_PROVISIONED: Final = 0  # ProvStatus (table 88)
PROVISIONED: Final = 1
NOT_TRACKED: Final = 2
IN_PROGRESS: Final = 3

# Android throws away {4, ProvStatus 0 or 3} and {3, ProvStatus 0 or 1}: one ProvStatus for each.
_PROV_STATUS: Final = {
    DISABLED: NOT_TRACKED,
    ENABLED: PROVISIONED,
    INCOMPATIBLE: NOT_TRACKED,
    PROVISIONING: IN_PROGRESS,
    INCLUDED: PROVISIONED,
}


def decide_boost(given: DecisionInput) -> Decision:
    """The answer to a real-time boost request."""
    found = _boost_standing(given)
    sheet, contents_type = given.tenant.data_boost, None
    parms: list[Parm] = [("EntitlementStatus", str(found.status))]
    provisioning = _PROV_STATUS[found.status]
    if found.status == ENABLED and sheet.service_flow_url:
        contents_type = sheet.service_flow_contents_type
        parms.extend(web_sheet_parms(sheet.service_flow_url, contents_type))
        # Android opens the web sheet for this pair alone; at PROVISIONED it takes it for bought.
        provisioning = NOT_PROVISIONED
    if found.status == INCOMPATIBLE:
        text = text_of(given, found.message_id or BOOST_NOT_OFFERED)
        parms.append(("MessageForIncompatible", plain_text(text)))
    parms.append(("ProvStatus", str(provisioning)))
    parms.extend(notification_parms(given))
    reason = f"Boost {given.boost_type} {found.status}: {found.reason}"
    return Decision(Application(DATA_PLAN, tuple(parms)), reason, found.status, contents_type)


def _boost_standing(given: DecisionInput) -> Standing:
    """The service first, then the boost's own status in the plan."""
    allowed = standing(given, "boost")
    if allowed.status != ENABLED:
        return allowed
    wanted = _same_meaning(given.boost_type)
    for boost in given.plan.boosts:
        if _same_meaning(boost.boost_type) == wanted:
            status = boost.status if boost.status in _PROV_STATUS else INCOMPATIBLE
            return Standing(
                status, f"plan {given.plan.plan_id} has boost {boost.boost_type} as {boost.status}"
            )
    return Standing(INCOMPATIBLE, f"plan {given.plan.plan_id} lacks boost {given.boost_type}")


def _same_meaning(boost_type: int | None) -> int | None:
    return REALTIME_INTERACTIVE if boost_type == REALTIME_INTERACTIVE_TS24526 else boost_type
