"""The requests of one peer that wait for their answers, by Hop-by-Hop Identifier, and their counts.

Source: RFC 6733 §5.5.4 (pending message queue). Deadlines are the waiters' own.
"""

from typing import TYPE_CHECKING, Protocol

from actors.diameter.connection import Connection
from actors.diameter.peer_statistics import LatencyHistogram
from protocols.diameter.codec import Message, decode_frame
from protocols.diameter.encoding import encode_message
from protocols.diameter.errors import DecodeError
from protocols.diameter.messages import result_of

if TYPE_CHECKING:
    from actors.diameter.peer import Peer


class Waiter(Protocol):
    """Who waits for an answer. One of the calls comes, once, unless `Peer.forget` came before."""

    end_to_end: int
    hop_by_hop: int
    sent_at: float

    def answered(self, peer: "Peer", answer: Message, vendor: int, code: int) -> None:
        """The answer, and its result."""
        ...

    def lost(self, peer: "Peer") -> None:
        """No answer will come: the connection is lost, or given up by the watchdog."""
        ...


class Pending:
    """The table, bounded by its owner.

    Attributes:
        answers: how many came, by (vendor, code).
        lost: requests that the loss of the connection left without an answer.
        unexpected: answers that nobody waited for, late ones included.
    """

    __slots__ = ("_waiters", "answers", "latency", "lost", "requests", "unexpected")

    def __init__(self) -> None:
        self._waiters: dict[int, Waiter] = {}
        self.answers: dict[tuple[int, int], int] = {}
        self.latency = LatencyHistogram()
        self.requests = self.lost = self.unexpected = 0

    def __len__(self) -> int:
        """Requests in flight."""
        return len(self._waiters)

    def send(
        self,
        connection: Connection,
        waiter: Waiter,
        flags: int,
        command: int,
        application: int,
        body: bytes,
    ) -> bytes:
        """Queue a request, note who waits, and return the message as it goes out."""
        hop_by_hop = connection.hop_by_hop.next()
        raw = encode_message(flags, command, application, hop_by_hop, waiter.end_to_end, body)
        waiter.hop_by_hop = hop_by_hop
        self._waiters[hop_by_hop] = waiter
        self.requests += 1
        connection.queue(raw)
        return raw

    def forget(self, hop_by_hop: int) -> None:
        """A late answer will be dropped."""
        self._waiters.pop(hop_by_hop, None)

    def take(self, peer: "Peer", raw: bytes, now: float) -> None:
        """Give an answer to who waits for it.

        Raises:
            DecodeError: it cannot be read; the waiter was told that nothing will come.
        """
        hop_by_hop = int.from_bytes(raw[12:16], "big")
        waiter = self._waiters.pop(hop_by_hop, None)
        if waiter is None:
            self.unexpected += 1
            return
        try:
            answer = decode_frame(raw)
            result = result_of(answer)
        except DecodeError:
            self.lost += 1
            waiter.lost(peer)
            raise
        if answer.end_to_end != waiter.end_to_end:
            # Another request's answer under this Hop-by-Hop Identifier: give it to nobody.
            self.unexpected += 1
            self._waiters[hop_by_hop] = waiter
            return
        self.answers[result] = self.answers.get(result, 0) + 1
        self.latency.add(now - waiter.sent_at)
        waiter.answered(peer, answer, *result)

    def fail(self, peer: "Peer") -> None:
        """Nobody will answer these; the waiters decide where they go."""
        if self._waiters:
            waiters, self._waiters = self._waiters, {}
            self.lost += len(waiters)
            for waiter in waiters.values():
                waiter.lost(peer)
