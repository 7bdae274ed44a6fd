"""A model of the node's loop for the controller: one core, devices that come at random.

Every device costs an accept, a handshake and an exchange; what is refused costs the accept alone,
or the handshake and a small answer. Times are made up, the order of work is the reactor's.
"""

import heapq
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from actors.admission.pace import Pace, Work

ACCEPT: Final = 15e-6
HANDSHAKE: Final = 350e-6
EXCHANGE: Final = 500e-6
EXCUSE: Final = 100e-6
CAPACITY: Final = 1 / (ACCEPT + HANDSHAKE + EXCHANGE)
EVENTS: Final = 32
ACCEPTS: Final = 64
NETWORK: Final = 400e-6  # between a device's messages


@dataclass
class Outcome:
    """What became of the devices of a run; those of the first second are left out."""

    seconds: float
    offered: int = 0
    turned_away: int = 0
    excused: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        """Of the capacity."""
        return len(self.latencies) / self.seconds / CAPACITY

    @property
    def p99(self) -> float:
        """Of those that were served."""
        return sorted(self.latencies)[int(len(self.latencies) * 0.99)]


class LoopModel:
    """The loop; `run` offers it load."""

    def __init__(self, pace: Pace | None, seed: int = 1) -> None:
        self.pace = pace
        self.now = 0.0
        self._random = random.Random(seed)  # noqa: S311 (a model's arrivals)
        self._next = 0.0
        self._rate = 0.0
        self._queue: deque[float] = deque()  # of the kernel: when they came
        self._ready: deque[tuple[float, Work]] = deque()
        self._coming: list[tuple[float, float, Work]] = []

    def run(self, load: float, seconds: float, *, skip: float = 1.0) -> Outcome:
        """Offer `load` times the capacity for so long."""
        outcome = Outcome(seconds - skip)
        end, counted = self.now + seconds, self.now + skip
        self._rate = load * CAPACITY
        self._next = self.now
        while self.now < end:
            self._arrive(end, outcome, counted)
            if not self._queue and not self._ready:
                if self.pace is not None:
                    self.pace.drained()
                coming = self._coming[0][0] if self._coming else end
                self.now = max(self.now, min(self._next, coming, end))
                continue
            if self.pace is not None:
                self.pace.round(self.now)
            began, steps = self.now, min(EVENTS, len(self._ready))
            for _ in range(steps):
                self._step(outcome, counted)
            if steps and self.pace is not None and self.pace.holds(self.now):
                continue
            for _ in range(min(ACCEPTS, len(self._queue))):
                self._accept(outcome, counted)
            if self.pace is not None and steps < EVENTS and not self._queue:
                self.pace.caught_up(steps + 1, began, self.now)
        return outcome

    def _takes(self, work: Work) -> bool:
        return self.pace is None or self.pace.takes(work, self.now)

    def _arrive(self, end: float, outcome: Outcome, counted: float) -> None:
        while self._next <= min(self.now, end):
            self._queue.append(self._next)
            outcome.offered += self._next >= counted
            self._next += self._random.expovariate(self._rate)
        while self._coming and self._coming[0][0] <= self.now:
            _, came, work = heapq.heappop(self._coming)
            self._ready.append((came, work))

    def _accept(self, outcome: Outcome, counted: float) -> None:
        came = self._queue.popleft()
        self.now += ACCEPT
        if self._takes(Work.CONNECTION):
            heapq.heappush(self._coming, (self.now + NETWORK, came, Work.CONNECTION))
        else:
            outcome.turned_away += came >= counted

    def _step(self, outcome: Outcome, counted: float) -> None:
        came, work = self._ready.popleft()
        if work is Work.CONNECTION:
            self.now += HANDSHAKE
            heapq.heappush(self._coming, (self.now + NETWORK, came, Work.AUTHENTICATION))
        elif self._takes(work):
            self.now += EXCHANGE
            if self.now >= counted:
                outcome.latencies.append(self.now - came)
        else:
            self.now += EXCUSE
            outcome.excused += came >= counted
