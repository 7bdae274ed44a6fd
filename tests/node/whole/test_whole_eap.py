"""EAP-AKA through the whole node: what every check of the relay asks for (EAP-13 to EAP-25)."""

from collections.abc import Callable

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from protocols.diameter import dictionary as d
from protocols.eap.numbers import AT_MAC
from protocols.eap.packet import identity_response
from scripts.lab.device_http import Field
from scripts.lab.phone import MAX_CHALLENGES, Outcome, PhoneResult
from scripts.lab.phone_habits import AOSP, EAP_RELAY, SAMSUNG, Habits
from tests.node.whole.conftest import Whole
from tests.node.whole.device_legs import answer_of, first_leg, relay
from tests.node.whole.whole_node import asking, subscriber

BOTH_HABITS = pytest.mark.parametrize("habits", [AOSP, SAMSUNG], ids=lambda one: one.name)


@pytest.mark.parametrize("http2", [True, False], ids=["h2", "http/1.1"])
async def test_a_first_leg_gets_a_challenge_and_one_cookie(whole: Whole, http2: bool) -> None:
    """EAP-13a; Q-COOKIE-1, Q-COOKIE-2, Q-DOC-2, Q-EAP-1, Q-EAP-2."""
    async with whole() as node, node.connected(http2=http2) as connection:
        leg = await first_leg(node.phone(1), connection)
        assert leg.response.header(b"content-type") == EAP_RELAY
        assert len(leg.response.all(b"set-cookie")) == 1
        assert leg.packet[0] == 1
        assert leg.packet[4:6] == bytes((23, 1))
        assert (leg.packet[8], leg.packet[28]) == (1, 2)  # AT_RAND, AT_AUTN
        assert b"\n" not in leg.response.body


async def test_both_diameter_requests_are_what_the_standards_ask_for(whole: Whole) -> None:
    """EAP-13b, EAP-14a, EAP-14b; Q-EAP-9: the identity exactly as sent, State echoed."""
    async with whole() as node, node.connected() as connection:
        seen = node.requests_to(node.aaa)
        phone = node.phone(1)
        leg = await first_leg(phone, connection)
        answer = answer_of(phone, leg.response)
        final = await relay(answer, connection, leg.cookie_field)
        assert final.status == 200
        assert b'"TOKEN"' in final.body
        await node.until(lambda: len(seen) == 3)  # the STR comes last
        first, second, str_ = seen
        assert first.octets(d.EAP_PAYLOAD) == identity_response(1, phone.nai)
        assert first.text(d.USER_NAME) == phone.nai
        assert d.STATE not in first
        assert d.DESTINATION_HOST not in first
        assert second.octets(d.EAP_PAYLOAD) == answer
        assert second.octets(d.STATE) == b"lab-1"
        assert second.text(d.DESTINATION_HOST) == node.aaa.server.origin.host
        sessions = {one.text(d.SESSION_ID) for one in seen}
        assert len(sessions) == 1
        assert str_.i32(d.TERMINATION_CAUSE) == 1
        await node.until(lambda: not node.aaa.books.open)


@BOTH_HABITS
async def test_a_card_out_of_step_gets_a_second_challenge(whole: Whole, habits: Habits) -> None:
    """EAP-15; Q-COOKIE-5, Q-EAP-7, Q-EAP-12: by the cookie of the first challenge."""
    async with whole() as node:
        phone = node.phone(1, habits)
        phone.usim.lose_synchronisation()
        result = await phone.authenticate()
        assert (result.ok, result.challenges) == (True, 2), result
        assert node.counted("eap_events")["mno", "resync"] == 1


async def test_the_cookie_is_set_once_and_never_changed(whole: Whole) -> None:
    """EAP-15; Q-COOKIE-5."""
    async with whole() as node, node.connected() as connection:
        phone = node.phone(1)
        phone.usim.lose_synchronisation()
        leg = await first_leg(phone, connection)
        second = await relay(answer_of(phone, leg.response), connection, leg.cookie_field)
        assert second.status == 200
        assert second.header(b"content-type") == EAP_RELAY
        assert {one.partition(b";")[0] for one in second.all(b"set-cookie")} <= {leg.cookie}
        final = await relay(answer_of(phone, second), connection, leg.cookie_field)
        assert final.status == 200


async def test_a_network_that_never_resynchronises_does_not_loop(whole: Whole) -> None:
    """EAP-15; Q-EAP-6: the node ends it before the phone gives up, with a transient status."""
    async with whole({"sessions": {"max-challenges": 2}}) as node:
        node.behave("stale=9")
        result = await node.phone(1).authenticate()
        assert (result.outcome, result.challenges) == (Outcome.REFUSED, 2)
        assert result.status == 503
        assert result.retry_after is not None


async def test_an_aaa_that_gives_up_resynchronising_is_obeyed(whole: Whole) -> None:
    """EAP-15, EAP-16: its 4001 is 403."""
    async with whole() as node:
        node.behave("stale=9")
        result = await node.phone(1).authenticate()
        assert (result.status, result.outcome) == (403, Outcome.REFUSED)
        assert result.challenges <= MAX_CHALLENGES


@BOTH_HABITS
async def test_a_wrong_res_is_403_without_a_token(whole: Whole, habits: Habits) -> None:
    """EAP-16; Q-EAP-8: EAP-Failure never reaches the phone."""
    async with whole({"sessions": {"finished-seconds": 0.05}}) as node:
        phone = node.phone(1, habits)
        result = await phone.wrong_res()
        assert (result.outcome, result.status) == (Outcome.REFUSED, 403)
        assert phone.token == ""
        assert (await phone.authenticate()).ok  # nothing is held against the subscriber
        await node.at_rest()


@pytest.mark.parametrize("words", ["unknown", "unknown,notify-failure", "result=5003"])
async def test_a_subscriber_whom_the_aaa_does_not_serve_is_403(whole: Whole, words: str) -> None:
    """EAP-17; the notification round before the refusal is the node's to answer."""
    async with whole() as node:
        node.behave(words)
        result = await node.phone(1).authenticate()
        assert (result.outcome, result.status) == (Outcome.REFUSED, 403)


async def test_a_stranger_is_403_before_any_aaa_is_asked(whole: Whole) -> None:
    """EAP-17: an identity of another network."""
    async with whole() as node, node.connected() as connection:
        query = (
            b"/?EAP_ID=0999991234567890%40nai.epc.mnc099.mcc999.3gppnetwork.org"
            b"&terminal_id=356000000000018&app=ap2004&entitlement_version=2.0"
        )
        assert (await connection.request(b"GET", query)).status == 403
        assert node.asked() == 0


@pytest.mark.parametrize("cookie", [None, b"SID=x", b"SID=" + b"3" * 260, b"SID=; SID==;;", b"=;"])
async def test_an_eap_answer_of_nobody_is_refused_without_the_aaa(
    whole: Whole, cookie: bytes | None
) -> None:
    """EAP-19; Q-HTTP-6: 511, so that the client starts over."""
    async with whole() as node, node.connected() as connection:
        leg = await first_leg(node.phone(1), connection)
        packet = answer_of(node.phone(1), leg.response)
        asked, bad = node.asked(), node.bad_inputs()
        fields = ((b"cookie", cookie),) if cookie is not None else ()
        assert (await relay(packet, connection, *fields)).status == 511
        assert node.asked() == asked
        assert node.bad_inputs() == bad + 1
        # The conversation of that phone is untouched.
        assert (await relay(packet, connection, leg.cookie_field)).status == 200


@pytest.mark.parametrize("http2", [True, False], ids=["h2", "http/1.1"])
@pytest.mark.parametrize(
    "shape",
    ["attributes", "several lines", "stale one first", "attribute first", "no blanks", "quoted"],
)
async def test_the_session_is_found_whatever_a_client_makes_of_the_cookie(
    whole: Whole, shape: str, http2: bool
) -> None:
    """EAP-20a, EAP-20b; Q-COOKIE-3, Q-COOKIE-4."""
    async with whole() as node, node.connected(http2=http2) as connection:
        phone = node.phone(1)
        leg = await first_leg(phone, connection)
        value = leg.cookie
        fields: dict[str, tuple[Field, ...]] = {
            "attributes": ((b"cookie", value + b"; Path=/; Secure; HttpOnly"),),
            "several lines": ((b"cookie", b"other=1"), (b"cookie", value), (b"cookie", b"b=2")),
            "stale one first": ((b"cookie", b"SID=3456; " + value),),
            "attribute first": ((b"cookie", b"Path=/; HttpOnly; " + value),),
            "no blanks": ((b"cookie", b"a=1;" + value + b";Secure"),),
            "quoted": ((b"cookie", value.replace(b"SID=", b'SID="') + b'"'),),
        }
        answer = answer_of(phone, leg.response)
        assert (await relay(answer, connection, *fields[shape])).status == 200


async def test_an_answer_that_is_replayed_after_success_is_rejected(whole: Whole) -> None:
    """EAP-22; Q-TR-16."""
    async with whole() as node, node.connected() as connection:
        phone = node.phone(1)
        leg = await first_leg(phone, connection)
        answer = answer_of(phone, leg.response)
        assert (await relay(answer, connection, leg.cookie_field)).status == 200
        asked = node.asked()
        again = await relay(answer, connection, leg.cookie_field)
        assert again.status == 511
        assert b"TOKEN" not in again.body
        assert node.asked() == asked
        assert node.counted("eap_events")["mno", "replayed"] == 1


async def test_an_answer_that_is_replayed_when_the_session_is_forgotten_gets_no_token(
    whole: Whole,
) -> None:
    """EAP-22: the sealed cookie would still open, but its exchange is over."""
    async with whole({"sessions": {"finished-seconds": 0.05}}) as node, node.connected() as one:
        phone = node.phone(1)
        leg = await first_leg(phone, one)
        answer = answer_of(phone, leg.response)
        assert (await relay(answer, one, leg.cookie_field)).status == 200
        await node.until(lambda: not node.node.sessions.pool.statistics().alive)
        asked = node.asked()
        again = await relay(answer, one, leg.cookie_field)
        assert again.status == 511
        assert node.asked() == asked


async def test_a_device_that_repeats_its_first_leg_gets_its_document(whole: Whole) -> None:
    """EAP-22; Q-TR-16: no answer, so the phone asks again, perhaps at another address."""
    async with whole() as node, node.connected() as one, node.connected() as two:
        phone = node.phone(1)
        await first_leg(phone, one)
        leg = await first_leg(phone, two)
        answer = answer_of(phone, leg.response)
        assert (await relay(answer, two, leg.cookie_field)).status == 200


@pytest.mark.slow
async def test_two_hundred_phones_at_once_all_get_their_own_document(
    whole: Whole, record_property: Callable[[str, object], None]
) -> None:
    """EAP-23; Q-TR-1: all correct, and nothing is left of them."""
    # Both ends share this thread: with 200 handshakes at once nothing is quick.
    patient = {
        "sessions": {"finished-seconds": 0.05, "answer-seconds": 10.0},
        "diameter": {"answer-seconds": 5.0, "exchange-seconds": 8.0},
        "overload": {"enabled": False},
    }
    async with whole(patient) as node:
        results: dict[str, PhoneResult] = {}

        async def authenticate(number: int) -> None:
            who = subscriber(1_000 + number)
            phone = node.phone(who, SAMSUNG if number % 2 else AOSP, http2=number % 3 > 0)
            if number % 10 == 0:
                phone.usim.lose_synchronisation()
            results[who.imsi] = await phone.authenticate(("ap2004",))
            assert results[who.imsi].ok, results[who.imsi]
            assert (await phone.with_token(("ap2004",))).ok

        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(authenticate, number)
        assert len(results) == 200
        tokens = {one.document.token for one in results.values() if one.document}
        assert len(tokens) == 200
        legs = sorted(seconds for one in results.values() for _, seconds in one.legs)
        record_property("p95_seconds", legs[int(len(legs) * 0.95)])
        assert legs[-1] < 5.0  # Q-TR-1: far under the 30 s for which phones wait
        await node.at_rest()


async def test_a_phone_that_never_answers_is_forgotten(whole: Whole, mock_clock: MockClock) -> None:
    """EAP-24; Q-EAP-5: silent after a wrong AUTN, or out of coverage."""
    mock_clock.rate = 1.0
    async with whole() as node:
        node.behave("forged", "001010000000002")
        assert (await node.phone(1).abandon()).outcome is Outcome.ABANDONED
        silent = await node.phone(2).authenticate()
        assert silent.outcome is Outcome.NETWORK_NOT_TRUSTED
        assert node.node.sessions.pool.statistics().alive == 2
        mock_clock.jump(46)
        await node.at_rest()
        assert node.counted("eap_events")["mno", "abandoned"] == 2
        assert (await node.phone(1).authenticate()).ok


@pytest.mark.parametrize(("skips", "new_ders"), [(True, 0), (False, 1)])
async def test_eap_id_together_with_a_valid_token_needs_no_aaa_when_so_configured(
    whole: Whole, skips: bool, new_ders: int
) -> None:
    """EAP-25."""
    changes = {"tenants": {0: {"authentication": {"token-skips-aaa": skips}}}}
    async with whole(changes) as node:
        phone = await node.with_token(1)
        asked = node.asked()
        response = await node.get({**asking(phone), "EAP_ID": phone.nai})
        assert response.status == 200
        assert node.asked() == asked + new_ders
        assert (response.header(b"content-type") == EAP_RELAY) is not skips


async def test_eap_id_together_with_a_stale_token_authenticates(whole: Whole) -> None:
    """EAP-25, TOK-27; Q-HTTP-2."""
    async with whole() as node:
        phone = node.phone(1)
        phone.token = "A" * 51
        response = await node.get({**asking(phone), "EAP_ID": phone.nai})
        assert response.header(b"content-type") == EAP_RELAY


@pytest.mark.parametrize("words", ["aka-identity", "permanent-identity", "eap-identity", "prime"])
@BOTH_HABITS
async def test_rounds_that_phones_cannot_answer_are_answered_by_the_node(
    whole: Whole, words: str, habits: Habits
) -> None:
    """EAP-13; Q-EAP-2: identity rounds, and a Nak to AKA', before the challenge."""
    async with whole() as node:
        node.behave(words)
        result = await node.phone(1, habits).authenticate()
        assert (result.ok, result.challenges) == (True, 1), result


async def test_an_aaa_that_does_what_no_phone_can_is_a_transient_fault(whole: Whole) -> None:
    """Q-EAP-2, Q-HTTP-3: never a status that phones remember."""
    async with whole() as node:
        node.behave("reauthentication")
        result = await node.phone(1).authenticate()
        assert (result.outcome, result.status) == (Outcome.REFUSED, 503)
        assert result.retry_after is not None


async def test_attributes_in_another_order_are_relayed_untouched_and_the_operator_is_told(
    whole: Whole,
) -> None:
    """Q-EAP-1: AOSP reads them, Samsung cannot."""
    async with whole() as node, node.connected() as connection:
        node.behave("mac-first")
        with capture_logs() as lines:
            leg = await first_leg(node.phone(1), connection)
        assert leg.packet[8] == AT_MAC
        assert [one["tenant"] for one in lines if one["event"] == "alarm"] == ["mno"]
        assert (await node.phone(1).authenticate()).ok
