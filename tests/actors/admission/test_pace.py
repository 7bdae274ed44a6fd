"""How fast work may begin: no limit in normal times, most of the capacity in bad ones."""

import math

import pytest

from actors.admission.pace import COST, LEAST_PACE, RELEASE_SECONDS, Pace, Work
from tests.actors.admission.loop_model import LoopModel

INTERVAL = 0.03


def congest(pace: Pace, now: float, intervals: int, works: int = 20) -> float:
    """Rounds that never find the sockets empty, and devices that come meanwhile."""
    for _ in range(intervals * 10):
        now += INTERVAL / 10
        pace.round(now)
        for _ in range(works // 10):
            pace.takes(Work.CONNECTION, now)
    return now


def limiting(rate: float = 1_000.0) -> tuple[Pace, float]:
    """A pace that limits to about so many exchanges a second, with a full bucket."""
    pace = Pace(INTERVAL)
    now = congest(pace, 100.0, 20, works=round(rate * INTERVAL / COST[Work.CONNECTION]))
    assert pace.limiting
    pace.drained()
    now += 1.0
    pace.round(now)
    return pace, now


def test_nothing_is_limited_as_long_as_the_loop_catches_up() -> None:
    pace = Pace(INTERVAL)
    for step in range(1, 10_000):
        now = step * 0.001
        pace.round(now)
        assert all(pace.takes(work, now) for work in Work)
        if step % 20 == 0:
            pace.drained()
    assert not pace.limiting
    assert math.isinf(pace.rate)


def test_a_busy_loop_that_takes_all_input_in_each_round_is_not_congested() -> None:
    """A few connections that always have something to say: a closed loop of clients."""
    pace = Pace(INTERVAL)
    for step in range(1, 2_000):
        now = step * 0.01
        pace.round(now)
        pace.caught_up(20, now, now + 0.009)
        assert pace.takes(Work.CONNECTION, now)
        assert not pace.holds(now)
    assert not pace.limiting


def test_one_long_step_is_no_congestion() -> None:
    """A garbage collection, or another process on the same core."""
    pace = Pace(INTERVAL)
    for step in range(1, 100):
        pace.round(step * 1.0)
        pace.takes(Work.CONNECTION, step * 1.0)
        pace.drained()
    assert not pace.limiting


def test_a_standing_queue_is_congestion() -> None:
    pace = Pace(INTERVAL)
    now = congest(pace, 1.0, 10)
    assert not pace.limiting, "a burst is worked off"
    assert pace.holds(now), "while strangers wait outside"
    congest(pace, now, 10)
    assert pace.limiting
    assert not pace.holds(now)
    assert pace.onsets == 1


def test_while_limiting_the_last_of_the_bucket_is_for_what_is_shed_last() -> None:
    pace, now = limiting()
    admitted = []
    for work in (Work.AUTHENTICATION, Work.URGENT_AUTHENTICATION, Work.TOKEN, Work.STARTED):
        count = 0
        while count < 1_000 and pace.takes(work, now):
            count += 1
        admitted.append(count)
    # Each class has something of what the one before it had to leave.
    assert all(admitted)
    assert admitted[2] < 1_000
    assert admitted[3] == 1_000, "what was started is never refused"


def test_some_strangers_more_come_in_so_that_they_can_be_told_when_to_come_back() -> None:
    """A connection that is closed says nothing; a new authentication that is refused does."""
    pace, now = limiting()
    while pace.takes(Work.CONNECTION, now):
        pass
    assert not pace.takes(Work.AUTHENTICATION, now)
    assert pace.takes(Work.TOKEN, now)


def test_a_tenant_over_its_share_leaves_room_for_the_others() -> None:
    pace, now = limiting()
    while pace.takes(Work.AUTHENTICATION, now, greedy=True):
        pass
    assert pace.takes(Work.AUTHENTICATION, now)
    assert not pace.takes(Work.AUTHENTICATION, now, greedy=True)


def test_connections_wait_until_a_standing_queue_is_worked_off_but_started_ones_do_not() -> None:
    pace, now = limiting()
    now = congest(pace, now, 3, works=0)
    assert not pace.takes(Work.CONNECTION, now)
    assert pace.takes(Work.STARTED, now)
    pace.drained()
    assert pace.takes(Work.CONNECTION, now)


def test_congestion_slows_the_pace_down_to_a_floor_and_catching_up_speeds_it_up() -> None:
    pace, now = limiting()
    rate = pace.rate
    for _ in range(200):
        now += INTERVAL / 4
        pace.round(now)
        while pace.takes(Work.AUTHENTICATION, now):
            pass
    assert LEAST_PACE <= pace.rate < rate / 4
    slow = pace.rate
    for _ in range(200):
        now += INTERVAL / 2
        pace.round(now)
        while pace.takes(Work.AUTHENTICATION, now):
            pass
        pace.drained()
    assert pace.rate > 2 * slow


def test_limiting_ends_when_nothing_was_refused_for_a_while() -> None:
    pace, now = limiting()
    for step in range(1, 200):
        pace.round(now + step * INTERVAL)
        pace.takes(Work.TOKEN, now + step * INTERVAL)
        pace.drained()
    assert 200 * INTERVAL > RELEASE_SECONDS
    assert not pace.limiting
    assert math.isinf(pace.rate)
    assert pace.refused_share == 0.0


@pytest.mark.parametrize("load", [0.3, 0.5, 0.8])
def test_below_its_capacity_the_loop_serves_everybody(load: float) -> None:
    outcome = LoopModel(Pace(INTERVAL)).run(load, 6.0)
    assert outcome.turned_away == outcome.excused == 0


@pytest.mark.parametrize("load", [1.0, 1.5, 2.0, 5.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_above_its_capacity_the_loop_does_nearly_as_much_and_as_quickly(
    load: float, seed: int
) -> None:
    quiet = LoopModel(Pace(INTERVAL), seed).run(0.8, 5.0)
    outcome = LoopModel(Pace(INTERVAL), seed).run(load, 8.0)
    assert outcome.goodput >= 0.85
    # Just at the capacity some queue stands always, and is no overload yet.
    assert outcome.p99 <= (3 * quiet.p99 if load > 1.0 else 0.2)


def test_without_the_pace_the_same_load_ends_in_seconds_of_waiting() -> None:
    """The model is no straw man: this is what the controller is for."""
    outcome = LoopModel(None).run(2.0, 6.0)
    assert outcome.p99 > 1.0


def test_after_an_overload_everybody_is_served_again_within_five_seconds() -> None:
    model = LoopModel(Pace(INTERVAL))
    model.run(5.0, 5.0)
    model.run(0.5, 5.0)
    outcome = model.run(0.5, 3.0, skip=0.0)
    assert outcome.turned_away == outcome.excused == 0
