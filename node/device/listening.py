"""The listening sockets: bind, accept in batches, pause at a limit instead of spinning."""

import errno
import select
import socket
from collections.abc import Sequence
from typing import Final

from node.device.gate import lets_in
from node.device.open_connections import OpenConnections

ACCEPTS: Final = 64  # of one socket in one round, then the connections get their turn
PAUSE_SECONDS: Final = 0.1

# `accept` cannot give a descriptor or memory: it would say so again at once.
_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class ListeningSockets:
    """Where devices connect."""

    def __init__(self, connections: OpenConnections, epoll: select.epoll) -> None:
        self._connections = connections
        self._epoll = epoll
        self._sockets: dict[int, socket.socket] = {}
        self._accepting = False

    def bind(self, addresses: Sequence[str], backlog: int) -> list[str]:
        """Listen on every address; returns them with the ports that port 0 became.

        Raises:
            OSError: an address cannot be resolved or bound.
        """
        for address in addresses:
            listening = listen(address, backlog)
            self._sockets[listening.fileno()] = listening
        self._resume()
        return [name_of(one) for one in self._sockets.values()]

    def adopt(self, sockets: Sequence[socket.socket]) -> list[str]:
        """Listen on sockets that another process has bound and keeps open, too."""
        for listening in sockets:
            listening.setblocking(False)
            self._sockets[listening.fileno()] = listening
        self._resume()
        return [name_of(one) for one in self._sockets.values()]

    def __contains__(self, descriptor: int) -> bool:
        return descriptor in self._sockets

    def accept(self, descriptor: int, now: float) -> bool:
        """Take the waiting connections of one socket, up to a limit; whether none is left."""
        listening = self._sockets[descriptor]
        for _ in range(ACCEPTS):
            limit = self._connections.no_room(now)
            if limit:
                self._pause(limit)
                return False
            try:
                connected, address = listening.accept()
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause("descriptors")
                    return False
                continue  # that one died in the queue
            if lets_in(self._connections.gate, connected, address[0], now):
                self._connections.welcome(connected, address[0], now)
        return False

    def close(self, now: float) -> None:
        """Stop listening; connections that wait in the kernel's queue are taken first."""
        for descriptor in self._sockets:
            if self._accepting:
                self.accept(descriptor, now)
        self.abandon()

    def abandon(self) -> None:
        """Stop listening at once.

        The kernel resets what waits in the queue, unless another process has the socket, too. Then
        it lives on, and epoll would go on telling of it: it must be taken out.
        """
        for descriptor, listening in self._sockets.items():
            if self._accepting and not self._epoll.closed:
                self._epoll.unregister(descriptor)
            listening.close()
        self._accepting = False
        self._sockets.clear()

    def _pause(self, limit: str) -> None:
        """Leave new connections in the kernel's queue for a moment."""
        if self._accepting:
            self._connections.counters.pauses[limit] += 1
            self._accepting = False
            for descriptor in self._sockets:
                self._epoll.unregister(descriptor)
            self._connections.wheel.after(PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if not self._epoll.closed:
            for descriptor in self._sockets:
                self._epoll.register(descriptor, select.EPOLLIN)
            self._accepting = True


def listen(address: str, backlog: int, *, reuse_port: bool = False) -> socket.socket:
    """A socket that listens.

    Raises:
        OSError: the address cannot be resolved or bound.
    """
    host, _, port = address.rpartition(":")
    family, kind, number, _, where = socket.getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, number)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit it: one system call less for each of them.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if reuse_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(where)
        listening.listen(backlog)
    except OSError as error:
        listening.close()
        raise OSError(error.errno, f"cannot listen on {address}: {error.strerror}") from None
    return listening


def name_of(listening: socket.socket) -> str:
    """Where a socket listens, `host:port`."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
