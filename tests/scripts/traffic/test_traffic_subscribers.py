"""Who calls: the file's order, nobody twice, and the shares of a mix."""

import random
from collections import Counter
from pathlib import Path

import pytest

from scripts.lab.subscribers import DEFAULT_FILE, SubscriberFileError, sequential
from scripts.traffic.mix import Assignment, Mix, NotEnoughSubscribers
from scripts.traffic.scenario import find, load_scenario
from scripts.traffic.subscribers import Caller, Callers, Order, read


def callers(count: int) -> list[Caller]:
    return [Caller(one, at) for at, one in enumerate(sequential(count))]


def test_the_labs_file_is_read() -> None:
    order, found = read(DEFAULT_FILE)
    assert order is Order.SEQUENTIAL
    assert found[0].imsi == "001010000000001"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: the first line is SEQUENTIAL or RANDOM"),
        ("imsi;k\n", "line 1: the first line is"),
        ("RANDOM\n", "no subscriber"),
        ("RANDOM\n\n001;;;;;;\n", "line 3: "),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "subs.csv"
    path.write_text(text)
    with pytest.raises(SubscriberFileError, match=problem):
        read(path)


def test_in_sequence_the_next_is_the_next_in_the_file() -> None:
    pool = Callers(Order.SEQUENTIAL, callers(3))
    first, second, third = (pool.take() for _ in range(3))
    assert [one.place for one in (first, second, third) if one] == [0, 1, 2]
    assert pool.take() is None
    assert second is not None
    pool.give_back(second)
    assert pool.take() is second


def test_at_random_everybody_calls_and_nobody_twice() -> None:
    pool = Callers(Order.RANDOM, callers(50), random.Random(3))  # noqa: S311
    found = [pool.take() for _ in range(50)]
    places = [one.place for one in found if one]
    assert sorted(places) == list(range(50))
    assert places != list(range(50))
    assert pool.take() is None


def test_a_mix_deals_exact_shares_without_bursts() -> None:
    mix = Mix(load_scenario(find("mixed_busy_hour")), Order.SEQUENTIAL, callers(100), 0)
    names = []
    for _ in range(100):
        found = mix.take()
        assert found is not None
        names.append(found.part.scenario.name)
        mix.give_back(found)
    assert Counter(names) == {
        "token_refresh": 60,
        "volte_vowifi_activation": 30,
        "sqn_resync": 4,
        "wrong_res": 3,
        "abandoned": 3,
    }
    assert Counter(names[:10])["token_refresh"] == 6


@pytest.mark.parametrize("count", [5, 6, 17, 100])
def test_every_part_has_subscribers_of_its_own(count: int) -> None:
    mix = Mix(load_scenario(find("mixed_busy_hour")), Order.SEQUENTIAL, callers(count), 0)
    places = [one.place for part in mix.parts for one in part.callers.first(count)]
    assert sorted(places) == list(range(count))
    assert all(len(part.callers) for part in mix.parts)


def test_too_few_subscribers_are_refused() -> None:
    with pytest.raises(NotEnoughSubscribers):
        Mix(load_scenario(find("mixed_busy_hour")), Order.SEQUENTIAL, callers(4), 0)


def test_no_more_are_initialised_than_calls_are_made() -> None:
    mix = Mix(load_scenario(find("token_refresh")), Order.SEQUENTIAL, callers(100), 10)
    assert len(mix.parts[0].callers) == 10


def test_a_part_whose_subscribers_are_all_busy_is_waited_for() -> None:
    mix = Mix(load_scenario(find("mixed_busy_hour")), Order.SEQUENTIAL, callers(5), 0)
    taken: list[Assignment] = []
    while (found := mix.take()) is not None:
        taken.append(found)
    assert [one.part.scenario.name for one in taken] == ["token_refresh", "volte_vowifi_activation"]
    mix.give_back(taken[0])
    again = mix.take()
    assert again is not None
    assert again.part is taken[0].part
