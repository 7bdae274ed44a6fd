"""Real sockets: TCP and TLS transports, a peer that never reads, a server that dies and returns."""

import contextlib
import datetime
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from actors.diameter import transport as transport_module
from actors.diameter.outcomes import EapAnswer, EapOutcome
from actors.diameter.peer import Peer
from actors.diameter.router import DiameterRouter
from actors.diameter.server import DiameterServer
from actors.diameter.transport import (
    TcpTransport,
    TlsTransport,
    TransportError,
    accept_tls,
    client_tls_context,
    connect_tcp,
    connect_tls,
    server_tls_context,
)
from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from config.model import Diameter, DiameterPeer
from protocols.diameter import numbers
from protocols.diameter.codec import Message
from protocols.diameter.messages import build_eap_answer
from tests.actors.diameter.lab import NODE, REALM, eventually, first_round


def tcp_pair() -> tuple[TcpTransport, TcpTransport]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    return TcpTransport(near), TcpTransport(far)


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """A self-signed certificate and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(chain), str(secret)


# --- transports ---------------------------------------------------------------------------------


async def test_what_is_sent_arrives_and_the_end_is_empty() -> None:
    near, far = tcp_pair()
    assert near.local_address == "127.0.0.1"
    near.send(b"one")
    near.send(b"two")
    assert await far.receive() == b"onetwo"
    near.close()
    near.close()
    near.send(b"lost")
    assert await far.receive() == b""
    with pytest.raises(TransportError):
        await near.receive()
    far.close()


async def test_closing_wakes_a_reader() -> None:
    near, far = tcp_pair()

    async def read() -> None:
        with pytest.raises(TransportError, match="closed"):
            await near.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        near.close()
    far.close()


async def test_a_reset_is_an_error_with_its_name() -> None:
    near, far = tcp_pair()
    far.abort()
    far.abort()
    with pytest.raises(TransportError, match="ECONNRESET"):
        await near.receive()
    near.send(b"x")
    near.close()


async def test_what_a_full_socket_does_not_take_is_sent_later() -> None:
    near, far = tcp_pair()
    data = bytes(range(256)) * 20_000
    received = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.write_rest)
        near.send(data)
        assert near.queued > 0
        near.send(b"end")
        while len(received) < len(data) + 3:
            received += await far.receive()
        assert near.queued == 0
        nursery.cancel_scope.cancel()
    assert bytes(received) == data + b"end"
    near.close()
    far.close()


async def test_a_peer_that_never_reads_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "MAX_QUEUED_OCTETS", 100_000)
    near, far = tcp_pair()
    for _ in range(1_000):
        near.send(bytes(50_000))
    assert near.queued == 0
    with pytest.raises(TransportError):
        await near.receive()
    far.close()


async def test_nobody_listening_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransportError, match="ECONNREFUSED"):
        await connect_tcp("127.0.0.1", port)
    with pytest.raises(TransportError, match="no address"):
        await connect_tcp("nowhere.invalid", 1)


# --- TLS ----------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def tls_listener(context: ssl.SSLContext) -> AsyncIterator[tuple[int, list[object]]]:
    """Accepts one connection; what became of it is in the list."""
    accepted: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)

        async def accept() -> None:
            await trio.lowlevel.wait_readable(listener)
            sock, _ = listener.accept()
            try:
                accepted.append(await accept_tls(TcpTransport(sock), context))
            except TransportError as error:
                accepted.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept)
            yield listener.getsockname()[1], accepted
            nursery.cancel_scope.cancel()


async def test_tls_carries_octets_both_ways_and_ends(tmp_path: Path) -> None:
    name = f"aaa1.{REALM}"
    chain, key = certificate(tmp_path, name)
    async with tls_listener(server_tls_context(chain, chain, key)) as (port, accepted):
        context = client_tls_context(chain, chain, key)
        near = await connect_tls("127.0.0.1", port, context, name)
        await eventually(lambda: accepted)
        far = accepted[0]
        assert isinstance(far, TlsTransport)
        assert near.local_address == "127.0.0.1"
        near.send(b"hello")
        assert await far.receive() == b"hello"
        data = bytes(200_000)
        received = b""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(far.write_rest)
            far.send(data)
            while len(received) < len(data):
                received += await near.receive()
            nursery.cancel_scope.cancel()
        assert received == data
        assert far.queued == near.queued == 0
        far.close()
        assert await near.receive() == b""
        near.close()


@pytest.mark.parametrize("fault", ["unknown authority", "other name", "no client certificate"])
async def test_tls_fails_on_both_sides_when_a_certificate_is_wrong(
    tmp_path: Path, fault: str
) -> None:
    name = f"aaa1.{REALM}"
    chain, key = certificate(tmp_path, name)
    other, other_key = certificate(tmp_path, f"other.{REALM}")
    trusted = other if fault == "unknown authority" else chain
    wanted = f"other.{REALM}" if fault == "other name" else name
    own = ("", "") if fault == "no client certificate" else (chain, key)
    context = client_tls_context(trusted, *own)
    assert other_key
    async with tls_listener(server_tls_context(chain, chain, key)) as (port, accepted):

        async def talk() -> None:
            # TLS 1.3: a client learns of the refusal of its certificate with the first read.
            near = await connect_tls("127.0.0.1", port, context, wanted)
            try:
                await near.receive()
            finally:
                near.close()

        with pytest.raises(TransportError):
            await talk()
        await eventually(lambda: accepted)
        assert isinstance(accepted[0], TransportError)


async def test_plain_octets_are_no_tls(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, f"aaa1.{REALM}")
    async with tls_listener(server_tls_context(chain, chain, key)) as (port, accepted):
        near = await connect_tcp("127.0.0.1", port)
        near.send(b"\x01\0\0\x14" + bytes(16))
        await eventually(lambda: accepted)
        assert isinstance(accepted[0], TransportError)
        near.close()


# --- the engine on them -------------------------------------------------------------------------


class Site:
    """Router and servers on real sockets."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.crashes: list[Exception] = []
        self.turn = Turn(on_crash=self.crashes.append)
        self.timers = TimerWheel(self.turn)
        self.received: list[tuple[str, Message]] = []

    async def serve(
        self, name: str, port: int = 0, *, mute: bool = False, tls: ssl.SSLContext | None = None
    ) -> tuple[int, trio.CancelScope]:
        """A server that can be cancelled; reports its port."""

        def handle(request: Message, peer: Peer) -> None:
            self.received.append((name, request))
            if not mute:
                peer.answer(build_eap_answer(request, server.origin, numbers.MULTI_ROUND_AUTH))

        server = DiameterServer(
            f"{name}.{REALM}", REALM, (numbers.SWM,), handle, self.turn, self.timers, tls=tls
        )
        scope = trio.CancelScope()

        async def run(*, task_status: trio.TaskStatus[tuple[str, int]]) -> None:
            with scope:
                await server.run(port=port, task_status=task_status)

        _, bound = await self.nursery.start(run)
        return bound, scope

    async def route(self, *peers: DiameterPeer) -> DiameterRouter:
        router = DiameterRouter(
            Diameter(
                origin_host=NODE,
                origin_realm=REALM,
                peers=peers,
                first_reconnect_seconds=0.05,
                reconnect_seconds=0.1,
            ),
            self.turn,
            self.timers,
        )
        await self.nursery.start(self.timers.run)
        await self.nursery.start(router.run)
        return router

    async def ask(self, router: DiameterRouter) -> EapOutcome:
        outcomes: list[EapOutcome] = []
        done = trio.Event()

        def reply(outcome: EapOutcome) -> None:
            outcomes.append(outcome)
            done.set()

        router.request(first_round(), reply)
        self.turn.end()
        await done.wait()
        return outcomes[0]


@pytest.fixture
async def site(nursery: trio.Nursery) -> AsyncIterator[Site]:
    made = Site(nursery)
    yield made
    assert made.crashes == []


async def test_a_server_that_comes_late_dies_and_returns(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    router = await site.route(DiameterPeer(host=f"aaa1.{REALM}", port=port))
    await eventually(lambda: router.statistics().peers[0].last_error == "ECONNREFUSED")
    _, scope = await site.serve("aaa1", port)
    await eventually(lambda: router.ready)
    assert isinstance(await site.ask(router), EapAnswer)
    scope.cancel()
    await eventually(lambda: not router.ready)
    assert router.statistics().peers[0].last_error == "the peer disconnected, cause 0"
    await site.serve("aaa1", port)
    await eventually(lambda: router.ready)
    assert isinstance(await site.ask(router), EapAnswer)
    assert router.statistics().peers[0].reconnects == 1


async def test_a_socket_that_is_reset_fails_over_within_a_tenth_of_a_second(site: Site) -> None:
    """The mute peer accepts, answers the CER, and then has its socket reset."""
    mute, _ = await site.serve("aaa1", mute=True)
    good, _ = await site.serve("aaa2")
    proxy = await trio.open_tcp_listeners(0, host="127.0.0.1")
    accepted: list[trio.SocketStream] = []

    async def pump(one: trio.SocketStream, two: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in one:
                await two.send_all(data)

    async def relay(client: trio.SocketStream) -> None:
        accepted.append(client)
        server = await trio.open_tcp_stream("127.0.0.1", mute)
        async with server, trio.open_nursery() as nursery:
            nursery.start_soon(pump, client, server)
            await pump(server, client)
            nursery.cancel_scope.cancel()

    site.nursery.start_soon(trio.serve_listeners, relay, proxy)
    port = proxy[0].socket.getsockname()[1]
    router = await site.route(
        DiameterPeer(host=f"aaa1.{REALM}", port=port, priority=1),
        DiameterPeer(host=f"aaa2.{REALM}", port=good, priority=2),
    )
    await eventually(lambda: all(one.state == "I_OPEN" for one in router.statistics().peers))
    outcomes: list[EapOutcome] = []
    router.request(first_round(), outcomes.append)
    site.turn.end()
    await eventually(lambda: site.received)
    accepted[0].socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    began = trio.current_time()
    accepted[0].socket.close()
    await eventually(lambda: outcomes)
    assert trio.current_time() - began < 0.1
    (answer,) = outcomes
    assert isinstance(answer, EapAnswer)
    assert answer.peer == f"aaa2.{REALM}"
    assert [name for name, _ in site.received] == ["aaa1", "aaa2"]
    assert site.received[1][1].is_retransmitted


async def test_client_and_server_speak_over_tls(site: Site, tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, f"aaa1.{REALM}")
    port, _ = await site.serve("aaa1", tls=server_tls_context(chain, chain, key))
    section = DiameterPeer(
        host=f"aaa1.{REALM}",
        port=port,
        transport="tls",
        tls_ca=chain,
        tls_certificate=chain,
        tls_key=key,
    )
    router = await site.route(section)
    await eventually(lambda: router.ready)
    assert isinstance(await site.ask(router), EapAnswer)


async def test_a_missing_certificate_file_is_a_reason_not_a_crash(site: Site) -> None:
    section = DiameterPeer(host=f"aaa1.{REALM}", port=1, transport="tls", tls_ca="/nonexistent.pem")
    router = await site.route(section)
    await eventually(lambda: "TLS" in router.statistics().peers[0].last_error)


async def test_garbage_on_the_server_leaves_the_others_alone(site: Site) -> None:
    port, _ = await site.serve("aaa1")
    router = await site.route(DiameterPeer(host=f"aaa1.{REALM}", port=port))
    await eventually(lambda: router.ready)
    for octets in (bytes(20), b"\x01\xff\xff\xff" + bytes(16), b"GET / HTTP/1.1\r\n\r\n", b""):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(octets)
        await stream.send_eof()
        with contextlib.suppress(trio.BrokenResourceError):
            assert await stream.receive_some() == b""
        await stream.aclose()
    assert isinstance(await site.ask(router), EapAnswer)
    assert router.statistics().peers[0].reconnects == 0
