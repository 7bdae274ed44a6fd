"""The open loop on a clock that jumps: rates, limits and ends are exact."""

import pytest
import trio
import trio.testing

from scripts.traffic.arrivals import Arrivals
from scripts.traffic.keyboard import obey
from scripts.traffic.outcome import CallFailed, Reason
from scripts.traffic.scheduler import GRACE_SECONDS, Scheduler
from scripts.traffic.statistics import CallRecord, Statistics


class Traffic:
    """A scheduler whose calls take `seconds` each; who calls is a number."""

    def __init__(
        self, arrivals: Arrivals, seconds: float = 0.0, *, simultaneous: int = 1_000,
        number: int = 0, timeout: float = 30.0, people: int = 100_000,
    ) -> None:  # fmt: skip
        self.seconds = seconds
        self.began: list[float] = []
        self.due: list[float] = []
        self.statistics = Statistics()
        self.free = list(range(people))
        self.scheduler: Scheduler[int] = Scheduler(
            arrivals,
            self.statistics,
            self.call,
            take=lambda: self.free.pop() if self.free else None,
            give_back=self.free.append,
            simultaneous=simultaneous,
            number=number,
            timeout_seconds=timeout,
        )

    async def call(self, who: int, record: CallRecord) -> None:
        self.began.append(self.scheduler.elapsed)
        self.due.append(record.due)
        await trio.sleep(self.seconds)


async def test_calls_begin_when_they_are_due(autojump_clock: trio.testing.MockClock) -> None:
    traffic = Traffic(Arrivals.staged(10, [(5, 10, False), (5, 40, True)], 0), seconds=3)
    await traffic.scheduler.run()
    assert len(traffic.began) == 50 + 125
    assert traffic.began == pytest.approx(traffic.due)
    assert traffic.statistics.total.passed == 175
    assert traffic.scheduler.elapsed == pytest.approx(13, abs=0.1)


async def test_the_number_of_calls_ends_it(autojump_clock: trio.testing.MockClock) -> None:
    traffic = Traffic(Arrivals.staged(10, [], 0), number=25)
    await traffic.scheduler.run()
    assert len(traffic.began) == 25
    assert traffic.scheduler.elapsed == pytest.approx(2.4)


async def test_at_the_limit_calls_wait_and_count_from_when_they_were_due(
    autojump_clock: trio.testing.MockClock,
) -> None:
    traffic = Traffic(Arrivals.staged(10, [], 0), seconds=1, simultaneous=5, number=20)
    await traffic.scheduler.run()
    statistics = traffic.statistics
    assert statistics.most_running == 5
    # 20 calls, 5 at a time, 1 s each; the last is due at 1.9 s and begins at 3.4 s.
    assert traffic.began[-1] == pytest.approx(3.4)
    assert statistics.total.timers["call"].largest == pytest.approx(4.4 - 1.9)
    assert statistics.late == pytest.approx(3.4 - 1.9)


async def test_a_stalled_node_cannot_hide_the_calls_it_delays(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Closed-loop tools would report one slow call here; an open loop reports all of them."""
    traffic = Traffic(Arrivals.staged(100, [(2, 100, False)], 0), simultaneous=1)

    async def stall(who: int, record: CallRecord) -> None:
        await trio.sleep(1.0 if record.due == 0 else 0.0)

    traffic.scheduler._make_call = stall
    await traffic.scheduler.run()
    slow = traffic.statistics.total.timers["call"]
    assert slow.count == 200
    assert slow.percentile(75) == pytest.approx(0.5, rel=0.05)


async def test_nobody_calls_twice_at_the_same_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    traffic = Traffic(Arrivals.staged(100, [], 0), seconds=1, people=3, number=9)
    await traffic.scheduler.run()
    assert traffic.statistics.most_running == 3
    assert len(traffic.free) == 3


async def test_a_call_that_takes_too_long_is_a_timeout(
    autojump_clock: trio.testing.MockClock,
) -> None:
    traffic = Traffic(Arrivals.staged(1, [], 0), seconds=100, timeout=2, number=1)
    await traffic.scheduler.run()
    assert traffic.statistics.total.failed[Reason.TIMEOUT] == 1
    assert traffic.scheduler.elapsed == pytest.approx(2)
    assert traffic.statistics.running == 0


async def test_a_failure_is_counted_by_its_reason(autojump_clock: trio.testing.MockClock) -> None:
    traffic = Traffic(Arrivals.staged(10, [], 0), number=3)

    async def fail(who: int, record: CallRecord) -> None:
        raise CallFailed(Reason.EAP_REJECT, "403")

    traffic.scheduler._make_call = fail
    await traffic.scheduler.run()
    assert traffic.statistics.total.failed[Reason.EAP_REJECT] == 3
    assert traffic.statistics.examples == {Reason.EAP_REJECT: ["403"]}


async def test_stop_lets_running_calls_end(autojump_clock: trio.testing.MockClock) -> None:
    traffic = Traffic(Arrivals.staged(10, [], 0), seconds=3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.scheduler.run)
        await trio.sleep(1.05)
        traffic.scheduler.stop()
    assert traffic.statistics.total.created == 11
    assert traffic.statistics.total.passed == 11
    assert traffic.scheduler.wanted_rate == 0


async def test_after_the_grace_they_are_ended(autojump_clock: trio.testing.MockClock) -> None:
    traffic = Traffic(Arrivals.staged(10, [], 0), seconds=1_000, timeout=2_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.scheduler.run)
        await trio.sleep(0.05)
        traffic.scheduler.stop()
    assert traffic.scheduler.elapsed == pytest.approx(0.05 + GRACE_SECONDS)
    assert traffic.statistics.total.failed[Reason.TIMEOUT] == 1


async def test_a_second_stop_ends_them_at_once(autojump_clock: trio.testing.MockClock) -> None:
    traffic = Traffic(Arrivals.staged(10, [], 0), seconds=1_000, simultaneous=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.scheduler.run)
        await trio.sleep(0.05)
        traffic.scheduler.stop()
        traffic.scheduler.stop()
    assert traffic.scheduler.elapsed == pytest.approx(0.05)
    assert traffic.statistics.running == 0


async def test_the_keys_change_the_rate(autojump_clock: trio.testing.MockClock) -> None:
    traffic = Traffic(Arrivals.staged(10, [], 0), number=210)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.scheduler.run)
        await trio.sleep(1)
        obey("*", traffic.scheduler, scale=10)  # ten steps up: 110 calls a second
        obey("?", traffic.scheduler, scale=10)
        assert traffic.scheduler.wanted_rate == 110
        await trio.sleep(1)
        obey("-", traffic.scheduler, scale=10)
        assert traffic.scheduler.wanted_rate == 100
    assert traffic.scheduler.elapsed == pytest.approx(2.9, abs=0.03)


async def test_a_rate_of_zero_waits_for_a_key(autojump_clock: trio.testing.MockClock) -> None:
    traffic = Traffic(Arrivals.staged(0, [(1, 1, False), (100, 0, False)], 0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.scheduler.run)
        await trio.sleep(50)
        assert len(traffic.began) == 1
        assert traffic.statistics.running == 0
