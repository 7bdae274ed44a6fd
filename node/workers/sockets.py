"""The listening sockets of all workers: bound once, kept open by the supervisor, inherited.

Each worker has its own socket for each address (SO_REUSEPORT), and with it an accept queue of its
own. Because the supervisor holds the sockets, too, a queue outlives its worker: connections that
wait in it are accepted by the process that takes the worker's place, and none is reset. [partner]
has one socket, which is the first worker's.
"""

import socket
from collections.abc import Sequence
from typing import Final

from node.device.listening import listen, name_of

PARTNER_WORKER: Final = 1
PARTNER_BACKLOG: Final = 128


class WorkerSockets:
    """Listening sockets by worker.

    Attributes:
        addresses: where devices connect, `host:port`, port 0 resolved.
    """

    def __init__(
        self, addresses: Sequence[str], backlog: int, workers: int, partner: str = ""
    ) -> None:
        """Bind and listen.

        Args:
            partner: where SM-DP+ connect; empty: nowhere.

        Raises:
            OSError: an address cannot be resolved or bound.
        """
        self.addresses: list[str] = []
        self._partner: socket.socket | None = None
        self._by_worker: dict[int, list[socket.socket]] = {
            number: [] for number in range(1, workers + 1)
        }
        try:
            for address in addresses:
                self._listen(address, backlog)
            if partner:
                self._partner = listen(partner, PARTNER_BACKLOG)
        except BaseException:
            self.close()
            raise

    def _listen(self, address: str, backlog: int) -> None:
        # First alone: SO_REUSEPORT would let it share the port with a node that runs already.
        alone = listen(address, backlog)
        address = name_of(alone)
        alone.close()
        for sockets in self._by_worker.values():
            sockets.append(listen(address, backlog, reuse_port=True))
        self.addresses.append(address)

    def of(self, number: int) -> list[socket.socket]:
        """The sockets of a worker, in the order of the addresses."""
        return self._by_worker[number]

    def partner_of(self, number: int) -> socket.socket | None:
        """The socket of [partner], if it is this worker's."""
        return self._partner if number == PARTNER_WORKER else None

    def close(self) -> None:
        """Let go of all of them; the workers' own stay open."""
        for sockets in self._by_worker.values():
            for one in sockets:
                one.close()
            sockets.clear()
        if self._partner is not None:
            self._partner.close()
            self._partner = None
