"""Phones with both habits over real TLS, in both HTTP versions, and everything that stops them."""

import json

import pytest
import trio

from protocols.eap.aka_server import ServerOptions
from protocols.eap.numbers import EAP_AKA_PRIME
from protocols.http.message import HttpResponse, text_response
from scripts.lab.device_http import DeviceConnection, DeviceHttpError, tls_context
from scripts.lab.phone import DEFAULT_APPS, Outcome, Phone, Target
from scripts.lab.phone_habits import AOSP, EAP_RELAY, JSON, SAMSUNG, XML, Habits
from scripts.lab.subscribers import LabSubscriber, sequential
from tests.scripts.lab.fake_ecs import DOCUMENT, HOST, JSON_DOCUMENT, FakeEcs, LabTls, serving

SUBSCRIBER = next(sequential(1))
BOTH = pytest.mark.parametrize("habits", [AOSP, SAMSUNG], ids=lambda habits: habits.name)


@BOTH
@pytest.mark.parametrize("http2", [True, False], ids=["h2", "http/1.1"])
async def test_a_phone_authenticates_and_comes_back_with_its_token(
    lab_tls: LabTls, habits: Habits, http2: bool
) -> None:
    ecs = FakeEcs()
    async with serving(ecs, lab_tls, http2=http2) as target:
        phone = Phone(SUBSCRIBER, target, habits)
        result = await phone.authenticate()
        assert (result.outcome, result.status, result.detail) == (Outcome.DOCUMENT, 200, "")
        assert [name for name, _ in result.legs] == ["connect", "challenge", "authenticate"]
        assert all(seconds > 0 for _, seconds in result.legs)
        assert result.document is not None
        assert result.document.vers == (3, 172800)
        assert result.document.status("ap2004") == "1"
        assert phone.token == "Zk3_x-9"
        assert phone.vers == 3
        result = await phone.with_token(("ap2004",))
        assert result.ok
        assert [name for name, _ in result.legs] == ["connect", "document"]
        assert ecs.parameters[1]["token"] == ["Zk3_x-9"]
        assert ecs.parameters[1]["IMSI"] == ["001010000000001"]
        assert ecs.parameters[1]["vers"] == ["3"]


async def test_the_aosp_phone_asks_as_aosp_does(lab_tls: LabTls) -> None:
    ecs = FakeEcs()
    async with serving(ecs, lab_tls) as target:
        assert (await Phone(SUBSCRIBER, target).authenticate()).ok
    first, second = ecs.requests
    assert first.target.startswith(
        b"/?EAP_ID=0001010000000001%40nai.epc.mnc001.mcc001.3gppnetwork.org&terminal_id=356"
    )
    assert first.target.endswith(b"&vers=0&entitlement_version=2.0")
    assert ecs.parameters[0]["app"] == list(DEFAULT_APPS)
    assert first.header(b"accept") == EAP_RELAY
    assert second.target == b"/"
    assert second.header(b"accept") == EAP_RELAY + b", " + XML
    assert second.header(b"content-type") == EAP_RELAY
    cookies = [value for name, value in second.headers if name == b"cookie"]
    assert cookies == [b"SID=abc_-1", b"B=2"]


async def test_the_samsung_phone_asks_as_samsung_does(lab_tls: LabTls) -> None:
    ecs = FakeEcs()
    async with serving(ecs, lab_tls, http2=False) as target:
        phone = Phone(SUBSCRIBER, target, SAMSUNG)
        phone.more = (("notif_action", "2"), ("notif_token", "a,b"))
        assert (await phone.authenticate()).ok
    first, second = ecs.requests
    assert b"%40nai.epc" in first.target.rpartition(b"&EAP_ID=")[2]
    assert ecs.parameters[0]["notif_token"] == ["a", "b"]
    assert ecs.parameters[0]["terminal_vendor"] == ["SEC"]
    assert first.header(b"accept") == EAP_RELAY + b", " + XML
    cookies = [value for name, value in second.headers if name == b"cookie"]
    assert cookies == [b"SID=abc_-1; Path=/; HttpOnly; B=2; Secure"]


async def test_a_phone_may_post_its_parameters(lab_tls: LabTls) -> None:
    ecs = FakeEcs()
    async with serving(ecs, lab_tls) as target:
        phone = Phone(SUBSCRIBER, target, post=True)
        phone.more = (("app_name", "a/b"),)
        assert (await phone.authenticate()).ok
        assert (await phone.with_token(("ap2004",))).ok
    assert ecs.requests[0].method == b"POST"
    assert ecs.requests[0].target == b"/"
    assert ecs.requests[0].header(b"content-type") == JSON
    assert b'"app_name":"a\\/b"' in ecs.requests[0].body
    assert ecs.parameters[0]["app"] == ["[ap2004,ap2003,ap2005]"]
    assert ecs.parameters[1]["app"] == ["ap2004"]


@BOTH
async def test_a_phone_resynchronises(lab_tls: LabTls, habits: Habits) -> None:
    ecs = FakeEcs()
    async with serving(ecs, lab_tls) as target:
        phone = Phone(SUBSCRIBER, target, habits)
        phone.usim.lose_synchronisation()
        result = await phone.authenticate()
    assert result.ok
    assert result.challenges == 2
    assert [name for name, _ in result.legs] == [
        "connect",
        "challenge",
        "authenticate",
        "authenticate",
    ]
    assert result.seconds("authenticate") > result.legs[3][1]
    # The cookies are those of the first response, although the second one set another.
    assert all(b"other" not in value for _, value in ecs.requests[2].headers)
    if habits is AOSP:
        assert ecs.requests[1].header(b"accept") == EAP_RELAY


async def test_many_phones_share_a_connection(lab_tls: LabTls) -> None:
    ecs = FakeEcs(document=json.dumps(JSON_DOCUMENT).encode(), document_type=JSON)
    async with serving(ecs, lab_tls) as target:
        connection = await target.connect()
        phone = Phone(SUBSCRIBER, target)
        assert (await phone.authenticate(connection=connection)).ok
        for _ in range(3):
            result = await phone.with_token(connection=connection)
            assert result.ok
            assert result.document is not None
            assert result.document.status("ap2004") == "1"
            assert [name for name, _ in result.legs] == ["document"]
        assert not connection.closed
        connection.close()


async def test_a_wrong_res_is_refused_and_the_card_is_itself_again(lab_tls: LabTls) -> None:
    async with serving(FakeEcs(), lab_tls) as target:
        phone = Phone(SUBSCRIBER, target)
        result = await phone.wrong_res()
        assert (result.outcome, result.status) == (Outcome.REFUSED, 403)
        assert result.detail == "RES or AT_MAC is wrong"
        assert (await phone.authenticate()).ok


async def test_an_abandoned_challenge_is_never_answered(lab_tls: LabTls) -> None:
    ecs = FakeEcs()
    async with serving(ecs, lab_tls) as target:
        result = await Phone(SUBSCRIBER, target).abandon()
    assert result.outcome is Outcome.ABANDONED
    assert len(ecs.requests) == 1


async def test_a_forged_network_is_met_with_silence(lab_tls: LabTls) -> None:
    ecs = FakeEcs()
    async with serving(ecs, lab_tls) as target:
        other_card = LabSubscriber("001010000000001", k=bytes(16))
        result = await Phone(other_card, target).authenticate()
    assert result.outcome is Outcome.NETWORK_NOT_TRUSTED
    assert len(ecs.requests) == 1


async def test_a_phone_gives_up_after_four_challenges(lab_tls: LabTls) -> None:
    options = ServerOptions(max_resynchronisations=99)
    ecs = FakeEcs(options=options, resynchronises=False)
    async with serving(ecs, lab_tls) as target:
        phone = Phone(SUBSCRIBER, target)
        phone.usim.lose_synchronisation()
        result = await phone.authenticate()
    assert (result.outcome, result.challenges) == (Outcome.TOO_MANY_CHALLENGES, 5)
    assert len(ecs.requests) == 5


async def test_503_keeps_its_retry_after(lab_tls: LabTls) -> None:
    busy = text_response(503, "later", ((b"retry-after", b"7"),))
    async with serving(FakeEcs(respond=lambda number, response: busy), lab_tls) as target:
        result = await Phone(SUBSCRIBER, target).authenticate()
    assert (result.outcome, result.status, result.retry_after) == (Outcome.REFUSED, 503, "7")
    assert result.detail == "later"


async def test_a_server_that_never_answers(
    lab_tls: LabTls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.lab.device_http.READ_SECONDS", 0.05)
    async with serving(FakeEcs(respond=lambda number, response: None), lab_tls) as target:
        result = await Phone(SUBSCRIBER, target).authenticate()
    assert result.outcome is Outcome.NO_ANSWER
    assert "too slow" in result.detail


async def test_no_server_at_all(lab_tls: LabTls) -> None:
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        target = Target(unused.getsockname(), HOST, lab_tls.client())
        result = await Phone(SUBSCRIBER, target).authenticate()
    assert result.outcome is Outcome.NO_ANSWER
    assert result.legs == []


async def test_a_certificate_of_nobody_is_refused(lab_tls: LabTls) -> None:
    async with serving(FakeEcs(), lab_tls) as target:
        stranger = tls_context(None)
        stranger.check_hostname, stranger.verify_mode = True, lab_tls.client().verify_mode
        with pytest.raises(DeviceHttpError, match="certificate"):
            await DeviceConnection.open(target.address, HOST, stranger)
        trusting = await DeviceConnection.open(target.address, HOST, tls_context(None))
        assert trusting.protocol == "h2"
        trusting.close()


async def test_gzip_is_expanded(lab_tls: LabTls) -> None:
    async with serving(FakeEcs(document=DOCUMENT + b" " * 5_000), lab_tls) as target:
        phone = Phone(SUBSCRIBER, target)
        phone.token = "t"
        assert (await phone.with_token()).ok


async def test_a_phone_without_a_token_cannot_use_it(lab_tls: LabTls) -> None:
    async with serving(FakeEcs(), lab_tls) as target:
        with pytest.raises(ValueError, match="no token"):
            await Phone(SUBSCRIBER, target).with_token()


# --- what they cannot read ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("habits", "ecs", "why"),
    [
        (AOSP, FakeEcs(options=ServerOptions(type=EAP_AKA_PRIME)), "not an EAP-AKA challenge"),
        (AOSP, FakeEcs(options=ServerOptions(identity_request=13)), "not an EAP-AKA challenge"),
        (SAMSUNG, FakeEcs(options=ServerOptions(identity_request=13)), "too short"),
        (SAMSUNG, FakeEcs(set_cookies=()), "empty cookie"),
        (AOSP, FakeEcs(document_type=b"text/plain"), "neither XML nor JSON"),
        (AOSP, FakeEcs(document=DOCUMENT.replace(b'"3"', b'"&lt;"')), "entity"),
        (AOSP, FakeEcs(document=DOCUMENT.replace(b'"3"', b'"x"')), "VERS without a number"),
        (AOSP, FakeEcs(document=DOCUMENT.replace(b'"1"/>', b'""/>')), "EntitlementStatus is ''"),
        (AOSP, FakeEcs(document=DOCUMENT[:-10]), "XML: "),
        (AOSP, FakeEcs(document=b"<html/>"), "<html> is out of place"),
        (
            SAMSUNG,
            FakeEcs(document=DOCUMENT.replace(b'<parm name="version"', b'<parm a="" name="v"')),
            "attributes",
        ),
        (
            SAMSUNG,
            FakeEcs(document=DOCUMENT.replace(b'name="version" value="3"', b'value="3" name="v"')),
            "attributes",
        ),
        (
            SAMSUNG,
            FakeEcs(
                document=DOCUMENT.replace(
                    b"</wap", b'<characteristic type="APPLICATION"></characteristic>' * 2 + b"</wap"
                )
            ),
            "4 APPLICATION blocks",
        ),
        (AOSP, FakeEcs(document=b"[]", document_type=JSON), "no object"),
        (AOSP, FakeEcs(document=b"{", document_type=JSON), "no JSON"),
        (AOSP, FakeEcs(document=b'{"ap2004":1}', document_type=JSON), "ap2004 is no object"),
        (
            AOSP,
            FakeEcs(document=b'{"a":{"EntitlementStatus":1}}', document_type=JSON),
            "EntitlementStatus is 1",
        ),
    ],
)
async def test_what_a_client_cannot_read_is_malformed(
    lab_tls: LabTls, habits: Habits, ecs: FakeEcs, why: str
) -> None:
    async with serving(ecs, lab_tls) as target:
        result = await Phone(SUBSCRIBER, target, habits).authenticate()
    assert result.outcome is Outcome.MALFORMED
    assert why in result.detail


async def test_samsung_reads_rand_and_autn_at_fixed_places(lab_tls: LabTls) -> None:
    """AT_MAC in front is legal; AOSP finds its way, Samsung's card sees a forged network."""
    for habits, outcome in ((AOSP, Outcome.DOCUMENT), (SAMSUNG, Outcome.NETWORK_NOT_TRUSTED)):
        ecs = FakeEcs(options=ServerOptions(rand_autn_first=False))
        async with serving(ecs, lab_tls) as target:
            assert (await Phone(SUBSCRIBER, target, habits).authenticate()).outcome is outcome


async def test_a_charset_on_a_challenge_breaks_samsung_alone(lab_tls: LabTls) -> None:
    def with_charset(number: int, response: HttpResponse) -> HttpResponse:
        if response.content_type == EAP_RELAY:
            response.content_type += b"; charset=utf-8"
        return response

    for habits, outcome in ((AOSP, Outcome.DOCUMENT), (SAMSUNG, Outcome.MALFORMED)):
        async with serving(FakeEcs(respond=with_charset), lab_tls) as target:
            assert (await Phone(SUBSCRIBER, target, habits).authenticate()).outcome is outcome


async def test_anything_but_a_challenge_after_a_synchronisation_failure_is_malformed(
    lab_tls: LabTls,
) -> None:
    document = HttpResponse(200, XML, DOCUMENT)
    ecs = FakeEcs(respond=lambda number, response: document if number == 2 else response)
    async with serving(ecs, lab_tls) as target:
        phone = Phone(SUBSCRIBER, target)
        phone.usim.lose_synchronisation()
        assert (await phone.authenticate()).outcome is Outcome.MALFORMED


def test_a_phone_shows_no_identity() -> None:
    target = Target(("127.0.0.1", 1), HOST, tls_context(None))
    assert repr(Phone(SUBSCRIBER, target)) == "Phone(aosp, Usim(…01))"
