"""A device's TCP socket with TLS over memory buffers, never waiting.

One `recv` feeds the incoming buffer and is worked off at once, one `send` empties the outgoing one.
A missing close-notify is normal for phones (RFC 8446 §6.1 asks for one) and no error.
"""

import contextlib
import socket
import ssl
from typing import Final

from node.device.authority import CoveredNames
from node.device.tls import DeviceTls, ServerCertificates

RECORD_OCTETS: Final = 16_384  # RFC 8446 §5.1: no TLS record holds more
# Of one `recv`: the largest record (RFC 8446 §5.2). Level-triggered readiness brings the rest when
# the others had their turn, so this bounds what one connection may cost them.
RECEIVE_OCTETS: Final = 5 + RECORD_OCTETS + 256
# Without a single octet of data: handshakes are shorter, and a flood of key updates is not.
SILENT_OCTETS: Final = 2 * RECEIVE_OCTETS

CLOSE_NOTIFY: Final = "close_notify"
PEER_CLOSED: Final = "peer_closed"
RESET: Final = "reset"
PLAIN_HTTP: Final = "plain_http"
NO_DATA: Final = "no_data"


class TlsTransport:
    """One socket and its TLS connection.

    Attributes:
        ended: why nothing more will be received, a word for counters; empty while it may be.
        broken: the socket is dead in both directions; there is nobody to say anything to.
        stalled: the kernel did not take everything; `send` again when the socket is writable.
    """

    __slots__ = (
        "_incoming",
        "_outgoing",
        "_rest",
        "_silent",
        "_tls",
        "broken",
        "ended",
        "socket",
        "stalled",
    )

    def __init__(self, connection: socket.socket, certificates: ServerCertificates) -> None:
        """Take a connected non-blocking socket; the TLS handshake comes with the first octets."""
        self.socket = connection
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: DeviceTls = certificates.wrap(self._incoming, self._outgoing)
        self._rest: bytes | memoryview = b""
        self._silent = 0  # octets received since the last of data
        self.ended = ""
        self.broken = False
        self.stalled = False

    @property
    def server_name(self) -> str:
        """SNI, lower case; empty when the client sent none."""
        return self._tls.server_name

    @property
    def covered(self) -> CoveredNames:
        """The names that the connection may be used for besides the one of the handshake."""
        return self._tls.covered

    @property
    def handshake_done(self) -> bool:
        """Both sides have finished the handshake."""
        return self._tls.version() is not None

    @property
    def alpn_protocol(self) -> str:
        """What ALPN chose; without ALPN it is HTTP/1.1 (RFC 9113 §3.3 demands ALPN for h2)."""
        return self._tls.selected_alpn_protocol() or "http/1.1"

    def receive(self) -> bytes:
        """What one `recv` brought, decrypted; the handshake happens in here.

        Empty when there was no application data. When the other side ended, `ended` is set, and
        what is returned came before that.
        """
        try:
            data = self.socket.recv(RECEIVE_OCTETS)
        except BlockingIOError:
            return b""
        except OSError:
            self.ended = RESET
            self.broken = True
            return b""
        if not data:
            # All that came before was read already, so OpenSSL has nothing more to give.
            self._incoming.write_eof()
            self.ended = PEER_CLOSED
            return b""
        self._incoming.write(data)
        decrypted = self._decrypt()
        if decrypted:
            self._silent = 0
        else:
            self._silent += len(data)
            if self._silent > SILENT_OCTETS and not self.ended:
                self.ended = NO_DATA
        return decrypted

    def _decrypt(self) -> bytes:
        """Every whole record in the buffer: `read` returns one at a time."""
        read, incoming = self._tls.read, self._incoming
        first = b""
        more: list[bytes] = []
        try:
            while True:
                part = read(RECORD_OCTETS)
                if not part:
                    self.ended = CLOSE_NOTIFY
                    break
                if not first:
                    first = part
                else:
                    more.append(part)
                # Asking once too often raises, and costs more than looking.
                if not incoming.pending:
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:  # its alert waits in the outgoing buffer
            self.ended = (error.reason or "unknown").lower()
            if error.reason == "HTTP_REQUEST":
                self.ended = PLAIN_HTTP
        return first + b"".join(more) if more else first

    def send(self, data: bytes) -> None:
        """Write `data` and whatever TLS itself has to say; look at `stalled` and `broken` after.

        Args:
            data: nothing while `stalled`: what is kept here is one write at most, so that the
                bounds of the HTTP machines are the bounds of the queue.
        """
        try:
            while data:
                written = self._tls.write(data)
                if written == len(data):
                    break
                data = data[written:]
        except ssl.SSLError:
            self.broken = True
            return
        rest = self._rest
        if not rest:
            if not self._outgoing.pending:
                return
            rest = self._outgoing.read()
        try:
            sent = self.socket.send(rest)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.ended = self.ended or RESET
            self.broken = True
            return
        if sent == len(rest):
            self._rest = b""
            self.stalled = False
            if self._outgoing.pending:  # there was a rest before it
                self.send(b"")
        else:
            self._rest = memoryview(rest)[sent:]
            self.stalled = True

    def say_goodbye(self) -> None:
        """Send close-notify if TLS still works; the peer's own is not waited for."""
        # SSLWantReadError: ours is in the buffer. Other errors: an alert is, or nothing.
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self.send(b"")

    def send_end(self) -> None:
        """Send FIN: the peer sees the end of what it may still have to read."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def throw_away(self) -> int:
        """Receive after our goodbye and forget it; returns the number of octets."""
        try:
            data = self.socket.recv(RECEIVE_OCTETS)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        if not data:
            self.ended = self.ended or PEER_CLOSED
            self.broken = True
        return len(data)
