"""Every pair of the watchdog table (RFC 3539 Appendix A) under every guard, and its stories."""

import itertools

import pytest

from protocols.diameter.watchdog import (
    TRANSITIONS,
    Action,
    Event,
    Guard,
    IllegalTransition,
    State,
    Watchdog,
)

TW = 30.0
FIELDS = list(itertools.product((False, True), (-1, 0, 1, 2)))  # pending, num_dwa


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
@pytest.mark.parametrize(("pending", "num_dwa"), FIELDS)
def test_every_pair_has_one_row_or_is_refused(
    state: State, event: Event, pending: bool, num_dwa: int
) -> None:
    watchdog = Watchdog(TW)
    watchdog.state, watchdog.pending, watchdog.num_dwa = state, pending, num_dwa
    if (state, event) not in TRANSITIONS:
        with pytest.raises(IllegalTransition, match=f"{event.name} is not allowed in {state.name}"):
            watchdog.handle(event, 100.0, 0.0)
        assert (watchdog.state, watchdog.pending, watchdog.num_dwa) == (state, pending, num_dwa)
        return
    watchdog.handle(event, 100.0, 0.0)
    assert watchdog.state in {row[2] for row in TRANSITIONS[state, event]}


def test_only_impossible_pairs_are_missing() -> None:
    missing = {pair for pair in itertools.product(State, Event) if pair not in TRANSITIONS}
    # A connection that is up cannot come up.
    up = Event.CONNECTION_UP
    assert missing == {(State.OKAY, up), (State.SUSPECT, up), (State.REOPEN, up)}
    assert all(row[0] in Guard for rows in TRANSITIONS.values() for row in rows)


def opened(now: float = 0.0) -> Watchdog:
    watchdog = Watchdog(TW)
    assert watchdog.handle(Event.CONNECTION_UP, now, 0.0) == ()
    assert watchdog.state is State.OKAY
    return watchdog


def test_the_first_connection_is_okay_at_once() -> None:
    assert opened(5.0).deadline == 5.0 + TW


def test_jitter_moves_every_deadline_by_up_to_two_seconds() -> None:
    watchdog = opened()
    for jitter in (-1.0, 1.0):
        watchdog.handle(Event.RECEIVE_NON_DWA, 10.0, jitter)
        assert watchdog.deadline == 10.0 + TW + 2 * jitter


def test_silence_makes_a_peer_suspect_then_down() -> None:
    watchdog = opened()
    assert watchdog.handle(Event.TIMER_EXPIRES, 30.0, 0.0) == (Action.SEND_WATCHDOG,)
    assert watchdog.pending
    assert watchdog.handle(Event.TIMER_EXPIRES, 60.0, 0.0) == (Action.FAILOVER,)
    assert watchdog.state is State.SUSPECT
    assert watchdog.handle(Event.TIMER_EXPIRES, 90.0, 0.0) == (Action.CLOSE_CONNECTION,)
    assert watchdog.state is State.DOWN


@pytest.mark.parametrize("event", [Event.RECEIVE_DWA, Event.RECEIVE_NON_DWA])
def test_any_message_brings_a_suspect_peer_back(event: Event) -> None:
    watchdog = opened()
    watchdog.handle(Event.TIMER_EXPIRES, 30.0, 0.0)
    watchdog.handle(Event.TIMER_EXPIRES, 60.0, 0.0)
    assert watchdog.handle(event, 61.0, 0.0) == (Action.FAILBACK,)
    assert watchdog.state is State.OKAY
    assert watchdog.pending == (event is Event.RECEIVE_NON_DWA)


def reopened() -> Watchdog:
    watchdog = opened()
    watchdog.handle(Event.CONNECTION_DOWN, 1.0, 0.0)
    assert watchdog.handle(Event.TIMER_EXPIRES, 2.0, 0.0) == (Action.ATTEMPT_OPEN,)
    assert watchdog.handle(Event.CONNECTION_UP, 3.0, 0.0) == (Action.SEND_WATCHDOG,)
    assert watchdog.state is State.REOPEN
    return watchdog


def test_a_lost_peer_is_okay_again_after_three_answers() -> None:
    watchdog = reopened()
    for now in (4.0, 5.0):
        assert watchdog.handle(Event.RECEIVE_NON_DWA, now, 0.0) == (Action.THROW_AWAY,)
        assert watchdog.handle(Event.RECEIVE_DWA, now, 0.0) == (Action.SEND_WATCHDOG,)
        assert watchdog.state is State.REOPEN
    assert watchdog.handle(Event.RECEIVE_DWA, 6.0, 0.0) == (Action.FAILBACK,)
    assert watchdog.state is State.OKAY
    assert watchdog.num_dwa == 3
    assert watchdog.deadline == 6.0 + TW


def test_a_reopened_peer_that_stays_silent_goes_down_at_the_second_expiry() -> None:
    watchdog = reopened()
    assert watchdog.handle(Event.TIMER_EXPIRES, 33.0, 0.0) == ()
    assert watchdog.num_dwa == -1
    assert watchdog.handle(Event.TIMER_EXPIRES, 63.0, 0.0) == (Action.CLOSE_CONNECTION,)
    assert watchdog.state is State.DOWN


def test_a_peer_that_said_good_bye_is_not_put_on_probation() -> None:
    watchdog = opened()
    watchdog.handle(Event.TIMER_EXPIRES, 30.0, 0.0)
    assert watchdog.handle(Event.DISCONNECTED, 31.0, 0.0) == (Action.FAILOVER,)
    assert watchdog.handle(Event.CONNECTION_UP, 40.0, 0.0) == ()
    assert watchdog.state is State.OKAY
    assert not watchdog.pending


def test_doubt_asks_at_once_and_only_once() -> None:
    watchdog = opened()
    assert watchdog.handle(Event.DOUBTED, 10.0, 0.0) == (Action.SEND_WATCHDOG,)
    assert watchdog.handle(Event.DOUBTED, 11.0, 0.0) == ()
    assert watchdog.deadline == 10.0 + TW
    assert watchdog.handle(Event.TIMER_EXPIRES, 40.0, 0.0) == (Action.FAILOVER,)
    assert watchdog.state is State.SUSPECT
