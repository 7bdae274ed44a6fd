"""A listener for ASGI applications on Hypercorn that no connection can end.

Hypercorn 0.18 raises KeyError when HTTP/2 data arrives for a stream that was answered already (a
body above the bound; over plain TCP by prior knowledge), and one such connection ends everything
that its `serve` runs. So connections are accepted here and each is a shell of its own.
"""

import logging
import math
import socket
from dataclasses import dataclass
from typing import Any, Final, cast

import hypercorn.config
import structlog
import trio
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, LifespanState
from hypercorn.utils import wrap_app

from node.failures import leaves

_log = structlog.get_logger("listener")

GRACEFUL_SECONDS: Final = 5.0  # for requests under way when the listener ends
BACKLOG: Final = 128
FRESH_SECONDS: Final = 1.0  # a new connection's first request is still to come

SslStream = trio.SSLStream[trio.SocketStream]
Stream = trio.SocketStream | SslStream


@dataclass(slots=True)
class ListenerStatistics:
    """What became of connections.

    Attributes:
        open_connections: now.
        accepted: handshakes that succeeded; without TLS all.
        refused_handshakes: no certificate, a foreign one, or no TLS at all.
        refused_connections: above the bound.
        crashed: connections that ended with an error that nobody expected.
    """

    open_connections: int = 0
    accepted: int = 0
    refused_handshakes: int = 0
    refused_connections: int = 0
    crashed: int = 0


class AsgiListener:
    """Serves an ASGI application over plain TCP; with TLS it is `MutualTlsListener`."""

    scheme = "http"

    def __init__(
        self,
        app: Any,  # noqa: ANN401 (any ASGI application)
        listen: str,
        *,
        max_connections: int = 500,
        handshake_seconds: float = 10.0,
        idle_seconds: float = 75.0,
        graceful_seconds: float = GRACEFUL_SECONDS,
        bound: socket.socket | None = None,
    ) -> None:
        """Describe it; nothing is bound yet.

        Args:
            app: ASGI.
            listen: `host:port`; port 0 is any.
            max_connections: above it connections are closed at once.
            handshake_seconds: TCP is connected, TLS is not.
            idle_seconds: a kept connection without a request.
            graceful_seconds: for requests under way when the listener ends.
            bound: a socket that listens already, and stays open; None: it is bound by `run`.
        """
        self._listen = listen
        self._bound = bound
        self._app: AppWrapper = wrap_app(app, 65_536, "asgi")
        self._max_connections = max_connections
        self._statistics = ListenerStatistics()
        self._accepted_at = -math.inf
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
        listeners = await self._listeners()
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
                task_status.started(f"{self.scheme}://{_address(listeners[0])}")
                await trio.serve_listeners(serve, listeners, handler_nursery=handlers)
            finally:
                with trio.CancelScope(shield=True):
                    await self._let_fresh_ones_ask()
                    await context.terminated.set()  # idle connections close
                    await connections.end()
                    with trio.move_on_after(1):
                        await lifespan.wait_for_shutdown()
                    application.cancel()

    async def _let_fresh_ones_ask(self) -> None:
        """Who has just connected has a request, and would not repeat it."""
        patience = min(FRESH_SECONDS, self._config.graceful_timeout)
        if self._statistics.open_connections:
            await trio.sleep_until(self._accepted_at + patience)

    async def _listeners(self) -> list[trio.SocketListener]:
        if self._bound is not None:
            # A descriptor of its own: whoever gave the socket keeps it for a successor.
            own = trio.socket.from_stdlib_socket(self._bound.dup())
            return [trio.SocketListener(own)]
        host, _, port = self._listen.rpartition(":")
        return await trio.open_tcp_listeners(int(port), host=host.strip("[]"), backlog=BACKLOG)

    def connection_state(self, stream: Stream) -> dict[str, Any]:
        """What the application finds in the scope's state on this connection."""
        return {}

    def statistics(self) -> ListenerStatistics:
        """As it stands now."""
        return self._statistics

    def prepared(self, stream: trio.SocketStream) -> Stream:
        """The stream that requests come on; not shaken hands over yet."""
        return stream

    async def shake_hands(self, stream: Stream) -> bool:
        """Whether the connection may go on."""
        self._statistics.accepted += 1
        return True

    async def _serve(
        self, accepted: trio.SocketStream, context: WorkerContext, state: LifespanState
    ) -> None:
        """One connection to its end."""
        counts = self._statistics
        if counts.open_connections >= self._max_connections:
            counts.refused_connections += 1
            await trio.aclose_forcefully(accepted)
            return
        counts.open_connections += 1
        self._accepted_at = trio.current_time()
        stream = self.prepared(accepted)
        try:
            if await self.shake_hands(stream):
                own = LifespanState({**state, **self.connection_state(stream)})
                # It takes both kinds of streams, whatever its annotation says.
                await TCPServer(self._app, self._config, context, own, cast("SslStream", stream))
        except Exception as error:  # the shell of one connection: also ExceptionGroup
            # No traceback: it has bodies.
            counts.crashed += 1
            names = sorted({type(leaf).__name__ for leaf in leaves(error)})
            _log.warning("connection crashed", listen=self._listen, errors=names)
        finally:
            counts.open_connections -= 1
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)


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


def _address(listener: trio.SocketListener) -> str:
    host, port = listener.socket.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
