"""Requests that overlap: repeated POSTs, one connection for many, reload and drain in between."""

import signal
from pathlib import Path

import pytest
import trio

from scripts.lab.aaa_behaviour import parse_behaviour
from scripts.lab.aaa_running import HOST, REALM, running_aaa
from scripts.lab.device_http import Response
from scripts.lab.phone import PhoneResult
from scripts.lab.phone_habits import XML
from tests.node.whole.conftest import Whole
from tests.node.whole.device_legs import answer_of, first_leg, relay
from tests.node.whole.whole_node import LabFolder, asking, serving
from tests.protocols.ts43.document_readers import read_xml

QUICK_END = {"sessions": {"finished-seconds": 0.05}}
SECOND = f"aaa2.{REALM}"


async def test_many_phones_share_one_connection(whole: Whole) -> None:
    """HTTP/2, as behind a home router's proxy: every stream gets its own answer."""
    async with whole(QUICK_END) as node, node.connected() as connection:
        tokens: dict[int, str] = {}

        async def authenticate(number: int) -> None:
            phone = node.phone(number)
            result = await phone.authenticate(("ap2004",), connection)
            assert result.ok, result
            assert (await phone.with_token(("ap2004",), connection)).ok
            tokens[number] = phone.token

        async with trio.open_nursery() as nursery:
            for number in range(1, 25):
                nursery.start_soon(authenticate, number)
        assert len(set(tokens.values())) == 24
        assert node.node.listener.statistics().accepted == 1


async def test_an_answer_that_is_sent_twice_at_once_is_one_request_to_the_aaa(
    whole: Whole,
) -> None:
    """Q-TR-16: the newer POST gets the document, the older one an excuse; the AAA hears one."""
    async with whole(QUICK_END) as node, node.connected() as one, node.connected() as two:
        phone = node.phone(1)
        node.behave("delay=0.2,round=2")
        leg = await first_leg(phone, one)
        answer = answer_of(phone, leg.response)
        responses: dict[str, Response] = {}

        async def send(name: str) -> None:
            connection = one if name == "older" else two
            responses[name] = await relay(answer, connection, leg.cookie_field)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, "older")
            await node.until(lambda: node.asked() == 2)
            nursery.start_soon(send, "newer")
        assert (responses["older"].status, responses["newer"].status) == (503, 200)
        assert responses["older"].header(b"retry-after") is not None
        assert node.aaa.books.retransmissions == 0
        assert node.aaa.books.of(phone.usim.imsi)[0].rounds == 2
        await node.until(lambda: node.counted("eap_events").get(("mno", "repeated")) == 1)


async def test_an_answer_whose_document_was_lost_is_answered_once_more(whole: Whole) -> None:
    """The device's network went away with the document on its way; it repeats its POST."""
    async with whole() as node:
        phone = node.phone(1)
        node.behave("delay=0.2,round=2")
        async with node.connected() as connection:
            leg = await first_leg(phone, connection)
            answer = answer_of(phone, leg.response)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(relay, answer, connection, leg.cookie_field)
                await node.until(lambda: node.asked() == 2)
                nursery.cancel_scope.cancel()
        await node.until(lambda: ("mno", "success") in node.counted("eap_events"))
        await node.until(lambda: node.node.store.statistics().waiting == 0)
        async with node.connected() as connection:
            found = await relay(answer, connection, leg.cookie_field)
            assert found.status == 200
            phone.token = read_xml(found.body)["TOKEN"]["token"]
            assert (await relay(answer, connection, leg.cookie_field)).status == 511
        assert (await node.get(asking(phone))).status == 200


async def test_a_token_request_during_an_authentication_is_served(whole: Whole) -> None:
    """Q-TOK-1: two applications of one phone, each with its own way in."""
    async with whole(QUICK_END) as node:
        phone = await node.with_token(1)
        before = asking(phone)
        node.behave("delay=0.2,round=1")
        results: list[PhoneResult] = []

        async def authenticate() -> None:
            results.append(await phone.authenticate())

        asked = node.asked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(authenticate)
            await node.until(lambda: node.asked() > asked)
            response = await node.get(before, (b"accept", XML))
            assert response.status == 200
            assert not results
        assert results[0].ok
        await node.at_rest()


async def test_a_peer_that_a_reload_takes_away_leaves_no_phone_without_an_answer(
    whole: Whole,
) -> None:
    """With DERs in flight at it: they fail over to the one that stays."""
    async with whole(QUICK_END, aaas=(HOST, SECOND)) as node:
        for one in node.aaas:
            one.behaviours.set("*", parse_behaviour("delay=0.2,round=1"))
        results: list[PhoneResult] = []

        async def authenticate(number: int) -> None:
            results.append(await node.phone(number).authenticate())

        async with trio.open_nursery() as nursery:
            for number in range(1, 21):
                nursery.start_soon(authenticate, number)
            await node.until(lambda: node.asked() == 20)
            stays = {"host": SECOND, "address": "127.0.0.1", "port": node.aaas[1].port}
            node.rewrite({"diameter": {"peers": [stays]}})
            node.node.reload()
        assert {one.status for one in results} == {200}
        await node.at_rest()


@pytest.mark.parametrize("http2", [True, False], ids=["h2", "http/1.1"])
async def test_a_drain_between_the_legs_ends_idle_connections_at_once(
    lab: LabFolder, tmp_path: Path, http2: bool
) -> None:
    """SIGTERM while the phone computes: with cookie keys the next node goes on."""
    async with running_aaa() as aaa:
        keys = {"node": {"cookie-keys": ["A" * 43], "drain-seconds": 5.0}}
        path = lab.prepare(tmp_path, [(HOST, aaa.port)], keys)
        async with serving(lab, path, [aaa]) as node:
            await node.connected_to_aaa()
            phone = node.phone(1)
            async with node.connected(http2=http2) as connection:
                leg = await first_leg(phone, connection)
                began = trio.current_time()
                signal.raise_signal(signal.SIGTERM)
                await node.until(lambda: not node.node.listener.statistics().open)
                assert trio.current_time() - began < 4.0
        async with serving(lab, path, [aaa]) as node, node.connected() as connection:
            await node.connected_to_aaa()
            answer = answer_of(phone, leg.response)
            assert (await relay(answer, connection, leg.cookie_field)).status == 200
