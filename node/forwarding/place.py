"""Where a process stands among the workers of its node, and how cookies name it."""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NUMBER_BITS: Final = 8  # of the owner in a cookie: 255 workers; the other 24 name the node


@dataclass(frozen=True, slots=True)
class Place:
    """One worker's.

    Attributes:
        number: 1 to `workers`; it stays the same when the process is replaced.
        workers: how many there are.
        node: 24 random bits of this start of the node: cookies of another node with the same keys
            name an owner that cannot be reached from here.
        folder: holds the workers' sockets, and is nobody else's.
    """

    number: int
    workers: int
    node: int
    folder: Path

    @property
    def owner(self) -> int:
        """This worker, as cookies name it: 32 bits."""
        return self.node << NUMBER_BITS | self.number

    def worker_of(self, owner: int) -> int | None:
        """The number of the worker of this node that a cookie names; None: it is of elsewhere."""
        number = owner & (1 << NUMBER_BITS) - 1
        return number if owner >> NUMBER_BITS == self.node and number <= self.workers else None

    def socket_of(self, number: int) -> Path:
        """Where a worker listens for the others."""
        return self.folder / str(number)


@dataclass(frozen=True, slots=True)
class Seat:
    """What a worker is given.

    Attributes:
        sockets: its own listening sockets, one for each address; the supervisor keeps them open, so
            that whoever takes the worker's place finds the connections that wait in them.
        partner: the same for [partner], which is the first worker's.
    """

    place: Place
    sockets: tuple[socket.socket, ...]
    partner: socket.socket | None = None
