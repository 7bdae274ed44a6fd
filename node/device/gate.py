"""The gate in front of the handshake: what the listener asks before a connection costs anything.

A handshake is a quarter to a half of an exchange's CPU, so refusing after it saves too little when
several times too many devices come. Closing an accepted socket costs a fiftieth.
"""

import contextlib
import socket
import struct
from typing import Final, Protocol

from protocols.tls.client_hello import server_name

HELLO_OCTETS: Final = 2_048  # a ClientHello with a post-quantum key share has 1,800
_NO_LINGER: Final = struct.pack("ii", 1, 0)  # RST: no TIME_WAIT for each of thousands a second


class Gate(Protocol):
    """Decides about connections, and is told how the reactor keeps up."""

    @property
    def wants_host(self) -> bool:
        """Whether `connection` has a use for the host."""
        ...

    def round(self, now: float) -> None:
        """The reactor has input to work off."""

    def caught_up(self, events: int, began: float, now: float) -> None:
        """A round of the reactor took all the input there was when it began: so many events."""

    def drained(self) -> None:
        """The reactor found nothing more to read."""

    def holds(self, now: float) -> bool:
        """Whether new connections stay in the kernel's queue as long as open ones have input."""
        ...

    def connection(self, address: str, host: str, now: float) -> bool:
        """Whether a connection may go on to its handshake; `host` is empty when it is unknown."""
        ...


class OpenGate:
    """Lets everybody in."""

    wants_host = False

    def round(self, now: float) -> None:
        """Nothing to note."""

    def caught_up(self, events: int, began: float, now: float) -> None:
        """Nothing to note."""

    def drained(self) -> None:
        """Nothing to note."""

    def holds(self, now: float) -> bool:
        """No."""
        return False

    def connection(self, address: str, host: str, now: float) -> bool:
        """Yes."""
        return True


def lets_in(gate: Gate, connected: socket.socket, address: str, now: float) -> bool:
    """Ask the gate about a connection that was just accepted; one it does not want is closed."""
    host = asked_for(connected) if gate.wants_host else ""
    if gate.connection(address, host, now):
        return True
    with contextlib.suppress(OSError):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    connected.close()
    return False


def asked_for(connected: socket.socket) -> str:
    """The host in the ClientHello, if that has come already; it stays in the socket."""
    try:
        octets = connected.recv(HELLO_OCTETS, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return ""
    return server_name(octets)
