"""eSIM orders of the node: its SM-DP+, the orders actor, and the listener where downloads are told.

Without an SM-DP+ in the configuration there is nothing to run, and devices hear that it is not
offered.
"""

import math
from collections.abc import Callable

import structlog
import trio

from actors.backends.smdp_plus_servers import SmdpPlusServers
from actors.orders.orders import Orders
from actors.runtime.supervisor import Supervisor
from actors.store.embedded_bss import EmbeddedBss
from actors.store.order_book import OrderBook
from actors.store.sql import Database
from actors.store.store import StoreUnavailable
from actors.store.transactions import T, Transactions
from config.model import Config
from node.partner.partners import Partners

_log = structlog.get_logger("esim")


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
    ) -> None:
        """Build the parts; nothing runs yet.

        Args:
            transactions: of the store.
            end_turn: sends what was asked of it.
            process: name of this process among all that share the database, the same after a
                restart.
            listens: whether this process has the listener of [partner].
            crashed: told of bugs.

        Raises:
            OSError: a certificate file cannot be used.
            ValueError: a file holds no certificate.
        """
        self.orders: Orders | None = None
        self.partners: Partners | None = None
        self._fresh, self._given = trio.open_memory_channel[Config](math.inf)
        self._servers = SmdpPlusServers(config.tenants)
        clients, limits = {}, {}
        for tenant in config.tenants:
            for one in tenant.smdp_plus:
                client = self._servers.find(tenant.id, one.name)
                assert client is not None, "it was built of the same configuration"  # noqa: S101
                clients[tenant.id, one.name] = client
                limits[tenant.id, one.name] = one.max_calls
        if not clients:
            return
        at_once = AtOnce(transactions, end_turn)
        self.orders = Orders(
            config.orders,
            OrderBook(at_once),
            EmbeddedBss(at_once),
            clients,
            [tenant.id for tenant in config.tenants],
            owner=process,
            at_once=limits,
            crashed=crashed,
        )
        if listens and config.partner.listen:
            self.partners = Partners(config, self.orders.notified)

    async def start(self, supervisor: Supervisor) -> None:
        """Run the parts under the node's supervisor."""
        if self.orders is None:
            return
        await supervisor.start("sm-dp+", self._servers.run)
        await supervisor.start("orders", self.orders.run)
        if self.partners is not None:
            await supervisor.start("partners", self.partners.run)
        await supervisor.start("esim reload", self._reload_each)

    def reload(self, config: Config) -> None:
        """Take another configuration soon: connections of before are closed for that.

        A first SM-DP+, or the last one gone, counts only after a restart.
        """
        self._fresh.send_nowait(config)

    async def _reload_each(self, *, task_status: trio.TaskStatus[object]) -> None:
        task_status.started()
        async for config in self._given:
            problems = await self._servers.reload(config.tenants)
            if self.orders is not None:
                self.orders.reload(config.orders)
            if self.partners is not None:
                problems += self.partners.reload(config)
            if problems:
                _log.error("eSIM settings not reloaded", problems=problems)
