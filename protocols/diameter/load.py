"""Load of a peer as it reports it: a factor of its weight among peers of the same priority.

Source: RFC 8583 §7.1-7.3. Load-Value is "similar to the weight value in DNS SRV": 65535 of a node
without load, 0 of one that is fully loaded, so the value itself is the relative share of requests.

Only PEER reports count, and only those whose SourceID is the peer that the answer came from: they
are for choosing the next hop. HOST reports are for who chooses the server; that is the agent in
between, or nobody, because a first DER names no host and later ones must go where the first went.

Nobody asks a peer that seems loaded how it is, and reports do not expire. So ours: a report fades
into "as the others" within `FADE_SECONDS`, and a peer that reports 0 still gets a little.
"""

from collections.abc import Sequence
from typing import Final

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Message
from protocols.diameter.errors import DecodeError

LARGEST: Final = 65_535  # §7.3
LEAST_SHARE: Final = 0.01
FADE_SECONDS: Final = 30.0


class PeerLoad:
    """The last report of one peer.

    Attributes:
        value: Load-Value, 0 to 65535; a higher one is of less load.
    """

    __slots__ = ("_at", "value")

    def __init__(self, value: int, now: float) -> None:
        """Remember what was reported at `now`."""
        self.value = value
        self._at = now

    def share(self, now: float) -> tuple[float, float]:
        """(what it reported, 0 to 1; how much that still counts, 1 down to 0)."""
        age = (now - self._at) / FADE_SECONDS
        return max(self.value / LARGEST, LEAST_SHARE), max(0.0, 1.0 - age)


def read_load(answer: Message, peer: bytes) -> int | None:
    """Load-Value of the PEER report of `peer` (its identity in lower case); None without one.

    A report that cannot be read or has another value is no report: the AVP has no M bit.
    """
    try:
        for group in answer.groups(d.LOAD):
            value = group.u64(d.LOAD_VALUE)
            source = group.octets(d.SOURCE_ID)
            if (
                group.i32(d.LOAD_TYPE) == numbers.PEER_LOAD
                and source is not None
                and source.lower() == peer
                and value is not None
                and value <= LARGEST
            ):
                return value
    except DecodeError:
        pass
    return None


def factors(loads: Sequence[PeerLoad | None], now: float) -> list[float]:
    """By how much the weights of peers are multiplied: relative to each other, no more.

    A peer that reports nothing, or long ago, counts as the average of those that do report.
    """
    shares = [load.share(now) if load is not None else (0.0, 0.0) for load in loads]
    counts = sum(fresh for _, fresh in shares)
    if not counts:
        return [1.0] * len(shares)
    average = sum(share * fresh for share, fresh in shares) / counts
    return [share * fresh + average * (1.0 - fresh) for share, fresh in shares]
