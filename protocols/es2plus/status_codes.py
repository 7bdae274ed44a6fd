"""Status codes of ES2+: what a pair of subject and reason means, and what kind of trouble it is.

Source: GSMA SGP.22 §5.2.6 (tables of subjects and reasons) and the tables of §5.3. The classes, and
which pair is in which, are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Function(Enum):
    """The functions of ES2+ by their path element; the first four go to the SM-DP+."""

    DOWNLOAD_ORDER = "downloadOrder"
    CONFIRM_ORDER = "confirmOrder"
    RELEASE_PROFILE = "releaseProfile"
    CANCEL_ORDER = "cancelOrder"
    HANDLE_DOWNLOAD_PROGRESS_INFO = "handleDownloadProgressInfo"  # to us, version 2
    HANDLE_NOTIFICATION = "handleNotification"  # to us, version 3
    # An extension that some vendors have.
    GET_PROFILE_STATUS = "getProfileStatus"


@dataclass(frozen=True, slots=True)
class StatusCode:
    """A pair such as 8.2.1/3.9."""

    subject: str
    reason: str

    def __str__(self) -> str:
        return f"{self.subject}/{self.reason}"

    @property
    def text(self) -> str:
        """In words, as far as they are known: `profile ICCID: unknown`."""
        subject = SUBJECTS.get(self.subject, self.subject)
        return f"{subject}: {REASONS.get(self.reason, self.reason)}"


class StatusClass(Enum):
    """What kind of trouble a failure is, for the order that met it."""

    # The configuration or the inventory is wrong; repeating cannot help, people must look.
    FATAL_CONFIGURATION = "fatal-configuration"
    # The pool is out of step for this one ICCID: put it in quarantine and take the next.
    ICCID_UNUSABLE = "iccid-unusable"
    # It may be the effect of an earlier attempt of our own (order saga, retries in doubt).
    MAYBE_DONE = "maybe-done"
    # No more profiles of this type: another type or SM-DP+, alarm, the device waits.
    POOL_EMPTY = "pool-empty"
    # Another order has this matching id: generate a new one, unless it is our own.
    MATCHING_ID_TAKEN = "matching-id-taken"
    # The SM-DP+ knows this profile in another state or with another partner than we do.
    RECONCILE = "reconcile"
    BUSINESS_REFUSAL = "business-refusal"
    # Try the same again later.
    TRANSIENT = "transient"
    SECURITY_ALARM = "security-alarm"
    # The request was wrong: a fault of ours.
    FATAL = "fatal"


_ANY: Final = None
_CLASSES: Final[Mapping[tuple[Function | None, str, str], StatusClass]] = {
    (_ANY, "8.2.1", "3.9"): StatusClass.ICCID_UNUSABLE,
    (_ANY, "8.2.1", "1.2"): StatusClass.FATAL_CONFIGURATION,
    # downloadOrder: not available; cancelOrder: downloaded already.
    (Function.DOWNLOAD_ORDER, "8.2.1", "3.3"): StatusClass.MAYBE_DONE,
    (Function.CANCEL_ORDER, "8.2.1", "3.3"): StatusClass.MAYBE_DONE,
    (Function.DOWNLOAD_ORDER, "8.2.5", "3.9"): StatusClass.FATAL_CONFIGURATION,
    (Function.DOWNLOAD_ORDER, "8.2.5", "1.2"): StatusClass.FATAL_CONFIGURATION,
    (Function.DOWNLOAD_ORDER, "8.2.5", "3.7"): StatusClass.POOL_EMPTY,
    (Function.DOWNLOAD_ORDER, "8.2.5", "3.8"): StatusClass.FATAL_CONFIGURATION,
    (Function.CONFIRM_ORDER, "8.2.6", "3.3"): StatusClass.MATCHING_ID_TAKEN,
    (Function.CONFIRM_ORDER, "8.2.6", "2.1"): StatusClass.MATCHING_ID_TAKEN,
    (Function.CANCEL_ORDER, "8.2.6", "3.10"): StatusClass.RECONCILE,
    (Function.CONFIRM_ORDER, "8.1.1", "2.2"): StatusClass.FATAL,
    (Function.CONFIRM_ORDER, "8.1.1", "3.10"): StatusClass.RECONCILE,
    (Function.CANCEL_ORDER, "8.1.1", "3.10"): StatusClass.RECONCILE,
    (Function.CONFIRM_ORDER, "8.2.1", "3.10"): StatusClass.RECONCILE,
    (Function.CANCEL_ORDER, "8.2.1", "3.10"): StatusClass.RECONCILE,
    (_ANY, "8.1.1", "3.9"): StatusClass.FATAL,
    (Function.CONFIRM_ORDER, "8.9", "5.1"): StatusClass.TRANSIENT,
    (Function.CONFIRM_ORDER, "8.9", "4.2"): StatusClass.TRANSIENT,
    # The profile is in another state than the function needs: released, or cancelled already.
    (Function.CONFIRM_ORDER, "8.2.1", "3.5"): StatusClass.MAYBE_DONE,
    (Function.RELEASE_PROFILE, "8.2.1", "3.5"): StatusClass.RECONCILE,
    (_ANY, "8.2.1", "2.2"): StatusClass.FATAL,
    (_ANY, "8.2.9", "2.1"): StatusClass.FATAL,
    (_ANY, "8.2.12", "3.10"): StatusClass.BUSINESS_REFUSAL,
    (_ANY, "8.10.2", "2.2"): StatusClass.FATAL,
    (_ANY, "8.10.3", "1.2"): StatusClass.BUSINESS_REFUSAL,
    (_ANY, "8.12", "3.3"): StatusClass.BUSINESS_REFUSAL,
}


def status_class(function: Function, code: StatusCode | None) -> StatusClass:
    """The class of a failure.

    Args:
        function: that failed.
        code: None when the answer had none; nothing is known then, so people must look.
    """
    if code is None:
        return StatusClass.FATAL_CONFIGURATION
    pair = (code.subject, code.reason)
    found = _CLASSES.get((function, *pair)) or _CLASSES.get((_ANY, *pair))
    return found or _class_of_reason(code.reason)


def _class_of_reason(reason: str) -> StatusClass:
    if reason in ("4.2", "5.1"):
        return StatusClass.TRANSIENT
    match reason.partition(".")[0]:
        case "3":
            return StatusClass.BUSINESS_REFUSAL
        case "6":
            return StatusClass.SECURITY_ALARM
    return StatusClass.FATAL


def android_detailed_code(code: StatusCode) -> int:
    """`EMBEDDED_SUBSCRIPTION_DETAILED_CODE` as Android shows it, for support.

    Octet 0x0A, three nibbles of the subject, three of the reason, zeros in front of a shorter
    one: 8.11.1/5.1 is 0x0A8B1051.

    Raises:
        ValueError: a part is no number below 16, or there are more than three.
    """
    return 0x0A << 24 | _nibbles(code.subject) << 12 | _nibbles(code.reason)


def _nibbles(dotted: str) -> int:
    parts = [int(part) for part in dotted.split(".")]
    if len(parts) > 3 or not all(0 <= part < 16 for part in parts):
        raise ValueError(f"{dotted} does not fit into three nibbles")
    value = 0
    for part in parts:
        value = value << 4 | part
    return value


SUBJECTS: Final[Mapping[str, str]] = {
    "1.1": "function requester",
    "1.2": "function provider",
    "1.3.1": "protocol format",
    "1.3.2": "protocol version",
    "1.6": "function",
    "8": "eSIM remote provisioning",
    "8.1": "eUICC",
    "8.1.1": "EID",
    "8.2": "profile",
    "8.2.1": "profile ICCID",
    "8.2.5": "profile type",
    "8.2.6": "matching id",
    "8.2.7": "confirmation code",
    "8.2.8": "profile policy rules",
    "8.2.9": "profile metadata",
    "8.2.10": "bound profile package",
    "8.2.12": "profile owner",
    "8.2.13": "enterprise rules",
    "8.2.14": "LPR",
    "8.8": "SM-DP+",
    "8.8.1": "SM-DP+ address",
    "8.8.2": "security configuration",
    "8.8.3": "specification version number",
    "8.8.4": "SM-DP+ certificate",
    "8.8.5": "download order",
    "8.8.6": "RPM order",
    "8.9": "SM-DS",
    "8.9.5": "event record",
    "8.10": "remote SIM provisioning operation",
    "8.10.1": "transaction id",
    "8.10.2": "RPM script",
    "8.10.3": "device change",
    "8.11": "certificate issuer",
    "8.11.1": "public key of the certificate issuer",
    "8.12": "RPM package",
}

REASONS: Final[Mapping[str, str]] = {
    "1.1": "unknown (authentication)",
    "1.2": "not allowed",
    "2.1": "invalid",
    "2.2": "mandatory element missing",
    "2.3": "conditional element missing",
    "3.1": "unsupported",
    "3.3": "already in use",
    "3.5": "invalid transition",
    "3.7": "unavailable",
    "3.8": "refused",
    "3.9": "unknown",
    "3.10": "invalid association",
    "3.11": "value has changed",
    "3.12": "invalid match",
    "4.2": "execution error",
    "4.3": "stopped on warning",
    "4.8": "insufficient memory",
    "4.10": "time to live expired",
    "5.1": "inaccessible",
    "6.1": "verification failed",
    "6.3": "expired",
    "6.4": "maximum attempts exceeded",
}
