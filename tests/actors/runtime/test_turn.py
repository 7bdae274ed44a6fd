"""The end of a turn: order, re-entrance, and steps that raise."""

from collections.abc import Callable

import structlog
import trio

from actors.runtime.turn import ROUNDS, Turn


def noting(notes: list[str], text: str) -> Callable[[], None]:
    return lambda: notes.append(text)


def failing() -> None:
    raise ValueError("a bug")


def test_steps_run_in_order_of_registration_and_flushers_come_last() -> None:
    turn, notes = Turn(), []
    turn.flusher(noting(notes, "flush 1"))
    turn.before_flush(noting(notes, "before 1"))
    turn.flusher(noting(notes, "flush 2"))
    turn.before_flush(noting(notes, "before 2"))
    turn.end()
    assert notes == ["before 1", "before 2", "flush 1", "flush 2"]


def test_ending_the_turn_inside_a_step_asks_for_one_more_round() -> None:
    turn, notes = Turn(), []

    def flush() -> None:
        notes.append("flush")
        if len(notes) < 4:
            turn.end()
            turn.end()

    turn.before_flush(noting(notes, "before"))
    turn.flusher(flush)
    turn.end()
    assert notes == ["before", "flush", "before", "flush"]


async def test_work_without_end_leaves_room_for_the_sockets_and_then_goes_on() -> None:
    turn, rounds = Turn(), 0

    def flush() -> None:
        nonlocal rounds
        rounds += 1
        if rounds < 3 * ROUNDS:
            turn.end()

    turn.flusher(flush)
    turn.end()
    assert rounds == ROUNDS
    with trio.fail_after(1):
        while rounds < 3 * ROUNDS:
            await trio.lowlevel.checkpoint()


def test_a_step_that_raises_keeps_no_other_from_running() -> None:
    reported: list[Exception] = []
    turn, notes = Turn(reported.append), []
    turn.before_flush(failing)
    turn.before_flush(noting(notes, "before"))
    turn.flusher(failing)
    turn.flusher(noting(notes, "flush"))
    turn.end()
    assert notes == ["before", "flush"]
    assert [str(error) for error in reported] == ["a bug", "a bug"]
    assert turn.crashes == 2


def test_the_turn_after_a_raising_one_works() -> None:
    notes: list[str] = []
    steps = [failing]
    turn = Turn(lambda error: notes.append(str(error)))
    turn.flusher(lambda: steps.pop()() if steps else notes.append("flush"))
    turn.end()
    turn.end()
    assert notes == ["a bug", "flush"]


def test_a_shell_elsewhere_reports_the_same_way() -> None:
    reported: list[Exception] = []
    turn = Turn(reported.append)
    turn.crashed(KeyError("elsewhere"))
    assert [type(error) for error in reported] == [KeyError]
    assert turn.crashes == 1


def test_without_a_place_to_report_to_crashes_are_logged() -> None:
    turn = Turn()
    turn.flusher(failing)
    with structlog.testing.capture_logs() as lines:
        turn.end()
    assert [line["event"] for line in lines] == ["step crashed"]
    assert turn.crashes == 1
