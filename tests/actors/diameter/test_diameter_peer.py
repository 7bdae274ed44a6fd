"""One peer in detail: the capabilities exchange, watchdogs, good-byes, elections, and garbage."""

import contextlib
import struct
from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock

from actors.diameter.connection import INITIATED, RESPONDED, Connection, Outbox
from actors.diameter.outcomes import EapAnswer, NoAnswer, NoAnswerReason
from actors.diameter.peer import Peer, PeerContext
from actors.diameter.transport import Transport, TransportError
from config.model import DiameterPeer
from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.capabilities import read_capabilities
from protocols.diameter.codec import Framer, Message, decode
from protocols.diameter.encoding import encode_avp, encode_message
from protocols.diameter.identifiers import Counter32
from protocols.diameter.messages import (
    Offer,
    Origin,
    build_cea,
    build_cer,
    build_dpa,
    build_dpr,
    build_dwr,
)
from tests.actors.diameter.lab import NODE, REALM, Lab, MemoryTransport, first_round, pair, silence

AAA = Origin(f"aaa1.{REALM}", REALM, 5)
OFFER = Offer(("127.0.0.1",))
UNKNOWN = d.Avp(4242, "Unknown", d.AvpType.OCTET_STRING, True, 99)


@pytest.fixture
async def lab(nursery: trio.Nursery) -> AsyncIterator[Lab]:
    made = Lab(nursery)
    yield made
    assert made.crashes == []


class Scripted:
    """A peer that says what the test tells it, octet for octet."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.ends: list[MemoryTransport] = []
        self.framer = Framer()
        lab.connect = self.connect  # type: ignore[method-assign]

    async def connect(self, section: DiameterPeer) -> Transport:
        await trio.lowlevel.checkpoint()
        ours, theirs = pair()
        self.ends.append(theirs)
        self.framer = Framer()
        return ours

    async def hear(self) -> list[Message]:
        """Everything that came since the last time, up to the end of the connection."""
        await self.lab.settle()
        return [decode(raw) for raw in self.framer.cut(self.ends[-1].arrived())]

    async def say(self, *raws: bytes) -> None:
        self.ends[-1].send(b"".join(raws))
        await self.lab.settle()

    async def open(self) -> None:
        (cer,) = await self.hear()
        await self.say(build_cea(cer, AAA, OFFER, numbers.SUCCESS))


# --- capabilities exchange ----------------------------------------------------------------------


async def test_the_cer_says_who_we_are_and_offers_both_forms(
    autojump_clock: MockClock, lab: Lab
) -> None:
    scripted = Scripted(lab)
    await lab.router("aaa1")
    (cer,) = await scripted.hear()
    assert cer.command == numbers.CAPABILITIES_EXCHANGE
    assert cer.application == 0
    said = read_capabilities(cer)
    assert said.origin_host == NODE
    assert said.applications == {numbers.SWM, numbers.SWA}
    assert str(cer.value(d.HOST_IP_ADDRESS)) == "127.0.0.1"
    assert len(cer.all(d.AUTH_APPLICATION_ID)) == 2
    assert len(cer.all(d.VENDOR_SPECIFIC_APPLICATION_ID)) == 2
    assert said.origin_state_id == 1_764_000_000


@pytest.mark.parametrize(("plain", "specific"), [(True, False), (False, True)])
async def test_either_form_of_the_application_id_can_be_switched_off(
    autojump_clock: MockClock, lab: Lab, plain: bool, specific: bool
) -> None:
    scripted = Scripted(lab)
    section = DiameterPeer(
        host=AAA.host, plain_application_id=plain, vendor_specific_application_id=specific
    )
    await lab.router(section)
    (cer,) = await scripted.hear()
    assert (d.AUTH_APPLICATION_ID in cer) == plain
    assert (d.VENDOR_SPECIFIC_APPLICATION_ID in cer) == specific


def other(host: str) -> Origin:
    return Origin(host, REALM)


@pytest.mark.parametrize(
    ("origin", "offer", "code", "reason"),
    [
        (AAA, OFFER, numbers.NO_COMMON_APPLICATION, "CEA with result 5010"),
        (AAA, OFFER, numbers.UNKNOWN_PEER, "CEA with result 3010"),
        (AAA, OFFER, numbers.ELECTION_LOST, "CEA with result 4003"),
        (other(f"aaa7.{REALM}"), OFFER, numbers.SUCCESS, "CEA of 'aaa7"),
        (AAA, Offer(("127.0.0.1",), (16777265,)), numbers.SUCCESS, "without a common application"),
    ],
)
async def test_a_cea_that_opens_nothing_says_why(
    autojump_clock: MockClock, lab: Lab, origin: Origin, offer: Offer, code: int, reason: str
) -> None:
    scripted = Scripted(lab)
    router = await lab.router("aaa1")
    (cer,) = await scripted.hear()
    await scripted.say(build_cea(cer, origin, offer, code))
    assert not router.ready
    assert reason in router.statistics().peers[0].last_error
    assert scripted.ends[0].closed or scripted.ends[0].other.closed  # type: ignore[union-attr]


async def test_a_relay_offers_everything_and_is_an_agent(
    autojump_clock: MockClock, lab: Lab
) -> None:
    scripted = Scripted(lab)
    router = await lab.router("aaa1")
    (cer,) = await scripted.hear()
    await scripted.say(build_cea(cer, AAA, Offer(("127.0.0.1",), (numbers.RELAY,)), 2001))
    assert router.ready
    assert router.statistics().peers[0].is_agent


async def test_a_connection_closed_before_the_cea_hints_at_the_application_ids(
    autojump_clock: MockClock, lab: Lab
) -> None:
    scripted = Scripted(lab)
    router = await lab.router("aaa1")
    scripted.ends[0].close()
    await lab.settle()
    assert "check application ids" in router.statistics().peers[0].last_error


async def test_a_cea_that_never_comes_ends_the_attempt(autojump_clock: MockClock, lab: Lab) -> None:
    scripted = Scripted(lab)
    router = await lab.router("aaa1")
    await trio.sleep(5.1)
    assert router.statistics().peers[0].last_error == "no CEA in time"
    await trio.sleep(2)
    assert len(scripted.ends) == 2


@pytest.mark.parametrize("build", [build_dwr, lambda *ids: build_dpr(AAA, 0, *ids[1:])])
async def test_anything_before_the_cea_ends_the_attempt(
    autojump_clock: MockClock, lab: Lab, build: object
) -> None:
    scripted = Scripted(lab)
    router = await lab.router("aaa1")
    await scripted.say(build(AAA, 1, 2))  # type: ignore[operator]
    assert "before the CEA" in router.statistics().peers[0].last_error


async def test_an_application_message_before_the_cea_ends_the_attempt(
    autojump_clock: MockClock, lab: Lab
) -> None:
    scripted = Scripted(lab)
    router = await lab.router("aaa1")
    await scripted.say(encode_message(0, 268, numbers.SWM, 1, 2, b""))
    assert router.statistics().peers[0].last_error == "command 268 before the CEA"


# --- open ---------------------------------------------------------------------------------------


async def test_watchdog_requests_are_answered(autojump_clock: MockClock, lab: Lab) -> None:
    scripted = Scripted(lab)
    await lab.router("aaa1")
    await scripted.open()
    await scripted.say(build_dwr(AAA, 7, 8))
    (dwa,) = await scripted.hear()
    assert not dwa.is_request
    assert (dwa.command, dwa.hop_by_hop, dwa.end_to_end) == (280, 7, 8)
    assert dwa.u32(d.RESULT_CODE) == numbers.SUCCESS


async def test_a_watchdog_with_an_unknown_mandatory_avp_is_5001(
    autojump_clock: MockClock, lab: Lab
) -> None:
    peer = Scripted(lab)
    router = await lab.router("aaa1")
    await peer.open()
    raw = decode(build_dwr(AAA, 7, 8)).raw[20:] + encode_avp(UNKNOWN, b"x")
    await peer.say(encode_message(0x80, numbers.DEVICE_WATCHDOG, 0, 7, 8, raw))
    (dwa,) = await peer.hear()
    assert (dwa.is_request, dwa.hop_by_hop, dwa.end_to_end) == (False, 7, 8)
    assert dwa.u32(d.RESULT_CODE) == numbers.AVP_UNSUPPORTED
    failed = dwa.group(d.FAILED_AVP)
    assert failed is not None
    assert failed.octets(UNKNOWN) == b"x"
    assert router.ready
    assert router.statistics().refused == {5001: 1}


async def test_a_good_bye_that_is_not_understood_is_none(
    autojump_clock: MockClock, lab: Lab
) -> None:
    peer = Scripted(lab)
    router = await lab.router("aaa1")
    await peer.open()
    raw = decode(build_dpr(AAA, numbers.BUSY, 7, 8)).raw[20:] + encode_avp(UNKNOWN, b"x")
    await peer.say(encode_message(0x80, numbers.DISCONNECT_PEER, 0, 7, 8, raw))
    (dpa,) = await peer.hear()
    assert dpa.u32(d.RESULT_CODE) == numbers.AVP_UNSUPPORTED
    assert router.ready


async def test_a_quiet_peer_gets_a_dwr_and_a_busy_one_does_not(
    autojump_clock: MockClock, lab: Lab
) -> None:
    scripted = Scripted(lab)
    await lab.router("aaa1")
    await scripted.open()
    for _ in range(10):
        await trio.sleep(20)
        await scripted.say(build_dwr(AAA, 7, 8))
    assert {message.is_request for message in await scripted.hear()} == {False}
    await trio.sleep(32.2)
    (dwr,) = await scripted.hear()
    assert (dwr.command, dwr.is_request) == (numbers.DEVICE_WATCHDOG, True)


async def test_a_disconnect_is_answered_and_the_peer_closes(
    autojump_clock: MockClock, lab: Lab
) -> None:
    scripted = Scripted(lab)
    router = await lab.router("aaa1")
    await scripted.open()
    await scripted.say(build_dpr(AAA, numbers.REBOOTING, 7, 8))
    (dpa,) = await scripted.hear()
    assert (dpa.command, dpa.is_request, dpa.hop_by_hop) == (282, False, 7)
    assert not router.ready
    assert router.statistics().peers[0].state == "CLOSING"
    scripted.ends[0].close()
    await lab.settle()
    assert router.statistics().peers[0].state == "CLOSED"


async def test_a_disconnecting_peer_that_does_not_close_is_closed(
    autojump_clock: MockClock, lab: Lab
) -> None:
    scripted = Scripted(lab)
    router = await lab.router("aaa1")
    await scripted.open()
    await scripted.say(build_dpr(AAA, numbers.REBOOTING, 7, 8))
    await trio.sleep(5.2)
    assert router.statistics().peers[0].state == "CLOSED"


async def test_disconnects_may_cross(autojump_clock: MockClock, lab: Lab) -> None:
    scripted = Scripted(lab)
    router = await lab.router("aaa1")
    await scripted.open()
    lab.nursery.start_soon(router.drain)
    (dpr,) = await scripted.hear()
    assert dpr.i32(d.DISCONNECT_CAUSE) == numbers.REBOOTING
    await scripted.say(build_dpr(AAA, numbers.REBOOTING, 7, 8))
    (dpa,) = await scripted.hear()
    assert not dpa.is_request
    await scripted.say(build_dpa(dpr, AAA))
    assert router.statistics().peers[0].state == "CLOSED"


async def test_a_cancelled_router_says_good_bye(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        lab = Lab(nursery)
        scripted = Scripted(lab)
        await lab.router("aaa1")
        await scripted.open()
        nursery.cancel_scope.cancel()
    (dpr,) = scripted.framer.cut(scripted.ends[-1].arrived())
    assert decode(dpr).command == numbers.DISCONNECT_PEER
    assert scripted.ends[-1].other.closed  # type: ignore[union-attr]


async def test_answers_that_come_while_closing_are_still_given(
    autojump_clock: MockClock, lab: Lab
) -> None:
    aaa = lab.aaa("aaa1", silence)
    router = await lab.router("aaa1")
    outcomes: list[object] = []
    router.request(first_round(), outcomes.append)
    lab.turn.end()
    await lab.settle()
    (der,) = aaa.requests
    # DPR of the AAA and the DEA in one go: the good-bye comes first.
    members = encode_avp(d.RESULT_CODE, 1001) + encode_avp(d.ORIGIN_HOST, aaa.name)
    dea = encode_message(0x40, 268, numbers.SWM, der.hop_by_hop, der.end_to_end, members)
    far = aaa.connections[0].other
    assert far is not None
    far.send(build_dpr(AAA, 0, 1, 2) + dea)
    await lab.settle()
    assert isinstance(outcomes[0], EapAnswer)


async def test_a_second_capabilities_exchange_means_nothing(
    autojump_clock: MockClock, lab: Lab
) -> None:
    scripted = Scripted(lab)
    router = await lab.router("aaa1")
    (cer,) = await scripted.hear()
    cea = build_cea(cer, AAA, OFFER, numbers.SUCCESS)
    await scripted.say(cea, cea, build_cer(AAA, OFFER, 1, 2))
    assert router.ready
    assert router.statistics().peers[0].unexpected == 2


# --- garbage ------------------------------------------------------------------------------------

HEADER = struct.pack(">I", 1 << 24 | 28)
GARBAGE = {
    "zero length": b"\x01" + bytes(19),
    "length 8": b"\x01\0\0\x08" + bytes(16),
    "length 0xffffff": b"\x01\xff\xff\xff" + bytes(16),
    "odd length": b"\x01\0\0\x15" + bytes(17),
    "wrong version": b"\x02\0\0\x14" + bytes(16),
    "truncated AVP": encode_message(0xC0, 258, numbers.SWM, 1, 2, b"\0\0\1\x07\x40\0\0\xff"),
    "AVP length below 8": encode_message(0xC0, 258, numbers.SWM, 1, 2, b"\0\0\1\x07\x40\0\0\x07"),
    "request with E bit": encode_message(0xE0, 258, numbers.SWM, 1, 2, b""),
    "bad DWR": encode_message(0x80, 280, 0, 1, 2, b"\0\0\1\x08\x40\0\0\x03"),
    "HTTP": b"GET / HTTP/1.1\r\nHost: aaa\r\n\r\n",
}


def too_deep() -> bytes:
    avp = encode_avp(d.STATE, b"deep")
    for _ in range(9):
        avp = encode_avp(d.FAILED_AVP, avp)
    return encode_message(0xC0, 258, numbers.SWM, 1, 2, avp)


@pytest.mark.parametrize("kind", [*GARBAGE, "nesting beyond 8"])
async def test_garbage_costs_the_connection_and_nothing_else(
    autojump_clock: MockClock, lab: Lab, kind: str
) -> None:
    lab.aaa("aaa2")
    real = lab.connect
    scripted = Scripted(lab)
    fake = lab.connect

    async def connect(section: DiameterPeer) -> Transport:
        return await (fake if section.host == AAA.host else real)(section)

    lab.connect = connect  # type: ignore[method-assign]
    router = await lab.router("aaa1", "aaa2")
    await scripted.open()
    assert [peer.state for peer in router.statistics().peers] == ["I_OPEN", "I_OPEN"]
    await scripted.say(GARBAGE.get(kind) or too_deep())
    bad, good = router.statistics().peers
    assert (bad.state, bad.malformed) == ("CLOSED", 1)
    assert (good.state, good.malformed, good.reconnects) == ("I_OPEN", 0, 0)
    answer = await lab.ask(router)
    assert isinstance(answer, EapAnswer)
    assert answer.peer.startswith("aaa2")


@pytest.mark.parametrize(
    ("kind", "code"),
    [("truncated AVP", 5014), ("AVP length below 8", 5014), ("request with E bit", 3008)],
)
async def test_a_malformed_request_is_answered_before_the_connection_ends(
    autojump_clock: MockClock, lab: Lab, kind: str, code: int
) -> None:
    scripted = Scripted(lab)
    await lab.router("aaa1")
    await scripted.open()
    await scripted.say(GARBAGE[kind])
    (answer,) = await scripted.hear()
    assert answer.u32(d.RESULT_CODE) == code
    assert (answer.command, answer.hop_by_hop, answer.end_to_end) == (258, 1, 2)


async def test_half_a_header_and_then_silence_ends_by_the_watchdog(
    autojump_clock: MockClock, lab: Lab
) -> None:
    scripted = Scripted(lab)
    router = await lab.router("aaa1")
    await scripted.open()
    await scripted.say(HEADER[:3])
    await trio.sleep(97)
    assert router.statistics().peers[0].watchdog in ("DOWN", "REOPEN")


async def test_a_malformed_answer_ends_the_connection_and_the_der_fails_over(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one, two = lab.aaa("aaa1", silence), lab.aaa("aaa2")
    router = await lab.router(
        DiameterPeer(host=one.name, priority=1), DiameterPeer(host=two.name, priority=2)
    )
    outcomes: list[object] = []
    router.request(first_round(), outcomes.append)
    lab.turn.end()
    await lab.settle()
    (der,) = one.requests
    broken = b"\0\0\1\x07\x40\0\0\xff"
    one.client.answer(
        encode_message(0x40, 268, numbers.SWM, der.hop_by_hop, der.end_to_end, broken)
    )
    lab.turn.end()
    await lab.settle()
    assert isinstance(outcomes[0], EapAnswer)
    assert outcomes[0].peer == two.name


async def test_a_bug_in_a_handler_costs_the_connection_and_is_reported(
    autojump_clock: MockClock, lab: Lab
) -> None:
    def answer(aaa: object, request: Message) -> bytes:
        raise RuntimeError("a bug")

    lab.aaa("aaa1", answer)
    router = await lab.router("aaa1")
    outcome = await lab.ask(router)
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason is NoAnswerReason.CONNECTION_LOST
    assert [str(error) for error in lab.crashes] == ["a bug"]
    lab.crashes.clear()


# --- both sides connect -------------------------------------------------------------------------


class BothWays:
    """One of our peers, with a connection that it opened and one that the other side opened."""

    def __init__(self, lab: Lab, host: str) -> None:
        self.outbox = Outbox()
        lab.turn.flusher(self.outbox.flush)
        self.context = PeerContext(
            settings=lab.settings(),
            origin=Origin(NODE, REALM),
            turn=lab.turn,
            timers=lab.timers,
            outbox=self.outbox,
            end_to_end=Counter32(1),
            on_request=lambda peer, request: None,
        )
        self.host = host
        self.near, self.far = pair()
        self.peer = Peer(host, OFFER, self.context, self.connect)
        self.r_near, self.r_far = pair()

    async def connect(self) -> Transport:
        return self.near

    def accept(self) -> bool:
        connection = Connection(self.r_near, RESPONDED, self.outbox, 65536, 1)
        cer = decode(build_cer(Origin(self.host, REALM), OFFER, 1, 2))
        return self.peer.accept(connection, cer, read_capabilities(cer))


def heard(transport: MemoryTransport) -> list[Message]:
    return [decode(raw) for raw in Framer().cut(transport.arrived())]


async def test_the_winner_keeps_the_connection_that_the_other_side_opened(
    autojump_clock: MockClock, lab: Lab
) -> None:
    both = BothWays(lab, f"aaa1.{REALM}")  # lower than ecs1: we win
    await lab.nursery.start(both.peer.run)
    await lab.settle()
    assert both.accept()
    lab.turn.end()
    assert both.peer.statistics().state == "R_OPEN"
    assert both.near.closed
    (cea,) = heard(both.r_far)
    assert cea.u32(d.RESULT_CODE) == numbers.SUCCESS
    assert both.peer.is_open
    # A third connection is rejected while this one is open.
    again = Connection(pair()[0], RESPONDED, both.outbox, 65536, 1)
    cer = decode(build_cer(Origin(both.host, REALM), OFFER, 1, 2))
    assert not both.peer.accept(again, cer, read_capabilities(cer))


async def test_the_loser_keeps_the_connection_that_it_opened(
    autojump_clock: MockClock, lab: Lab
) -> None:
    both = BothWays(lab, f"zzz1.{REALM}")  # higher than ecs1: we lose
    await lab.nursery.start(both.peer.run)
    await lab.settle()
    assert both.accept()
    assert both.peer.statistics().state == "WAIT_RETURNS"
    (cer,) = heard(both.far)
    both.far.send(build_cea(cer, Origin(both.host, REALM), OFFER, numbers.SUCCESS))
    await lab.settle()
    assert both.peer.statistics().state == "I_OPEN"
    assert both.r_near.closed
    assert both.peer.is_open


async def test_a_loser_whose_connection_dies_answers_on_the_other(
    autojump_clock: MockClock, lab: Lab
) -> None:
    both = BothWays(lab, f"zzz1.{REALM}")
    await lab.nursery.start(both.peer.run)
    await lab.settle()
    assert both.accept()
    both.far.close()
    await lab.settle()
    assert both.peer.statistics().state == "R_OPEN"
    (cea,) = heard(both.r_far)
    assert cea.u32(d.RESULT_CODE) == numbers.SUCCESS


# --- the accepting side -------------------------------------------------------------------------


async def served(lab: Lab, *raws: bytes, **options: object) -> list[Message]:
    """What the server answers to a client that sends these octets."""
    from actors.diameter.server import DiameterServer

    server = DiameterServer(
        AAA.host,
        REALM,
        (numbers.SWM,),
        lambda request, peer: None,
        lab.turn,
        lab.timers,
        **options,  # type: ignore[arg-type]
    )
    near, far = pair()

    async def serve() -> None:
        with contextlib.suppress(TransportError):
            await server.serve(far)

    lab.nursery.start_soon(serve)
    near.send(b"".join(raws))
    await lab.settle()
    return heard(near)


def cer_of(*applications: int, extra: bytes = b"") -> bytes:
    raw = build_cer(Origin(NODE, REALM), Offer(("127.0.0.1",), applications), 1, 2)
    message = decode(raw)
    return encode_message(message.flags, message.command, 0, 1, 2, raw[20:] + extra)


async def test_a_cer_with_an_unknown_mandatory_avp_is_5001(
    autojump_clock: MockClock, lab: Lab
) -> None:
    (cea,) = await served(lab, cer_of(numbers.SWM, extra=encode_avp(UNKNOWN, b"x")))
    assert cea.u32(d.RESULT_CODE) == numbers.AVP_UNSUPPORTED
    failed = cea.group(d.FAILED_AVP)
    assert failed is not None
    assert UNKNOWN in failed


async def test_the_server_takes_a_good_cer(autojump_clock: MockClock, lab: Lab) -> None:
    (cea,) = await served(lab, cer_of(numbers.SWM))
    assert cea.u32(d.RESULT_CODE) == numbers.SUCCESS
    assert (cea.hop_by_hop, cea.end_to_end) == (1, 2)


@pytest.mark.parametrize(
    ("cer", "options", "code"),
    [
        (cer_of(16777265), {}, numbers.NO_COMMON_APPLICATION),
        (cer_of(numbers.SWM), {"known_peers": ("ecs2",)}, numbers.UNKNOWN_PEER),
        (
            cer_of(numbers.SWM, extra=encode_avp(d.INBAND_SECURITY_ID, 1)),
            {},
            numbers.NO_COMMON_SECURITY,
        ),
    ],
)
async def test_the_server_refuses_a_cer(
    autojump_clock: MockClock, lab: Lab, cer: bytes, options: dict[str, object], code: int
) -> None:
    (cea,) = await served(lab, cer, **options)
    assert cea.u32(d.RESULT_CODE) == code


@pytest.mark.parametrize(
    "octets",
    [build_dwr(AAA, 1, 2), cer_of(numbers.SWM) + build_dwr(AAA, 1, 2), GARBAGE["zero length"], b""],
)
async def test_the_server_closes_what_does_not_begin_with_a_cer(
    autojump_clock: MockClock, lab: Lab, octets: bytes
) -> None:
    assert await served(lab, octets) == []


async def test_a_client_that_says_nothing_is_let_go(autojump_clock: MockClock, lab: Lab) -> None:
    aaa = lab.aaa("aaa1")
    near, far = pair()
    lab.nursery.start_soon(lab.timers.run)
    began = trio.current_time()
    await aaa.server.serve(far)
    assert 5.0 <= trio.current_time() - began < 5.1
    assert near.other is far
    assert far.closed


async def test_the_sides_have_their_names() -> None:
    assert (INITIATED, RESPONDED) == ("I", "R")
