"""Whatever is done for one tenant, another one's rows stay as they are (MT-54 at the store)."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.backends.bss import Plan
from actors.store import writes
from actors.store.plans import put_plans
from actors.store.records import NewToken, Registration
from actors.store.sql import OperatorDatabase
from actors.store.subscriber_files import SubscriberFile
from actors.store.subscriber_import import import_subscribers
from actors.store.tokens import owner_key
from config.model import Tenant
from tests.actors.store.kit import TABLES, Kit

TENANTS = ("mno", "mvno")
IMSIS = ("001010000000001", "001010000000002")  # the same at both
TERMINALS = ("990000862471854", "990000862471999", "a-uuid")

Change = Callable[[OperatorDatabase, str, int], object]


def rows_of(kit: Kit, tenant: str) -> list[object]:
    return [
        sorted(kit.execute(f"SELECT * FROM {table} WHERE tenant = '{tenant}'"))  # noqa: S608
        for table in TABLES
    ]


def saving(imsi: str, terminal: str, secret: int, apps: tuple[str, ...]) -> Change:
    def change(database: OperatorDatabase, tenant: str, now: int) -> object:
        token = NewToken(
            tenant=tenant,
            token_hash=owner_key(tenant, imsi, terminal, apps, "")
            + secret.to_bytes(2, "big")
            + now.to_bytes(30, "big"),
            imsi=imsi,
            terminal_id=terminal,
            apps=apps,
            app_name="",
            issued=now,
            expires=now + 5,
            grace_seconds=2,
            diameter_session_id=b"session",
        )
        return writes.save_token(database, token)

    return change


def registering(imsi: str, terminal: str, action: int) -> Change:
    return lambda database, tenant, now: writes.register(
        database, Registration(tenant, imsi, terminal, ("ap2003",), "", action, "token", now)
    )


def revoking(imsi: str) -> Change:
    return lambda database, tenant, now: writes.revoke_tokens(database, tenant, imsi, now)


def ending(session: bytes) -> Change:
    return lambda database, tenant, now: writes.revoke_session(database, tenant, session, now)


def importing(imsi: str, number: int, card: int) -> Change:
    def change(database: OperatorDatabase, tenant: str, now: int) -> object:
        put_plans(database, tenant, [Plan("gold", f"Gold {number}", frozenset())])
        lines = [
            "imsi,plan,msisdn,iccid",
            f"{imsi},gold,49170000000{number},894900000000000000{card}",
        ]
        database.execute("COMMIT")  # an import has transactions of its own
        file = SubscriberFile(lines, Tenant(id=tenant), ("gold",))
        result = import_subscribers(database, file, tenant, now=now)
        database.execute("BEGIN")
        return result

    return change


CHANGES = st.one_of(
    st.builds(
        saving,
        st.sampled_from(IMSIS),
        st.sampled_from(TERMINALS),
        st.integers(0, 1_000),
        st.sampled_from((("ap2003",), ("ap2003", "ap2004"))),
    ),
    st.builds(registering, st.sampled_from(IMSIS), st.sampled_from(TERMINALS), st.integers(0, 2)),
    st.builds(revoking, st.sampled_from(IMSIS)),
    st.builds(ending, st.just(b"session")),
    st.builds(importing, st.sampled_from(IMSIS), st.integers(1, 2), st.integers(1, 2)),
)


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.sampled_from(TENANTS), CHANGES), max_size=12))
def test_what_is_done_for_one_tenant_touches_no_other(
    kit: Kit, steps: list[tuple[str, Change]]
) -> None:
    database = kit.operator()
    for table in TABLES:
        kit.execute(f"DELETE FROM {table}")  # noqa: S608
    for now, (tenant, change) in enumerate(steps, start=1):
        (other,) = set(TENANTS) - {tenant}
        before = rows_of(kit, other)
        database.act_for(tenant)
        database.execute("BEGIN")
        change(database, tenant, now)
        database.execute("COMMIT")
        assert rows_of(kit, other) == before
    database.close()
