"""Supervision of task actors: restart with back-off, intensity limits, escalation.

The words are Erlang/OTP's: a *permanent* child is always restarted, a *transient* one only after a
crash, a *temporary* one never. More than `intensity` restarts within `period` seconds escalate:
the supervisor ends all children and raises, so that its parent, and in the end the process, starts
afresh. Step-function actors have their own shell in `pool.py`.
"""

import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol

import trio

FIRST_DELAY_SECONDS: Final = 0.1  # a crash on start must not spin
LONGEST_DELAY_SECONDS: Final = 30.0
STABLE_SECONDS: Final = 60.0  # a child that ran this long starts again with the first delay


class Restart(Enum):
    """When a child that ended is started again."""

    PERMANENT = auto()
    TRANSIENT = auto()
    TEMPORARY = auto()


class TaskActor(Protocol):
    """What a supervisor runs: a coroutine function that reports when it is ready."""

    def __call__(self, *, task_status: trio.TaskStatus[object]) -> Awaitable[None]:
        """Serve until cancelled; call `task_status.started()` once ready."""
        ...


class RestartIntensityReached(Exception):
    """A child crashed too often; the supervisor gives up and its parent must act."""


@dataclass(frozen=True, slots=True)
class ChildStatistics:
    """One child as it stands now."""

    name: str
    running: bool
    starts: int  # including the first
    crashes: int
    last_error: str  # type and text of the last crash; empty when there was none


class _Child:
    """What the supervisor remembers of one child."""

    __slots__ = ("actor", "crashes", "last_error", "name", "restart", "running", "scope", "starts")

    def __init__(self, name: str, actor: TaskActor, restart: Restart) -> None:
        self.name = name
        self.actor = actor
        self.restart = restart
        self.running = False
        self.starts = 0
        self.crashes = 0
        self.last_error = ""
        self.scope = trio.CancelScope()


class Supervisor:
    """One-for-one supervision of named task actors.

    Use inside its own `run`: `await nursery.start(supervisor.run)`, then `await start(...)` for
    each child in dependency order. A child's crash never reaches its siblings.
    """

    def __init__(
        self,
        name: str,
        *,
        intensity: int = 10,
        period_seconds: float = 60.0,
        crashed: Callable[[str, Exception], None] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Describe the supervisor; nothing runs yet.

        Args:
            name: for statistics and errors.
            intensity: restarts allowed within the period.
            period_seconds: the sliding window of the intensity.
            crashed: told of every crash (for logs and counters); must not raise.
            jitter: a number in [0, 1) that spreads restarts.
        """
        self.name = name
        self._intensity = intensity
        self._period_seconds = period_seconds
        self._crashed = crashed
        self._jitter = jitter
        self._restarts: deque[float] = deque()
        self._children: dict[str, _Child] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold the children until cancelled or until the intensity is reached.

        Raises:
            RestartIntensityReached: inside an exception group, when escalating.
        """
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    async def start(
        self, name: str, actor: TaskActor, restart: Restart = Restart.PERMANENT
    ) -> object:
        """Start a child and wait until it is ready.

        Returns:
            What the child passed to `task_status.started`.

        Raises:
            ValueError: a child of that name runs already.
            Exception: what the child raised before it was ready; it is then not supervised.
        """
        if self._nursery is None:
            raise RuntimeError("the supervisor is not running")
        if name in self._children:
            raise ValueError(f"{name} is supervised already")
        child = _Child(name, actor, restart)
        self._children[name] = child
        try:
            return await self._nursery.start(self._keep, child)
        except BaseException:
            del self._children[name]
            raise

    def stop(self, name: str) -> None:
        """Cancel a child for good; it is not restarted."""
        child = self._children.pop(name, None)
        if child is not None:
            child.scope.cancel()

    def statistics(self) -> tuple[ChildStatistics, ...]:
        """The children in the order of their start."""
        return tuple(
            ChildStatistics(c.name, c.running, c.starts, c.crashes, c.last_error)
            for c in self._children.values()
        )

    async def _keep(
        self, child: _Child, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Run one child, again and again as its restart type says."""
        delay = FIRST_DELAY_SECONDS
        first = True
        with child.scope:
            while True:
                began = trio.current_time()
                error = await self._run_once(child, task_status if first else None)
                first = False
                if not self._again(child, error):
                    self._children.pop(child.name, None)
                    return
                if trio.current_time() - began >= STABLE_SECONDS:
                    delay = FIRST_DELAY_SECONDS
                await trio.sleep(delay * (1.0 + self._jitter()))
                delay = min(delay * 2, LONGEST_DELAY_SECONDS)

    async def _run_once(
        self, child: _Child, task_status: trio.TaskStatus[object] | None
    ) -> Exception | None:
        """One life of the child; its crash is returned, not raised.

        Before the child reported ready for the first time a crash is raised: whoever called
        `start` must learn of it.
        """
        ready = _Ready(task_status)
        child.starts += 1
        child.running = True
        try:
            await child.actor(task_status=ready)
        except Exception as error:  # the shell of the child: also ExceptionGroup
            if task_status is not None and not ready.reported:
                raise
            child.crashes += 1
            child.last_error = f"{type(error).__name__}: {error}"
            if self._crashed is not None:
                self._crashed(child.name, error)
            return error
        finally:
            child.running = False
        return None

    def _again(self, child: _Child, error: Exception | None) -> bool:
        """Whether the child starts again; raises when it happened too often."""
        if child.restart is Restart.TEMPORARY:
            return False
        if error is None:
            return child.restart is Restart.PERMANENT
        now = trio.current_time()
        self._restarts.append(now)
        while self._restarts and self._restarts[0] <= now - self._period_seconds:
            self._restarts.popleft()
        if len(self._restarts) > self._intensity:
            raise RestartIntensityReached(
                f"{self.name}: {child.name} and its siblings crashed {len(self._restarts)} times "
                f"within {self._period_seconds:g} s, last {child.last_error}"
            ) from error
        return True


class _Ready:
    """Passes the first `started` on and swallows those of later lives."""

    __slots__ = ("_task_status", "reported")

    def __init__(self, task_status: trio.TaskStatus[object] | None) -> None:
        self._task_status = task_status
        self.reported = False

    def started(self, value: object = None) -> None:
        if self._task_status is not None and not self.reported:
            self._task_status.started(value)
        self.reported = True
