"""Plans as a TOML or a CSV file, every mistake at once."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from actors.backends.bss import Boost, DataPlan, Plan
from actors.store.plans import SERVICES
from actors.store.subscriber_files import FileRefused, join, split

DATA_PLAN_TYPES: Final = ("Metered", "Unmetered")
ACCESS_TYPES: Final = range(6)  # TS.43 §9.1
BOOST_TYPES: Final = range(256)
BOOST_STATUSES: Final = (0, 1, 2, 4)
CSV_COLUMNS: Final = ("plan", "name", "services", "data_plans", "boosts")

FORMAT: Final = """\
TOML (a file named *.toml); `tenant` may be left out when --tenant is given:

  [[plans]]
  tenant = "mno"
  id = "gold"
  name = "Gold"
  services = ["volte", "vowifi", "smsoip", "data-plan", "boost"]
  data-plans = [{ access-type = 0, type = "Unmetered" }]
  boosts = [{ type = 166, status = 1 }]

CSV (any other name), with --tenant:

  plan,name,services,data_plans,boosts
  gold,Gold,volte;vowifi;smsoip;data-plan;boost,0=Unmetered,166=1

Services: volte, volte-roaming, vonr, vonr-roaming, vowifi, smsoip, 5gsa, data-plan, boost.
Access types: 0 all, 1 Wi-Fi, 2 2G, 3 3G, 4 LTE, 5 5G; types: Metered, Unmetered.
Boosts: type 0 to 255 (166 is real-time interactive); status 0, 1, 2, or 4 when it is included."""

_KEYS: Final = ("tenant", "id", "name", "services", "data-plans", "boosts")


class _Reader:
    """Collects what is wrong while plans are built."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def need(self, holds: bool, path: str, text: str) -> bool:
        if not holds:
            self.problems.append(f"{path}: {text}")
        return holds

    def plan(self, path: str, table: Mapping[str, Any]) -> Plan:
        plan_id, name = table.get("id", ""), table.get("name", "")
        self.need(isinstance(plan_id, str) and plan_id.strip() != "", f"{path}.id", "is missing")
        self.need(isinstance(name, str), f"{path}.name", "must be text")
        return Plan(
            plan_id,
            name or plan_id,
            frozenset(self._services(path, table.get("services", []))),
            tuple(self._rows(path, "data-plans", table, self._data_plan)),
            tuple(self._rows(path, "boosts", table, self._boost)),
        )

    def _services(self, path: str, given: object) -> list[str]:
        if not self.need(isinstance(given, list), f"{path}.services", "must be a list"):
            return []
        assert isinstance(given, list)  # noqa: S101 - said by the line above, for mypy
        for at, service in enumerate(given):
            known = isinstance(service, str) and service in SERVICES
            self.need(
                known, f"{path}.services[{at}]", f"must be one of {', '.join(sorted(SERVICES))}"
            )
        return given

    def _rows(
        self,
        path: str,
        key: str,
        table: Mapping[str, Any],
        build: Callable[[str, Mapping[str, Any]], Any],
    ) -> list[Any]:
        given = table.get(key, [])
        if not (isinstance(given, list) and all(isinstance(one, dict) for one in given)):
            self.need(False, f"{path}.{key}", "must be a list of tables")
            return []
        return [build(f"{path}.{key}[{at}]", one) for at, one in enumerate(given)]

    def _data_plan(self, path: str, row: Mapping[str, Any]) -> DataPlan:
        access, kind = row.get("access-type"), row.get("type")
        self.need(access in ACCESS_TYPES, f"{path}.access-type", "must be from 0 to 5")
        self.need(kind in DATA_PLAN_TYPES, f"{path}.type", "must be Metered or Unmetered")
        return DataPlan(access, kind)  # type: ignore[arg-type]  # wrong ones are thrown away

    def _boost(self, path: str, row: Mapping[str, Any]) -> Boost:
        kind, status = row.get("type"), row.get("status", 1)
        self.need(kind in BOOST_TYPES, f"{path}.type", "must be from 0 to 255")
        self.need(status in BOOST_STATUSES, f"{path}.status", "must be 0, 1, 2 or 4")
        return Boost(kind, status)  # type: ignore[arg-type]  # wrong ones are thrown away


def read_toml(text: str, tenant: str | None, tenants: Sequence[str]) -> dict[str, list[Plan]]:
    """The plans of a TOML file by tenant.

    Args:
        tenant: for plans that name none.
        tenants: the ids that exist.

    Raises:
        FileRefused: with every mistake.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileRefused(f"is not TOML: {error}") from None
    reader, plans = _Reader(), dict[str, list[Plan]]()
    tables = document.get("plans")
    if not (isinstance(tables, list) and all(isinstance(one, dict) for one in tables)):
        raise FileRefused("plans: a list of [[plans]] is expected")
    for key in document:
        reader.need(key == "plans", key, "no such key; plans stand in [[plans]]")
    for at, table in enumerate(tables):
        path = f"plans[{at}]"
        for key in table:
            reader.need(key in _KEYS, f"{path}.{key}", f"no such key; there are {', '.join(_KEYS)}")
        owner = table.get("tenant", tenant)
        if owner is None:
            reader.need(False, f"{path}.tenant", "is missing (or give --tenant)")
        elif reader.need(owner in tenants, f"{path}.tenant", f"there is no tenant {owner}"):
            plans.setdefault(owner, []).append(reader.plan(path, table))
    _refuse(reader, plans)
    return plans


def read_csv(text: str, tenant: str | None, tenants: Sequence[str]) -> dict[str, list[Plan]]:
    """The plans of a CSV file, all of one tenant.

    Raises:
        FileRefused: with every mistake.
    """
    if tenant is None or tenant not in tenants:
        raise FileRefused("a CSV file names no tenant: give --tenant")
    lines = [(n, one) for n, one in enumerate(text.splitlines(), 1) if one.strip()]
    if not lines or tuple(lines[0][1].removeprefix("\ufeff").split(",")) != CSV_COLUMNS:
        raise FileRefused(f"the first line must be {','.join(CSV_COLUMNS)}")
    reader, plans = _Reader(), list[Plan]()
    for number, line in lines[1:]:
        path = f"line {number}"
        try:
            plan_id, name, services, data_plans, boosts = split(line)
        except ValueError:
            reader.need(False, path, f"has not {len(CSV_COLUMNS)} values")
            continue
        table = {
            "id": plan_id,
            "name": name,
            "services": [one.strip() for one in services.split(";") if one.strip()],
            "data-plans": [{"access-type": _number(a), "type": b} for a, b in _pairs(data_plans)],
            "boosts": [{"type": _number(a), "status": _number(b)} for a, b in _pairs(boosts)],
        }
        plans.append(reader.plan(path, table))
    _refuse(reader, {tenant: plans})
    return {tenant: plans}


def write_csv(plans: Sequence[Plan]) -> str:
    """What `read_csv` reads."""
    lines = [join(CSV_COLUMNS)]
    for plan in plans:
        data_plans = ";".join(f"{one.access_type}={one.data_plan_type}" for one in plan.data_plans)
        boosts = ";".join(f"{one.boost_type}={one.status}" for one in plan.boosts)
        services = ";".join(sorted(plan.services))
        lines.append(join((plan.plan_id, plan.name, services, data_plans, boosts)))
    return "".join(lines)


def _pairs(text: str) -> list[tuple[str, str]]:
    parts = [part.partition("=") for part in text.split(";") if part.strip()]
    return [(first.strip(), second.strip()) for first, _, second in parts]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _refuse(reader: _Reader, plans: Mapping[str, list[Plan]]) -> None:
    for tenant, of_tenant in plans.items():
        ids = [plan.plan_id for plan in of_tenant]
        for plan_id in sorted({one for one in ids if ids.count(one) > 1}):
            reader.need(False, tenant, f"the plan {plan_id} stands twice")
    if reader.problems:
        raise FileRefused("\n".join(reader.problems))
