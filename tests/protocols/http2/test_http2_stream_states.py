"""Every pair of the stream table of RFC 9113 §5.1."""

import itertools

import pytest

from protocols.http2.stream_states import (
    NEXT,
    TRANSITIONS,
    IllegalTransition,
    Input,
    Scope,
    State,
    step,
)

EVERY_PAIR = list(itertools.product(State, Input))


@pytest.mark.parametrize(("state", "given"), EVERY_PAIR)
def test_every_pair_is_in_the_table_or_refused(state: State, given: Input) -> None:
    if (state, given) in TRANSITIONS:
        assert step(state, given) == TRANSITIONS[state, given] == NEXT[state][given]
    else:
        with pytest.raises(IllegalTransition, match=f"{given.name} is not allowed in {state.name}"):
            step(state, given)


def test_whatever_a_peer_sends_has_an_answer() -> None:
    received = [given for given in Input if given.name.startswith("RECEIVE")]
    assert all((state, given) in TRANSITIONS for state in State for given in received)


def test_errors_and_only_errors_have_a_code_and_leave_the_state() -> None:
    for (state, _), outcome in TRANSITIONS.items():
        is_error = outcome.scope in (Scope.STREAM_ERROR, Scope.CONNECTION_ERROR)
        assert is_error == (outcome.code != 0)
        if outcome.scope is not Scope.GO_ON:
            assert outcome.state is state
