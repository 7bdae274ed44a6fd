"""Whole nodes on one PostgreSQL: a token of one serves at the other, and while it is away."""

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.store.lab import seed_lab
from actors.store.postgres.store import PostgresStore
from config.load import load
from scripts.lab.aaa_running import HOST, running_aaa
from scripts.lab.phone_habits import XML
from tests.actors.store.kit import PostgresKit
from tests.node.whole.whole_node import LabFolder, WholeNode, asking, serving

pytestmark = pytest.mark.interop

ACCEPT_XML = (b"accept", XML)


@pytest.fixture
def seeded(lab: LabFolder, postgres: PostgresKit) -> PostgresKit:
    database = postgres.operator()
    seed_lab(database, load(lab.installation.config, here=False), int(time.time()))
    database.close()
    return postgres


@asynccontextmanager
async def two_nodes(
    lab: LabFolder,
    folder: Path,
    postgres: PostgresKit,
    **store: Any,  # noqa: ANN401
) -> AsyncIterator[tuple[WholeNode, WholeNode]]:
    """Two nodes of one operator: the same database, the same AAA, names of their own."""
    settings = {"postgres": postgres.settings.postgres, "connect-seconds": 0.5, **store}
    async with running_aaa() as aaa:
        paths = [
            lab.prepare(
                folder / name,
                [(HOST, aaa.port)],
                {
                    "store": settings,
                    "node": {"name": name},
                    "diameter": {"origin-host": f"{name}.epc.mnc001.mcc001.3gppnetwork.org"},
                },
            )
            for name in ("ecs1", "ecs2")
        ]
        async with serving(lab, paths[0], [aaa]) as one, serving(lab, paths[1], [aaa]) as other:
            for node in (one, other):
                await node.until(lambda node=node: node.node.router.ready)
                store_of = node.node.store
                assert isinstance(store_of, PostgresStore)
                await eventually(lambda store_of=store_of: store_of.listener.hearing)
            yield one, other


async def eventually(holds: Any, seconds: float = 5.0) -> None:  # noqa: ANN401
    with trio.fail_after(seconds):
        while not holds():  # noqa: ASYNC110 - the change comes from another process
            await trio.sleep(0.01)


async def test_what_one_node_issued_the_other_takes_until_anybody_revokes_it(
    lab: LabFolder, tmp_path: Path, seeded: PostgresKit
) -> None:
    async with two_nodes(lab, tmp_path, seeded) as (one, other):
        phone = await one.with_token(1)
        for node in (one, other, one, other):
            assert (await node.get(asking(phone), ACCEPT_XML)).status == 200
        assert other.node.store.statistics().cache.hits > 0  # type: ignore[union-attr]
        revoked = await trio.run_process(
            [
                *(sys.executable, "-m", "node", "tokens", "revoke", "-c", str(one.config)),
                *("-t", "mno", "--imsi", phone.usim.imsi),
            ],
            capture_stdout=True,
        )
        assert revoked.stdout == b"1 tokens revoked\n"
        # Within a second; starting another Python takes longer than that.
        for node in (one, other):
            assert (await node.get(asking(phone), ACCEPT_XML)).status == 511


async def test_while_the_database_is_away_known_phones_are_served_and_new_ones_come_back_later(
    lab: LabFolder, tmp_path: Path, seeded: PostgresKit
) -> None:
    async with two_nodes(lab, tmp_path, seeded) as (one, _):
        phone = await one.with_token(2)
        assert (await one.get(asking(phone), ACCEPT_XML)).status == 200
        seeded.close()
        await trio.to_thread.run_sync(seeded.server.stop)
        try:
            await eventually(lambda: not one.node.store.statistics().cache.reached_now)
            assert (await one.get(asking(phone), ACCEPT_XML)).status == 200
            result = await one.phone(3).authenticate(("ap2004",))
            assert not result.ok
            ready, parts = await one.node.view.ready()
            assert ready, parts  # there is something to serve
        finally:
            await trio.to_thread.run_sync(seeded.server.start)
        await eventually(lambda: one.node.store.statistics().cache.reached_now)
        await one.with_token(3)


async def test_an_operator_is_told_why_by_a_node_whose_subscribers_are_elsewhere(
    lab: LabFolder, tmp_path: Path, seeded: PostgresKit
) -> None:
    async with two_nodes(lab, tmp_path, seeded) as (one, _):
        imsi = "001010000000001"
        with trio.fail_after(3):
            first, *_ = await one.node.explainer.explain("mno", imsi, "ap2004", "8.0", "")
        assert first == {"tenant": "mno", "plan": "full", "line": "active"}
