"""All open device connections: the epoll object they stand in, who changed, who is new.

Every step of a connection runs in a shell here: what goes wrong costs that connection alone.
"""

import select
import socket
from typing import Final

import trio

from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from config.model import DeviceListener as Settings
from node.device.connection import DeviceConnection, Handle
from node.device.exchange import Exchange
from node.device.gate import Gate
from node.device.statistics import DeviceCounters
from node.device.tls import ServerCertificates
from protocols.http.limits import HttpLimits

# A client that has taken longer makes room when too many handshakes are under way: otherwise a few
# hundred silent connections would keep everybody out for the whole handshake limit.
CROWDED_SECONDS: Final = 1.0


class OpenConnections:
    """The connections of one listener, by descriptor.

    Attributes:
        draining: connections whose handshake ends are closed gracefully at once.
    """

    def __init__(
        self,
        settings: Settings,
        handle: Handle,
        certificates: ServerCertificates,
        counters: DeviceCounters,
        turn: Turn,
        wheel: TimerWheel,
        gate: Gate,
    ) -> None:
        self.certificates = certificates
        self.counters = counters
        self.draining = False
        self.handle = handle
        self.wheel = wheel
        self.gate = gate
        self.by_descriptor: dict[int, DeviceConnection] = {}
        self.handshaking: dict[DeviceConnection, None] = {}  # oldest first
        self._turn = turn
        self._epoll: select.epoll | None = None
        self._changed: list[DeviceConnection] = []
        self._lost_while_flushing = False
        self._empty = trio.Event()
        self.reload(settings)

    def reload(self, settings: Settings) -> None:
        """Use these limits for connections to come, and for how many there may be."""
        self.handshake_seconds = settings.handshake_seconds
        self.limits = http_limits(settings)
        self._max_connections = settings.max_connections
        self._max_handshakes = settings.max_handshakes

    def open(self, epoll: select.epoll) -> None:
        """Connections to come stand in `epoll`."""
        self._epoll = epoll

    # --- coming and going -----------------------------------------------------------------------

    def no_room(self, now: float) -> str:
        """The limit that forbids one more connection, or nothing."""
        if len(self.by_descriptor) >= self._max_connections:
            return "max_connections"
        if self._crowded() and now - next(iter(self.handshaking)).since < CROWDED_SECONDS:
            return "max_handshakes"
        return ""

    def _crowded(self) -> bool:
        return len(self.handshaking) >= self._max_handshakes

    def welcome(self, connected: socket.socket, peer: str, now: float) -> None:
        """Take a socket that was just accepted, when there is room."""
        if self._crowded():
            next(iter(self.handshaking)).close("crowded_out")
        self.counters.accepted += 1
        try:
            connected.setblocking(False)
            connection = DeviceConnection(self, connected, peer, now)
            if self._epoll is not None:
                self._epoll.register(connected, select.EPOLLIN)
        except Exception as error:  # out of memory or of epoll watches: this one is turned away
            self.crashed(error)
            connected.close()
            return
        self.by_descriptor[connected.fileno()] = connection
        self.handshaking[connection] = None

    def established(self, connection: DeviceConnection) -> None:
        """The handshake is done."""
        self.handshaking.pop(connection, None)

    def left(self, connection: DeviceConnection) -> None:
        """Forget a connection; epoll forgets its socket when that is closed."""
        self.by_descriptor.pop(connection.socket.fileno(), None)
        if connection.handshaking:
            self.handshaking.pop(connection, None)
        if not self.by_descriptor:
            self._empty.set()

    async def wait_empty(self) -> None:
        """Until the last connection is closed."""
        while self.by_descriptor:
            self._empty = trio.Event()
            await self._empty.wait()

    def close_gracefully(self, now: float) -> None:
        """End every connection when its open requests are answered, those to come as well."""
        self.draining = True
        for connection in list(self.by_descriptor.values()):
            connection.close_gracefully(now)

    def close_all(self, cause: str) -> None:
        """End every connection at once."""
        for connection in list(self.by_descriptor.values()):
            connection.close(cause)
        self._changed.clear()

    # --- steps ----------------------------------------------------------------------------------

    def step(self, connection: DeviceConnection, now: float) -> None:
        """Step one ready connection in its shell."""
        try:
            connection.ready(now)
        except Exception as error:
            self.crashed(error)
            connection.close("crash")

    def changed(self, connection: DeviceConnection) -> None:
        """Flush the connection when the turn ends."""
        if not connection.marked:
            connection.marked = True
            self._changed.append(connection)

    def flush(self) -> None:
        """Send what every changed connection has: a step of the turn."""
        if not self._changed:
            return
        now = trio.current_time()
        changed, self._changed = self._changed, []
        self._lost_while_flushing = False
        for connection in changed:
            connection.marked = False
            try:
                connection.flush(now)
            except Exception as error:
                self.crashed(error)
                connection.close("crash")
        if self._lost_while_flushing:
            self._turn.end()  # who was told may have put mail into a session

    def watch(self, connection: DeviceConnection, mask: int) -> None:
        """Have epoll wait for something else."""
        if self._epoll is not None:
            self._epoll.modify(connection.socket.fileno(), mask)

    def lost(self, exchange: Exchange) -> None:
        """Tell whoever works for this exchange that its device left."""
        self.counters.abandoned += 1
        self._lost_while_flushing = True
        try:
            exchange.lose()
        except Exception as error:
            self.crashed(error)

    def crashed(self, error: Exception) -> None:
        """Count and report a bug."""
        self.counters.crashes += 1
        self._turn.crashed(error)


def http_limits(settings: Settings) -> HttpLimits:
    """The limits of one connection, as [device] sets them."""
    return HttpLimits(
        max_streams=settings.max_streams,
        max_header_octets=settings.max_header_octets,
        max_body_octets=settings.max_body_octets,
        max_queued_octets=settings.max_queued_octets,
        request_seconds=settings.request_seconds,
        idle_seconds=settings.idle_seconds,
    )
