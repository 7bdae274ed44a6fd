"""How often one device begins to authenticate: a phone that loops must not keep the AAA busy.

Two windows of counters, the current and the one before, which counts for as much of it as the last
window's length still reaches into. Bounded: at the bound the windows turn early, so that counts are
lost and nobody is refused for want of memory. Sans-IO.
"""

from typing import Final

WINDOW_SECONDS: Final = 60.0
DEVICES: Final = 50_000  # of one window: 100 octets each


class DeviceRates:
    """New authentications of devices within the last minute."""

    __slots__ = ("_before", "_began", "_now", "limit")

    def __init__(self, limit: int) -> None:
        """Begin with none.

        Args:
            limit: in a minute; 0: none.
        """
        self.limit = limit
        self._now: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._began = 0.0

    def __len__(self) -> int:
        """Counters in memory."""
        return len(self._now) + len(self._before)

    def takes(self, device: int, now: float) -> bool:
        """Whether a device may begin once more; it is counted then.

        Args:
            device: a hash of what it is known by.
        """
        if not self.limit:
            return True
        age = now - self._began
        if age >= WINDOW_SECONDS or len(self._now) >= DEVICES:
            self._before = self._now if age < 2 * WINDOW_SECONDS else {}
            self._now = {}
            self._began, age = now, 0.0
        count = self._now.get(device, 0)
        if self._before:
            count += int(self._before.get(device, 0) * (1.0 - age / WINDOW_SECONDS))
        if count >= self.limit:
            return False
        self._now[device] = self._now.get(device, 0) + 1
        return True
