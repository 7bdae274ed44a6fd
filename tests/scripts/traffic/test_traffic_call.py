"""Calls step by step against a node in memory: what phones send, and how calls fail."""

import base64
import gzip
from collections.abc import Awaitable, Callable

import msgspec
import pytest
import trio
import trio.testing

from scripts.lab.device_http import DeviceHttpError, Response
from scripts.lab.subscribers import LabSubscriber
from scripts.traffic.call import MAX_CHALLENGES, Call
from scripts.traffic.device import HttpsDevice, Target
from scripts.traffic.outcome import CallFailed, Reason
from scripts.traffic.scenario import find, load_scenario
from scripts.traffic.statistics import Statistics
from scripts.traffic.step_checks import EAP_RELAY, XML
from scripts.traffic.steps import Answer, AnswerKind, Authentication, Expect, Pause, Send, Step
from scripts.traffic.subscribers import Caller
from tests.scripts.traffic.fake_node import DOCUMENT, FakeNode, respond

GET = Send("GET", "/", ("ap2004", "ap2003"), Authentication.EAP_AKA, EAP_RELAY, (), False)
DOCUMENT_STEP = Expect(200, XML, False, (), "document")


def caller() -> Caller:
    return Caller(LabSubscriber("001010000000007", imei="356000000000018"))


Clock = trio.testing.MockClock


class Calling:
    """Makes calls of one subscriber to one node, and keeps what was counted."""

    def __init__(self, node: FakeNode) -> None:
        self.node = node
        self.caller = caller()
        self.statistics = Statistics()

    async def call(self, *steps: Step) -> None:
        now = trio.current_time()
        record = self.statistics.begin(due=0.0, now=0.0)
        try:
            await Call(self.caller, record, self.node.open, "", now).run(steps)
        finally:
            record.passed(trio.current_time() - now)

    async def fails(self, *steps: Step) -> CallFailed:
        with pytest.raises(CallFailed) as caught:
            await self.call(*steps)
        return caught.value

    def timers(self) -> dict[str, float]:
        timers = self.statistics.total.timers
        return {name: round(one.largest, 3) for name, one in timers.items()}


@pytest.fixture
def calling() -> Calling:
    return Calling(FakeNode(delay=0.25))


async def test_the_shipped_activation_passes_with_its_timers(
    autojump_clock: Clock, calling: Calling
) -> None:
    scenario = load_scenario(find("volte_vowifi_activation"))
    await calling.call(*scenario.steps)
    assert calling.timers() == {
        "connect": 0,
        "challenge": 0.25,
        "authenticate": 0.25,
        "call": 0.5,
    }
    assert calling.caller.token == "TOKEN-1"
    assert (calling.node.opened, calling.node.closed) == (1, 1)


@pytest.mark.parametrize("name", ["sqn_resync", "wrong_res", "abandoned"])
async def test_the_other_shipped_scenarios_pass(
    autojump_clock: Clock, calling: Calling, name: str
) -> None:
    await calling.call(*load_scenario(find(name)).steps)
    assert calling.statistics.total.resynchronisations == (name == "sqn_resync")
    assert calling.node.closed == 1


async def test_a_token_is_used_after_the_init_steps(
    autojump_clock: Clock, calling: Calling
) -> None:
    scenario = load_scenario(find("token_refresh"))
    failure = await calling.fails(*scenario.steps)
    assert (failure.reason, failure.detail) == (Reason.CHECK, "the subscriber has no token yet")
    await calling.call(*scenario.init)
    await calling.call(*scenario.steps)
    assert b"token=TOKEN-1&IMSI=001010000000007&" in calling.node.requests[-1][1]


async def test_requests_are_those_of_a_phone(autojump_clock: Clock, calling: Calling) -> None:
    await calling.call(GET, DOCUMENT_STEP)
    (method, path, headers, body), (method2, path2, headers2, body2) = calling.node.requests
    assert (method, body) == (b"GET", b"")
    assert path == (
        b"/?EAP_ID=0001010000000007%40nai.epc.mnc001.mcc001.3gppnetwork.org"
        b"&terminal_id=356000000000018&app=ap2004&app=ap2003&terminal_vendor=vend"
        b"&terminal_model=modelY&terminal_sw_version=versionZ&vers=0&entitlement_version=8.0"
    )
    assert headers[b"accept"] == EAP_RELAY.encode()
    assert (method2, path2) == (b"POST", b"/")
    # TS.43 §2.8.1: to the bare URL, with the cookie and nothing of its attributes.
    assert headers2[b"cookie"] == b"SID=1"
    assert headers2[b"accept"] == f"{EAP_RELAY}, {XML}".encode()
    assert base64.b64decode(msgspec.json.decode(body2)["eap-relay-packet"])[0] == 2


async def test_after_auts_only_a_challenge_is_accepted(
    autojump_clock: Clock, calling: Calling
) -> None:
    calling.caller.card.lose_synchronisation()
    await calling.call(GET, DOCUMENT_STEP)
    assert calling.statistics.total.resynchronisations == 1
    assert calling.node.requests[1][2][b"accept"] == EAP_RELAY.encode()
    assert len(calling.node.requests) == 3


async def test_a_post_carries_json(autojump_clock: Clock, calling: Calling) -> None:
    calling.node.forced = calling.node.document
    post = Send("POST", "/", ("ap2004", "ap2005"), Authentication.NONE, XML, (("x", "y"),), False)
    await calling.call(post, DOCUMENT_STEP)
    _, path, headers, body = calling.node.requests[0]
    assert path == b"/"
    assert headers[b"content-type"] == b"application/json"
    assert msgspec.json.decode(body)["app"] == ["ap2004", "ap2005"]
    assert msgspec.json.decode(body)["x"] == "y"


async def test_a_new_connection_may_be_asked_for(autojump_clock: Clock, calling: Calling) -> None:
    again = Send("GET", "/", ("ap2004",), Authentication.TOKEN, XML, (), True)
    await calling.call(GET, DOCUMENT_STEP, Pause(1.0), again, DOCUMENT_STEP)
    assert (calling.node.opened, calling.node.closed) == (2, 2)
    assert calling.timers()["call"] == 1.75


CHALLENGE = Expect(200, EAP_RELAY, True, (), "challenge")


def checking(application: str, name: str, value: str) -> Expect:
    return Expect(200, XML, False, (((application, name), value),), "")


@pytest.mark.parametrize(
    ("answer", "step", "reason", "detail"),
    [
        (respond(503), DOCUMENT_STEP, Reason.SERVER_ERROR, "status 503, 200 was expected"),
        (respond(511), DOCUMENT_STEP, Reason.SERVER_ERROR, "status 511, 200 was expected"),
        (respond(404), DOCUMENT_STEP, Reason.CLIENT_ERROR, "status 404, 200 was expected"),
        (respond(302), DOCUMENT_STEP, Reason.CHECK, "status 302, 200 was expected"),
        (respond(200, XML, b"<x"), DOCUMENT_STEP, Reason.MALFORMED, "document: not well formed"),
        (respond(200, "application/json", b"{}"), DOCUMENT_STEP, Reason.CHECK, "content type"),
        (respond(200, "text/html", b""), Expect(200, "", False, (), ""), Reason.MALFORMED, "doc"),
        (respond(200, XML, DOCUMENT), CHALLENGE, Reason.CHECK, "no challenge, but"),
        (respond(200, EAP_RELAY, b"{}"), DOCUMENT_STEP, Reason.MALFORMED, "EAP: an EAP packet"),
        (respond(200, EAP_RELAY, b"[]"), DOCUMENT_STEP, Reason.MALFORMED, "no eap-relay-packet"),
        (
            respond(200, EAP_RELAY, b'{"eap-relay-packet":"AQIABQE="}'),
            DOCUMENT_STEP,
            Reason.MALFORMED,
            "EAP: neither",
        ),
    ],
)  # fmt: skip
async def test_a_wrong_answer_fails_the_call_for_its_reason(
    autojump_clock: trio.testing.MockClock,
    calling: Calling,
    answer: Response,
    step: Expect,
    reason: Reason,
    detail: str,
) -> None:
    calling.node.forced = answer
    failure = await calling.fails(GET, step)
    assert failure.reason is reason
    assert failure.detail.startswith(detail)
    assert calling.node.closed == 1


@pytest.mark.parametrize(
    ("check", "detail"),
    [
        (checking("ap2004", "EntitlementStatus", "1"), ""),
        (checking("ap2003", "EntitlementStatus", "*"), ""),
        (checking("VERS", "validity", "172800"), ""),
        (checking("ap2003", "EntitlementStatus", "1"), "ap2003.EntitlementStatus is not always"),
        (checking("", "EntitlementStatus", "1"), "EntitlementStatus is not always '1'"),
        (checking("ap2009", "EntitlementStatus", "*"), "the document has no ap2009.Entitl"),
    ],
)
async def test_the_document_is_checked(
    autojump_clock: Clock, calling: Calling, check: Expect, detail: str
) -> None:
    if not detail:
        await calling.call(GET, check)
        return
    failure = await calling.fails(GET, check)
    assert failure.reason is Reason.CHECK
    assert failure.detail.startswith(detail)


async def test_403_after_an_eap_packet_is_a_reject(autojump_clock: Clock, calling: Calling) -> None:
    failure = await calling.fails(GET, CHALLENGE, Answer(AnswerKind.WRONG_RES), DOCUMENT_STEP)
    assert failure.reason is Reason.EAP_REJECT


async def test_a_network_that_the_card_does_not_trust_is_a_reject(
    autojump_clock: Clock, calling: Calling
) -> None:
    calling.caller = Caller(LabSubscriber("001010000000007", k=bytes(16)))
    failure = await calling.fails(GET, DOCUMENT_STEP)
    assert failure.reason is Reason.EAP_REJECT
    assert failure.detail == "the card does not trust the network (AUTN)"


async def test_a_refusal_after_auts_is_a_failed_resynchronisation(
    autojump_clock: Clock, calling: Calling
) -> None:
    async def refuse() -> None:
        await trio.sleep(0.3)
        calling.node.forced = respond(200, XML, DOCUMENT)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(refuse)
        failure = await calling.fails(GET, CHALLENGE, Answer(AnswerKind.RESYNC), DOCUMENT_STEP)
    assert failure.reason is Reason.RESYNC


async def test_endless_challenges_end(autojump_clock: Clock, calling: Calling) -> None:
    challenge = await calling.node.serve(b"GET", b"/?EAP_ID=0001010000000007%40x", [], b"")
    calling.node.forced = challenge
    failure = await calling.fails(GET, DOCUMENT_STEP)
    # The card sees the same vector again and again: that is a synchronisation failure to it.
    assert failure.reason is Reason.RESYNC
    assert len(calling.node.requests) <= MAX_CHALLENGES + 2


Raises = Callable[..., Awaitable[Response]]


class Broken:
    """Stands for `DeviceConnection`."""

    def __init__(self, error: Exception | None, body: bytes = b"") -> None:
        self._error = error
        self._body = body

    async def request(self, *arguments: object) -> Response:
        if self._error is not None:
            raise self._error
        return Response(200, [(b"content-encoding", b"gzip")], self._body)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DeviceHttpError("the connection ended"), Reason.CONNECTION),
        (DeviceHttpError("the stream was reset, code 7"), Reason.CONNECTION),
        (DeviceHttpError("no answer: too slow"), Reason.TIMEOUT),
        (DeviceHttpError("HPACK: bad"), Reason.MALFORMED),
        (ConnectionResetError("reset"), Reason.CONNECTION),
    ],
)
async def test_faults_of_the_transport_have_a_reason(error: Exception, reason: Reason) -> None:
    with pytest.raises(CallFailed) as caught:
        await HttpsDevice(Broken(error)).request(b"GET", b"/", [], b"")  # type: ignore[arg-type]
    assert caught.value.reason is reason


async def test_gzip_is_unpacked_and_a_wrong_one_is_malformed() -> None:
    good = HttpsDevice(Broken(None, gzip.compress(DOCUMENT)))  # type: ignore[arg-type]
    assert (await good.request(b"GET", b"/", [], b"")).body == DOCUMENT
    bad = HttpsDevice(Broken(None, b"no gzip"))  # type: ignore[arg-type]
    with pytest.raises(CallFailed, match="malformed: the body is no gzip"):
        await bad.request(b"GET", b"/", [], b"")


def test_a_target_is_an_https_url() -> None:
    target = Target.parse("https://localhost:8443/path/")
    assert (target.host, target.port, target.path) == ("localhost", 8443, "/path")
    assert target.authority == "localhost:8443"
    assert Target.parse("https://[::1]").port == 443
    for wrong in ("http://localhost", "localhost:8443", "https://", "https://x/?y"):
        with pytest.raises(ValueError, match="an URL such as"):
            Target.parse(wrong)


# --- operations -----------------------------------------------------------------------------------


def odsa(*parms: tuple[str, str]) -> Response:
    inside = "".join(f'<parm name="{name}" value="{value}"/>' for name, value in parms)
    return respond(
        200,
        XML,
        (
            '<wap-provisioningdoc version="1.1"><characteristic type="APPLICATION">'
            f'<parm name="AppID" value="ap2009"/>{inside}</characteristic></wap-provisioningdoc>'
        ).encode(),
    )


def asking(*parameters: tuple[str, str]) -> Send:
    return Send("GET", "/", ("ap2009",), Authentication.NONE, XML, parameters, False)


async def test_what_is_captured_can_be_named_later(autojump_clock: Clock, calling: Calling) -> None:
    calling.node.forced = odsa(("TemporaryToken", "t-1"))
    capture = Expect(200, XML, False, (), "", (("token", ("ap2009", "TemporaryToken")),))
    await calling.call(
        asking(("operation", "AcquireTemporaryToken")),
        capture,
        asking(("temporary_token", "{token}"), ("terminal_id", "{new_phone}"), ("eid", "{eid}")),
        Expect(200, XML, False, (), ""),
    )
    path = calling.node.requests[1][1]
    assert b"temporary_token=t-1" in path
    assert path.count(b"terminal_id=") == 1
    assert b"terminal_id=35800000" in path
    assert b"eid=89049032" in path
    missing = Expect(200, XML, False, (), "", (("x", ("ap2009", "Nothing")),))
    failure = await calling.fails(asking(), missing)
    assert failure.detail == "the document has no ap2009.Nothing"


async def test_a_request_is_repeated_until_its_answer_holds(
    autojump_clock: Clock, calling: Calling
) -> None:
    calling.node.forced = odsa(("ServiceStatus", "2"))
    until = ((("ap2009", "ServiceStatus"), "1"),)
    polling = Expect(200, XML, False, (), "active", (), until, every=2.0, most=3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(calling.call, asking(), polling)
        await trio.sleep(3)
        calling.node.forced = odsa(("ServiceStatus", "1"))
    assert len(calling.node.requests) == 3
    assert calling.timers()["active"] == 4.75
    calling.node.forced = odsa(("ServiceStatus", "2"))
    failure = await calling.fails(asking(), polling)
    assert failure.detail.startswith("after 3 repetitions")
