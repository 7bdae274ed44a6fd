"""Every pair of the table of an HTTP/1.1 connection."""

import itertools

import pytest

from protocols.http1.states import NEXT, TRANSITIONS, IllegalTransition, Input, State, step


@pytest.mark.parametrize(("state", "given"), list(itertools.product(State, Input)))
def test_every_pair_is_in_the_table_or_refused(state: State, given: Input) -> None:
    if (state, given) in TRANSITIONS:
        assert step(state, given) == TRANSITIONS[state, given] == NEXT[state][given]
    else:
        with pytest.raises(IllegalTransition, match=f"{given.name} is not allowed in {state.name}"):
            step(state, given)
