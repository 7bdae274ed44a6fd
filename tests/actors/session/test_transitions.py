"""The session's table: every pair, and that each state can be left."""

import itertools
import subprocess
import sys

import pytest

from actors.session.transitions import (
    LATE,
    TRANSITIONS,
    Action,
    IllegalTransition,
    Input,
    State,
    step,
)

PAIRS = list(itertools.product(State, Input))


@pytest.mark.parametrize(("state", "given"), PAIRS, ids=lambda one: one.name)
def test_every_pair_is_in_the_table_or_refused(state: State, given: Input) -> None:
    if (state, given) in TRANSITIONS:
        action, following = step(state, given)
        assert isinstance(action, Action)
        assert isinstance(following, State)
    else:
        with pytest.raises(IllegalTransition, match=f"{given.name} is not allowed in {state.name}"):
            step(state, given)


def test_nothing_follows_the_end() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] is State.ENDED]


@pytest.mark.parametrize("state", [one for one in State if one is not State.ENDED])
def test_every_state_is_left_when_time_passes_or_at_once(state: State) -> None:
    if state is State.NEW:  # it exists only between its creation and its first message
        return
    assert TRANSITIONS[state, Input.TIME_PASSED][1] in (State.ENDED, State.REFUSED)


@pytest.mark.parametrize("state", list(State))
def test_every_state_is_reached(state: State) -> None:
    assert state is State.NEW or state in {following for _, following in TRANSITIONS.values()}


def test_every_action_and_input_is_used() -> None:
    assert {action for action, _ in TRANSITIONS.values()} == set(Action)
    assert {given for _, given in TRANSITIONS} == set(Input)


@pytest.mark.parametrize("state", [one for one in State if one not in (State.NEW, State.ENDED)])
@pytest.mark.parametrize(
    "given", [Input.ANSWER_RECEIVED, Input.ANSWER_REPEATED, Input.ANSWER_MALFORMED]
)
def test_whatever_a_device_answers_is_in_the_table_of_every_state(
    state: State, given: Input
) -> None:
    """A device can send any EAP packet at any time: that must never be taken for a bug."""
    assert (state, given) in TRANSITIONS


def test_commands_of_a_device_are_never_late() -> None:
    asked = {Input.IDENTITY_RECEIVED, Input.TOKEN_PRESENTED, Input.ANSWER_RECEIVED}
    assert not asked & LATE


def test_the_table_prints() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "actors.session.transitions"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert len(run.stdout.splitlines()) == len(TRANSITIONS)
