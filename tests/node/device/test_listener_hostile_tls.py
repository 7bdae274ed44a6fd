"""Attacks on the handshake and over HTTP/1.1, with honest traffic beside them.

Half-open handshakes, garbage, silence, floods of records without data; slow and oversized heads,
giant bodies, pipelines. Each costs a bounded amount, and the honest phones are served all the
while.
"""

import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio

import node.device.listening
from node.device import open_connections, transport
from node.device.exchange import Exchange
from protocols.http.message import HttpRequest, HttpResponse, text_response
from protocols.ts43.request import parse_request
from protocols.ts43.request_error import RequestError
from tests.node.device.hostile import PATIENCE, honest_traffic
from tests.node.device.running_listener import (
    Listening,
    Running,
    Stream,
    read_response,
    read_to_end,
)


def client_hello(server_name: str = "localhost") -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=server_name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


HELLO = client_hello()
GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"

OPENINGS = {
    "nothing": b"",
    "half a hello": HELLO[: len(HELLO) // 2],
    "a hello and no more": HELLO,
    "a record that never ends": b"\x16\x03\x01\x40\x00" + HELLO[5:],
}

GARBAGE = {
    "zeros": bytes(2_000),
    "plain http": b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "http/2 in the clear": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "ssl 2": b"\x80\x2e\x01\x00\x02" + bytes(60),
    "a huge record": b"\x16\x03\x01\xff\xff" + bytes(3_000),
    "an alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "application data": b"\x17\x03\x03\x00\x20" + bytes(32),
    "a mutilated hello": HELLO[:60] + bytes(40) + HELLO[100:],
    "a hello twice": HELLO + HELLO,
}


@contextlib.asynccontextmanager
async def half_open(running: Running, octets: bytes, count: int) -> AsyncIterator[None]:
    """Connections that stop in the middle of their handshake, renewed when they are thrown out."""

    async def hold() -> None:
        while True:
            with contextlib.suppress(OSError, trio.BrokenResourceError):
                async with await trio.open_tcp_stream("127.0.0.1", running.port) as raw:
                    if octets:
                        await raw.send_all(octets)
                    while await raw.receive_some():
                        pass

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(hold)
        yield
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("name", OPENINGS)
async def test_handshakes_that_stop_do_not_keep_others_out(
    listening: Listening, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty of them, and room for twenty: whoever takes longest makes room, soon in this test."""
    monkeypatch.setattr(open_connections, "CROWDED_SECONDS", 0.02)
    monkeypatch.setattr(node.device.listening, "PAUSE_SECONDS", 0.02)
    async with (
        listening(max_handshakes=20, handshake_seconds=10.0) as running,
        half_open(running, OPENINGS[name], 50),
    ):
        await running.until(lambda now: now.handshakes_in_progress == 20)
        # On a busy machine an honest handshake may be the oldest of twenty, too.
        async with honest_traffic(running, 3, tries_again=True) as honest:
            pass
        statistics = running.listener.statistics()
        assert honest.visits >= 3
        assert statistics.handshakes_in_progress <= 20
        assert statistics.handshakes_failed["crowded_out"] > 0


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_costs_its_connection(listening: Listening, name: str) -> None:
    async with listening() as running, honest_traffic(running, 2):
        for _ in range(20):
            raw = await running.connect()
            with contextlib.suppress(trio.BrokenResourceError):
                await raw.send_all(GARBAGE[name])
                await read_to_end(raw)
            await raw.aclose()
        await running.until(
            lambda now: sum(now.handshakes_failed.values()) + sum(now.closed.values()) >= 20
        )
        assert sum(running.listener.statistics().protocols.values()) > 0


async def test_complete_handshakes_in_a_flood_leave_room_for_requests(listening: Listening) -> None:
    """Each costs a signature; between a few of them those who are in have their turn."""
    async with listening() as running, honest_traffic(running, 10) as honest:

        async def knock() -> None:
            for _ in range(15):
                tls = await running.connect_tls()
                await tls.transport_stream.aclose()

        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                for _ in range(8):
                    nursery.start_soon(knock)
        assert running.listener.statistics().protocols["http/1.1"] >= 120
        assert honest.served > 0


async def test_a_flood_of_key_updates_is_ended(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records without a single octet of data (RFC 8446 §4.6.3), each with work for both sides."""
    monkeypatch.setattr(transport, "SILENT_OCTETS", 1_000)
    async with listening() as running, honest_traffic(running, 3), trio.open_nursery() as nursery:
        command = ["openssl", "s_client", "-connect", running.address, "-tls1_3"]
        pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
        process: trio.Process = await nursery.start(
            partial(trio.run_process, command, stderr=subprocess.DEVNULL, check=False, **pipe)
        )
        assert process.stdin is not None
        with trio.fail_after(PATIENCE), contextlib.suppress(trio.BrokenResourceError):
            while not running.listener.statistics().closed.get("no_data"):
                await process.stdin.send_all(b"K\n")  # a line a time: update the key
                await trio.to_thread.run_sync(lambda: None)
        await running.until(lambda now: now.closed.get("no_data") == 1)
        nursery.cancel_scope.cancel()


# --- HTTP/1.1 -------------------------------------------------------------------------------------


def parse_as_a_phone(request: HttpRequest, exchange: Exchange) -> None:
    """What the TS.43 surface does with a request, without what comes after."""
    try:
        parse_request(request)
    except RequestError as error:
        exchange.answer(error.response())
    else:
        exchange.answer(text_response(200, request.target.decode()))


def post(body: bytes, content_type: bytes = b"application/json") -> bytes:
    return (
        b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b"
        % (content_type, len(body), body)
    )


def answer(request: HttpRequest, exchange: Exchange) -> None:
    if request.target == b"/honest":
        exchange.answer(HttpResponse(200, b"", request.target))
    else:
        parse_as_a_phone(request, exchange)


GIANTS = {
    "deep arrays": (b'{"app":' + b"[" * 15_000 + b"]" * 15_000 + b"}", b"400"),
    "deep objects": (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b"400"),
    "nothing but openings": (b"[" * 32_000, b"400"),
    "a huge number": (b'{"app":' + b"9" * 32_000 + b"}", b"400"),
    "a huge exponent": (b'{"app":1e999999999}', b"400"),
    "many keys": (b"{" + b",".join(b'"%d":1' % at for at in range(3_000)) + b"}", b"400"),
    "one key many times": (b"{" + b",".join([b'"app":"ap2004"'] * 2_000) + b"}", b"400"),
    "a megabyte": (b'{"app":"' + b"x" * 1_000_000 + b'"}', b"413"),
    "half a surrogate": (b'{"app":"\\ud800"}', b"400"),
    "octets that are no text": (b"\xff" * 32_000, b"400"),
}


@pytest.mark.parametrize("name", GIANTS)
async def test_giant_json_is_refused_by_status(listening: Listening, name: str) -> None:
    body, status = GIANTS[name]

    async def send(tls: Stream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await tls.send_all(post(body))

    async with (
        listening(answer) as running,
        honest_traffic(running, 3),
        trio.open_nursery() as nursery,
    ):
        for _ in range(3):
            tls = await running.connect_tls()
            nursery.start_soon(send, tls)
            with trio.fail_after(PATIENCE):
                head, _ = await read_response(tls)
            assert head.split(b" ")[1] == status
        nursery.cancel_scope.cancel()
        assert running.listener.statistics().crashes == 0


async def test_heads_that_drip_are_ended_and_cost_little(listening: Listening) -> None:
    """Slowloris: a field a time, never the last one. The clock of the request goes on."""
    async with (
        listening(request_seconds=0.3) as running,
        honest_traffic(running, 3),
        trio.open_nursery() as nursery,
    ):
        statuses: list[bytes] = []

        async def drip(tls: Stream, scope: trio.CancelScope) -> None:
            with scope, contextlib.suppress(trio.BrokenResourceError):
                await tls.send_all(GET[:-2])
                while True:
                    await tls.send_all(b"x-a: b\r\n")
                    await trio.sleep(0.01)

        async def attack() -> None:
            tls = await running.connect_tls()
            scope = trio.CancelScope()
            nursery.start_soon(drip, tls, scope)
            head, _ = await read_response(tls)
            scope.cancel()
            statuses.append(head.split(b" ")[1])

        for _ in range(20):
            nursery.start_soon(attack)
        await running.until(lambda _: len(statuses) == 20, PATIENCE)
        assert set(statuses) <= {b"408", b"431"}


async def test_oversized_heads_are_refused(listening: Listening) -> None:
    async with listening() as running, honest_traffic(running, 3):
        for head in (
            b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\nhost: localhost\r\n" + b"x: " + b"y" * 1_000_000,
            b"GET / HTTP/1.1\r\nhost: localhost\r\n" + b"x: y\r\n" * 100_000,
        ):
            tls = await running.connect_tls()
            with contextlib.suppress(trio.BrokenResourceError):
                await tls.send_all(head)
            with contextlib.suppress(trio.BrokenResourceError):
                assert (await read_to_end(tls)).startswith(b"HTTP/1.1 431")
        await running.until(lambda now: now.protocol_errors["http1_status_431"] == 3)


async def test_pipelines_are_cut_and_answered_in_order(listening: Listening) -> None:
    """Ten thousand requests at once: as many as may be open are answered, the last says close."""
    async with listening(max_streams=32) as running, honest_traffic(running, 3):
        for _ in range(3):
            tls = await running.connect_tls()
            flood = b"".join(
                b"GET /%d HTTP/1.1\r\nhost: localhost\r\n\r\n" % at for at in range(10_000)
            )
            with contextlib.suppress(trio.BrokenResourceError):
                await tls.send_all(flood)
            with contextlib.suppress(trio.BrokenResourceError):
                answers = await read_to_end(tls)
                assert answers.count(b"HTTP/1.1 200") == 32
                assert answers.count(b"connection: close") == 1
