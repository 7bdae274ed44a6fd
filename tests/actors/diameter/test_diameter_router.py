"""The router against AAA servers on a network in memory: routing, failing over, giving up."""

import itertools
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.diameter.outcomes import EapAnswer, NoAnswer, NoAnswerReason
from actors.diameter.peer_statistics import PeerStatistics
from actors.diameter.router import DiameterRouter
from config.model import DiameterPeer
from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Message
from protocols.diameter.messages import Origin, build_eap_answer
from tests.actors.diameter.lab import (
    CHALLENGE,
    NODE,
    REALM,
    Aaa,
    Answer,
    Lab,
    challenge,
    first_round,
    result,
    silence,
)


@pytest.fixture
async def lab(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> AsyncIterator[Lab]:
    made = Lab(nursery)
    yield made
    assert made.crashes == []


def peer_named(router: DiameterRouter, name: str) -> PeerStatistics:
    return next(one for one in router.statistics().peers if one.host.startswith(name))


def name(aaa: str) -> bytes:
    return f"{aaa}.{REALM}".encode()


async def test_a_der_gets_its_dea(autojump_clock: MockClock, lab: Lab) -> None:
    aaa = lab.aaa("aaa1")
    router = await lab.router("aaa1")
    assert router.ready
    answer = await lab.ask(router)
    assert isinstance(answer, EapAnswer)
    assert (answer.vendor, answer.code) == (0, numbers.MULTI_ROUND_AUTH)
    assert answer.eap_payload == CHALLENGE
    assert answer.state == b"st01"
    assert answer.multi_round_time_out == 30
    assert answer.origin_host == name("aaa1")
    assert answer.peer == f"aaa1.{REALM}"
    (request,) = aaa.requests
    assert answer.request_raw == request.raw
    assert request.application == numbers.SWM
    assert d.DESTINATION_HOST not in request
    assert request.flags == numbers.FLAG_REQUEST | numbers.FLAG_PROXIABLE
    assert request.text(d.ORIGIN_HOST) == NODE
    statistics = router.statistics().peers[0]
    assert statistics.requests == 1
    assert statistics.answers == {(0, 1001): 1}
    assert statistics.latency_count == sum(statistics.latency_buckets) == 1
    assert (statistics.state, statistics.watchdog) == ("I_OPEN", "OKAY")
    assert statistics.in_flight == 0


async def test_many_ders_of_one_turn_leave_in_one_write(
    autojump_clock: MockClock, lab: Lab
) -> None:
    aaa = lab.aaa("aaa1")
    router = await lab.router("aaa1")
    outcomes: list[object] = []
    before = len(aaa.connections[0].sent)
    for number in range(1, 51):
        router.request(first_round(number), outcomes.append)
    assert router.statistics().peers[0].in_flight == 50
    lab.turn.end()
    assert len(aaa.connections[0].sent) == before + 1
    await lab.settle()
    assert len(outcomes) == 50
    assert len({request.hop_by_hop for request in aaa.requests}) == 50
    assert len({request.end_to_end for request in aaa.requests}) == 50


async def test_all_fields_of_a_final_answer_reach_the_session(
    autojump_clock: MockClock, lab: Lab
) -> None:
    members = [
        (d.USER_NAME, "0001010000000001@nai"),
        (d.MOBILE_NODE_IDENTIFIER, "0001010000000001@nai.epc"),
        (
            d.SUBSCRIPTION_ID,
            ((d.SUBSCRIPTION_ID_TYPE, 0), (d.SUBSCRIPTION_ID_DATA, "447700900001")),
        ),
        (d.SESSION_TIMEOUT, 3600),
        (d.AUTH_SESSION_STATE, 1),
        (d.EAP_PAYLOAD, b"\x03\x01\x00\x04"),
        (d.EAP_MASTER_SESSION_KEY, bytes(64)),
    ]
    lab.aaa("aaa1", result(numbers.SUCCESS, *members))
    router = await lab.router("aaa1")
    answer = await lab.ask(router)
    assert isinstance(answer, EapAnswer)
    assert answer.code == numbers.SUCCESS
    assert answer.user_name == b"0001010000000001@nai"
    assert answer.mobile_node_identifier == b"0001010000000001@nai.epc"
    assert answer.msisdn == b"447700900001"
    assert answer.session_timeout == 3600
    assert answer.auth_session_state == numbers.NO_STATE_MAINTAINED
    assert "0001010" not in repr(answer)


async def test_an_experimental_result_is_keyed_by_its_vendor(
    autojump_clock: MockClock, lab: Lab
) -> None:
    failed = ((d.RAT_TYPE, 0),)
    members = [(d.ERROR_MESSAGE, "who?"), (d.FAILED_AVP, failed)]
    lab.aaa("aaa1", result(5001, *members, vendor=d.VENDOR_3GPP))
    answer = await lab.ask(await lab.router("aaa1"))
    assert isinstance(answer, EapAnswer)
    assert (answer.vendor, answer.code) == (d.VENDOR_3GPP, 5001)
    assert answer.error_message == b"who?"
    assert answer.failed_avp[:4] == (1032).to_bytes(4, "big")


async def test_session_ids_name_node_and_actor(autojump_clock: MockClock, lab: Lab) -> None:
    router = await lab.router()
    host, high, low, rest = router.new_session_id("42").decode().split(";")
    assert (host, high, rest) == (NODE, "1764000000", "ecs1-42")
    assert router.new_session_id("43") == f"{NODE};{high};{int(low) + 1};ecs1-43".encode()
    assert not router.ready


async def test_a_restart_within_a_second_repeats_no_session_id(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one, other = await lab.router(), await lab.router()
    ids = {router.new_session_id("1") for router in (one, other) for _ in range(100)}
    assert len(ids) == 200


async def test_without_a_peer_the_answer_is_at_once_that_there_is_none(
    autojump_clock: MockClock, lab: Lab
) -> None:
    router = await lab.router("aaa1")
    outcomes: list[object] = []
    router.request(first_round(), outcomes.append)
    assert outcomes == [NoAnswer(NoAnswerReason.NO_PEER)]
    assert router.statistics().no_peer == 1
    assert not router.ready


async def test_an_aaa_that_comes_later_is_found(autojump_clock: MockClock, lab: Lab) -> None:
    router = await lab.router("aaa1")
    assert "ECONNREFUSED" in router.statistics().peers[0].last_error
    lab.aaa("aaa1")
    await trio.sleep(10)
    assert router.ready
    assert isinstance(await lab.ask(router), EapAnswer)


async def test_reconnecting_backs_off_to_tc(autojump_clock: MockClock, lab: Lab) -> None:
    tries: list[float] = []
    aaa = lab.aaa("aaa1")
    aaa.up = False
    connect = lab.connect

    async def counted(section: DiameterPeer) -> object:
        tries.append(trio.current_time())
        return await connect(section)

    lab.connect = counted  # type: ignore[method-assign, assignment]
    await lab.router("aaa1")
    await trio.sleep(300)
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    for gap, expected in zip(gaps, (1, 2, 4, 8, 16, 30, 30, 30), strict=False):
        assert 0.8 * expected <= gap <= 1.2 * expected
    assert len(gaps) >= 9


# --- failing over -------------------------------------------------------------------------------


async def test_a_reset_sends_first_ders_again_at_once_with_the_t_bit(
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
    began = trio.current_time()
    one.crash()
    await lab.settle()
    assert trio.current_time() - began < 0.1
    (answer,) = outcomes
    assert isinstance(answer, EapAnswer)
    assert answer.origin_host == name("aaa2")
    (first,), (second,) = one.requests, two.requests
    assert not first.is_retransmitted
    assert second.is_retransmitted
    assert second.end_to_end == first.end_to_end
    assert second.octets(d.SESSION_ID) == first.octets(d.SESSION_ID)
    assert router.statistics().peers[0].failovers == 1
    # The next one does not even try the lost peer.
    assert isinstance(await lab.ask(router), EapAnswer)


async def test_a_silent_peer_costs_one_answer_limit_and_is_then_avoided(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one, two = lab.aaa("aaa1"), lab.aaa("aaa2")
    router = await lab.router(
        DiameterPeer(host=one.name, priority=1), DiameterPeer(host=two.name, priority=2)
    )
    one.vanish()
    began = trio.current_time()
    answer = await lab.ask(router)
    assert isinstance(answer, EapAnswer)
    assert 1.5 <= trio.current_time() - began <= 1.6
    assert two.requests[0].is_retransmitted
    began = trio.current_time()
    assert isinstance(await lab.ask(router), EapAnswer)
    assert trio.current_time() == began
    assert len(one.requests) == 0
    assert router.statistics().peers[0].timeouts == 1


async def test_a_silent_peer_is_suspect_then_down_then_comes_back_on_probation(
    autojump_clock: MockClock, lab: Lab
) -> None:
    settings = lab.settings(watchdog_seconds=6.0)
    one, two = lab.aaa("aaa1", settings=settings), lab.aaa("aaa2", settings=settings)
    router = await lab.router(
        DiameterPeer(host=one.name, priority=1),
        DiameterPeer(host=two.name, priority=2),
        watchdog_seconds=6.0,
    )
    one.vanish()
    vanished = trio.current_time()
    seen: list[str] = []
    while len(seen) < 3 or seen[-1] != "OKAY":
        await trio.sleep(0.05)
        state = peer_named(router, "aaa1").watchdog
        if not seen or state != seen[-1]:
            seen.append(state)
            if state == "SUSPECT":
                # Twice Tw and its jitter; the other peer is asked meanwhile.
                assert trio.current_time() - vanished <= 16.3
                assert (await lab.ask(router)).origin_host == name("aaa2")
    assert seen[:3] == ["OKAY", "SUSPECT", "DOWN"]
    await trio.sleep(5)
    statistics = peer_named(router, "aaa1")
    assert (statistics.state, statistics.watchdog) == ("I_OPEN", "OKAY")
    assert statistics.reconnects == 1
    assert (await lab.ask(router)).origin_host == name("aaa1")


async def test_a_request_pending_when_the_watchdog_gives_up_fails_over(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one, two = lab.aaa("aaa1"), lab.aaa("aaa2")
    router = await lab.router(
        DiameterPeer(host=one.name, priority=1),
        DiameterPeer(host=two.name, priority=2),
        watchdog_seconds=6.0,
        answer_seconds=100.0,
        exchange_seconds=200.0,
    )
    one.vanish()
    began = trio.current_time()
    answer = await lab.ask(router)
    assert isinstance(answer, EapAnswer)
    assert answer.origin_host == name("aaa2")
    assert trio.current_time() - began <= 16.2
    assert two.requests[0].is_retransmitted


async def test_the_exchange_has_a_budget_over_all_peers(
    autojump_clock: MockClock, lab: Lab
) -> None:
    names = [f"aaa{number}" for number in range(1, 7)]
    for one in names:
        lab.aaa(one, silence)
    router = await lab.router(*names, answer_seconds=2.0, exchange_seconds=5.0)
    began = trio.current_time()
    outcome = await lab.ask(router)
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason is NoAnswerReason.TIMEOUT
    assert 5.0 <= trio.current_time() - began <= 5.3
    assert sum(len(aaa.requests) for aaa in lab.servers.values()) == 3
    assert outcome.request_raw


async def test_a_late_answer_is_dropped(autojump_clock: MockClock, lab: Lab) -> None:
    aaa = lab.aaa("aaa1", silence)
    router = await lab.router("aaa1")
    outcome = await lab.ask(router)
    assert isinstance(outcome, NoAnswer)
    late = challenge(aaa, aaa.requests[0])
    assert late is not None
    aaa.client.answer(late)
    lab.turn.end()
    await lab.settle()
    assert router.statistics().peers[0].unexpected == 1
    assert isinstance(await lab.ask(router), NoAnswer)


async def test_an_answer_with_a_foreign_end_to_end_identifier_is_given_to_nobody(
    autojump_clock: MockClock, lab: Lab
) -> None:
    aaa = lab.aaa("aaa1", silence)
    router = await lab.router("aaa1")
    outcomes: list[object] = []
    router.request(first_round(), outcomes.append)
    lab.turn.end()
    await lab.settle()
    good = challenge(aaa, aaa.requests[0])
    assert good is not None
    aaa.client.answer(good[:16] + bytes(4) + good[20:])
    lab.turn.end()
    await lab.settle()
    assert outcomes == []
    aaa.client.answer(good)
    lab.turn.end()
    await lab.settle()
    assert isinstance(outcomes[0], EapAnswer)


@pytest.mark.parametrize("code", [numbers.UNABLE_TO_DELIVER, numbers.TOO_BUSY])
async def test_a_peer_that_cannot_is_replaced_by_another(
    autojump_clock: MockClock, lab: Lab, code: int
) -> None:
    one, two = lab.aaa("aaa1", result(code)), lab.aaa("aaa2")
    router = await lab.router(
        DiameterPeer(host=one.name, priority=1), DiameterPeer(host=two.name, priority=2)
    )
    answer = await lab.ask(router)
    assert isinstance(answer, EapAnswer)
    assert answer.code == numbers.MULTI_ROUND_AUTH
    # It was refused, not perhaps done: no T bit, but the same End-to-End Identifier.
    assert not two.requests[0].is_retransmitted
    assert two.requests[0].end_to_end == one.requests[0].end_to_end


async def test_when_all_are_busy_the_session_learns_that(
    autojump_clock: MockClock, lab: Lab
) -> None:
    lab.aaa("aaa1", result(numbers.TOO_BUSY))
    lab.aaa("aaa2", result(numbers.TOO_BUSY))
    answer = await lab.ask(await lab.router("aaa1", "aaa2"))
    assert isinstance(answer, EapAnswer)
    assert answer.code == numbers.TOO_BUSY


async def test_a_busy_peer_is_avoided_for_a_while(autojump_clock: MockClock, lab: Lab) -> None:
    one, two = lab.aaa("aaa1", result(numbers.TOO_BUSY)), lab.aaa("aaa2")
    router = await lab.router(
        DiameterPeer(host=one.name, priority=1), DiameterPeer(host=two.name, priority=2)
    )
    await lab.ask(router)
    one.answer = challenge
    await lab.ask(router)
    assert len(one.requests) == 1
    await trio.sleep(3)
    await lab.ask(router)
    assert len(one.requests) == 2
    assert len(two.requests) == 2


@pytest.mark.parametrize("code", [3003, 3007, 5012, 4001])
async def test_other_results_are_not_tried_elsewhere(
    autojump_clock: MockClock, lab: Lab, code: int
) -> None:
    lab.aaa("aaa1", result(code))
    two = lab.aaa("aaa2")
    router = await lab.router(
        DiameterPeer(host=f"aaa1.{REALM}", priority=1), DiameterPeer(host=two.name, priority=2)
    )
    answer = await lab.ask(router)
    assert isinstance(answer, EapAnswer)
    assert answer.code == code
    assert two.requests == []


async def test_vectors_that_are_not_there_are_asked_for_once_more_elsewhere(
    autojump_clock: MockClock, lab: Lab
) -> None:
    for one in ("aaa1", "aaa2", "aaa3"):
        lab.aaa(one, result(4181, vendor=d.VENDOR_3GPP))
    answer = await lab.ask(await lab.router("aaa1", "aaa2", "aaa3"))
    assert isinstance(answer, EapAnswer)
    assert (answer.vendor, answer.code) == (d.VENDOR_3GPP, 4181)
    assert sum(len(aaa.requests) for aaa in lab.servers.values()) == 2


# --- later rounds -------------------------------------------------------------------------------


async def test_a_continuation_goes_to_the_pinned_aaa_only(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one, two = lab.aaa("aaa1"), lab.aaa("aaa2")
    router = await lab.router(
        DiameterPeer(host=one.name, priority=1), DiameterPeer(host=two.name, priority=2)
    )
    pinned = first_round(destination_host=name("aaa2"), state=b"st01")
    answer = await lab.ask(router, pinned)
    assert isinstance(answer, EapAnswer)
    (request,) = two.requests
    assert request.octets(d.DESTINATION_HOST) == name("aaa2")
    assert request.octets(d.STATE) == b"st01"
    two.answer = silence
    outcome = await lab.ask(router, pinned)
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason is NoAnswerReason.TIMEOUT
    two.crash()
    await lab.settle()
    outcome = await lab.ask(router, pinned)
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason is NoAnswerReason.NO_PEER
    assert one.requests == []


async def test_a_continuation_in_flight_is_lost_with_its_aaa(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one, two = lab.aaa("aaa1", silence), lab.aaa("aaa2")
    router = await lab.router("aaa1", "aaa2")
    outcomes: list[object] = []
    router.request(first_round(destination_host=name("aaa1")), outcomes.append)
    lab.turn.end()
    await lab.settle()
    one.crash()
    await lab.settle()
    (outcome,) = outcomes
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason is NoAnswerReason.CONNECTION_LOST
    assert outcome.elsewhere
    assert two.requests == []
    two.crash()
    await lab.settle()
    alone = await lab.ask(router, first_round(destination_host=name("aaa1")))
    assert isinstance(alone, NoAnswer)
    assert not alone.elsewhere


def relayed(host: str) -> Answer:
    """An agent: the AAA of that name answers through it."""

    def answer(aaa: Aaa, request: Message) -> bytes:
        members = ((d.EAP_PAYLOAD, CHALLENGE),)
        return build_eap_answer(request, Origin(host, REALM), numbers.MULTI_ROUND_AUTH, members)

    return answer


async def test_a_continuation_behind_agents_goes_through_any_of_them(
    autojump_clock: MockClock, lab: Lab
) -> None:
    hidden = f"aaa9.{REALM}"
    one, two = lab.aaa("dra1", relayed(hidden)), lab.aaa("dra2", relayed(hidden))
    router = await lab.router("dra1", "dra2")
    for number in range(8):  # so that both agents have been seen
        await lab.ask(router, first_round(number))
    assert peer_named(router, "dra1").is_agent
    assert peer_named(router, "dra2").is_agent
    for aaa in (one, two):
        aaa.requests.clear()
    pinned = first_round(destination_host=hidden.encode())
    assert isinstance(await lab.ask(router, pinned), EapAnswer)
    assert len(one.requests) + len(two.requests) == 1
    # The path dies with the request in flight: the other agent leads to the same AAA.
    used = one if one.requests else two
    other = two if used is one else one
    used.answer = silence
    other.requests.clear()
    answer = await lab.ask(router, pinned)
    assert isinstance(answer, EapAnswer)
    assert other.requests[0].octets(d.DESTINATION_HOST) == hidden.encode()


async def test_after_a_restart_a_pinned_aaa_that_nobody_knows_is_looked_for(
    autojump_clock: MockClock, lab: Lab
) -> None:
    lab.aaa("dra1", relayed(f"aaa9.{REALM}"))
    router = await lab.router("dra1")
    pinned = first_round(destination_host=f"aaa9.{REALM}".encode())
    assert isinstance(await lab.ask(router, pinned), EapAnswer)


# --- realms, priorities, weights ----------------------------------------------------------------


async def test_a_realm_goes_to_the_peers_that_serve_it(autojump_clock: MockClock, lab: Lab) -> None:
    one, two = lab.aaa("aaa1"), lab.aaa("aaa2")
    router = await lab.router(
        DiameterPeer(host=one.name, realms=("one.example",)),
        DiameterPeer(host=two.name, realms=("two.example", "three.example")),
    )
    for realm, aaa in ((b"ONE.example", one), (b"three.example", two)):
        assert isinstance(await lab.ask(router, first_round(destination_realm=realm)), EapAnswer)
        assert len(aaa.requests) == 1
    outcome = await lab.ask(router, first_round(destination_realm=b"four.example"))
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason is NoAnswerReason.NO_PEER


async def test_load_is_shared_by_weight(autojump_clock: MockClock, lab: Lab) -> None:
    one, two = lab.aaa("aaa1"), lab.aaa("aaa2")
    router = await lab.router(
        DiameterPeer(host=one.name, weight=3), DiameterPeer(host=two.name, weight=1)
    )
    for number in range(200):
        await lab.ask(router, first_round(number))
    assert 120 <= len(one.requests) <= 180


def with_load(value: int, of: str) -> Answer:
    report = ((d.LOAD_TYPE, numbers.PEER_LOAD), (d.LOAD_VALUE, value), (d.SOURCE_ID, of))
    return result(numbers.MULTI_ROUND_AUTH, (d.EAP_PAYLOAD, CHALLENGE), (d.LOAD, report))


async def test_load_is_shared_by_the_load_that_peers_report(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one = lab.aaa("aaa1", with_load(13_107, f"aaa1.{REALM}"))  # four fifths loaded
    two = lab.aaa("aaa2", with_load(52_428, f"aaa2.{REALM}"))
    router = await lab.router("aaa1", "aaa2")
    for number in range(400):
        await lab.ask(router, first_round(number))
    assert peer_named(router, "aaa1").load_value == 13_107
    assert 2.5 < len(two.requests) / len(one.requests) < 6.5
    router.reload(
        lab.settings(
            DiameterPeer(host=one.name), DiameterPeer(host=two.name), overload_control=False
        )
    )
    one.answer = two.answer = challenge
    await trio.sleep(31)  # what was reported counts no more
    one.requests.clear()
    two.requests.clear()
    for number in range(400):
        await lab.ask(router, first_round(number))
    assert 0.6 < len(two.requests) / len(one.requests) < 1.6


async def test_a_load_report_of_somebody_else_changes_nothing(
    autojump_clock: MockClock, lab: Lab
) -> None:
    lab.aaa("aaa1", with_load(0, f"aaa2.{REALM}"))
    router = await lab.router("aaa1")
    assert isinstance(await lab.ask(router), EapAnswer)
    assert peer_named(router, "aaa1").load_value is None


async def test_requests_in_flight_push_new_ones_elsewhere(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one, two = lab.aaa("aaa1", silence), lab.aaa("aaa2", silence)
    router = await lab.router("aaa1", "aaa2")
    for number in range(100):
        router.request(first_round(number), lambda outcome: None)
    counts = [peer.in_flight for peer in router.statistics().peers]
    assert sum(counts) == 100
    assert min(counts) >= 35
    assert one.requests == two.requests == []


async def test_the_number_of_pending_requests_is_bounded(
    autojump_clock: MockClock, lab: Lab
) -> None:
    lab.aaa("aaa1", silence)
    router = await lab.router("aaa1", max_pending=10)
    outcomes: list[object] = []
    for number in range(12):
        router.request(first_round(number), outcomes.append)
    assert outcomes == [NoAnswer(NoAnswerReason.TOO_MANY_PENDING)] * 2


# --- circuit breaker ----------------------------------------------------------------------------


async def test_a_peer_that_loses_everything_gets_one_probe_at_a_time(
    autojump_clock: MockClock, lab: Lab
) -> None:
    aaa = lab.aaa("aaa1", silence)
    router = await lab.router("aaa1")
    for number in range(5):
        router.request(first_round(number), lambda outcome: None)
    lab.turn.end()
    await trio.sleep(1.6)
    assert peer_named(router, "aaa1").breaker == "open"
    outcome = await lab.ask(router)
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason is NoAnswerReason.NO_PEER
    await trio.sleep(1.1)
    assert peer_named(router, "aaa1").breaker == "half-open"
    outcomes: list[object] = []
    for number in range(10):
        router.request(first_round(number), outcomes.append)
    assert len(outcomes) == 9
    lab.turn.end()
    await trio.sleep(5)
    assert len(aaa.requests) == 6
    aaa.answer = challenge
    assert isinstance(await lab.ask(router), EapAnswer)
    assert peer_named(router, "aaa1").breaker == "closed"


# --- overload -----------------------------------------------------------------------------------


def overloaded(kind: int, percentage: int, sequence: int = 1) -> Answer:
    report = (
        (d.OC_SEQUENCE_NUMBER, sequence),
        (d.OC_REPORT_TYPE, kind),
        (d.OC_REDUCTION_PERCENTAGE, percentage),
        (d.OC_VALIDITY_DURATION, 10),
    )
    features = ((d.OC_FEATURE_VECTOR, numbers.LOSS_ALGORITHM),)
    return result(
        numbers.MULTI_ROUND_AUTH,
        (d.EAP_PAYLOAD, CHALLENGE),
        (d.OC_SUPPORTED_FEATURES, features),
        (d.OC_OLR, report),
    )


async def test_overload_control_is_announced_when_it_is_wanted(
    autojump_clock: MockClock, lab: Lab
) -> None:
    aaa = lab.aaa("aaa1")
    router = await lab.router("aaa1")
    await lab.ask(router)
    assert d.OC_SUPPORTED_FEATURES in aaa.requests[0]
    router.reload(lab.settings(DiameterPeer(host=aaa.name), overload_control=False))
    await lab.ask(router)
    assert d.OC_SUPPORTED_FEATURES not in aaa.requests[1]


async def test_an_overloaded_host_gets_no_new_sessions_but_old_ones_finish(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one, two = lab.aaa("aaa1", overloaded(numbers.HOST_REPORT, 100)), lab.aaa("aaa2")
    router = await lab.router(
        DiameterPeer(host=one.name, priority=1), DiameterPeer(host=two.name, priority=2)
    )
    await lab.ask(router)
    for number in range(5):
        assert isinstance(await lab.ask(router, first_round(number)), EapAnswer)
    assert len(one.requests) == 1
    assert len(two.requests) == 5
    assert isinstance(await lab.ask(router, first_round(destination_host=name("aaa1"))), EapAnswer)
    assert len(one.requests) == 2
    await trio.sleep(21)  # its validity, and the time for coming back
    await lab.ask(router)
    assert len(one.requests) == 3


async def test_without_another_host_an_overload_report_sheds_its_percentage(
    autojump_clock: MockClock, lab: Lab
) -> None:
    aaa = lab.aaa("aaa1", overloaded(numbers.HOST_REPORT, 60))
    router = await lab.router("aaa1")
    outcomes = [await lab.ask(router, first_round(number)) for number in range(200)]
    shed = [one for one in outcomes if isinstance(one, NoAnswer)]
    assert all(one.reason is NoAnswerReason.OVERLOADED for one in shed)
    assert 90 <= len(shed) <= 150
    assert router.statistics().shed == len(shed)
    assert len(aaa.requests) == 200 - len(shed)
    assert router.statistics().reports[0][:4] == (0, aaa.name, numbers.SWM, 60)


async def test_a_realm_report_sheds_whatever_the_host(autojump_clock: MockClock, lab: Lab) -> None:
    one, two = lab.aaa("aaa1", overloaded(numbers.REALM_REPORT, 100)), lab.aaa("aaa2")
    router = await lab.router(
        DiameterPeer(host=one.name, priority=1), DiameterPeer(host=two.name, priority=2)
    )
    await lab.ask(router)
    outcome = await lab.ask(router)
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason is NoAnswerReason.OVERLOADED
    assert isinstance(await lab.ask(router, first_round(destination_host=name("aaa2"))), EapAnswer)


# --- redirects ----------------------------------------------------------------------------------


def redirect(target: str, usage: int, seconds: int) -> Answer:
    return result(
        numbers.REDIRECT_INDICATION,
        (d.REDIRECT_HOST, f"aaa://{target}.{REALM}:3868;transport=tcp"),
        (d.REDIRECT_HOST_USAGE, usage),
        (d.REDIRECT_MAX_CACHE_TIME, seconds),
    )


async def test_a_redirect_is_followed_and_remembered_as_long_as_it_says(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one = lab.aaa("dra1", redirect("aaa2", numbers.ALL_REALM, 60))
    two = lab.aaa("aaa2")
    router = await lab.router(
        DiameterPeer(host=one.name, priority=1), DiameterPeer(host=two.name, priority=2)
    )
    for number in range(3):
        answer = await lab.ask(router, first_round(number))
        assert isinstance(answer, EapAnswer)
        assert answer.origin_host == name("aaa2")
    assert len(one.requests) == 1
    await trio.sleep(61)
    await lab.ask(router)
    assert len(one.requests) == 2


async def test_a_redirect_that_must_not_be_cached_is_asked_for_each_time(
    autojump_clock: MockClock, lab: Lab
) -> None:
    one = lab.aaa("dra1", redirect("aaa2", numbers.DONT_CACHE, 60))
    two = lab.aaa("aaa2")
    router = await lab.router(
        DiameterPeer(host=one.name, priority=1), DiameterPeer(host=two.name, priority=2)
    )
    for number in range(3):
        assert isinstance(await lab.ask(router, first_round(number)), EapAnswer)
    assert len(one.requests) == len(two.requests) == 3


async def test_a_redirect_to_a_stranger_or_in_a_circle_is_the_answer_itself(
    autojump_clock: MockClock, lab: Lab
) -> None:
    lab.aaa("dra1", redirect("stranger", numbers.DONT_CACHE, 0))
    answer = await lab.ask(await lab.router("dra1"))
    assert isinstance(answer, EapAnswer)
    assert answer.code == numbers.REDIRECT_INDICATION


# --- malformed answers, STR, drain, reload ------------------------------------------------------


async def test_a_dea_whose_content_cannot_be_read_fails_alone(
    autojump_clock: MockClock, lab: Lab
) -> None:
    bad = d.Avp(d.SESSION_TIMEOUT.code, "bad", d.AvpType.OCTET_STRING, True)
    aaa = lab.aaa("aaa1", result(numbers.SUCCESS, (bad, b"abc")))
    router = await lab.router("aaa1")
    outcome = await lab.ask(router)
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason is NoAnswerReason.MALFORMED_ANSWER
    aaa.answer = challenge
    assert isinstance(await lab.ask(router), EapAnswer)
    assert router.statistics().malformed == 1
    assert router.statistics().peers[0].reconnects == 0


async def test_an_answer_with_an_unknown_mandatory_avp_is_used_and_counted(
    autojump_clock: MockClock, lab: Lab
) -> None:
    ours = d.Avp(4242, "Unknown", d.AvpType.OCTET_STRING, True, 99)
    optional = d.Avp(4243, "Unknown", d.AvpType.OCTET_STRING, False)
    lab.aaa("aaa1", result(numbers.SUCCESS, (ours, b"x"), (optional, b"x")))
    router = await lab.router("aaa1")
    for number in range(2):
        answer = await lab.ask(router, first_round(number))
        assert isinstance(answer, EapAnswer)
        assert answer.code == numbers.SUCCESS
    assert router.statistics().unrecognised == {"99/4242": 2}


async def test_a_session_that_raises_in_its_reply_does_not_hurt_the_peer(
    autojump_clock: MockClock, lab: Lab
) -> None:
    lab.aaa("aaa1")
    router = await lab.router("aaa1")

    def reply(outcome: object) -> None:
        raise RuntimeError("a bug")

    router.request(first_round(), reply)
    lab.turn.end()
    await lab.settle()
    assert [str(error) for error in lab.crashes] == ["a bug"]
    lab.crashes.clear()
    assert isinstance(await lab.ask(router), EapAnswer)


async def test_a_session_is_terminated_at_its_aaa(autojump_clock: MockClock, lab: Lab) -> None:
    one, two = lab.aaa("aaa1"), lab.aaa("aaa2")
    router = await lab.router("aaa1", "aaa2")
    request = first_round(destination_host=name("aaa2"))
    router.terminate(request)
    lab.turn.end()
    await lab.settle()
    (termination,) = two.requests
    assert termination.command == numbers.SESSION_TERMINATION
    assert termination.octets(d.SESSION_ID) == request.session_id
    assert termination.u32(d.TERMINATION_CAUSE) == numbers.LOGOUT
    assert termination.octets(d.DESTINATION_HOST) == name("aaa2")
    assert one.requests == []
    assert peer_named(router, "aaa2").in_flight == 0
    assert peer_named(router, "aaa2").answers == {(0, 2001): 1}


async def test_nobody_waits_for_an_str(autojump_clock: MockClock, lab: Lab) -> None:
    lab.aaa("aaa1", silence)
    router = await lab.router("aaa1")
    router.terminate(first_round(destination_host=name("aaa1")))
    router.terminate(first_round())
    router.terminate(first_round(destination_host=b"nobody"))
    lab.turn.end()
    await trio.sleep(3)
    assert peer_named(router, "aaa1").in_flight == 0


async def test_draining_says_good_bye_and_then_nobody_is_asked(
    autojump_clock: MockClock, lab: Lab
) -> None:
    aaa = lab.aaa("aaa1")
    router = await lab.router("aaa1")
    await router.drain()
    assert not router.ready
    assert router.statistics().peers[0].state == "CLOSED"
    outcome = await lab.ask(router)
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason is NoAnswerReason.NO_PEER
    await lab.settle()
    assert aaa.client.statistics().last_error == "the peer disconnected, cause 0"
    await trio.sleep(100)
    assert len(aaa.connections) == 1


async def test_draining_does_not_wait_for_ever(autojump_clock: MockClock, lab: Lab) -> None:
    aaa = lab.aaa("aaa1")
    router = await lab.router("aaa1")
    aaa.vanish()
    began = trio.current_time()
    await router.drain()
    assert trio.current_time() - began <= 5.2


@pytest.mark.parametrize(
    ("cause", "least", "most"),
    [
        (numbers.REBOOTING, 29, 31),
        (numbers.BUSY, 299, 301),
        (numbers.DO_NOT_WANT_TO_TALK_TO_YOU, None, None),
    ],
)
async def test_a_peer_that_says_good_bye_is_left_alone_as_it_asks(
    autojump_clock: MockClock, lab: Lab, cause: int, least: float | None, most: float | None
) -> None:
    aaa, other = lab.aaa("aaa1"), lab.aaa("aaa2")
    router = await lab.router(
        DiameterPeer(host=aaa.name, priority=1), DiameterPeer(host=other.name, priority=2)
    )
    aaa.client.stop(cause)
    lab.turn.end()
    await lab.settle()
    assert peer_named(router, "aaa1").state == "CLOSED"
    assert (await lab.ask(router)).origin_host == name("aaa2")
    if least is None or most is None:
        await trio.sleep(2000)
        assert len(aaa.connections) == 1
        return
    await trio.sleep(least)
    assert len(aaa.connections) == 1
    await trio.sleep(most - least)
    assert len(aaa.connections) == 2
    # It was no fault: the peer is used at once, without three watchdogs.
    assert (await lab.ask(router)).origin_host == name("aaa1")


async def test_a_reload_adds_removes_and_keeps_peers(autojump_clock: MockClock, lab: Lab) -> None:
    one, two, three = lab.aaa("aaa1"), lab.aaa("aaa2"), lab.aaa("aaa3")
    router = await lab.router("aaa1", "aaa2")
    router.reload(
        lab.settings(
            DiameterPeer(host=two.name, priority=5),
            DiameterPeer(host=three.name, priority=2),
        )
    )
    await lab.settle()
    await trio.sleep(0.2)
    assert [peer.host for peer in router.statistics().peers] == [two.name, three.name]
    assert len(one.connections) == len(two.connections) == len(three.connections) == 1
    assert one.client.statistics().state == "CLOSED"
    assert (await lab.ask(router)).origin_host == name("aaa3")
    # The same host at another address is another connection.
    router.reload(lab.settings(DiameterPeer(host=three.name, port=3869)))
    await trio.sleep(0.2)
    assert len(three.connections) == 2
    assert (await lab.ask(router)).origin_host == name("aaa3")
