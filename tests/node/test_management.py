"""The management listener, most of it without a socket, the streams over a real one."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived

from actors.counters import Counters
from actors.trace.recorder import LONGEST_SECONDS, TRACES, TraceEvent, TraceRecorder
from config.model import Management as Settings
from node.management import BODY_OCTETS, Management
from node.metrics import Metrics
from node.trace.event_json import TraceEnd, read_line
from node.view import OwnView
from protocols.http.message import HttpRequest

IMSI = "001010000000001"
STEPS = [{"step": "subscriber", "found": True}]


class Desk:
    """A management listener with everything behind it in reach."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.recorder = TraceRecorder()
        self.reasons = {"listener": "", "diameter": "", "store": ""}
        self.asked: list[tuple[str | None, str, str, str, str]] = []
        self.metrics = Metrics(self.counters)
        self.metrics.watch("trace", self.recorder.statistics)
        self.management = Management(
            Settings(listen="127.0.0.1:0"),
            OwnView(
                metrics=self.metrics,
                recorder=self.recorder,
                readiness={part: lambda part=part: self.reasons[part] for part in self.reasons},  # type: ignore[misc]
                explain=self.explain,
            ),
        )

    def explain(
        self, tenant: str | None, imsi: str, app: str, version: str, language: str
    ) -> list[dict[str, Any]]:
        self.asked.append((tenant, imsi, app, version, language))
        if tenant == "nobody":
            raise LookupError("no tenant nobody")
        if language == "xx":
            raise ValueError("no language xx")
        return STEPS

    async def get(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        client = self.management.app.test_client()
        send = client.post if method == "POST" else client.get
        response = await send(path, headers=dict(headers or {}))
        return response.status_code, await response.get_data(as_text=False)

    async def json(self, path: str, method: str = "GET") -> tuple[int, Any]:
        status, body = await self.get(path, method)
        return status, json.loads(body)


def event(text: str) -> TraceEvent:
    return TraceEvent(1.5, "x1", "op1", IMSI, "decision", "out", text)


@asynccontextmanager
async def listening(desk: Desk) -> AsyncIterator[int]:
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(desk.management.run)
        yield int(url.rpartition(":")[2])
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def streaming(port: int, query: str) -> AsyncIterator["Lines"]:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(f"GET /trace?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        lines = Lines(stream)
        while await lines.next():  # the head of the response
            pass
        yield lines


class Lines:
    """The lines of a chunked response; whoever reads is not told about chunks."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._rest = b""

    async def next(self) -> bytes:
        while b"\r\n" not in self._rest:
            data = await self._stream.receive_some()
            assert data, "the stream ended"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line

    async def event(self) -> TraceEvent | TraceEnd:
        while True:
            await self.next()  # the size of the chunk
            read = read_line(await self.next())
            if read is not None:
                return read


async def test_live_needs_only_the_loop() -> None:
    assert await Desk().json("/live") == (200, {"live": True})


async def test_ready_when_every_part_is_and_else_it_says_why() -> None:
    desk = Desk()
    parts = {"listener": "ready", "diameter": "ready", "store": "ready"}
    assert await desk.json("/ready") == (200, {"ready": True, "parts": parts})
    desk.reasons["diameter"] = "no peer is open"
    parts["diameter"] = "no peer is open"
    assert await desk.json("/ready") == (503, {"ready": False, "parts": parts})


async def test_metrics_and_statistics_tell_the_same() -> None:
    desk = Desk()
    desk.counters.eap("op1", "resync")
    status, text = await desk.get("/metrics")
    assert status == 200
    assert b'entitlement_eap_events_total{event="resync",tenant="op1"} 1.0' in text
    assert b"entitlement_trace_armed 0.0" in text
    status, shown = await desk.json("/statistics")
    assert status == 200
    assert shown["trace"] == {"armed": 0, "recorded": 0, "lost": 0}
    assert shown["counters"]["eap_events"] == [{"tenant": "op1", "event": "resync", "count": 1}]


async def test_explain_hands_over_what_was_asked_and_gives_the_steps_back() -> None:
    desk = Desk()
    query = f"/explain?imsi={IMSI}&app=AP2004&tenant=op1&entitlement_version=8.0&language=fr"
    assert await desk.json(query, "POST") == (200, STEPS)
    several = f"/explain?imsi={IMSI}&app=ap2003,%20AP2004"
    assert await desk.json(several, "POST") == (200, STEPS)
    assert desk.asked == [
        ("op1", IMSI, "ap2004", "8.0", "fr"),
        (None, IMSI, "ap2003,ap2004", "12.0", ""),
    ]


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("app=ap2004", 400, "an IMSI is 6 to 15 digits"),
        (f"imsi={IMSI}&app=vowifi", 400, "app is an application id of TS.43, such as ap2004"),
        (f"imsi={IMSI}&app=ap2004&entitlement_version=new", 400, "entitlement_version is a number"),
        (f"imsi={IMSI}&app=ap2004&tenant=nobody", 404, "no tenant nobody"),
        (f"imsi={IMSI}&app=ap2004&language=xx", 400, "no language xx"),
    ],
)
async def test_explain_says_what_is_wrong(query: str, status: int, says: str) -> None:
    answered, problem = await Desk().json(f"/explain?{query}", "POST")
    assert answered == status
    assert problem["error"].startswith(says)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "an IMSI is 6 to 15 digits"),
        ("imsi=../etc", "an IMSI is 6 to 15 digits"),
        (f"imsi={IMSI}&seconds=soon", "seconds is a number"),
        (f"imsi={IMSI}&seconds=nan", "seconds is more than 0"),
        (f"imsi={IMSI}&seconds=0", "seconds is more than 0"),
        (f"imsi={IMSI}&seconds={LONGEST_SECONDS + 1}", "seconds is more than 0"),
    ],
)
async def test_a_trace_that_cannot_be_is_refused_and_nothing_is_armed(
    query: str, says: str
) -> None:
    desk = Desk()
    status, problem = await desk.json(f"/trace?{query}")
    assert status == 400
    assert problem["error"].startswith(says)
    assert not desk.recorder.armed


async def test_too_many_traces_are_refused() -> None:
    desk = Desk()
    for number in range(TRACES):
        desk.recorder.arm(f"00101000000{number:04}", 60.0, 1)
    assert await desk.json(f"/trace?imsi={IMSI}") == (503, {"error": "16 traces are running"})


async def test_unknown_paths_and_methods_are_json_too() -> None:
    desk = Desk()
    assert (await desk.json("/nothing"))[0] == 404
    assert (await desk.json("/explain"))[0] == 405
    assert await desk.json("/explain") == (405, {"error": "not with this method"})


async def test_a_fault_of_ours_is_a_500_without_its_text() -> None:
    desk = Desk()
    desk.metrics.watch("broken", lambda: 1 / 0)
    status, problem = await desk.json("/statistics")
    assert status == 500
    assert problem == {"error": "a fault of the node; the log has more"}


async def test_pages_of_other_sites_are_refused() -> None:
    desk = Desk()
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        status, _ = await desk.get("/statistics", headers=headers)
        assert status == 403


async def test_a_large_body_is_refused() -> None:
    desk = Desk()
    client = desk.management.app.test_client()
    response = await client.post(
        f"/explain?imsi={IMSI}&app=ap2004",
        data=b"x" * (BODY_OCTETS + 1),
        headers={"content-length": str(BODY_OCTETS + 1)},
    )
    assert response.status_code == 413
    assert desk.asked == []


async def test_a_trace_streams_events_as_they_come_and_leaving_disarms_it() -> None:
    desk = Desk()
    async with listening(desk) as port:
        async with streaming(port, f"imsi={IMSI}") as lines:
            assert desk.recorder.wants(IMSI)
            desk.recorder.record(event("one"))
            first = await lines.event()
            desk.recorder.record(event("two"))
            second = await lines.event()
            assert isinstance(first, TraceEvent)
            assert isinstance(second, TraceEvent)
            assert (first.payload, second.payload) == ("one", "two")
        with trio.fail_after(5):
            while desk.recorder.armed:
                await trio.lowlevel.checkpoint()


async def test_a_trace_ends_with_its_time_and_says_what_was_lost() -> None:
    desk = Desk()
    async with listening(desk) as port, streaming(port, f"imsi={IMSI}&seconds=0.05") as lines:
        assert await lines.event() == TraceEnd(0)
        assert not desk.recorder.armed


async def test_secrets_leave_only_when_asked_for() -> None:
    desk = Desk()
    request = HttpRequest(b"GET", b"/?token=abcdef", b"", [])
    async with listening(desk) as port:
        for query, target in (("", b"/?token=******"), ("&secrets=1", b"/?token=abcdef")):
            async with streaming(port, f"imsi={IMSI}{query}") as lines:
                desk.recorder.record(TraceEvent(1.5, "x1", "op1", IMSI, "http", "in", request))
                read = await lines.event()
                assert isinstance(read, TraceEvent)
                assert isinstance(read.payload, HttpRequest)
                assert read.payload.target == target


async def test_the_listener_binds_to_the_configured_address_alone() -> None:
    desk = Desk()
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(desk.management.run)
        assert url.startswith("http://127.0.0.1:")
        nursery.cancel_scope.cancel()


async def test_data_for_an_answered_http2_stream_ends_that_connection_alone() -> None:
    desk = Desk()
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    head = [(":method", "GET"), (":path", "/live"), (":scheme", "http"), (":authority", "x")]
    client.send_headers(1, head)
    async with listening(desk) as port:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(client.data_to_send())
            answered = False
            while not answered:
                received = client.receive_data(await stream.receive_some())
                answered = any(isinstance(one, DataReceived) for one in received)
            client.send_data(1, b"late")
            await stream.send_all(client.data_to_send())
            with trio.fail_after(5):
                while await stream.receive_some():
                    pass
        assert desk.management.listener.statistics().crashed == 1
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
