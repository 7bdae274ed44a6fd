"""The modes of the benchmark over HTTP: what one exchange is, and how many go on at once."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class HttpMode:
    """One mode.

    Attributes:
        token: the exchange is one request with a token, else a full authentication.
        connections: that all devices share; 0: every exchange opens its own.
        at_once: exchanges at the same time in the closed loop that measures CPU.
        count: exchanges of one round against the ordinary stack, and against the node.
        floor, aim: CPU of the node as a fraction of the ordinary stack's (DESIGN's table).
    """

    name: str
    token: bool
    connections: int
    at_once: int
    count: tuple[int, int]
    floor: float | None
    aim: float | None
    http2: bool = True


_ALL: Final = (
    HttpMode("auth", False, 0, 16, (150, 800), 1 / 6, 1 / 9),
    HttpMode("auth-shared", False, 8, 32, (200, 2_400), 1 / 15, 1 / 28),
    HttpMode("token", True, 0, 16, (300, 1_200), 1 / 4.5, 1 / 6.5),
    HttpMode("token-shared", True, 8, 32, (800, 6_000), 1 / 10, 1 / 16),
    HttpMode("http1", False, 0, 16, (150, 800), None, None, http2=False),
)
HTTP_MODES: Final = {mode.name: mode for mode in _ALL}
OTHER_MODES: Final = ("diameter", "sessions", "store", "overload")
EVERY_MODE: Final = (*HTTP_MODES, *OTHER_MODES)
