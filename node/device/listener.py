"""The device listener: a reactor inside one Trio task.

The task owns an epoll object in which every socket stands once, level-triggered. It waits for the
epoll descriptor through Trio, steps all ready connections, ends the turn (sessions step, DERs leave
in one write, changed connections are flushed), polls a few rounds more, and returns to Trio. No
task, lock or cancel scope per connection or request: that is 15 % less CPU for a new connection and
a third of the memory of a task per connection (measured).
"""

import select
import socket
from collections.abc import Iterable, Sequence
from typing import Final

import structlog
import trio

from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from config.model import DeviceListener as Settings
from node.device.connection import Handle
from node.device.exchange import Exchange
from node.device.gate import Gate, OpenGate
from node.device.listening import ListeningSockets
from node.device.open_connections import OpenConnections
from node.device.statistics import DeviceCounters, DeviceStatistics
from node.device.tls import CertificateError, ServerCertificates

EVENTS: Final = 32  # of one poll: with a handshake each, 10 ms
ROUNDS: Final = 4  # polls without going back to Trio
REACT_SECONDS: Final = 0.005  # after which no further round is begun
HANDSHAKES: Final = 8  # 0.3 ms each: then what is finished leaves before the round goes on

_log = structlog.get_logger("devices")


class DeviceListener:
    """Where devices connect; complete requests go to `handle`, answers come to their exchange."""

    def __init__(
        self,
        config: Settings,
        handle: Handle,
        turn: Turn,
        *,
        hosts: Iterable[str] = (),
        sockets: Sequence[socket.socket] = (),
        gate: Gate | None = None,
    ) -> None:
        """Load the certificates; nothing listens yet.

        Args:
            config: [device].
            handle: called for each complete request; must not wait. What it raises is counted and
                answered 503.
            turn: ended after each batch of input. The listener's flusher is registered here.
            hosts: names of tenants, which a client without SNI may ask for besides those of the
                certificates.
            sockets: listening ones that somebody has bound already; none: the addresses of
                [device] are bound when it runs.
            gate: asked about every connection before its handshake; None: all may come.

        Raises:
            CertificateError: the certificates cannot be used.
        """
        self._config = config
        self._turn = turn
        self._sockets = tuple(sockets)
        self._certificates = ServerCertificates(config.certificates, hosts)
        self._counters = DeviceCounters()
        self._wheel = TimerWheel(turn)
        self._gate = gate or OpenGate()
        self._connections = OpenConnections(
            config, handle, self._certificates, self._counters, turn, self._wheel, self._gate
        )
        self._listening: ListeningSockets | None = None
        turn.flusher(self._connections.flush)

    async def run(
        self, *, task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled; reports the bound addresses, `host:port` each.

        When it ends, all connections are closed at once: see `drain`.

        Raises:
            OSError: an address cannot be bound.
        """
        with select.epoll() as epoll:
            self._connections.open(epoll)
            listening = self._listening = ListeningSockets(self._connections, epoll)
            try:
                addresses = (
                    listening.adopt([one.dup() for one in self._sockets])  # again after a crash
                    if self._sockets
                    else listening.bind(self._config.listen, self._config.backlog)
                )
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._wheel.run)
                    task_status.started(addresses)
                    while True:
                        await trio.lowlevel.wait_readable(epoll.fileno())
                        self._react(epoll, listening)
            finally:
                self._listening = None
                listening.abandon()
                self._connections.close_all("stopped")

    def _react(self, epoll: select.epoll, listening: ListeningSockets) -> None:
        """Work off what is ready, in a few bounded rounds."""
        turn, connections, gate = self._turn, self._connections, self._gate
        by_descriptor, step = connections.by_descriptor, connections.step
        began = now = trio.current_time()
        gate.round(now)
        for _ in range(ROUNDS):
            ready = epoll.poll(0, EVENTS)
            if not ready:
                gate.drained()
                return
            knocking: list[int] = []
            entering: list[int] = []
            for descriptor, _mask in ready:
                connection = by_descriptor.get(descriptor)
                if connection is None:
                    knocking.append(descriptor)
                elif connection.handshaking:
                    entering.append(descriptor)
                else:
                    step(connection, now)
            # Who is in goes first, then who is in the door, then who knocks.
            for at, descriptor in enumerate(entering):
                if at and not at % HANDSHAKES:
                    turn.end()
                connection = by_descriptor.get(descriptor)
                if connection is not None:
                    step(connection, now)
            all_taken = len(ready) < EVENTS
            if len(knocking) == len(ready) or not gate.holds(now):
                for descriptor in knocking:
                    if descriptor in listening:
                        all_taken &= listening.accept(descriptor, now)
            elif knocking:
                all_taken = False
            turn.end()
            round_began, now = now, trio.current_time()
            if all_taken:
                gate.caught_up(len(ready), round_began, now)
            if now - began > REACT_SECONDS:
                break
        if not epoll.poll(0, 1):
            gate.drained()

    def leave_queue(self) -> None:
        """Stop accepting; who waits in the sockets' queues is left to the next holder of them."""
        self._connections.draining = True
        if self._listening is not None:
            self._listening.abandon()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for one in self._sockets:
            one.close()

    def hand_to(self, handle: Handle) -> None:
        """Have the requests to come handled by somebody else."""
        self._connections.handle = handle

    def waiting(self) -> list[Exchange]:
        """Requests of all connections that are not answered yet."""
        connections = self._connections.by_descriptor.values()
        return [exchange for connection in connections for exchange in connection.waiting]

    async def drain(self, seconds: float) -> None:
        """Stop accepting, let open requests be answered, close what is left after `seconds`.

        Returns when no connection is open. `run` goes on until it is cancelled.
        """
        now = trio.current_time()
        self._connections.draining = True
        if self._listening is not None:
            self._listening.close(now)
        self._close_sockets()
        self._connections.close_gracefully(now)
        self._turn.end()
        with trio.move_on_after(seconds):
            await self._connections.wait_empty()
        self._connections.close_all("drained")
        self._turn.end()

    def reload(self, config: Settings, hosts: Iterable[str] = ()) -> tuple[str, ...]:
        """Use other limits, times and certificates for connections to come; open ones keep theirs.

        Addresses and backlog stay what they are until a restart.

        Args:
            config: [device].
            hosts: names of tenants.

        Returns:
            What is wrong with the certificates: then the old ones stay. Empty when all is in use.
        """
        self._connections.reload(config)
        try:
            self._certificates.reload(config.certificates, hosts)
        except CertificateError as error:
            self._counters.failed_reloads += 1
            _log.error("certificates not reloaded", problems=list(error.problems))
            return error.problems
        return ()

    @property
    def ready(self) -> bool:
        """New connections are accepted."""
        return self._listening is not None and not self._connections.draining

    def statistics(self) -> DeviceStatistics:
        """A snapshot."""
        counters = self._counters
        return DeviceStatistics(
            open=len(self._connections.by_descriptor),
            handshakes_in_progress=len(self._connections.handshaking),
            draining=self._connections.draining,
            accepted=counters.accepted,
            protocols=dict(counters.protocols),
            handshakes_failed=dict(counters.handshakes_failed),
            requests=counters.requests,
            abandoned=counters.abandoned,
            protocol_errors=dict(counters.protocol_errors),
            closed=dict(counters.closed),
            pauses=dict(counters.pauses),
            crashes=counters.crashes,
            failed_reloads=counters.failed_reloads,
            certificates=self._certificates.statistics(),
        )
