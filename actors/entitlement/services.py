"""What a line may do with one service: subscription, then the line's override, then the plan."""

from functools import lru_cache
from typing import Final, NamedTuple

from actors.backends.bss import SubscriberStatus
from actors.entitlement.decision import (
    DISABLED,
    ENABLED,
    INCOMPATIBLE,
    PROVISIONING,
    DecisionInput,
)
from protocols.ts43.messages import LINE_ENDED, LINE_SUSPENDED

_OVERRIDES: Final = {
    "allowed": ENABLED,
    "blocked": INCOMPATIBLE,
    "provisioning": PROVISIONING,
    "disabled": DISABLED,
}
_REASONS: Final = {
    "allowed": "allowed for this line",
    "blocked": "blocked for this line",
    "provisioning": "being set up for this line",
    "disabled": "allowed for this line, not provisioned",
}


class Standing(NamedTuple):
    """Whether a line has a service.

    Attributes:
        status: EntitlementStatus 0 to 3.
        reason: half a sentence for the operator.
        message_id: what to tell the user when the whole line is the cause; else empty.
    """

    status: int
    reason: str
    message_id: str = ""


_SUSPENDED: Final = Standing(INCOMPATIBLE, "the line is suspended", LINE_SUSPENDED)
_BARRED: Final = Standing(INCOMPATIBLE, "the line is barred", LINE_SUSPENDED)
_TERMINATED: Final = Standing(INCOMPATIBLE, "the line is terminated", LINE_ENDED)

_LINES: Final = {
    SubscriberStatus.SUSPENDED: _SUSPENDED,
    SubscriberStatus.BARRED: _BARRED,
    SubscriberStatus.TERMINATED: _TERMINATED,
}


def standing(given: DecisionInput, service: str) -> Standing:
    """Whether the line has `service`, one of the names in `Plan.services`."""
    subscriber, plan = given.subscriber, given.plan
    if subscriber.status is not SubscriberStatus.ACTIVE:
        return _LINES[subscriber.status]
    for name, override in subscriber.overrides:
        if name == service and override in _OVERRIDES:
            return Standing(_OVERRIDES[override], f"{service} is {_REASONS[override]}")
    return _by_plan(plan.plan_id, service, service in plan.services)


@lru_cache(maxsize=1024)
def _by_plan(plan_id: str, service: str, has: bool) -> Standing:
    if has:
        return Standing(ENABLED, f"plan {plan_id} has {service}")
    return Standing(INCOMPATIBLE, f"plan {plan_id} lacks {service}")
