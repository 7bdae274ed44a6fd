"""A piece of wire between the node and an AAA, which can be cut quietly and listened to."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio


@dataclass
class Wire:
    """Forwards TCP connections.

    Attributes:
        port: where it listens on 127.0.0.1.
        cut: what arrives is thrown away, and the sockets stay open.
        carried: (from the node, octets) in the order in which they passed, of all connections.
        connections: how many there were. node: our end of the newest one.
        last: octets that came of the node at once; `heard` is called when some came.
    """

    to: int
    port: int = 0
    cut: bool = False
    carried: list[tuple[bool, bytes]] = field(default_factory=list)
    connections: int = 0
    node: trio.SocketStream | None = None
    last: bytes = b""
    heard: Callable[[], object] = lambda: None

    async def inject(self, octets: bytes) -> None:
        """Send octets to the node as if they came from the AAA."""
        assert self.node is not None
        await self.node.send_all(octets)

    async def _connected(self, node: trio.SocketStream) -> None:
        self.connections += 1
        self.node = node
        aaa = await trio.open_tcp_stream("127.0.0.1", self.to)
        async with aaa, trio.open_nursery() as nursery:
            nursery.start_soon(self._carry, node, aaa, True, nursery)
            nursery.start_soon(self._carry, aaa, node, False, nursery)

    async def _carry(
        self,
        source: trio.SocketStream,
        sink: trio.SocketStream,
        from_node: bool,
        nursery: trio.Nursery,
    ) -> None:
        try:
            async for data in source:
                if from_node:
                    self.last = bytes(data)
                    self.heard()
                if not self.cut:
                    self.carried.append((from_node, bytes(data)))
                    await sink.send_all(data)
        except trio.BrokenResourceError:
            pass  # one end was reset: so is the other
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[Wire]:
    """A wire to a port of 127.0.0.1, while the block lasts."""
    wire = Wire(port)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    wire.port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, wire._connected, listeners)
        yield wire
        nursery.cancel_scope.cancel()
