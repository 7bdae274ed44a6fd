"""Operations of TS.43 by name (GSMA TS.43 v12 §6.2 table 27, §14.1.1, §14.2)."""

from collections.abc import Mapping
from typing import Final

CHECK_ELIGIBILITY: Final = "CheckEligibility"
MANAGE_SERVICE: Final = "ManageService"

# Texts compare without case (§1.7): each operation by its lower-case form.
OPERATIONS: Final[Mapping[str, str]] = {
    name.lower(): name
    for name in (
        CHECK_ELIGIBILITY,
        "ManageSubscription",
        MANAGE_SERVICE,
        "AcquireConfiguration",
        "AcquirePlan",
        "AcquireTemporaryToken",
        "GetPhoneNumber",
        "VerifyPhoneNumber",
        "GetSubscriberInfo",
        "AcquireOperatorToken",
        "ValidateOperatorToken",
        "GetSubscriberDeviceInfo",
        "Get3PAppInfo",
    )
}
OPERATION_NAMES: Final = frozenset(OPERATIONS.values())
