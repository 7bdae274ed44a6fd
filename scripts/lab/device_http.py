"""The HTTPS client of lab devices on Trio: HTTP/1.1 and HTTP/2, as phones use them.

Source: RFC 9112, RFC 9113, RFC 7541. Only what a device needs (no push, priorities, trailers,
proxies or redirects), and cheap, because a load generator runs thousands of devices in one process:
one task per connection at most, TLS in memory buffers, requests encoded without objects. Answers
are decoded by the hpack library, so that the node's own HPACK meets one that is not ours.
"""

import ssl
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import trio

from scripts.lab.device_http1 import Http1Exchange
from scripts.lab.device_http2 import Http2Client
from scripts.lab.device_http_errors import DeviceHttpError

__all__ = ["DeviceConnection", "DeviceHttpError", "Response", "tls_context"]

CONNECT_SECONDS: Final = 30.0  # as AOSP, microG and Samsung (connect and read)
READ_SECONDS: Final = 30.0
RECEIVE_OCTETS: Final = 65_536

Field = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Response:
    """One complete response.

    Attributes:
        headers: (lower-case name, value) in order.
    """

    status: int
    headers: Sequence[Field]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The first value of the field `name` (lower case)."""
        for field, value in self.headers:
            if field == name:
                return value
        return None

    def all(self, name: bytes) -> list[bytes]:
        """Every value of the field `name` (lower case), in order."""
        return [value for field, value in self.headers if field == name]


def tls_context(ca_file: str | None = None, *, http2: bool = True) -> ssl.SSLContext:
    """TLS as a phone does it; one context serves all devices of a process.

    Args:
        ca_file: PEM of the lab's CA; None trusts anybody, as some phones really do (Q-TR-14).
        http2: offer `h2` before `http/1.1`; else `http/1.1` alone, as Android's own client.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(ca_file)
    context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
    return context


def _reason(error: Exception) -> str:
    return "too slow" if isinstance(error, trio.TooSlowError) else str(error)


def _gunzipped(body: bytes) -> bytes:
    try:
        return zlib.decompress(body, 16 + zlib.MAX_WBITS)
    except zlib.error as error:
        raise DeviceHttpError(f"gzip: {error}") from None


class _TlsTransport:
    """A TCP socket with TLS in memory: reads give plain octets, writes take them."""

    __slots__ = ("_flushing", "_incoming", "_outgoing", "_socket", "_tls")

    def __init__(
        self, socket: trio.socket.SocketType, context: ssl.SSLContext, server_name: str
    ) -> None:
        self._socket = socket
        self._flushing = False
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_name or None
        )

    async def handshake(self) -> str:
        """Do the handshake; return the protocol agreed by ALPN, empty when none."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            else:
                await self._flush()
                return self._tls.selected_alpn_protocol() or ""

    async def send(self, data: bytes) -> None:
        """Write everything."""
        self._tls.write(data)
        await self._flush()

    async def receive(self) -> bytes:
        """Some octets; empty at the end of the stream."""
        while True:
            try:
                return self._tls.read(RECEIVE_OCTETS)
            except ssl.SSLWantReadError:
                if not await self._fill():
                    return b""
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def _fill(self) -> bool:
        data = await self._socket.recv(RECEIVE_OCTETS)
        if data:
            self._incoming.write(data)
            return True
        self._incoming.write_eof()
        return False

    async def _flush(self) -> None:
        if self._flushing:
            return  # whoever flushes now takes our octets along, in order
        self._flushing = True
        try:
            while data := self._outgoing.read():
                while data:
                    data = data[await self._socket.send(data) :]
        except BaseException:
            self._socket.close()  # half a record may be out: nothing can follow it
            raise
        finally:
            self._flushing = False

    def close(self) -> None:
        """Close at once; phones rarely say goodbye. Safe to repeat."""
        self._socket.close()


class DeviceConnection:
    """One connection of a device to the node.

    Several tasks may use it: over HTTP/2 at the same time, over HTTP/1.1 one after the other.

    Attributes:
        protocol: `h2` or `http/1.1`.
        closed: no further request can be sent on it.
    """

    __slots__ = ("_authority", "_h2", "_transport", "_turn", "closed", "protocol")

    def __init__(self, transport: _TlsTransport, protocol: str, authority: str) -> None:
        self._transport = transport
        self._authority = authority.encode()
        self._turn = trio.Lock()
        self._h2 = Http2Client(transport, self._authority) if protocol == "h2" else None
        self.protocol = protocol
        self.closed = False

    @classmethod
    async def open(cls, address: tuple[str, int], authority: str, context: ssl.SSLContext) -> Self:
        """Connect.

        Args:
            address: numeric address and port of the node.
            authority: host name of the service, for SNI, certificate check and `:authority`; with
                `:port` when it is not 443.

        Raises:
            DeviceHttpError: no connection, or the handshake failed, in time.
        """
        family = trio.socket.AF_INET6 if ":" in address[0] else trio.socket.AF_INET
        socket = trio.socket.socket(family, trio.socket.SOCK_STREAM)
        try:
            with trio.fail_after(CONNECT_SECONDS):
                socket.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
                await socket.connect(address)
                transport = _TlsTransport(socket, context, authority.partition(":")[0])
                protocol = await transport.handshake()
                return cls(transport, protocol or "http/1.1", authority)
        except (OSError, trio.TooSlowError) as error:
            socket.close()
            raise DeviceHttpError(f"no connection: {_reason(error)}") from error
        except BaseException:
            socket.close()
            raise

    async def request(
        self,
        method: bytes,
        path: bytes,
        headers: Sequence[Field] = (),
        body: bytes = b"",
    ) -> Response:
        """One exchange. Content-Length and Host are added; a gzip body comes back expanded.

        Raises:
            DeviceHttpError: the connection ended, the answer is malformed, or it is too slow.
        """
        try:
            with trio.fail_after(READ_SECONDS):
                if self._h2 is not None:
                    status, fields, content = await self._h2.request(method, path, headers, body)
                    self.closed = self._h2.closed
                else:
                    async with self._turn:
                        exchange = Http1Exchange(self._authority)
                        await self._transport.send(exchange.encode(method, path, headers, body))
                        while not exchange.receive(await self._transport.receive()):
                            pass
                    status, fields, content = exchange.status, exchange.headers, exchange.body
                    self.closed = exchange.must_close
                response = Response(status, fields, content)
                if response.header(b"content-encoding") == b"gzip":
                    return Response(status, fields, _gunzipped(content))
                return response
        except (OSError, trio.TooSlowError, trio.BrokenResourceError) as error:
            self.close()
            raise DeviceHttpError(f"no answer: {_reason(error)}") from error
        except DeviceHttpError:
            self.close()
            raise

    def close(self) -> None:
        """Close. Safe to repeat."""
        self.closed = True
        self._transport.close()

    async def __aenter__(self) -> Self:
        """Use `async with` to close at the end."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()
