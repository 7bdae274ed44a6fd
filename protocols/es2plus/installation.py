"""What an eUICC reported of a profile's installation: `resultData` of a notification.

Source: GSMA SGP.22 §2.5.6 (ProfileInstallationResult), §5.3.5 (resultData).
"""

from dataclasses import dataclass, field
from enum import IntEnum

from protocols.identity import Iccid


class BppCommand(IntEnum):
    """Which command of the bound profile package failed (`bppCommandId`)."""

    INITIALISE_SECURE_CHANNEL = 0
    CONFIGURE_ISDP = 1
    STORE_METADATA = 2
    STORE_METADATA_2 = 3
    REPLACE_SESSION_KEYS = 4
    LOAD_PROFILE_ELEMENTS = 5


class InstallationError(IntEnum):
    """Why it failed (`errorReason`)."""

    INCORRECT_INPUT_VALUES = 1
    INVALID_SIGNATURE = 2
    INVALID_TRANSACTION_ID = 3
    UNSUPPORTED_CRT_VALUES = 4
    UNSUPPORTED_REMOTE_OPERATION_TYPE = 5
    UNSUPPORTED_PROFILE_CLASS = 6
    SCP03T_STRUCTURE_ERROR = 7
    SCP03T_SECURITY_ERROR = 8
    ICCID_ALREADY_EXISTS_ON_EUICC = 9
    INSUFFICIENT_MEMORY = 10
    INTERRUPTION = 11
    PE_PROCESSING_ERROR = 12
    ICCID_MISMATCH = 13
    TEST_PROFILE_INVALID_NAA_KEY = 14
    PPR_NOT_ALLOWED = 15
    UNKNOWN = 127


@dataclass(frozen=True, slots=True)
class InstallationResult:
    """One result.

    Attributes:
        succeeded: the profile is on the eUICC.
        command, error: of a failure, as numbers of `BppCommand` and `InstallationError`; values
            that these do not know are kept.
        iccid: of the profile, when the object named it.
        sequence_number: of the eUICC's notification, when the object had one.
        transaction_id, smdp_oid: empty when the object had none.
    """

    succeeded: bool
    command: int | None = None
    error: int | None = None
    iccid: Iccid | None = field(default=None, repr=False)
    sequence_number: int | None = None
    transaction_id: bytes = b""
    smdp_oid: str = ""
