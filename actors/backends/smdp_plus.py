"""The SM-DP+ port: what an eSIM order asks of a profile server, and how it can end.

One object for each (tenant, SM-DP+). The client behind it (`smdp_plus_client.py`) speaks ES2+ of
GSMA SGP.22. There is no standard status query and no promise of de-duplication, so that a lost
answer must be survivable: choose ICCID and matching id yourself, `prepare` a call, persist it,
`execute` it, and after a crash or an unknown outcome `execute` the very same call again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from protocols.es2plus.installation import InstallationResult
from protocols.es2plus.requests import Request, Result
from protocols.es2plus.status_codes import Function, StatusClass, StatusCode
from protocols.identity import Eid, Iccid


@dataclass(frozen=True, slots=True)
class Call:
    """One call, ready to be persisted and sent as often as needed.

    Attributes:
        function_call_identifier: unique per call, the same in every repetition.
        body: the exact JSON; holds identities and perhaps a confirmation code, so no log shows it.
        request: what the answer is compared with.
    """

    function: Function
    function_call_identifier: str
    body: bytes = field(repr=False)
    request: Request = field(repr=False)


@dataclass(frozen=True, slots=True)
class Executed:
    """The SM-DP+ did it, and its answer fits the request.

    Attributes:
        warning: of Executed-WithWarning; None: there was none, or it had no code.
        with_warning: Executed-WithWarning.
    """

    result: Result
    with_warning: bool = False
    warning: StatusCode | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The SM-DP+ said that it did not do it. Repeating the call helps only for TRANSIENT.

    Attributes:
        code: subject and reason; None when the answer had none (also HTTP 4xx).
        status_class: what kind of trouble it is.
        message: of the SM-DP+, for people; digits in it are masked.
        after_doubt: an earlier attempt within this `execute` may have been carried out, so that
            the refusal may be its effect.
    """

    code: StatusCode | None
    status_class: StatusClass
    message: str = ""
    http_status: int = 200  # or 0: nothing was sent, the vendor has no such function
    after_doubt: bool = False


class Cause(Enum):
    """Why there is no answer of the function."""

    # Not executed.
    BREAKER_OPEN = "breaker-open"
    BUSY = "busy"  # our own limit of calls at one SM-DP+
    MAINTENANCE = "maintenance"  # the configured window
    CONNECT_FAILED = "connect-failed"  # no address, refused, unreachable, too slow
    TLS_REFUSED = "tls-refused"  # either side did not like the other's certificate
    OVERLOADED = "overloaded"  # HTTP 429 or 503
    # Unknown.
    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection-lost"
    SERVER_ERROR = "server-error"  # HTTP 408 or 5xx other than 503
    MALFORMED_ANSWER = "malformed-answer"


@dataclass(frozen=True, slots=True)
class NotExecuted:
    """The call did not reach a function: nothing happened at the SM-DP+. Repeat it later.

    Attributes:
        retry_after_seconds: not before; 0 when the SM-DP+ did not say.
    """

    cause: Cause
    retry_after_seconds: float = 0.0
    detail: str = ""  # for people; no identities


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """The call was sent and not answered: it may or may not have been executed.

    Repeat the identical call, and read a refusal of the repetition as that of an order in doubt.
    """

    cause: Cause
    retry_after_seconds: float = 0.0
    detail: str = ""


class Contradiction(Enum):
    """What an answer must say and did not."""

    OTHER_ICCID = "other-iccid"
    OTHER_MATCHING_ID = "other-matching-id"
    OTHER_EID = "other-eid"
    NO_MATCHING_ID = "no-matching-id"
    UNUSABLE_ADDRESS = "unusable-address"  # smdpAddress is no host name


@dataclass(frozen=True, slots=True)
class Contradicted:
    """The SM-DP+ says that it did it, but for something else: abort and compensate.

    Attributes:
        iccid: that the SM-DP+ named, to be cancelled as well; None when it named none.
    """

    contradiction: Contradiction
    iccid: Iccid | None = field(default=None, repr=False)


Outcome = Executed | Refused | NotExecuted | OutcomeUnknown | Contradicted


class ProfileState(Enum):
    """Where a profile stands at the SM-DP+ (SGP.22 §3.1.6), and what vendors add."""

    AVAILABLE = "Available"
    ALLOCATED = "Allocated"
    LINKED = "Linked"
    CONFIRMED = "Confirmed"
    RELEASED = "Released"
    DOWNLOADED = "Downloaded"
    INSTALLED = "Installed"
    ERROR = "Error"
    UNAVAILABLE = "Unavailable"
    ENABLED = "Enabled"
    DISABLED = "Disabled"
    DELETED = "Deleted"
    UNKNOWN = "unknown"  # a word that is not in this list


@dataclass(frozen=True, slots=True)
class ProfileStatus:
    """One row of a vendor's status query."""

    iccid: Iccid = field(repr=False)
    state: ProfileState
    state_text: str  # as the SM-DP+ wrote it
    eid: Eid | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the vendor has beyond the standard, and what its inventory needs."""

    status_query: bool = False
    order_by_iccid: bool = True  # false: only profile types are accepted in DownloadOrder


class SmdpPlus(Protocol):
    """One SM-DP+ as one tenant sees it.

    Attributes:
        tenant: whose.
        name: of this SM-DP+ in the tenant's configuration; (tenant, name) is the key.
        address: for activation codes, unless ConfirmOrder returns another one.
        oid: for activation codes; empty: none.
        profile_types: that it serves; empty: any.
        capabilities: of the vendor.
    """

    tenant: str
    name: str
    address: str
    oid: str
    profile_types: tuple[str, ...]
    capabilities: Capabilities

    @property
    def available(self) -> bool:
        """Whether a new order should come here: breaker not open, no maintenance window."""
        ...

    def prepare(self, request: Request, function_call_identifier: str) -> Call:
        """Write the body of a call. Pure: persist the result, then `execute` it."""
        ...

    def restore(self, function: Function, function_call_identifier: str, body: bytes) -> Call:
        """The call that was persisted, from its parts.

        Raises:
            ValueError: the body was not written by `prepare`.
        """
        ...

    async def execute(self, call: Call, budget_seconds: float) -> Outcome:
        """Send the call; repeat it inline after passing trouble, within the budget.

        Never raises for what the SM-DP+ or the network does.

        Args:
            call: from `prepare` or `restore`.
            budget_seconds: for all attempts together. When it passes while an answer is awaited
                the outcome is unknown. Cancelling the caller has the same meaning.
        """
        ...

    async def profile_status(
        self, iccids: tuple[Iccid, ...], budget_seconds: float
    ) -> tuple[ProfileStatus, ...] | NotExecuted | Refused | OutcomeUnknown:
        """The vendor's status query; changes nothing, so that an unknown outcome is harmless.

        Without the capability it is `Refused` with HTTP status 0 and nothing is sent.
        """
        ...


class ProfileEvent(Enum):
    """What a notification tells, after the vendor's map of notification points."""

    ELIGIBILITY = "eligibility"
    CONFIRMATION_FAILURE = "cc_fail"
    DOWNLOADED = "downloaded"
    INSTALLED = "installed"
    ENABLED = "enabled"
    DISABLED = "disabled"
    DELETED = "deleted"
    UNKNOWN = "unknown"  # answered and counted; changes no state


@dataclass(frozen=True, slots=True)
class SmdpNotification:
    """HandleDownloadProgressInfo (version 2) or HandleNotification (version 3), normalised.

    Attributes:
        tenant, smdp: whose listener got it, from which SM-DP+: the client certificate said so.
        point: `notificationPointId` as text, or the `notificationEvent` of version 3.
        succeeded: `notificationPointStatus` is Executed-Success or Executed-WithWarning.
        code: subject and reason of a failure.
        status_class: of a failure.
        happened_at: the SM-DP+'s time, seconds since 1970 in UTC; None when it cannot be read.
        installation: decoded `resultData`; None when there is none or it is opaque.
        raw: the body as it came; holds identities, no log shows it.
    """

    tenant: str
    smdp: str
    iccid: Iccid = field(repr=False)
    event: ProfileEvent
    point: str
    succeeded: bool
    code: StatusCode | None = None
    message: str = field(default="", repr=False)
    profile_type: str = ""
    eid: Eid | None = None
    imei: str = field(default="", repr=False)
    tac: str = ""
    happened_at: float | None = None
    installation: InstallationResult | None = None
    raw: bytes = field(default=b"", repr=False)
    status_class: StatusClass | None = None

    @property
    def key(self) -> tuple[str, str, str, str, float | None, str]:
        """The same for a repetition: (tenant, SM-DP+, iccid, point, time, status)."""
        status = "ok" if self.succeeded else str(self.code or "failed")
        return self.tenant, self.smdp, str(self.iccid), self.point, self.happened_at, status


class Disposition(Enum):
    """What became of a notification: the answer to the SM-DP+ follows from it."""

    KEPT = "kept"  # persisted: 204
    DUPLICATE = "duplicate"  # persisted before: 204
    UNKNOWN_ICCID = "unknown-iccid"  # persisted among the orphans: 204
    FOREIGN_ICCID = "foreign-iccid"  # the ICCID belongs to another SM-DP+ or tenant: 403, alarm


class NotKept(Exception):
    """The notification could not be persisted: the SM-DP+ gets 503 and will repeat it."""


# Persists, then returns; processing comes afterwards. Raises NotKept.
NotificationSink = Callable[[SmdpNotification], Awaitable[Disposition]]
