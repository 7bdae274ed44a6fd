"""HTTP/2 through the listener, with the h2 library as the client."""

from collections.abc import Callable

import h2.config
import h2.connection
import h2.events
import pytest
import trio

from protocols.http.message import HttpResponse
from tests.node.device.running_listener import Listening, Stream, answer_later


class Client:
    """An h2 connection over TLS that gathers what comes."""

    def __init__(self, tls: Stream) -> None:
        self.tls = tls
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.h2.initiate_connection()
        self.statuses: dict[int, bytes] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: list[int] = []
        self.resets: list[int] = []
        self.goaways: list[int] = []
        self.eof = False

    def ask(self, path: bytes, body: bytes = b"") -> int:
        stream_id = self.h2.get_next_available_stream_id()
        fields = [
            (b":method", b"POST" if body else b"GET"),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", path),
        ]
        self.h2.send_headers(stream_id, fields, end_stream=not body)
        if body:
            self.h2.send_data(stream_id, body, end_stream=True)
        return stream_id

    async def send(self) -> None:
        data = self.h2.data_to_send()
        if data:
            await self.tls.send_all(data)

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(5):
            await self.send()
            while not condition():
                data = await self.tls.receive_some()
                if not data:
                    self.eof = True
                    continue
                for event in self.h2.receive_data(data):
                    self._take(event)
                await self.send()

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                self.statuses[event.stream_id] = dict(event.headers)[b":status"]
                self.bodies[event.stream_id] = b""
            case h2.events.DataReceived():
                self.bodies[event.stream_id] += event.data
                if event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self.ended.append(event.stream_id)
            case h2.events.StreamReset():
                self.resets.append(event.stream_id)
            case h2.events.ConnectionTerminated():
                self.goaways.append(event.last_stream_id)


async def test_many_streams_are_answered(listening: Listening) -> None:
    async with listening() as running:
        client = Client(await running.connect_tls("h2", "http/1.1"))
        streams = [client.ask(b"/%d" % number, b"body") for number in range(20)]
        await client.until(lambda: len(client.ended) == 20)
        assert {client.statuses[one] for one in streams} == {b"200"}
        assert [client.bodies[one] for one in streams] == [b"/%d" % n for n in range(20)]
        statistics = running.listener.statistics()
        assert statistics.protocols == {"h2": 1}
        assert statistics.requests == 20
        assert running.exchanges[0].http_version == "2"


async def test_late_answers_of_one_turn_leave_together(listening: Listening) -> None:
    async with listening(answer_later) as running:
        client = Client(await running.connect_tls("h2"))
        streams = [client.ask(b"/") for _ in range(5)]
        await client.send()
        await running.until(lambda now: now.requests == 5)
        for exchange in running.exchanges:
            exchange.answer(HttpResponse(200, b"text/plain", b"late"))
        running.turn.end()
        await client.until(lambda: len(client.ended) == 5)
        assert [client.bodies[one] for one in streams] == [b"late"] * 5


async def test_a_reset_stream_is_gone_and_the_others_are_not(
    listening: Listening,
) -> None:
    async with listening(answer_later) as running:
        client = Client(await running.connect_tls("h2"))
        first, second = client.ask(b"/1"), client.ask(b"/2")
        await client.send()
        await running.until(lambda now: now.requests == 2)
        told: list[str] = []
        running.exchanges[0].on_gone = lambda: told.append("first")
        running.exchanges[1].on_gone = lambda: told.append("second")
        client.h2.reset_stream(first)
        await client.send()
        await running.until(lambda now: now.abandoned == 1)
        assert told == ["first"]
        for exchange in running.exchanges:
            exchange.answer(HttpResponse(200, b"text/plain", b"late"))
        running.turn.end()
        await client.until(lambda: client.ended == [second])
        assert first not in client.statuses
        assert told == ["first"]


async def test_a_wrong_preface_gets_goaway_and_is_counted(listening: Listening) -> None:
    async with listening() as running:
        tls = await running.connect_tls("h2")
        await tls.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n" + b"x" * 20_000)
        data = b""
        with trio.fail_after(5):
            while part := await tls.receive_some():
                data += part
        assert data[9 + 3] or data  # SETTINGS come first
        assert b"\x07\x00\x00\x00\x00\x00" in data  # a GOAWAY frame of stream 0
        await tls.transport_stream.aclose()
        await running.until(lambda now: now.open == 0)
        statistics = running.listener.statistics()
        assert statistics.protocol_errors == {"http2_preface": 1}
        assert statistics.closed == {"protocol_error": 1}


@pytest.mark.parametrize("protocols", [("h2", "http/1.1"), ("http/1.1", "h2")])
async def test_alpn_prefers_http_2_whatever_the_client_prefers(
    listening: Listening, protocols: tuple[str, ...]
) -> None:
    async with listening() as running:
        tls = await running.connect_tls(*protocols)
        assert tls.selected_alpn_protocol() == "h2"
        await tls.transport_stream.aclose()


def frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """(type, flags, stream, payload) of each whole frame."""
    found = []
    while len(data) >= 9:
        length = int.from_bytes(data[:3], "big")
        stream_id = int.from_bytes(data[5:9], "big")
        found.append((data[3], data[4], stream_id, data[9 : 9 + length]))
        data = data[9 + length :]
    return found


async def test_draining_answers_what_is_open_and_takes_nothing_new(
    listening: Listening, nursery: trio.Nursery
) -> None:
    async with listening(answer_later) as running:
        client = Client(await running.connect_tls("h2"))
        stream = client.ask(b"/1")
        await client.send()
        await running.until(lambda now: now.requests == 1)
        idle = await running.connect_tls("h2")
        nursery.start_soon(running.listener.drain, 30.0)
        await running.until(lambda now: now.draining)
        assert not running.listener.ready
        with pytest.raises(OSError, match=r"refused|all attempts"):
            await running.connect()
        running.exchanges[0].answer(HttpResponse(200, b"text/plain", b"late"))
        running.turn.end()
        # The h2 library takes nothing after GOAWAY, so frames are read by hand.
        data = b""
        with trio.fail_after(5):
            while b"late" not in data:
                data += await client.tls.receive_some()
            goaway, ping = (next(one for one in frames(data) if one[0] == kind) for kind in (7, 6))
            # RFC 9113 §6.8: first a warning, the real end after a round trip.
            assert goaway[3][:4] == b"\x7f\xff\xff\xff"
            await client.tls.send_all(b"\x00\x00\x08\x06\x01\x00\x00\x00\x00" + ping[3])
            data = b""
            while part := await client.tls.receive_some():
                data += part
        assert [one[3][:4] for one in frames(data)] == [stream.to_bytes(4, "big")]
        await client.tls.transport_stream.aclose()
        await idle.transport_stream.aclose()
        await running.until(lambda now: now.open == 0)


async def test_what_is_still_open_after_the_drain_is_closed(
    listening: Listening, nursery: trio.Nursery
) -> None:
    async with listening(answer_later) as running:
        client = Client(await running.connect_tls("h2"))
        client.ask(b"/1")
        await client.send()
        await running.until(lambda now: now.requests == 1)
        told: list[str] = []
        running.exchanges[0].on_gone = lambda: told.append("gone")
        with trio.fail_after(5):
            await running.listener.drain(0.05)
        assert told == ["gone"]
        statistics = running.listener.statistics()
        assert statistics.open == 0
        assert statistics.closed == {"drained": 1}


async def test_a_device_in_the_middle_of_its_handshake_is_served_during_a_drain(
    listening: Listening, nursery: trio.Nursery
) -> None:
    async with listening() as running:
        raw = await running.connect()
        await running.until(lambda now: now.accepted == 1)
        nursery.start_soon(running.listener.drain, 30.0)
        await running.until(lambda now: now.draining)
        context = running.lab.client_context("h2")
        client = Client(trio.SSLStream(raw, context, server_hostname="localhost"))
        client.ask(b"/last")
        await client.send()
        data = b""
        with trio.fail_after(5):
            while b"/last" not in data:
                data += await client.tls.receive_some()
        assert any(kind == 7 for kind, *_ in frames(data))
        await raw.aclose()
        await running.until(lambda now: now.open == 0)


async def test_devices_that_wait_in_the_kernels_queue_are_taken_before_a_drain(
    listening: Listening, nursery: trio.Nursery
) -> None:
    async with listening(max_connections=1) as running:
        await running.connect_tls("h2")
        await running.connect()
        await running.until(lambda now: now.pauses != {})
        with trio.fail_after(5):
            await running.listener.drain(0.0)
        assert running.listener.statistics().open == 0
