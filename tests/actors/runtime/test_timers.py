"""The timer wheel, by a clock that jumps."""

from functools import partial

import pytest
import trio
from trio.testing import MockClock

from actors.runtime.timers import BUCKET_SECONDS, CALLBACKS_PER_TURN, TimerWheel
from actors.runtime.turn import Turn


async def running_wheel(nursery: trio.Nursery, turn: Turn | None = None) -> TimerWheel:
    wheel = TimerWheel(turn or Turn())
    await nursery.start(wheel.run)
    return wheel


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.05, 1.0, 2.0, 44.99, 45.0])
async def test_a_timer_is_never_early_and_at_most_a_bucket_late(
    seconds: float, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        wheel = await running_wheel(nursery)
        called: list[float] = []
        due = trio.current_time() + seconds
        wheel.after(seconds, lambda: called.append(trio.current_time()))
        await trio.sleep(seconds + 2 * BUCKET_SECONDS)
        assert len(called) == 1
        assert due <= called[0] <= due + BUCKET_SECONDS * 1.01
        nursery.cancel_scope.cancel()


async def test_timers_come_in_the_order_of_their_times(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        wheel = await running_wheel(nursery)
        called: list[int] = []
        for seconds in (30, 1, 20, 2):
            wheel.after(seconds, partial(called.append, seconds))
        await trio.sleep(31)
        assert called == [1, 2, 20, 30]
        nursery.cancel_scope.cancel()


async def test_an_earlier_timer_shortens_the_sleep(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        wheel = await running_wheel(nursery)
        called: list[int] = []
        wheel.after(100, partial(called.append, 100))
        await trio.sleep(1)
        wheel.after(5, partial(called.append, 5))
        await trio.sleep(6)
        assert called == [5]
        nursery.cancel_scope.cancel()


async def test_a_negative_time_means_at_once(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        wheel = await running_wheel(nursery)
        called: list[int] = []
        wheel.after(-5, partial(called.append, 1))
        assert called == []
        await trio.sleep(2 * BUCKET_SECONDS)
        assert called == [1]
        nursery.cancel_scope.cancel()


async def test_a_cancelled_timer_is_not_called_and_lets_go(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        wheel = await running_wheel(nursery)
        called: list[int] = []
        timer = wheel.after(1, partial(called.append, 1))
        assert timer.active
        timer.cancel()
        timer.cancel()
        assert not timer.active
        await trio.sleep(2)
        assert called == []
        assert wheel.statistics().waiting == 0
        nursery.cancel_scope.cancel()


async def test_a_callback_may_set_and_cancel_timers(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        wheel = await running_wheel(nursery)
        called: list[str] = []
        other = wheel.after(1, partial(called.append, "cancelled by the first"))

        def again() -> None:
            called.append("again")
            other.cancel()
            if len(called) < 3:
                wheel.after(1, again)

        wheel.after(0.5, again)
        await trio.sleep(5)
        assert called == ["again"] * 3
        nursery.cancel_scope.cancel()


async def test_each_batch_ends_one_turn(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        turn = Turn()
        wheel = await running_wheel(nursery, turn)
        called: list[int] = []
        for number in range(CALLBACKS_PER_TURN + 1):
            wheel.after(1, partial(called.append, number))
        await trio.sleep(2)
        assert called == list(range(CALLBACKS_PER_TURN + 1))
        assert turn.turns == 2
        nursery.cancel_scope.cancel()


async def test_a_callback_that_raises_stops_no_other_timer(autojump_clock: MockClock) -> None:
    def fail() -> None:
        raise ValueError("a bug")

    async with trio.open_nursery() as nursery:
        reported: list[Exception] = []
        wheel = await running_wheel(nursery, Turn(reported.append))
        called: list[int] = []
        wheel.after(1, fail)
        wheel.after(1, partial(called.append, 1))
        wheel.after(2, partial(called.append, 2))
        await trio.sleep(3)
        assert called == [1, 2]
        assert [str(error) for error in reported] == ["a bug"]
        assert wheel.statistics().crashes == 1
        nursery.cancel_scope.cancel()


async def test_statistics_count_what_happened(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        wheel = await running_wheel(nursery)
        for seconds in (1, 1, 50):
            wheel.after(seconds, lambda: None)
        await trio.sleep(2)
        statistics = wheel.statistics()
        assert (statistics.started, statistics.due, statistics.waiting) == (3, 2, 1)
        nursery.cancel_scope.cancel()
