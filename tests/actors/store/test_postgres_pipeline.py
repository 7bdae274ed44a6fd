"""Requests in pipeline mode: what shares a transaction fails alone, deadlocks are repeated."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio

from actors.store.postgres.dialing import Dialing
from actors.store.postgres.pipeline import Pipeline
from actors.store.postgres.requests import SET_TENANT, Request
from actors.store.postgres.statements import NotText, Statement, numbered
from actors.store.store import StoreUnavailable
from tests.actors.store.kit import Asker, PostgresKit, put
from tests.actors.store.samples import GOLD, LINE

DIVIDE = Statement("SELECT 10 / ?", "i")
TENANT = Statement("SELECT current_setting('app.tenant', true)", "")
TOUCH = Statement("UPDATE plans SET name = ? WHERE plan_id = ?", "tt")
SLEEP = Statement("SELECT 1 FROM pg_sleep(0.2)", "")
STATEMENTS = (SET_TENANT, DIVIDE, TENANT, TOUCH)


class Bench:
    """A pipeline, and what it answered."""

    def __init__(self, kit: PostgresKit, *, shared: bool) -> None:
        self.turns = 0
        self.pipeline = Pipeline(
            "bench",
            partial(Dialing(kit.settings).dial, (*STATEMENTS, SLEEP)),
            kit.settings,
            shared=shared,
            end_turn=self._end_turn,
            crashed=None,
        )

    def _end_turn(self) -> None:
        self.turns += 1

    def ask(self, *steps: tuple[Statement, tuple[object, ...]], tenant: str = "mno") -> list[Any]:
        answers: list[Any] = []
        encoded = [(statement, statement.encode(values)) for statement, values in steps]
        now = trio.current_time()
        request = Request(tenant, encoded, answers.append, asked=now, deadline=now + 5)
        self.pipeline.ask(request)
        return answers


@asynccontextmanager
async def bench(kit: PostgresKit, *, shared: bool = True) -> AsyncIterator[Bench]:
    one = Bench(kit, shared=shared)
    async with trio.open_nursery() as nursery:
        await nursery.start(one.pipeline.run)
        yield one
        nursery.cancel_scope.cancel()


async def until(holds: Any) -> None:  # noqa: ANN401
    await Asker.until(None, holds)  # type: ignore[arg-type]


@pytest.mark.interop
async def test_a_read_that_fails_takes_none_of_its_neighbours_along(postgres: PostgresKit) -> None:
    async with bench(postgres) as one:
        answers = [one.ask((DIVIDE, (n,))) for n in (1, 2, 0, 5, 0, 10)]
        one.pipeline.flush()
        await until(lambda: all(answers))
        told = [
            answer[0] if isinstance(answer[0], StoreUnavailable) else answer[0][0].rows[0][0]
            for answer in answers
        ]
        assert [n for n in told if isinstance(n, int)] == [10, 5, 2, 1]
        assert [one.reason for one in told if isinstance(one, StoreUnavailable)] == ["refused"] * 2
        statistics = one.pipeline.statistics()
        # The first zero aborts three, each of which is asked alone.
        assert (statistics.transactions, statistics.asked_again) == (4, 3)


@pytest.mark.interop
async def test_each_request_of_a_transaction_has_its_own_tenant(postgres: PostgresKit) -> None:
    async with bench(postgres) as one:
        answers = [one.ask((TENANT, ()), tenant=tenant) for tenant in ("a", "b", "b", "a")]
        one.pipeline.flush()
        await until(lambda: all(answers))
        assert [answer[0][0].rows[0][0] for answer in answers] == ["a", "b", "b", "a"]
        assert one.pipeline.statistics().transactions == 1
        assert one.turns == 1


@pytest.mark.interop
async def test_a_write_whose_second_step_fails_leaves_nothing_of_the_first(
    postgres: PostgresKit,
) -> None:
    put(postgres, LINE, plans=(GOLD,))
    async with bench(postgres, shared=False) as one:
        failed = one.ask((TOUCH, ("other", "gold")), (DIVIDE, (0,)))
        kept = one.ask((TOUCH, ("third", "gold")))
        one.pipeline.flush()
        await until(lambda: failed and kept)
        assert failed[0].reason == "refused"
        assert kept[0][0].affected == 1
    assert postgres.execute("SELECT name FROM plans") == [("third",)]


@pytest.mark.interop
async def test_two_nodes_that_deadlock_both_succeed(postgres: PostgresKit) -> None:
    silver = type(GOLD)("silver", "Silver", frozenset())
    put(postgres, plans=(GOLD, silver))
    async with bench(postgres, shared=False) as one, bench(postgres, shared=False) as other:
        first = one.ask((TOUCH, ("1", "gold")), (SLEEP, ()), (TOUCH, ("1", "silver")))
        second = other.ask((TOUCH, ("2", "silver")), (SLEEP, ()), (TOUCH, ("2", "gold")))
        one.pipeline.flush()
        other.pipeline.flush()
        await until(lambda: first and second)
        assert [answer[0][2].affected for answer in (first, second)] == [1, 1]
        assert sum(bench.pipeline.statistics().asked_again for bench in (one, other)) >= 1
    rows = {name for (name,) in postgres.execute("SELECT name FROM plans")}
    assert rows in ({"1"}, {"2"})


@pytest.mark.interop
async def test_a_connection_that_somebody_ends_is_opened_again(postgres: PostgresKit) -> None:
    async with bench(postgres) as one:
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'application' AND datname = current_database()"
        )
        answers = [one.ask((DIVIDE, (n,))) for n in (1, 2)]
        one.pipeline.flush()
        await until(lambda: all(answers))
        assert [answer[0][0].rows for answer in answers] == [[(10,)], [(5,)]]
        assert one.pipeline.statistics().connects == 2


def test_marks_and_words_are_rewritten() -> None:
    ours = "CREATE TABLE a (b INTEGER, c BLOB) WITHOUT ROWID; SELECT ?, ? FROM a WHERE b = ?"
    assert numbered(ours) == (
        "CREATE TABLE a (b BIGINT, c BYTEA); SELECT $1, $2 FROM a WHERE b = $3"
    )


@pytest.mark.parametrize("text", ["\udcff", "a\0b"])
def test_a_text_that_no_database_can_hold_is_not_sent(text: str) -> None:
    with pytest.raises(NotText):
        Statement("SELECT ?", "t").encode((text,))


def test_values_are_sent_in_binary() -> None:
    statement = Statement("SELECT ?, ?, ?, ?", "ibtt")
    assert statement.encode((-2, b"\0\1", "é", None)) == [
        b"\xff" * 7 + b"\xfe",
        b"\0\1",
        b"\xc3\xa9",
        None,
    ]
    with pytest.raises(ValueError, match="zip"):
        statement.encode((1,))
