"""ap2010, data plan, boost and 5G SA (GSMA TS.43 v12 §9.1, §9.2).

DataUsageInfo (§9.1.3) is left out: "an ECS can implement either or all" of these (§9.1), and what
the BSS says of a line has no usage.
A request with boost_type asks for one boost now and is answered by `boost.py` instead.
"""

from typing import Final

from actors.backends.bss import Boost
from actors.entitlement.boost import decide_boost
from actors.entitlement.decision import (
    DISABLED,
    ENABLED,
    INCLUDED,
    INCOMPATIBLE,
    Decision,
    DecisionInput,
    notification_parms,
)
from actors.entitlement.services import standing
from protocols.ts43.applications import DATA_PLAN
from protocols.ts43.document import Application, Characteristic, Parm

_DATA_PLAN_TYPES: Final = {"metered": "Metered", "unmetered": "Unmetered"}
_ACCESS_TYPES: Final = range(6)  # table 76
_BOOST_TYPES: Final = range(256)  # table 77


def decide_data_plan(given: DecisionInput) -> Decision:
    """What is known of the line's data plan, or the answer to a boost request."""
    if given.boost_type is not None:
        return decide_boost(given)
    plan, five_g = standing(given, "data-plan"), standing(given, "5gsa")
    blocks = [
        _block("DataPlanInfo", _plan_rows(given) if plan.status == ENABLED else ()),
        _block("DataBoostInfo", _boost_rows(given)),
        # §9.1.4 knows on and off: whatever is not enabled is off.
        _block("5GSAInfo", ((("5GSAStatus", "1" if five_g.status == ENABLED else "0"),),)),
    ]
    application = Application(
        DATA_PLAN,
        notification_parms(given),
        tuple(block for block in blocks if block.children),
    )
    reason = f"Data plan {plan.status}: {plan.reason}; 5G SA {five_g.status}: {five_g.reason}"
    return Decision(application, reason, plan.status)


def _block(name: str, rows: tuple[tuple[Parm, ...], ...]) -> Characteristic:
    """`<name>` with one `<name>Details` for each row."""
    details = tuple(Characteristic(f"{name}Details", row) for row in rows)
    return Characteristic(name, children=details, form="list")


def _plan_rows(given: DecisionInput) -> tuple[tuple[Parm, ...], ...]:
    return tuple(
        (
            ("AccessType", str(row.access_type)),
            ("DataPlanType", _DATA_PLAN_TYPES[row.data_plan_type.lower()]),
        )
        for row in given.plan.data_plans
        if row.access_type in _ACCESS_TYPES and row.data_plan_type.lower() in _DATA_PLAN_TYPES
    )


def _boost_rows(given: DecisionInput) -> tuple[tuple[Parm, ...], ...]:
    allowed = standing(given, "boost").status
    return tuple(
        (
            ("BoostType", str(boost.boost_type)),
            ("BoostTypeStatus", str(_boost_type_status(allowed, boost))),
        )
        for boost in given.plan.boosts
        if boost.boost_type in _BOOST_TYPES
    )


def _boost_type_status(allowed: int, boost: Boost) -> int:
    """0, 1 or 2 (table 77): the list has neither PROVISIONING nor INCLUDED."""
    if INCOMPATIBLE in (allowed, boost.status):
        return INCOMPATIBLE
    on = allowed == ENABLED and boost.status in (ENABLED, INCLUDED)
    return ENABLED if on else DISABLED
