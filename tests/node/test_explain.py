"""The operator's question why, over the real store."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from actors.runtime.turn import Turn
from actors.store.database import open_database
from actors.store.lab import seed_lab
from actors.store.sqlite import SqliteStore
from actors.tenants import Tenants
from config.load import load
from node.explain import Explainer

LAB = Path(__file__).parents[2] / "config" / "lab.toml"


@pytest.fixture
async def explainer(tmp_path: Path) -> AsyncIterator[Explainer]:
    config = load(LAB, here=False)
    connection: sqlite3.Connection = open_database(tmp_path / "node.db")
    seed_lab(connection, config, 1_790_000_000)
    connection.close()
    store = SqliteStore(tmp_path / "node.db", config.store, Turn().end)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        yield Explainer(store, Tenants(config), lambda: 1_790_000_000.0)
        nursery.cancel_scope.cancel()


async def test_the_reason_names_the_plan(explainer: Explainer) -> None:
    subscriber, step = await explainer.explain(None, "001010000000008", "ap2004", "8.0", "")
    assert subscriber == {"tenant": "mno", "plan": "no-vowifi", "line": "active"}
    assert step["app"] == "ap2004"
    assert step["EntitlementStatus"] == 2
    assert "no-vowifi lacks vowifi" in step["reason"]


async def test_several_applications_are_explained_in_their_order(explainer: Explainer) -> None:
    _, *steps = await explainer.explain("mno", "001010000000001", "ap2005,ap2003", "2.0", "")
    assert [step["app"] for step in steps] == ["ap2005", "ap2003"]


async def test_groups_inside_of_groups_are_shown_with_their_names(explainer: Explainer) -> None:
    """From 7.0 on ap2003 has no parm of its own: all is in its characteristics (TS.43 §3.1)."""
    (_, step) = await explainer.explain("mno", "001010000000001", "ap2003", "7.0", "")
    (rows,) = step["parms"]["VoiceOverCellularEntitleInfo"].values()
    assert [row["AccessType"] for row in rows] == ["1", "2"]
    assert all(row["NetworkVoiceIRATCapability"] for row in rows if row["AccessType"] == "2")


async def test_the_virtual_operator_is_found_by_the_range(explainer: Explainer) -> None:
    subscriber, _ = await explainer.explain(None, "001019000000001", "ap2005", "8.0", "fr")
    assert subscriber["tenant"] == "mvno"


async def test_a_stranger_has_no_plan(explainer: Explainer) -> None:
    subscriber, step = await explainer.explain(None, "001010000900000", "ap2005", "8.0", "")
    assert subscriber["plan"] == "none"
    assert step["EntitlementStatus"] == 2


@pytest.mark.parametrize(
    ("tenant", "imsi", "app", "version"),
    [
        ("nobody", "001010000000001", "ap2004", "8.0"),
        (None, "262010000000001", "ap2004", "8.0"),
        (None, "001010000000001", "ap9999", "8.0"),
        (None, "001010000000001", "ap2004", "99.0"),
    ],
)
async def test_a_question_without_sense_is_a_lookup_error(
    explainer: Explainer, tenant: str | None, imsi: str, app: str, version: str
) -> None:
    with pytest.raises(LookupError):
        await explainer.explain(tenant, imsi, app, version, "")


async def test_a_closed_store_cannot_explain(tmp_path: Path) -> None:
    config = load(LAB, here=False)
    store = SqliteStore(tmp_path / "node.db", config.store, Turn().end)
    explainer = Explainer(store, Tenants(config), lambda: 0.0)
    with pytest.raises(LookupError, match="cannot be asked"):
        await explainer.explain("mno", "001010000000001", "ap2004", "8.0", "")
