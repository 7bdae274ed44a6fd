"""Octets of one Diameter connection: TCP and TLS, without a task or a copy too many.

Source: RFC 6733 §2.1, §13.1 (TLS before CER). Sending is synchronous: what the socket takes at once
is gone when `send` returns (TLS too, by memory BIOs), and only the rest of a full socket is left to
the task `write_rest`. So no task wakes up per request. SCTP would be one more class of this shape.
"""

import contextlib
import errno
import socket
import ssl
import struct
from typing import Final, Protocol

import trio

RECEIVE_OCTETS: Final = 65_536  # larger ones make malloc map and unmap pages for every read
MAX_QUEUED_OCTETS: Final = 8_388_608  # a peer that does not read; the watchdog ends it later
TLS_HANDSHAKE_SECONDS: Final = 10.0
_NO_LINGER: Final = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


class TransportError(Exception):
    """The connection is lost, or was never there."""


class Transport(Protocol):
    """One connection, open until `close`."""

    @property
    def queued(self) -> int:
        """Octets that wait for a full socket."""
        ...

    @property
    def local_address(self) -> str:
        """Our end, for Host-IP-Address."""
        ...

    def send(self, data: bytes) -> None:
        """Send now what the socket takes, the rest later. Never raises: `receive` tells the end."""
        ...

    async def receive(self) -> bytes:
        """What arrived; empty when the peer closed its side.

        Raises:
            TransportError: the connection is lost or was closed here.
        """
        ...

    async def write_rest(self) -> None:
        """Task: send what a full socket did not take, until cancelled."""
        ...

    def close(self) -> None:
        """Close at once; what the socket took is still delivered."""
        ...

    def abort(self) -> None:
        """Reset: what is not delivered yet is lost, and the other side sees an error."""
        ...


class TcpTransport:
    """A TCP connection on a non-blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected socket."""
        sock.setblocking(False)
        # RFC 3539 §3.2 wants Nagle's algorithm so that small messages share a segment. A turn's
        # messages are one write already; with delayed acknowledgements it would only cost 40 ms.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._local_address: str = sock.getsockname()[0]
        self._rest = bytearray()
        self._stalled = trio.Event()
        self._closed = False

    @property
    def queued(self) -> int:
        """Octets that wait for a full socket."""
        return len(self._rest)

    @property
    def local_address(self) -> str:
        """Our end's IP address."""
        return self._local_address

    def send(self, data: bytes) -> None:
        """Send now what the socket takes, the rest later."""
        if self._closed:
            return
        sent = 0
        if not self._rest:
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                pass
            except OSError:
                self.close()
                return
            if sent == len(data):
                return
        self._rest += memoryview(data)[sent:]
        if len(self._rest) > MAX_QUEUED_OCTETS:
            self.close()
        else:
            self._stalled.set()

    async def receive(self) -> bytes:
        """What arrived; empty at the end.

        Raises:
            TransportError: the connection is lost or was closed here.
        """
        # Waiting first, although there may be something: a peer that never stops sending must not
        # keep the other tasks from running, and a read in vain costs more than it saves.
        while not self._closed:
            try:
                await trio.lowlevel.wait_readable(self._socket)
                return self._socket.recv(RECEIVE_OCTETS)
            except BlockingIOError:
                continue
            except (trio.ClosedResourceError, ValueError):
                break
            except OSError as error:
                raise TransportError(_reason(error)) from error
        raise TransportError("closed")

    async def write_rest(self) -> None:
        """Task: send what a full socket did not take."""
        while not self._closed:
            await self._stalled.wait()
            self._stalled = trio.Event()
            try:
                await self._drain()
            except (trio.ClosedResourceError, OSError, ValueError):
                self.close()

    async def _drain(self) -> None:
        while self._rest and not self._closed:
            await trio.lowlevel.wait_writable(self._socket)
            try:
                sent = self._socket.send(self._rest)
            except BlockingIOError:
                continue
            del self._rest[:sent]

    def close(self) -> None:
        """Close at once."""
        if not self._closed:
            self._closed = True
            self._rest.clear()
            self._stalled.set()
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    def abort(self) -> None:
        """Reset."""
        if not self._closed:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.close()


class TlsTransport:
    """TLS over a `TcpTransport`, by memory BIOs."""

    def __init__(self, tcp: TcpTransport, context: ssl.SSLContext, server_name: str | None) -> None:
        """Prepare; `server_name` None makes it the accepting side. Call `handshake` next."""
        self._tcp = tcp
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_name is None,
            server_hostname=server_name,
        )

    @property
    def queued(self) -> int:
        """Octets, encrypted, that wait for a full socket."""
        return self._tcp.queued

    @property
    def local_address(self) -> str:
        """Our end's IP address."""
        return self._tcp.local_address

    async def handshake(self) -> None:
        """Agree on keys and check certificates.

        Raises:
            TransportError: it failed.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                await self._read_more()
            except ssl.SSLError as error:
                self._flush()  # the alert
                raise TransportError(f"TLS: {error.reason or error}") from error
            else:
                self._flush()
                return

    def send(self, data: bytes) -> None:
        """Encrypt, and send now what the socket takes."""
        try:
            self._tls.write(data)
        except ssl.SSLError:
            self._tcp.close()
            return
        self._flush()

    async def receive(self) -> bytes:
        """What arrived, decrypted; empty at the end.

        Raises:
            TransportError: the connection is lost, closed here, or its records are forged.
        """
        while True:
            try:
                data = self._tls.read(RECEIVE_OCTETS)
                while self._tls.pending():
                    data += self._tls.read(RECEIVE_OCTETS)
            except ssl.SSLWantReadError:
                self._flush()  # TLS 1.3 may have to answer a key update
                await self._read_more()
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLError as error:
                raise TransportError(f"TLS: {error.reason or error}") from error
            else:
                return data

    async def _read_more(self) -> None:
        data = await self._tcp.receive()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._tcp.send(self._outgoing.read())

    async def write_rest(self) -> None:
        """Task: send what a full socket did not take."""
        await self._tcp.write_rest()

    def close(self) -> None:
        """Close at once, with a close_notify."""
        # It would wait for the peer's close_notify, or there was no handshake yet.
        with contextlib.suppress(ssl.SSLError, ValueError):
            self._tls.unwrap()
        self._flush()
        self._tcp.close()

    def abort(self) -> None:
        """Reset, without a close_notify."""
        self._tcp.abort()


async def connect_tcp(address: str, port: int) -> TcpTransport:
    """Open a TCP connection to the first address that answers.

    Raises:
        TransportError: none does.
    """
    try:
        found = await trio.socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TransportError(f"no address: {error}") from error
    reason = "no address"
    for family, kind, protocol, _, place in found:
        sock = socket.socket(family, kind, protocol)
        try:
            await _connect(sock, place)
            return TcpTransport(sock)
        except OSError as error:
            sock.close()
            reason = _reason(error)
        except BaseException:
            sock.close()
            raise
    raise TransportError(reason)


async def _connect(sock: socket.socket, place: tuple[str | int | bytes, ...]) -> None:
    sock.setblocking(False)
    code = sock.connect_ex(place)
    if code == errno.EINPROGRESS:
        await trio.lowlevel.wait_writable(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, errno.errorcode.get(code, str(code)))


async def connect_tls(
    address: str, port: int, context: ssl.SSLContext, server_name: str
) -> TlsTransport:
    """Open a TLS connection; the context says whose certificates are trusted.

    Raises:
        TransportError: no connection, or the handshake failed.
    """
    tcp = await connect_tcp(address, port)
    transport = TlsTransport(tcp, context, server_name)
    return await _shaken(transport, tcp)


async def accept_tls(tcp: TcpTransport, context: ssl.SSLContext) -> TlsTransport:
    """The accepting side's handshake.

    Raises:
        TransportError: it failed or took too long.
    """
    with trio.move_on_after(TLS_HANDSHAKE_SECONDS):
        return await _shaken(TlsTransport(tcp, context, None), tcp)
    raise TransportError("TLS: no handshake in time")


async def _shaken(transport: TlsTransport, tcp: TcpTransport) -> TlsTransport:
    """The transport after its handshake; closed unless that succeeds."""
    failure: TransportError | None = TransportError("cancelled")
    try:
        # A full socket in the middle of a handshake (a long chain) needs the writer.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.write_rest)
            try:
                await transport.handshake()
                failure = None
            except TransportError as error:
                failure = error
            nursery.cancel_scope.cancel()
    finally:
        if failure is not None:
            tcp.close()
    if failure is not None:
        raise failure
    return transport


def client_tls_context(ca: str = "", certificate: str = "", key: str = "") -> ssl.SSLContext:
    """A context that checks the peer's certificate and shows ours (RFC 6733 §13.1: mutual).

    Args:
        ca: PEM file of the authorities to trust; empty means the system's.
    """
    context = ssl.create_default_context(cafile=ca or None)
    if certificate:
        context.load_cert_chain(certificate, key or None)
    return context


def server_tls_context(ca: str, certificate: str, key: str = "") -> ssl.SSLContext:
    """A context for the accepting side, which demands a certificate of the `ca`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    context.load_cert_chain(certificate, key or None)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _reason(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error))
