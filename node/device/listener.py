"""The device listener: a reactor inside one Trio task.

The task owns an epoll object. Every device socket is registered once, level-triggered; the task
waits for the epoll descriptor through Trio, steps all ready connections synchronously, ends the
turn (sessions step, DERs leave in one write, changed connections are flushed), polls a few rounds
more, and returns to Trio. No task, lock or scope per connection or request: a third of the memory
and a fifth less CPU than a task per connection (measured).
"""

import errno
import math
import select
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from actors.runtime.turn import Turn
from config.model import Certificate
from config.model import DeviceListener as Settings
from node.device.connection import DeviceConnection, Handle
from node.device.tls import TlsContexts
from protocols.http.limits import HttpLimits

ACCEPTS: Final = 64  # per wake-up, then the connections get their turn
POLL_ROUNDS: Final = 4  # without going back to Trio
EVENTS: Final = 512  # per poll
SWEEP_SECONDS: Final = 0.25
RECHECK_SECONDS: Final = 5.0  # a deadline may have moved forward since it was looked at
FULL_PAUSE_SECONDS: Final = 0.1  # out of descriptors: try again then, instead of spinning

_log = structlog.get_logger("devices")


@dataclass(frozen=True, slots=True)
class ListenerStatistics:
    """The listener as it stands now; counts since the start."""

    open: int
    """Connections."""
    handshaking: int
    """Connections whose TLS handshake is under way."""
    accepted: int
    """Connections accepted."""
    requests: int
    """Complete requests."""
    crashes: int
    """Bugs: a step that raised; it cost that connection only."""
    pauses: int
    """Times that accepting paused: a limit was reached, or the process ran out of descriptors."""
    closed: dict[str, int]
    """Connections that ended, by cause."""
    protocol_errors: dict[str, int]
    """What clients did against HTTP or to harm, by name."""


class DeviceListener:
    """Listens for devices and hands their requests to `handle`."""

    def __init__(
        self,
        settings: Settings,
        handle: Handle,
        turn: Turn,
        *,
        reuse_port: bool = False,
    ) -> None:
        """Load the certificates; nothing listens yet.

        Args:
            settings: [device] of the configuration.
            handle: called synchronously for each complete request with its exchange.
            turn: ended after each batch of input; the listener flushes at its end.
            reuse_port: share the port with other workers.

        Raises:
            OSError, ssl.SSLError, ValueError: the certificates cannot be used.
        """
        self._settings = settings
        self._handle = handle
        self._turn = turn
        self._reuse_port = reuse_port
        self._contexts = TlsContexts(settings.certificates)
        self._limits = http_limits(settings)
        self._epoll: select.epoll | None = None
        self._listeners: dict[int, socket.socket] = {}
        self._accepting = False
        self._pause_until = 0.0
        self._connections: dict[int, DeviceConnection] = {}
        self._dirty: list[DeviceConnection] = []
        self._buckets: dict[int, list[DeviceConnection]] = {}
        self._next_bucket = 0
        self._handshaking = 0
        self._accepted = self._requests = self._crashes = self._pauses = 0
        self._closed: Counter[str] = Counter()
        self._protocol_errors: Counter[str] = Counter()
        turn.flusher(self._flush_dirty)

    async def run(
        self, *, task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Listen until cancelled; reports the bound addresses as `host:port`.

        Raises:
            OSError: an address cannot be bound.
        """
        self._epoll = epoll = select.epoll()
        try:
            self._bind()
            self._accept_again()
            self._next_bucket = _bucket(trio.current_time())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sweep)
                task_status.started([_name(one) for one in self._listeners.values()])
                while True:
                    await trio.lowlevel.wait_readable(epoll.fileno())
                    self._react(epoll)
        finally:
            self._close_everything()

    def reload_certificates(self, certificates: Sequence[Certificate]) -> bool:
        """Use new certificates for connections to come; False, and the old ones, when broken."""
        try:
            self._contexts.reload(certificates)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            _log.error("certificates not reloaded", reason=str(error))
            return False
        return True

    async def drain(self, seconds: float) -> None:
        """Stop accepting, let open exchanges finish, end; at most `seconds`."""
        for descriptor, listener in self._listeners.items():
            if self._accepting and self._epoll is not None:
                self._epoll.unregister(descriptor)
            listener.close()
        self._listeners.clear()
        self._accepting = False
        now = trio.current_time()
        for connection in list(self._connections.values()):
            connection.close_gracefully(now)
            self._watch_deadline(connection, now)
        self._turn.end()
        with trio.move_on_after(seconds):
            while self._connections:  # noqa: ASYNC110 - the last one may end in any of many ways
                await trio.sleep(SWEEP_SECONDS / 5)

    @property
    def ready(self) -> bool:
        """Whether new connections are welcome."""
        return bool(self._listeners)

    def statistics(self) -> ListenerStatistics:
        """A snapshot."""
        open_errors = (one.counters for one in self._connections.values())
        errors = Counter(self._protocol_errors)
        for counters in open_errors:
            errors.update(counters)
        return ListenerStatistics(
            open=len(self._connections),
            handshaking=self._handshaking,
            accepted=self._accepted,
            requests=self._requests + sum(one.requests for one in self._connections.values()),
            crashes=self._crashes,
            pauses=self._pauses,
            closed=dict(self._closed),
            protocol_errors=dict(errors),
        )

    # --- the reactor ---------------------------------------------------------------------------

    def _react(self, epoll: select.epoll) -> None:
        for _ in range(POLL_ROUNDS):
            events = epoll.poll(0, EVENTS)
            if not events:
                return
            now = trio.current_time()
            for descriptor, mask in events:
                connection = self._connections.get(descriptor)
                if connection is not None:
                    self._step(connection, mask, now)
                elif descriptor in self._listeners:
                    self._accept(self._listeners[descriptor], now)
            self._turn.end()

    def _step(self, connection: DeviceConnection, mask: int, now: float) -> None:
        """One ready connection; a bug in it costs this connection and nothing else."""
        was_handshaking = connection.handshaking
        try:
            if mask & select.EPOLLOUT:
                self._mark_dirty(connection)
            if mask & ~select.EPOLLOUT:
                if connection.end_of_stream:  # EPOLLHUP: now the other direction is dead as well
                    connection.abandon("reset")
                else:
                    connection.readable(now)
        except Exception as error:
            self._crashed(connection, error)
        if was_handshaking and not connection.handshaking:
            self._handshaking -= 1

    def _crashed(self, connection: DeviceConnection, error: Exception) -> None:
        self._crashes += 1
        _log.error("connection crashed", exc_info=error)
        connection.abandon("crash")

    def _mark_dirty(self, connection: DeviceConnection) -> None:
        if not connection.dirty:
            connection.dirty = True
            self._dirty.append(connection)

    def _flush_dirty(self) -> None:
        """Write every changed connection once: the listener's part of a turn's end."""
        if not self._dirty:
            return
        now = trio.current_time()
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.dirty = False
            try:
                connection.flush(now)
            except Exception as error:
                self._crashed(connection, error)
            if connection.finished and not connection.wants_write:
                self._forget(connection)
            else:
                self._watch(connection, now)

    def _watch(self, connection: DeviceConnection, now: float) -> None:
        """Have epoll watch for what the connection can do something about."""
        mask = 0 if connection.end_of_stream else select.EPOLLIN
        if connection.wants_write:
            mask |= select.EPOLLOUT
        if mask == connection.watched or self._epoll is None:
            return
        self._epoll.modify(connection.sock, mask)
        connection.watched = mask
        self._watch_deadline(connection, now)

    def _forget(self, connection: DeviceConnection) -> None:
        descriptor = connection.sock.fileno()
        if self._connections.pop(descriptor, None) is None:
            return
        assert self._epoll is not None  # noqa: S101 - connections exist only while it runs
        self._epoll.unregister(descriptor)
        connection.sock.close()
        if connection.handshaking:
            self._handshaking -= 1
            connection.handshaking = False
        self._closed[connection.finished] += 1
        self._requests += connection.requests
        self._protocol_errors.update(connection.counters)
        if not self._accepting:
            self._accept_again()

    # --- accepting -----------------------------------------------------------------------------

    def _bind(self) -> None:
        for address in self._settings.listen:
            host, _, port = address.rpartition(":")
            host = host.strip("[]")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.socket(family, socket.SOCK_STREAM)
            self._listeners[listener.fileno()] = listener
            listener.setblocking(False)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self._reuse_port:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind((host, int(port)))
            listener.listen(self._settings.backlog)

    def _accept_again(self) -> None:
        """Watch the listening sockets, unless a limit says not to."""
        if self._epoll is None or self._full() or not self._listeners:
            return
        for descriptor in self._listeners:
            self._epoll.register(descriptor, select.EPOLLIN)
        self._accepting = True

    def _pause(self, seconds: float) -> None:
        """Leave new connections in the kernel's queue for a while."""
        if self._accepting and self._epoll is not None:
            for descriptor in self._listeners:
                self._epoll.unregister(descriptor)
            self._accepting = False
            self._pauses += 1
        self._pause_until = trio.current_time() + seconds

    def _full(self) -> bool:
        return (
            len(self._connections) >= self._settings.max_connections
            or self._handshaking >= self._settings.max_handshakes
            or trio.current_time() < self._pause_until
        )

    def _accept(self, listener: socket.socket, now: float) -> None:
        for _ in range(ACCEPTS):
            if self._full():
                self._pause(0.0)
                return
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._pause(FULL_PAUSE_SECONDS)
                    return
                continue  # the connection died in the queue
            self._welcome(sock, str(address[0]), now)

    def _welcome(self, sock: socket.socket, peer: str, now: float) -> None:
        assert self._epoll is not None  # noqa: S101 - only the running reactor accepts
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = DeviceConnection(
            sock,
            peer,
            self._contexts,
            self._limits,
            self._handle,
            self._mark_dirty,
            now,
            self._settings.handshake_seconds,
        )
        self._accepted += 1
        self._handshaking += 1
        self._connections[sock.fileno()] = connection
        self._epoll.register(sock, select.EPOLLIN)
        connection.watched = select.EPOLLIN
        self._watch_deadline(connection, now)

    # --- deadlines -----------------------------------------------------------------------------

    def _watch_deadline(self, connection: DeviceConnection, now: float) -> None:
        """Look at the connection's deadline when it is due, and now and then before."""
        at = min(connection.next_timeout(), now + RECHECK_SECONDS)
        number = max(_bucket(at), self._next_bucket)
        self._buckets.setdefault(number, []).append(connection)

    async def _sweep(self) -> None:
        while True:
            await trio.sleep(SWEEP_SECONDS)
            now = trio.current_time()
            while self._next_bucket <= _bucket(now) - 1:
                due = self._buckets.pop(self._next_bucket, [])
                self._next_bucket += 1
                for connection in due:
                    self._check_deadline(connection, now)
            if not self._accepting:
                self._accept_again()
            self._turn.end()

    def _check_deadline(self, connection: DeviceConnection, now: float) -> None:
        if self._connections.get(connection.sock.fileno()) is not connection:
            return
        if now >= connection.next_timeout():
            try:
                connection.timed_out(now)
            except Exception as error:
                self._crashed(connection, error)
        self._watch_deadline(connection, now)

    def _close_everything(self) -> None:
        for connection in list(self._connections.values()):
            connection.abandon("shutdown")
            self._forget(connection)
        self._dirty.clear()
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None


def http_limits(settings: Settings) -> HttpLimits:
    """The limits of one connection, from [device]."""
    return HttpLimits(
        max_streams=settings.max_streams,
        max_header_octets=settings.max_header_octets,
        max_body_octets=settings.max_body_octets,
        max_queued_octets=settings.max_queued_octets,
        request_seconds=settings.request_seconds,
        idle_seconds=settings.idle_seconds,
    )


def _bucket(at: float) -> int:
    return math.ceil(at / SWEEP_SECONDS)


def _name(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
