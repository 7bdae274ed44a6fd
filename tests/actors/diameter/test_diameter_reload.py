"""A router that is given another configuration: who is left, who is joined, which timers count."""

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock

from actors.diameter.outcomes import EapAnswer
from config.model import DiameterPeer
from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import decode
from tests.actors.diameter.lab import Aaa, Lab, MemoryTransport, challenge, first_round, silence


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with trio.open_nursery() as nursery:
        lab = Lab(nursery)
        yield lab
        nursery.cancel_scope.cancel()
    assert lab.crashes == []


def section(aaa: Aaa, **fields: object) -> DiameterPeer:
    return DiameterPeer(host=aaa.name, **fields)  # type: ignore[arg-type]


def hold_back(aaa: Aaa) -> MemoryTransport:
    """The AAA's answers do not arrive until `let_go`."""
    theirs = aaa.connections[-1].other
    assert theirs is not None
    theirs.mute = True
    return theirs


def let_go(theirs: MemoryTransport) -> None:
    theirs.mute = False
    for data in theirs.sent[-1:]:
        theirs.send(data)


async def test_a_removed_peer_is_left_when_its_dpa_came(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one, two = lab.aaa("aaa1"), lab.aaa("aaa2")
    router = await lab.router("aaa1", "aaa2")
    theirs = hold_back(one)
    began = trio.current_time()
    router.reload(lab.settings(section(two)))
    await trio.sleep(1)
    (ours,) = one.connections
    dpr = decode(ours.sent[-1])
    assert (dpr.command, dpr.is_request) == (numbers.DISCONNECT_PEER, True)
    assert dpr.i32(d.DISCONNECT_CAUSE) == numbers.DO_NOT_WANT_TO_TALK_TO_YOU
    assert not ours.closed
    let_go(theirs)
    await lab.settle()
    assert ours.closed
    assert trio.current_time() - began < 1.1
    assert isinstance(await lab.ask(router), EapAnswer)
    await trio.sleep(100)
    assert len(one.connections) == len(two.connections) == 1


async def test_a_removed_peer_that_does_not_answer_is_left_in_time(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one = lab.aaa("aaa1")
    router = await lab.router("aaa1", disconnect_seconds=3.0)
    hold_back(one)
    router.reload(lab.settings(disconnect_seconds=2.0))
    await trio.sleep(1.9)
    assert not one.connections[0].closed
    await trio.sleep(0.2)
    assert one.connections[0].closed


async def test_what_a_removed_peer_still_answers_is_used(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one = lab.aaa("aaa1", silence)
    router = await lab.router("aaa1")
    outcomes: list[object] = []
    router.request(first_round(), outcomes.append)
    lab.turn.end()
    await lab.settle()
    theirs = one.connections[0].other
    assert theirs is not None
    theirs.mute = True
    router.reload(lab.settings())
    await lab.settle()
    theirs.mute = False
    answer = challenge(one, one.requests[0])
    assert answer is not None
    one.client.answer(answer)
    lab.turn.end()
    await lab.settle()
    assert isinstance(outcomes[0], EapAnswer)


async def test_a_changed_peer_is_connected_to_once_the_old_connection_is_gone(
    autojump_clock: MockClock, lab: Lab
) -> None:
    """RFC 6733 §5.6: a second connection of one peer would be rejected."""
    one = lab.aaa("aaa1")
    router = await lab.router("aaa1")
    theirs = hold_back(one)
    router.reload(lab.settings(section(one, port=3869)))
    await trio.sleep(1)
    assert len(one.connections) == 1
    let_go(theirs)
    await trio.sleep(0.1)
    assert len(one.connections) == 2
    assert router.ready


async def test_reloads_may_follow_each_other_faster_than_peers_disconnect(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one = lab.aaa("aaa1")
    router = await lab.router("aaa1")
    theirs = hold_back(one)
    for port in (3869, 3870, 3871):
        router.reload(lab.settings(section(one, port=port)))
        await lab.settle()
    router.reload(lab.settings())
    await lab.settle()
    router.reload(lab.settings(section(one, port=3872)))
    await lab.settle()
    let_go(theirs)
    await trio.sleep(0.1)
    assert len(one.connections) == 2
    assert router.ready
    await trio.sleep(100)
    assert len(one.connections) == 2


async def test_a_peer_removed_before_it_could_connect_is_forgotten(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one = lab.aaa("aaa1")
    one.up = False
    router = await lab.router("aaa1")
    router.reload(lab.settings())
    one.up = True
    await trio.sleep(100)
    assert one.connections == []


async def test_another_tw_counts_at_once_for_a_peer_that_is_open(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one = lab.aaa("aaa1")
    router = await lab.router("aaa1", watchdog_seconds=300.0)
    await trio.sleep(1)
    router.reload(lab.settings(section(one), watchdog_seconds=6.0))
    await trio.sleep(8.1)
    dwr = decode(one.connections[0].sent[-1])
    assert (dwr.command, dwr.is_request) == (numbers.DEVICE_WATCHDOG, True)
    router.reload(lab.settings(section(one), watchdog_seconds=300.0))
    await trio.sleep(100)
    sent = [decode(raw) for raw in one.connections[0].sent]
    assert [one.command for one in sent if one.is_request].count(numbers.DEVICE_WATCHDOG) == 1


async def test_another_size_limit_counts_at_once(autojump_clock: MockClock, lab: Lab) -> None:
    one, two = lab.aaa("aaa1"), lab.aaa("aaa2")
    router = await lab.router(section(one), section(two, priority=2))
    router.reload(lab.settings(section(one), section(two, priority=2), max_message_octets=100))
    answer = await lab.ask(router)
    assert not isinstance(answer, EapAnswer)  # both challenges are longer
    assert "message length" in router.statistics().peers[0].last_error


async def test_the_next_connection_has_the_new_delays_and_the_new_name(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one = lab.aaa("aaa1")
    router = await lab.router("aaa1")
    router.reload(
        lab.settings(
            section(one),
            product_name="other",
            first_reconnect_seconds=60.0,
            reconnect_seconds=60.0,
        )
    )
    assert len(one.connections) == 1
    one.connections[0].abort()
    await trio.sleep(45)
    assert len(one.connections) == 1
    await trio.sleep(30)
    cer = decode(one.connections[1].sent[0])
    assert cer.text(d.PRODUCT_NAME) == "other"
