"""Cookies whose exchange is over: a sealed cookie opens as often as somebody presents it.

Only until it expires by itself, and only in the process that served it; elsewhere the AAA, which
knows that the conversation is over, refuses.
"""

from typing import Final

NONCE_CHARACTERS: Final = 24  # of a cookie: its nonce, which no two share
BOUND: Final = 200_000  # the oldest go first


class SpentCookies:
    """Remembers cookies by their nonce until they have expired."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def add(self, cookie: str, until: float) -> None:
        """Remember until `until`.

        Args:
            until: seconds on a clock that never goes back, about as far ahead for every cookie.
        """
        spent = self._until
        spent[cookie[:NONCE_CHARACTERS]] = until
        while len(spent) > BOUND:
            del spent[next(iter(spent))]

    def forget(self, now: float) -> None:
        """Drop what has expired."""
        spent = self._until
        while spent:
            oldest = next(iter(spent))
            if spent[oldest] > now:
                return
            del spent[oldest]

    def has(self, cookie: str) -> bool:
        """Whether the exchange of this cookie is over."""
        return cookie[:NONCE_CHARACTERS] in self._until
