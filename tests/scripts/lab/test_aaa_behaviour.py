"""Behaviours: how they are written, whom they are for, and every word."""

import pytest

from scripts.lab.aaa_behaviour import (
    DEFAULT,
    SUFFIXES,
    WORDS,
    Behaviour,
    Behaviours,
    parse_assignments,
    parse_behaviour,
)
from scripts.lab.behaviour_words import BehaviourError


def test_words_and_values_are_read() -> None:
    found = parse_behaviour("delay=0.5, result=5450/10415,round=2,no-state,stale=1,silent=no")
    assert found == Behaviour(delay=0.5, result="5450/10415", round=2, no_state=True, stale=1)
    assert found.code == (10415, 5450)
    assert parse_behaviour("result=3004").code == (0, 3004)
    assert parse_behaviour("") == DEFAULT
    assert DEFAULT.code == (0, 0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("dealy=1", "'dealy' is unknown; one of: result"),
        ("delay=x", "delay='x' is no float"),
        ("stale", "stale='' is no int"),
        ("result=abc", "is no CODE"),
        ("result=1/x", "is no CODE"),
    ],
)
def test_a_wrong_word_is_named(text: str, why: str) -> None:
    with pytest.raises(BehaviourError, match=why):
        parse_behaviour(text)


def test_every_word_has_a_text_and_a_plain_type() -> None:
    for row in WORDS.values():
        assert row.metadata["text"]
        assert type(row.default) in (str, bool, int, float)


def test_the_closest_rule_wins() -> None:
    behaviours = Behaviours({"*": "delay=1", "*7": "delay=2", "*07": "delay=3"})
    behaviours.set("001010000000107", Behaviour(delay=4))
    assert behaviours.of("001010000000001").delay == 1
    assert behaviours.of("001010000000017").delay == 2
    assert behaviours.of("001010000000007").delay == 3
    assert behaviours.of("001010000000107").delay == 4
    assert behaviours.of("").delay == 1
    behaviours.clear()
    assert behaviours.of("001010000000107") is DEFAULT


def test_every_built_in_suffix_is_sound() -> None:
    behaviours = Behaviours(SUFFIXES)
    for who in SUFFIXES:
        assert behaviours.of(f"0010100000000{who[1:]}") != DEFAULT


def test_assignments_of_the_command_line() -> None:
    found = parse_assignments(["001010000000001=silent", "*07=delay=1,result=5012", "*=stale=1"])
    assert found == {"001010000000001": "silent", "*07": "delay=1,result=5012", "*": "stale=1"}
    for wrong in ("silent", "abc=silent", "1=dealy"):
        with pytest.raises(BehaviourError):
            parse_assignments([wrong])
