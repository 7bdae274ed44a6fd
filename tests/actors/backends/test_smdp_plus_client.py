"""Repetitions, doubt, breaker and limits of the client, on a clock that jumps."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from actors.backends import smdp_plus_client
from actors.backends.smdp_plus import (
    Cause,
    Executed,
    NotExecuted,
    OutcomeUnknown,
    Refused,
    SmdpPlus,
)
from actors.backends.smdp_plus_answers import HttpAnswer
from actors.backends.smdp_plus_client import SmdpPlusClient
from actors.backends.smdp_plus_http import HttpFailure
from protocols.es2plus.requests import Done, DownloadOrder, ReleaseProfile
from protocols.es2plus.status_codes import Function, StatusClass, StatusCode
from protocols.identity import Iccid

ICCID = Iccid("8949000000000000018")
OK = HttpAnswer(200, {}, b'{"header":{"functionExecutionStatus":{"status":"Executed-Success"}}}')
IN_USE = HttpAnswer(
    200,
    {},
    b'{"header":{"functionExecutionStatus":{"status":"Failed","statusCodeData":'
    b'{"subjectCode":"8.2.1","reasonCode":"3.3"}}}}',
)
REFUSED = HttpFailure(Cause.CONNECT_FAILED, False, "ConnectError")
SILENT = HttpFailure(Cause.TIMEOUT, True, "ReadTimeout")

Script = list[HttpAnswer | HttpFailure | float]


class ScriptedHttp:
    """Stands for the connections: each post takes the next answer; a number is seconds."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.sent: list[tuple[float, str, bytes, dict[str, str]]] = []

    async def post(
        self,
        path: str,
        body: bytes,
        headers: dict[str, str],
        *,
        connect_seconds: float,
        answer_seconds: float,
    ) -> HttpAnswer | HttpFailure:
        self.sent.append((trio.current_time(), path, body, headers))
        step = self.script.pop(0)
        if isinstance(step, float):
            await trio.sleep(min(step, answer_seconds))
            return SILENT if step > answer_seconds else OK
        await trio.lowlevel.checkpoint()
        return step

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()


Make = Callable[..., tuple[SmdpPlusClient, ScriptedHttp]]


@pytest.fixture
def scripted(settings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Make:
    def make(script: Script, **others: object) -> tuple[SmdpPlusClient, ScriptedHttp]:
        http = ScriptedHttp(script)
        monkeypatch.setattr(smdp_plus_client, "SmdpPlusHttp", lambda *_, **__: http)
        client = SmdpPlusClient(
            "mno",
            settings("https://127.0.0.1:1", **others),
            wall_clock=lambda: 1_709_712_041.0,
            jitter=lambda: 0.5,
        )
        port: SmdpPlus = client  # the port, as orders see it
        assert port.tenant == "mno"
        return client, http

    return make


async def test_a_lost_connection_is_tried_again_with_the_same_body_at_0_2_0_6_and_1_5_seconds(
    scripted: Make, autojump_clock: trio.testing.MockClock
) -> None:
    """ES2-05"""
    client, http = scripted([REFUSED, SILENT, HttpAnswer(502, {}, b""), OK])
    call = client.prepare(ReleaseProfile(ICCID), "call-1")
    assert await client.execute(call, 30.0) == Executed(Done())
    times = [round(at - http.sent[0][0], 2) for at, *_ in http.sent]
    assert times == [0.0, 0.2, 0.8, 2.3]
    assert len({body for _, _, body, _ in http.sent}) == 1
    assert b'"functionCallIdentifier":"call-1"' in http.sent[0][2]


async def test_what_was_never_sent_was_not_executed(
    scripted: Make, autojump_clock: trio.testing.MockClock
) -> None:
    """FAIL-02"""
    client, http = scripted([REFUSED] * 4)
    found = await client.execute(client.prepare(ReleaseProfile(ICCID), "c"), 30.0)
    assert found == NotExecuted(Cause.CONNECT_FAILED, detail="ConnectError")
    assert len(http.sent) == 4


async def test_one_doubtful_attempt_taints_the_rest(
    scripted: Make, autojump_clock: trio.testing.MockClock
) -> None:
    client, _ = scripted([SILENT, REFUSED, REFUSED, REFUSED])
    found = await client.execute(client.prepare(ReleaseProfile(ICCID), "c"), 30.0)
    assert found == OutcomeUnknown(Cause.TIMEOUT, detail="ReadTimeout")
    client, _ = scripted([SILENT, IN_USE])
    refused = await client.execute(client.prepare(DownloadOrder(ICCID), "c"), 30.0)
    assert refused == Refused(StatusCode("8.2.1", "3.3"), StatusClass.MAYBE_DONE, after_doubt=True)
    client, _ = scripted([IN_USE])
    fresh = await client.execute(client.prepare(DownloadOrder(ICCID), "c"), 30.0)
    assert isinstance(fresh, Refused)
    assert not fresh.after_doubt


async def test_a_failure_of_the_function_is_never_repeated(
    scripted: Make, autojump_clock: trio.testing.MockClock
) -> None:
    client, http = scripted([IN_USE, OK])
    await client.execute(client.prepare(DownloadOrder(ICCID), "c"), 30.0)
    assert len(http.sent) == 1


async def test_retry_after_is_honoured_within_the_budget_and_told_beyond_it(
    scripted: Make, autojump_clock: trio.testing.MockClock
) -> None:
    """FAIL-09"""
    busy = HttpAnswer(503, {"retry-after": "3"}, b"")
    client, http = scripted([busy, OK])
    assert await client.execute(client.prepare(ReleaseProfile(ICCID), "c"), 8.0) == Executed(Done())
    assert http.sent[1][0] - http.sent[0][0] == pytest.approx(3.0)
    client, http = scripted([busy, OK])
    found = await client.execute(client.prepare(ReleaseProfile(ICCID), "c"), 2.0)
    assert found == NotExecuted(Cause.OVERLOADED, 3.0, "HTTP 503")
    assert len(http.sent) == 1


async def test_the_budget_bounds_everything(
    scripted: Make, autojump_clock: trio.testing.MockClock
) -> None:
    client, http = scripted([60.0] * 4)
    began = trio.current_time()
    found = await client.execute(client.prepare(ReleaseProfile(ICCID), "c"), 4.0)
    assert isinstance(found, OutcomeUnknown)
    assert trio.current_time() - began == pytest.approx(4.0)
    assert len(http.sent) == 1


async def test_every_function_has_its_own_time(
    scripted: Make, autojump_clock: trio.testing.MockClock
) -> None:
    client, _ = scripted([5.0, 5.0], download_order_seconds=6.0, release_profile_seconds=4.0)
    began = trio.current_time()
    done = await client.execute(client.prepare(DownloadOrder(ICCID), "c"), 9.0)
    assert isinstance(done, Executed)
    assert trio.current_time() - began == pytest.approx(5.0)
    found = await client.execute(client.prepare(ReleaseProfile(ICCID), "c"), 4.1)
    assert isinstance(found, OutcomeUnknown)
    assert trio.current_time() - began == pytest.approx(9.0)


async def test_the_breaker_opens_probes_once_and_closes(
    scripted: Make, autojump_clock: trio.testing.MockClock
) -> None:
    client, http = scripted([REFUSED] * 5)
    release = client.prepare(ReleaseProfile(ICCID), "c")
    await client.execute(release, 30.0)
    await client.execute(release, 0.1)
    assert not client.available
    sent = len(http.sent)
    assert await client.execute(release, 30.0) == NotExecuted(Cause.BREAKER_OPEN)
    assert len(http.sent) == sent == 5
    await trio.sleep(1.1)
    assert client.available
    http.script = [0.5]
    found: list[object] = []

    async def run() -> None:
        found.append(await client.execute(release, 30.0))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        nursery.start_soon(run)
    assert set(map(type, found)) == {Executed, NotExecuted}
    assert client.available
    statistics = client.statistics()
    assert (statistics.state, statistics.breaker_opened) == ("closed", 1)
    assert statistics.calls["releaseProfile executed"] == 1
    assert statistics.calls["releaseProfile not-executed breaker-open"] == 2


async def test_a_cancelled_probe_lets_the_next_one_try(
    scripted: Make, autojump_clock: trio.testing.MockClock
) -> None:
    client, http = scripted([REFUSED] * 5)
    release = client.prepare(ReleaseProfile(ICCID), "c")
    await client.execute(release, 30.0)
    await client.execute(release, 0.1)
    await trio.sleep(1.1)
    http.script = [5.0, OK]
    with trio.move_on_after(0.1):
        await client.execute(release, 30.0)
    assert await client.execute(release, 30.0) == Executed(Done())
    assert client.statistics().in_flight == 0


async def test_no_more_calls_than_allowed_run_at_once(
    scripted: Make, autojump_clock: trio.testing.MockClock
) -> None:
    client, _ = scripted([2.0, 2.0, 2.0], max_calls=2)
    release = client.prepare(ReleaseProfile(ICCID), "c")
    found: list[object] = []
    most = 0

    async def run(budget: float) -> None:
        found.append(await client.execute(release, budget))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, 10.0)
        nursery.start_soon(run, 10.0)
        await trio.sleep(0.1)
        nursery.start_soon(run, 1.0)
        nursery.start_soon(run, 10.0)
        for _ in range(40):
            most = max(most, client.statistics().in_flight)
            await trio.sleep(0.1)
    assert most == 2
    assert found.count(Executed(Done())) == 3
    assert found.count(NotExecuted(Cause.BUSY)) == 1


async def test_nothing_is_sent_during_maintenance(scripted: Make) -> None:
    client, http = scripted([OK], maintenance=("08:00-09:00",))
    assert not client.available
    found = await client.execute(client.prepare(ReleaseProfile(ICCID), "c"), 1.0)
    assert found == NotExecuted(Cause.MAINTENANCE)
    assert http.sent == []


async def test_a_persisted_call_is_restored_and_another_one_refused(scripted: Make) -> None:
    client, _ = scripted([])
    call = client.prepare(DownloadOrder(ICCID), "call-1")
    assert client.restore(call.function, "call-1", call.body) == call
    for function, name in ((Function.DOWNLOAD_ORDER, "call-2"), (Function.CANCEL_ORDER, "call-1")):
        with pytest.raises(ValueError, match=r"another call|missing required"):
            client.restore(function, name, call.body)
    assert ICCID not in repr(call)


async def test_a_status_query_that_the_vendor_lacks_is_not_sent(scripted: Make) -> None:
    client, http = scripted([])
    found = await client.profile_status((ICCID,), 1.0)
    assert isinstance(found, Refused)
    assert found.http_status == 0
    assert http.sent == []


async def test_header_fields_of_a_request(scripted: Make) -> None:
    """ES2-01, ES2-02, ES2-03"""
    client, http = scripted([OK], version="2.4.0", path_prefix="/aep")
    await client.execute(client.prepare(ReleaseProfile(ICCID), "c"), 1.0)
    (_, path, _, headers) = http.sent[0]
    assert path == "/aep/gsma/rsp2/es2plus/releaseProfile"
    assert headers["x-admin-protocol"] == "gsma/rsp/v2.4.0"
    assert headers["content-type"] == "application/json"


async def test_the_address_of_activation_codes_is_configured_or_the_host(scripted: Make) -> None:
    """ES2-25"""
    client, _ = scripted([], address="rsp.example.com", oid="2.999.10", profile_types=("T",))
    assert (client.address, client.oid, client.profile_types) == (
        "rsp.example.com",
        "2.999.10",
        ("T",),
    )
    client, _ = scripted([])
    assert client.address == "127.0.0.1"
