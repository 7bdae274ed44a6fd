"""The seam between a call and what carries its requests."""

import ssl
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

import trio

from scripts.lab.device_http import DeviceConnection, DeviceHttpError, Response, tls_context
from scripts.traffic.outcome import CallFailed, Reason

Field = tuple[bytes, bytes]

MAX_UNPACKED_OCTETS: Final = 1 << 20


class Device(Protocol):
    """One open connection of one phone."""

    async def request(
        self, method: bytes, path: bytes, headers: Sequence[Field], body: bytes
    ) -> Response:
        """One exchange.

        Raises:
            CallFailed: CONNECTION, TIMEOUT or MALFORMED.
        """
        ...

    def close(self) -> None:
        """Close at once; safe to repeat."""
        ...


OpenDevice = Callable[[], Awaitable[Device]]


@dataclass(frozen=True, slots=True)
class Target:
    """The node under test.

    Attributes:
        host, port: where to connect; the host is resolved once.
        authority: for SNI, certificate and `:authority`.
        path: of the service; requests go below it.
    """

    host: str
    port: int
    authority: str
    path: str = ""

    @classmethod
    def parse(cls, url: str) -> "Target":
        """From an https URL.

        Raises:
            ValueError: it is none.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("an URL such as https://127.0.0.1:8443 is expected")
        return cls(parts.hostname, parts.port or 443, parts.netloc, parts.path.rstrip("/"))

    async def addresses(self) -> tuple[str, int]:
        """Its numeric address.

        Raises:
            OSError: the name cannot be resolved.
        """
        found = await trio.socket.getaddrinfo(
            self.host, self.port, type=trio.socket.SOCK_STREAM, family=trio.socket.AF_UNSPEC
        )
        # AF_INET first: on a laptop `localhost` is often ::1 first, and the node listens on v4.
        found.sort(key=lambda one: one[0] != trio.socket.AF_INET)
        address = found[0][4]
        return str(address[0]), int(address[1])


class HttpsDevice:
    """A device over TLS with HTTP/2 or HTTP/1.1."""

    __slots__ = ("_connection",)

    def __init__(self, connection: DeviceConnection) -> None:
        self._connection = connection

    async def request(
        self, method: bytes, path: bytes, headers: Sequence[Field], body: bytes
    ) -> Response:
        """See `Device`."""
        try:
            response = await self._connection.request(method, path, headers, body)
        except (DeviceHttpError, OSError) as error:
            raise _failed(error) from error
        if response.header(b"content-encoding") == b"gzip":
            return Response(response.status, response.headers, _unpacked(response.body))
        return response

    def close(self) -> None:
        """See `Device`."""
        self._connection.close()


class HttpsDevices:
    """Opens devices to one target; one TLS context for all."""

    def __init__(self, target: Target, address: tuple[str, int], context: ssl.SSLContext) -> None:
        self._target = target
        self._address = address
        self._context = context

    @classmethod
    async def to(cls, target: Target, ca_file: str | None, *, http2: bool) -> "HttpsDevices":
        """Prepare.

        Raises:
            OSError: the host, or the CA's file, cannot be found.
        """
        return cls(target, await target.addresses(), tls_context(ca_file, http2=http2))

    async def open(self) -> Device:
        """A new connection.

        Raises:
            CallFailed: CONNECTION or TIMEOUT.
        """
        try:
            connection = await DeviceConnection.open(
                self._address, self._target.authority, self._context
            )
        except (DeviceHttpError, OSError) as error:
            raise CallFailed(Reason.CONNECTION, str(error)) from error
        return HttpsDevice(connection)


def _failed(error: Exception) -> CallFailed:
    """By the error's text: the client has one class for all."""
    text = str(error)
    if "too slow" in text:
        return CallFailed(Reason.TIMEOUT, text)
    lost = ("connection", "reset", "goes away")
    if isinstance(error, OSError) or any(word in text for word in lost):
        return CallFailed(Reason.CONNECTION, text)
    return CallFailed(Reason.MALFORMED, text)


def _unpacked(body: bytes) -> bytes:
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(body, MAX_UNPACKED_OCTETS)
    except zlib.error:
        raise CallFailed(Reason.MALFORMED, "the body is no gzip") from None
