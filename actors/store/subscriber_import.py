"""Writing many subscribers: batches, what changed, and the swaps that follow from it.

Applying the same rows again changes nothing. A subscription that moves to another card (its ICCID
changes) loses its tokens: they are in the old card's phone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from actors.store.records import Identity
from actors.store.sql import OperatorDatabase, transaction
from actors.store.subscriber_files import (
    COLUMNS,
    BadRow,
    GoodRow,
    SubscriberFile,
    Value,
)
from actors.store.subscriber_rows import SUBSCRIBER_COLUMNS

ROWS_AT_ONCE: Final = 250  # in one statement: SQLite takes 32,766 values
BATCH_ROWS: Final = 2_000  # 25 ms: how long a running node may have to wait for its turn

_NUMBERS: Final = ("vowifi_tc_status", "vowifi_addr_status", "vowifi_prov_status")
_DEFAULTS: Final = {
    "msisdn": "''",
    "iccid": "''",
    "status": "'active'",
    "overrides": "''",
    "vowifi_tc_status": "2",
    "vowifi_addr_status": "2",
    "vowifi_prov_status": "2",
    "vowifi_addr_expiry": "''",
    "vowifi_addr_identifier": "''",
    "token_generation": "0",
}


@dataclass(slots=True)
class Imported:
    """What an import did."""

    rows: int = 0  # good lines
    bad: int = 0
    added: int = 0
    changed: int = 0
    swapped: int = 0  # of the changed ones: other card or other number
    bad_rows: list[BadRow] = field(default_factory=list)  # the first of them

    @property
    def unchanged(self) -> int:
        """Lines that said what was known, or that a later line of the file overtook."""
        return self.rows - self.added - self.changed


class RowWriter:
    """Writes rows with the same columns to one tenant."""

    def __init__(
        self, connection: OperatorDatabase, tenant: str, columns: Sequence[str], now: int
    ) -> None:
        """Prepare a table for rows on their way.

        Args:
            columns: names as in a file (`COLUMNS`), imsi and plan among them.
            now: wall-clock seconds, for the history.
        """
        self._connection = connection
        self._tenant = tenant
        self._now = now
        self._columns = [COLUMNS[name][0] for name in columns]
        declared = ", ".join(
            f"{name} {'INTEGER' if name in _NUMBERS else 'TEXT'} NOT NULL" for name in self._columns
        )
        connection.act_for(tenant)
        connection.execute("DROP TABLE IF EXISTS incoming")
        connection.execute(
            f"CREATE TEMP TABLE incoming ({declared}, PRIMARY KEY (imsi)) WITHOUT ROWID"
        )
        self._upsert = _upsert(self._columns)

    def add(self, rows: Sequence[tuple[Value, ...]]) -> None:
        """Put rows beside the database; `apply` moves them in."""
        at = self._columns.index("imsi")
        last = list({row[at]: row for row in rows}.values())  # the last line of an IMSI counts
        for begin in range(0, len(last), ROWS_AT_ONCE):
            some = last[begin : begin + ROWS_AT_ONCE]
            values = [value for row in some for value in row]
            self._connection.execute(_insert(self._columns, len(some)), values)

    def apply(self, result: Imported) -> None:
        """Move what was added into the subscribers, in one transaction; counts into `result`."""
        connection, tenant = self._connection, self._tenant
        with transaction(connection):
            (incoming,) = connection.execute("SELECT count(*) FROM incoming").fetchone()
            (known,) = connection.execute(_KNOWN, (tenant,)).fetchone()
            swapped = 0
            if known and "iccid" in self._columns:
                swapped += self._note_swaps(_ICCID_CHANGED, Identity.ICCID_OF_IMSI)
            if "msisdn" in self._columns:
                swapped += self._note_swaps(_MSISDN_MOVED, Identity.IMSI_OF_MSISDN)
            written = connection.execute(self._upsert, (tenant,)).rowcount
            connection.execute("DELETE FROM incoming")
        result.added += incoming - known
        result.changed += written - (incoming - known)
        result.swapped += swapped

    def _note_swaps(self, sql: str, kind: Identity) -> int:
        values = (self._tenant, int(kind), self._now, *[self._tenant] * (sql.count("?") - 3))
        return self._connection.execute(sql, values).rowcount


def import_subscribers(
    connection: OperatorDatabase,
    file: SubscriberFile,
    tenant: str,
    *,
    now: int,
    all_or_nothing: bool = False,
    kept_bad_rows: int = 100,
    progress: Callable[[int], None] = lambda line: None,
) -> Imported:
    """Add or change subscribers.

    Args:
        file: with its header read.
        now: wall-clock seconds.
        all_or_nothing: one bad row refuses the file, and all of it is one transaction. A running
            node cannot write meanwhile. Else bad rows are left out, in batches.
        kept_bad_rows: how many bad rows are described; all are counted.
        progress: called with the number of the last line that was read, now and then.

    Raises:
        sqlite3.Error, psycopg.Error: the batch at hand was not applied; those before were.
    """
    result = Imported()
    writer = RowWriter(connection, tenant, file.columns, now)
    for batch, line in _batches(file, result, kept_bad_rows):
        writer.add(batch)
        if not all_or_nothing:
            writer.apply(result)
        progress(line)
    if all_or_nothing:
        if result.bad:
            connection.execute("DELETE FROM incoming")
            result.rows = 0
        else:
            writer.apply(result)
    return result


def _batches(
    file: SubscriberFile, result: Imported, kept: int
) -> Iterator[tuple[list[tuple[Value, ...]], int]]:
    batch: list[tuple[Value, ...]] = []
    row: GoodRow | BadRow | None = None
    for row in file.rows():
        if isinstance(row, GoodRow):
            batch.append(row.values)
            result.rows += 1
            if len(batch) >= BATCH_ROWS:
                yield batch, row.line
                batch = []
        else:
            result.bad += 1
            if len(result.bad_rows) < kept:
                result.bad_rows.append(row)
    if batch and row is not None:
        yield batch, row.line


# Correlated, not joined: for a join SQLite 3.38 and later reads the whole tenant into a Bloom
# filter, at 0.1 s a batch.
_KNOWN: Final = (
    "SELECT count(*) FROM incoming i WHERE EXISTS"
    " (SELECT 1 FROM subscribers s WHERE s.tenant = ? AND s.imsi = i.imsi)"
)
_ICCID_CHANGED: Final = (
    "INSERT INTO identity_changes (tenant, kind, subject, at, old, new)"
    " SELECT ?, ?, imsi, ?, old, new FROM (SELECT i.imsi, i.iccid AS new,"
    " (SELECT s.iccid FROM subscribers s WHERE s.tenant = ? AND s.imsi = i.imsi) AS old"
    " FROM incoming i) moved WHERE old <> '' AND old <> new ON CONFLICT DO NOTHING"
)
# The number is another subscription's now, and was not this one's already.
_MSISDN_MOVED: Final = (
    "INSERT INTO identity_changes (tenant, kind, subject, at, old, new)"
    " SELECT ?, ?, msisdn, ?, old, imsi FROM (SELECT i.imsi, i.msisdn,"
    " (SELECT min(o.imsi) FROM subscribers o WHERE o.tenant = ? AND o.msisdn = i.msisdn"
    " AND o.imsi <> i.imsi) AS old,"
    " (SELECT s.msisdn FROM subscribers s WHERE s.tenant = ? AND s.imsi = i.imsi) AS own"
    " FROM incoming i WHERE i.msisdn <> '') moved"
    " WHERE old IS NOT NULL AND (own IS NULL OR own <> msisdn) ON CONFLICT DO NOTHING"
)


def _insert(columns: Sequence[str], rows: int) -> str:
    """Put so many rows beside the database."""
    row = f"({', '.join('?' * len(columns))})"
    sets = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "imsi")
    return (
        f"INSERT INTO incoming ({', '.join(columns)}) VALUES {', '.join([row] * rows)}"  # noqa: S608
        f" ON CONFLICT (imsi) DO UPDATE SET {sets}"
    )


def _upsert(given: Sequence[str]) -> str:
    """Insert, or change what differs in the columns of the file."""
    values = [f"i.{name}" if name in given else _DEFAULTS[name] for name in SUBSCRIBER_COLUMNS[1:]]
    changeable = [name for name in given if name != "imsi"]
    sets = [f"{name} = excluded.{name}" for name in changeable]
    if "iccid" in given:
        sets.append(
            "token_generation = subscribers.token_generation + CASE WHEN subscribers.iccid <> ''"
            " AND subscribers.iccid <> excluded.iccid THEN 1 ELSE 0 END"
        )
    differs = " OR ".join(f"subscribers.{name} <> excluded.{name}" for name in changeable)
    return (
        f"INSERT INTO subscribers ({', '.join(SUBSCRIBER_COLUMNS)})"  # noqa: S608 - our names
        f" SELECT ?, {', '.join(values)} FROM incoming i WHERE true"
        f" ON CONFLICT (tenant, imsi) DO UPDATE SET {', '.join(sets)} WHERE {differs}"
    )
