"""`orders` and `inventory`: what they print and change."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from actors.orders.records import Kind, Order
from actors.orders.transitions import State
from actors.store.database import open_database
from actors.store.orders import Entry, create
from actors.store.sql import transaction
from node.cli_inventory import inventory
from node.cli_orders import orders

CONFIG = Path(__file__).parents[2] / "config" / "lab.toml"
SMDP = """
[[tenants.smdp-plus]]
name = "dp9"
url = "http://127.0.0.1:9"
requester = "2.999.20"
inside-vpn = true
ca = ""
certificate = ""
key = ""
"""


class Lab:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        text = CONFIG.read_text().replace('data = "var"', f'data = "{folder}"')
        self.config = folder / "node.toml"
        self.config.write_text(text.rstrip() + "\n" + SMDP)
        self.connection = open_database(folder / "node.db")

    def run(self, group: object, *words: str, status: int = 0) -> Result:
        environment = {"ENTITLEMENT_CONFIG": str(self.config)}
        result = CliRunner().invoke(group, words, env=environment)  # type: ignore[arg-type]
        assert result.exit_code == status, result.output
        return result

    def put(self, order: Order) -> None:
        with transaction(self.connection):
            create(self.connection, order, Entry(order.created_at, "subscribe", "accept"))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


ORDER = Order(
    "mvno", "abc", "k", "s", Kind.SUBSCRIBE, "ap2006", "001019000000001", 1_800_000_000,
    state=State.MANUAL, reached=State.BSS_READY, resumes=State.BSS_READY,
    iccid="8949000000000000018", reason="smdp: unclear",
)  # fmt: skip


def test_orders_are_listed_and_shown_with_masked_identities(lab: Lab) -> None:
    lab.put(ORDER)
    listed = lab.run(orders, "list", "-t", "mvno", "--state", "manual").output
    assert "abc" in listed
    assert "001019000000001" not in listed
    assert "001019000000001" in lab.run(orders, "list", "-t", "mvno", "--clear").output
    assert lab.run(orders, "list", "-t", "mno").output == ""
    assert "bss-ready" in lab.run(orders, "show", "-t", "mvno", "abc").output
    lab.run(orders, "show", "-t", "mno", "abc", status=1)


def test_people_retry_or_decide(lab: Lab) -> None:
    lab.put(ORDER)
    lab.put(replace(ORDER, order_id="def", subject="t"))
    lab.put(replace(ORDER, order_id="ghi", subject="u"))
    retried = lab.run(orders, "retry", "-t", "mvno", "abc").output
    assert "manual -> bss-ready" in retried
    assert "manual -> released" in lab.run(orders, "resolve", "-t", "mvno", "--done", "def").output
    cancelled = lab.run(orders, "resolve", "-t", "mvno", "--cancel", "ghi").output
    assert "manual -> compensating" in cancelled
    lab.run(orders, "resolve", "-t", "mvno", "--burn", "def", status=1)
    lab.run(orders, "resolve", "-t", "mvno", "def", status=2)
    assert "operator retried" in lab.run(orders, "show", "-t", "mvno", "abc").output


def test_an_order_that_stands_still_is_found(lab: Lab) -> None:
    lab.put(replace(ORDER, changed_at=1_000_000_000))
    assert "stuck" in lab.run(orders, "reconcile", "-t", "mvno", status=1).output
    lab.run(orders, "reconcile", "-t", "mno")


def test_an_inventory_is_imported_once_and_bad_rows_are_told(lab: Lab) -> None:
    """FAIL-19, FLOW-19"""
    file = lab.folder / "profiles.csv"
    file.write_text(
        "iccid,imsi\n8949000000000000018,001029000000001\n8949000000000000019,\n"
        "8949000000000000018,\n8949000000000000000,001029000000001\n"
    )
    words = ("import", "-t", "mvno", "--smdp", "dp9", "--profile-type", "A", str(file))
    dry = lab.run(inventory, *words, "--dry-run", status=1)
    assert "1 good rows: nothing changed; 3 bad rows" in dry.output
    assert ":3: the check digit" in dry.output
    assert ":4: names a card of line 2 again" in dry.output
    assert "1 added" in lab.run(inventory, *words, status=1).output
    assert "0 added, 0 changed" in lab.run(inventory, *words, status=1).output
    assert "dp9 A: 1 available  LOW" in lab.run(inventory, "show", "-t", "mvno").output
    assert lab.run(inventory, "show", "-t", "mno").output == ""


def test_an_inventory_needs_a_known_smdp(lab: Lab) -> None:
    file = lab.folder / "profiles.csv"
    file.write_text("iccid\n")
    words = ("import", "-t", "mvno", "--smdp", "nobody", str(file))
    assert "has no smdp-plus nobody" in lab.run(inventory, *words, status=2).output
