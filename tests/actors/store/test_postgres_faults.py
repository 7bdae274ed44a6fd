"""PostgreSQL that dies, is cut off, says nothing, or comes back: nothing is lost, nobody waits."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from actors.store.postgres.listener import TRUST_SECONDS
from actors.store.sql import Database
from actors.store.store import StoreUnavailable
from tests.actors.store.flaky_proxy import FlakyProxy, flaky_proxy
from tests.actors.store.kit import TEMPLATE, Asker, PostgresKit, make_template, opened, put
from tests.actors.store.postgres_server import PostgresServer, postgres_folder
from tests.actors.store.samples import GOLD, IMSI, LINE, NOW, new_token

pytestmark = [pytest.mark.interop, pytest.mark.slow]

QUICK: dict[str, float] = {
    "connect_seconds": 0.5,
    "statement_seconds": 0.3,
    "answer_seconds": 2.0,
}


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """A server that the tests kill."""
    if postgres_folder() is None:
        pytest.skip("postgres is not installed")
    server = PostgresServer()
    try:
        make_template(server)
        server.create_database("mortal", TEMPLATE)
        yield server
    finally:
        server.remove()


@pytest.fixture
def kit(mortal: PostgresServer) -> Iterator[PostgresKit]:
    one = PostgresKit(mortal, "mortal")
    one.clear()
    yield one
    one.close()


@asynccontextmanager
async def through_proxy(
    kit: PostgresKit, **settings: object
) -> AsyncIterator[tuple[Asker, FlakyProxy]]:
    """A store whose connections all go through a proxy."""
    async with flaky_proxy(kit.server.port) as proxy:
        conninfo = kit.server.conninfo(
            "application", kit.database, host="127.0.0.1", port=proxy.port
        )
        chosen = replace(kit.settings, postgres=conninfo, **(QUICK | settings))
        async with opened(kit, settings=chosen) as asker:
            yield asker, proxy


def cache(asker: Asker) -> Any:  # noqa: ANN401
    return asker.store.statistics().cache


def connection(asker: Asker, name: str) -> Any:  # noqa: ANN401
    (found,) = [one for one in asker.store.statistics().connections if one.name == name]
    return found


async def test_a_killed_server_loses_no_token_that_was_acknowledged(kit: PostgresKit) -> None:
    kept: list[int] = []
    async with opened(kit, settings=replace(kit.settings, answer_seconds=10.0)) as asker:
        async with trio.open_nursery() as nursery:
            stop = trio.Event()

            async def device(number: int) -> None:
                visit = 0
                while not stop.is_set():
                    name = number * 100_000 + visit
                    token = new_token(name, terminal_id=f"t{name}")
                    if await asker.ask("save_token", token) is None:
                        kept.append(name)
                    visit += 1

            for number in range(32):
                nursery.start_soon(device, number)
            for enough in (500, 1_000):
                await asker.until(lambda enough=enough: len(kept) > enough)
                await trio.to_thread.run_sync(kit.server.kill)
                await trio.to_thread.run_sync(kit.server.start)
            await asker.until(lambda: len(kept) > 1_500)
            stop.set()
        assert connection(asker, "writes").losses >= 2
    kit.close()  # of the server that was killed
    names = {name for (name,) in kit.execute("SELECT terminal_id FROM tokens")}
    assert {f"t{name}" for name in kept} <= names


async def test_a_restart_of_the_server_needs_no_restart_of_the_node(kit: PostgresKit) -> None:
    put(kit, LINE, plans=(GOLD,))
    async with opened(kit) as asker:
        await trio.to_thread.run_sync(kit.server.stop)
        await asker.until(lambda: not cache(asker).reached_now)
        assert asker.store.ready
        await trio.to_thread.run_sync(kit.server.start)
        assert await asker.ask("find_subscriber", "mno", IMSI) == (LINE, GOLD)
        assert await asker.ask("save_token", new_token()) is None
        await asker.until(lambda: cache(asker).hearing_now)


async def test_what_was_on_its_way_when_the_connection_was_cut_is_asked_again(
    kit: PostgresKit,
) -> None:
    put(kit, LINE, plans=(GOLD,))
    async with through_proxy(kit) as (asker, proxy), trio.open_nursery() as nursery:
        answers: list[object] = []

        async def device(number: int) -> None:
            for visit in range(10):
                token = new_token(number * 100 + visit, terminal_id=f"{number}", issued=NOW + visit)
                answers.append(await asker.ask("save_token", token))
                found = await asker.ask("find_token", "mno", token.token_hash)
                answers.append(None if found is not None and not found.revoked else found)

        for number in range(20):
            nursery.start_soon(device, number)
        for _ in range(5):
            await trio.sleep(0.02)
            await proxy.cut()
        await asker.until(lambda: len(answers) == 400)
    assert answers == [None] * 400
    # Nothing was done twice: each device has its last token, and the one before it.
    rows = kit.execute("SELECT terminal_id, issued, previous_issued FROM tokens")
    assert sorted(rows) == sorted((f"{n}", NOW + 9, NOW + 8) for n in range(20))


async def test_a_token_that_was_kept_before_the_answer_was_lost_is_kept_once(
    kit: PostgresKit,
) -> None:
    async with through_proxy(kit) as (asker, proxy):
        await asker.ask("save_token", new_token(1))
        proxy.silence()
        async with trio.open_nursery() as nursery:
            answers: list[object] = []

            async def save() -> None:
                answers.append(await asker.ask("save_token", new_token(2, issued=NOW + 5)))

            nursery.start_soon(save)
            await trio.sleep(0.05)
            # As if the server had done it, and the answer were on its way.
            async with opened(kit) as other:
                assert await other.ask("save_token", new_token(2, issued=NOW + 5)) is None
            await proxy.cut()
            proxy.speak()
        assert answers == [None]
    rows = kit.execute("SELECT issued, previous_issued FROM tokens")
    assert rows == [(NOW + 5, NOW)]


async def test_a_silent_server_is_given_up_and_known_devices_are_served_from_memory(
    kit: PostgresKit,
) -> None:
    put(kit, LINE, plans=(GOLD,))
    async with through_proxy(kit) as (asker, proxy):
        token = new_token()
        await asker.ask("save_token", token)
        found = await asker.ask("find_token", "mno", token.token_hash)
        await asker.ask("find_subscriber", "mno", IMSI)
        proxy.silence()
        await asker.until(lambda: not cache(asker).hearing_now)
        begin = trio.current_time()
        assert await asker.ask("find_token", "mno", token.token_hash) == found
        assert trio.current_time() - begin < 1.5
        assert await asker.ask("find_subscriber", "mno", IMSI) == (LINE, GOLD)
        assert cache(asker).stale_hits == 2
        assert not cache(asker).reached_now
        # Of another tenant it is nobody's, also from memory.
        assert isinstance(await asker.ask("find_token", "mvno", token.token_hash), StoreUnavailable)
        proxy.speak()
        await asker.until(lambda: cache(asker).reached_now)
        assert await asker.ask("save_token", new_token(2, issued=NOW + 1)) is None
        assert await asker.ask("find_token", "mno", token.token_hash) is not None
        assert asker.watched == [("find token", "timeout"), ("find token", "")]


async def test_while_the_database_is_away_strangers_and_new_tokens_are_refused_at_once(
    kit: PostgresKit,
) -> None:
    async with through_proxy(kit) as (asker, proxy):
        proxy.refuse()
        await proxy.cut()
        await trio.sleep(1.2)
        begin = trio.current_time()
        for question in (
            ("find_token", "mno", new_token().token_hash),
            ("find_subscriber", "mno", IMSI),
            ("save_token", new_token()),
            ("revoke_tokens", "mno", IMSI, NOW),
        ):
            answer = await asker.ask(*question)
            assert isinstance(answer, StoreUnavailable)
            assert answer.reason == "connection"
        assert trio.current_time() - begin < 0.5
        assert connection(asker, "reads").refused == 2
        assert asker.store.ready
        proxy.accept()
        await asker.until(lambda: cache(asker).reached_now)


async def test_nobody_waits_longer_than_the_deadline(kit: PostgresKit) -> None:
    async with through_proxy(kit, answer_seconds=0.4) as (asker, proxy):
        proxy.silence()
        begin = trio.current_time()
        answer = await asker.ask("save_token", new_token())
        assert isinstance(answer, StoreUnavailable)
        assert answer.reason == "timeout"
        assert 0.3 < trio.current_time() - begin < 1.0
        assert connection(asker, "writes").timeouts >= 1


async def test_rows_from_memory_are_served_only_for_so_long(kit: PostgresKit) -> None:
    async with through_proxy(kit, stale_seconds=1.0) as (asker, proxy):
        token = new_token()
        await asker.ask("save_token", token)
        await asker.ask("find_token", "mno", token.token_hash)
        proxy.refuse()
        await proxy.cut()
        assert await asker.ask("find_token", "mno", token.token_hash) is not None
        await trio.sleep(1.2)
        answer = await asker.ask("find_token", "mno", token.token_hash)
        assert isinstance(answer, StoreUnavailable)
        assert not asker.store.ready


async def test_without_news_the_memory_is_not_trusted(kit: PostgresKit) -> None:
    """A revocation counts within a second, also while this node cannot hear of it."""
    async with opened(kit) as other, through_proxy(kit) as (asker, _):
        token = new_token()
        await asker.ask("save_token", token)
        await asker.ask("find_token", "mno", token.token_hash)
        hearing = asker.store.listener  # type: ignore[attr-defined]
        hearing._changed = lambda text: None  # what is said is lost
        hearing._heard_at -= TRUST_SECONDS
        hearing._since = float("inf")
        await other.ask("revoke_tokens", "mno", IMSI, NOW + 1)
        begin = trio.current_time()
        while not (await asker.ask("find_token", "mno", token.token_hash)).revoked:
            assert trio.current_time() - begin < 1.0
            await trio.sleep(0.02)


async def test_a_node_starts_while_the_database_is_away_and_uses_it_later(
    kit: PostgresKit,
) -> None:
    put(kit, LINE, plans=(GOLD,))
    async with flaky_proxy(kit.server.port) as proxy:
        proxy.refuse()
        conninfo = kit.server.conninfo(
            "application", kit.database, host="127.0.0.1", port=proxy.port
        )
        settings = replace(kit.settings, postgres=conninfo, **QUICK)
        store = kit.store(settings=settings, end_turn=lambda: None)
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: store.run(task_status=task_status))
            assert not store.ready
            asker = Asker(store)
            proxy.accept()
            await asker.until(lambda: store.ready)
            assert await asker.ask("find_subscriber", "mno", IMSI) == (LINE, GOLD)
            nursery.cancel_scope.cancel()


async def test_a_transaction_of_several_steps_survives_a_restart_between_two_of_them(
    kit: PostgresKit,
) -> None:
    async with opened(kit) as asker:
        runs: list[str] = []

        def operation(database: Database) -> int:
            database.execute("INSERT INTO plans VALUES ('mno', 'a', 'x', '{}')")
            runs.append("begun")
            if len(runs) == 1:
                kit.server.stop()
                kit.server.start()
            (count,) = database.execute("SELECT count(*) FROM plans").fetchone()
            return int(count)

        answers: list[object] = []
        asker.store.transact("mno", operation, answers.append)
        await asker.until(lambda: bool(answers))
        assert (answers, len(runs)) == ([1], 2)
        # The connections that were idle are dead now, and nobody is told.
        asker.store.transact("mno", lambda _: 5, answers.append)
        await asker.until(lambda: len(answers) == 2)
        await trio.to_thread.run_sync(kit.server.kill)
        asker.store.transact("mno", lambda _: 6, answers.append)
        await asker.until(lambda: len(answers) == 3)
        assert isinstance(answers[2], StoreUnavailable)
        assert answers[2].reason == "connection"
        await trio.to_thread.run_sync(kit.server.start)
        asker.store.transact("mno", lambda _: 7, answers.append)
        await asker.until(lambda: len(answers) == 4)
        assert answers[3] == 7
    kit.close()
    assert kit.execute("SELECT plan_id FROM plans") == [("a",)]
