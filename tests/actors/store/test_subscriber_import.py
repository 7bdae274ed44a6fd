"""Subscribers from CSV: bad rows by line, nothing half-applied, again without effect, swaps."""

import sqlite3
from collections.abc import Iterator

import pytest

from actors.backends.bss import Plan
from actors.store.plans import put_plans
from actors.store.schema import DatabaseRefused
from actors.store.sql import OperatorDatabase
from actors.store.subscriber_files import BadRow, FileRefused, SubscriberFile, join, split
from actors.store.subscriber_import import BATCH_ROWS, Imported, import_subscribers
from config.model import Tenant
from tests.actors.store.kit import TABLES, Kit

MNO = Tenant(id="mno", plmns=("00101",))
MVNO = Tenant(id="mvno", plmns=("00101",), imsi_ranges=("001019000000001-001019999999999",))
NOW = 1_800_000_000
GOLD_AND_BASIC = (
    Plan("gold", "Gold", frozenset({"volte"})),
    Plan("basic", "Basic", frozenset()),
)


@pytest.fixture
def database(kit: Kit) -> Iterator[OperatorDatabase]:
    connection = kit.operator()
    for tenant in ("mno", "mvno"):
        put_plans(connection, tenant, GOLD_AND_BASIC)
    yield connection
    connection.close()


def take(
    database: OperatorDatabase,
    text: str,
    *,
    tenant: Tenant = MNO,
    now: int = NOW,
    all_or_nothing: bool = False,
) -> Imported:
    file = SubscriberFile(text.splitlines(keepends=True), tenant, ("gold", "basic"))
    return import_subscribers(database, file, tenant.id, now=now, all_or_nothing=all_or_nothing)


def rows(database: OperatorDatabase, columns: str, tenant: str = "mno") -> list[tuple[object, ...]]:
    database.act_for(tenant)
    return database.execute(
        f"SELECT {columns} FROM subscribers WHERE tenant = ? ORDER BY imsi",  # noqa: S608
        (tenant,),
    ).fetchall()


def history(kit: Kit) -> list[tuple[object, ...]]:
    return kit.execute(
        "SELECT tenant, kind, subject, at, old, new FROM identity_changes ORDER BY kind, at"
    )


def everything(kit: Kit) -> list[object]:
    return [sorted(kit.execute(f"SELECT * FROM {table}")) for table in TABLES]  # noqa: S608


FIRST = """\
\ufeffPlan,IMSI, msisdn,iccid,status,overrides,vowifi_addr_status,vowifi_addr_expiry
gold,001010000000001,+491700000001,8949000000000000001,active,vowifi=allowed;volte=blocked,1,2027-01-01

# a comment
basic, 001010000000002 ,,,,,,
"""


def test_a_file_becomes_subscribers(database: OperatorDatabase) -> None:
    result = take(database, FIRST)
    assert (result.rows, result.added, result.bad) == (2, 2, 0)
    assert rows(
        database,
        "imsi, msisdn, iccid, plan_id, status, overrides, vowifi_addr_status, vowifi_addr_expiry",
    ) == [
        (
            "001010000000001",
            "491700000001",
            "8949000000000000001",
            "gold",
            "active",
            "volte=blocked;vowifi=allowed",
            1,
            "2027-01-01",
        ),
        ("001010000000002", "", "", "basic", "active", "", 2, ""),
    ]


def test_the_same_file_again_changes_nothing(kit: Kit, database: OperatorDatabase) -> None:
    take(database, FIRST)
    before = everything(kit)
    result = take(database, FIRST, now=NOW + 1)
    assert (result.added, result.changed, result.unchanged, result.swapped) == (0, 0, 2, 0)
    assert everything(kit) == before


def test_a_column_that_is_left_out_keeps_its_value(database: OperatorDatabase) -> None:
    take(database, FIRST)
    result = take(database, "imsi,plan\n001010000000001,basic\n001010000000002,basic\n")
    assert (result.changed, result.unchanged) == (1, 1)
    assert rows(database, "plan_id, msisdn, overrides")[0] == (
        "basic",
        "491700000001",
        "volte=blocked;vowifi=allowed",
    )


def test_a_bad_row_is_told_by_its_line_and_the_others_are_taken(
    database: OperatorDatabase,
) -> None:
    text = (
        "imsi,plan,msisdn,iccid,status,overrides,vowifi_tc_status,vowifi_addr_expiry\n"
        "00101000000000x,gold,,,,,,\n"
        "001010000000001,silver,,,,,,\n"
        "001010000000002,gold,12,,,,,\n"
        "001010000000003,gold,,12,,,,\n"
        "001010000000004,gold,,,dead,,,\n"
        "001010000000005,gold,,,,fax=allowed,,\n"
        "001010000000006,gold,,,,volte=maybe,,\n"
        "001010000000007,gold,,,,volte=allowed;volte=blocked,,\n"
        "001010000000008,gold,,,,,4,\n"
        "001010000000009,gold,,,,,,tomorrow\n"
        "001010000000010,gold\n"
        '001010000000011,"gold,,,,,,\n'
        "001010000000012,g\ufffdld,,,,,,\n"
        "262020000000001,gold,,,,,,\n"
        f"001010000000013,gold,{'1' * 20_000},,,,,\n"
        '001010000000014,"gold",,,,,,\n'
    )
    result = take(database, text)
    assert [row.line for row in result.bad_rows] == list(range(2, 17))
    assert (result.bad, result.rows) == (15, 1)
    reasons = {row.line: row.reason for row in result.bad_rows}
    assert reasons[2] == "imsi: an IMSI is 6 to 15 digits"
    assert reasons[3] == "plan: the tenant has no plan 'silver'"
    assert reasons[6] == "status: must be one of active, suspended, barred, terminated"
    assert (
        reasons[8]
        == "overrides: volte may be allowed, blocked, provisioning, disabled, not 'maybe'"
    )
    assert reasons[12] == "has 2 values for 8 columns"
    assert reasons[13] == "a quote is not closed"
    assert reasons[15] == "imsi: is outside the PLMNs and ranges of mno"
    assert rows(database, "imsi") == [("001010000000014",)]


def test_only_so_many_bad_rows_are_kept(database: OperatorDatabase) -> None:
    text = "imsi,plan\n" + "x,gold\n" * 250
    result = take(database, text)
    assert (result.bad, len(result.bad_rows)) == (250, 100)
    assert result.bad_rows[-1] == BadRow(101, "imsi: an IMSI is 6 to 15 digits")


def test_all_or_nothing_takes_nothing_when_one_row_is_bad(database: OperatorDatabase) -> None:
    good = "".join(f"00101{n:010},gold\n" for n in range(BATCH_ROWS + 10))
    refused = take(database, f"imsi,plan\n{good}x,gold\n", all_or_nothing=True)
    assert (refused.rows, refused.added, refused.bad) == (0, 0, 1)
    assert rows(database, "imsi") == []
    taken = take(database, f"imsi,plan\n{good}", all_or_nothing=True)
    assert taken.added == BATCH_ROWS + 10
    assert len(rows(database, "imsi")) == BATCH_ROWS + 10


def test_several_batches_are_counted_together(database: OperatorDatabase) -> None:
    good = "".join(f"00101{n:010},gold\n" for n in range(BATCH_ROWS * 2 + 1))
    seen: list[int] = []
    file = SubscriberFile(f"imsi,plan\n{good}".splitlines(), MNO, ("gold",))
    result = import_subscribers(database, file, "mno", now=NOW, progress=seen.append)
    assert result.added == BATCH_ROWS * 2 + 1
    assert seen == [BATCH_ROWS + 1, BATCH_ROWS * 2 + 1, BATCH_ROWS * 2 + 2]


def test_the_last_line_of_an_imsi_counts(database: OperatorDatabase) -> None:
    result = take(database, "imsi,plan\n001010000000001,gold\n001010000000001,basic\n")
    assert (result.rows, result.added, result.unchanged) == (2, 1, 1)
    assert rows(database, "plan_id") == [("basic",)]


def test_another_card_revokes_and_is_history(kit: Kit, database: OperatorDatabase) -> None:
    head = "imsi,plan,iccid\n"
    take(database, head + "001010000000001,gold,\n")
    take(database, head + "001010000000001,gold,8949000000000000001\n")
    assert rows(database, "token_generation") == [(0,)]
    result = take(database, head + "001010000000001,gold,8949000000000000002\n", now=NOW + 9)
    assert (result.changed, result.swapped) == (1, 1)
    assert rows(database, "token_generation") == [(1,)]
    assert history(kit) == [
        ("mno", 3, "001010000000001", NOW + 9, "8949000000000000001", "8949000000000000002")
    ]


def test_a_number_that_moves_to_another_subscription_is_history_once(
    kit: Kit,
    database: OperatorDatabase,
) -> None:
    head = "imsi,plan,msisdn\n"
    take(database, head + "001010000000001,gold,491700000001\n")
    moved = head + "001010000000002,gold,491700000001\n"
    assert take(database, moved, now=NOW + 5).swapped == 1
    assert take(database, moved, now=NOW + 6).swapped == 0
    assert history(kit) == [
        ("mno", 4, "491700000001", NOW + 5, "001010000000001", "001010000000002")
    ]


def test_tenants_do_not_see_each_other(kit: Kit, database: OperatorDatabase) -> None:
    head = "imsi,plan,msisdn,iccid\n"
    line = "001019000000001,gold,491700000001,8949000000000000001\n"
    take(database, head + line)
    other = line.replace("gold", "basic").replace("0001\n", "0002\n")
    result = take(database, head + other, tenant=MVNO)
    assert (result.added, result.swapped) == (1, 0)
    assert rows(database, "plan_id, iccid") == [("gold", "8949000000000000001")]
    assert rows(database, "plan_id, iccid", "mvno") == [("basic", "8949000000000000002")]
    assert history(kit) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is empty"),
        ("\n# only a comment\n", "the file is empty"),
        ("imsi,plan,colour\n", "line 1: no column 'colour'"),
        ("imsi,plan,imsi\n", "line 1: a column stands twice"),
        ("msisdn,plan\n", "line 1: the column imsi is missing"),
        ("imsi\n", "line 1: the column plan is missing"),
        ("imsi;plan\n", "line 1: no column 'imsi;plan'"),
        ('"imsi,plan\n', "line 1: a quote is not closed"),
    ],
)
def test_a_file_without_a_good_header_is_refused(text: str, reason: str) -> None:
    with pytest.raises(FileRefused) as caught:
        SubscriberFile(text.splitlines(), MNO, ("gold",))
    assert str(caught.value).startswith(reason)


def test_an_error_of_the_database_leaves_the_batches_before_it(
    kit: Kit, database: OperatorDatabase
) -> None:
    def lines() -> Iterator[str]:
        yield "imsi,plan\n"
        for n in range(BATCH_ROWS * 2):
            if n == BATCH_ROWS + 1:
                kit.execute("ALTER TABLE subscribers RENAME TO elsewhere")
            yield f"00101{n:010},gold\n"

    file = SubscriberFile(lines(), MNO, ("gold",))
    seen: list[int] = []
    try:
        with pytest.raises((sqlite3.OperationalError, DatabaseRefused)):
            import_subscribers(database, file, "mno", now=NOW, progress=seen.append)
        assert kit.execute("SELECT count(*) FROM elsewhere") == [(BATCH_ROWS,)]
    finally:
        kit.execute("ALTER TABLE elsewhere RENAME TO subscribers")
    assert seen == [BATCH_ROWS + 1]
    assert not database.in_transaction


def test_what_is_joined_is_split_again() -> None:
    values = ["a", "with, comma", 'and "quotes"', ""]
    assert split(join(values)) == values


@pytest.mark.slow
def test_many_rows_are_imported_in_seconds(kit: Kit, database: OperatorDatabase) -> None:
    count = 100_000 if kit.name == "sqlite" else 30_000

    def lines() -> Iterator[str]:
        yield "imsi,msisdn,iccid,plan\n"
        for n in range(count):
            yield f"00101{n:010},{491700000000 + n},{8949000000000000000 + n},gold\n"

    for added in (count, 0):
        file = SubscriberFile(lines(), MNO, ("gold",))
        assert import_subscribers(database, file, "mno", now=NOW).added == added
    assert kit.execute("SELECT count(*) FROM subscribers") == [(count,)]
