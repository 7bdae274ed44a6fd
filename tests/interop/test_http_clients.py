"""curl, nghttp and h2load against the whole node, AAA included."""

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
import trio

from scripts.lab.device_http import Response
from scripts.lab.phone import Phone
from tests.interop.conftest import Whole
from tests.interop.programs import needs, run
from tests.node.whole.device_legs import answer_of, relay_body
from tests.node.whole.whole_node import WholeNode, asking
from tests.protocols.ts43.document_readers import lasting, read_json, read_xml

pytestmark = pytest.mark.interop

RELAY = "application/vnd.gsma.eap-relay.v1.0+json"
XML = "text/vnd.wap.connectivity-xml"
VERSIONS = pytest.mark.parametrize("version", ["--http1.1", "--http2"])


def url(node: WholeNode, phone: Phone | None = None) -> str:
    query = "?" + urlencode(asking(phone)) if phone is not None else ""
    return f"https://localhost:{node.port}/{query}"


async def curl(node: WholeNode, *arguments: str) -> tuple[int, str, bytes]:
    """(status, Content-Type, body)."""
    told = "\n%{http_code} %{content_type}"
    options = ("-sS", "--cacert", str(node.lab.ca), "-w", told, "-H", "accept-encoding:")
    said = await run("curl", *options, *arguments)
    body, _, last = said.rpartition("\n")
    status, _, kind = last.partition(" ")
    return int(status), kind, body.encode()


@VERSIONS
async def test_curl_gets_a_document_with_a_token(whole: Whole, version: str) -> None:
    """T-01, T-02, T-07."""
    needs("curl")
    async with whole() as node:
        phone = await node.with_token(1)
        asked = node.asked()
        status, kind, body = await curl(node, version, "-H", f"accept: {XML}", url(node, phone))
        assert (status, kind) == (200, XML)
        by_get = read_xml(body)
        posted = json.dumps(asking(phone))
        options = ("-H", "content-type: application/json", "-H", "accept: application/json")
        status, kind, body = await curl(node, version, *options, "-d", posted, url(node))
        assert (status, kind) == (200, "application/json")
        by_post = read_json(body)
        assert lasting({"ap2004": by_post["ap2004"]}) == lasting({"ap2004": by_get["ap2004"]})
        assert node.asked() == asked


@VERSIONS
async def test_curl_authenticates_with_its_own_cookie_jar(
    whole: Whole, version: str, tmp_path: Path
) -> None:
    """EAP-13, EAP-14, EAP-20: our cookie in a cookie engine that is not ours."""
    needs("curl")
    async with whole() as node:
        phone = node.phone(1)
        jar = ("-c", str(tmp_path / "jar"), "-b", str(tmp_path / "jar"))
        query = urlencode({**asking(phone), "EAP_ID": phone.nai, "token": "", "IMSI": ""})
        accept = ("-H", f"accept: {RELAY}, {XML}")
        status, kind, body = await curl(node, version, *jar, *accept, f"{url(node)}?{query}")
        assert (status, kind) == (200, RELAY)
        challenge = Response(200, ((b"content-type", kind.encode()),), body)
        (tmp_path / "answer").write_bytes(relay_body(answer_of(phone, challenge)))
        answer = ("-H", f"content-type: {RELAY}", "--data-binary", f"@{tmp_path / 'answer'}")
        status, kind, body = await curl(node, version, *jar, *accept, *answer, url(node))
        assert (status, kind) == (200, XML)
        assert len(read_xml(body)["TOKEN"]["token"]) > 40
        assert [line for line in (tmp_path / "jar").read_text().splitlines() if "SID" in line]


async def test_nghttp_sees_clean_streams(whole: Whole) -> None:
    """T-07: two requests on one connection, no reset, no error."""
    needs("nghttp")
    async with whole({"sessions": {"finished-seconds": 0.05}}) as node:
        phone = await node.with_token(1)
        said = await run("nghttp", "-v", "-n", "-m", "2", "-H", f"accept: {XML}", url(node, phone))
        assert said.count(":status: 200") == 2
        assert "RST_STREAM" not in said
        assert "error_code=NO_ERROR" in said
        await node.until(lambda: not node.node.listener.statistics().open)
        assert node.node.listener.statistics().protocol_errors == {}
        await node.at_rest()


@pytest.mark.slow
@pytest.mark.parametrize("options", [("-m", "10"), ("--h1",), ("-m", "32")], ids=" ".join)
async def test_h2load_loses_no_answer_of_the_token_path(
    whole: Whole, options: tuple[str, ...]
) -> None:
    """TOK-26 under load: every answer is 200, and the AAA hears nothing of it."""
    needs("h2load")
    async with whole({"sessions": {"finished-seconds": 0.05}}) as node:
        # Enough of them that none has more requests open than a terminal may have.
        phones = [await node.with_token(number) for number in range(1, 41)]
        asked = node.asked()
        count = 400
        urls = [url(node, one) for one in phones]
        said = await run(
            "h2load", "-n", str(count), "-c", "8", *options, "-H", f"accept: {XML}", *urls
        )
        assert f"{count} succeeded, 0 failed, 0 errored, 0 timeout" in said
        assert f"status codes: {count} 2xx, 0 3xx, 0 4xx, 0 5xx" in said
        assert node.asked() == asked
        await node.at_rest()


@pytest.mark.slow
async def test_h2load_of_first_legs_is_answered_within_the_limits(whole: Whole) -> None:
    """Q-TR-16: one terminal that asks like mad gets challenges, then 503; nobody crashes."""
    needs("h2load")
    limits = {"sessions": {"finished-seconds": 0.05, "max-requests-per-device": 4}}
    async with whole(limits) as node:
        phone = node.phone(1)
        query = urlencode({**asking(phone), "EAP_ID": phone.nai, "token": "", "IMSI": ""})
        said = await run("h2load", "-n", "100", "-c", "2", "-m", "10", f"{url(node)}?{query}")
        assert "status codes: 4 2xx, 0 3xx, 0 4xx, 96 5xx" in said
        assert node.asked() == 4
        with trio.fail_after(5):
            assert (await node.phone(2).authenticate()).ok
