"""Peers that attack: one connection ends or nothing does, the other peer serves, counters tell.

`aaa1` says what a test tells it, `aaa2` is an honest AAA on the same router.
"""

import contextlib
import random
import socket
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from actors.diameter import transport as transport_module
from actors.diameter.outcomes import EapAnswer
from actors.diameter.peer_statistics import PeerStatistics
from actors.diameter.router import DiameterRouter
from actors.diameter.server_requests import MAX_DUPLICATES
from actors.diameter.transport import Transport, connect_tcp
from config.model import DiameterPeer
from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Framer, Message, decode
from protocols.diameter.encoding import encode_avp, encode_message
from protocols.diameter.messages import (
    Offer,
    Origin,
    SessionAddress,
    build_cea,
    build_dwa,
    build_eap_answer,
    build_rar,
)
from tests.actors.diameter.lab import NODE, REALM, Lab, MemoryTransport, first_round, pair

ATTACKER = Origin(f"aaa1.{REALM}", REALM, 5)
OFFER = Offer(("127.0.0.1",))


class Attacker:
    """`aaa1`: connected to like any peer, every octet is the test's."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.ends: list[MemoryTransport] = []
        honest = lab.connect

        async def connect(section: DiameterPeer) -> Transport:
            if section.host != ATTACKER.host:
                return await honest(section)
            await trio.lowlevel.checkpoint()
            ours, theirs = pair()
            self.ends.append(theirs)
            return ours

        lab.connect = connect  # type: ignore[method-assign]

    def came(self, times: int) -> bool:
        """Whether the router has connected that often."""
        return len(self.ends) >= times

    def heard(self) -> list[Message]:
        """What came over the last connection since the last time."""
        return [decode(raw) for raw in Framer().cut(self.ends[-1].arrived())]

    async def say(self, octets: bytes) -> None:
        self.ends[-1].send(octets)
        await self.lab.settle()

    async def open(self) -> None:
        await self.lab.settle()
        (cer,) = self.heard()
        await self.say(build_cea(cer, ATTACKER, OFFER, numbers.SUCCESS))


class Site:
    """The router between the two peers."""

    def __init__(self, lab: Lab, attacker: Attacker, router: DiameterRouter) -> None:
        self.lab, self.attacker, self.router = lab, attacker, router

    def of(self, name: str) -> PeerStatistics:
        found = self.router.statistics().peers
        return next(peer for peer in found if peer.host.startswith(name))

    async def honest_peer_serves(self) -> None:
        """A session that is bound to the honest AAA goes on, at once."""
        began = trio.current_time()
        pinned = first_round(destination_host=f"aaa2.{REALM}".encode())
        answer = await self.lab.ask(self.router, pinned)
        assert isinstance(answer, EapAnswer)
        assert trio.current_time() == began
        statistics = self.of("aaa2")
        assert (statistics.state, statistics.malformed, statistics.reconnects) == ("I_OPEN", 0, 0)


@pytest.fixture
async def site(nursery: trio.Nursery) -> AsyncIterator[Site]:
    lab = Lab(nursery)
    lab.aaa("aaa2")
    attacker = Attacker(lab)
    router = await lab.router("aaa1", "aaa2")
    await attacker.open()
    yield Site(lab, attacker, router)
    assert lab.crashes == []


async def until(condition: Callable[[], object]) -> None:
    """Let time pass."""
    while not condition():  # noqa: ASYNC110
        await trio.sleep(0.05)


def rar(number: int, session: bytes = b"") -> bytes:
    to = SessionAddress(
        numbers.SWM,
        session or f"{NODE};1;{number};ecs1-{number}".encode(),
        REALM.encode(),
        NODE.encode(),
    )
    return build_rar(ATTACKER, to, 0, number, number)


async def test_garbage_after_every_connection_costs_just_these(
    autojump_clock: MockClock, site: Site
) -> None:
    generator = random.Random(1)  # noqa: S311 (the same garbage each time)
    for times in range(1, 11):
        await site.attacker.say(generator.randbytes(200_000))
        statistics = site.of("aaa1")
        assert (statistics.state, statistics.malformed) == ("CLOSED", times)
        await site.honest_peer_serves()
        await until(partial(site.attacker.came, times + 1))
        await site.attacker.open()
    assert site.of("aaa1").connections == 11
    assert trio.current_time() > 100  # no storm of connections either


@pytest.mark.parametrize("length", [0, 8, 0xFFFFFF])
async def test_an_impossible_length_ends_the_connection_even_after_good_messages(
    autojump_clock: MockClock, site: Site, length: int
) -> None:
    await site.attacker.say(rar(1) + b"\x01" + length.to_bytes(3, "big") + bytes(100_000))
    assert site.of("aaa1").state == "CLOSED"
    assert site.of("aaa1").last_error == f"message length {length}"
    await site.honest_peer_serves()


async def test_a_message_that_comes_octet_by_octet_is_no_sign_of_life(
    autojump_clock: MockClock, site: Site
) -> None:
    """RFC 3539: any *message* re-arms the watchdog, not any octet."""
    message = rar(1)
    for octet in range(30):
        await site.attacker.say(message[octet : octet + 1])
        await trio.sleep(2.5)
    statistics = site.of("aaa1")
    assert (statistics.state, statistics.watchdog) != ("I_OPEN", "OKAY")
    await trio.sleep(40)
    assert site.of("aaa1").connections == 1
    assert site.of("aaa1").state != "I_OPEN"
    await site.honest_peer_serves()


async def test_half_a_header_before_the_cea_is_waited_for_in_vain_and_not_long(
    autojump_clock: MockClock, site: Site
) -> None:
    site.attacker.ends[-1].abort()
    await until(lambda: len(site.attacker.ends) > 1)
    began = trio.current_time()
    await site.attacker.say(b"\x01\0\0")
    ours = site.attacker.ends[1].other
    assert ours is not None
    await until(lambda: ours.closed)
    assert trio.current_time() - began < 6
    assert site.of("aaa1").last_error == "no CEA in time"
    await site.honest_peer_serves()


async def test_answers_that_nobody_asked_for_are_dropped_and_counted(
    autojump_clock: MockClock, site: Site
) -> None:
    body = encode_avp(d.RESULT_CODE, numbers.SUCCESS)
    flood = [encode_message(0x40, 268, numbers.SWM, one, one, body) for one in range(20_000)]
    await site.attacker.say(b"".join(flood))
    statistics = site.of("aaa1")
    assert (statistics.state, statistics.unexpected) == ("I_OPEN", 20_000)
    assert statistics.in_flight == 0
    await site.honest_peer_serves()


async def test_guessed_answers_do_not_answer_a_request(
    autojump_clock: MockClock, site: Site
) -> None:
    """The Hop-by-Hop Identifier alone can be guessed: it counts up."""
    outcomes: list[object] = []
    pinned = first_round(destination_host=ATTACKER.host.encode())
    site.router.request(pinned, outcomes.append)
    site.lab.turn.end()
    await site.lab.settle()
    (der,) = site.attacker.heard()
    body = encode_avp(d.RESULT_CODE, numbers.SUCCESS)
    guesses = [
        encode_message(0x40, 268, numbers.SWM, der.hop_by_hop, der.end_to_end ^ one, body)
        for one in range(1, 1_000)
    ]
    await site.attacker.say(b"".join(guesses))
    assert outcomes == []
    assert site.of("aaa1").unexpected == 999
    await site.attacker.say(build_eap_answer(der, ATTACKER, numbers.MULTI_ROUND_AUTH))
    assert isinstance(outcomes[0], EapAnswer)


async def test_thousands_of_rars_for_unknown_sessions_are_all_refused_and_not_all_remembered(
    autojump_clock: MockClock, site: Site
) -> None:
    count = MAX_DUPLICATES + 2_000
    await site.attacker.say(b"".join([rar(number) for number in range(count)]))
    answers = site.attacker.heard()
    assert len(answers) == count
    assert {answer.u32(d.RESULT_CODE) for answer in answers} == {numbers.UNKNOWN_SESSION_ID}
    statistics = site.router.statistics()
    assert statistics.refused == {numbers.UNKNOWN_SESSION_ID: count}
    assert statistics.duplicates == 0
    await site.attacker.say(rar(count - 1) + rar(0))  # remembered, forgotten
    assert site.router.statistics().duplicates == 1
    assert site.of("aaa1").state == "I_OPEN"
    await site.honest_peer_serves()


@pytest.mark.parametrize("command", [numbers.DEVICE_WATCHDOG, numbers.DISCONNECT_PEER])
async def test_groups_nested_too_deeply_in_a_base_message_end_the_connection(
    autojump_clock: MockClock, site: Site, command: int
) -> None:
    avp = encode_avp(d.STATE, b"deep")
    for _ in range(1_000):
        avp = encode_avp(d.SUBSCRIPTION_ID, avp)
    await site.attacker.say(encode_message(0x80, command, 0, 1, 2, ATTACKER.encoded + avp))
    statistics = site.of("aaa1")
    assert (statistics.state, statistics.malformed) == ("CLOSED", 1)
    await site.honest_peer_serves()


async def test_groups_nested_too_deeply_in_an_answer_are_not_looked_into(
    autojump_clock: MockClock, site: Site
) -> None:
    outcomes: list[object] = []
    pinned = first_round(destination_host=ATTACKER.host.encode())
    site.router.request(pinned, outcomes.append)
    site.lab.turn.end()
    await site.lab.settle()
    (der,) = site.attacker.heard()
    avp = encode_avp(d.STATE, b"deep")
    for _ in range(1_000):
        avp = encode_avp(d.APN_CONFIGURATION, avp)
    good = build_eap_answer(der, ATTACKER, numbers.SUCCESS)
    body = good[20:] + avp
    await site.attacker.say(
        encode_message(0x40, 268, numbers.SWM, der.hop_by_hop, der.end_to_end, body)
    )
    assert isinstance(outcomes[0], EapAnswer)
    assert site.of("aaa1").state == "I_OPEN"


async def test_unasked_watchdog_answers_bring_no_peer_back_before_its_time(
    autojump_clock: MockClock, site: Site
) -> None:
    """On probation three answers are wanted, to requests of ours (RFC 3539 §3.4.1 [5])."""
    site.attacker.ends[-1].abort()
    await until(lambda: len(site.attacker.ends) > 1)
    await site.attacker.open()
    assert site.of("aaa1").watchdog == "REOPEN"
    (dwr,) = site.attacker.heard()
    dwa = build_dwa(dwr, ATTACKER)
    await site.attacker.say(dwa * 50)
    assert site.of("aaa1").watchdog == "REOPEN"
    for _ in range(2):
        (dwr,) = site.attacker.heard()
        await site.attacker.say(build_dwa(dwr, ATTACKER))
    assert site.of("aaa1").watchdog == "OKAY"


async def test_a_peer_that_never_reads_is_closed_at_the_bound(
    monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery
) -> None:
    """It sends requests for ever and takes none of the answers; on a real socket."""
    monkeypatch.setattr(transport_module, "MAX_QUEUED_OCTETS", 200_000)
    lab = Lab(nursery)
    lab.aaa("aaa2")
    honest = lab.connect
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    most = 0

    async def connect(section: DiameterPeer) -> Transport:
        if section.host == ATTACKER.host:
            return await connect_tcp("127.0.0.1", port)
        return await honest(section)

    async def attack() -> None:
        nonlocal most
        stream = await listener.accept()
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        cer = decode(await stream.receive_some())
        await stream.send_all(build_cea(cer, ATTACKER, OFFER, numbers.SUCCESS))
        flood = b"".join([rar(number) for number in range(500)])
        with contextlib.suppress(trio.BrokenResourceError):
            while True:
                await stream.send_all(flood)
                most = max(most, site.of("aaa1").queued_octets)
        await stream.aclose()
        await listener.aclose()

    lab.connect = connect  # type: ignore[method-assign]
    router = await lab.router("aaa1", "aaa2")
    site = Site(lab, None, router)  # type: ignore[arg-type]
    with trio.fail_after(10):
        await attack()
        await until(lambda: site.of("aaa1").state == "CLOSED")
    assert 0 < most <= 200_000
    answer = await lab.ask(router, first_round(destination_host=f"aaa2.{REALM}".encode()))
    assert isinstance(answer, EapAnswer)
    assert site.of("aaa2").reconnects == 0
    assert lab.crashes == []
