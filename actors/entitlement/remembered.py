"""Decisions that were made before: subscribers of one plan mostly get the same.

A decision is a pure function of its input, so the same input may as well be looked up: 2 instead
of 16 µs for the three applications of a phone. What only one subscriber has (an address that
expires) is decided anew each time; the user data of web sheets is not decided at all.
"""

from collections.abc import Hashable
from typing import Final

from actors.entitlement.applications import decide
from actors.entitlement.decision import Decision, DecisionInput

ENTRIES: Final = 4_096  # plans x requests x states; beyond it the memory starts afresh

Decisions = tuple[Decision, ...]


class RememberedDecisions:
    """Decides, or remembers."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[DecisionInput, Decisions]] = {}

    def decide(self, apps: tuple[str, ...], given: DecisionInput) -> Decisions:
        """The decision of each application, in their order."""
        key = _key(apps, given)
        if key is None:
            return tuple([decide(app_id, given) for app_id in apps])
        found = self._known.get(key)
        # A plan or a tenant may have changed under its name: then the memory is wrong.
        if found is not None and found[0].tenant is given.tenant and found[0].plan == given.plan:
            return found[1]
        decisions = tuple([decide(app_id, given) for app_id in apps])
        if len(self._known) >= ENTRIES:
            self._known.clear()
        self._known[key] = (given, decisions)
        return decisions


def _key(apps: tuple[str, ...], given: DecisionInput) -> Hashable | None:
    """Everything that a decision may depend on, but for what identifies the subscriber.

    None when the input holds what changes with time or is one subscriber's alone.
    """
    line = given.subscriber
    if line.vowifi_addr_expiry or line.vowifi_addr_identifier:
        return None
    return (
        apps,
        given.tenant.id,
        given.plan.plan_id,
        given.entitlement_version,
        given.language,
        given.boost_type,
        given.operation,
        given.notification_status,
        line.status.value,
        line.overrides,
        line.vowifi_tc_status,
        line.vowifi_addr_status,
        line.vowifi_prov_status,
    )
