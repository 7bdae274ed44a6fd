"""Plans from TOML and CSV, and what the lab starts with."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.backends.bss import Boost, DataPlan, Plan
from actors.store.database import open_database
from actors.store.lab import LAB_PLANS, seed_lab
from actors.store.plan_files import read_csv, read_toml, write_csv
from actors.store.plans import SERVICES, all_plans, put_plans
from actors.store.subscriber_files import FileRefused
from config.load import load

TENANTS = ("mno", "mvno")
GOLD = Plan(
    "gold",
    "Gold, with everything",
    frozenset({"volte", "boost"}),
    (DataPlan(0, "Metered"), DataPlan(1, "Unmetered")),
    (Boost(166, 1), Boost(0, 4)),
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_database(tmp_path / "node.db")
    yield connection
    connection.close()


def test_a_toml_file_has_plans_of_several_tenants() -> None:
    text = """
    [[plans]]
    tenant = "mvno"
    id = "small"
    [[plans]]
    id = "gold"
    name = "Gold, with everything"
    services = ["boost", "volte"]
    data-plans = [{ access-type = 0, type = "Metered" }, { access-type = 1, type = "Unmetered" }]
    boosts = [{ type = 166 }, { type = 0, status = 4 }]
    """
    assert read_toml(text, "mno", TENANTS) == {
        "mvno": [Plan("small", "small", frozenset())],
        "mno": [GOLD],
    }


def test_a_csv_file_says_the_same_and_can_be_written() -> None:
    text = write_csv([GOLD])
    assert text == (
        "plan,name,services,data_plans,boosts\n"
        'gold,"Gold, with everything",boost;volte,0=Metered;1=Unmetered,166=1;0=4\n'
    )
    assert read_csv(text, "mno", TENANTS) == {"mno": [GOLD]}


def test_every_mistake_of_a_toml_file_is_told() -> None:
    text = """
    [other]
    [[plans]]
    tenant = "nobody"
    [[plans]]
    name = 7
    services = ["volte", "fax"]
    data-plans = [{ access-type = 6, type = "Free" }]
    boosts = [{ type = 256, status = 3 }]
    colour = "red"
    [[plans]]
    id = "a"
    services = "volte"
    boosts = 1
    [[plans]]
    id = "a"
    """
    with pytest.raises(FileRefused) as caught:
        read_toml(text, "mno", TENANTS)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "other",
        "plans[0].tenant",
        "plans[1].colour",
        "plans[1].id",
        "plans[1].name",
        "plans[1].services[1]",
        "plans[1].data-plans[0].access-type",
        "plans[1].data-plans[0].type",
        "plans[1].boosts[0].type",
        "plans[1].boosts[0].status",
        "plans[2].services",
        "plans[2].boosts",
        "mno",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[plans", "is not TOML"),
        ("plans = 1", "a list of"),
        ("[[plans]]\nid = 'a'", "plans[0].tenant: is missing (or give --tenant)"),
    ],
)
def test_a_toml_file_that_cannot_be_read_is_refused(text: str, reason: str) -> None:
    with pytest.raises(FileRefused) as caught:
        read_toml(text, None, TENANTS)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "tenant", "reason"),
    [
        ("", "mno", "the first line must be plan,name"),
        ("plan,name,services,data_plans,boosts\n", None, "give --tenant"),
        ("plan,name,services,data_plans,boosts\n", "nobody", "give --tenant"),
        ("plan,name,services,data_plans,boosts\na,b\n", "mno", "line 2: has not 5 values"),
        ("plan,name,services,data_plans,boosts\na,,fax,,\n", "mno", "line 2.services[0]: must"),
        ("plan,name,services,data_plans,boosts\na,,,x=Metered,\n", "mno", "access-type: must"),
        ("plan,name,services,data_plans,boosts\na,,,,1\n", "mno", "line 2.boosts[0].status: must"),
        ("plan,name,services,data_plans,boosts\n,b,,,\n", "mno", "line 2.id: is missing"),
        ("plan,name,services,data_plans,boosts\na,,,,\na,,,,\n", "mno", "the plan a stands twice"),
    ],
)
def test_a_csv_file_with_a_mistake_is_refused(text: str, tenant: str | None, reason: str) -> None:
    with pytest.raises(FileRefused) as caught:
        read_csv(text, tenant, TENANTS)
    assert reason in str(caught.value)


def test_plans_are_kept_and_changed(database: sqlite3.Connection) -> None:
    put_plans(database, "mno", [GOLD])
    put_plans(database, "mno", [Plan("gold", "Other", frozenset()), GOLD])
    assert all_plans(database, "mno") == [GOLD]
    assert all_plans(database, "mvno") == []


def test_the_lab_has_plans_of_every_kind() -> None:
    plans = read_toml(LAB_PLANS.read_text(), None, TENANTS)
    by_id = {plan.plan_id: plan for plan in plans["mno"]}
    assert by_id["gold"].services == SERVICES
    assert by_id["basic"].services == {"volte", "smsoip"}
    assert not by_id["data"].services & {"volte", "vonr", "vowifi", "smsoip"}


def test_the_lab_is_seeded_and_seeded_again(database: sqlite3.Connection) -> None:
    config = load(LAB_PLANS.with_name("lab.toml"))
    assert seed_lab(database, config, 1).added == 120
    again = seed_lab(database, config, 2)
    assert (again.added, again.changed, again.swapped) == (0, 0, 0)
    found = database.execute(
        "SELECT tenant, min(imsi), max(imsi), count(DISTINCT plan_id) FROM subscribers"
        " GROUP BY tenant ORDER BY tenant"
    ).fetchall()
    assert found == [
        ("mno", "001010000000001", "001010000000100", 5),
        ("mvno", "001019000000001", "001019000000020", 1),
    ]
    without_plan = database.execute(
        "SELECT count(*) FROM subscribers s LEFT JOIN plans p"
        " ON p.tenant = s.tenant AND p.plan_id = s.plan_id WHERE p.plan_id IS NULL"
    ).fetchone()
    assert without_plan == (0,)
