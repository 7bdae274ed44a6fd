"""eSIM orders of the node: its SM-DP+, the orders actor, and the listener where downloads are told.

Without an SM-DP+ in the configuration there is nothing to run, and devices hear that it is not
offered. With several workers each carries out orders, its own and those that are due: a lease in
the database says which process has one, and a device waits beside its order. [partner] is the first
worker's, on a socket that the supervisor keeps open: SM-DP+ wait in its queue while that worker is
replaced or restarted.
"""

import math
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
import trio

from actors.backends.bss_lines_traced import TracedBssLines
from actors.backends.smdp_plus_client import SmdpPlusClient, SmdpPlusStatistics
from actors.backends.smdp_plus_servers import SmdpPlusServers
from actors.orders.orders import Orders
from actors.runtime.supervisor import Supervisor
from actors.store.embedded_bss import EmbeddedBss
from actors.store.order_book import OrderBook
from actors.store.orders import Filter
from actors.store.sql import Database
from actors.store.store import StoreUnavailable
from actors.store.transactions import T, Transactions
from actors.trace.order_legs import Concerned, OrderLegs
from actors.trace.recorder import TraceRecorder
from config.model import Config
from node.device.tls import CertificateError
from node.metrics import Metrics
from node.partner.partners import Partners

_log = structlog.get_logger("esim")

POLL_SECONDS: Final = 0.02  # at the end, which comes once

Names = tuple[str, str]  # of a tenant and an SM-DP+


class AtOnce:
    """Transactions of tasks, which belong to no turn: each ends one, so that it is begun."""

    def __init__(self, transactions: Transactions, end_turn: Callable[[], None]) -> None:
        self._transactions = transactions
        self._end_turn = end_turn

    def transact(
        self,
        tenant: str,
        operation: Callable[[Database], T],
        reply: Callable[[T | StoreUnavailable], None],
    ) -> None:
        """See `Transactions`."""
        self._transactions.transact(tenant, operation, reply)
        self._end_turn()


class Esim:
    """Everything of eSIM orders in one process.

    Attributes:
        orders: the desk; None: no tenant has an SM-DP+.
        partners: who reports downloads; one process of the node listens for them.
    """

    def __init__(
        self,
        config: Config,
        transactions: Transactions,
        *,
        end_turn: Callable[[], None],
        process: str,
        listens: bool,
        crashed: Callable[[Exception], None],
        recorder: TraceRecorder | None = None,
        bound: socket.socket | None = None,
    ) -> None:
        """Build the parts; nothing runs yet.

        Args:
            transactions: of the store.
            end_turn: sends what was asked of it.
            process: name of this process among all that share the database, the same after a
                restart.
            listens: whether this process has the listener of [partner].
            crashed: told of bugs.
            recorder: of traces.
            bound: the socket of [partner], which listens already; None: it is bound here.

        Raises:
            CertificateError: a certificate file cannot be used.
        """
        self.orders: Orders | None = None
        self.partners: Partners | None = None
        self._supervisor: Supervisor | None = None
        self._running: set[str] = set()
        self._fresh, self._given = trio.open_memory_channel[Config](math.inf)
        at_once = AtOnce(transactions, end_turn)
        self._book = OrderBook(at_once)
        legs = OrderLegs(recorder or TraceRecorder(), self._concerned)
        try:
            self._servers = SmdpPlusServers(config.tenants, partial(SmdpPlusClient, legs=legs))
            self._clients: dict[Names, SmdpPlusClient] = {}
            self._take_clients(config)
            if not self._clients:
                return
            self.orders = Orders(
                config.orders,
                self._book,
                TracedBssLines(EmbeddedBss(at_once), legs),
                self._clients,
                [tenant.id for tenant in config.tenants],
                owner=process,
                at_once={key: one.settings.max_calls for key, one in self._clients.items()},
                crashed=crashed,
            )
            if listens and config.partner.listen:
                self.partners = Partners(config, self.orders.notified, bound=bound, legs=legs)
        except (OSError, ValueError) as error:
            raise CertificateError([f"of an SM-DP+ or of [partner]: {error}"]) from None

    def _take_clients(self, config: Config) -> None:
        """The same mapping, for the orders have it."""
        self._clients.clear()
        for tenant in config.tenants:
            self._clients |= {(tenant.id, one.name): one for one in self._servers.of(tenant.id)}

    async def _concerned(self, tenant: str, iccid: str, eid: str) -> Concerned | None:
        """Whose trace an ES2+ message belongs to."""
        for wanted in (Filter(iccid=iccid), Filter(eid=eid)):
            if not (wanted.iccid or wanted.eid):
                continue
            try:
                found = await self._book.search(tenant, wanted, 1)
            except StoreUnavailable:
                return None
            for order in found:
                return Concerned(order.order_id, (order.imsi, order.new_imsi, order.old_imsi))
        return None

    # --- life -----------------------------------------------------------------------------------

    async def start(self, supervisor: Supervisor) -> None:
        """Run the parts under the node's supervisor, once no predecessor does any more.

        Raises:
            OSError: the address of [partner] cannot be bound.
        """
        if self.orders is None:
            return
        self._supervisor = supervisor
        await supervisor.start("sm-dp+", self._servers.run)
        await supervisor.start("orders", partial(self._run, "orders", self.orders.run))
        if self.partners is not None:
            await supervisor.start("partners", partial(self._run, "partners", self.partners.run))
        await supervisor.start("esim reload", self._reload_each)

    async def _run(
        self,
        name: str,
        actor: Callable[..., object],
        *,
        task_status: trio.TaskStatus[object],
    ) -> None:
        """An actor whose end others can wait for."""
        self._running.add(name)
        try:
            await actor(task_status=task_status)  # type: ignore[misc]
        finally:
            self._running.discard(name)

    async def stop(self, seconds: float) -> None:
        """Let a successor have the orders: what is being worked on gets so far that it can wait.

        Args:
            seconds: for that; calls that take longer are broken off, and the successor repeats
                them as they were.
        """
        if self.orders is None or self._supervisor is None:
            return
        with trio.move_on_after(seconds):
            while self.orders.statistics().working:  # noqa: ASYNC110 - once in a life
                await trio.sleep(POLL_SECONDS)
        for name in ("partners", "orders"):
            self._supervisor.stop(name)
            while name in self._running:  # noqa: ASYNC110
                await trio.sleep(POLL_SECONDS)

    def reload(self, config: Config) -> None:
        """Take another configuration soon: connections of before are closed for that.

        A first SM-DP+, or the last one gone, counts only after a restart.
        """
        if self._supervisor is not None:
            self._fresh.send_nowait(config)
        elif any(tenant.smdp_plus for tenant in config.tenants):
            _log.warning("needs a restart", reason="there was no SM-DP+ before")

    async def _reload_each(self, *, task_status: trio.TaskStatus[object]) -> None:
        task_status.started()
        async for config in self._given:
            problems = await self._servers.reload(config.tenants)
            self._take_clients(config)
            if self.orders is not None:
                self.orders.reload(config.orders, [tenant.id for tenant in config.tenants])
            if self.partners is not None:
                problems += self.partners.reload(config)
            if problems:
                _log.error("eSIM settings not reloaded", problems=problems)

    # --- seen from outside ----------------------------------------------------------------------

    def watch(self, metrics: Metrics) -> None:
        """Expose what the parts count."""
        if self.orders is not None:
            metrics.watch("smdp_plus", self._smdp_plus)
            metrics.watch("orders", self.orders.statistics)
        if self.partners is not None:
            metrics.watch("partner", self.partners.statistics)

    def _smdp_plus(self) -> tuple[SmdpPlusStatistics, ...]:
        return self._servers.statistics()

    def problem(self) -> str:
        """Why nothing can be ordered here; empty when there is no reason.

        An SM-DP+ that does not answer is none: orders wait for it, and devices get everything else.
        """
        if self._supervisor is None:
            return "" if self.orders is None else "eSIM orders are not carried out"
        if "orders" not in self._running:
            return "eSIM orders are not carried out"
        if self.partners is not None and not self.partners.ready and self.partners.enabled:
            return "no SM-DP+ can report"
        return ""
