"""The gate in front of the handshake: who may come in, and what the reactor tells it."""

import socket
import ssl

import pytest
import trio

from node.device.gate import HELLO_OCTETS, asked_for
from tests.node.device.running_listener import HOST, Listening, Running, read_response


class Doorkeeper:
    """Closes to everybody but one host, or to everybody."""

    def __init__(self, host: str = "") -> None:
        self.host = host
        self.asked: list[tuple[str, str]] = []
        self.rounds = self.drains = self.catches = 0

    @property
    def wants_host(self) -> bool:
        return bool(self.host)

    def round(self, now: float) -> None:
        assert now > 0
        self.rounds += 1

    def caught_up(self, events: int, began: float, now: float) -> None:
        assert events >= 1
        assert now >= began
        self.catches += 1

    def drained(self) -> None:
        self.drains += 1

    def holds(self, now: float) -> bool:
        assert now > 0
        return True

    def connection(self, address: str, host: str, now: float) -> bool:
        assert now > 0
        self.asked.append((address, host))
        return bool(self.host) and host == self.host


def guard(running: Running, gate: Doorkeeper) -> None:
    running.listener._gate = running.listener._connections.gate = gate


async def test_who_is_not_let_in_is_closed_before_a_handshake(listening: Listening) -> None:
    async with listening() as running:
        gate = Doorkeeper()
        guard(running, gate)
        with pytest.raises((trio.BrokenResourceError, OSError)):
            await running.connect_tls("h2")
        statistics = running.listener.statistics()
        assert gate.asked == [("127.0.0.1", "")]
        assert (statistics.accepted, statistics.open) == (0, 0)
        assert not statistics.handshakes_failed


async def test_who_is_in_stays_when_the_gate_closes(listening: Listening) -> None:
    async with listening() as running:
        tls = await running.connect_tls()
        guard(running, Doorkeeper())
        await tls.send_all(b"GET /in HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (await read_response(tls))[1] == b"/in"


async def test_the_gate_hears_whom_a_connection_is_for(listening: Listening) -> None:
    """The ClientHello is looked at and stays where it is: the handshake goes on with it."""
    async with listening() as running:
        gate = Doorkeeper(HOST)
        guard(running, gate)
        # No await before the hello is on its way: the listener finds both at once.
        raw = socket.create_connection(("127.0.0.1", running.port))
        raw.send(client_hello(running.lab.client_context(), HOST))
        raw.setblocking(False)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(raw))
        running.clients.append(stream)
        await running.until(lambda now: now.accepted == 1)
        assert gate.asked == [("127.0.0.1", HOST)]
        assert await stream.receive_some()  # ServerHello


def client_hello(context: ssl.SSLContext, host: str) -> bytes:
    out = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = out.read()
    assert len(hello) <= HELLO_OCTETS
    return hello


async def test_the_reactor_tells_when_it_has_caught_up(listening: Listening) -> None:
    async with listening() as running:
        gate = Doorkeeper(HOST)
        guard(running, gate)
        with pytest.raises((trio.BrokenResourceError, OSError)):
            await running.connect_tls()
        assert gate.rounds >= 1
        assert gate.catches >= 1
        await running.until(lambda _: gate.drains >= 1)


def test_a_socket_without_a_hello_asks_for_nobody() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert asked_for(one) == ""
        other.send(b"GET / HTTP/1.1\r\n\r\n")
        assert asked_for(one) == ""
        assert one.recv(3) == b"GET"
