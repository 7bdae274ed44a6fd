"""What an order is asked for, what is kept of it, and what others see of it.

Times are whole seconds of the wall clock (Unix time), 0 is never: they outlive the process.
"""

import hashlib
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from actors.orders.transitions import FINAL, RANK, State
from protocols.es2plus.identifiers import ActivationCode, MatchingId
from protocols.es2plus.status_codes import Function
from protocols.identity import Eid, Iccid, Imsi, masked


class Kind(Enum):
    """What is wanted (TS.43 §6.2: operation_type of ManageSubscription)."""

    SUBSCRIBE = "subscribe"  # 0: a new line, of a companion or of a primary device
    TRANSFER = "transfer"  # 3: the line moves to another profile; also physical SIM to eSIM
    RECOVER = "recover"  # 7: the line's profile is lost and is needed again
    UNSUBSCRIBE = "unsubscribe"  # 1: for a line that no order of ours made


class Service(Enum):
    """Whose number the new line has (TS.43 §6.2: companion_terminal_service)."""

    PRIMARY = ""  # no companion
    SHARED_NUMBER = "SharedNumber"
    DIFF_NUMBER = "DiffNumber"
    FAMILY_NUMBER = "FamilyNumber"


@dataclass(frozen=True, slots=True)
class Device:
    """The device that shall get the profile, as it was described; all of it may be empty.

    Attributes:
        device_class: phone, watch, tablet, laptop, or what the tenant's rules call it.
    """

    vendor: str = ""
    model: str = ""
    sw_version: str = ""
    friendly_name: str = ""
    device_class: str = ""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One ManageSubscription, after authentication and after the checks of its parameters.

    Attributes:
        app: ap2006, ap2009, ap2011, ap2017.
        imsi: of the subscriber who authenticated, and pays; in a transfer by temporary token that
            of the old line, which `redeem_token` tells.
        target_eid: of the eUICC that gets the profile; None only in UNSUBSCRIBE.
        target_terminal_id: of the device around that eUICC: IMEI or UUID; may be empty.
        iccid: in RECOVER and UNSUBSCRIBE the profile meant, when the device named it.
        old_terminal_id, old_iccid: in TRANSFER what the line leaves; may be empty.
        plan_id: that was chosen; empty: the subscriber's own.
        user_input_missing: terms, plan or address must be asked for first (web sheet).
        token_hash: of the temporary token that authorised this; empty: none did.
    """

    tenant: str
    app: str
    kind: Kind
    imsi: Imsi = field(repr=False)
    target_eid: Eid | None = None
    target_terminal_id: str = field(default="", repr=False)
    iccid: Iccid | None = field(default=None, repr=False)
    old_terminal_id: str = field(default="", repr=False)
    old_iccid: Iccid | None = field(default=None, repr=False)
    service: Service = Service.PRIMARY
    plan_id: str = ""
    device: Device = Device()
    user_input_missing: bool = False
    token_hash: bytes = field(default=b"", repr=False)

    @property
    def key(self) -> str:
        """The idempotency key: the same for a repetition of the request."""
        return _digest(
            self.tenant,
            self.app,
            self.kind.value,
            self.imsi,
            self.target_eid or "",
            self.old_iccid or "",
            self.target_terminal_id if self.target_eid is None else "",
            self.service.value,
            self.plan_id,
        )

    @property
    def subject(self) -> str:
        """What only one unfinished order may be about: a device's new line, or an old line."""
        if self.kind is Kind.SUBSCRIBE:
            about = self.target_eid or self.target_terminal_id
            return _digest(self.tenant, "new", self.app, self.imsi, about)
        return _digest(self.tenant, "line", self.imsi)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


class CallState(Enum):
    """What is known of the call that the order has open."""

    NONE = ""
    SENDING = "sending"  # kept before it is sent: after a crash it may have been executed
    NOT_EXECUTED = "not-executed"  # known not to have been executed


@dataclass(frozen=True, slots=True)
class OpenCall:
    """The call to the SM-DP+ that was written down; repeated with the identical body."""

    function: Function | None = None
    identifier: str = ""
    body: bytes = field(default=b"", repr=False)
    state: CallState = CallState.NONE
    doubt: bool = False  # an attempt may have been executed; stays until the call is answered


NO_CALL: Final = OpenCall()


@dataclass(frozen=True, slots=True)
class Order:
    """One durable record.

    Attributes:
        version: number of its newest step; every save makes the next.
        reached: the highest rank whose effects exist and were not taken back.
        aim: what COMPENSATING leads to.
        resumes: where MANUAL came from.
        reason: for people and reports: one word, then details; no identities.
        tries: profiles taken so far; each has its own key at the BSS.
        attempts: in a row that brought nothing.
        next_at: when it is looked at again; 0: only when something happens.
        expires_at: end of the patience with this state.
        assumed: the reservation or confirmation was concluded from a refusal in doubt.
        line_touched: the BSS was asked for the line, so that it must be taken back.
        line_moved: the number is with the new line.
        swap_early: the BSS moves the number before the release (it cannot do so later).
        cancel_as: `available`, `unavailable` or `quarantined`: what becomes of the profile.
        cancel_plain: CancelOrder without matching id: the SM-DP+ says that it has none.
        reuse: the profile is the line's own, needed again; it never goes back to a pool.
        excluded: `smdp/type` of pools that did not serve this order.
        matching_id: chosen by us, or returned for an order by profile type.
        possible_leak: a DownloadOrder without ICCID was lost.
        old_imsi: of the line that ends; empty: none does.
        polls: AcquireConfiguration since the order was accepted.
        lease_owner, lease_until: the process that works on it.
    """

    tenant: str
    order_id: str
    key: str
    subject: str
    kind: Kind
    app: str
    imsi: str = field(repr=False)
    created_at: int
    service: Service = Service.PRIMARY
    plan_id: str = ""
    target_eid: str = field(default="", repr=False)
    target_terminal_id: str = field(default="", repr=False)
    old_terminal_id: str = field(default="", repr=False)
    old_iccid: str = field(default="", repr=False)
    old_imsi: str = field(default="", repr=False)
    device: Device = Device()
    version: int = 0
    state: State = State.REQUESTED
    reached: State = State.REQUESTED
    aim: State | None = None
    resumes: State | None = None
    reason: str = ""
    tries: int = 0
    attempts: int = 0
    next_at: int = 0
    expires_at: int = 0
    changed_at: int = 0
    assumed: bool = False
    line_touched: bool = False
    line_moved: bool = False
    swap_early: bool = False
    cancel_as: str = "available"
    cancel_plain: bool = False
    possible_leak: bool = False
    reuse: bool = False
    excluded: tuple[str, ...] = ()
    smdp: str = ""
    profile_type: str = ""
    iccid: str = field(default="", repr=False)
    new_imsi: str = field(default="", repr=False)
    msisdn: str = field(default="", repr=False)
    matching_id: str = field(default="", repr=False)
    smdp_address: str = ""
    smdp_oid: str = ""
    call: OpenCall = NO_CALL
    released_at: int = 0
    downloaded_at: int = 0
    installed_at: int = 0
    ended_at: int = 0
    polls: int = 0
    lease_owner: str = ""
    lease_until: int = 0

    @property
    def rank(self) -> int:
        """Of the rank reached."""
        return RANK[self.reached]

    @property
    def past_pivot(self) -> bool:
        """The device may know the activation code."""
        return self.rank >= RANK[State.RELEASED]

    @property
    def recovers_own_profile(self) -> bool:
        """The profile of `old_iccid` is to be had again; else a line that is lost moves."""
        return self.kind is Kind.RECOVER and not self.old_imsi

    @property
    def is_final(self) -> bool:
        """Nothing will happen to it any more."""
        return self.state in FINAL

    @property
    def busy(self) -> bool:
        """Another order about the same subject would be in its way."""
        return not self.is_final and self.state is not State.ACTIVE

    @property
    def activation_code(self) -> ActivationCode | None:
        """For the device; None before the pivot, and when there is nothing to download."""
        if not self.past_pivot or not self.smdp_address or self.is_final:
            return None
        return ActivationCode(self.smdp_address, MatchingId(self.matching_id), self.smdp_oid)

    def __str__(self) -> str:
        return f"order {self.order_id} of {self.tenant}: {self.state.value}"


class Progress(Enum):
    """What a device is told: SubscriptionResult of TS.43 §6.5.3, where there is one."""

    WEB_SHEET = 1  # CONTINUE TO WEBSHEET
    DOWNLOAD = 2  # DOWNLOAD PROFILE: `activation_code` is there
    DONE = 3
    DELAYED = 4  # DELAYED DOWNLOAD: polling or push
    DISMISS = 5  # the order came to nothing, or another one is in its way
    DELETE_PROFILE_IN_USE = 6  # the old profile must be deleted before it can be had again


class ServiceStatus(Enum):
    """Of a line in AcquireConfiguration and ManageService (TS.43 §6.5.4)."""

    ACTIVATED = 1
    ACTIVATING = 2
    DEACTIVATED = 3
    DEACTIVATED_NO_REUSE = 4


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as a device, the console or a push sees it. A snapshot: it does not change.

    Attributes:
        progress: the answer to ManageSubscription.
        service_status: the answer to AcquireConfiguration.
        polling_minutes: PollingInterval; 0: the device shall not poll. Only while ACTIVATING.
        activation_code: from the pivot until the profile is installed; the same in every answer.
        iccid: of the new profile; empty until one was chosen.
        imsi: of the subscriber who ordered; `line_imsi` that of the new line (empty: not chosen);
            `old_imsi` that of the line that ends (empty: none does).
        reason: for people; no identities.
        repeated: the request was there before: this is the order that it led to then.
        conflicting: another order about the same line or device is not finished; it is this one.
    """

    tenant: str
    order_id: str
    kind: Kind
    app: str
    state: State
    progress: Progress
    service_status: ServiceStatus
    polling_minutes: int
    activation_code: ActivationCode | None
    iccid: str = field(repr=False)
    smdp_address: str
    service: Service
    plan_id: str
    imsi: str = field(repr=False)
    line_imsi: str = field(repr=False)
    target_eid: str = field(repr=False)
    target_terminal_id: str = field(repr=False)
    device: Device
    reason: str
    created_at: int
    changed_at: int
    repeated: bool = False
    conflicting: bool = False
    old_imsi: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.kind.value} of {masked(self.imsi)}: {self.state.value}"
