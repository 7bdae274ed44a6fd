"""What one client may cost: time, connections, handshakes, descriptors, queued octets.

The clock stands still unless a test moves it; sockets are real.
"""

import contextlib
import os
import resource
import socket
from collections.abc import Iterator

import pytest
import trio
from trio.testing import MockClock

from node.device.connection import LINGER_OCTETS
from node.device.exchange import Exchange
from protocols.http.message import HttpRequest, HttpResponse
from tests.node.device.running_listener import (
    Listening,
    Running,
    Stream,
    answer_later,
    read_response,
    read_to_end,
)

GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
LARGE = b"x" * 60_000
# A request of 20 kB: one `recv` holds three, so that few answers are queued at a time.
POST = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 20000\r\n\r\n" + b"y" * 20_000


def answer_large(_request: HttpRequest, exchange: Exchange) -> None:
    exchange.answer(HttpResponse(200, b"text/plain", LARGE))


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [b"", b"\x16\x03\x01\x02\x00"])
async def test_a_handshake_that_takes_too_long_ends(
    listening: Listening, mock_clock: MockClock, begun: bytes
) -> None:
    async with listening(handshake_seconds=10.0) as running:
        raw = await running.connect()
        if begun:
            await raw.send_all(begun)
        await running.until(lambda now: now.accepted == 1)
        mock_clock.jump(9.9)
        await trio.testing.wait_all_tasks_blocked()
        assert running.listener.statistics().handshakes_in_progress == 1
        mock_clock.jump(0.2)
        await running.until(lambda now: now.open == 0)
        assert running.listener.statistics().handshakes_failed == {"timeout": 1}


async def test_an_idle_connection_ends_with_close_notify(
    listening: Listening, mock_clock: MockClock
) -> None:
    async with listening(idle_seconds=15.0) as running:
        tls = await running.connect_tls()
        await tls.send_all(GET)
        await read_response(tls)
        mock_clock.jump(14.9)
        await trio.testing.wait_all_tasks_blocked()
        assert running.listener.statistics().open == 1
        mock_clock.jump(0.2)
        assert await tls.receive_some() == b""
        await tls.transport_stream.aclose()
        await running.until(lambda now: now.open == 0)
        assert running.listener.statistics().closed == {"ended": 1}


async def test_activity_moves_the_idle_limit(listening: Listening, mock_clock: MockClock) -> None:
    async with listening(idle_seconds=15.0) as running:
        tls = await running.connect_tls()
        for _ in range(5):
            await tls.send_all(GET)
            await read_response(tls)
            mock_clock.jump(10.0)
            await trio.testing.wait_all_tasks_blocked()
        assert running.listener.statistics().open == 1


async def test_a_request_that_takes_too_long_is_answered_408(
    listening: Listening, mock_clock: MockClock
) -> None:
    async with listening(request_seconds=15.0) as running:
        tls = await running.connect_tls()
        await tls.send_all(GET[:-2])
        await running.until(lambda now: now.protocols != {})
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(15.1)
        head, _ = await read_response(tls)
        assert head.startswith(b"HTTP/1.1 408")


async def test_a_deadline_that_comes_nearer_is_seen(
    listening: Listening, mock_clock: MockClock
) -> None:
    """After 10 s for the handshake the idle limit is 1 s: the timer must not sleep on."""
    async with listening(idle_seconds=1.0) as running:
        tls = await running.connect_tls()
        await tls.send_all(GET)
        await read_response(tls)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(1.1)
        with trio.fail_after(5):
            assert await tls.receive_some() == b""


# --- numbers --------------------------------------------------------------------------------------


async def test_at_the_limit_of_connections_accepting_pauses_and_goes_on(
    listening: Listening, mock_clock: MockClock
) -> None:
    async with listening(max_connections=2) as running:
        first, second = await running.connect_tls(), await running.connect_tls()
        third = await running.connect()
        await running.until(lambda now: now.pauses != {})
        assert running.listener.statistics().open == 2
        mock_clock.jump(0.2)  # still full: it looks, and pauses again
        await running.until(lambda now: now.pauses == {"max_connections": 2})
        await second.send_all(GET)
        await read_response(second)
        await first.transport_stream.aclose()
        await running.until(lambda now: now.open == 1)
        mock_clock.jump(0.2)
        await running.until(lambda now: now.accepted == 3)
        await third.aclose()


async def test_at_the_limit_of_handshakes_accepting_pauses(
    listening: Listening, mock_clock: MockClock
) -> None:
    async with listening(max_handshakes=2) as running:
        established = await running.connect_tls()
        for _ in range(3):
            await running.connect()
        await running.until(lambda now: now.pauses != {})
        statistics = running.listener.statistics()
        assert statistics.pauses == {"max_handshakes": 1}
        assert (statistics.open, statistics.handshakes_in_progress) == (3, 2)
        await established.send_all(GET)
        await read_response(established)


async def test_silent_connections_cannot_keep_others_out(
    listening: Listening, mock_clock: MockClock
) -> None:
    async with listening(max_handshakes=2, handshake_seconds=10.0) as running:
        for _ in range(2):
            await running.connect()
        await running.until(lambda now: now.handshakes_in_progress == 2)
        mock_clock.jump(1.5)
        tls = await running.connect_tls()
        await tls.send_all(GET)
        await read_response(tls)
        assert running.listener.statistics().handshakes_failed == {"crowded_out": 1}


@pytest.fixture
def descriptors() -> Iterator[int]:
    """Restore the limit of open files that a test lowers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_out_of_descriptors_accepting_pauses_instead_of_spinning(
    listening: Listening, mock_clock: MockClock, descriptors: int
) -> None:
    async with listening() as running:
        tls = await running.connect_tls()
        # A plain blocking connect: the kernel completes it while the reactor has no turn.
        waiting = socket.create_connection(("127.0.0.1", running.port))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        free = os.dup(0)  # the lowest free number, where `accept` would put its socket
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            with trio.fail_after(5):
                while not running.listener.statistics().pauses:
                    await trio.lowlevel.checkpoint()
            await tls.send_all(GET)  # who is in is served
            await read_response(tls)
            assert running.listener.statistics().pauses == {"descriptors": 1}
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
        mock_clock.jump(0.2)
        await running.until(lambda now: now.accepted == 2)
        waiting.close()


async def test_accepted_sockets_have_nodelay(listening: Listening) -> None:
    async with listening() as running:
        await running.connect_tls()
        (connection,) = running.listener._connections.by_descriptor.values()
        assert connection.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert not connection.socket.getblocking()


# --- slow and silent readers ----------------------------------------------------------------------


async def slow_reader(running: Running) -> Stream:
    """A client with a small receive buffer, so that the kernel refuses more soon."""
    client = trio.socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    await client.connect(("127.0.0.1", running.port))
    stream = trio.SocketStream(client)
    running.clients.append(stream)
    tls = trio.SSLStream(
        stream, running.lab.client_context(), server_hostname="localhost", https_compatible=True
    )
    await tls.do_handshake()
    return tls


async def stall(running: Running, nursery: trio.Nursery, tls: Stream) -> trio.CancelScope:
    """Ask for large answers without reading until the server cannot write."""
    scope = trio.CancelScope()

    async def ask() -> None:
        with scope, contextlib.suppress(trio.BrokenResourceError):
            while True:
                await tls.send_all(POST)

    nursery.start_soon(ask)
    (connection,) = running.listener._connections.by_descriptor.values()
    with trio.fail_after(5):
        while not connection._transport.stalled:
            await trio.lowlevel.checkpoint()
            await trio.to_thread.run_sync(lambda: None)
    return scope


async def test_a_slow_reader_gets_everything_in_the_end(
    listening: Listening, nursery: trio.Nursery
) -> None:
    async with listening(answer_large) as running:
        tls = await slow_reader(running)
        scope = await stall(running, nursery, tls)
        asked = running.listener.statistics().requests
        # Stalled: what it asks for next stays in the kernel until it reads.
        for _ in range(50):
            await trio.lowlevel.checkpoint()
        assert running.listener.statistics().requests == asked
        received = 0
        with trio.fail_after(10):
            while received < asked * len(LARGE):
                received += len(await tls.receive_some(100_000))
        scope.cancel()
        assert running.listener.statistics().requests >= asked
        assert running.listener.statistics().open == 1


async def test_a_stalled_write_has_a_limit(
    listening: Listening, mock_clock: MockClock, nursery: trio.Nursery
) -> None:
    async with listening(answer_large) as running:
        scope = await stall(running, nursery, await slow_reader(running))
        mock_clock.jump(15.1)
        await running.until(lambda now: now.open == 0)
        scope.cancel()
        assert running.listener.statistics().closed == {"stalled": 1}


async def test_a_stalled_client_that_dies_is_noticed(
    listening: Listening, nursery: trio.Nursery
) -> None:
    async with listening(answer_large) as running:
        scope = await stall(running, nursery, await slow_reader(running))
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked(0.01)
        running.clients[0].socket.close()  # with unread octets: RST
        await running.until(lambda now: now.open == 0)
        assert running.listener.statistics().closed == {"reset": 1}


async def test_queued_answers_have_a_bound(listening: Listening) -> None:
    async with listening(answer_later, max_queued_octets=100_000) as running:
        tls = await running.connect_tls()
        await tls.send_all(GET * 3)
        await running.until(lambda now: now.requests == 3)
        told: list[int] = []
        running.exchanges[0].on_gone = lambda: told.append(0)
        for exchange in running.exchanges[1:]:  # both wait for the first one's turn
            exchange.answer(HttpResponse(200, b"text/plain", LARGE))
        running.turn.end()
        assert running.listener.statistics().closed == {"queued_output": 1}
        assert told == [0]
        assert running.listener.statistics().protocol_errors == {"http1_queued_output": 1}


async def test_after_our_end_octets_of_the_peer_are_thrown_away_up_to_a_bound(
    listening: Listening, nursery: trio.Nursery
) -> None:
    async with listening() as running:
        raw = await running.connect()
        await raw.send_all(b"\x16\x03\x01\x00\x05hello")
        alert = await read_to_end(raw)
        assert alert[0] == 21
        assert running.listener.statistics().open == 1
        with pytest.raises(trio.BrokenResourceError):
            await raw.send_all(bytes(LINGER_OCTETS + 20_000_000))  # the kernel takes some
        await running.until(lambda now: now.open == 0)


async def test_lingering_has_a_limit_of_time(listening: Listening, mock_clock: MockClock) -> None:
    async with listening() as running:
        raw = await running.connect()
        await raw.send_all(b"\x16\x03\x01\x00\x05hello")
        assert (await read_to_end(raw))[0] == 21
        assert running.listener.statistics().open == 1
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(1.1)
        await running.until(lambda now: now.open == 0)


# --- bugs -----------------------------------------------------------------------------------------


async def test_a_bug_in_a_step_costs_that_connection_alone(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(bugs_expected=True) as running:
        good = await running.connect_tls()
        await good.send_all(GET)
        await read_response(good)
        bad = await running.connect_tls()
        await running.until(lambda now: now.protocols == {"http/1.1": 2})

        def fail(_data: bytes, _now: float) -> list[object]:
            raise RuntimeError("a bug")

        connections = list(running.listener._connections.by_descriptor.values())

        class Broken(type(connections[1]._machine)):  # type: ignore[misc]
            __slots__ = ()
            receive = staticmethod(fail)

        connections[1]._machine.__class__ = Broken
        await bad.send_all(GET)
        await running.until(lambda now: now.open == 1)
        await good.send_all(GET)
        await read_response(good)
        statistics = running.listener.statistics()
        assert statistics.closed == {"crash": 1}
        assert statistics.crashes == 1


@pytest.mark.slow
async def test_a_crowd_of_500_is_served(listening: Listening) -> None:
    async with listening() as running:
        answered = 0

        async def visit() -> None:
            nonlocal answered
            tls = await running.connect_tls()
            for _ in range(2):
                await tls.send_all(GET)
                await read_response(tls)
            answered += 1
            await tls.transport_stream.aclose()

        async with trio.open_nursery() as crowd:
            for _ in range(500):
                crowd.start_soon(visit)
        assert answered == 500
        await running.until(lambda now: now.open == 0)
        statistics = running.listener.statistics()
        assert (statistics.accepted, statistics.requests) == (500, 1_000)
        assert statistics.handshakes_failed == {}
