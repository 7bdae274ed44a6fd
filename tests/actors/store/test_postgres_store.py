"""What only PostgreSQL does: nodes that hear of each other, row-level security, migrations."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from actors.runtime.turn import Turn
from actors.store.postgres.database import PostgresDatabase, migrate
from actors.store.schema import DatabaseRefused, Engine, migrations
from actors.store.store import StoreUnavailable
from tests.actors.store.kit import TEMPLATE, Asker, PostgresKit, opened, put
from tests.actors.store.postgres_server import PostgresServer
from tests.actors.store.samples import GOLD, IMSI, LINE, NOW, judge, new_token

pytestmark = pytest.mark.interop


@pytest.fixture
def empty(server: PostgresServer) -> Iterator[str]:
    """A database without tables."""
    server.create_database("empty")
    yield "empty"
    server.drop_database("empty")


def cache(asker: Asker) -> Any:  # noqa: ANN401
    return asker.store.statistics().cache


async def within_a_second(holds: Callable[[], Any]) -> None:
    begin = trio.current_time()
    while not await holds():
        assert trio.current_time() - begin < 1.0
        await trio.sleep(0.005)


async def test_a_row_is_read_once_and_then_served_from_memory(postgres: PostgresKit) -> None:
    put(postgres, LINE, plans=(GOLD,))
    async with opened(postgres) as asker:
        await asker.ask("save_token", new_token())
        for _ in range(5):
            assert await asker.ask("find_subscriber", "mno", IMSI) == (LINE, GOLD)
            found = await asker.ask("find_token", "mno", new_token().token_hash)
            assert judge(found, NOW) is None
        assert (cache(asker).hits, asker.store.statistics().reads) == (8, 2)
        # Another tenant's question and another token of the same owner are not answered from it.
        assert await asker.ask("find_token", "mvno", new_token().token_hash) is None
        assert await asker.ask("find_token", "mno", new_token(2).token_hash) is None


async def test_what_one_node_revokes_the_other_refuses_within_a_second(
    postgres: PostgresKit,
) -> None:
    put(postgres, LINE, plans=(GOLD,))
    async with opened(postgres) as one, opened(postgres) as other:
        for number, (method, what) in enumerate(
            [("revoke_tokens", IMSI), ("revoke_session", b"ecs1;1;2;w1-1")], start=1
        ):
            generation = number - 1
            token = new_token(number, issued=NOW + number, generation=max(generation, 0))
            assert await one.ask("save_token", token) is None
            for asker in (one, other):
                found = await asker.ask("find_token", "mno", token.token_hash)
                assert not found.revoked
                await asker.ask("find_subscriber", "mno", IMSI)
            assert await one.ask(method, "mno", what, NOW + 9) >= 1
            assert (await one.ask("find_token", "mno", token.token_hash)).revoked == NOW + 9

            async def refused(token: Any = token) -> bool:  # noqa: ANN401
                found = await other.ask("find_token", "mno", token.token_hash)
                return bool(found.revoked == NOW + 9)

            await within_a_second(refused)
        subscriber, _ = await other.ask("find_subscriber", "mno", IMSI)
        assert subscriber.token_generation == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE subscribers SET status = 'suspended' WHERE tenant = 'mno'",
        "UPDATE subscribers SET plan_id = 'none'",
        'UPDATE plans SET body = \'{"services":[],"data_plans":[],"boosts":[]}\'',
        "DELETE FROM subscribers",
    ],
)
async def test_what_somebody_changes_by_hand_is_heard(postgres: PostgresKit, change: str) -> None:
    put(postgres, LINE, plans=(GOLD,))
    async with opened(postgres) as asker:
        await asker.ask("find_subscriber", "mno", IMSI)
        postgres.execute(change)
        await postgres.heard(asker)
        assert await asker.ask("find_subscriber", "mno", IMSI) != (LINE, GOLD)
        assert cache(asker).invalidations >= 1


async def test_a_change_of_many_subscribers_is_one_piece_of_news(postgres: PostgresKit) -> None:
    lines = [replace(LINE, imsi=f"00101{n:010}") for n in range(150)]
    put(postgres, *lines, plans=(GOLD,))
    async with opened(postgres) as asker:
        for line in lines:
            await asker.ask("find_subscriber", "mno", line.imsi)
        before = asker.store.listener.notifications  # type: ignore[attr-defined]
        postgres.execute("UPDATE subscribers SET status = 'barred'")
        await postgres.heard(asker)
        assert asker.store.listener.notifications == before + 2  # type: ignore[attr-defined]
        assert cache(asker).active_subscribers == 0


async def test_new_tokens_are_no_news_unless_they_end_an_old_one_soon(
    postgres: PostgresKit,
) -> None:
    async with opened(postgres) as asker:

        async def news(token: Any) -> int:  # noqa: ANN401
            before = asker.store.listener.notifications  # type: ignore[attr-defined]
            assert await asker.ask("save_token", token) is None
            await postgres.heard(asker)
            return int(asker.store.listener.notifications - before - 1)  # type: ignore[attr-defined]

        assert await news(new_token(1, expires=NOW + 500)) == 0
        assert await news(new_token(2, issued=NOW + 600, expires=NOW + 5_000)) == 0  # over anyway
        assert await news(new_token(3, issued=NOW + 4_000)) == 0  # stays for 600 s
        assert await news(new_token(4, issued=NOW + 9_000, grace_seconds=5)) == 1


async def test_a_token_read_before_it_was_revoked_and_answered_after_is_not_kept(
    postgres: PostgresKit,
) -> None:
    async with opened(postgres) as asker:
        await asker.ask("save_token", new_token())
        tokens = asker.store._tokens  # type: ignore[attr-defined]
        answers: list[Any] = []
        asker.store.find_token("mno", new_token().token_hash, answers.append)
        tokens.forget(1)  # the news comes first
        await asker.until(lambda: bool(answers))
        assert cache(asker).active_tokens == 0


async def test_the_memory_is_bounded_and_the_least_used_row_goes(postgres: PostgresKit) -> None:
    settings = replace(postgres.settings, cache_entries=2)
    lines = [replace(LINE, imsi=f"00101{n:010}") for n in range(3)]
    put(postgres, *lines, plans=(GOLD,))
    async with opened(postgres, settings=settings) as asker:
        for number in (0, 1, 0, 2, 0):
            await asker.ask("find_subscriber", "mno", lines[number].imsi)
        assert (cache(asker).active_subscribers, cache(asker).hits) == (2, 2)


async def test_a_row_in_memory_is_not_trusted_for_ever(postgres: PostgresKit) -> None:
    settings = replace(postgres.settings, cache_seconds=0.6)
    put(postgres, LINE, plans=(GOLD,))
    async with opened(postgres, settings=settings) as asker:
        await asker.ask("find_subscriber", "mno", IMSI)
        await trio.sleep(0.65)
        await asker.ask("find_subscriber", "mno", IMSI)
        assert cache(asker).hits == 0


# --- turns ------------------------------------------------------------------------------------


async def test_what_is_asked_in_a_turn_goes_out_at_its_end_in_one_transaction(
    postgres: PostgresKit,
) -> None:
    put(postgres, *(replace(LINE, imsi=f"00101{n:010}") for n in range(50)), plans=(GOLD,))
    turn = Turn()
    async with opened(postgres, end_turn=turn.end, at_turn_end=turn.flusher) as asker:
        found: list[object] = []
        kept: list[object] = []
        turns: set[int] = set()
        turn.before_flush(lambda: turns.add(len(found)))
        for n in range(50):
            asker.store.find_subscriber("mno", f"00101{n:010}", found.append)
            asker.store.save_token(new_token(n, terminal_id=f"t{n}"), kept.append)
        turn.end()
        await asker.until(lambda: len(found) == len(kept) == 50)
        statistics = asker.store.statistics()
        reads, writes = statistics.connections
        assert (reads.transactions, reads.largest_transaction) == (1, 50)
        # The tokens, a sweep, and then one for each new device.
        assert writes.transactions <= 54
        assert turns == {0, 50}  # all that came together is delivered before the turn ends


async def test_what_was_taken_before_the_end_is_kept_and_answered(postgres: PostgresKit) -> None:
    turn = Turn()
    answers: list[object] = []
    async with opened(postgres, end_turn=turn.end, at_turn_end=turn.flusher) as asker:
        for n in range(300):
            asker.store.save_token(new_token(n, terminal_id=f"t{n}"), answers.append)
    assert answers == [None] * 300
    assert postgres.execute("SELECT count(*) FROM tokens") == [(300,)]


async def test_above_the_bound_requests_are_refused_at_once(postgres: PostgresKit) -> None:
    settings = replace(postgres.settings, queue_bound=5)
    async with opened(postgres, settings=settings) as asker:
        answers: list[Any] = []
        for _ in range(8):
            asker.store.find_subscriber("mno", IMSI, answers.append)
        assert [answer.reason for answer in answers] == ["full-queue"] * 3
        await asker.until(lambda: len(answers) == 8)
        assert answers[3:] == [None] * 5


async def test_a_reply_that_raises_costs_the_others_nothing(postgres: PostgresKit) -> None:
    bugs: list[Exception] = []
    async with opened(postgres, crashed=bugs.append) as asker:

        def bad(_answer: object) -> None:
            raise KeyError

        asker.store.find_subscriber("mno", IMSI, bad)
        assert await asker.ask("find_subscriber", "mno", IMSI) is None
        assert [type(bug) for bug in bugs] == [KeyError]


async def test_a_statement_that_waits_too_long_is_ended_by_the_server(
    postgres: PostgresKit,
) -> None:
    settings = replace(postgres.settings, statement_seconds=0.2)
    put(postgres, LINE, plans=(GOLD,))
    blocker = PostgresDatabase(postgres.server.conninfo("postgres", postgres.database))
    blocker.execute("BEGIN")
    blocker.execute("SELECT 1 FROM subscribers FOR UPDATE")
    async with opened(postgres, settings=settings) as asker:
        answer = await asker.ask("revoke_tokens", "mno", IMSI, NOW)
        assert isinstance(answer, StoreUnavailable)
        assert answer.reason == "timeout"
        blocker.close()
        assert await asker.ask("revoke_tokens", "mno", IMSI, NOW) == 0
        assert asker.store.statistics().connections[1].losses == 0


# --- tenants and roles ------------------------------------------------------------------------

TABLES = ("plans", "subscribers", "devices", "tokens", "registrations", "identity_changes")


async def test_no_statement_sees_another_tenants_rows(postgres: PostgresKit) -> None:
    put(postgres, LINE, plans=(GOLD,))
    async with opened(postgres) as asker:
        await asker.ask("save_token", new_token())
    database = postgres.operator()
    for table in ("plans", "subscribers", "tokens", "devices"):
        count = f"SELECT count(*) FROM {table}"  # noqa: S608
        assert database.execute(count).fetchone() == (0,)  # nobody named: deny by default
        database.act_for("mvno")
        assert database.execute(count).fetchone() == (0,)
        assert database.execute(f"DELETE FROM {table}").rowcount == 0  # noqa: S608
        database.act_for("mno")
        assert database.execute(count).fetchone() == (1,)
        database.act_for("")
    database.act_for("mvno")
    with pytest.raises(DatabaseRefused, match="violates row-level security"):
        database.execute("INSERT INTO plans VALUES ('mno', 'x', 'x', '{}')")
    database.close()


def test_every_table_of_tenants_is_secured(server: PostgresServer) -> None:
    with server.connect("postgres", TEMPLATE) as connection:
        rows = connection.execute(
            "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity, count(p.polname)"
            " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant'"
            " LEFT JOIN pg_policy p ON p.polrelid = c.oid WHERE c.relkind = 'r'"
            " GROUP BY 1, 2 ORDER BY 1"
        ).fetchall()
    assert {name for name, *_ in rows} >= set(TABLES)
    assert [name for name, forced, policies in rows if not forced or policies != 1] == []


@pytest.mark.parametrize(
    ("role", "reason"), [("postgres", "superuser"), ("owner", "owns the tables")]
)
async def test_a_role_that_tenants_are_not_kept_apart_from_is_refused(
    postgres: PostgresKit, role: str, reason: str
) -> None:
    settings = replace(
        postgres.settings, postgres=postgres.server.conninfo(role, postgres.database)
    )
    store = postgres.store(settings=settings, end_turn=lambda: None)
    with pytest.RaisesGroup(
        pytest.RaisesExc(DatabaseRefused, match=reason), flatten_subgroups=True
    ):
        await store.run()


# --- migrations -------------------------------------------------------------------------------


def test_two_that_migrate_at_once_do_it_once(server: PostgresServer, empty: str) -> None:
    done: list[int] = []

    def run() -> None:
        done.append(len(migrate(server.conninfo("owner", empty), "application")))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 0, 0, len(migrations(Engine.POSTGRES))]


async def test_a_node_without_a_schema_is_refused_and_with_an_owner_makes_it(
    server: PostgresServer, empty: str
) -> None:
    kit = PostgresKit(server, empty)
    store = kit.store(end_turn=lambda: None)
    with pytest.RaisesGroup(
        pytest.RaisesExc(DatabaseRefused, match="database migrate"), flatten_subgroups=True
    ):
        await store.run()
    settings = replace(kit.settings, postgres_owner=server.conninfo("owner", empty))
    async with (
        opened(kit, settings=settings) as one,
        opened(kit, settings=settings) as other,
    ):
        assert await one.ask("save_token", new_token()) is None
        found = await other.ask("find_token", "mno", new_token().token_hash)
        assert judge(found, NOW) is None


def test_a_database_of_a_newer_release_is_refused(server: PostgresServer, empty: str) -> None:
    migrate(server.conninfo("owner", empty), "application")
    with server.connect("owner", empty) as connection:
        connection.execute("INSERT INTO schema_version VALUES (9999, 'future', 0, '')")
    with pytest.raises(DatabaseRefused, match=r"has schema 9999, .* newer release"):
        migrate(server.conninfo("owner", empty), "application")


def test_a_step_that_fails_leaves_nothing_behind(server: PostgresServer, empty: str) -> None:
    with server.connect("owner", empty) as connection:
        connection.execute("CREATE TABLE tokens (a TEXT)")
    with pytest.raises(DatabaseRefused, match="already exists"):
        migrate(server.conninfo("owner", empty), "application")
    with server.connect("owner", empty) as connection:
        assert connection.execute("SELECT to_regclass('plans')").fetchone() == (None,)


@pytest.mark.parametrize(
    ("conninfo", "reason"),
    [
        ("host=/nowhere user=a password=secret", "No such file"),
        ("nonsense secret", "is not one"),
        ("host=127.0.0.1 port=1 user=a password=secret", "Connection refused"),
    ],
)
def test_a_database_that_cannot_be_reached_is_told_without_the_password(
    conninfo: str, reason: str
) -> None:
    with pytest.raises(DatabaseRefused, match=reason) as caught:
        PostgresDatabase(conninfo)
    assert "secret" not in str(caught.value)
