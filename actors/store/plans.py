"""Plans as rows: the services, data plans and boosts of one are kept as a JSON text."""

from collections.abc import Iterable
from typing import Final

import msgspec

from actors.backends.bss import Boost, DataPlan, Plan, Subscriber
from actors.store.sql import OperatorDatabase

PLANS_KEPT: Final = 10_000
SERVICES: Final = frozenset(
    (
        "volte",
        "volte-roaming",
        "vonr",
        "vonr-roaming",
        "vowifi",
        "smsoip",
        "5gsa",
        "data-plan",
        "boost",
    )
)


class _Body(msgspec.Struct):
    services: list[str]
    data_plans: list[tuple[int, str]]
    boosts: list[tuple[int, int]]


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Body)


def plan_body(plan: Plan) -> str:
    """The column `body` of a plan."""
    body = _Body(
        sorted(plan.services),
        [(one.access_type, one.data_plan_type) for one in plan.data_plans],
        [(one.boost_type, one.status) for one in plan.boosts],
    )
    return _ENCODER.encode(body).decode()


def plan_of(plan_id: str, name: str, body: str) -> Plan:
    """A plan from its row.

    Raises:
        msgspec.DecodeError: the body was not written by `plan_body`.
    """
    parts = _DECODER.decode(body)
    return Plan(
        plan_id,
        name,
        frozenset(parts.services),
        tuple(DataPlan(*one) for one in parts.data_plans),
        tuple(Boost(*one) for one in parts.boosts),
    )


def no_plan(plan_id: str) -> Plan:
    """What stands for a plan that the tenant does not have: nothing is sold under its name."""
    return Plan(plan_id, plan_id, frozenset())


class PlanCache:
    """Plans that were decoded before, by their rows: a changed plan is never served from it."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, str, str, str], Plan] = {}

    def of(self, subscriber: Subscriber, name: str | None, body: str | None) -> Plan:
        """The plan of a subscriber from the columns of its row; None: the tenant has none.

        Raises:
            msgspec.DecodeError: the body was not written by `plan_body`.
        """
        key = (subscriber.tenant, subscriber.plan_id, name or "", body or "")
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= PLANS_KEPT:
                self._plans.clear()
            plan = self._plans[key] = plan_of(*key[1:]) if key[3] else no_plan(key[1])
        return plan


def put_plans(connection: OperatorDatabase, tenant: str, plans: Iterable[Plan]) -> None:
    """Add plans, or change those of the same id; inside the caller's transaction."""
    connection.act_for(tenant)
    connection.executemany(
        "INSERT INTO plans (tenant, plan_id, name, body) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (tenant, plan_id) DO UPDATE SET name = excluded.name, body = excluded.body",
        [(tenant, plan.plan_id, plan.name, plan_body(plan)) for plan in plans],
    )


def all_plans(connection: OperatorDatabase, tenant: str) -> list[Plan]:
    """The plans of a tenant by id."""
    connection.act_for(tenant)
    rows = connection.execute(
        "SELECT plan_id, name, body FROM plans WHERE tenant = ? ORDER BY plan_id", (tenant,)
    )
    return [plan_of(*row) for row in rows]
