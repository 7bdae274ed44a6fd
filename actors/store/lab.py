"""What the lab starts with: the plans of `config/lab_plans.toml` and made-up subscribers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from actors.store.plan_files import read_toml
from actors.store.plans import put_plans
from actors.store.sql import OperatorDatabase, transaction
from actors.store.subscriber_import import Imported, RowWriter
from config.model import Config

LAB_PLANS: Final = Path(__file__).parents[2] / "config" / "lab_plans.toml"
COLUMNS: Final = ("imsi", "msisdn", "plan")

# First IMSI, first number, how many; tenant by tenant of config/lab.toml.
RANGES: Final = {
    "mno": (1010000000001, 491700000001, 100),
    "mvno": (1019000000001, 491790000001, 20),
}
# By the last digit of the IMSI, as in scripts/lab/subscribers.csv.
PLANS: Final[Mapping[str, Mapping[int, str]]] = {
    "mno": {
        5: "voice",
        6: "voice",
        7: "no-5g",
        8: "no-vowifi",
        9: "data-only",
    },
    "mvno": {},
}
USUAL_PLAN: Final = {"mno": "full", "mvno": "mvno-full"}


def seed_lab(connection: OperatorDatabase, config: Config, now: int) -> Imported:
    """Put the lab's plans and subscribers in; what is there already is set back to them.

    Args:
        connection: from `open_database`, or a `PostgresDatabase`.
        config: with the tenants of config/lab.toml; others are left alone.
        now: wall-clock seconds.
    """
    tenants = [tenant.id for tenant in config.tenants]
    text = LAB_PLANS.read_text(encoding="utf-8")
    result = Imported()
    plans = read_toml(text, None, list(RANGES))
    with transaction(connection):
        for tenant in set(tenants) & set(plans):
            put_plans(connection, tenant, plans[tenant])
    for tenant in set(tenants) & set(RANGES):
        writer = RowWriter(connection, tenant, COLUMNS, now)
        imsi, msisdn, count = RANGES[tenant]
        writer.add(
            [
                (f"{imsi + at:015}", str(msisdn + at), _plan(tenant, imsi + at))
                for at in range(count)
            ]
        )
        result.rows += count
        writer.apply(result)
    return result


def _plan(tenant: str, imsi: int) -> str:
    return PLANS[tenant].get(imsi % 10, USUAL_PLAN[tenant])
