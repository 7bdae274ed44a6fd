"""Session-Id, End-to-End and Hop-by-Hop identifiers. Time and random numbers are arguments.

Source: RFC 6733 §3 (identifiers of the header) and §8.8 (Session-Id).
"""

from typing import Final

_32_BITS: Final = 0xFFFFFFFF


class Counter32:
    """A 32-bit identifier that grows by one and wraps: a Hop-by-Hop Identifier per connection."""

    __slots__ = ("_last",)

    def __init__(self, start: int) -> None:
        """Begin at `start` (for Hop-by-Hop Identifiers a random number)."""
        self._last = start - 1

    def next(self) -> int:
        """The next identifier."""
        self._last = last = (self._last + 1) & _32_BITS
        return last


def end_to_end_identifiers(unix_seconds: int, random_bits: int) -> Counter32:
    """End-to-End identifiers that stay unique for four minutes, also across a restart.

    Source: RFC 6733 §3: the high 12 bits are the low 12 bits of the time, the low 20 are random.
    """
    return Counter32((unix_seconds & 0xFFF) << 20 | random_bits & 0xFFFFF)


class SessionIds:
    """Session-Ids of one node: `<Origin-Host>;<high>;<low>;<suffix>`, decimal (RFC 6733 §8.8)."""

    __slots__ = ("_count", "_high", "_host")

    def __init__(self, origin_host: str, unix_seconds: int, first: int = 0) -> None:
        """The start time is the high part: no identifier comes back after a restart.

        Args:
            first: where the low part begins; random, so that none comes back when the restart
                took less than a second.
        """
        self._host = origin_host
        self._high = unix_seconds & _32_BITS
        self._count = first & _32_BITS

    def next(self, suffix: str = "") -> bytes:
        """A new Session-Id; the suffix lets a server-initiated request find its owner."""
        self._count += 1
        if self._count > _32_BITS:
            self._count = 1
            self._high = (self._high + 1) & _32_BITS
        tail = f";{suffix}" if suffix else ""
        return f"{self._host};{self._high};{self._count}{tail}".encode()
