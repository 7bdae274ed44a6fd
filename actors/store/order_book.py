"""The order book: everything that is kept of orders, awaited, one durable transaction each."""

from collections.abc import Callable, Sequence

from actors.orders.machine import Decision
from actors.orders.records import Order
from actors.store import orders, profiles, temporary_tokens
from actors.store.orders import Entry, Filter, Step
from actors.store.profiles import KeptNotification, PoolCount, Profile, Wanted
from actors.store.sql import Database
from actors.store.temporary_tokens import TokenRow
from actors.store.transactions import T, Transactions, transacted


class OrderBook:
    """The operations of `orders`, `profiles` and `temporary_tokens`; see there.

    Every method may raise `StoreUnavailable`.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def create(self, order: Order, entry: Entry) -> tuple[Order, bool]:
        """Keep a new order; or find the unfinished one about the same subject."""
        return await self._do(order.tenant, lambda db: orders.create(db, order, entry))

    async def save(
        self, before: Order, decision: Decision, entry: Entry, digest: str = ""
    ) -> Order | None:
        """Keep a step; None: another step came first."""
        return await self._do(
            before.tenant, lambda db: orders.save(db, before, decision, entry, digest)
        )

    async def take_profile(
        self,
        before: Order,
        wanted: Sequence[Wanted],
        decide: Callable[[Profile], Decision],
        entry: Entry,
    ) -> tuple[Order | None, bool]:
        """Reserve a profile and keep the step that it means."""
        return await self._do(
            before.tenant, lambda db: orders.take_profile(db, before, wanted, decide, entry)
        )

    async def load(self, tenant: str, order_id: str) -> Order | None:
        """One order."""
        return await self._do(tenant, lambda db: orders.load(db, tenant, order_id))

    async def claim(
        self, tenant: str, order_id: str, owner: str, now: int, until: int
    ) -> Order | None:
        """Take an order; None: another process works on it."""
        return await self._do(
            tenant, lambda db: orders.claim(db, tenant, order_id, owner, now, until)
        )

    async def release_all(self, tenant: str, owner: str) -> None:
        """Let other processes have what this one had."""
        await self._do(tenant, lambda db: orders.release_all(db, tenant, owner))

    async def due(self, tenant: str, owner: str, now: int, limit: int) -> list[str]:
        """The orders that want to be looked at."""
        return await self._do(tenant, lambda db: orders.due(db, tenant, owner, now, limit))

    async def search(self, tenant: str, wanted: Filter, limit: int = 20) -> list[Order]:
        """Orders, newest first."""
        return await self._do(tenant, lambda db: orders.search(db, tenant, wanted, limit))

    async def polled(self, tenant: str, wanted: Filter, limit: int = 20) -> list[Order]:
        """The same, and what is unfinished was polled once more."""

        def operation(db: Database) -> list[Order]:
            found = orders.search(db, tenant, wanted, limit)
            orders.count_polls(db, tenant, [one.order_id for one in found if one.busy])
            return found

        return await self._do(tenant, operation)

    async def history(self, tenant: str, order_id: str) -> list[Step]:
        """The steps of an order."""
        return await self._do(tenant, lambda db: orders.history(db, tenant, order_id))

    async def profile(self, tenant: str, iccid: str) -> Profile | None:
        """One profile of the pools."""
        return await self._do(tenant, lambda db: profiles.find(db, tenant, iccid))

    async def adopt(self, tenant: str, profile: Profile, order_id: str, now: int) -> Profile:
        """A profile that the SM-DP+ chose."""
        return await self._do(tenant, lambda db: profiles.adopt(db, tenant, profile, order_id, now))

    async def pools(self, tenant: str) -> list[PoolCount]:
        """How many profiles are where."""
        return await self._do(tenant, lambda db: profiles.counts(db, tenant))

    async def keep_notification(
        self, one: KeptNotification, raw: bytes
    ) -> tuple[str, KeptNotification]:
        """What an SM-DP+ reported."""
        return await self._do(one.tenant, lambda db: profiles.keep_notification(db, one, raw))

    async def finish_notification(self, tenant: str, digest: str) -> None:
        """The order has taken it."""
        await self._do(tenant, lambda db: profiles.finish_notification(db, tenant, digest))

    async def open_notifications(self, tenant: str, limit: int) -> list[KeptNotification]:
        """Those that no order has taken yet."""
        return await self._do(tenant, lambda db: profiles.open_notifications(db, tenant, limit))

    async def issue_token(self, tenant: str, token_hash: bytes, row: TokenRow, now: int) -> None:
        """Keep a temporary token."""
        await self._do(tenant, lambda db: temporary_tokens.issue(db, tenant, token_hash, row, now))

    async def use_token(
        self, tenant: str, token_hash: bytes, eid: str, now: int
    ) -> TokenRow | None:
        """A temporary token, if it is good for this device."""
        return await self._do(
            tenant, lambda db: temporary_tokens.use(db, tenant, token_hash, eid, now)
        )

    async def consume_token(self, tenant: str, token_hash: bytes, now: int) -> bool:
        """It is used up; whether this was the use that did it."""
        return await self._do(
            tenant, lambda db: temporary_tokens.consume(db, tenant, token_hash, now)
        )

    async def _do(self, tenant: str, operation: Callable[[Database], T]) -> T:
        return await transacted(self._transactions, tenant, operation)
