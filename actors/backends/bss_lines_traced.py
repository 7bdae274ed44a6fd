"""The business systems of orders, seen by traces: each change and what became of it."""

from collections.abc import Awaitable, Callable

from actors.backends.bss import Plan
from actors.backends.bss_lines import (
    BssLines,
    LineAway,
    LineChange,
    LineDone,
    LineEligibility,
    LineOutcome,
    LinePending,
    LineRefused,
)
from actors.trace.order_legs import Concerned, OrderLegs
from protocols.identity import masked


class TracedBssLines:
    """`BssLines` that tells traces."""

    def __init__(self, lines: BssLines, legs: OrderLegs) -> None:
        self._lines = lines
        self._legs = legs

    async def check_eligibility(
        self, tenant: str, imsi: str, app: str
    ) -> LineEligibility | LineAway:
        """As the business systems say."""
        found = await self._lines.check_eligibility(tenant, imsi, app)
        self._asked(tenant, imsi, f"may have another line for {app}", found)
        return found

    async def check_transfer(self, tenant: str, imsi: str, app: str) -> LineEligibility | LineAway:
        """As the business systems say."""
        found = await self._lines.check_transfer(tenant, imsi, app)
        self._asked(tenant, imsi, f"may move for {app}", found)
        return found

    async def plans(self, tenant: str, imsi: str, app: str) -> tuple[Plan, ...] | LineAway:
        """As the business systems say."""
        return await self._lines.plans(tenant, imsi, app)

    async def own_line(self, tenant: str, owner_imsi: str, iccid: str) -> str | LineAway:
        """As the business systems say."""
        return await self._lines.own_line(tenant, owner_imsi, iccid)

    async def activate(self, change: LineChange) -> LineOutcome:
        """As the business systems do."""
        return await self._changed("activate", change, self._lines.activate)

    async def recover(self, change: LineChange) -> LineOutcome:
        """As the business systems do."""
        return await self._changed("recover", change, self._lines.recover)

    async def move(self, change: LineChange) -> LineOutcome:
        """As the business systems do."""
        return await self._changed("move", change, self._lines.move)

    async def restore(self, change: LineChange) -> LineOutcome:
        """As the business systems do."""
        return await self._changed("restore", change, self._lines.restore)

    async def undo(self, change: LineChange) -> LineOutcome:
        """As the business systems do."""
        return await self._changed("undo", change, self._lines.undo)

    async def end(self, change: LineChange) -> LineOutcome:
        """As the business systems do."""
        return await self._changed("end", change, self._lines.end)

    async def _changed(
        self,
        verb: str,
        change: LineChange,
        carry_out: Callable[[LineChange], Awaitable[LineOutcome]],
    ) -> LineOutcome:
        if not self._legs.armed:
            return await carry_out(change)
        imsis = (change.owner_imsi, change.imsi, change.old_imsi)
        order = Concerned(change.order_id, imsis)
        self._legs.line(change.tenant, order, "out", _asking(verb, change))
        outcome = await carry_out(change)
        self._legs.line(change.tenant, order, "in", f"{verb}: {_said(outcome)}")
        return outcome

    def _asked(
        self, tenant: str, imsi: str, question: str, found: LineEligibility | LineAway
    ) -> None:
        if self._legs.armed:
            order = Concerned("none yet", (imsi,))
            self._legs.line(tenant, order, "out", question)
            self._legs.line(tenant, order, "in", _eligible(found))


def _asking(verb: str, change: LineChange) -> str:
    facts = {
        "line": masked(change.imsi),
        "iccid": masked(change.iccid),
        "service": change.service,
        "plan": change.plan_id,
        "old line": masked(change.old_imsi) if change.old_imsi else "",
        "key": change.key,
    }
    told = ", ".join(f"{name} {value}" for name, value in facts.items() if value)
    return f"{verb} {told}"


def _said(outcome: LineOutcome) -> str:
    match outcome:
        case LineDone():
            return "done"
        case LinePending(retry_after):
            return f"pending, ask again in {retry_after:g} s"
        case LineRefused(reason):
            return f"refused: {reason}"
        case LineAway(reason):
            return f"no answer: {reason}"


def _eligible(found: LineEligibility | LineAway) -> str:
    if isinstance(found, LineAway):
        return f"no answer: {found.reason}"
    return ("yes " + ", ".join(found.services)).strip() if found.allowed else f"no: {found.reason}"
