"""What was read lately: served without the database while nobody can have changed it.

A row is current as long as the node hears of changes (`listener.py`), and for `cache_seconds` at
most. While it does not hear, a row is current for `UNHEARD_SECONDS`. A row that is not current any
more is kept: while the database is away it is better than nothing, for `stale_seconds`.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

import trio

# A token must not be accepted for longer than 1 s after it was revoked on another node.
UNHEARD_SECONDS: Final = 0.5

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Cache(Generic[K, V]):
    """The rows of one table by their key, the least used one goes first.

    Attributes:
        invalidations: rows that were forgotten because they changed.
        changes: how often anything changed; a row read before the last change is not kept.
    """

    def __init__(
        self,
        entries: int,
        *,
        cache_seconds: float,
        stale_seconds: float,
        heard_since: Callable[[], float],
    ) -> None:
        """Begin empty.

        Args:
            entries: how many rows are kept.
            heard_since: since when every change has been heard of; infinite while it has not.
        """
        self._entries = entries
        self._cache_seconds = cache_seconds
        self._stale_seconds = stale_seconds
        self._heard_since = heard_since
        self._rows: OrderedDict[K, tuple[V, float]] = OrderedDict()
        self.invalidations = 0
        self.changes = 0

    def __len__(self) -> int:
        return len(self._rows)

    def current(self, key: K) -> V | None:
        """The row, if it is as good as the one in the database."""
        found = self._rows.get(key)
        if found is None:
            return None
        value, read_at = found
        age = trio.current_time() - read_at
        if age >= UNHEARD_SECONDS and (age >= self._cache_seconds or read_at < self._heard_since()):
            return None
        self._rows.move_to_end(key)
        return value

    def stale(self, key: K) -> V | None:
        """The row as it was known last, if that is not too long ago."""
        found = self._rows.get(key)
        if found is None or trio.current_time() - found[1] >= self._stale_seconds:
            return None
        return found[0]

    def put(self, key: K, value: V, asked_at: float, changes: int) -> None:
        """Keep a row.

        Args:
            asked_at: when it was asked for: from then on changes had to be heard of.
            changes: `changes` at that time. When there were more since, the row may be one of
                them, read before and arrived after the news.
        """
        if changes != self.changes or not self._entries:
            return
        self._rows[key] = (value, asked_at)
        self._rows.move_to_end(key)
        if len(self._rows) > self._entries:
            self._rows.popitem(last=False)

    def forget(self, key: K) -> None:
        """The row changed."""
        self.changes += 1
        if self._rows.pop(key, None) is not None:
            self.invalidations += 1

    def forget_where(self, holds: Callable[[K], bool]) -> None:
        """Many rows changed."""
        self.changes += 1
        keys = [key for key in self._rows if holds(key)]
        self.invalidations += len(keys)
        for key in keys:
            del self._rows[key]
