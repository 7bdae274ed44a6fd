"""Which tenants have more than their share of what the node does, by weight, over the last seconds.

Only tenants that want something share: who is alone has everything. Sans-IO.
"""

from collections.abc import Mapping
from typing import Final

KEPT: Final = 0.8  # of what a tenant has had, for each interval: about a tenth of a second counts
IDLE: Final = 0.01  # work, below which a tenant wants nothing
TOLERANCE: Final = 1.1  # of a share, before it counts as too much
LITTLE: Final = 0.5  # of a share: who has less goes before the others


class Shares:
    """Work that began, by tenant.

    Attributes:
        greedy: tenants over their share, as of the last interval.
    """

    __slots__ = ("_had", "_weights", "greedy")

    def __init__(self, weights: Mapping[str, float]) -> None:
        """Begin with nothing had.

        Args:
            weights: of tenants; one that is not in it weighs 1.
        """
        self._weights = dict(weights)
        self._had: dict[str, float] = {}
        self.greedy: frozenset[str] = frozenset()

    def set_weights(self, weights: Mapping[str, float]) -> None:
        """Use other weights from the next interval on."""
        self._weights = dict(weights)

    def add(self, tenant: str, work: float) -> None:
        """Some work began."""
        self._had[tenant] = self._had.get(tenant, 0.0) + work

    def modest(self, tenant: str) -> bool:
        """Whether a tenant that wants something now has had little, while others have had more.

        Greed shows only after a tenant got something; who asks seldom would never get that far
        beside a burst.
        """
        had = self._had
        if len(had) == (tenant in had):
            return False  # nobody else wants anything
        weight = self._weights.get(tenant, 1.0)
        others = sum(self._weights.get(one, 1.0) for one in had if one != tenant)
        total = sum(had.values())
        return had.get(tenant, 0.0) * (others + weight) < total * weight * LITTLE

    def judge(self) -> None:
        """An interval is over: who had too much?"""
        had = self._had
        weight = {tenant: self._weights.get(tenant, 1.0) for tenant in had}
        total, all_weights = sum(had.values()), sum(weight.values())
        self.greedy = frozenset(
            tenant
            for tenant, work in had.items()
            if work * all_weights > total * weight[tenant] * TOLERANCE
        )
        self._had = {tenant: work * KEPT for tenant, work in had.items() if work > IDLE}
