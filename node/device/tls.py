"""TLS of the device listener: one context per certificate, chosen by the name in the handshake.

Source: RFC 8446, RFC 6066 §3 (SNI), RFC 9113 §9.2. TLS 1.2 and 1.3, ALPN `h2` then `http/1.1`.
"""

import ssl
from collections.abc import Sequence
from typing import Final

from config.model import Certificate

ALPN: Final = ["h2", "http/1.1"]
# RFC 9113 §9.2.2 forbids the rest for HTTP/2 over TLS 1.2; TLS 1.3 suites are not named here.
TLS12_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


class DeviceTls(ssl.SSLObject):
    """A server-side TLS connection that remembers the name the client asked for."""

    server_name = ""


class TlsContexts:
    """The contexts of a listener; `reload` swaps them for connections to come."""

    def __init__(self, certificates: Sequence[Certificate]) -> None:
        """Load every certificate.

        Raises:
            OSError: a file cannot be read.
            ssl.SSLError: a certificate and its key are broken or do not belong together.
            ValueError: there is no certificate.
        """
        self._default, self._by_host = self._load(certificates)

    def reload(self, certificates: Sequence[Certificate]) -> None:
        """Load anew; when something is broken the old ones stay and the error is raised."""
        self._default, self._by_host = self._load(certificates)

    def wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> DeviceTls:
        """A new server-side TLS connection over two memory buffers."""
        wrapped = self._default.wrap_bio(incoming, outgoing, server_side=True)
        assert isinstance(wrapped, DeviceTls)  # noqa: S101 - sslobject_class says so
        return wrapped

    def _load(
        self, certificates: Sequence[Certificate]
    ) -> tuple[ssl.SSLContext, dict[str, ssl.SSLContext]]:
        default: ssl.SSLContext | None = None
        by_host: dict[str, ssl.SSLContext] = {}
        for certificate in certificates:
            context = _context(certificate)
            by_host.update((host.lower(), context) for host in certificate.hosts)
            if default is None or not certificate.hosts:
                default = context
        if default is None:
            raise ValueError("the device listener needs a certificate")
        default.sni_callback = self._choose
        return default, by_host

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext
    ) -> None:
        """An unknown name gets the default certificate: the client will say what it thinks."""
        if name is not None and isinstance(connection, DeviceTls):
            connection.server_name = name.lower()
            context = self._by_host.get(connection.server_name)
            if context is not None:
                connection.context = context


def _context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = DeviceTls
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS12_CIPHERS)
    context.set_alpn_protocols(ALPN)
    # Tickets of one worker do not resume on another, and cost a write in every handshake.
    context.num_tickets = 0
    # Phones that prefer AES-128 get it: cheaper for both (RFC 8446 leaves the choice to us).
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.load_cert_chain(certificate.chain, certificate.key)
    return context
