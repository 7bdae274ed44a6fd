"""The numbers of on-device service activation (GSMA TS.43 v12 §6.2, §6.5)."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from protocols.ts43.applications import (
    COMPANION_ODSA,
    CROSS_PLATFORM_ODSA,
    PRIMARY_ODSA,
    SERVER_ODSA,
)


class OperationType(IntEnum):
    """`operation_type` (table 27): 0 to 7 of ManageSubscription, 10 and 11 of ManageService."""

    SUBSCRIBE = 0
    UNSUBSCRIBE = 1
    CHANGE = 2
    TRANSFER = 3
    UPDATE = 4
    ACTIVATE_ICCID = 5
    DEACTIVATE_ICCID = 6
    RECOVER = 7
    ACTIVATE_SERVICE = 10
    DEACTIVATE_SERVICE = 11


SERVICE_TYPES: Final = frozenset({OperationType.ACTIVATE_SERVICE, OperationType.DEACTIVATE_SERVICE})


class OperationResult(IntEnum):
    """Of every operation, at HTTP 200 (table 38). Success is 1."""

    SUCCESS = 1
    GENERAL_ERROR = 100  # the client stops
    INVALID_OPERATION = 101  # the client stops
    INVALID_PARAMETER = 102  # the client stops
    NOT_SUPPORTED = 103  # only of optional operations: the client goes on
    INVALID_MSG_RESPONSE = 104


class AppEligibility(IntEnum):
    """Of CheckEligibility (table 39)."""

    DISABLED = 0
    ENABLED = 1
    INCOMPATIBLE = 2


class SubscriptionResult(IntEnum):
    """Of ManageSubscription (table 40). Figure 40 has 7 for 8, by mistake."""

    CONTINUE_TO_WEBSHEET = 1
    DOWNLOAD_PROFILE = 2
    DONE = 3
    DELAYED_DOWNLOAD = 4
    DISMISS = 5
    DELETE_PROFILE_IN_USE = 6
    REDOWNLOADABLE_PROFILE_IS_MANDATORY = 7  # of transfers alone
    REQUIRES_USER_INPUT = 8


class ServiceStatus(IntEnum):
    """Of ManageService and AcquireConfiguration (table 42)."""

    ACTIVATED = 1
    ACTIVATING = 2
    DEACTIVATED = 3
    DEACTIVATED_NO_REUSE = 4


class PollingUnit(IntEnum):
    """`PollingIntervalUnit`; absent means minutes."""

    MINUTES = 0
    SECONDS = 1
    DECISECONDS = 2


SHARED_NUMBER: Final = "SharedNumber"
DIFF_NUMBER: Final = "DiffNumber"
FAMILY_NUMBER: Final = "FamilyNumber"
COMPANION_SERVICES: Final = (SHARED_NUMBER, DIFF_NUMBER, FAMILY_NUMBER)

# The eligibility of each application (table 39). Of ap2017 nothing is published: it is an
# application of primary devices, so it speaks as theirs does.
ELIGIBILITY_PARMS: Final[Mapping[str, str]] = {
    COMPANION_ODSA: "CompanionAppEligibility",
    PRIMARY_ODSA: "PrimaryAppEligibility",
    SERVER_ODSA: "EnterpriseAppEligibility",
    CROSS_PLATFORM_ODSA: "PrimaryAppEligibility",
}
ODSA_APPS: Final = frozenset(ELIGIBILITY_PARMS)
