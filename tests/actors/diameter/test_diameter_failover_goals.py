"""How soon a request succeeds when an AAA dies: with the timers that the node ships with.

The goals: an AAA whose connection is reset costs at most 0.1 s, one that falls silent at most 2 s.
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from actors.diameter.outcomes import EapAnswer, NoAnswer, NoAnswerReason
from actors.diameter.router import DiameterRouter
from config.load import load
from config.model import Config, Diameter, DiameterPeer
from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Message
from tests.actors.diameter.lab import REALM, Aaa, Lab, challenge, first_round, silence

RESET_SECONDS = 0.1
SILENT_SECONDS = 2.0
DEFAULTS = Path(__file__).parents[3] / "config" / "production.toml"


@pytest.fixture
async def lab(nursery: trio.Nursery) -> AsyncIterator[Lab]:
    made = Lab(nursery)
    yield made
    assert made.crashes == []


async def pair_of(lab: Lab, *, priorities: tuple[int, int]) -> tuple[Aaa, Aaa, DiameterRouter]:
    one, two = lab.aaa("aaa1"), lab.aaa("aaa2")
    router = await lab.router(
        *(
            DiameterPeer(host=aaa.name, priority=priority)
            for aaa, priority in zip((one, two), priorities, strict=True)
        )
    )
    return one, two, router


def test_the_lab_of_these_tests_has_the_timers_that_are_shipped() -> None:
    config: Config = load(DEFAULTS, here=False)
    shipped = config.diameter
    plain = Diameter(origin_host="a", origin_realm="b")
    for name in ("answer_seconds", "exchange_seconds", "watchdog_seconds"):
        assert getattr(shipped, name) == getattr(plain, name)


@pytest.mark.parametrize("priorities", [(1, 2), (1, 1)])
async def test_a_reset_costs_a_tenth_of_a_second_at_most(
    autojump_clock: MockClock, lab: Lab, priorities: tuple[int, int]
) -> None:
    one, two, router = await pair_of(lab, priorities=priorities)
    one.answer = silence
    outcomes: list[object] = []
    for number in range(20):
        router.request(first_round(number), outcomes.append)
    lab.turn.end()
    await lab.settle()
    began = trio.current_time()
    one.connections[0].abort()
    await lab.settle()
    for number in range(20, 40):
        assert isinstance(await lab.ask(router, first_round(number)), EapAnswer)
    assert len(outcomes) == 20
    assert all(isinstance(outcome, EapAnswer) for outcome in outcomes)
    assert trio.current_time() - began <= RESET_SECONDS
    again = [request for request in two.requests if request.is_retransmitted]
    assert len(again) == len(one.requests) > 0


@pytest.mark.parametrize("dies", ["vanishes", "loses requests"])
@pytest.mark.parametrize("priorities", [(1, 2), (1, 1)])
async def test_silence_costs_two_seconds_at_most(
    autojump_clock: MockClock, lab: Lab, priorities: tuple[int, int], dies: str
) -> None:
    one, two, router = await pair_of(lab, priorities=priorities)
    if dies == "vanishes":
        one.vanish()
    else:
        one.answer = silence
    began = trio.current_time()
    took: list[float] = []

    def reply(outcome: object) -> None:
        assert isinstance(outcome, EapAnswer)
        took.append(trio.current_time() - began)

    for number in range(20):
        router.request(first_round(number), reply)
    lab.turn.end()
    await trio.sleep(SILENT_SECONDS)
    assert len(took) == 20
    assert max(took) <= SILENT_SECONDS
    for request in two.requests:
        assert request.is_retransmitted or priorities == (1, 1)
    if dies == "vanishes":
        # What follows does not even try it.
        began = trio.current_time()
        assert isinstance(await lab.ask(router), EapAnswer)
        assert trio.current_time() == began


def slowly(lab: Lab, seconds: float) -> Callable[[Aaa, Message], bytes | None]:
    """An AAA that takes its time."""

    def answer(aaa: Aaa, request: Message) -> bytes | None:
        late = challenge(aaa, request)
        assert late is not None
        lab.timers.after(seconds, lambda: aaa.client.answer(late))
        return None

    return answer


@pytest.mark.parametrize("pinned", [b"", f"aaa1.{REALM}".encode()])
async def test_an_aaa_without_an_alternative_is_waited_for(
    autojump_clock: MockClock, lab: Lab, pinned: bytes
) -> None:
    """A slow answer is better than none; a later round has no other place to go to at all."""
    one = lab.aaa("aaa1", slowly(lab, 4.0))
    two = lab.aaa("aaa2")
    router = await lab.router(*(("aaa1", "aaa2") if pinned else ("aaa1",)))
    began = trio.current_time()
    answer = await lab.ask(router, first_round(destination_host=pinned))
    assert isinstance(answer, EapAnswer)
    assert 4.0 <= trio.current_time() - began < 4.2
    assert len(one.requests) == 1
    assert two.requests == []
    (statistics, *_) = router.statistics().peers
    assert (statistics.timeouts, statistics.in_flight, statistics.unexpected) == (1, 0, 0)


async def test_who_waits_for_a_lone_aaa_goes_to_another_that_comes_back(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one, two, router = await pair_of(lab, priorities=(1, 2))
    one.answer = silence
    two.connections[0].abort()
    two.up = False
    await lab.settle()
    lab.timers.after(1.0, lambda: setattr(two, "up", True))
    began = trio.current_time()
    answer = await lab.ask(router)
    assert isinstance(answer, EapAnswer)
    assert answer.origin_host == two.name.encode()
    assert trio.current_time() - began <= 4.7
    assert two.requests[0].is_retransmitted


async def test_a_later_round_whose_aaa_is_gone_ends_so_that_the_device_may_start_again(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one, two, router = await pair_of(lab, priorities=(1, 2))
    answer = await lab.ask(router)
    assert isinstance(answer, EapAnswer)
    one.answer = silence
    outcomes: list[object] = []
    later = first_round(destination_host=answer.origin_host, state=answer.state)
    router.request(later, outcomes.append)
    lab.turn.end()
    await lab.settle()
    began = trio.current_time()
    one.crash()
    await lab.settle()
    assert trio.current_time() - began <= RESET_SECONDS
    (outcome,) = outcomes
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason is NoAnswerReason.CONNECTION_LOST
    assert two.requests == []
    # The session starts again; the new first round goes to the other AAA at once.
    again = await lab.ask(router, first_round(2))
    assert isinstance(again, EapAnswer)
    assert again.origin_host == two.name.encode()
    assert d.DESTINATION_HOST not in two.requests[0]
    assert two.requests[0].command == numbers.DIAMETER_EAP
