"""ap2010, data plan (GSMA TS.43 v12 §9): metering by access, 5G stand-alone, boosts.

With `boost_type` the request is a real-time boost (§9.7): another answer with a status of its own,
in which Android refuses some pairs of EntitlementStatus and ProvStatus.
"""

from typing import Final

from actors.entitlement.decision import Decision, DecisionInput, EntitlementStatus, service
from protocols.ts43.document import Application, Characteristic, Parm
from protocols.ts43.messages import BOOST_NOT_OFFERED

INCLUDED: Final = 4  # EntitlementStatus of a boost that the plan has already paid for (§9.8)
REAL_TIME_INTERACTIVE: Final = 166  # §9.3: the same as 0

# ProvStatus by EntitlementStatus (§9.9). Android refuses {4, 0 or 3} and {3, 0 or 1}.
PROV_STATUS: Final = {0: 0, 1: 1, 2: 2, 3: 3, INCLUDED: 1}


def decide_data_plan(given: DecisionInput) -> Decision:
    """How data is metered, whether 5G stand-alone is allowed, what may be boosted."""
    if given.boost_type is not None:
        return _decide_boost(given, given.boost_type)
    groups: list[Characteristic] = []
    reasons: list[str] = []
    plan = service(given, "data-plan")
    if plan.status is EntitlementStatus.ENABLED and given.plan.data_plans:
        groups.append(Characteristic("DataPlanInfo", (), _data_plans(given), "list"))
    reasons.append(f"data plan {int(plan.status)}: {plan.why}")
    boost = service(given, "boost")
    if boost.status is EntitlementStatus.ENABLED and given.plan.boosts:
        groups.append(Characteristic("DataBoostInfo", (), _boosts(given), "list"))
    reasons.append(f"boost {int(boost.status)}: {boost.why}")
    stand_alone = service(given, "5gsa")
    allowed = stand_alone.status is EntitlementStatus.ENABLED
    details = Characteristic("5GSAInfoDetails", (("5GSAStatus", str(int(allowed))),))
    groups.append(Characteristic("5GSAInfo", (), (details,), "list"))
    reasons.append(f"5G SA {int(allowed)}: {stand_alone.why}")
    return Decision(Application("ap2010", (), tuple(groups)), "; ".join(reasons))


def _data_plans(given: DecisionInput) -> tuple[Characteristic, ...]:
    return tuple(
        Characteristic(
            "DataPlanInfoDetails",
            (("AccessType", str(row.access_type)), ("DataPlanType", row.data_plan_type)),
        )
        for row in given.plan.data_plans
    )


def _boosts(given: DecisionInput) -> tuple[Characteristic, ...]:
    return tuple(
        Characteristic(
            "DataBoostInfoDetails",
            (
                ("BoostType", str(row.boost_type)),
                ("BoostTypeStatus", str(1 if row.status == INCLUDED else row.status)),
            ),
        )
        for row in given.plan.boosts
    )


def _decide_boost(given: DecisionInput, boost_type: int) -> Decision:
    """§9.8: what the service says, then what the plan says of this boost."""
    found = service(given, "boost")
    status, why = int(found.status), found.why
    if found.status is EntitlementStatus.ENABLED:
        rows = {_canonical(row.boost_type): row.status for row in given.plan.boosts}
        status = rows.get(_canonical(boost_type), int(EntitlementStatus.INCOMPATIBLE))
        known = _canonical(boost_type) in rows
        why = f"plan {given.plan.plan_id} {'has' if known else 'lacks'} boost {boost_type}"
    parms: list[Parm] = [
        ("EntitlementStatus", str(status)),
        ("ProvStatus", str(PROV_STATUS[status])),
    ]
    if status == EntitlementStatus.INCOMPATIBLE:
        parms.append(("MessageForIncompatible", given.text(BOOST_NOT_OFFERED)))
    return Decision(Application("ap2010", tuple(parms)), f"boost {status}: {why}")


def _canonical(boost_type: int) -> int:
    return 0 if boost_type == REAL_TIME_INTERACTIVE else boost_type
