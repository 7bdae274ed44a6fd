"""One run of traffic from begin to end: init steps, the open loop, periods, the verdict."""

import datetime
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import trio

from scripts.traffic.mix import Assignment, Mix, Part
from scripts.traffic.outcome import CallFailed
from scripts.traffic.plan import Plan
from scripts.traffic.scenario import Scenario
from scripts.traffic.scheduler import Scheduler
from scripts.traffic.statistics import CallRecord, Period, Statistics
from scripts.traffic.steps import Step
from scripts.traffic.subscribers import Caller
from scripts.traffic.thresholds import ExitCode, Verdict, exit_code, judge

INIT_AT_A_TIME: Final = 32

# (scenario, its steps, who, where to report, Trio time of the begin): makes one call.
Driver = Callable[[Scenario, tuple[Step, ...], Caller, CallRecord, float], Awaitable[None]]


class InitFailed(Exception):
    """A subscriber could not make the init steps: the traffic would mean nothing."""


@dataclass(slots=True)
class Run:
    """What was done and what came of it.

    Attributes:
        target: as given on the command line.
        began_at: wall clock, timezone-aware.
        elapsed: seconds of traffic, without the init steps.
    """

    scenario: Scenario
    plan: Plan
    target: str
    statistics: Statistics
    began_at: datetime.datetime
    elapsed: float = 0.0
    stopped: bool = False
    verdicts: tuple[Verdict, ...] = ()
    code: ExitCode = ExitCode.NO_CALLS
    initialised: int = 0
    shares: tuple[tuple[str, float], ...] = field(default=())


class Traffic:
    """Makes the run; a display or a signal handler may look at it and change it meanwhile.

    Attributes:
        run: filled in as it goes.
        scheduler: of the calls.
    """

    def __init__(
        self,
        scenario: Scenario,
        plan: Plan,
        mix: Mix,
        driver: Driver,
        target: str,
        began_at: datetime.datetime,
        *,
        period_seconds: float = 1.0,
        on_period: Callable[[Period], None] = lambda period: None,
    ) -> None:
        """Prepare.

        Args:
            on_period: called with each finished period.
        """
        statistics = Statistics(plan.warm_up_seconds)
        self.run = Run(scenario, plan, target, statistics, began_at)
        self.run.shares = tuple((part.scenario.name, part.weight) for part in mix.parts)
        self._mix = mix
        self._driver = driver
        self._period_seconds = period_seconds
        self._on_period = on_period
        self.scheduler: Scheduler[Assignment] = Scheduler(
            plan.arrivals(),
            statistics,
            self._make_call,
            take=mix.take,
            give_back=mix.give_back,
            simultaneous=plan.simultaneous,
            number=plan.number,
            timeout_seconds=plan.timeout_seconds,
        )

    async def make(self) -> Run:
        """Do everything.

        Raises:
            InitFailed: see there.
        """
        for part in self._mix.parts:
            if part.scenario.init:
                await self._initialise(part)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._count_periods)
            await self.scheduler.run()
            nursery.cancel_scope.cancel()
        run, scheduler = self.run, self.scheduler
        run.elapsed = scheduler.elapsed
        self._on_period(run.statistics.end_period(run.elapsed, scheduler.wanted_rate))
        run.stopped = scheduler.stopped
        run.verdicts = judge(run.scenario.threshold, run.statistics)
        run.code = exit_code(run.statistics, run.verdicts, run.stopped)
        return run

    async def _make_call(self, assignment: Assignment, record: CallRecord) -> None:
        scenario = assignment.part.scenario
        began = self.scheduler.began
        await self._driver(scenario, scenario.steps, assignment.caller, record, began)

    async def _count_periods(self) -> None:
        """Close a period at each multiple of its length, without drift."""
        number = 0
        began = trio.current_time()
        while True:
            number += 1
            await trio.sleep_until(began + number * self._period_seconds)
            period = self.run.statistics.end_period(
                self.scheduler.elapsed, self.scheduler.wanted_rate
            )
            self._on_period(period)

    async def _initialise(self, part: Part) -> None:
        """Let every subscriber of a part make its init steps, some at a time."""
        waiting = list(part.callers.first(len(part.callers)))
        waiting.reverse()
        uncounted = Statistics()

        async def work() -> None:
            while waiting and not self.scheduler.stopped:
                caller = waiting.pop()
                record = uncounted.begin(0.0, 0.0)
                try:
                    with trio.fail_after(self.run.plan.timeout_seconds):
                        began = trio.current_time()
                        scenario = part.scenario
                        await self._driver(scenario, scenario.init, caller, record, began)
                except (CallFailed, trio.TooSlowError) as error:
                    waiting.clear()
                    raise InitFailed(f"{part.scenario.name}: {error or 'too slow'}") from error
                self.run.initialised += 1

        try:
            async with trio.open_nursery() as nursery:
                for _ in range(min(INIT_AT_A_TIME, len(waiting))):
                    nursery.start_soon(work)
        except* InitFailed as group:
            raise _first(group) from None


def _first(group: BaseExceptionGroup[InitFailed]) -> InitFailed:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
