"""The orders' port: what the device-facing operations, the console and the SM-DP+ side ask.

A device waits on its HTTP request. `request` waits with it up to a budget and then says how far the
order came: with `Progress.DELAYED` the device polls (`configurations`) or is pushed (`watch`), and
the order goes on. An order is on disk before anything is answered, and a repetition of a request
finds the order that the first one made, with the same activation code.

Every method may raise `actors.store.store.StoreUnavailable`: the device then gets 503.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from actors.backends.bss import Plan
from actors.backends.smdp_plus import Disposition, SmdpNotification
from actors.orders.records import OrderRequest, OrderView, Service
from protocols.identity import Eid, Iccid, Imsi


class Eligibility(Enum):
    """PrimaryAppEligibility, CompanionAppEligibility, EnterpriseAppEligibility (TS.43 §6.5.2)."""

    DISABLED = 0
    ENABLED = 1
    INCOMPATIBLE = 2


@dataclass(frozen=True, slots=True)
class Eligible:
    """Whether this subscriber may order for this device, and which services."""

    eligibility: Eligibility
    services: tuple[Service, ...] = ()
    reason: str = ""


class TokenRefusal(Enum):
    """Why a temporary token does not authorise an operation."""

    UNKNOWN = "unknown"  # 401: unknown, expired or used up
    OUTSIDE_TARGETS = "outside-targets"  # 403: another operation or another application


@dataclass(frozen=True, slots=True)
class TemporaryToken:
    """What a good temporary token stands for (TS.43 §6.5.7, §8.9).

    Attributes:
        imsi, terminal_id, iccid: of the device that got it: the old line of a transfer.
        token_hash: for `OrderRequest.token_hash`.
    """

    tenant: str
    imsi: Imsi = field(repr=False)
    terminal_id: str = field(repr=False)
    iccid: str = field(repr=False)
    app: str
    operations: tuple[str, ...]
    expires_at: int
    token_hash: bytes = field(repr=False)


# Called in the Trio thread after each change that is on disk; it must not raise or wait.
OrderChanged = Callable[[OrderView], None]


class OrderDesk(Protocol):
    """What `actors.orders.orders.Orders` offers."""

    async def request(self, request: OrderRequest, budget_seconds: float) -> OrderView:
        """Take a request, or find what an earlier one led to; wait until it is answerable.

        SUBSCRIBE, TRANSFER, RECOVER (types 0, 3, 7) return DOWNLOAD when the profile can be
        fetched, DELAYED when the budget ended first, DISMISS for a failure or a conflict
        (`conflicting`), DONE when the line works already, WEB_SHEET when the user is needed.
        UNSUBSCRIBE (type 1) returns DONE, or DELAYED while it is being done.

        Args:
            budget_seconds: 0 looks once.
        """
        ...

    async def answered(self, tenant: str, order_id: str, budget_seconds: float) -> OrderView | None:
        """The user finished the web sheet of an order in WAIT_USER; then as `request`."""
        ...

    async def find(self, tenant: str, order_id: str) -> OrderView | None:
        """One order."""
        ...

    async def configurations(
        self,
        tenant: str,
        *,
        imsi: Imsi | None = None,
        eid: Eid | None = None,
        terminal_id: str = "",
        iccid: Iccid | None = None,
        app: str = "",
        polls: bool = True,
    ) -> tuple[OrderView, ...]:
        """The lines and unfinished orders that match everything given, newest first.

        For AcquireConfiguration: it counts as a poll, so that after max-polls of the
        configuration ServiceStatus is DEACTIVATED_NO_REUSE (MaxRefreshRequest). An `imsi` is of
        the subscriber or of the line itself. At least one of them must be given.

        Args:
            polls: False: only a look for another operation's sake, which counts as none.
        """
        ...

    async def seen(
        self, tenant: str, *, iccid: Iccid | None = None, imsi: Imsi | None = None
    ) -> OrderView | None:
        """The new profile is in use: UPDATE_SUBSCRIPTION (type 4), AcquireConfiguration with its
        ICCID, or the first EAP-AKA with its IMSI. As good as the notification of an installation.
        """
        ...

    async def unsubscribe(
        self, tenant: str, order_id: str, budget_seconds: float
    ) -> OrderView | None:
        """End what an order made, or is making (type 1, when `configurations` found it)."""
        ...

    async def notified(self, notification: SmdpNotification) -> Disposition:
        """Keep a notification of an SM-DP+ (`NotificationSink`); it is worked on afterwards.

        Raises:
            NotKept: it could not be kept.
        """
        ...

    def watch(self, changed: OrderChanged) -> None:
        """Register a listener for changes, such as push."""
        ...

    async def eligibility(self, tenant: str, imsi: Imsi, app: str, eid: Eid | None) -> Eligible:
        """CheckEligibility."""
        ...

    async def plans(self, tenant: str, imsi: Imsi, app: str) -> tuple[Plan, ...]:
        """AcquirePlan: what may be ordered."""
        ...

    async def issue_token(
        self,
        tenant: str,
        imsi: Imsi,
        terminal_id: str,
        app: str,
        operations: tuple[str, ...],
        *,
        iccid: str = "",
    ) -> tuple[str, TemporaryToken]:
        """AcquireTemporaryToken: the token and what it stands for; it ends before an order does."""
        ...

    async def redeem_token(
        self, tenant: str, token: str, app: str, operation: str, eid: Eid | None
    ) -> TemporaryToken | TokenRefusal:
        """Whether a temporary token authorises an operation.

        It may be used again, for polling and repetitions, until it ends; the first device that
        uses it is the only one that can (`eid`).
        """
        ...

    async def consume_token(self, tenant: str, token_hash: bytes) -> bool:
        """The temporary token is used up: the device has one of its own now, or may use it once.

        Returns:
            Whether it was not before: of two who use it at the same time one alone did.
        """
        ...


# What hands notifications to the desk.
Notified = Callable[[SmdpNotification], Awaitable[Disposition]]
