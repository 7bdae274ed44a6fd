"""The loop of the load client: one epoll, thousands of devices, no task and no framework.

It must cost less than what it measures, and must not wait for it: in an open loop an exchange
begins when it is due, and its latency counts from then.
"""

import collections
import contextlib
import select
import socket
import ssl
import time
from collections.abc import Sequence
from typing import Final

from scripts.bench.load_exchanges import BenchDevice, Exchange, MakeExchange
from scripts.bench.load_http1 import Http1
from scripts.bench.load_http2 import Http2
from scripts.bench.load_messages import LoadError, Request

RECEIVE_OCTETS: Final = 65_536
STALL_SECONDS: Final = 20.0  # nothing came for so long: the server hangs
_IN: Final = select.EPOLLIN
_IN_OUT: Final = select.EPOLLIN | select.EPOLLOUT


class Running:
    """An exchange that goes on."""

    __slots__ = ("began", "device", "steps")

    def __init__(self, device: BenchDevice, steps: Exchange, began: float) -> None:
        self.device = device
        self.steps = steps
        self.began = began


class LoadConnection:
    """A TLS connection and the exchanges on it."""

    __slots__ = ("_incoming", "_outgoing", "_rest", "_tls", "http", "ready", "running", "socket",
                 "waiting")  # fmt: skip

    def __init__(
        self, address: tuple[str, int], context: ssl.SSLContext, *, http2: bool,
        connected: socket.socket | None = None,
    ) -> None:  # fmt: skip
        """Connect, unless there is a socket that is connected or about to be."""
        self.socket = connected or socket.socket()
        if connected is None:
            self.socket.setblocking(False)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(BlockingIOError):
                self.socket.connect(address)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._rest = b""
        authority = b"localhost:%d" % address[1]
        self.http: Http1 | Http2 = Http2(authority) if http2 else Http1(authority)
        self.ready = False  # the handshake is done
        self.running: dict[int, Running] = {}
        self.waiting: list[tuple[Request, Running]] = []

    def request(self, one: Request, running: Running) -> None:
        """Send as soon as the connection is ready."""
        if self.ready:
            self.running[self.http.request(one)] = running
        else:
            self.waiting.append((one, running))

    def readable(self) -> list[bytes]:
        """What has come, decrypted.

        Raises:
            LoadError: the connection ended.
        """
        try:
            data = self.socket.recv(RECEIVE_OCTETS)
        except BlockingIOError:
            return []
        except OSError as error:
            raise LoadError(f"connection: {error}") from None
        if not data:
            raise LoadError("the server closed the connection")
        self._incoming.write(data)
        if not self.ready and not self._handshake():
            return []
        plain = []
        while self._incoming.pending or self._tls.pending():
            try:
                plain.append(self._tls.read(RECEIVE_OCTETS))
            except ssl.SSLWantReadError:
                break
        return plain

    def _handshake(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise LoadError(f"TLS: {error}") from None
        wanted = "h2" if isinstance(self.http, Http2) else "http/1.1"
        if self._tls.selected_alpn_protocol() != wanted:
            raise LoadError(f"the server does not speak {wanted}")
        self.ready = True
        for one, running in self.waiting:
            self.running[self.http.request(one)] = running
        self.waiting.clear()
        return True

    def flush(self) -> bool:
        """Write what there is; whether all of it left."""
        if not self.ready and not self.running:
            self._handshake()
        if self.ready and self.http.out:
            self._tls.write(b"".join(self.http.out))
            self.http.out.clear()
        data = self._rest + self._outgoing.read() if self._outgoing.pending else self._rest
        if data:
            try:
                data = data[self.socket.send(data) :]
            except BlockingIOError:
                pass
            except OSError as error:
                raise LoadError(f"connection: {error}") from None
            self._rest = data
        return not data


class LoadLoop:
    """Makes exchanges.

    Attributes:
        latencies: seconds of each exchange, in the order in which they ended.
        latest: the longest time that an exchange began after it was due, seconds.
    """

    def __init__(
        self, address: tuple[str, int], context: ssl.SSLContext, *, http2: bool, shared: int
    ) -> None:
        """Prepare.

        Args:
            shared: connections that all exchanges share; 0: a new one for each exchange.
        """
        self._address = address
        self._context = context
        self._http2 = http2
        self._epoll = select.epoll()
        self._by_descriptor: dict[int, LoadConnection] = {}
        self._changed: dict[LoadConnection, None] = {}  # a set that keeps its order
        self._shared = [self._open() for _ in range(shared)]
        self._next_shared = 0
        self._ended: list[Running] = []
        self.latencies: list[float] = []
        self.latest = 0.0

    def close(self) -> None:
        """Close everything."""
        for connection in self._by_descriptor.values():
            connection.socket.close()
        self._epoll.close()

    def closed(
        self, devices: Sequence[BenchDevice], make: MakeExchange, count: int, at_once: int
    ) -> float:
        """Make `count` exchanges, always `at_once` at the same time; how long it took.

        Raises:
            LoadError: one went wrong.
        """
        free = collections.deque(devices)
        begin = time.perf_counter()
        left = count
        for _ in range(min(at_once, count)):
            self._start(free.popleft(), make, time.perf_counter())
            left -= 1
        done = 0
        while done < count:
            self._step(STALL_SECONDS)
            ended, self._ended = self._ended, []
            now = time.perf_counter()
            for running in ended:
                self.latencies.append(now - running.began)
                free.append(running.device)
                done += 1
                if left:
                    self._start(free.popleft(), make, now)
                    left -= 1
        return time.perf_counter() - begin

    def open(
        self, devices: Sequence[BenchDevice], make: MakeExchange, count: int, rate: float
    ) -> float:
        """Make `count` exchanges, one every 1/`rate` seconds; how long it took.

        Raises:
            LoadError: one went wrong, or all devices were busy at once.
        """
        free = collections.deque(devices)
        begin = time.perf_counter()
        made = done = 0
        while done < count:
            now = time.perf_counter()
            while made < count and (due := begin + made / rate) <= now:
                if not free:
                    raise LoadError("too few devices: the server cannot follow")
                self.latest = max(self.latest, now - due)
                self._start(free.popleft(), make, due)
                made += 1
            wait = begin + made / rate - now if made < count else STALL_SECONDS
            self._step(max(wait, 0.0), may_be_idle=made < count)
            ended, self._ended = self._ended, []
            now = time.perf_counter()
            for running in ended:
                self.latencies.append(now - running.began)
                free.append(running.device)
                done += 1
        return time.perf_counter() - begin

    def _open(self) -> LoadConnection:
        connection = LoadConnection(self._address, self._context, http2=self._http2)
        descriptor = connection.socket.fileno()
        self._by_descriptor[descriptor] = connection
        # Writable first: that is when the connection stands and the handshake can begin.
        self._epoll.register(descriptor, _IN_OUT)
        return connection

    def _connection(self) -> LoadConnection:
        if not self._shared:
            return self._open()
        self._next_shared = (self._next_shared + 1) % len(self._shared)
        return self._shared[self._next_shared]

    def _start(self, device: BenchDevice, make: MakeExchange, began: float) -> None:
        steps = make(device)
        connection = self._connection()
        connection.request(next(steps), Running(device, steps, began))
        if connection.ready:
            self._changed[connection] = None

    def _step(self, seconds: float, *, may_be_idle: bool = False) -> None:
        """Wait for events and do everything that can be done; then write."""
        self._flush()
        events = self._epoll.poll(seconds)
        if not events and seconds >= STALL_SECONDS and not may_be_idle:
            raise LoadError(f"the server is silent for {seconds:g} s")
        for descriptor, event in events:
            connection = self._by_descriptor.get(descriptor)
            if connection is None:
                continue
            if event & ~select.EPOLLOUT:
                self._read(connection)
            if connection.socket.fileno() >= 0:
                self._changed[connection] = None
        self._flush()

    def _flush(self) -> None:
        for connection in self._changed:
            descriptor = connection.socket.fileno()
            if descriptor >= 0:
                all_left = connection.flush()
                self._epoll.modify(descriptor, _IN if all_left else _IN_OUT)
        self._changed.clear()

    def _read(self, connection: LoadConnection) -> None:
        for data in connection.readable():
            for number, answer in connection.http.receive(data):
                running = connection.running.pop(number)
                try:
                    connection.request(running.steps.send(answer), running)
                except StopIteration:
                    self._ended.append(running)
        if not self._shared and connection.ready and not connection.running:
            descriptor = connection.socket.fileno()
            del self._by_descriptor[descriptor]
            self._epoll.unregister(descriptor)
            connection.socket.close()
