"""A running listener on a free port, its lab certificates, and raw clients of it."""

import datetime
import ssl
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import msgspec
import trio

from actors.runtime.turn import Turn
from config.model import Certificate
from config.model import DeviceListener as Settings
from node.device.certificates import make_lab_certificates
from node.device.exchange import Exchange
from node.device.listener import DeviceListener
from node.device.statistics import DeviceStatistics
from protocols.http.message import HttpRequest, HttpResponse

HOST = "aes.mnc001.mcc001.pub.3gppnetwork.org"


Stream = trio.SSLStream[trio.SocketStream]
Handle = Callable[[HttpRequest, Exchange], None]


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

    def __init__(self, lab: Lab, handle: Handle | None) -> None:
        self.lab = lab
        self.requests: list[HttpRequest] = []
        self.exchanges: list[Exchange] = []
        self.crashes: list[Exception] = []
        self.turn = Turn(self.crashes.append)
        self._handle = handle or answer_with_target
        self.config: Settings
        self.listener: DeviceListener
        self.address = ""
        self.port = 0
        self.clients: list[trio.SocketStream] = []

    def handle(self, request: HttpRequest, exchange: Exchange) -> None:
        self.requests.append(request)
        self.exchanges.append(exchange)
        self._handle(request, exchange)

    def reload(self, hosts: Sequence[str] = (), **settings: object) -> tuple[str, ...]:
        """Have the listener use other settings."""
        self.config = msgspec.structs.replace(self.config, **settings)
        return self.listener.reload(self.config, hosts)

    async def connect(self) -> trio.SocketStream:
        client = await trio.open_tcp_stream("127.0.0.1", self.port)
        self.clients.append(client)
        return client

    async def connect_tls(
        self,
        *alpn: str,
        server_name: str | None = "localhost",
        context: ssl.SSLContext | None = None,
    ) -> Stream:
        tls = trio.SSLStream(
            await self.connect(),
            context or self.lab.client_context(*alpn),
            server_hostname=server_name,
            https_compatible=True,
        )
        await tls.do_handshake()
        return tls

    async def until(
        self, condition: Callable[[DeviceStatistics], bool], seconds: float = 5.0
    ) -> None:
        """Let the listener work until its statistics say so; real time, whatever the clock."""
        with trio.fail_after(seconds):
            while not condition(self.listener.statistics()):
                await trio.lowlevel.checkpoint()
                await trio.to_thread.run_sync(lambda: None)


def answer_with_target(request: HttpRequest, exchange: Exchange) -> None:
    exchange.answer(HttpResponse(200, b"text/plain", request.target))


def answer_later(_request: HttpRequest, _exchange: Exchange) -> None:
    """Somebody else answers, or nobody."""


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


async def read_to_end(stream: trio.abc.ReceiveStream) -> bytes:
    """Everything until the other side closes, in at most five seconds."""
    data = b""
    with trio.fail_after(5):
        while part := await stream.receive_some():
            data += part
    return data


class Listening(Protocol):
    """The fixture `listening`: `async with listening(handle, max_connections=3) as running:`."""

    def __call__(
        self,
        handle: Handle | None = None,
        certificates: Sequence[Certificate] | None = None,
        *,
        bugs_expected: bool = False,
        hosts: Sequence[str] = (),
        **settings: object,
    ) -> AbstractAsyncContextManager[Running]: ...
