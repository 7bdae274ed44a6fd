"""Supervised task actors: restart types, back-off, intensity and escalation."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from actors.runtime.supervisor import Restart, RestartIntensityReached, Supervisor


class Life:
    """An actor that ends as its script says, one entry a life."""

    def __init__(self, *script: Exception | str) -> None:
        self.script = list(script)
        self.began: list[float] = []

    async def run(self, *, task_status: trio.TaskStatus[object]) -> None:
        self.began.append(trio.current_time())
        task_status.started("ready")
        if not self.script:
            await trio.sleep_forever()
        end = self.script.pop(0)
        await trio.lowlevel.checkpoint()
        if isinstance(end, Exception):
            raise end


async def supervised(
    supervisor: Supervisor, then: Callable[[], Awaitable[None]], seconds: float = 200.0
) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        await then()
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()


async def test_a_permanent_child_starts_again_with_growing_delays(
    autojump_clock: trio.testing.MockClock,
) -> None:
    crashed: list[str] = []
    supervisor = Supervisor("root", crashed=lambda name, _: crashed.append(name), jitter=lambda: 0)
    life = Life(OSError("one"), OSError("two"), "ends")

    async def start() -> None:
        assert await supervisor.start("peer", life.run) == "ready"

    await supervised(supervisor, start)
    began = [round(moment - life.began[0], 3) for moment in life.began]
    assert began == [0, 0.1, 0.3, 0.7]
    assert crashed == ["peer", "peer"]
    (child,) = supervisor.statistics()
    assert (child.starts, child.crashes, child.last_error) == (4, 2, "OSError: two")


async def test_a_transient_child_that_ends_normally_stays_ended(
    autojump_clock: trio.testing.MockClock,
) -> None:
    supervisor = Supervisor("root")
    life = Life(OSError("once"), "done")

    async def start() -> None:
        await supervisor.start("job", life.run, Restart.TRANSIENT)

    await supervised(supervisor, start)
    assert len(life.began) == 2
    assert supervisor.statistics() == ()


async def test_a_temporary_child_is_never_started_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    supervisor = Supervisor("root")
    life = Life(OSError("once"))

    async def start() -> None:
        await supervisor.start("job", life.run, Restart.TEMPORARY)

    await supervised(supervisor, start)
    assert len(life.began) == 1


async def test_a_crash_does_not_reach_the_siblings(autojump_clock: trio.testing.MockClock) -> None:
    supervisor = Supervisor("root")
    broken, sound = Life(OSError("bug")), Life()

    async def start() -> None:
        await supervisor.start("broken", broken.run)
        await supervisor.start("sound", sound.run)

    await supervised(supervisor, start)
    assert len(broken.began) == 2
    assert len(sound.began) == 1


async def test_too_many_crashes_escalate(autojump_clock: trio.testing.MockClock) -> None:
    supervisor = Supervisor("root", intensity=3, period_seconds=60)
    life = Life(*(OSError(str(n)) for n in range(10)))

    async def start() -> None:
        await supervisor.start("peer", life.run)

    with pytest.RaisesGroup(RestartIntensityReached, flatten_subgroups=True):
        await supervised(supervisor, start)
    assert len(life.began) == 4


async def test_slow_crashes_do_not_escalate(autojump_clock: trio.testing.MockClock) -> None:
    supervisor = Supervisor("root", intensity=1, period_seconds=0.05)
    life = Life(*(OSError(str(n)) for n in range(4)))

    async def start() -> None:
        await supervisor.start("peer", life.run)

    await supervised(supervisor, start)
    assert len(life.began) == 5


async def test_a_child_that_fails_before_it_is_ready_is_reported_to_its_starter(
    autojump_clock: trio.testing.MockClock,
) -> None:
    supervisor = Supervisor("root")

    async def broken(*, task_status: trio.TaskStatus[object]) -> None:
        raise OSError("address in use")

    async def start() -> None:
        with pytest.raises(OSError, match="address in use"):
            await supervisor.start("listener", broken)
        assert supervisor.statistics() == ()
        await supervisor.start("listener", Life().run)

    await supervised(supervisor, start)


async def test_a_stopped_child_stays_stopped(autojump_clock: trio.testing.MockClock) -> None:
    supervisor = Supervisor("root")
    life = Life()

    async def start() -> None:
        await supervisor.start("peer", life.run)
        with pytest.raises(ValueError, match="supervised already"):
            await supervisor.start("peer", life.run)
        supervisor.stop("peer")

    await supervised(supervisor, start)
    assert len(life.began) == 1
