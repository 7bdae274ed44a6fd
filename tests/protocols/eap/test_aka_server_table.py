"""Every pair of the EAP-AKA server's table."""

import itertools

import pytest

from protocols.eap.aka_server_table import TRANSITIONS, IllegalTransition, Input, State, step

EVERY_PAIR = list(itertools.product(State, Input))


@pytest.mark.parametrize(("state", "given"), EVERY_PAIR)
def test_every_pair_of_the_server_is_in_the_table_or_refused(state: State, given: Input) -> None:
    if (state, given) in TRANSITIONS:
        assert step(state, given) == TRANSITIONS[state, given]
    else:
        with pytest.raises(IllegalTransition, match=f"{given.name} is not allowed in {state.name}"):
            step(state, given)


def test_nothing_leaves_the_end_and_everything_reaches_it() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] is State.ENDED]
    reached = {State.START}
    for _ in State:
        reached |= {to for (start, _), (_, to) in TRANSITIONS.items() if start in reached}
    assert reached == set(State)
