"""The saga's table and its step, without anybody else."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.orders.machine import Event, Patience, StockState, step
from actors.orders.records import CallState, Kind, OpenCall, Order
from actors.orders.transitions import (
    DONE,
    FINAL,
    RANK,
    RANKS,
    TRANSITIONS,
    Action,
    IllegalTransition,
    Input,
    State,
    look_up,
)
from actors.orders.work import AskBss, Verb, next_work
from protocols.es2plus.status_codes import Function

NOW = 1_800_000_000
PEOPLE = [one for one in Input if one.name.startswith("OPERATOR")]


def order(state: State = State.REQUESTED, **changes: object) -> Order:
    reached = state if state in RANKS else State.REQUESTED
    made = Order("mno", "1", "k", "s", Kind.SUBSCRIBE, "ap2006", "00101", NOW)
    held = {"iccid": "8949000000000000018", "matching_id": "A", "next_at": NOW}
    made = replace(made, state=state, reached=reached, **held)  # type: ignore[arg-type]
    if state is State.MANUAL:
        made = replace(made, resumes=State.RESERVED, reached=State.RESERVED)
    if state is State.COMPENSATING:
        made = replace(made, aim=State.FAILED, reached=State.CONFIRMED)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("what", list(Input))
def test_every_pair_is_a_row_is_late_or_is_refused(state: State, what: Input) -> None:
    if (state, what) in TRANSITIONS:
        assert look_up(state, what) == TRANSITIONS[state, what]
    elif what in PEOPLE:
        with pytest.raises(IllegalTransition, match=state.value):
            look_up(state, what)
    else:
        assert look_up(state, what)[0] is Action.IGNORE


def test_nothing_happens_to_what_is_over() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] in FINAL]


def test_after_the_installation_nothing_is_taken_back() -> None:
    late = (State.INSTALLED, State.SWAPPED, State.ACTIVE)
    assert not [row for (state, _), row in TRANSITIONS.items()
                if state in late and row[1] is State.COMPENSATING]  # fmt: skip


def test_what_people_can_mark_as_done_is_in_the_table() -> None:
    assert all(pair in TRANSITIONS for pair in DONE.items())


@pytest.mark.parametrize("what", [Input.OPERATOR_CANCELLED, Input.OPERATOR_BURNT])
def test_people_cannot_undo_an_installation_either(what: Input) -> None:
    waits = order(State.MANUAL, resumes=State.INSTALLED, reached=State.INSTALLED)
    with pytest.raises(IllegalTransition):
        step(waits, Event(what, NOW), Patience())


def test_a_call_on_its_way_is_taken_back_as_well() -> None:
    call = OpenCall(Function.DOWNLOAD_ORDER, "c", b"{}", CallState.SENDING)
    gone = step(order(State.ICCID_CHOSEN, call=call), Event(Input.UNSUBSCRIBED, NOW), Patience())
    assert (gone.order.state, gone.order.reached) == (State.COMPENSATING, State.RESERVED)


def test_a_call_that_was_refused_holds_nothing() -> None:
    call = OpenCall(Function.DOWNLOAD_ORDER, "c", b"{}", CallState.SENDING)
    gone = step(order(State.ICCID_CHOSEN, call=call), Event(Input.CALL_REFUSED, NOW), Patience())
    assert gone.order.reached is State.ICCID_CHOSEN


events = st.builds(
    Event,
    given=st.sampled_from([one for one in Input if one not in PEOPLE]),
    now=st.integers(NOW, NOW + 3_000_000),
    jitter=st.floats(0, 0.99),
    iccid=st.just("8949000000000000018"),
    matching_id=st.just("B"),
    smdp=st.just("dp1"),
    profile_type=st.just("A"),
    assumed=st.booleans(),
    quarantine=st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(events, max_size=40), st.booleans())
def test_whatever_happens_the_order_keeps_its_rules(happened: list[Event], moves: bool) -> None:
    one = order(old_imsi="00102" if moves else "", kind=Kind.TRANSFER if moves else Kind.SUBSCRIBE)
    ended_old = 0
    for event in happened:
        decision = step(one, event, Patience())
        after = decision.order
        if decision.action is Action.IGNORE:
            assert after == one
            continue
        assert not one.is_final
        if after.state in RANKS:
            assert after.reached is after.state
        if one.rank >= RANK[State.INSTALLED]:
            assert after.state is not State.COMPENSATING  # the pivot is respected
            assert after.iccid == one.iccid
        if after.iccid != one.iccid:
            # One profile at a time: another is taken only after this one is held no more.
            assert not one.iccid or after.rank <= RANK[State.ICCID_CHOSEN]
        if after.is_final or after.state in (State.ACTIVE, State.MANUAL):
            assert after.next_at == 0
        else:
            assert after.next_at > 0
        if decision.stock is StockState.AVAILABLE:
            assert after.rank < RANK[State.RESERVED]
        ended_old += after.state is State.SWAPPED and one.state is not State.SWAPPED
        one = after
    assert ended_old <= 1


@pytest.mark.parametrize("state", list(State))
def test_the_old_line_is_ended_after_the_installation_only(state: State) -> None:
    work = next_work(order(state, old_imsi="00102", line_touched=True), NOW)
    if isinstance(work, AskBss) and work.verb is Verb.MOVE:
        assert state is State.INSTALLED
