"""One session, read by its effects: no socket, no clock, no fake of anything but the exchange."""

import pytest

from actors.diameter.outcomes import NoAnswer, NoAnswerReason
from actors.session.messages import (
    AaaAborted,
    AaaAnswered,
    AaaFailed,
    Alarm,
    Answer,
    AnswerWithChallenge,
    BssFailed,
    DeviceGone,
    EndSession,
    FindSubscriber,
    Keep,
    KnownAs,
    Note,
    RelayEapAnswer,
    SendDer,
    SendStr,
    ServeWithToken,
    StartAuthentication,
    Stored,
    StoreFailed,
    SubscriberFound,
    TimePassed,
    WakeAt,
)
from actors.session.transitions import State
from config.model import Sessions
from protocols.eap.packet import identity_response
from protocols.ts43.result_codes import OUTCOMES, Outcome
from tests.actors.session.session_bench import (
    AKA_IDENTITY,
    ANSWER,
    CHALLENGE,
    CHALLENGE_PRIME,
    GOLD,
    IMEI,
    IMSI,
    NAI,
    NOTIFICATION_SUCCESS,
    RESYNC,
    SUBSCRIBER,
    Bench,
    FakeExchange,
    dea,
    get,
    post,
    tenant_with,
)

FOUND = SubscriberFound(SUBSCRIBER, GOLD)


def challenged(bench: Bench) -> FakeExchange:
    """The first leg; the exchange of the second."""
    bench.tell(StartAuthentication(get(), FakeExchange()))
    bench.tell(AaaAnswered(dea(1001, CHALLENGE)))
    return FakeExchange()


def authenticated(bench: Bench) -> FakeExchange:
    """Up to the question to the BSS; the exchange that waits."""
    exchange = challenged(bench)
    bench.tell(RelayEapAnswer(post(ANSWER), exchange))
    bench.tell(AaaAnswered(dea(2001, b"\x03\x02\x00\x04")))
    return exchange


def served(bench: Bench) -> None:
    authenticated(bench)
    bench.tell(FOUND)
    bench.tell(Stored("token", None))


def test_the_first_der_carries_the_identity_exactly_as_it_was_sent() -> None:
    """EAP-13b."""
    bench = Bench()
    bench.tell(StartAuthentication(get(), FakeExchange()))
    der = bench.only(SendDer).request
    assert der.eap_payload == identity_response(1, NAI)
    assert der.user_name == NAI.encode()
    assert der.destination_realm == b"epc.mnc001.mcc001.3gppnetwork.org"
    assert (der.state, der.destination_host) == (b"", b"")
    assert bench.only(WakeAt).at == bench.now + Sessions().answer_seconds


def test_the_challenge_goes_to_the_device_untouched() -> None:
    """EAP-13a."""
    bench = Bench()
    exchange = FakeExchange()
    bench.tell(StartAuthentication(get(), exchange))
    bench.tell(AaaAnswered(dea(1001, CHALLENGE)))
    effect = bench.only(AnswerWithChallenge)
    assert effect.exchange is exchange
    assert effect.packet == CHALLENGE
    assert bench.session.state is State.WAITING_FOR_DEVICE
    assert not bench.has(Alarm)


def test_the_second_der_has_the_same_session_the_state_and_the_host() -> None:
    """EAP-14b."""
    bench = Bench()
    exchange = challenged(bench)
    bench.tell(RelayEapAnswer(post(ANSWER), exchange))
    der = bench.only(SendDer).request
    assert der.session_id == b"ecs1;1;1;ecs1-1"
    assert der.state == b"st01"
    assert der.destination_host == dea(1001).origin_host
    assert der.eap_payload == ANSWER


def test_success_leads_to_the_bss_the_store_and_the_document() -> None:
    """EAP-14a."""
    bench = Bench()
    exchange = authenticated(bench)
    assert bench.only(FindSubscriber) == FindSubscriber("mno", IMSI)
    assert bench.only(KnownAs) == KnownAs("mno", IMSI, IMEI)
    assert bench.has(SendStr)
    bench.tell(FOUND)
    keep = bench.only(Keep)
    assert (keep.imsi, keep.issue_token) == (IMSI, True)
    bench.tell(Stored("the-token", None))
    answer = bench.only(Answer)
    assert answer.exchange is exchange
    assert answer.response.status == 200
    assert b'name="token" value="the-token"' in answer.response.body
    assert answer.cause == "served"
    assert "VoWiFi" in answer.decisions[0].reason
    assert bench.session.state is State.SERVED


def test_no_session_termination_when_the_aaa_keeps_no_state() -> None:
    bench = Bench()
    exchange = challenged(bench)
    bench.tell(RelayEapAnswer(post(ANSWER), exchange))
    bench.tell(AaaAnswered(dea(2001, auth_session_state=1)))
    assert not bench.has(SendStr)
    quiet = Bench(tenant_with(session_termination=False))
    authenticated(quiet)
    assert not quiet.has(SendStr)


def test_the_permanent_identity_of_the_aaa_wins_over_the_phones() -> None:
    bench = Bench()
    exchange = challenged(bench)
    bench.tell(RelayEapAnswer(post(ANSWER), exchange))
    other = NAI.replace(IMSI, "001010000000777").encode()
    bench.tell(AaaAnswered(dea(2001, mobile_node_identifier=other, user_name=b"2pseudonym")))
    assert bench.only(FindSubscriber).imsi == "001010000000777"


def test_a_subscriber_of_nobody_here_is_refused() -> None:
    bench = Bench()
    exchange = challenged(bench)
    bench.tell(RelayEapAnswer(post(ANSWER), exchange))
    bench.tell(AaaAnswered(dea(2001, mobile_node_identifier=b"0262010000000001@x")))
    assert bench.only(Answer).response.status == 403
    assert bench.session.state is State.REFUSED


def test_a_resynchronisation_gives_a_new_challenge() -> None:
    """EAP-15."""
    bench = Bench()
    exchange = challenged(bench)
    bench.tell(RelayEapAnswer(post(RESYNC), exchange))
    assert Note("resync") in bench.effects
    assert bench.only(SendDer).request.eap_payload == RESYNC
    second = CHALLENGE[:1] + b"\x03" + CHALLENGE[2:]
    bench.tell(AaaAnswered(dea(1001, second, state=b"st02")))
    assert bench.only(AnswerWithChallenge).packet == second
    bench.tell(RelayEapAnswer(post(ANSWER[:1] + b"\x03" + ANSWER[2:]), FakeExchange()))
    assert bench.only(SendDer).request.state == b"st02"


def test_a_third_resynchronisation_ends_it() -> None:
    bench = Bench()
    exchange = challenged(bench)
    for identifier in (3, 4, 5):
        resync = RESYNC[:1] + bytes((identifier - 1,)) + RESYNC[2:]
        bench.tell(RelayEapAnswer(post(resync), exchange))
        challenge = CHALLENGE[:1] + bytes((identifier,)) + CHALLENGE[2:]
        bench.tell(AaaAnswered(dea(1001, challenge)))
    assert bench.only(Answer).response.status == 503


@pytest.mark.parametrize(
    ("key", "row"), sorted(OUTCOMES.items()), ids=lambda one: str(getattr(one, "name", one))
)
def test_every_row_of_table_7(key: tuple[int, int], row: Outcome) -> None:
    """EAP-16, EAP-17, EAP-18a, EAP-18b."""
    vendor, code = key
    outcome = row
    if outcome.status == 200 or key == (0, 5002):
        return  # tests of their own
    for alternative, expected in ((False, 503), (True, 511 if outcome.alternative_helps else 503)):
        bench = Bench(tenant_with(alternative=alternative))
        exchange = challenged(bench)
        bench.tell(RelayEapAnswer(post(ANSWER), exchange))
        bench.tell(AaaAnswered(dea(code, b"\x04\x02\x00\x04", vendor=vendor)))
        answer = bench.only(Answer)
        assert answer.response.status == (403 if outcome.status == 403 else expected)
        assert answer.cause == outcome.name
        assert bench.has(Alarm) is outcome.alarm
        assert (answer.response.header(b"retry-after") is not None) == (
            answer.response.status == 503
        )


def test_503_says_when_to_come_back_and_what_time_it_is() -> None:
    bench = Bench()
    bench.tell(StartAuthentication(get(), FakeExchange()))
    bench.tell(AaaFailed(NoAnswer(NoAnswerReason.TIMEOUT)))
    response = bench.only(Answer).response
    assert response.status == 503
    assert response.header(b"retry-after") == b"15"  # 10 s and half of as much again
    assert response.header(b"date") == b"Mon, 21 Sep 2026 14:13:20 GMT"


def test_no_511_for_a_request_that_carried_a_token() -> None:
    """EAP-18b, the other half."""
    bench = Bench(tenant_with(alternative=True))
    bench.tell(StartAuthentication(get(token="abc"), FakeExchange()))
    bench.tell(AaaFailed(NoAnswer(NoAnswerReason.NO_PEER)))
    assert bench.only(Answer).response.status == 503


def test_an_aaa_that_lost_the_session_gets_one_new_conversation() -> None:
    bench = Bench()
    exchange = challenged(bench)
    bench.tell(RelayEapAnswer(post(ANSWER), exchange))
    bench.tell(AaaAnswered(dea(5002)))
    der = bench.only(SendDer).request
    assert der.session_id == b"ecs1;1;1;ecs1-1-2"
    assert (der.state, der.destination_host) == (b"", b"")
    assert der.eap_payload == identity_response(1, NAI)
    assert set(bench.session.conversation.session_ids) == {b"ecs1;1;1;ecs1-1", b"ecs1;1;1;ecs1-1-2"}
    bench.tell(AaaAnswered(dea(5002)))
    assert bench.only(Answer).response.status == 503


def test_a_conversation_whose_aaa_is_gone_begins_again_if_there_is_another() -> None:
    bench = Bench()
    bench.tell(RelayEapAnswer(post(ANSWER), challenged(bench)))
    bench.tell(AaaFailed(NoAnswer(NoAnswerReason.CONNECTION_LOST, elsewhere=True)))
    der = bench.only(SendDer).request
    assert der.session_id == b"ecs1;1;1;ecs1-1-2"
    assert (der.state, der.destination_host, der.avoided_host) == (b"", b"", dea(1001).origin_host)
    bench.tell(AaaFailed(NoAnswer(NoAnswerReason.TIMEOUT, elsewhere=True)))
    assert bench.only(Answer).response.status == 503


def test_an_identity_round_is_answered_in_the_phones_place() -> None:
    bench = Bench()
    bench.tell(StartAuthentication(get(), FakeExchange()))
    bench.tell(AaaAnswered(dea(1001, AKA_IDENTITY)))
    der = bench.only(SendDer).request
    assert der.eap_payload[:2] == b"\x02\x64"
    assert NAI.encode() in der.eap_payload
    assert bench.session.state is State.WAITING_FOR_AAA
    bench.tell(AaaAnswered(dea(1001, CHALLENGE)))
    assert bench.has(AnswerWithChallenge)


def test_an_endless_identity_round_ends() -> None:
    bench = Bench()
    bench.tell(StartAuthentication(get(), FakeExchange()))
    for _ in range(4):
        bench.tell(AaaAnswered(dea(1001, AKA_IDENTITY)))
    assert bench.only(Answer).response.status == 503


def test_an_aka_prime_challenge_is_answered_with_the_wish_for_eap_aka() -> None:
    bench = Bench()
    bench.tell(StartAuthentication(get(), FakeExchange()))
    bench.tell(AaaAnswered(dea(1001, CHALLENGE_PRIME)))
    assert bench.only(SendDer).request.eap_payload == bytes((2, 7, 0, 6, 3, 23))
    bench.tell(AaaAnswered(dea(1001, CHALLENGE)))
    assert bench.only(AnswerWithChallenge).packet == CHALLENGE


@pytest.mark.parametrize("packet", [NOTIFICATION_SUCCESS, b"", b"\x01\x02"])
def test_what_nobody_can_answer_raises_an_alarm(packet: bytes) -> None:
    bench = Bench()
    bench.tell(StartAuthentication(get(), FakeExchange()))
    bench.tell(AaaAnswered(dea(1001, packet)))
    assert bench.only(Answer).response.status == 503
    assert bench.has(Alarm)


def test_a_challenge_that_samsung_cannot_read_raises_an_alarm() -> None:
    """Q-EAP-1."""
    bench = Bench()
    bench.tell(StartAuthentication(get(), FakeExchange()))
    swapped = CHALLENGE[:8] + CHALLENGE[28:48] + CHALLENGE[8:28] + CHALLENGE[48:]
    bench.tell(AaaAnswered(dea(1001, swapped)))
    assert bench.has(Alarm)
    assert bench.only(AnswerWithChallenge).packet == swapped


@pytest.mark.parametrize(
    "packet",
    [
        ANSWER[:1] + b"\x09" + ANSWER[2:],
        CHALLENGE,
        ANSWER[:4] + b"\x32" + ANSWER[5:],
        ANSWER[:-1],
        b"\x02\x02\x00\x04",
    ],
    ids=["other identifier", "a request", "other type", "short", "no type"],
)
def test_an_answer_to_nothing_outstanding_is_refused_and_changes_nothing(packet: bytes) -> None:
    bench = Bench()
    exchange = challenged(bench)
    bench.tell(RelayEapAnswer(post(packet), exchange))
    assert bench.only(Answer).response.status == 400
    assert not bench.has(SendDer)
    bench.tell(RelayEapAnswer(post(ANSWER), FakeExchange()))
    assert bench.has(SendDer)


def test_a_repeated_post_joins_and_sends_no_second_der() -> None:
    bench = Bench()
    older = challenged(bench)
    bench.tell(RelayEapAnswer(post(ANSWER), older))
    newer = FakeExchange()
    bench.tell(RelayEapAnswer(post(ANSWER), newer))
    assert not bench.has(SendDer)
    assert bench.only(Answer).exchange is older
    bench.tell(AaaAnswered(dea(2001)))
    bench.tell(FOUND)
    bench.tell(Stored("t", None))
    assert bench.only(Answer).exchange is newer


def test_another_answer_beside_the_first_disturbs_nothing() -> None:
    bench = Bench()
    first = challenged(bench)
    bench.tell(RelayEapAnswer(post(ANSWER), first))
    flipped = ANSWER[:-1] + bytes((ANSWER[-1] ^ 1,))
    other = FakeExchange()
    bench.tell(RelayEapAnswer(post(flipped), other))
    assert bench.only(Answer).exchange is other
    assert bench.only(Answer).response.status == 400
    bench.tell(AaaAnswered(dea(2001)))
    bench.tell(RelayEapAnswer(post(flipped), FakeExchange()))
    bench.tell(FOUND)
    bench.tell(RelayEapAnswer(post(flipped), FakeExchange()))
    bench.tell(Stored("t", None))
    assert bench.only(Answer).exchange is first
    bench.tell(RelayEapAnswer(post(flipped), FakeExchange()))
    assert bench.only(Answer).response.status == 511


def test_success_without_a_challenge_is_believed_by_nobody() -> None:
    bench = Bench()
    bench.tell(StartAuthentication(get(), FakeExchange()))
    bench.tell(AaaAnswered(dea(2001)))
    assert bench.only(Answer).response.status == 503
    assert bench.has(Alarm)


@pytest.mark.parametrize("code", [2001, 0])
def test_an_eap_failure_refuses_where_the_result_does_not(code: int) -> None:
    bench = Bench()
    exchange = challenged(bench)
    bench.tell(RelayEapAnswer(post(ANSWER), exchange))
    bench.tell(AaaAnswered(dea(code, b"\x04\x02\x00\x04")))
    assert (bench.only(Answer).response.status, bench.only(Answer).cause) == (403, "EAP-Failure")


def test_a_protected_notification_of_failure_refuses() -> None:
    bench = Bench()
    exchange = challenged(bench)
    bench.tell(RelayEapAnswer(post(ANSWER), exchange))
    packet = bytes.fromhex("01660020170c00000c0100000b05000003d48194a94f43bbebe3fc96e79ed4aa")
    bench.tell(AaaAnswered(dea(1001, packet)))
    assert bench.only(Answer).response.status == 403
    assert bench.only(Answer).cause == "AKA-Notification of a failure"


def test_the_aaas_own_time_limit_bounds_the_wait_for_the_device() -> None:
    bench = Bench()
    bench.tell(StartAuthentication(get(), FakeExchange()))
    bench.tell(AaaAnswered(dea(1001, CHALLENGE, multi_round_time_out=20)))
    assert bench.only(WakeAt).at == bench.now + 20


def test_a_repeated_resynchronisation_gets_the_same_challenge_again() -> None:
    bench = Bench()
    exchange = challenged(bench)
    bench.tell(RelayEapAnswer(post(RESYNC), exchange))
    second = CHALLENGE[:1] + b"\x03" + CHALLENGE[2:]
    bench.tell(AaaAnswered(dea(1001, second)))
    bench.tell(RelayEapAnswer(post(RESYNC), FakeExchange()))
    assert bench.only(AnswerWithChallenge).packet == second
    assert not bench.has(SendDer)


def test_an_answer_replayed_after_success_is_rejected() -> None:
    """EAP-22."""
    bench = Bench()
    served(bench)
    bench.tell(RelayEapAnswer(post(ANSWER), FakeExchange()))
    assert bench.only(Answer).response.status == 511
    assert Note("replayed") in bench.effects


def test_a_document_that_nobody_took_is_given_to_the_repeated_post_once() -> None:
    bench = Bench()
    exchange = authenticated(bench)
    exchange.leave()
    bench.tell(DeviceGone(exchange))
    bench.tell(FOUND)
    bench.tell(Stored("kept", None))
    bench.tell(RelayEapAnswer(post(ANSWER), FakeExchange()))
    assert b"kept" in bench.only(Answer).response.body
    bench.tell(RelayEapAnswer(post(ANSWER), FakeExchange()))
    assert bench.only(Answer).response.status == 511


def test_an_abandoned_challenge_ends_the_session() -> None:
    """EAP-24."""
    bench = Bench()
    challenged(bench)
    deadline = bench.only(WakeAt).at
    assert deadline == bench.now + Sessions().challenge_seconds
    bench.now = deadline - 1
    assert bench.tell(TimePassed()) == [WakeAt(deadline)]  # the wheel rang for an older deadline
    bench.now = deadline
    bench.tell(TimePassed())
    assert bench.effects == [Note("abandoned"), EndSession()]


def test_a_silent_aaa_costs_the_device_no_more_than_its_budget() -> None:
    bench = Bench()
    bench.tell(StartAuthentication(get(), FakeExchange()))
    bench.now = bench.only(WakeAt).at
    bench.tell(TimePassed())
    assert bench.only(Answer).response.status == 503
    late = bench.tell(AaaAnswered(dea(1001, CHALLENGE)))
    assert late == []


@pytest.mark.parametrize("failure", [BssFailed("bss closed"), StoreFailed("store full-disk")])
def test_trouble_of_the_bss_or_the_store_is_503(failure: BssFailed | StoreFailed) -> None:
    bench = Bench()
    authenticated(bench)
    if isinstance(failure, StoreFailed):
        bench.tell(FOUND)
    bench.tell(failure)
    answer = bench.only(Answer)
    assert (answer.response.status, answer.cause) == (503, failure.cause)


def test_a_subscriber_that_the_bss_does_not_know_gets_nothing_but_an_answer() -> None:
    bench = Bench()
    authenticated(bench)
    bench.tell(SubscriberFound(None, None))
    bench.tell(Stored("t", None))
    answer = bench.only(Answer)
    assert answer.response.status == 200
    assert b'name="EntitlementStatus" value="2"' in answer.response.body
    assert "plan none lacks vowifi" in answer.decisions[0].reason


def token_message(exchange: FakeExchange, *, generation: int = 0, **more: str) -> ServeWithToken:
    request = get(EAP_ID="", token="tok", IMSI=IMSI, **more)
    return ServeWithToken(request, exchange, IMSI, "tok", 900, generation)


def test_a_token_needs_no_aaa_and_no_write() -> None:
    """TOK-26, EAP-25."""
    bench = Bench(by_token=True)
    exchange = FakeExchange()
    bench.tell(token_message(exchange))
    assert bench.only(FindSubscriber).imsi == IMSI
    bench.tell(FOUND)
    assert not bench.has(Keep)
    body = bench.only(Answer).response.body
    assert b'name="token" value="tok"' in body
    assert b'name="validity" value="900"' in body


def test_a_token_of_an_older_generation_is_void() -> None:
    """TOK-27."""
    bench = Bench(by_token=True)
    bench.tell(token_message(FakeExchange(), generation=-1))
    bench.tell(FOUND)
    assert bench.only(Answer).response.status == 511


def test_a_registration_by_token_is_kept_before_it_is_confirmed() -> None:
    """APP-42."""
    bench = Bench(by_token=True)
    bench.tell(token_message(FakeExchange(), notif_action="2", notif_token="fcm"))
    bench.tell(FOUND)
    assert bench.only(Keep).issue_token is False
    bench.tell(Stored("", 2))
    assert b'name="RegisterNotifStatus" value="2"' in bench.only(Answer).response.body


def test_requests_of_one_device_are_served_in_order_and_bounded() -> None:
    bench = Bench(by_token=True, limits=Sessions(max_requests_per_device=3))
    exchanges = [FakeExchange() for _ in range(4)]
    for exchange in exchanges:
        bench.tell(token_message(exchange))
    assert bench.only(Answer).exchange is exchanges[3]
    assert bench.only(Answer).response.status == 503
    for exchange in exchanges[:3]:
        bench.tell(FOUND)
        assert bench.only(Answer).exchange is exchange
    assert bench.session.state is State.SERVED


def test_a_device_that_leaves_the_queue_is_not_served() -> None:
    bench = Bench(by_token=True)
    first, second = FakeExchange(), FakeExchange()
    bench.tell(token_message(first))
    bench.tell(token_message(second))
    bench.tell(DeviceGone(second))
    bench.tell(FOUND)
    assert bench.only(Answer).exchange is first
    assert not bench.has(FindSubscriber)


def test_an_abort_in_mid_exchange_answers_the_device() -> None:
    bench = Bench()
    bench.tell(StartAuthentication(get(), FakeExchange()))
    bench.tell(AaaAborted())
    assert bench.only(Answer).response.status == 503


def test_a_session_that_rests_keeps_no_request() -> None:
    bench = Bench()
    served(bench)
    assert bench.session.request is None
    assert bench.session.subscriber is None
    bench.now = bench.only(WakeAt).at
    bench.tell(TimePassed())
    assert bench.effects == [EndSession()]


def test_the_repr_names_no_subscriber() -> None:
    bench = Bench()
    served(bench)
    assert repr(bench.session) == "<Session of mno SERVED>"
