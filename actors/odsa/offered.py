"""Which application of a request has its operation served here (GSMA TS.43 v12 §6, §13).

eSIM activation needs an SM-DP+: a tenant that has none offers none of it, whatever else it says.
"""

from collections.abc import Mapping
from typing import Final

from config.model import Tenant
from protocols.ts43 import operations as op
from protocols.ts43.applications import (
    COMPANION_ODSA,
    CROSS_PLATFORM_ODSA,
    DEVICE_AND_USER_INFORMATION,
    PRIMARY_ODSA,
    SERVER_ODSA,
)
from protocols.ts43.odsa import ODSA_APPS
from protocols.ts43.request import Ts43Request
from protocols.ts43.request_error import Fault, RequestError

NUMBER_OPERATIONS: Final = frozenset(
    {
        op.GET_PHONE_NUMBER,
        op.VERIFY_PHONE_NUMBER,
        op.GET_SUBSCRIBER_INFO,
        op.ACQUIRE_TEMPORARY_TOKEN,
    }
)
ODSA_OPERATIONS: Final = frozenset(
    {
        op.CHECK_ELIGIBILITY,
        op.MANAGE_SUBSCRIPTION,
        op.MANAGE_SERVICE,
        op.ACQUIRE_CONFIGURATION,
        op.ACQUIRE_PLAN,
        op.ACQUIRE_TEMPORARY_TOKEN,
    }
)
_SWITCHES: Final[Mapping[str, str]] = {
    COMPANION_ODSA: "companion",
    PRIMARY_ODSA: "primary",
    SERVER_ODSA: "server",
    CROSS_PLATFORM_ODSA: "cross_platform",
}


def offers(tenant: Tenant, app_id: str) -> bool:
    """Whether the tenant offers an application that answers operations."""
    if app_id == DEVICE_AND_USER_INFORMATION:
        return tenant.phone_number.offered
    switch = _SWITCHES.get(app_id)
    return switch is not None and bool(tenant.smdp_plus) and bool(getattr(tenant.odsa, switch))


def operated_app(apps: tuple[str, ...], operation: str, tenant: Tenant) -> str:
    """The application of a request that its operation is for; empty: none that is served here.

    Args:
        operation: as sent. One that TS.43 does not have is answered in the application's own words
            (OperationResult 101); one that belongs to other applications is not answered here.
    """
    if not operation:
        return ""
    for app_id in apps:
        if offers(tenant, app_id) and _knows(app_id, operation):
            return app_id
    return ""


def _knows(app_id: str, operation: str) -> bool:
    if operation not in op.OPERATION_NAMES:
        return app_id in ODSA_APPS
    return operation in (ODSA_OPERATIONS if app_id in ODSA_APPS else NUMBER_OPERATIONS)


def check_parameters(request: Ts43Request, app_id: str, tenant: Tenant) -> None:
    """Refuse what HTTP refuses (§2.10), before anybody is asked.

    Raises:
        RequestError: OLD_COMPANION (406): the tenant does not move companions.
    """
    if app_id != COMPANION_ODSA or tenant.odsa.companion_transfer:
        return
    params = request.params
    if params.get("old_companion_terminal_id") or params.get("old_companion_terminal_iccid"):
        raise RequestError(Fault.OLD_COMPANION)
