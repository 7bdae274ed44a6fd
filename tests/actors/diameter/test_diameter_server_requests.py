"""RAR, ASR and everything else that an AAA or an agent sends to the node."""

from collections.abc import AsyncIterator, Callable

import pytest
import trio
from trio.testing import MockClock

from actors.diameter.outcomes import ServerRequest
from actors.diameter.router import DiameterRouter
from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Message, decode
from protocols.diameter.dictionary import Avp, AvpType
from protocols.diameter.encoding import encode_avp, encode_avps
from protocols.diameter.messages import APPLICATION_REQUEST
from tests.actors.diameter.lab import NODE, REALM, Aaa, Lab

SESSION = f"{NODE};1764000000;1;ecs1-7".encode()


class Setting:
    """One AAA, the router, and what the session side was asked."""

    def __init__(self, lab: Lab, aaa: Aaa, router: DiameterRouter) -> None:
        self.lab, self.aaa, self.router = lab, aaa, router
        self.asked: list[ServerRequest] = []
        router.on_server_request = self.serve

    def serve(self, request: ServerRequest, reply: Callable[[int], None]) -> None:
        self.asked.append(request)
        known = request.session_id == SESSION
        reply(numbers.SUCCESS if known else numbers.UNKNOWN_SESSION_ID)

    def body(self, *extra: bytes, session: bytes = SESSION, to: str | None = NODE) -> bytes:
        members = [(d.SESSION_ID, session)]
        aaa = self.aaa.server.origin.encoded
        target = [(d.DESTINATION_REALM, REALM)]
        if to is not None:
            target.append((d.DESTINATION_HOST, to))
        return encode_avps(members) + aaa + encode_avps(target) + b"".join(extra)

    async def ask(
        self,
        command: int,
        body: bytes,
        *,
        application: int = numbers.SWM,
        end_to_end: int | None = None,
        flags: int = APPLICATION_REQUEST,
    ) -> Message:
        answers: list[Message | None] = []
        self.aaa.server.request(
            self.aaa.client,
            command,
            application,
            body,
            answers.append,
            end_to_end=end_to_end,
            flags=flags,
        )
        self.lab.turn.end()
        await self.lab.settle()
        (answer,) = answers
        assert answer is not None
        return answer


@pytest.fixture
async def setting(nursery: trio.Nursery) -> AsyncIterator[Setting]:
    lab = Lab(nursery)
    aaa = lab.aaa("aaa1")
    made = Setting(lab, aaa, await lab.router("aaa1"))
    yield made
    assert lab.crashes == []


@pytest.mark.parametrize("command", [numbers.RE_AUTH, numbers.ABORT_SESSION])
async def test_rar_and_asr_reach_the_session_side(
    autojump_clock: MockClock, setting: Setting, command: int
) -> None:
    user = encode_avp(d.USER_NAME, "0001010000000001@nai")
    proxy = encode_avp(d.PROXY_INFO, ((d.PROXY_HOST, "dra1"), (d.PROXY_STATE, b"p")))
    answer = await setting.ask(command, setting.body(user, proxy))
    assert answer.u32(d.RESULT_CODE) == numbers.SUCCESS
    assert answer.octets(d.SESSION_ID) == SESSION
    assert answer.text(d.ORIGIN_HOST) == NODE
    assert answer.flags == numbers.FLAG_PROXIABLE
    assert len(answer.all(d.PROXY_INFO)) == 1
    (request,) = setting.asked
    assert request.command == command
    assert request.session_id == SESSION
    assert request.origin_host == setting.aaa.name.encode()
    assert "0001010" not in repr(request)


async def test_an_unknown_session_is_5002(autojump_clock: MockClock, setting: Setting) -> None:
    answer = await setting.ask(numbers.ABORT_SESSION, setting.body(session=b"a;1;2"))
    assert answer.u32(d.RESULT_CODE) == numbers.UNKNOWN_SESSION_ID
    assert not answer.is_error
    assert setting.router.statistics().refused == {5002: 1}


async def test_a_duplicate_gets_the_first_answer_and_the_session_side_is_asked_once(
    autojump_clock: MockClock, setting: Setting
) -> None:
    first = await setting.ask(numbers.RE_AUTH, setting.body(), end_to_end=77)
    again = await setting.ask(
        numbers.RE_AUTH,
        setting.body(),
        end_to_end=77,
        flags=APPLICATION_REQUEST | numbers.FLAG_RETRANSMIT,
    )
    assert len(setting.asked) == 1
    assert again.hop_by_hop != first.hop_by_hop
    assert again.raw[16:] == first.raw[16:]
    assert setting.router.statistics().duplicates == 1
    await trio.sleep(241)
    await setting.ask(numbers.RE_AUTH, setting.body(), end_to_end=77)
    assert len(setting.asked) == 2


async def test_a_request_for_somebody_else_is_3002(
    autojump_clock: MockClock, setting: Setting
) -> None:
    der = encode_avp(d.EAP_PAYLOAD, b"\x02\x01\x00\x04")
    for command, body in (
        (numbers.RE_AUTH, setting.body(to=f"ecs2.{REALM}")),
        # What a relay does that has no rule against it: another client's DER.
        (numbers.DIAMETER_EAP, setting.body(der, to=None)),
    ):
        answer = await setting.ask(command, body)
        assert answer.u32(d.RESULT_CODE) == numbers.UNABLE_TO_DELIVER
        assert answer.is_error
    assert setting.asked == []


async def test_a_command_we_do_not_serve_is_3001(
    autojump_clock: MockClock, setting: Setting
) -> None:
    der = encode_avp(d.EAP_PAYLOAD, b"\x02\x01\x00\x04")
    for command in (numbers.DIAMETER_EAP, 9999):
        answer = await setting.ask(command, setting.body(der, to=NODE.upper()))
        assert answer.u32(d.RESULT_CODE) == numbers.COMMAND_UNSUPPORTED
        assert answer.is_error


async def test_an_application_we_do_not_serve_is_3007(
    autojump_clock: MockClock, setting: Setting
) -> None:
    answer = await setting.ask(numbers.RE_AUTH, setting.body(), application=16777265)
    assert answer.u32(d.RESULT_CODE) == numbers.APPLICATION_UNSUPPORTED
    assert answer.application == 16777265


async def test_a_loop_is_3005(autojump_clock: MockClock, setting: Setting) -> None:
    route = encode_avp(d.ROUTE_RECORD, "aaa1") + encode_avp(d.ROUTE_RECORD, NODE.upper())
    answer = await setting.ask(numbers.RE_AUTH, setting.body(route))
    assert answer.u32(d.RESULT_CODE) == numbers.LOOP_DETECTED
    through = encode_avp(d.ROUTE_RECORD, "aaa1")
    answer = await setting.ask(numbers.RE_AUTH, setting.body(through))
    assert answer.u32(d.RESULT_CODE) == numbers.SUCCESS


async def test_an_unknown_mandatory_avp_is_5001_with_the_avp(
    autojump_clock: MockClock, setting: Setting
) -> None:
    unknown = Avp(4242, "Unknown", AvpType.OCTET_STRING, True, 10415)
    answer = await setting.ask(numbers.RE_AUTH, setting.body(encode_avp(unknown, b"x")))
    assert answer.u32(d.RESULT_CODE) == numbers.AVP_UNSUPPORTED
    failed = answer.group(d.FAILED_AVP)
    assert failed is not None
    assert failed.octets(unknown) == b"x"


async def test_an_unknown_mandatory_avp_in_a_group_is_5001_with_its_group(
    autojump_clock: MockClock, setting: Setting
) -> None:
    """RFC 6733 §7.5: Failed-AVP has the group, and in it the offending AVP alone."""
    unknown = Avp(4242, "Unknown", AvpType.OCTET_STRING, True, 10415)
    group = encode_avp(d.SUBSCRIPTION_ID, [(d.SUBSCRIPTION_ID_TYPE, 0), (unknown, b"x")])
    answer = await setting.ask(numbers.RE_AUTH, setting.body(group))
    assert answer.u32(d.RESULT_CODE) == numbers.AVP_UNSUPPORTED
    failed = answer.group(d.FAILED_AVP)
    assert failed is not None
    inner = failed.group(d.SUBSCRIPTION_ID)
    assert inner is not None
    assert [avp.code for avp in inner] == [4242]


@pytest.mark.parametrize("row", [d.LOAD, d.PROXY_INFO])
async def test_what_is_informational_or_an_agents_own_is_not_looked_into(
    autojump_clock: MockClock, setting: Setting, row: Avp
) -> None:
    unknown = Avp(4242, "Unknown", AvpType.OCTET_STRING, True, 10415)
    body = setting.body(encode_avp(row, [(unknown, b"x")]))
    answer = await setting.ask(numbers.RE_AUTH, body)
    assert answer.u32(d.RESULT_CODE) == numbers.SUCCESS


async def test_refused_requests_are_counted_by_their_result(
    autojump_clock: MockClock, setting: Setting
) -> None:
    unknown = Avp(4242, "Unknown", AvpType.OCTET_STRING, True)
    await setting.ask(numbers.RE_AUTH, setting.body(encode_avp(unknown, b"x")))
    await setting.ask(numbers.RE_AUTH, setting.body(session=b"other"))
    await setting.ask(numbers.ABORT_SESSION, setting.body(session=b"other"))
    await setting.ask(numbers.RE_AUTH, setting.body())
    assert setting.router.statistics().refused == {5001: 1, 5002: 2}


async def test_a_missing_session_id_is_5005(autojump_clock: MockClock, setting: Setting) -> None:
    body = setting.body()[len(encode_avp(d.SESSION_ID, SESSION)) :]
    answer = await setting.ask(numbers.ABORT_SESSION, body)
    assert answer.u32(d.RESULT_CODE) == numbers.MISSING_AVP
    failed = answer.group(d.FAILED_AVP)
    assert failed is not None
    assert d.SESSION_ID in failed


async def test_a_session_side_that_raises_is_5012(
    autojump_clock: MockClock, setting: Setting
) -> None:
    def serve(request: ServerRequest, reply: Callable[[int], None]) -> None:
        raise RuntimeError("a bug")

    setting.router.on_server_request = serve
    answer = await setting.ask(numbers.RE_AUTH, setting.body())
    assert answer.u32(d.RESULT_CODE) == numbers.UNABLE_TO_COMPLY
    assert [str(error) for error in setting.lab.crashes] == ["a bug"]
    setting.lab.crashes.clear()
    assert setting.router.ready


async def test_a_decision_may_come_later(autojump_clock: MockClock, setting: Setting) -> None:
    decide: list[Callable[[int], None]] = []
    setting.router.on_server_request = lambda request, reply: decide.append(reply)
    answers: list[Message | None] = []
    setting.aaa.server.request(
        setting.aaa.client, numbers.ABORT_SESSION, numbers.SWM, setting.body(), answers.append
    )
    setting.lab.turn.end()
    await setting.lab.settle()
    assert answers == []
    decide[0](numbers.SUCCESS)
    setting.lab.turn.end()
    await setting.lab.settle()
    (answer,) = answers
    assert answer is not None
    assert answer.u32(d.RESULT_CODE) == numbers.SUCCESS


async def test_without_a_session_side_every_session_is_unknown(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    lab = Lab(nursery)
    aaa = lab.aaa("aaa1")
    setting = Setting(lab, aaa, await lab.router("aaa1"))
    fresh = DiameterRouter(lab.settings(), lab.turn, lab.timers)
    codes: list[int] = []
    fresh.on_server_request(ServerRequest(258, b"x", b"y"), codes.append)
    assert codes == [numbers.UNKNOWN_SESSION_ID]
    assert decode((await setting.ask(numbers.RE_AUTH, setting.body())).raw).command == 258
