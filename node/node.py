"""The whole node in one process: the parts, in the order in which they depend on each other.

store -> timers and sessions -> Diameter router -> device listener -> management listener.
SIGHUP reloads the configuration, SIGTERM and SIGINT drain: the listener stops accepting, started
exchanges finish, the AAA gets DPR, the store closes.
"""

import base64
import gc
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
import trio

from actors.admission.aaa_room import sampled
from actors.admission.admission import Admission
from actors.counters import Counters
from actors.diameter.router import DiameterRouter
from actors.runtime.supervisor import Supervisor
from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from actors.session.cookie import CookieSeal
from actors.session.randomness import RandomOctets
from actors.session.sessions import Sessions
from actors.session.user_data import UserDataSeal
from actors.store.sqlite import SqliteStore
from actors.tenants import Tenants
from actors.trace.recorder import TraceRecorder
from config.differences import differences
from config.load import ConfigError, load
from config.model import Config, Logging
from node.device.listener import DeviceListener
from node.device.ts43_surface import Ts43Surface
from node.explain import Explainer
from node.management import Management
from node.metrics import Metrics
from node.store_watch import StoreWatch

_log = structlog.get_logger("node")

COOKIE_KEY_OCTETS: Final = 32
# Requests make no cycles; walking over all idle sessions for the few that errors make must be rare.
COLLECT_AT: Final = (50_000, 20, 1_000)


class Node:
    """One entitlement node, built from its configuration.

    Attributes:
        serving: every part has started.
        draining: it was told to stop.
    """

    def __init__(
        self, config: Config, path: Path, set_log: Callable[[Logging], object] = lambda _: None
    ) -> None:
        """Build every part; nothing runs yet.

        Args:
            config: what was loaded from `path`.
            path: read again on SIGHUP.
            set_log: told when a reload changes [logging].

        Raises:
            CertificateError: the device listener's certificates cannot be used.
        """
        self._config = self._started_with = config
        self._path = path
        self._set_log = set_log
        self.serving = False
        self.draining = False
        self.turn = Turn(on_crash=_bug)
        self.timers = TimerWheel(self.turn)
        self.counters = Counters()
        self.recorder = TraceRecorder()
        self.tenants = Tenants(config)
        self.store_watch = StoreWatch()
        self.store = SqliteStore(
            Path(config.node.data) / config.store.path,
            config.store,
            self.turn.end,
            at_turn_end=self.turn.flusher,
            crashed=_bug,
            failed=self.store_watch.failed,
            succeeded=self.store_watch.succeeded,
        )
        self.router = DiameterRouter(
            config.diameter, self.turn, self.timers, node_name=config.node.name
        )
        keys = cookie_keys(config)
        self._seal = CookieSeal(keys)
        self._user_data = UserDataSeal(keys, RandomOctets().take)
        self.admission = Admission(
            config.overload, sample_aaa=lambda: sampled(self.router.statistics())
        )
        self.admission.reload(config)
        self.sessions = Sessions(
            config.sessions,
            gzip_from_octets=config.device.gzip_from_octets,
            aaa=self.router,
            bss=self.store,
            store=self.store,
            timers=self.timers,
            counters=self.counters,
            recorder=self.recorder,
            seal=self._seal,
            user_data=self._user_data,
            tenants=self.tenants,
            admission=self.admission,
        )
        self.admission.under_way = self.sessions.under_way
        self.router.on_server_request = self.sessions.serve_aaa
        self.surface = Ts43Surface(self.sessions, self.counters, self.tenants, config.device.paths)
        self.listener = DeviceListener(
            config.device,
            self.surface.handle,
            self.turn,
            hosts=tenant_hosts(config),
            gate=self.admission,
        )
        self.supervisor = Supervisor("node", crashed=_crashed)
        self.explainer = Explainer(self.store, self.tenants, time.time)
        self.management = Management(
            config.management,
            metrics=self._metrics(),
            recorder=self.recorder,
            readiness={
                "draining": lambda: "the node is shutting down" if self.draining else "",
                "devices": lambda: "" if self.listener.ready else "no device is accepted",
                "store": lambda: self.store_watch.problem(self.store),
                "diameter": lambda: "" if self.router.ready else "no AAA peer is open",
            },
            explain=self.explainer.explain,
        )
        self.turn.before_flush(self.sessions.pool.run_ready)

    def _metrics(self) -> Metrics:
        metrics = Metrics(self.counters)
        for part, statistics in {
            "devices": self.listener.statistics,
            "sessions": self.sessions.pool.statistics,
            "diameter": self.router.statistics,
            "store": self.store.statistics,
            "timers": self.timers.statistics,
            "actors": self.supervisor.statistics,
            "trace": self.recorder.statistics,
            "admission": self.admission.statistics,
        }.items():
            metrics.watch(part, statistics)
        return metrics

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled or told to stop; reports the device listener's addresses."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.supervisor.run)
            start = self.supervisor.start
            await start("store", self.store.run)
            await start("timers", self.timers.run)
            await start("sessions", self._run_sessions)
            await start("diameter", self.router.run)
            addresses = await start("devices", self.listener.run)
            await start("management", self.management.run)
            nursery.start_soon(self._obey_signals, nursery)
            # What was built so far lives as long as the process: the collector need not look at it.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*COLLECT_AT)
            self.serving = True
            _log.info("serving", devices=addresses, management=self._config.management.listen)
            task_status.started(addresses)

    async def _run_sessions(self, *, task_status: trio.TaskStatus[object]) -> None:
        await self.sessions.pool.run(self.turn.end, task_status=task_status)

    async def _obey_signals(self, nursery: trio.Nursery) -> None:
        """SIGHUP: reload. SIGTERM, SIGINT: drain, then end; a second one ends at once."""
        with trio.open_signal_receiver(signal.SIGHUP, signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                if number == signal.SIGHUP:
                    self.reload()
                elif self.draining:
                    nursery.cancel_scope.cancel()
                    return
                else:
                    self.draining = True
                    nursery.start_soon(self._drain, nursery.cancel_scope)

    async def _drain(self, scope: trio.CancelScope) -> None:
        """Readiness goes first, then the listener, then the peers; the store closes last."""
        seconds = self._config.node.drain_seconds
        _log.info("draining", seconds=seconds)
        with trio.move_on_after(seconds + self._config.diameter.disconnect_seconds):
            await self.listener.drain(seconds)
            await self.router.drain()
        scope.cancel()

    def reload(self) -> None:
        """Read the configuration again; a broken one changes nothing."""
        try:
            fresh = load(self._path)
        except ConfigError as error:
            _log.error("configuration not reloaded", problems=[str(one) for one in error.problems])
            return
        changed = differences(self._config, fresh).changed
        if fresh.logging != self._config.logging:
            self._set_log(fresh.logging)
        if fresh.node.cookie_keys != self._config.node.cookie_keys:
            keys = cookie_keys(fresh)
            self._seal = CookieSeal(keys)
            self._user_data = UserDataSeal(keys, RandomOctets().take)
        self._config = fresh
        self.tenants = Tenants(fresh)
        self.surface.reload(self.tenants, fresh.device.paths)
        self.explainer.tenants = self.tenants
        self.sessions.reload(fresh.sessions, self.tenants, self._seal, self._user_data)
        self.admission.reload(fresh)
        self.router.reload(fresh.diameter)
        problems = self.listener.reload(fresh.device, tenant_hosts(fresh))
        if problems:
            _log.error("certificates not reloaded", problems=problems)
        # Also what an earlier reload changed and this one did not.
        needs_restart = differences(self._started_with, fresh).restart
        _log.info("configuration reloaded", changed=changed, needs_restart=needs_restart)


def tenant_hosts(config: Config) -> list[str]:
    """The names that all tenants are reached by."""
    return [host for tenant in config.tenants for host in tenant.hosts]


def cookie_keys(config: Config) -> tuple[bytes, ...]:
    """The keys that seal session cookies; a random one when none is configured.

    With a random key no other node can go on with this one's exchanges, nor this one after a
    restart: their devices start over.
    """
    if not config.node.cookie_keys:
        return (secrets.token_bytes(COOKIE_KEY_OCTETS),)
    return tuple(
        base64.urlsafe_b64decode(key + "=" * (-len(key) % 4)) for key in config.node.cookie_keys
    )


def _bug(error: Exception) -> None:
    _log.error("bug", exc_info=error)


def _crashed(name: str, error: Exception) -> None:
    _log.error("actor crashed", actor=name, exc_info=error)
