"""The embedded BSS as orders see it (`actors.backends.bss_lines.BssLines`)."""

import time
from collections.abc import Callable
from functools import partial

from actors.backends.bss import Plan
from actors.backends.bss_lines import LineAway, LineChange, LineEligibility, LineOutcome
from actors.store import lines
from actors.store.sql import Database
from actors.store.store import StoreUnavailable
from actors.store.transactions import T, Transactions, transacted


class EmbeddedBss:
    """Answers at once, from the tables of the store."""

    def __init__(self, transactions: Transactions, clock: Callable[[], float] = time.time) -> None:
        self._transactions = transactions
        self._clock = clock

    async def check_eligibility(
        self, tenant: str, imsi: str, app: str
    ) -> LineEligibility | LineAway:
        """An active subscriber may have companions and lines up to a limit."""
        return await self._do(tenant, lambda db: lines.eligibility(db, tenant, imsi, app))

    async def check_transfer(self, tenant: str, imsi: str, app: str) -> LineEligibility | LineAway:
        """An active line may move."""
        return await self._do(tenant, lambda db: lines.transfer_eligibility(db, tenant, imsi))

    async def plans(self, tenant: str, imsi: str, app: str) -> tuple[Plan, ...] | LineAway:
        """All plans of the tenant."""
        return await self._do(tenant, lambda db: lines.offered_plans(db, tenant))

    async def own_line(self, tenant: str, owner_imsi: str, iccid: str) -> str | LineAway:
        """The IMSI of the line that this card has; empty: none, or somebody else's."""
        return await self._do(tenant, lambda db: lines.own_line(db, tenant, owner_imsi, iccid))

    async def activate(self, change: LineChange) -> LineOutcome:
        """Make the subscriber of the new card; in a transfer without the number."""
        return await self._change("activate", change)

    async def recover(self, change: LineChange) -> LineOutcome:
        """Nothing changes but the device."""
        return await self._change("recover", change)

    async def move(self, change: LineChange) -> LineOutcome:
        """Number and companions go to the new subscriber, the old one is terminated."""
        return await self._change("move", change)

    async def restore(self, change: LineChange) -> LineOutcome:
        """The number goes back, and the old subscriber is active again."""
        return await self._change("restore", change)

    async def undo(self, change: LineChange) -> LineOutcome:
        """The new subscriber never was."""
        return await self._change("undo", change)

    async def end(self, change: LineChange) -> LineOutcome:
        """The subscriber is terminated."""
        return await self._change("end", change)

    async def _change(self, verb: str, change: LineChange) -> LineOutcome:
        now = int(self._clock())
        return await self._do(change.tenant, partial(_carry_out, verb, change, now))

    async def _do(self, tenant: str, operation: Callable[[Database], T]) -> T | LineAway:
        try:
            return await transacted(self._transactions, tenant, operation)
        except StoreUnavailable as error:
            return LineAway(f"store-{error.reason}")


def _carry_out(verb: str, change: LineChange, now: int, database: Database) -> lines.Done:
    return lines.carry_out(database, verb, change, now)
