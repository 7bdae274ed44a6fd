"""The timer wheel on Trio's clock."""

import pytest
import trio

from actors.runtime.timers import BUCKET_SECONDS, TimerWheel
from actors.runtime.turn import Turn


class Wheel:
    """A running wheel and what it rang."""

    def __init__(self) -> None:
        self.turn = Turn()
        self.errors: list[Exception] = []
        self.timers = TimerWheel(self.turn, failed=self.errors.append)
        self.rang: list[tuple[str, float]] = []

    def ring(self, name: str) -> None:
        self.rang.append((name, trio.current_time()))


async def test_timers_ring_in_time_and_in_order(autojump_clock: trio.testing.MockClock) -> None:
    wheel = Wheel()
    async with trio.open_nursery() as nursery:
        await nursery.start(wheel.timers.run)
        start = trio.current_time()
        for seconds in (3.0, 0.2, 45.0, 0.0, 0.21):
            wheel.timers.after(seconds, lambda s=seconds: wheel.ring(str(s)))
        await trio.sleep(50)
        nursery.cancel_scope.cancel()
    assert [name for name, _ in wheel.rang] == ["0.0", "0.2", "0.21", "3.0", "45.0"]
    for name, at in wheel.rang:
        late = at - start - float(name)
        assert -1e-6 <= late <= BUCKET_SECONDS + 1e-6, name
    assert wheel.timers.statistics().rung == 5
    assert wheel.timers.statistics().waiting == 0


async def test_a_sooner_timer_wakes_a_sleeping_wheel(
    autojump_clock: trio.testing.MockClock,
) -> None:
    wheel = Wheel()
    async with trio.open_nursery() as nursery:
        await nursery.start(wheel.timers.run)
        wheel.timers.after(100, lambda: wheel.ring("late"))
        await trio.testing.wait_all_tasks_blocked()
        wheel.timers.after(1, lambda: wheel.ring("soon"))
        await trio.sleep(2)
        assert [name for name, _ in wheel.rang] == ["soon"]
        nursery.cancel_scope.cancel()


async def test_a_cancelled_timer_does_not_ring(autojump_clock: trio.testing.MockClock) -> None:
    wheel = Wheel()
    async with trio.open_nursery() as nursery:
        await nursery.start(wheel.timers.run)
        timer = wheel.timers.after(1, lambda: wheel.ring("no"))
        timer.cancel()
        await trio.sleep(2)
        timer.cancel()
        nursery.cancel_scope.cancel()
    assert wheel.rang == []
    assert wheel.turn.turns == 0  # nothing rang, so there was no turn to end


async def test_a_callback_that_raises_stops_no_other(
    autojump_clock: trio.testing.MockClock,
) -> None:
    wheel = Wheel()

    def broken() -> None:
        raise ArithmeticError("bug")

    async with trio.open_nursery() as nursery:
        await nursery.start(wheel.timers.run)
        wheel.timers.after(1, broken)
        wheel.timers.after(1, lambda: wheel.ring("sound"))
        wheel.timers.after(2, lambda: wheel.ring("later"))
        await trio.sleep(3)
        nursery.cancel_scope.cancel()
    assert [name for name, _ in wheel.rang] == ["sound", "later"]
    assert [type(error) for error in wheel.errors] == [ArithmeticError]
    assert wheel.turn.turns == 2  # one for the two that were due together


@pytest.mark.parametrize("count", [1000])
async def test_one_turn_ends_all_that_rang_together(
    autojump_clock: trio.testing.MockClock, count: int
) -> None:
    wheel = Wheel()
    async with trio.open_nursery() as nursery:
        await nursery.start(wheel.timers.run)
        for _ in range(count):
            wheel.timers.after(1, lambda: wheel.ring("x"))
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    assert len(wheel.rang) == count
    assert wheel.turn.turns == 1
