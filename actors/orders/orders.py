"""The orders actor: the desk for devices (`port.py`), and the workers behind it.

Each order that can go on has one task, in one process: the lease in its row says which. A look
through the book finds those whose time has come, and those of a process that died. A device waits
for its order here, not in the worker, so that it can leave.
"""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import structlog
import trio

from actors.backends.bss import Plan
from actors.backends.bss_lines import BssLines, LineAway
from actors.backends.smdp_plus import Disposition, SmdpNotification, SmdpPlus
from actors.orders.driver import Driver, Key
from actors.orders.inbox import Inbox
from actors.orders.intake import Fresh, Intake, Known, NotAllowed
from actors.orders.port import (
    Eligibility,
    Eligible,
    OrderChanged,
    TemporaryToken,
    TokenRefusal,
)
from actors.orders.records import Kind, Order, OrderRequest, OrderView, Progress, Service
from actors.orders.tokens import TemporaryTokens
from actors.orders.transitions import Input, State
from actors.orders.views import is_answerable, view_of
from actors.store.order_book import OrderBook
from actors.store.orders import Entry, Filter
from actors.store.profiles import KeptNotification, PoolCount
from actors.store.store import StoreUnavailable
from config.model import Orders as Settings
from protocols.identity import Eid, Iccid, Imsi

_log = structlog.get_logger("orders")

LOOK_AT: Final = 100  # orders of one tenant in one look
ELSEWHERE_SECONDS: Final = 0.5  # between looks at an order that another process works on
DAY_SECONDS: Final = 86_400  # so long a device is told of an order that came to nothing
RETRY_CREATE: Final = 3


@dataclass(frozen=True, slots=True)
class OrdersStatistics:
    """The orders of this process as they stand; counts since the start."""

    requests: int
    """Asked for by devices."""
    repeated: int
    """Of these, requests that an order of before answered."""
    conflicting: int
    """Refused because another order was in the way."""
    not_allowed: int
    """Refused by the business systems."""
    working: int
    """Orders that are being worked on now."""
    states: dict[str, int]
    """Steps into each state."""
    orphans: int
    """Notifications about profiles that nobody knows."""
    foreign: int
    """Notifications about profiles of another SM-DP+."""
    conflicts: int
    """Steps that were decided anew because another one came first."""
    crashes: int
    """Bugs; the orders wait for people."""
    unavailable: int
    """Times that the store was away when an order wanted to go on."""


class Orders:
    """`actors.orders.port.OrderDesk`. All methods are for the Trio thread, while `run` runs."""

    def __init__(
        self,
        settings: Settings,
        book: OrderBook,
        bss: BssLines,
        smdps: Mapping[Key, SmdpPlus],
        tenants: Iterable[str],
        *,
        owner: str,
        at_once: Mapping[Key, int] | None = None,
        clock: Callable[[], float] = time.time,
        crashed: Callable[[Exception], None] | None = None,
    ) -> None:
        """Describe the actor; `run` starts it.

        Args:
            settings: [orders] of the configuration.
            book: of the store.
            smdps: by tenant and name.
            tenants: ids of all.
            owner: name of this process among those of the database, the same after a restart.
            at_once: calls at the same time to one SM-DP+.
            clock: wall-clock seconds.
            crashed: told of bugs; must not raise.
        """
        self._book = book
        self._bss = bss
        self._tenants = tuple(tenants)
        self._owner = owner
        self._clock = clock
        self._crashed = crashed
        self._driver = Driver(
            settings,
            book,
            bss,
            smdps,
            owner=owner,
            changed=self._order_changed,
            at_once=at_once,
            clock=clock,
        )
        self._inbox = Inbox(self._driver)
        self._intake = Intake(book, bss)
        self._tokens = TemporaryTokens(book, self._driver.now)
        self._room = trio.CapacityLimiter(settings.parallel)
        self._working: dict[Key, bool] = {}  # True: something happened meanwhile, look again
        self._waiting: dict[Key, trio.Event] = {}
        self._watchers: list[OrderChanged] = []
        self._nursery: trio.Nursery | None = None
        self._counts: Counter[str] = Counter()
        self._states: Counter[str] = Counter()

    @property
    def settings(self) -> Settings:
        """[orders]."""
        return self._driver.settings

    def reload(self, settings: Settings, tenants: Iterable[str]) -> None:
        """Go by other settings from the next step on."""
        self._driver.settings = settings
        self._tenants = tuple(tenants)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Work until cancelled; then others may go on with what this process had."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await self._take_over()
                task_status.started()
                while True:
                    await self._look()
                    await trio.sleep(self.settings.look_seconds)
        finally:
            self._nursery = None
            self._working.clear()
            with trio.CancelScope(shield=True):
                await self._take_over()

    async def _take_over(self) -> None:
        """What this name holds belongs to nobody: its owner died, or is about to end."""
        for tenant in self._tenants:
            try:
                await self._book.release_all(tenant, self._owner)
            except StoreUnavailable as error:
                _log.warning("orders are not released", tenant=tenant, reason=error.reason)

    async def _look(self) -> None:
        """Start what is due."""
        for tenant in self._tenants:
            try:
                for one in await self._book.open_notifications(tenant, LOOK_AT):
                    await self._work_on(one)
                now = self._driver.now()
                for order_id in await self._book.due(tenant, self._owner, now, LOOK_AT):
                    self._start(tenant, order_id)
            except StoreUnavailable as error:
                self._counts["unavailable"] += 1
                _log.warning("orders cannot be looked at", tenant=tenant, reason=error.reason)

    def _start(self, tenant: str, order_id: str) -> None:
        key = (tenant, order_id)
        if key in self._working:
            self._working[key] = True
        elif self._nursery is not None:
            self._working[key] = False
            self._nursery.start_soon(self._work, tenant, order_id)

    async def _work(self, tenant: str, order_id: str) -> None:
        """The shell of one order's task: nothing of it reaches other orders."""
        key = (tenant, order_id)
        try:
            async with self._room:
                again = True
                while again:
                    self._working[key] = False
                    await self._driver.drive(tenant, order_id)
                    again = self._working[key]
        except StoreUnavailable as error:
            self._counts["unavailable"] += 1
            _log.warning("an order cannot go on", order=order_id, reason=error.reason)
        except Exception as bug:
            await self._stop_for(tenant, order_id, bug)
        finally:
            self._working.pop(key, None)

    async def _stop_for(self, tenant: str, order_id: str, bug: Exception) -> None:
        """Nothing is repeated blindly: people must look."""
        self._counts["crashes"] += 1
        _log.error("bug", order=order_id, exc_info=bug)
        if self._crashed is not None:
            self._crashed(bug)
        try:
            order = await self._book.load(tenant, order_id)
            if order is not None:
                reason = f"bug: {type(bug).__name__}"
                await self._driver.apply(order, self._driver.event(Input.BUG, reason=reason))
        except Exception as error:  # the order stands where it stood, and is due
            _log.error("bug", order=order_id, exc_info=error)

    def _order_changed(self, order: Order) -> None:
        self._states[order.state.value] += 1
        waiting = self._waiting.pop((order.tenant, order.order_id), None)
        if waiting is not None:
            waiting.set()
        if self._watchers:
            view = view_of(order, self.settings)
            for watcher in self._watchers:
                watcher(view)

    # --- the desk ---------------------------------------------------------------------------

    async def request(self, request: OrderRequest, budget_seconds: float) -> OrderView:
        """Take a request, or find what an earlier one led to; wait until it is answerable."""
        deadline = trio.current_time() + budget_seconds
        self._counts["requests"] += 1
        for _ in range(RETRY_CREATE):
            meaning = await self._intake.meaning_of(
                request, self._new_id(), self._driver.now(), self.settings
            )
            match meaning:
                case NotAllowed(order, reason):
                    self._counts["not-allowed"] += 1
                    refused = replace(order, state=State.FAILED, reason=f"not-allowed: {reason}")
                    return view_of(refused, self.settings)
                case Known(order, conflicting):
                    return await self._known(request, order, conflicting, deadline)
                case Fresh(order):
                    kept, is_new = await self._book.create(order, _entry_of(request, order))
                    if is_new:
                        self._order_changed(kept)
                        return await self._answer(kept, deadline)
                    if kept.version:
                        return await self._known(request, kept, kept.key != order.key, deadline)
        raise StoreUnavailable("other", "an order was finished again and again while it was made")

    async def _known(
        self, request: OrderRequest, order: Order, conflicting: bool, deadline: float
    ) -> OrderView:
        if conflicting:
            self._counts["conflicting"] += 1
            return view_of(order, self.settings, conflicting=True)
        self._counts["repeated"] += 1
        if request.kind is Kind.UNSUBSCRIBE and order.kind is not Kind.UNSUBSCRIBE:
            return await self._unsubscribe(order, deadline)
        return await self._answer(order, deadline, repeated=True)

    async def _answer(self, order: Order, deadline: float, *, repeated: bool = False) -> OrderView:
        """Go on with an order, and wait with the device."""
        key = (order.tenant, order.order_id)
        if order.next_at and order.next_at <= self._driver.now():
            self._start(*key)
        view = partial(view_of, settings=self.settings, repeated=repeated)
        while not is_answerable(view(order)) and trio.current_time() < deadline:
            waiting = self._waiting.setdefault(key, trio.Event())
            with trio.move_on_at(min(deadline, trio.current_time() + ELSEWHERE_SECONDS)):
                await waiting.wait()
            order = await self._book.load(*key) or order
        self._waiting.pop(key, None)  # others who wait look by themselves
        return view(order)

    def _new_id(self) -> str:
        """Sorts by time, to the millisecond; the rest nobody can guess."""
        return f"{int(self._clock() * 1_000):012x}{secrets.token_hex(8)}"

    async def answered(self, tenant: str, order_id: str, budget_seconds: float) -> OrderView | None:
        """The user finished the web sheet."""
        deadline = trio.current_time() + budget_seconds
        return await self._happens(tenant, order_id, Input.USER_ANSWERED, deadline)

    async def _happens(
        self, tenant: str, order_id: str, given: Input, deadline: float
    ) -> OrderView | None:
        order = await self._book.load(tenant, order_id)
        if order is None:
            return None
        order = await self._driver.apply(order, self._driver.event(given))
        return await self._answer(order, deadline)

    async def find(self, tenant: str, order_id: str) -> OrderView | None:
        """One order."""
        order = await self._book.load(tenant, order_id)
        return view_of(order, self.settings) if order is not None else None

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
        """The lines and unfinished orders that match everything given, newest first."""
        wanted = Filter(imsi or "", eid or "", terminal_id, iccid or "", app)
        if not (wanted.imsi or wanted.eid or wanted.terminal_id or wanted.iccid):
            return ()
        since = self._driver.now() - DAY_SECONDS
        look = self._book.polled if polls else self._book.search
        found = await look(tenant, wanted)
        told = [one for one in found if not one.is_final or one.ended_at > since]
        return tuple(view_of(one, self.settings) for one in _of_today(told))

    async def seen(
        self, tenant: str, *, iccid: Iccid | None = None, imsi: Imsi | None = None
    ) -> OrderView | None:
        """The new profile is in use."""
        if iccid is None and imsi is None:
            return None
        for order in await self._book.search(tenant, Filter(imsi=imsi or "", iccid=iccid or "")):
            if order.is_final or (imsi is not None and order.new_imsi != imsi):
                continue
            changed = await self._driver.apply(order, self._driver.event(Input.DEVICE_SEEN))
            self._start(tenant, order.order_id)
            return view_of(changed, self.settings)
        return None

    async def unsubscribe(
        self, tenant: str, order_id: str, budget_seconds: float
    ) -> OrderView | None:
        """End what an order made, or is making."""
        order = await self._book.load(tenant, order_id)
        deadline = trio.current_time() + budget_seconds
        return await self._unsubscribe(order, deadline) if order is not None else None

    async def _unsubscribe(self, order: Order, deadline: float) -> OrderView:
        """Done, or DELAYED while it is being done; a line that is being moved must wait."""
        event = self._driver.event(Input.UNSUBSCRIBED, reason="unsubscribed")
        order = await self._driver.apply(order, event)
        view = await self._answer(order, deadline)
        ended = view.state in (State.CANCELLED, State.ENDED, State.FAILED)
        if ended or view.state is State.COMPENSATING:
            return replace(view, progress=Progress.DONE)
        return view if view.state is State.ENDING else replace(view, progress=Progress.DISMISS)

    # --- SM-DP+ -----------------------------------------------------------------------------

    async def notified(self, notification: SmdpNotification) -> Disposition:
        """Keep a notification; it is worked on afterwards."""
        disposition, one = await self._inbox.keep(notification)
        if one is not None and self._nursery is not None:
            self._nursery.start_soon(self._work_on_soon, one)
        return disposition

    async def _work_on_soon(self, one: KeptNotification) -> None:
        try:
            await self._work_on(one)
        except StoreUnavailable:
            self._counts["unavailable"] += 1  # the next look finds it
        except Exception as bug:
            await self._stop_for(one.tenant, one.order_id, bug)

    async def _work_on(self, one: KeptNotification) -> None:
        order = await self._inbox.work_on(one)
        if order is not None and order.next_at:
            self._start(order.tenant, order.order_id)

    def watch(self, changed: OrderChanged) -> None:
        """Register a listener for changes."""
        self._watchers.append(changed)

    # --- the business systems, and tokens ----------------------------------------------------

    async def eligibility(self, tenant: str, imsi: Imsi, app: str, eid: Eid | None) -> Eligible:
        """CheckEligibility.

        Raises:
            StoreUnavailable: the business systems do not answer.
        """
        found = await self._bss.check_eligibility(tenant, imsi, app)
        if isinstance(found, LineAway):
            raise StoreUnavailable("other", found.reason)
        if not found.allowed:
            return Eligible(Eligibility.DISABLED, (), found.reason)
        return Eligible(Eligibility.ENABLED, tuple(map(Service, found.services)))

    async def plans(self, tenant: str, imsi: Imsi, app: str) -> tuple[Plan, ...]:
        """AcquirePlan.

        Raises:
            StoreUnavailable: the business systems do not answer.
        """
        found = await self._bss.plans(tenant, imsi, app)
        if isinstance(found, LineAway):
            raise StoreUnavailable("other", found.reason)
        return found

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
        """AcquireTemporaryToken."""
        seconds = self.settings.temporary_token_seconds
        return await self._tokens.issue(tenant, imsi, terminal_id, app, operations, iccid, seconds)

    async def redeem_token(
        self, tenant: str, token: str, app: str, operation: str, eid: Eid | None
    ) -> TemporaryToken | TokenRefusal:
        """Whether a temporary token authorises an operation."""
        return await self._tokens.redeem(tenant, token, app, operation, eid)

    async def consume_token(self, tenant: str, token_hash: bytes) -> bool:
        """The device has a token of its own now, or may use the temporary one once alone."""
        return await self._book.consume_token(tenant, token_hash, self._driver.now())

    async def pools(self, tenant: str) -> list[PoolCount]:
        """How many profiles are where; for gauges and the low-water alarm."""
        return await self._book.pools(tenant)

    def statistics(self) -> OrdersStatistics:
        """Counters of this moment."""
        count = self._counts
        return OrdersStatistics(
            requests=count["requests"],
            repeated=count["repeated"],
            conflicting=count["conflicting"],
            not_allowed=count["not-allowed"],
            working=len(self._working),
            states=dict(self._states),
            orphans=self._inbox.orphans,
            foreign=self._inbox.foreign,
            conflicts=self._driver.conflicts,
            crashes=count["crashes"],
            unavailable=count["unavailable"],
        )


def _entry_of(request: OrderRequest, order: Order) -> Entry:
    return Entry(order.created_at, request.kind.value, "accept", order.reason)


def _of_today(orders: list[Order]) -> Iterator[Order]:
    """Without orders that came to nothing whose profile another one has got since.

    Args:
        orders: newest first.
    """
    taken: set[str] = set()
    for one in orders:
        if one.iccid and one.iccid in taken and one.is_final:
            continue
        taken.add(one.iccid)
        yield one
