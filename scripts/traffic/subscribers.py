"""Who calls: the subscribers of a file, each with its card, its token, and whether it is busy.

The file is the lab's (`scripts/lab/subscribers.py`); here its first line may also be `RANDOM`.
"""

import random
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from scripts.lab import subscribers as lab
from scripts.lab.subscribers import LabSubscriber, SubscriberFileError
from scripts.lab.usim import Usim


class Order(Enum):
    """How the next subscriber is chosen."""

    SEQUENTIAL = "SEQUENTIAL"
    RANDOM = "RANDOM"


def read(path: Path) -> tuple[Order, list[LabSubscriber]]:
    """Read a file.

    Raises:
        SubscriberFileError: a line is wrong, or there is no subscriber.
        OSError: the file cannot be read.
    """
    with path.open(encoding="ascii") as file:
        first = file.readline().strip().upper()
        if first not in Order.__members__:
            raise SubscriberFileError("line 1: the first line is SEQUENTIAL or RANDOM")
        subscribers = list(lab.parse([lab.FIRST_LINE, *file]))
    if not subscribers:
        raise SubscriberFileError("no subscriber")
    return Order(first), subscribers


class Caller:
    """A subscriber as the traffic sees it.

    Attributes:
        nai: the EAP identity, exactly as sent.
        card: keeps its sequence numbers from call to call.
        token: the last that the node gave; empty when there is none.
        busy: a call of it is going on.
        place: a number of its own, from 0.
    """

    __slots__ = ("busy", "card", "imei", "imsi", "nai", "place", "token")

    def __init__(self, subscriber: LabSubscriber, place: int = 0) -> None:
        self.imsi = subscriber.imsi
        self.imei = subscriber.imei or lab.imei_of(place)
        self.nai = lab.nai_of(subscriber.imsi)
        self.card: Usim = subscriber.usim()
        self.token = ""
        self.busy = False
        self.place = place

    def __repr__(self) -> str:
        return f"Caller({self.card!r}, busy={self.busy})"


class Callers:
    """Who calls next: nobody who is calling already, as a phone does one thing at a time."""

    __slots__ = ("_at", "_callers", "_free", "_order", "_random")

    def __init__(
        self, order: Order, callers: Sequence[Caller], randomness: random.Random | None = None
    ) -> None:
        self._order = order
        self._callers = callers
        self._random = randomness or random.Random(0)  # noqa: S311 (the same run twice)
        self._at = 0
        self._free = len(callers)

    def __len__(self) -> int:
        return len(self._callers)

    def first(self, count: int) -> Sequence[Caller]:
        """The first `count` of them, in the order of the file."""
        return self._callers[:count]

    def take(self) -> Caller | None:
        """The next who is free, marked busy; None when nobody is."""
        if not self._free:
            return None
        count = len(self._callers)
        at = self._at if self._order is Order.SEQUENTIAL else self._random.randrange(count)
        while self._callers[at].busy:
            at = (at + 1) % count
        self._at = (at + 1) % count
        caller = self._callers[at]
        caller.busy = True
        self._free -= 1
        return caller

    def give_back(self, caller: Caller) -> None:
        """Its call is over."""
        caller.busy = False
        self._free += 1
