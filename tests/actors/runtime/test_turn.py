"""Turns: steps before flushers, once each, also when they cause more."""

from actors.runtime.turn import ROUNDS, Turn


def test_steps_come_before_flushers_in_the_order_of_registration() -> None:
    turn, log = Turn(), list[str]()
    turn.flusher(lambda: log.append("diameter"))
    turn.before_flush(lambda: log.append("sessions"))
    turn.flusher(lambda: log.append("devices"))
    turn.end()
    assert log == ["sessions", "diameter", "devices"]
    assert turn.turns == 1


def test_input_that_a_flusher_causes_gets_a_round_of_its_own() -> None:
    turn, log = Turn(), list[str]()
    causes = [True]

    def flush() -> None:
        log.append("flush")
        if causes.pop() if causes else False:
            turn.end()

    turn.before_flush(lambda: log.append("step"))
    turn.flusher(flush)
    turn.end()
    assert log == ["step", "flush", "step", "flush"]


def test_endless_causes_do_not_hold_the_loop() -> None:
    turn, flushes = Turn(), list[int]()

    def flush() -> None:
        flushes.append(1)
        turn.end()

    turn.flusher(flush)
    turn.end()
    assert len(flushes) == ROUNDS
    turn.end()
    assert len(flushes) == 2 * ROUNDS
