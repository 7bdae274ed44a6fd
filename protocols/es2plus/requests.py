"""What the operator asks of the SM-DP+, and what comes back when it was done.

Source: GSMA SGP.22 §5.3.1 to §5.3.4, table 6a. The bodies are written in `bodies.py`.
"""

from dataclasses import dataclass, field
from enum import Enum

from protocols.es2plus.identifiers import ConfirmationCode, MatchingId
from protocols.es2plus.status_codes import Function
from protocols.identity import Eid, Iccid


class FinalProfileStatus(Enum):
    """What becomes of the profile of a cancelled order (`finalProfileStatusIndicator`)."""

    AVAILABLE = "Available"
    UNAVAILABLE = "Unavailable"


@dataclass(frozen=True, slots=True)
class DownloadOrder:
    """Reserve a profile (§5.3.1). At least one of `iccid` and `profile_type`.

    With `profile_type` alone the SM-DP+ chooses the ICCID: when that answer is lost a profile
    stays reserved that nobody knows. So name the ICCID wherever the vendor allows it.
    """

    iccid: Iccid | None = field(default=None, repr=False)
    profile_type: str = ""
    eid: Eid | None = None

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ValueError: neither ICCID nor profile type.
        """
        if self.iccid is None and not self.profile_type:
            raise ValueError("a download order names an ICCID or a profile type")

    @property
    def function(self) -> Function:
        """Its place among the functions."""
        return Function.DOWNLOAD_ORDER


@dataclass(frozen=True, slots=True)
class ConfirmOrder:
    """Confirm a reserved profile (§5.3.2).

    The delivery mode follows from the inputs (table 6a): an activation code by default; with an
    empty `matching_id` and an EID the default SM-DP+ address; with `smds_address` the SM-DS.

    Attributes:
        matching_id: None lets the SM-DP+ generate one; `MatchingId("")` is the default address
            mode.
        release: also release it: the device may download at once.
    """

    iccid: Iccid = field(repr=False)
    release: bool
    eid: Eid | None = None
    matching_id: MatchingId | None = None
    confirmation_code: ConfirmationCode | None = None
    smds_address: str = ""

    def __post_init__(self) -> None:
        """Check table 6a.

        Raises:
            ValueError: the inputs belong to no delivery mode.
        """
        if self.smds_address and not (self.eid and self.matching_id):
            raise ValueError("delivery by SM-DS needs an EID and a matching id")
        if self.matching_id == "" and self.eid is None:
            raise ValueError("delivery by the default SM-DP+ address needs an EID")

    @property
    def function(self) -> Function:
        """Its place among the functions."""
        return Function.CONFIRM_ORDER


@dataclass(frozen=True, slots=True)
class ReleaseProfile:
    """Let the device download a confirmed profile (§5.3.4). On a released one: success."""

    iccid: Iccid = field(repr=False)

    @property
    def function(self) -> Function:
        """Its place among the functions."""
        return Function.RELEASE_PROFILE


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Take an order back (§5.3.3), before the download or from Error.

    `eid` and `matching_id` are needed when they are bound to the profile.
    """

    iccid: Iccid = field(repr=False)
    final_profile_status: FinalProfileStatus
    eid: Eid | None = None
    matching_id: MatchingId | None = None

    @property
    def function(self) -> Function:
        """Its place among the functions."""
        return Function.CANCEL_ORDER


Request = DownloadOrder | ConfirmOrder | ReleaseProfile | CancelOrder


@dataclass(frozen=True, slots=True)
class DownloadOrdered:
    """A profile is reserved."""

    iccid: Iccid = field(repr=False)


@dataclass(frozen=True, slots=True)
class OrderConfirmed:
    """A profile is confirmed (and released, if that was asked for).

    Attributes:
        smdp_address: to be used in the activation code instead of the configured one; empty: the
            configured one.
    """

    matching_id: MatchingId
    eid: Eid | None = None
    smdp_address: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The function has no output of its own (ReleaseProfile, CancelOrder)."""


Result = DownloadOrdered | OrderConfirmed | Done
