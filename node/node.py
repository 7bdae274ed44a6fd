"""The whole node in one process: the parts, in the order in which they depend on each other.

store -> timers and sessions -> eSIM orders, SM-DP+ and the partner listener -> Diameter router ->
device listener -> management listener.
SIGHUP reloads the configuration, SIGTERM and SIGINT drain: the listener stops accepting, started
exchanges finish, orders get so far that they can wait, the AAA gets DPR, the store closes.
"""

import base64
import gc
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import structlog
import trio

from actors.admission.aaa_room import sampled
from actors.admission.admission import Admission
from actors.counters import Counters
from actors.diameter.router import DiameterRouter
from actors.odsa.clerk import Clerk
from actors.runtime.supervisor import Supervisor
from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from actors.session.cookie import CookieSeal
from actors.session.randomness import RandomOctets
from actors.session.sessions import Sessions
from actors.session.user_data import UserDataSeal
from actors.store.opening import open_store
from actors.tenants import Tenants
from actors.trace.recorder import TraceRecorder
from config.differences import differences
from config.load import ConfigError, load
from config.model import Config, Logging
from node.device.listener import DeviceListener
from node.device.ts43_surface import Ts43Surface
from node.esim import Esim
from node.explain import Explainer
from node.forwarding.forwarding import Forwarding
from node.forwarding.place import Seat
from node.management import Management
from node.metrics import Metrics
from node.store_watch import StoreWatch
from node.view import OwnView

_log = structlog.get_logger("node")

COOKIE_KEY_OCTETS: Final = 32
# Requests make no cycles; walking over all idle sessions for the few that errors make must be rare.
COLLECT_AT: Final = (50_000, 20, 1_000)
AAA_SECONDS: Final = 2.0  # for a worker's first connection to an AAA; without one it begins, too
POLL_SECONDS: Final = 0.01


class Node:
    """One entitlement node, built from its configuration.

    Attributes:
        serving: every part has started.
        draining: it was told to stop.
    """

    def __init__(
        self,
        config: Config,
        path: Path,
        set_log: Callable[[Logging], object] = lambda _: None,
        seat: Seat | None = None,
    ) -> None:
        """Build every part; nothing runs yet.

        Args:
            config: what was loaded from `path`.
            path: read again on SIGHUP.
            set_log: told when a reload changes [logging].
            seat: of a worker among several; None: this process is the whole node.

        Raises:
            CertificateError: the device listener's certificates cannot be used.
        """
        self._config = self._started_with = config
        self._path = path
        self._set_log = set_log
        self._seat = seat
        self.serving = False
        self.draining = False
        self.turn = Turn(on_crash=_bug)
        self.timers = TimerWheel(self.turn)
        self.counters = Counters()
        self.recorder = TraceRecorder()
        self.tenants = Tenants(config)
        self.supervisor = Supervisor("node", crashed=_crashed)
        self._build_store(config)
        self._build_diameter(config)
        self._build_sessions(config)
        self._build_devices(config)
        self._build_view()
        self.management = Management(config.management, self.view)
        self.turn.before_flush(self.sessions.pool.run_ready)

    def _build_store(self, config: Config) -> None:
        self.store_watch = StoreWatch()
        self.store = open_store(
            config,
            self.turn.end,
            at_turn_end=self.turn.flusher,
            crashed=_bug,
            failed=self.store_watch.failed,
            succeeded=self.store_watch.succeeded,
        )

    def _build_diameter(self, config: Config) -> None:
        """Each worker is a peer of its own, so that answers, RAR and ASR come back to it."""
        place = self._seat.place if self._seat is not None else None
        suffix = config.node.worker_suffix.format(place.number) if place is not None else ""
        self.router = DiameterRouter(
            config.diameter,
            self.turn,
            self.timers,
            node_name=config.node.name + suffix,
            identity_suffix=suffix,
        )

    def _build_sessions(self, config: Config) -> None:
        keys = cookie_keys(config)
        self._seal = CookieSeal(keys)
        self._user_data = UserDataSeal(keys, RandomOctets().take)
        self.forwarding: Forwarding | None = None
        if self._seat is not None:
            self.forwarding = Forwarding(
                self._seat.place,
                self.turn,
                self.timers,
                answer_seconds=config.sessions.answer_seconds,
            )
        self.admission = Admission(
            config.overload, sample_aaa=lambda: sampled(self.router.statistics())
        )
        self.admission.reload(config)
        seat = self._seat
        self.esim = Esim(
            config,
            self.store,
            end_turn=self.turn.end,
            # Nobody else may have it, for the AAA would take them for one.
            process=self.router.origin.host,
            listens=seat is None or seat.place.number == 1,
            crashed=_bug,
            recorder=self.recorder,
            bound=seat.partner if seat is not None else None,
        )
        self.clerk = Clerk(self.esim.orders, self.turn, crashed=_bug)
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
            owner=self._seat.place.owner if self._seat is not None else 0,
            forward=self.forwarding.forward if self.forwarding is not None else None,
            clerk=self.clerk,
        )
        self.admission.under_way = self.sessions.under_way
        self.router.on_server_request = self.sessions.serve_aaa

    def _build_devices(self, config: Config) -> None:
        self.surface = Ts43Surface(self.sessions, self.counters, self.tenants, config.device.paths)
        if self.forwarding is not None:
            self.forwarding.serve_with(self.surface.handle)
        self.listener = DeviceListener(
            config.device,
            self.surface.handle,
            self.turn,
            hosts=tenant_hosts(config),
            gate=self.admission,
            sockets=self._seat.sockets if self._seat is not None else (),
        )

    def _build_view(self) -> None:
        self.explainer = Explainer(self.store, self.tenants, time.time, self.turn.end)
        metrics = Metrics(self.counters)
        for part, statistics in {
            "devices": self.listener.statistics,
            "sessions": self.sessions.pool.statistics,
            "session_indexes": self.sessions.sizes,
            "diameter": self.router.statistics,
            "store": self.store.statistics,
            "timers": self.timers.statistics,
            "actors": self.supervisor.statistics,
            "trace": self.recorder.statistics,
            "admission": self.admission.statistics,
        }.items():
            metrics.watch(part, statistics)
        self.esim.watch(metrics)
        if self.forwarding is not None:
            metrics.watch("forwarding", self.forwarding.statistics)
        readiness = {
            "draining": lambda: "the node is shutting down" if self.draining else "",
            "devices": lambda: "" if self.listener.ready else "no device is accepted",
            "store": lambda: self.store_watch.problem(self.store),
            "diameter": lambda: "" if self.router.ready else "no AAA peer is open",
            "orders": self.esim.problem,
        }
        self.view = OwnView(
            metrics=metrics,
            recorder=self.recorder,
            readiness=readiness,
            explain=self.explainer.explain,
            prefix=f"{self._seat.place.number}." if self._seat is not None else "",
        )

    # --- life -----------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled or told to stop; reports the device listener's addresses."""
        async with trio.open_nursery() as nursery:
            await self.prepare(nursery)
            addresses = await self.begin()
            await self.supervisor.start("management", self.management.run)
            nursery.start_soon(self._obey_signals, nursery)
            self.serving = True
            _log.info("serving", devices=addresses, management=self._config.management.listen)
            task_status.started(addresses)

    async def prepare(self, nursery: trio.Nursery) -> None:
        """Start what nobody outside sees: a worker can do so while its predecessor serves."""
        await nursery.start(self.supervisor.run)
        start = self.supervisor.start
        await start("store", self.store.run)
        await start("timers", self.timers.run)
        await start("sessions", self._run_sessions)
        await start("operations", self.clerk.run)
        # What was built so far lives as long as the process: the collector need not look at it.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT_AT)

    async def begin(self) -> list[str]:
        """Connect to the AAA, take orders, accept devices; the addresses where they connect."""
        start = self.supervisor.start
        await self.esim.start(self.supervisor)
        await start("diameter", self.router.run)
        if self.forwarding is not None:
            # Devices wait in the socket's queue meanwhile, or with the predecessor: at once they
            # would get 503.
            with trio.move_on_after(AAA_SECONDS):
                await _until(lambda: self.router.ready)
            await start("forwarding", self.forwarding.run)
        addresses = await self.supervisor.start("devices", self.listener.run)
        gc.freeze()
        return cast("list[str]", addresses)

    async def _run_sessions(self, *, task_status: trio.TaskStatus[object]) -> None:
        await self.sessions.pool.run(self.turn.end, task_status=task_status)

    async def _obey_signals(self, nursery: trio.Nursery) -> None:
        """SIGHUP: reload. SIGTERM, SIGINT: drain, then end; a second one ends at once."""
        obeyed = (signal.SIGHUP, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT)
        with trio.open_signal_receiver(*obeyed) as signals:
            async for number in signals:
                if number == signal.SIGHUP:
                    self.reload()
                elif number == signal.SIGUSR2:
                    _log.warning("no rolling restart", reason="there is one worker alone")
                elif self.draining:
                    nursery.cancel_scope.cancel()
                    return
                else:
                    self.draining = True
                    nursery.start_soon(self._drain, nursery.cancel_scope)

    async def _drain(self, scope: trio.CancelScope) -> None:
        await self.drain()
        scope.cancel()

    async def drain(self) -> None:
        """Readiness goes first, then the listener, then the peers; the store closes last."""
        self.draining = True
        seconds = self._config.node.drain_seconds
        _log.info("draining", seconds=seconds)
        with trio.move_on_after(seconds + self._config.diameter.disconnect_seconds):
            await self.listener.drain(seconds)
            await self.esim.stop(seconds)
            await self.router.drain()

    async def hand_over(self, released: Callable[[], object]) -> None:
        """Let a successor have this worker's name at the AAA and its listening sockets.

        What devices asked is answered first. From then on this process only passes requests of the
        connections that it still has to the successor, until they have ended.

        Args:
            released: called when the successor may begin.
        """
        assert self.forwarding is not None, "a worker is told"  # noqa: S101
        self.draining = True
        self.listener.leave_queue()
        self.listener.hand_to(self.forwarding.hand_over)
        self.forwarding.refuse()
        begun, waiting = self.listener.waiting(), self.forwarding.waiting
        seconds = self._config.node.drain_seconds
        with trio.move_on_after(seconds):
            await _until(lambda: not waiting() and all(one.answered or one.gone for one in begun))
        await self.esim.stop(seconds)
        await self.router.drain()
        released()
        await self.listener.drain(seconds)

    def reload(self) -> None:
        """Read the configuration again; a broken one changes nothing."""
        try:
            fresh = load(self._path)
        except ConfigError as error:
            _log.error("configuration not reloaded", problems=[str(one) for one in error.problems])
            return
        self.apply(fresh)

    def apply(self, fresh: Config) -> None:
        """Go by another configuration from now on."""
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
        self.esim.reload(fresh)
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


async def _until(condition: Callable[[], bool]) -> None:
    """For what happens once in the life of a process, so that nobody need tell of it."""
    while not condition():  # noqa: ASYNC110
        await trio.sleep(POLL_SECONDS)


def _bug(error: Exception) -> None:
    _log.error("bug", exc_info=error)


def _crashed(name: str, error: Exception) -> None:
    _log.error("actor crashed", actor=name, exc_info=error)
