"""A listener with mutual TLS on Hypercorn, which tells the application who the client is.

Hypercorn 0.18 keeps the client's certificate to itself, and its TLS settings for ever. So the
connections are accepted here, shaken hands with by the context of the moment, and then handed over;
the application finds the certificate (DER) under `CLIENT_CERTIFICATE` in the scope's state.
"""

import logging
import ssl
from dataclasses import dataclass
from typing import Any, Final

import hypercorn.config
import structlog
import trio
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, LifespanState
from hypercorn.utils import wrap_app

from node.failures import leaves

_log = structlog.get_logger("partner")

CLIENT_CERTIFICATE: Final = "client_certificate"
GRACEFUL_SECONDS: Final = 5.0  # for requests under way when the listener ends
BACKLOG: Final = 128

SslStream = trio.SSLStream[trio.SocketStream]


@dataclass(slots=True)
class ListenerStatistics:
    """What became of connections.

    Attributes:
        open_connections: now.
        accepted: handshakes that succeeded.
        refused_handshakes: no certificate, a foreign one, or no TLS at all.
        refused_connections: above the bound.
        crashed: connections that ended with an error that nobody expected.
    """

    open_connections: int = 0
    accepted: int = 0
    refused_handshakes: int = 0
    refused_connections: int = 0
    crashed: int = 0


class MutualTlsListener:
    """Serves an ASGI application; every client shows a certificate.

    Attributes:
        context: of connections to come; may be replaced at any time.
    """

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
    ) -> None:
        """Describe it; nothing is bound yet.

        Args:
            app: ASGI.
            listen: `host:port`; port 0 is any.
            context: made by `server_context`.
            max_connections: above it connections are closed at once.
            handshake_seconds: TCP is connected, TLS is not.
            idle_seconds: a kept connection without a request.
            graceful_seconds: for requests under way when the listener ends.
        """
        self.context = context
        self._listen = listen
        self._app: AppWrapper = wrap_app(app, 65_536, "asgi")
        self._max_connections = max_connections
        self._statistics = ListenerStatistics()
        config = hypercorn.config.Config()
        config.keep_alive_timeout = idle_seconds
        config.keep_alive_max_requests = 1_000_000_000  # the default loses requests in flight
        config.ssl_handshake_timeout = handshake_seconds
        config.graceful_timeout = graceful_seconds
        config.include_server_header = False
        config.errorlog = logging.getLogger("hypercorn.error")
        self._config = config

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; reports the URL.

        Raises:
            OSError: the address cannot be bound.
        """
        host, _, port = self._listen.rpartition(":")
        listeners = await trio.open_tcp_listeners(int(port), host=host.strip("[]"), backlog=BACKLOG)
        state: LifespanState = {}
        lifespan = Lifespan(self._app, self._config, state)
        context = WorkerContext(None)
        async with trio.open_nursery() as nursery:
            application = await nursery.start(_hold_lifespan, lifespan)
            await lifespan.wait_for_startup()

            async def serve(stream: trio.SocketStream) -> None:
                await self._serve(stream, context, state)

            connections = _Connections(self._config.graceful_timeout)
            handlers = await nursery.start(connections.hold)
            try:
                task_status.started(f"https://{_address(listeners[0])}")
                await trio.serve_listeners(serve, listeners, handler_nursery=handlers)
            finally:
                with trio.CancelScope(shield=True):
                    await context.terminated.set()  # idle connections close
                    await connections.end()
                    with trio.move_on_after(1):
                        await lifespan.wait_for_shutdown()
                    application.cancel()

    def connection_state(self, tls: SslStream) -> dict[str, Any]:
        """What the application finds in the scope's state on this connection."""
        return {CLIENT_CERTIFICATE: tls.getpeercert(binary_form=True)}

    def statistics(self) -> ListenerStatistics:
        """As it stands now."""
        return self._statistics

    async def _serve(
        self, stream: trio.SocketStream, context: WorkerContext, state: LifespanState
    ) -> None:
        """One connection to its end."""
        counts = self._statistics
        if counts.open_connections >= self._max_connections:
            counts.refused_connections += 1
            await trio.aclose_forcefully(stream)
            return
        counts.open_connections += 1
        tls: SslStream = trio.SSLStream(
            stream, self.context, server_side=True, https_compatible=True
        )
        try:
            if await self._shake_hands(tls):
                own = LifespanState({**state, **self.connection_state(tls)})
                await TCPServer(self._app, self._config, context, own, tls)
        except Exception as error:  # the shell of one connection: also ExceptionGroup
            # Hypercorn 0.18 raises KeyError for HTTP/2 data of a stream that was answered early (a
            # body above the bound), which must not end the listener. No traceback: it has bodies.
            counts.crashed += 1
            names = sorted({type(leaf).__name__ for leaf in leaves(error)})
            _log.warning("connection crashed", errors=names)
        finally:
            counts.open_connections -= 1
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(tls)

    async def _shake_hands(self, tls: SslStream) -> bool:
        try:
            with trio.fail_after(self._config.ssl_handshake_timeout):
                await tls.do_handshake()
        except (trio.BrokenResourceError, trio.TooSlowError, OSError):
            self._statistics.refused_handshakes += 1
            return False
        self._statistics.accepted += 1
        return True


class _Connections:
    """Keeps connections going, for their grace also after the listener was cancelled."""

    def __init__(self, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._ending = trio.Event()
        self._ended = trio.Event()

    async def hold(self, *, task_status: trio.TaskStatus[trio.Nursery]) -> None:
        """Gives the nursery of the connections; ends after `end`."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.cancel_scope.shield = True
                task_status.started(nursery)
                await self._ending.wait()
                nursery.cancel_scope.deadline = trio.current_time() + self._grace_seconds
        finally:
            self._ended.set()

    async def end(self) -> None:
        """Wait until all connections have ended, by themselves or after their grace."""
        self._ending.set()
        await self._ended.wait()


async def _hold_lifespan(
    lifespan: Lifespan, *, task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    """The application outlives the cancellation, so that its last requests can finish."""
    with trio.CancelScope(shield=True) as scope:
        task_status.started(scope)
        await lifespan.handle_lifespan()


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


def _address(listener: trio.SocketListener) -> str:
    host, port = listener.socket.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
