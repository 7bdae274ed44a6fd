"""A TCP proxy that cuts connections, or swallows everything and says nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import trio

_BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


class FlakyProxy:
    """Between clients and a server on the loopback.

    Attributes:
        port: where clients connect.
        connections: how many were opened.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._streams: set[trio.SocketStream] = set()
        self._speaks = trio.Event()
        self._speaks.set()
        self._refuses = False
        self.port = 0
        self.connections = 0

    def silence(self) -> None:
        """Nothing passes any more, in either direction; connections stay."""
        self._speaks = trio.Event()

    def speak(self) -> None:
        """What was held back passes, and everything after it."""
        self._speaks.set()

    def refuse(self) -> None:
        """New connections are closed at once."""
        self._refuses = True

    def accept(self) -> None:
        """New connections are served again."""
        self._refuses = False

    async def cut(self) -> None:
        """All connections of now are closed in the middle of whatever they do."""
        streams, self._streams = self._streams, set()
        for stream in streams:
            with suppress(*_BROKEN):
                await trio.aclose_forcefully(stream)

    async def _serve(self, client: trio.SocketStream) -> None:
        self.connections += 1
        async with client:
            if self._refuses:
                return
            try:
                server = await trio.open_tcp_stream("127.0.0.1", self._target)
            except OSError:
                return
            self._streams |= {client, server}
            async with server, trio.open_nursery() as nursery:
                nursery.start_soon(self._pass_on, client, server)
                nursery.start_soon(self._pass_on, server, client)
            self._streams -= {client, server}

    async def _pass_on(self, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        try:
            while octets := await source.receive_some(65_536):
                await self._speaks.wait()
                await sink.send_all(octets)
        except _BROKEN:
            pass
        for stream in (source, sink):
            with suppress(*_BROKEN):
                await trio.aclose_forcefully(stream)


@asynccontextmanager
async def flaky_proxy(target: int) -> AsyncIterator[FlakyProxy]:
    """A proxy that runs for the block."""
    proxy = FlakyProxy(target)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, proxy._serve, 0, host="127.0.0.1"))
        proxy.port = listeners[0].socket.getsockname()[1]
        yield proxy
        nursery.cancel_scope.cancel()
