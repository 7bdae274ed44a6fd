"""Random octets from the operating system, fetched in bulk.

One system call for some hundred tokens and nonces instead of one each: beside a busy database
thread each such call may lose the interpreter lock. What was handed out is never handed out again,
and a forked process must make its own.
"""

import os
from typing import Final

BULK_OCTETS: Final = 8_192


class RandomOctets:
    """A stock of random octets."""

    __slots__ = ("_at", "_stock")

    def __init__(self) -> None:
        self._stock = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        """`count` octets, at most `BULK_OCTETS`."""
        at = self._at
        if at + count > len(self._stock):
            self._stock = os.urandom(BULK_OCTETS)
            at = 0
        self._at = at + count
        return self._stock[at : at + count]
