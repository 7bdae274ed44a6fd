"""A running listener on a free port, its lab certificates, and raw clients of it."""

import datetime
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from actors.runtime.turn import Turn
from config.model import Certificate
from config.model import DeviceListener as Settings
from node.device.certificates import make_lab_certificates
from node.device.exchange import Exchange
from node.device.listener import DeviceListener
from protocols.http.message import HttpRequest, HttpResponse

HOST = "aes.mnc001.mcc001.pub.3gppnetwork.org"


class Lab:
    """Certificates of one CA, and what clients need to trust them."""

    def __init__(self, folder: Path, hosts: Sequence[str]) -> None:
        now = datetime.datetime.now(datetime.UTC)
        self.authority, self.chain, self.key = make_lab_certificates(folder, hosts, now)

    def certificate(self, hosts: Sequence[str] = ()) -> Certificate:
        return Certificate(chain=str(self.chain), key=str(self.key), hosts=tuple(hosts))

    def client_context(self, *alpn: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context


class Running:
    """A listener that serves, with everything it was asked."""

    def __init__(self, lab: Lab, handle: Callable[[HttpRequest, Exchange], None] | None) -> None:
        self.lab = lab
        self.requests: list[HttpRequest] = []
        self.exchanges: list[Exchange] = []
        self.crashes: list[Exception] = []
        self.turn = Turn(self.crashes.append)
        self._handle = handle or answer_with_target
        self.listener: DeviceListener
        self.address = ""
        self.port = 0
        self.clients: list[trio.SocketStream] = []

    def handle(self, request: HttpRequest, exchange: Exchange) -> None:
        self.requests.append(request)
        self.exchanges.append(exchange)
        self._handle(request, exchange)

    async def connect(self) -> trio.SocketStream:
        client = await trio.open_tcp_stream("127.0.0.1", self.port)
        self.clients.append(client)
        return client

    async def connect_tls(
        self, *alpn: str, server_name: str = "localhost", context: ssl.SSLContext | None = None
    ) -> trio.SSLStream[trio.SocketStream]:
        tls = trio.SSLStream(
            await self.connect(),
            context or self.lab.client_context(*alpn),
            server_hostname=server_name,
            https_compatible=True,
        )
        await tls.do_handshake()
        return tls

    async def until(self, condition: Callable[[Any], bool], seconds: float = 5.0) -> None:
        """Let the listener work until its statistics say so; real time, whatever the clock."""
        with trio.fail_after(seconds):
            while not condition(self.listener.statistics()):
                await trio.lowlevel.checkpoint()
                await trio.to_thread.run_sync(lambda: None)


def answer_with_target(request: HttpRequest, exchange: Exchange) -> None:
    exchange.answer(HttpResponse(200, b"text/plain", request.target))


def answer_never(_request: HttpRequest, _exchange: Exchange) -> None:
    """The answer comes later, or never."""


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"), [HOST])


Listening = Callable[..., Any]


@pytest.fixture
async def listening(lab: Lab) -> AsyncIterator[Listening]:
    """`async with listening(handle, max_connections=3) as running:` on a free port."""

    stopped: list[trio.SocketStream] = []

    @asynccontextmanager
    async def start(
        handle: Callable[[HttpRequest, Exchange], None] | None = None,
        certificates: Sequence[Certificate] | None = None,
        *,
        bugs_expected: bool = False,
        **settings: object,
    ) -> AsyncIterator[Running]:
        running = Running(lab, handle)
        config = Settings(
            listen=("127.0.0.1:0",),
            certificates=tuple(certificates or (lab.certificate(),)),
        )
        config = msgspec.structs.replace(config, **settings)
        running.listener = DeviceListener(config, running.handle, running.turn)
        async with trio.open_nursery() as nursery:
            (running.address,) = await nursery.start(running.listener.run)
            running.port = int(running.address.rpartition(":")[2])
            try:
                yield running
            finally:
                nursery.cancel_scope.cancel()
                running.turn.end()
        stopped.extend(running.clients)
        if not bugs_expected:
            assert running.crashes == []
        assert running.listener.statistics().open == 0

    yield start
    for client in stopped:
        client.socket.close()


async def read_response(stream: trio.abc.ReceiveStream) -> tuple[bytes, bytes]:
    """Head and body of one HTTP/1.1 response; what belongs to a next one is an error."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = await stream.receive_some()
        assert part, f"the connection ended after {data!r}"
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        part = await stream.receive_some()
        assert part, "the connection ended inside the body"
        body += part
    assert len(body) == length
    return head, body


@pytest.fixture
def reading() -> Callable[..., Any]:
    return read_response
