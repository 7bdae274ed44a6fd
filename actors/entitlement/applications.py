"""Which function decides which application: a new application is a row here."""

from collections.abc import Callable, Mapping
from typing import Final

from actors.entitlement.data_plan import decide_data_plan
from actors.entitlement.decision import Decision, DecisionInput
from actors.entitlement.sms import decide_sms
from actors.entitlement.voice import decide_voice
from actors.entitlement.wifi_calling import decide_wifi_calling
from protocols.ts43.applications import (
    APPLICATION_NAMES,
    DATA_PLAN,
    SMS_OVER_IP,
    VOICE,
    WIFI_CALLING,
)
from protocols.ts43.document import Application

DECIDES: Final[Mapping[str, Callable[[DecisionInput], Decision]]] = {
    VOICE: decide_voice,
    WIFI_CALLING: decide_wifi_calling,
    SMS_OVER_IP: decide_sms,
    DATA_PLAN: decide_data_plan,
}


def decide(app_id: str, given: DecisionInput) -> Decision:
    """Decide one application; one that this node does not serve cannot be offered (status 2)."""
    function = DECIDES.get(app_id)
    if function is not None:
        return function(given)
    name = APPLICATION_NAMES.get(app_id, app_id)
    application = Application(app_id, (("EntitlementStatus", "2"),))
    return Decision(application, f"{name} 2: not served here")
