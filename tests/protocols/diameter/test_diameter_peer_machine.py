"""Every pair of the peer table (RFC 6733 §5.6), and both ends of an election."""

import itertools

import pytest

from protocols.diameter.peer_machine import (
    TRANSITIONS,
    Action,
    Event,
    IllegalTransition,
    PeerMachine,
    State,
    step,
    wins_election,
)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_pair_is_in_the_table_or_refused(state: State, event: Event) -> None:
    machine = PeerMachine()
    machine.state = state
    if (state, event) in TRANSITIONS:
        assert machine.handle(event) == TRANSITIONS[state, event][0]
        assert machine.state is TRANSITIONS[state, event][1]
        assert machine.is_open == (machine.state in (State.I_OPEN, State.R_OPEN))
    else:
        with pytest.raises(IllegalTransition, match=f"{event.name} is not allowed in {state.name}"):
            step(state, event)
        with pytest.raises(IllegalTransition):
            machine.handle(event)
        assert machine.state is state


def walk(*events: Event) -> tuple[PeerMachine, list[Action]]:
    machine, actions = PeerMachine(), []
    for event in events:
        actions += machine.handle(event)
    return machine, actions


def test_an_initiator_opens_and_closes() -> None:
    machine, actions = walk(Event.START, Event.I_RCV_CONN_ACK, Event.I_RCV_CEA)
    assert machine.is_open
    assert actions == [Action.I_SND_CONN_REQ, Action.I_SND_CER, Action.PROCESS_CEA]
    assert machine.handle(Event.STOP) == (Action.I_SND_DPR,)
    assert not machine.is_open
    assert machine.handle(Event.I_RCV_DPA) == (Action.I_DISC,)
    assert machine.state is State.CLOSED


def test_a_responder_opens_with_the_cer() -> None:
    machine, actions = walk(Event.R_CONN_CER)
    assert machine.state is State.R_OPEN
    assert actions == [Action.R_ACCEPT, Action.PROCESS_CER, Action.R_SND_CEA]


def test_the_winner_of_the_election_keeps_what_the_other_opened() -> None:
    machine, actions = walk(Event.START, Event.I_RCV_CONN_ACK, Event.R_CONN_CER)
    assert machine.state is State.WAIT_RETURNS
    assert actions[-1] is Action.ELECT
    assert machine.handle(Event.WIN_ELECTION) == (Action.I_DISC, Action.R_SND_CEA)
    assert machine.state is State.R_OPEN


def test_the_loser_of_the_election_keeps_what_it_opened() -> None:
    machine, _ = walk(Event.START, Event.R_CONN_CER, Event.I_RCV_CONN_ACK)
    assert machine.state is State.WAIT_RETURNS
    assert machine.handle(Event.I_RCV_CEA) == (Action.R_DISC, Action.PROCESS_CEA)
    assert machine.state is State.I_OPEN


def test_the_higher_origin_host_wins_without_regard_to_case() -> None:
    assert wins_election("b.example", "a.example")
    assert not wins_election("A.example", "b.example")
    assert wins_election("a.example.org", "a.example")
    assert not wins_election("A.example", "a.EXAMPLE")


@pytest.mark.parametrize("state", list(State))
def test_every_state_can_be_left(state: State) -> None:
    assert any(
        source is state and target is not state for (source, _), (_, target) in TRANSITIONS.items()
    )
