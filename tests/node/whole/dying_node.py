"""`serve` that kills itself (SIGKILL) at one point of an order, as `kill -9` would.

A point is each commit of the order book and each change asked of the business systems, right after
it is on disk. While the file named by DIE_FILE exists points are counted; at the one whose number
it holds the process is gone.
"""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

from actors.store.embedded_bss import EmbeddedBss
from actors.store.order_book import OrderBook
from node.cli import main

KEPT: Final = (
    "create", "save", "take_profile", "adopt", "keep_notification", "finish_notification",
)  # fmt: skip


class Points:
    """Counts, and dies."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._passed = 0

    def reach(self) -> None:
        if self._file.exists():
            self._passed += 1
            if self._passed == int(self._file.read_text()):
                os.kill(os.getpid(), signal.SIGKILL)

    def after(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """The method, and a point behind it."""

        @wraps(method)
        async def then(*args: Any, **named: Any) -> Any:  # noqa: ANN401
            result = await method(*args, **named)
            self.reach()
            return result

        return then


if __name__ == "__main__":
    points = Points(Path(os.environ["DIE_FILE"]))
    for name in KEPT:
        setattr(OrderBook, name, points.after(getattr(OrderBook, name)))
    setattr(EmbeddedBss, "_change", points.after(EmbeddedBss._change))  # noqa: B010 - as above
    sys.exit(main(["serve", "--config", sys.argv[1]]))
