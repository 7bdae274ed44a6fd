"""One transport with its framing, its Hop-by-Hop Identifiers and its share of the next write."""

from typing import Final

from actors.diameter.transport import Transport
from protocols.diameter.codec import Framer
from protocols.diameter.identifiers import Counter32

INITIATED: Final = "I"  # RFC 6733 §5.6: we opened it
RESPONDED: Final = "R"  # the peer opened it


class Outbox:
    """The connections that have something to write; `flush` is the turn's flusher."""

    __slots__ = ("_dirty",)

    def __init__(self) -> None:
        self._dirty: list[Connection] = []

    def add(self, connection: "Connection") -> None:
        """Write this one at the end of the turn."""
        self._dirty.append(connection)

    def flush(self) -> None:
        """One write for each connection, however many messages it has."""
        if self._dirty:
            dirty, self._dirty = self._dirty, []
            for connection in dirty:
                connection.flush()


class Connection:
    """One connection, with whichever peer.

    Attributes:
        side: `INITIATED` or `RESPONDED`.
        closed: closed here, or known to be lost.
    """

    __slots__ = ("_out", "_outbox", "closed", "framer", "hop_by_hop", "side", "transport")

    def __init__(
        self, transport: Transport, side: str, outbox: Outbox, limit: int, first_hop_by_hop: int
    ) -> None:
        """Take over a transport; `limit` is the largest message in octets."""
        self.transport = transport
        self.side = side
        self.framer = Framer(limit)
        self.hop_by_hop = Counter32(first_hop_by_hop)
        self.closed = False
        self._out: list[bytes] = []
        self._outbox = outbox

    def limit(self, octets: int) -> None:
        """The largest message from now on; a longer one that is half here ends the connection."""
        self.framer.limit = octets

    def queue(self, raw: bytes) -> None:
        """Write this message at the end of the turn."""
        if not self._out:
            self._outbox.add(self)
        self._out.append(raw)

    def flush(self) -> None:
        """Write what has gathered."""
        if self._out and not self.closed:
            out, self._out = self._out, []
            self.transport.send(out[0] if len(out) == 1 else b"".join(out))

    def close(self) -> None:
        """Write what has gathered, and close."""
        if not self.closed:
            self.flush()
            self.closed = True
            self.transport.close()

    def abort(self) -> None:
        """Reset the transport; what has gathered is lost."""
        if not self.closed:
            self.closed = True
            self._out.clear()
            self.transport.abort()
