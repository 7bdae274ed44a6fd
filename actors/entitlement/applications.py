"""The register of the applications that the node serves: one row each."""

from collections.abc import Callable, Mapping
from typing import Final

from actors.entitlement.data_plan import decide_data_plan
from actors.entitlement.decision import Decision, DecisionInput
from actors.entitlement.not_offered import decline, declined_in_document
from actors.entitlement.sms import decide_sms
from actors.entitlement.voice import decide_voice
from actors.entitlement.wifi_calling import decide_wifi_calling
from actors.odsa.offered import offers
from actors.odsa.presence import present
from protocols.ts43.applications import DATA_PLAN, SMS_OVER_IP, VOICE, WIFI_CALLING
from protocols.ts43.operations import OPERATION_NAMES
from protocols.ts43.request_error import Fault, RequestError

APPS: Final[Mapping[str, Callable[[DecisionInput], Decision]]] = {
    VOICE: decide_voice,
    WIFI_CALLING: decide_wifi_calling,
    SMS_OVER_IP: decide_sms,
    DATA_PLAN: decide_data_plan,
}


def decide(app_id: str, given: DecisionInput) -> Decision:
    """What a device is told of one application, and why. Pure: same input, same decision."""
    row = APPS.get(app_id)
    if row is not None:
        return row(given)
    if not given.operation and offers(given.tenant, app_id):
        return present(app_id, given)
    return decline(app_id, given)


def check_operation(apps: tuple[str, ...], operation: str) -> None:
    """Refuse a request that asks for operations alone, none of which is supported (§2.10).

    Raises:
        RequestError: OPERATION (405).
    """
    if operation in OPERATION_NAMES and not any(
        app_id in APPS or declined_in_document(app_id, operation) for app_id in apps
    ):
        raise RequestError(Fault.OPERATION)
