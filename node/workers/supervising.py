"""The supervisor process: keeps the workers, and stands for the whole node to the outside.

It binds the listening sockets and opens the database before any worker runs, so that what is wrong
is told once. SIGHUP gives all workers a configuration that was found good, SIGUSR2 replaces them
one after another, SIGTERM and SIGINT let them drain. A worker that dies is started again; when they
die too often the node ends with status 1.
"""

import base64
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog
import trio

from actors.runtime.supervisor import RestartIntensityReached, Supervisor
from actors.store.database import database_path, open_database
from config.differences import differences
from config.load import ConfigError, load
from config.model import Config, Logging
from node.device.tls import CertificateError, ServerCertificates
from node.failures import WorkerFailed, leaves
from node.management import Management
from node.node import COOKIE_KEY_OCTETS, tenant_hosts
from node.workers.control import Drain, Reload, Start
from node.workers.merged_view import MergedView
from node.workers.process import WorkerProcess
from node.workers.slot import Slot, WorkerDied
from node.workers.sockets import WorkerSockets

# Restarts of workers within a minute, after which something is wrong that no restart puts right.
INTENSITY: Final = 6
PERIOD_SECONDS: Final = 60.0
ENDING_SECONDS: Final = 5.0  # beyond what draining may take: then a worker hangs
LONGEST_FOLDER: Final = 80  # characters; a Unix socket's name has 107 (unix(7))

_log = structlog.get_logger("node")


class Workers:
    """A node with several worker processes.

    Attributes:
        serving: all workers have served once.
        draining: it was told to stop.
        gave_up: why it ends by itself; empty while it does not.
    """

    def __init__(
        self,
        config: Config,
        path: Path,
        count: int,
        set_log: Callable[[Logging], object] = lambda _: None,
    ) -> None:
        """Describe the node; nothing runs yet.

        Args:
            config: what was loaded from `path`.
            path: read again on SIGHUP.
            count: of workers.
            set_log: told when a reload changes [logging].
        """
        self._config = self._started_with = with_cookie_keys(config, config)
        self._path = path
        self._count = count
        self._set_log = set_log
        self._node = secrets.randbits(24)
        self.serving = False
        self.draining = False
        self.gave_up = ""
        self.supervisor = Supervisor(
            "workers", intensity=INTENSITY, period_seconds=PERIOD_SECONDS, crashed=_crashed
        )
        self.slots = [
            Slot(number, self._start, self._spawn, self._release_seconds)
            for number in range(1, count + 1)
        ]
        self.view = MergedView(
            self.slots, problem=self._problem, statistics=self.supervisor.statistics
        )
        self.management = Management(config.management, self.view)
        self._rolling: trio.CancelScope | None = None

    # --- life -----------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until told to stop; reports the device listeners' addresses.

        Raises:
            OSError, DatabaseRefused, CertificateError, WorkerFailed: it cannot start.
        """
        await trio.to_thread.run_sync(self._check)
        device = self._config.device
        self._sockets = WorkerSockets(
            device.listen, device.backlog, self._count, self._config.partner.listen
        )
        self._folder = private_folder()
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await nursery.start(self._supervise)
                await nursery.start(self._obey_signals)
                await nursery.start(self.management.run)
                await self._start_all()
                self.serving = True
                addresses = self._sockets.addresses
                _log.info(
                    "serving",
                    devices=addresses,
                    management=self._config.management.listen,
                    workers=self._count,
                )
                task_status.started(addresses)
        finally:
            self._sockets.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _check(self) -> None:
        """What would keep every worker from starting; brings the database up to date."""
        ServerCertificates(self._config.device.certificates, tenant_hosts(self._config))
        store = self._config.store
        open_database(database_path(self._config), busy_seconds=store.busy_seconds).close()

    async def _start_all(self) -> None:
        async with trio.open_nursery() as starting:
            for slot in self.slots:
                starting.start_soon(self.supervisor.start, f"worker {slot.number}", slot.run)

    async def _supervise(self, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            await self.supervisor.run(task_status=task_status)
        except* RestartIntensityReached as group:
            self.gave_up = "; ".join(str(one) for one in leaves(group))
            _log.error("giving up", reason=self.gave_up)
            self.begin_drain()

    def _problem(self) -> str:
        """Why the node as a whole is not ready."""
        if self.draining:
            return "the node is shutting down"
        return "" if self.serving else "the node is starting"

    # --- workers --------------------------------------------------------------------------------

    def _start(self, number: int) -> Start:
        """What a new worker is told: always the configuration that was last found good."""
        sockets = [one.fileno() for one in self._sockets.of(number)]
        partner = self._sockets.partner_of(number)
        return Start(
            self._config,
            number,
            self._count,
            self._node,
            str(self._folder),
            sockets,
            partner.fileno() if partner is not None else -1,
        )

    def _spawn(self, process: WorkerProcess) -> None:
        self._nursery.start_soon(self._run_process, process)

    async def _run_process(self, process: WorkerProcess) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._when_serving, process)
            try:
                await process.run()
            finally:
                self.slots[process.number - 1].ended(process)
                self.view.ended(process)
            nursery.cancel_scope.cancel()

    async def _when_serving(self, process: WorkerProcess) -> None:
        await process.serving.wait()
        self.view.serving(process)

    def _processes(self) -> list[WorkerProcess]:
        return [process for slot in self.slots for process in slot.processes]

    def _release_seconds(self) -> float:
        """For a worker that hands over: what devices asked is answered, the AAA says good-bye."""
        config = self._config
        return config.node.drain_seconds + config.diameter.disconnect_seconds + ENDING_SECONDS

    # --- signals --------------------------------------------------------------------------------

    async def _obey_signals(self, *, task_status: trio.TaskStatus[None]) -> None:
        obeyed = (signal.SIGHUP, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT)
        with trio.open_signal_receiver(*obeyed) as signals:
            task_status.started()
            async for number in signals:
                if number == signal.SIGHUP:
                    self.reload()
                elif number == signal.SIGUSR2:
                    self._nursery.start_soon(self.roll)
                elif self.draining:
                    self._nursery.cancel_scope.cancel()
                    return
                else:
                    self.begin_drain()

    def reload(self) -> None:
        """Read the configuration and give it to every worker; a broken one changes nothing."""
        try:
            fresh = load(self._path)
            ServerCertificates(fresh.device.certificates, tenant_hosts(fresh))
        except (ConfigError, CertificateError) as error:
            _log.error("configuration not reloaded", problems=[str(one) for one in error.problems])
            return
        fresh = with_cookie_keys(fresh, self._config)
        changed = differences(self._config, fresh).changed
        if fresh.logging != self._config.logging:
            self._set_log(fresh.logging)
        self._config = fresh
        for process in self._processes():
            process.post(Reload(fresh))
        needs_restart = differences(self._started_with, fresh).restart
        _log.info("configuration reloaded", changed=changed, needs_restart=needs_restart)

    async def roll(self) -> None:
        """Replace every worker, one after another; stops at the first that cannot start."""
        if self._rolling is not None or self.draining or not self.serving:
            _log.warning("no rolling restart", reason="one runs, or the node starts or ends")
            return
        _log.info("rolling restart")
        with trio.CancelScope() as self._rolling:
            try:
                for slot in self.slots:
                    await slot.replace()
                    _log.info("worker replaced", number=slot.number)
            except WorkerFailed as error:
                _log.error("rolling restart stopped", reasons=list(error.reasons))
            else:
                _log.info("rolling restart done")
        self._rolling = None

    def begin_drain(self) -> None:
        """Let all workers finish what was begun, then end."""
        if not self.draining:
            self.draining = True
            self._nursery.start_soon(self._drain)

    async def _drain(self) -> None:
        config = self._config
        if not self.serving:
            self._nursery.cancel_scope.cancel()
            return
        _log.info("draining", seconds=config.node.drain_seconds)
        if self._rolling is not None:
            self._rolling.cancel()
        for slot in self.slots:
            self.supervisor.stop(f"worker {slot.number}")
        self._sockets.close()
        processes = self._processes()
        for process in processes:
            process.post(Drain())
        with trio.move_on_after(self._release_seconds()):
            for process in processes:
                await process.ended.wait()
        self._nursery.cancel_scope.cancel()


def with_cookie_keys(config: Config, before: Config) -> Config:
    """The configuration with keys for cookies, which all workers must share.

    Without configured ones the keys of `before` stay, or there is a random one: it lives as long as
    this supervisor does.
    """
    if config.node.cookie_keys:
        return config
    keys = before.node.cookie_keys or (
        base64.urlsafe_b64encode(secrets.token_bytes(COOKIE_KEY_OCTETS)).decode().rstrip("="),
    )
    node = msgspec.structs.replace(config.node, cookie_keys=keys)
    return msgspec.structs.replace(config, node=node)


def private_folder() -> Path:
    """A new folder for sockets that only this user may enter (mode 0700)."""
    folder = Path(tempfile.mkdtemp(prefix="entitlement-node-"))
    if len(str(folder)) > LONGEST_FOLDER:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="entitlement-node-", dir="/tmp"))
    return folder


def _crashed(_name: str, error: Exception) -> None:
    if isinstance(error, WorkerFailed):
        _log.error("worker does not start", reasons=list(error.reasons))
    elif not isinstance(error, WorkerDied):  # that one is in the log already
        _log.error("bug", exc_info=error)
