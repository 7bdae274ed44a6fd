"""Transport over the wire: methods, forms, negotiation, versions, languages (T-01 to T-12)."""

import gzip
import json

import pytest

from scripts.lab.device_http import Response
from scripts.lab.phone import DEFAULT_APPS
from scripts.lab.phone_habits import AOSP, EAP_RELAY, JSON, SAMSUNG, XML, Habits
from tests.node.whole.conftest import Whole
from tests.node.whole.whole_node import WholeNode, asking
from tests.protocols.ts43.document_readers import (
    lasting,
    read_json,
    read_like_android,
    read_like_samsung,
    read_xml,
)

ACCEPT_XML = (b"accept", XML)
ACCEPT_JSON = (b"accept", JSON)
JSON_BODY = (b"content-type", JSON)
BOTH_VERSIONS = pytest.mark.parametrize("http2", [True, False], ids=["h2", "http/1.1"])
BOTH_HABITS = pytest.mark.parametrize("habits", [AOSP, SAMSUNG], ids=lambda one: one.name)


def decisions(response: Response) -> dict[str, object]:
    """What was decided, whatever the form; without VERS and TOKEN."""
    is_json = b"json" in (response.header(b"content-type") or b"")
    read = read_json(response.body) if is_json else read_xml(response.body)
    return lasting({name: value for name, value in read.items() if name.startswith("ap")})


async def post_json(node: WholeNode, parameters: dict[str, object]) -> Response:
    return await node.post(json.dumps(parameters).encode(), JSON_BODY, ACCEPT_XML)


@BOTH_VERSIONS
@BOTH_HABITS
@pytest.mark.parametrize("post", [False, True], ids=["GET", "POST"])
async def test_every_kind_of_phone_authenticates_and_comes_back_with_its_token(
    whole: Whole, habits: Habits, http2: bool, post: bool
) -> None:
    """T-01, T-02, T-03b, T-07; Q-TR-2, Q-TR-3, Q-TR-4, Q-TR-6, Q-TR-8, Q-TR-12, Q-EAP-3, Q-EAP-4,
    Q-DOC-6, Q-HTTP-1, Q-TOK-3: the phones are as strict as the real ones."""
    async with whole() as node:
        phone = node.phone(1, habits, http2=http2, post=post)
        result = await phone.authenticate()
        assert (result.ok, result.challenges, result.status) == (True, 1, 200), result
        assert result.document is not None
        assert list(result.document.applications) == list(DEFAULT_APPS)
        assert all(result.document.status(app) == "1" for app in DEFAULT_APPS)
        asked = node.asked()
        again = await phone.with_token()
        assert again.ok, again
        assert again.document is not None
        before, now = result.document.applications, again.document.applications
        assert lasting(now) == lasting(before)
        assert now["ap2004"]["ServiceFlow_UserData"] != before["ap2004"]["ServiceFlow_UserData"]
        assert node.asked() == asked
        assert list(node.node.listener.statistics().protocols) == ["h2" if http2 else "http/1.1"]


@BOTH_VERSIONS
async def test_a_token_leg_with_all_parameters_gets_an_xml_document(
    whole: Whole, http2: bool
) -> None:
    """T-01: 200, XML whose root has version 1.1."""
    async with whole() as node:
        phone = await node.with_token(1)
        response = await node.get(asking(phone), ACCEPT_XML, http2=http2)
        assert response.status == 200
        assert response.header(b"content-type") == XML
        assert b'<wap-provisioningdoc version="1.1">' in response.body
        assert response.header(b"content-length") == str(len(response.body)).encode()


async def test_get_and_post_get_the_same_decision(whole: Whole) -> None:
    """T-02."""
    async with whole() as node:
        phone = await node.with_token(1)
        by_get = await node.get(asking(phone), ACCEPT_XML)
        by_post = await post_json(node, dict(asking(phone)))
        assert by_post.status == 200
        assert decisions(by_post) == decisions(by_get)


@pytest.mark.parametrize(
    "apps",
    [["ap2005", "ap2003", "ap2004"], "[ap2005,ap2003,ap2004]", "ap2005,ap2003,ap2004"],
    ids=["array", "bracketed text", "comma list"],
)
async def test_applications_in_a_post_come_back_in_their_order(whole: Whole, apps: object) -> None:
    """T-03a, T-03b; Q-DOC-17."""
    async with whole() as node:
        phone = await node.with_token(1)
        response = await post_json(node, {**asking(phone), "app": apps})
        assert list(decisions(response)) == ["ap2005", "ap2003", "ap2004"]


async def test_applications_repeated_in_a_query_come_back_in_their_order(whole: Whole) -> None:
    """T-03c; Q-TR-5: only the requested ones."""
    async with whole() as node:
        phone = await node.with_token(1)
        single = [pair for pair in asking(phone).items() if pair[0] != "app"]
        apps = [("app", "ap2004"), ("app", "ap2005")]
        response = await node.get([*single, *apps], ACCEPT_XML)
        assert list(decisions(response)) == ["ap2004", "ap2005"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (JSON, JSON),
        (XML, XML),
        (EAP_RELAY + b", " + XML, XML),
        (EAP_RELAY + b", " + XML + b", " + JSON, XML),
        (b"*/*", XML),
    ],
)
async def test_accept_decides_the_form_of_the_document(
    whole: Whole, accept: bytes, expected: bytes
) -> None:
    """T-04, T-05; Q-DOC-1."""
    async with whole() as node:
        phone = await node.with_token(1)
        response = await node.get(asking(phone), (b"accept", accept))
        assert response.header(b"content-type") == expected


async def test_json_has_the_keys_of_the_standard_and_texts_for_leaves(whole: Whole) -> None:
    """T-04; Q-DOC-7."""
    async with whole() as node:
        phone = await node.with_token(1)
        response = await node.get(asking(phone, "ap2003,ap2004", "8.0"), ACCEPT_JSON)
        assert list(json.loads(response.body)) == ["Vers", "Token", "ap2003", "ap2004"]
        as_xml = await node.get(asking(phone, "ap2003,ap2004", "8.0"), ACCEPT_XML)
        assert decisions(as_xml) == decisions(response)
        assert "eap-relay-packet" not in json.loads(response.body)  # Q-EAP-11


async def test_only_who_accepts_gzip_gets_it(whole: Whole) -> None:
    """T-06."""
    async with whole({"device": {"gzip-from-octets": 400}}) as node:
        phone = await node.with_token(1)
        plain = await node.get(asking(phone), ACCEPT_XML)
        assert plain.header(b"content-encoding") is None
        zipped = await node.get(asking(phone), ACCEPT_XML, (b"accept-encoding", b"br, gzip"))
        assert zipped.header(b"content-encoding") == b"gzip"
        assert decisions(zipped) == decisions(plain)
        assert len(gzip.compress(plain.body)) < len(plain.body)
        refused = await node.get(asking(phone), ACCEPT_XML, (b"accept-encoding", b"gzip;q=0"))
        assert refused.header(b"content-encoding") is None


async def test_unknown_parameters_and_odd_spellings_are_taken(whole: Whole) -> None:
    """T-08, T-09; Q-TR-7, Q-TR-9: never reject what nothing is decided on."""
    async with whole() as node:
        phone = await node.with_token(1)
        odd = {**asking(phone), "operation": "chECKeligibility", "colour": "blue", "x" * 50: "y"}
        for agent in (b"PRD-TS43", b"", b"Dalvik/2.1.0", b"PRD-TS43 a/b c/d OS-Android/13"):
            response = await node.get(odd, ACCEPT_XML, (b"user-agent", agent))
            assert response.status == 200, agent


@pytest.mark.parametrize("missing", ["entitlement_version", "terminal_id", "app"])
async def test_a_missing_parameter_is_400(whole: Whole, missing: str) -> None:
    """T-10a."""
    async with whole() as node:
        phone = await node.with_token(1)
        parameters = asking(phone)
        del parameters[missing]
        assert (await node.get(parameters)).status == 400
        assert (await post_json(node, dict(parameters))).status == 400


@pytest.mark.parametrize(("version", "status"), [("99.0", 406), ("0.9", 406), ("1.0", 200)])
async def test_a_version_that_is_not_served_is_406(whole: Whole, version: str, status: int) -> None:
    """T-10b; Q-TR-8. HTTP/2 has no reason phrase: the words are the body."""
    async with whole() as node:
        phone = await node.with_token(1)
        response = await node.get(asking(phone, version=version), ACCEPT_XML)
        assert response.status == status
        assert (b"protocol not supported" in response.body) is (status == 406)


async def test_unknown_applications_alone_are_400_and_beside_known_ones_ignored(
    whole: Whole,
) -> None:
    """T-10c."""
    async with whole() as node:
        phone = await node.with_token(1)
        assert (await node.get(asking(phone, "ap1999,nonsense"))).status == 400
        response = await node.get(asking(phone, "nonsense,ap2004"), ACCEPT_XML)
        assert list(decisions(response)) == ["ap2004"]


@BOTH_VERSIONS
@pytest.mark.parametrize("method", [b"PUT", b"DELETE", b"PATCH"])
async def test_another_method_is_405(whole: Whole, http2: bool, method: bytes) -> None:
    """T-10d."""
    async with whole() as node, node.connected(http2=http2) as connection:
        response = await connection.request(method, b"/", body=b"{}")
        assert response.status == 405
        assert response.header(b"allow") == b"GET, POST"
        # The connection is not to blame.
        assert (await connection.request(b"GET", b"/?app=ap2004")).status == 400


async def test_a_message_for_the_person_is_in_their_language(whole: Whole) -> None:
    """T-11; Q-TR-10: without Accept-Language the tenant's."""
    async with whole() as node:
        phone = await node.with_token(8, "ap2004")  # the plan without Wi-Fi calling
        asked = asking(phone)
        texts = {}
        for wish in (b"fr", b"fr-CA, en;q=0.5", b"de-AT", b"xx", b""):
            response = await node.get(asked, ACCEPT_XML, (b"accept-language", wish))
            application = decisions(response)["ap2004"]
            assert isinstance(application, dict)
            assert application["EntitlementStatus"] == "2"
            texts[wish] = application["MessageForIncompatible"]
        assert texts[b"fr"] == texts[b"fr-CA, en;q=0.5"]
        assert texts[b""] == texts[b"xx"]
        assert len({texts[b"fr"], texts[b"de-AT"], texts[b""]}) == 3


@pytest.mark.parametrize("version", ["2.0", "8.0", "12.0"])
async def test_an_xml_answer_is_read_alike_by_every_client(whole: Whole, version: str) -> None:
    """T-12a, T-12b; Q-DOC-3, Q-DOC-4, Q-DOC-5, Q-DOC-8, Q-DOC-9: the same by three readers."""
    async with whole() as node:
        phone = await node.with_token(1, "ap2004", "ap2003", "ap2005", "ap2010")
        asked = asking(phone, "ap2003,ap2004,ap2005,ap2010", version)
        body = (await node.get(asked, ACCEPT_XML)).body
        assert b"&" not in body  # also not `&amp;`: Android 11's Samsung keeps that as text
        understood = read_xml(body)
        assert len(understood) == 6
        assert read_like_android(body) == understood
        assert read_like_samsung(body) == understood


async def test_paths_of_operators_are_served_and_others_are_404(whole: Whole) -> None:
    """Q-TR-13: operators configure own paths."""
    async with whole({"tenants": {0: {"paths": ["/des/ts43"]}}}) as node:
        phone = node.phone(1)
        phone._target = node.target(path="/des/ts43")
        assert (await phone.authenticate()).ok
        async with node.connected() as connection:
            assert (await connection.request(b"GET", b"/elsewhere?app=ap2004")).status == 404
