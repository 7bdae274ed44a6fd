"""Good HTTP with bad content: never 500, counted, and the node at rest afterwards."""

import contextlib
import json
from collections.abc import Callable
from functools import partial

import pytest
import trio

from scripts.lab.device_http import DeviceConnection, DeviceHttpError, Field, Response
from scripts.lab.phone_habits import EAP_RELAY, JSON
from tests.node.whole.conftest import Whole
from tests.node.whole.device_legs import (
    ACCEPT_BOTH,
    RELAY_TYPE,
    answer_of,
    first_leg,
    relay,
    relay_body,
)
from tests.node.whole.whole_node import WholeNode

QUICK_END = {"sessions": {"finished-seconds": 0.05}}
BOTH_VERSIONS = pytest.mark.parametrize("http2", [True, False], ids=["h2", "http/1.1"])

BODIES: dict[str, tuple[bytes, bytes, int]] = {
    "no JSON": (JSON, b"{", 400),
    "not an object": (JSON, b"[1, 2]", 400),
    "a text": (JSON, b'"app"', 400),
    "nothing": (JSON, b"", 400),
    "not UTF-8": (JSON, b'{"app": "\xff\xfe"}', 400),
    "a lone surrogate": (JSON, b'{"app": "ap2004", "terminal_id": "\\ud800"}', 400),
    "far too deep": (JSON, b'{"app":' * 4_000, 400),
    "a number out of range": (JSON, b'{"app": 1e999}', 400),
    "nulls": (JSON, b'{"app": null, "terminal_id": null}', 400),
    "relay without a packet": (EAP_RELAY, b"{}", 400),
    "relay of a number": (EAP_RELAY, b'{"eap-relay-packet": 7}', 400),
    "relay that is no base64": (EAP_RELAY, b'{"eap-relay-packet": "*AgIA"}', 400),
    "relay of too few octets": (EAP_RELAY, b'{"eap-relay-packet": "AgI="}', 400),
    "relay that is no JSON": (EAP_RELAY, b"AgIAKBcBAAA=", 400),
    "another type": (b"application/x-www-form-urlencoded", b"app=ap2004", 400),
    "too large": (JSON, b"{" + b" " * 40_000 + b"}", 413),
}


@BOTH_VERSIONS
@pytest.mark.parametrize("what", BODIES)
async def test_a_body_that_cannot_be_right_is_refused_and_counted(
    whole: Whole, what: str, http2: bool
) -> None:
    """EAP-21; the connection goes on, unless it was too large."""
    kind, body, status = BODIES[what]
    async with whole(QUICK_END) as node:
        phone = await node.with_token(1)
        bad, asked = node.bad_inputs(), node.asked()
        async with node.connected(http2=http2) as connection:
            leg = await first_leg(phone, connection)
            headers = ((b"content-type", kind), leg.cookie_field)
            response = await connection.request(b"POST", b"/", headers, body)
            assert response.status == status
            answer = answer_of(phone, leg.response)
            fresh = connection if not connection.closed else await node.target().connect()
            async with fresh:
                assert (await relay(answer, fresh, leg.cookie_field)).status == 200
        await node.until(lambda: node.bad_inputs() > bad)
        assert node.asked() == asked + 2 + 1  # two DERs and an STR of the good exchange
        await node.at_rest()


def with_identifier(packet: bytes, identifier: int) -> bytes:
    return packet[:1] + bytes((identifier,)) + packet[2:]


def changed(packet: bytes, at: int, value: int) -> bytes:
    return packet[:at] + bytes((value,)) + packet[at + 1 :]


WRONG_ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "another identifier": lambda packet: with_identifier(packet, packet[1] ^ 0x55),
    "a request": lambda packet: changed(packet, 0, 1),
    "a success": lambda packet: b"\x03" + packet[1:2] + b"\0\x04",
    "EAP-AKA'": lambda packet: changed(packet, 4, 50),
    "an identity": lambda packet: packet[:2] + b"\0\x09\x01abcd",
    "a subtype of nobody": lambda packet: changed(packet, 5, 99),
    "too short for its length": lambda packet: packet[:-4],
    "a length of nothing": lambda packet: packet[:2] + bytes(2) + packet[4:],
}


@pytest.mark.parametrize("what", WRONG_ANSWERS)
async def test_an_eap_answer_to_something_else_is_400_and_the_right_one_still_works(
    whole: Whole, what: str
) -> None:
    """RFC 3748 §4.1: never relayed; the exchange is not ended by whoever knows its cookie."""
    async with whole(QUICK_END) as node, node.connected() as connection:
        phone = node.phone(1)
        leg = await first_leg(phone, connection)
        answer = answer_of(phone, leg.response)
        asked = node.asked()
        response = await relay(WRONG_ANSWERS[what](answer), connection, leg.cookie_field)
        assert response.status == 400
        assert node.asked() == asked
        assert (await relay(answer, connection, leg.cookie_field)).status == 200


QUERIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "no values": (b"?app&terminal_id&entitlement_version&EAP_ID", 400),
    "escapes of nothing": (b"?app=%zz&terminal_id=%&entitlement_version=%2", 400),
    "two subscribers": (b"?EAP_ID=a%40b&EAP_ID=c%40d&app=ap2004&entitlement_version=2.0", 400),
    "an EAP_ID of noise": (
        b"?EAP_ID=%00%ff&terminal_id=1&app=ap2004&entitlement_version=2.0",
        400,
    ),
    "an IMSI of letters": (
        b"?IMSI=abc&token=x&terminal_id=1&app=ap2004&entitlement_version=2.0",
        400,
    ),
    "a version of letters": (b"?terminal_id=1&app=ap2004&entitlement_version=x", 400),
    "too many": (b"?" + b"&".join(b"p%d=1" % at for at in range(300)), 400),
    "no authentication": (b"?terminal_id=1&app=ap2004&entitlement_version=2.0", 511),
}


@BOTH_VERSIONS
@pytest.mark.parametrize("what", QUERIES)
async def test_a_query_that_cannot_be_right_is_refused(
    whole: Whole, what: str, http2: bool
) -> None:
    """T-10, AUTH-31 without a provider."""
    query, status = QUERIES[what]
    async with whole(QUICK_END) as node:
        async with node.connected(http2=http2) as connection:
            response = await connection.request(b"GET", b"/" + query, (ACCEPT_BOTH,))
            assert response.status == status
        assert node.asked() == 0
        await node.at_rest()


async def test_a_long_query_is_refused_by_size_not_by_crash(whole: Whole) -> None:
    async with whole(QUICK_END) as node:
        for http2 in (True, False):
            async with node.connected(http2=http2) as connection:
                with contextlib.suppress(DeviceHttpError):
                    response = await connection.request(b"GET", b"/?app=" + b"a" * 30_000)
                    assert response.status in (400, 413, 414, 431)
        await node.at_rest()


async def test_one_terminal_cannot_keep_every_session_busy(whole: Whole) -> None:
    """Ours: so many unfinished exchanges for one terminal, then 503; others are served."""
    limits = {"sessions": {"finished-seconds": 0.05, "max-requests-per-device": 4}}
    async with whole(limits) as node, node.connected() as connection:
        statuses = []
        for _ in range(6):
            query = (
                f"/?EAP_ID={node.phone(1).nai.replace('@', '%40')}&terminal_id=35600000&app=ap2004"
            )
            response = await connection.request(
                b"GET", f"{query}&entitlement_version=2.0".encode(), (ACCEPT_BOTH,)
            )
            statuses.append(response.status)
        assert statuses == [200] * 4 + [503] * 2
        assert (await node.phone(2).authenticate()).ok


async def test_devices_that_leave_in_the_middle_leave_nothing_behind(whole: Whole) -> None:
    """Reset with a DER in flight, in either round, on both versions of HTTP."""
    async with whole(QUICK_END) as node:
        node.behave("delay=0.1")
        for http2 in (True, False):
            asked = node.asked()
            async with trio.open_nursery() as nursery:
                connection = await node.target(http2=http2).connect()
                nursery.start_soon(_ask_in_vain, node, connection)
                await node.until(partial(_asked_more, node, asked))
                connection.close()
                nursery.cancel_scope.cancel()
        await node.at_rest()
        assert node.node.listener.statistics().abandoned == 2
        node.behave("")
        assert (await node.phone(1).authenticate()).ok


def _asked_more(node: WholeNode, before: int) -> bool:
    return node.asked() > before


async def _ask_in_vain(node: WholeNode, connection: DeviceConnection) -> None:
    with contextlib.suppress(DeviceHttpError, trio.ClosedResourceError):
        await first_leg(node.phone(1), connection)


async def test_a_storm_of_bad_and_good_ends_at_rest(whole: Whole) -> None:
    """Everything at once; the good ones all succeed."""
    async with whole(QUICK_END) as node:
        answers: list[Response] = []

        async def bad(number: int) -> None:
            fields: tuple[Field, ...] = (RELAY_TYPE, (b"cookie", b"SID=%d" % number))
            body = relay_body(bytes(number % 40)) if number % 2 else json.dumps({}).encode()
            answers.append(await node.post(body, *fields, http2=number % 3 > 0))

        async def good(number: int) -> None:
            result = await node.phone(number).authenticate()
            assert result.ok, result

        async with trio.open_nursery() as nursery:
            for number in range(1, 41):
                nursery.start_soon(bad, number)
                nursery.start_soon(good, number)
        assert {one.status for one in answers} <= {400, 511}
        assert node.bad_inputs() >= 40
        await node.at_rest()
