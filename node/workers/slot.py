"""The place of one worker: a process in it, and sometimes the one that is leaving it."""

import signal
from collections.abc import Callable
from typing import Final

import structlog
import trio

from node.failures import WorkerFailed
from node.workers.control import Go, HandOver, Start
from node.workers.process import WorkerProcess

PREPARE_SECONDS: Final = 60.0  # imports, certificates, the database; seconds on a busy machine
BEGIN_SECONDS: Final = 30.0  # from `Go` to the first connection; an AAA that is down takes two

_log = structlog.get_logger("workers")


class WorkerDied(Exception):
    """A worker ended that was not told to."""


class Slot:
    """Keeps one worker; `run` is a task actor, so that a supervisor restarts it.

    Attributes:
        number: of the worker.
        current: the process that serves, or will.
        processes: all that run: the current one, one that is leaving, one that prepares itself.
    """

    def __init__(
        self,
        number: int,
        start: Callable[[int], Start],
        spawn: Callable[[WorkerProcess], None],
        release_seconds: Callable[[], float],
    ) -> None:
        """Describe the place; nothing runs yet.

        Args:
            start: what a new process of this number is told first.
            spawn: has a process run, beyond the life of `run`.
            release_seconds: that a process may take until its successor can begin.
        """
        self.number = number
        self.current: WorkerProcess | None = None
        self.processes: list[WorkerProcess] = []
        self._start = start
        self._spawn = spawn
        self._release_seconds = release_seconds
        self._leaving: WorkerProcess | None = None
        self._changing = trio.Lock()
        self._died = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[object]) -> None:
        """Have a process serve until it ends.

        Raises:
            WorkerFailed: it could not start.
            WorkerDied: it ended in another way than by status 0, which an operator may ask it for.
        """
        self._died = trio.Event()
        async with self._changing:
            process = await self._prepared()
            self._take_place(process)
            await self._begin(process)
        task_status.started()
        await self._died.wait()
        process = self.current or process
        _log.warning("worker ended", number=self.number, pid=process.pid, status=process.status)
        if process.status != 0:
            raise WorkerDied(f"worker {self.number}: {_how(process.status)}")

    async def replace(self) -> None:
        """Put a new process in the place of the one that serves; no device notices.

        Raises:
            WorkerFailed: the new one could not start. Until it has prepared itself the old one
                serves on.
        """
        async with self._changing:
            old = self.current
            if old is None or old.ended.is_set():
                return  # it is being started again, and will be new then
            process = await self._prepared()
            self._leaving = old
            self._take_place(process)
            old.post(HandOver())
            await self._begin(process)

    def ended(self, process: WorkerProcess) -> None:
        """A process of this place has ended."""
        self.processes.remove(process)
        if process is self.current:
            self._died.set()

    def _take_place(self, process: WorkerProcess) -> None:
        self.current = process
        if process.ended.is_set():
            self._died.set()

    async def _prepared(self) -> WorkerProcess:
        """A new process that waits for its turn."""
        process = WorkerProcess(self._start(self.number))
        self.processes.append(process)
        self._spawn(process)
        await self._until(process, process.prepared, PREPARE_SECONDS)
        return process

    async def _begin(self, process: WorkerProcess) -> None:
        """Let it serve, once its predecessor has let go of the name at the AAA."""
        leaving, self._leaving = self._leaving, None
        if leaving is not None:
            with trio.move_on_after(self._release_seconds()):
                await _either(leaving.released, leaving.ended)
            if not (leaving.released.is_set() or leaving.ended.is_set()):
                _log.warning("worker does not let go", number=self.number, pid=leaving.pid)
                leaving.kill()
                await leaving.ended.wait()
        process.post(Go())
        await self._until(process, process.serving, BEGIN_SECONDS)

    async def _until(self, process: WorkerProcess, event: trio.Event, seconds: float) -> None:
        try:
            with trio.move_on_after(seconds):
                await _either(event, process.ended)
        except BaseException:
            process.kill()
            raise
        if not event.is_set():
            process.kill()
            raise WorkerFailed(
                process.failed or [f"worker {self.number} does not start: {_how(process.status)}"]
            )


async def _either(one: trio.Event, other: trio.Event) -> None:
    """Until one of them is set."""

    async def wait(event: trio.Event) -> None:
        await event.wait()
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, one)
        nursery.start_soon(wait, other)


def _how(status: int | None) -> str:
    """How a process ended, for a person."""
    if status is None:
        return "it hangs"
    if status < 0:
        try:
            return f"ended by {signal.Signals(-status).name}"
        except ValueError:
            return f"ended by signal {-status}"
    return f"ended with status {status}"
