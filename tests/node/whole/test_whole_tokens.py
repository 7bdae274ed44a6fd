"""Tokens over the wire: reuse, binding, revocation, end of validity (TOK-26 to TOK-30)."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from scripts.lab.device_http import Response
from scripts.lab.phone_habits import XML
from tests.node.whole.conftest import Whole
from tests.node.whole.device_legs import answer_of, first_leg, relay
from tests.node.whole.whole_node import MVNO_HOST, WholeNode, asking, mvno_subscriber, subscriber
from tests.protocols.ts43.document_readers import read_xml

ACCEPT_XML = (b"accept", XML)

Later = Callable[[float], None]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Iterator[Later]:
    """Put the wall clock forward by some seconds; the node's timers do not notice."""
    real = time.time
    with monkeypatch.context() as patch:
        yield lambda seconds: patch.setattr(time, "time", lambda: real() + seconds)


@contextmanager
def no_aaa(node: WholeNode) -> Iterator[None]:
    """Nothing in here may lead to a DER."""
    before = node.asked()
    yield
    assert node.asked() == before


def token_in(response: Response) -> dict[str, str]:
    found: dict[str, str] = read_xml(response.body)["TOKEN"]
    return found


async def test_a_token_serves_again_and_again_without_the_aaa(whole: Whole) -> None:
    """TOK-26; Q-TOK-1, Q-TOK-2: and says for how long it is good."""
    async with whole() as node:
        phone = await node.with_token(1)
        with no_aaa(node):
            for app in ("ap2004", "ap2003", "ap2005") * 3:
                response = await node.get(asking(phone, app), ACCEPT_XML)
                assert response.status == 200
                found = token_in(response)
                assert found["token"] == phone.token
                assert 172_700 < int(found["validity"]) <= 172_800


@pytest.mark.parametrize(
    "token", ["garbage", "A" * 51, "-" * 51, "", "ä" * 51, "A" * 4_000, "'; DROP TABLE tokens;--"]
)
async def test_a_token_that_is_none_is_511(whole: Whole, token: str) -> None:
    """TOK-27; Q-HTTP-2, Q-HTTP-6."""
    async with whole() as node:
        phone = await node.with_token(1)
        with no_aaa(node):
            response = await node.get({**asking(phone), "token": token})
            assert response.status == 511
        assert (await node.get(asking(phone))).status == 200


async def test_a_token_of_another_terminal_or_application_is_511(whole: Whole) -> None:
    """TOK-27; Q-TR-14: bound on the server side."""
    async with whole() as node:
        phone = await node.with_token(1, "ap2004")
        with no_aaa(node):
            for wrong in (
                {"terminal_id": "356000000000026"},
                {"IMSI": subscriber(2).imsi},
                {"app": "ap2003"},
                {"app_name": "another"},
            ):
                response = await node.get({**asking(phone), **wrong})
                assert response.status == 511, wrong


@pytest.mark.parametrize("with_imsi", [True, False])
async def test_a_token_of_another_tenant_is_never_served(whole: Whole, with_imsi: bool) -> None:
    """TOK-27, MT-54."""
    async with whole() as node:
        ours = await node.with_token(1)
        theirs = node.phone(mvno_subscriber(1), host=MVNO_HOST)
        assert (await theirs.authenticate()).ok
        stolen = {**asking(theirs), "token": ours.token}
        if not with_imsi:
            del stolen["IMSI"]
        assert (await node.get(stolen, host=MVNO_HOST)).status == 511
        assert (await node.get(asking(theirs), host=MVNO_HOST)).status == 200


async def test_a_token_ends_with_its_validity(whole: Whole, later: Later) -> None:
    """TOK-27."""
    async with whole() as node:
        phone = await node.with_token(1)
        later(172_790)
        response = await node.get(asking(phone), ACCEPT_XML)
        assert response.status == 200
        assert int(token_in(response)["validity"]) <= 10
        later(172_801)
        assert (await node.get(asking(phone))).status == 511
        assert (await phone.authenticate()).ok
        assert (await node.get(asking(phone))).status == 200


async def test_a_replaced_token_is_good_for_its_grace_period(whole: Whole, later: Later) -> None:
    """TOK-26; Q-TOK-1: a phone that lost the answer still has the old one."""
    async with whole() as node:
        phone = await node.with_token(1)
        old = asking(phone)
        assert (await phone.authenticate()).ok
        assert phone.token != old["token"]
        assert (await node.get(old)).status == 200
        later(601)
        assert (await node.get(old)).status == 511
        assert (await node.get(asking(phone))).status == 200


async def test_two_clients_of_one_phone_keep_their_own_tokens(whole: Whole) -> None:
    """TOK-29; Q-TOK-4: by app_name."""
    async with whole() as node:
        phone = node.phone(1)
        tokens = {}
        for name in ("com.example.one", "com.example.two"):
            async with node.connected() as connection:
                leg = await first_leg(phone, connection, app_name=name)
                final = await relay(answer_of(phone, leg.response), connection, leg.cookie_field)
                tokens[name] = token_in(final)["token"]
        assert len(set(tokens.values())) == 2
        for name, token in tokens.items():
            own = {**asking(phone), "token": token, "app_name": name}
            assert (await node.get(own)).status == 200
            other = next(one for one in tokens if one != name)
            assert (await node.get({**own, "app_name": other})).status == 511


async def test_tokens_have_a_form_that_no_client_breaks(whole: Whole) -> None:
    """TOK-30; Q-TR-5: no comma, below 4 kB, and nobody's identity in them."""
    async with whole() as node:
        for number in range(1, 6):
            phone = await node.with_token(number, "ap2004")
            assert re.fullmatch(r"[A-Za-z0-9_-]{40,4000}", phone.token)
            assert phone.usim.imsi[-6:] not in phone.token


async def test_what_an_operator_revokes_dies_at_once(whole: Whole) -> None:
    """TOK-27: by the command line, beside the running node."""
    async with whole() as node:
        lost, other = await node.with_token(1), await node.with_token(2)
        await node.operate("tokens", "revoke", "-t", "mno", "--imsi", lost.usim.imsi)
        assert (await node.get(asking(lost))).status == 511
        assert (await node.get(asking(other))).status == 200


async def test_another_card_voids_the_tokens_of_the_old_one(whole: Whole) -> None:
    """TOK-27: a SIM swap."""
    async with whole() as node:
        await node.change(1, "--iccid", "89490000000000000011")
        phone = await node.with_token(1)
        await node.change(1, "--iccid", "89490000000000000029")
        assert (await node.get(asking(phone))).status == 511
