"""The pooled actors: order, bounds, turns, and that a crash ends one actor alone."""

from collections.abc import Callable, Sequence

import pytest
import trio

from actors.runtime import pool as pool_module
from actors.runtime.pool import ActorPool, Cell, PoolFull


class Recorder:
    """Takes numbers; says what it took; 13 is a bug, 0 ends it, -n tells itself n messages."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, float]] = []

    def receive(self, message: int, now: float) -> Sequence[str]:
        self.taken.append((message, now))
        if message == 13:
            raise ArithmeticError("bug")
        if message < 0:
            return ["self"] * -message
        return ["end"] if message == 0 else [f"took {message}"]


class Bench:
    """A pool with a clock of its own and a log of effects and crashes."""

    def __init__(self, capacity: int = 10, mailbox_bound: int = 4) -> None:
        self.now = 1.0
        self.effects: list[str] = []
        self.crashes: list[tuple[Cell[Recorder, int, str], int, Exception]] = []
        self.pool: ActorPool[Recorder, int, str] = ActorPool(
            lambda cell, message, error: self.crashes.append((cell, message, error)),
            capacity=capacity,
            mailbox_bound=mailbox_bound,
            clock=lambda: self.now,
        )
        self.pool.effects = {str: self.interpret}

    def interpret(self, cell: Cell[Recorder, int, str], effect: str, now: float) -> None:
        assert now == self.now
        if effect == "end":
            self.pool.end(cell)
        elif effect == "self":
            self.pool.tell(cell, 1)
        self.effects.append(effect)


def test_messages_are_handled_in_order_with_the_pools_clock() -> None:
    bench = Bench()
    recorder = Recorder()
    cell = bench.pool.spawn(recorder)
    for number in (3, 1, 2):
        assert bench.pool.tell(cell, number)
    assert recorder.taken == []  # nothing happens before the end of the turn
    bench.pool.run_ready()
    assert recorder.taken == [(3, 1.0), (1, 1.0), (2, 1.0)]
    assert bench.effects == ["took 3", "took 1", "took 2"]
    assert bench.pool.statistics().handled == 3


def test_mail_is_counted_until_it_is_taken() -> None:
    bench = Bench()
    cell = bench.pool.spawn(Recorder())
    for number in (1, 2):
        bench.pool.tell(cell, number)
    assert cell.mail == 2
    assert (bench.pool.statistics().ready, bench.pool.statistics().most_mail) == (2, 2)
    bench.pool.run_ready()
    assert cell.mail == 0


def test_an_effect_of_no_known_kind_ends_the_actor() -> None:
    bench = Bench()
    bench.pool.effects = {}
    cell = bench.pool.spawn(Recorder())
    bench.pool.tell(cell, 1)
    bench.pool.run_ready()
    assert not cell.alive
    assert len(bench.crashes) == 1


def test_actors_take_turns_in_the_order_in_which_their_mail_came() -> None:
    bench = Bench()
    one, other = bench.pool.spawn(Recorder()), bench.pool.spawn(Recorder())
    for cell, number in ((one, 1), (other, 2), (one, 3)):
        bench.pool.tell(cell, number)
    bench.pool.run_ready()
    assert bench.effects == ["took 1", "took 2", "took 3"]


def test_a_full_mailbox_refuses() -> None:
    bench = Bench(mailbox_bound=2)
    cell = bench.pool.spawn(Recorder())
    assert [bench.pool.tell(cell, n) for n in (1, 2, 3)] == [True, True, False]
    assert bench.pool.statistics().refused == 1
    bench.pool.run_ready()
    assert bench.pool.tell(cell, 4)


def test_a_full_pool_refuses_and_an_ended_actor_makes_room() -> None:
    bench = Bench(capacity=1)
    cell = bench.pool.spawn(Recorder())
    with pytest.raises(PoolFull):
        bench.pool.spawn(Recorder())
    bench.pool.end(cell)
    bench.pool.end(cell)  # ending twice counts once
    assert bench.pool.spawn(Recorder()).alive
    assert bench.pool.statistics().ended == 1


def test_a_crash_ends_that_actor_alone() -> None:
    bench = Bench()
    broken, sound = bench.pool.spawn(Recorder()), bench.pool.spawn(Recorder())
    for cell in (broken, sound):
        bench.pool.tell(cell, 1)
    bench.pool.tell(broken, 13)
    bench.pool.tell(broken, 2)
    bench.pool.tell(sound, 2)
    bench.pool.run_ready()
    assert [(cell, message) for cell, message, _ in bench.crashes] == [(broken, 13)]
    assert bench.effects == ["took 1", "took 1", "took 2"]
    assert not broken.alive
    assert not bench.pool.tell(broken, 3)
    statistics = bench.pool.statistics()
    assert (statistics.crashes, statistics.alive, statistics.dropped) == (1, 1, 2)


def test_mail_sent_while_stepping_is_handled_in_the_same_turn() -> None:
    bench = Bench()
    cell = bench.pool.spawn(Recorder())
    bench.pool.tell(cell, -2)
    bench.pool.run_ready()
    assert bench.effects == ["self", "self", "took 1", "took 1"]
    assert bench.pool.statistics().ready == 0


def test_mail_for_an_actor_that_ends_itself_is_dropped() -> None:
    bench = Bench()
    cell = bench.pool.spawn(Recorder())
    for number in (0, 1):
        bench.pool.tell(cell, number)
    bench.pool.run_ready()
    assert bench.effects == ["end"]
    assert bench.pool.statistics().dropped == 1


def test_whoever_sent_dropped_mail_is_told() -> None:
    told: list[int] = []
    bench = Bench(mailbox_bound=10)
    bench.pool._told_of_dropped = lambda cell, message: told.append(message)
    ends, crashes = bench.pool.spawn(Recorder()), bench.pool.spawn(Recorder())
    for number in (0, 1, 2):
        bench.pool.tell(ends, number)
    for number in (13, 3):
        bench.pool.tell(crashes, number)
    bench.pool.run_ready()
    assert told == [1, 2, 3]


def test_mail_beyond_a_turns_share_is_dropped_too_when_the_actor_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "MESSAGES_PER_TURN", 1)
    bench = Bench()
    cell = bench.pool.spawn(Recorder())
    for number in (0, 1):
        bench.pool.tell(cell, number)
    bench.pool.run_ready()
    assert (bench.pool.statistics().handled, bench.pool.statistics().ready) == (1, 1)
    bench.pool.run_ready()
    assert (bench.pool.statistics().handled, bench.pool.statistics().dropped) == (1, 1)
    assert bench.pool.statistics().ready == 0


async def test_what_one_turn_leaves_is_taken_up_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "MESSAGES_PER_TURN", 3)
    bench = Bench()
    cells = [bench.pool.spawn(Recorder()) for _ in range(8)]
    for cell in cells:
        bench.pool.tell(cell, 1)
    bench.pool.run_ready()
    assert len(bench.effects) == 3
    turns = 0

    def end_turn() -> None:
        nonlocal turns
        turns += 1
        bench.pool.run_ready()

    async with trio.open_nursery() as nursery:
        run: Callable[..., object] = bench.pool.run
        await nursery.start(run, end_turn)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert len(bench.effects) == 8
    assert turns == 2
