"""Which scenario the next call plays, and who plays it.

Each part of a mix has subscribers of its own, in proportion to its weight: one that refreshes its
token all the time needs one, the next part may spoil it. The order is that of smooth weighted
round robin: exact shares, and no bursts of one part.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.traffic.scenario import Scenario
from scripts.traffic.subscribers import Caller, Callers, Order


@dataclass(slots=True)
class Part:
    """One scenario and its subscribers."""

    scenario: Scenario
    weight: float
    callers: Callers
    credit: float = 0.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who makes a call, and which."""

    part: Part
    caller: Caller


class NotEnoughSubscribers(Exception):
    """A part would be left without any."""


class Mix:
    """Deals calls out to parts.

    Attributes:
        parts: in the order of the file.
    """

    def __init__(
        self,
        scenario: Scenario,
        order: Order,
        callers: Sequence[Caller],
        number: int,
        randomness: random.Random | None = None,
    ) -> None:
        """Share the subscribers out.

        Args:
            number: calls in all, 0 without a limit: a part with init steps needs no more
                subscribers than calls.

        Raises:
            NotEnoughSubscribers: there are less than parts.
        """
        total = sum(weight for _, weight in scenario.parts)
        if len(callers) < len(scenario.parts):
            raise NotEnoughSubscribers(
                f"{len(callers)} subscribers have a plan that all calls take; "
                f"at least {len(scenario.parts)} are needed"
            )
        self.parts: list[Part] = []
        self._chosen: Part | None = None
        begin, passed = 0, 0.0
        for at, (one, weight) in enumerate(scenario.parts):
            passed += weight
            left = len(scenario.parts) - at - 1
            end = min(max(begin + 1, round(len(callers) * passed / total)), len(callers) - left)
            own = callers[begin:end]
            begin = end
            if one.init:
                own = own[: min(one.load.init_subscribers, number or len(own))]
            self.parts.append(Part(one, weight, Callers(order, own, randomness)))

    def take(self) -> Assignment | None:
        """Who makes the next call; None when everybody of its part is calling.

        The part stays the next one then: a slow part is not passed over.
        """
        if self._chosen is None:
            self._chosen = self._choose()
        part = self._chosen
        caller = part.callers.take()
        if caller is None:
            return None
        self._chosen = None
        return Assignment(part, caller)

    @staticmethod
    def give_back(assignment: Assignment) -> None:
        """The call is over."""
        assignment.part.callers.give_back(assignment.caller)

    def _choose(self) -> Part:
        for part in self.parts:
            part.credit += part.weight
        best = max(self.parts, key=lambda part: part.credit)
        best.credit -= sum(part.weight for part in self.parts)
        return best
