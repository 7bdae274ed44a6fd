"""The BSS port of eSIM orders: lines that are made, moved and ended.

The embedded implementation is `actors/store/lines.py`. One for TM Forum APIs maps a change to a
service order (TMF641), with the key as `externalId`, and its events to `Orders.called_back`.
"""

from dataclasses import dataclass, field
from typing import Protocol

from actors.backends.bss import Plan


@dataclass(frozen=True, slots=True)
class LineChange:
    """A change of lines that an order needs; not all fields say something in every change.

    Attributes:
        key: idempotency key (`externalId` of TM Forum APIs): the same key is the same change, and
            changes nothing the second time.
        owner_imsi: of the subscriber who ordered, and pays.
        imsi, iccid: of the card of the new line.
        msisdn: that came with the card; empty: the BSS finds one, if the line needs its own.
        service: companion_terminal_service (TS.43 §6.2); empty: a primary line.
        plan_id: that was chosen; empty: the owner's.
        old_imsi: of the line that the new one takes the number from; empty: of none.
    """

    tenant: str
    key: str
    order_id: str
    owner_imsi: str = field(repr=False)
    app: str
    imsi: str = field(default="", repr=False)
    iccid: str = field(default="", repr=False)
    msisdn: str = field(default="", repr=False)
    service: str = ""
    plan_id: str = ""
    eid: str = field(default="", repr=False)
    terminal_id: str = field(default="", repr=False)
    friendly_name: str = ""
    old_imsi: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class LineDone:
    """It is done, now or before."""


@dataclass(frozen=True, slots=True)
class LinePending:
    """It was taken and is not done yet: ask again with the same key.

    Attributes:
        retry_after: seconds; 0: the BSS calls back, and is asked when it does not.
    """

    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class LineRefused:
    """It will not be done; nothing was changed.

    Attributes:
        reason: one word for reports, then details for people; no identities.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class LineAway:
    """No answer, or none that can be understood: it may be done. Ask again with the same key."""

    reason: str


LineOutcome = LineDone | LinePending | LineRefused | LineAway


@dataclass(frozen=True, slots=True)
class LineEligibility:
    """Whether a subscriber may order.

    Attributes:
        services: of companions that are sold, in the words of TS.43; empty when not allowed.
        reason: why not; one word.
    """

    allowed: bool
    services: tuple[str, ...] = ()
    reason: str = ""


class BssLines(Protocol):
    """What orders ask of the business systems. Unlike `Bss` it may take its time.

    No method raises for what the BSS or the network does, and each change can be repeated after a
    crash: the embedded implementation is `actors/store/lines.py`; one for TM Forum APIs maps a
    change to a service order (TMF641) with the key as `externalId`.
    """

    async def check_eligibility(
        self, tenant: str, imsi: str, app: str
    ) -> LineEligibility | LineAway:
        """Whether this subscriber may have another line for a device."""
        ...

    async def check_transfer(self, tenant: str, imsi: str, app: str) -> LineEligibility | LineAway:
        """Whether this line may move to another profile."""
        ...

    async def plans(self, tenant: str, imsi: str, app: str) -> tuple[Plan, ...] | LineAway:
        """What may be ordered (AcquirePlan)."""
        ...

    async def own_line(self, tenant: str, owner_imsi: str, iccid: str) -> str | LineAway:
        """The IMSI of the line that this card has; empty: none, or somebody else's."""
        ...

    async def activate(self, change: LineChange) -> LineOutcome:
        """Make the new line work. In a transfer the old one still does, and has the number."""
        ...

    async def recover(self, change: LineChange) -> LineOutcome:
        """The line gets its own profile once more: nothing changes, if it may have it."""
        ...

    async def move(self, change: LineChange) -> LineOutcome:
        """Number and services go to the new line, and the old one ends, together."""
        ...

    async def restore(self, change: LineChange) -> LineOutcome:
        """Take a `move` back."""
        ...

    async def undo(self, change: LineChange) -> LineOutcome:
        """Take an `activate` back: the line never was. Done when there is none."""
        ...

    async def end(self, change: LineChange) -> LineOutcome:
        """End a line for good. Done when it has ended."""
        ...
