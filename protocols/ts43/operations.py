"""Operations of TS.43 by name (GSMA TS.43 v12 §6.2 table 27, §14.1.1, §14.2)."""

from collections.abc import Mapping
from typing import Final

CHECK_ELIGIBILITY: Final = "CheckEligibility"
MANAGE_SUBSCRIPTION: Final = "ManageSubscription"
MANAGE_SERVICE: Final = "ManageService"
ACQUIRE_CONFIGURATION: Final = "AcquireConfiguration"
ACQUIRE_PLAN: Final = "AcquirePlan"
ACQUIRE_TEMPORARY_TOKEN: Final = "AcquireTemporaryToken"  # noqa: S105 - a name
GET_PHONE_NUMBER: Final = "GetPhoneNumber"
VERIFY_PHONE_NUMBER: Final = "VerifyPhoneNumber"
GET_SUBSCRIBER_INFO: Final = "GetSubscriberInfo"

# Texts compare without case (§1.7): each operation by its lower-case form.
OPERATIONS: Final[Mapping[str, str]] = {
    name.lower(): name
    for name in (
        CHECK_ELIGIBILITY,
        MANAGE_SUBSCRIPTION,
        MANAGE_SERVICE,
        ACQUIRE_CONFIGURATION,
        ACQUIRE_PLAN,
        ACQUIRE_TEMPORARY_TOKEN,
        GET_PHONE_NUMBER,
        VERIFY_PHONE_NUMBER,
        GET_SUBSCRIBER_INFO,
        "AcquireOperatorToken",
        "ValidateOperatorToken",
        "GetSubscriberDeviceInfo",
        "Get3PAppInfo",
    )
}
OPERATION_NAMES: Final = frozenset(OPERATIONS.values())
