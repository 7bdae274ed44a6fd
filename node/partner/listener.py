"""A listener with mutual TLS, which tells the application who the client is.

Hypercorn keeps the client's certificate to itself, and its TLS settings for ever. So connections
are shaken hands with here, by the context of the moment, and then handed over; the application
finds the certificate (DER) under `CLIENT_CERTIFICATE` in the scope's state.
"""

import socket
import ssl
from typing import Any, Final

import trio

from node.asgi_listener import (
    GRACEFUL_SECONDS,
    AsgiListener,
    ListenerStatistics,
    SslStream,
    Stream,
)

__all__ = [
    "CLIENT_CERTIFICATE",
    "ListenerStatistics",
    "MutualTlsListener",
    "SslStream",
    "Stream",
    "server_context",
]

CLIENT_CERTIFICATE: Final = "client_certificate"


class MutualTlsListener(AsgiListener):
    """Serves an ASGI application; every client shows a certificate.

    Attributes:
        context: of connections to come; may be replaced at any time.
    """

    scheme = "https"

    def __init__(
        self,
        app: Any,  # noqa: ANN401 (any ASGI application)
        listen: str,
        context: ssl.SSLContext,
        *,
        max_connections: int = 500,
        handshake_seconds: float = 10.0,
        idle_seconds: float = 75.0,
        graceful_seconds: float = GRACEFUL_SECONDS,
        bound: socket.socket | None = None,
    ) -> None:
        """Describe it; see `AsgiListener`.

        Args:
            context: made by `server_context`.
        """
        super().__init__(
            app,
            listen,
            max_connections=max_connections,
            handshake_seconds=handshake_seconds,
            idle_seconds=idle_seconds,
            graceful_seconds=graceful_seconds,
            bound=bound,
        )
        self.context = context

    def connection_state(self, stream: Stream) -> dict[str, Any]:
        """The client's certificate."""
        assert isinstance(stream, trio.SSLStream)  # noqa: S101 - `prepared` made it
        return {CLIENT_CERTIFICATE: stream.getpeercert(binary_form=True)}

    def prepared(self, stream: trio.SocketStream) -> Stream:
        """TLS over the stream, by the context of the moment."""
        return trio.SSLStream(stream, self.context, server_side=True, https_compatible=True)

    async def shake_hands(self, stream: Stream) -> bool:
        """False for clients without a certificate that is trusted."""
        assert isinstance(stream, trio.SSLStream)  # noqa: S101 - `prepared` made it
        try:
            with trio.fail_after(self._config.ssl_handshake_timeout):
                await stream.do_handshake()
        except (trio.BrokenResourceError, trio.TooSlowError, OSError):
            self._statistics.refused_handshakes += 1
            return False
        self._statistics.accepted += 1
        return True


def server_context(certificate: str, key: str, authorities_pem: str) -> ssl.SSLContext:
    """TLS 1.2 or later, h2 and HTTP/1.1, for clients with a certificate of these authorities.

    Args:
        certificate: file of the PEM chain.
        key: its file.
        authorities_pem: PEM text.

    Raises:
        OSError: a file cannot be read or used (ssl.SSLError is one).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if authorities_pem:
        context.load_verify_locations(cadata=authorities_pem)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context
