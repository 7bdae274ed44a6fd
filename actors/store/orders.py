"""The operations on orders: functions of a connection, inside a transaction that is not theirs.

They speak the SQL that SQLite and PostgreSQL share. Two who change one order at the same time both
write its next step; the key of the steps lets only one, and the other one changes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from actors.orders.machine import Decision
from actors.orders.records import Order
from actors.store import profiles
from actors.store.order_rows import ORDER_COLUMNS, UPDATED_COLUMNS, order_of, row_of
from actors.store.profiles import Profile, Wanted
from actors.store.sql import Database

_ALL: Final = ", ".join(ORDER_COLUMNS)
_SELECT: Final = f"SELECT {_ALL} FROM orders WHERE tenant = ?"  # noqa: S608 - names of columns
_INSERT: Final = (
    f"INSERT INTO orders ({_ALL}) VALUES ({', '.join('?' * len(ORDER_COLUMNS))})"  # noqa: S608
    " ON CONFLICT DO NOTHING"
)
_UPDATE: Final = (
    f"UPDATE orders SET {', '.join(f'{name} = ?' for name in UPDATED_COLUMNS)}"  # noqa: S608
    " WHERE tenant = ? AND order_id = ?"
)
_STEP: Final = (
    "INSERT INTO order_steps (tenant, order_id, number, at, given, action, state, call_id, detail)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_CLAIM: Final = (
    "UPDATE orders SET lease_owner = ?, lease_until = ? WHERE tenant = ? AND order_id = ?"
    " AND (lease_owner = ? OR lease_until <= ?)"
)
_DUE: Final = (
    "SELECT order_id FROM orders WHERE tenant = ? AND next_at > 0 AND next_at <= ?"
    " AND (lease_owner = ? OR lease_until <= ?) ORDER BY next_at LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the history says of a step."""

    at: int
    given: str
    action: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an order's history."""

    number: int
    at: int
    given: str
    action: str
    state: str
    call_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which orders: those that match everything that is not empty."""

    imsi: str = field(default="", repr=False)  # of the subscriber, or of the line
    eid: str = field(default="", repr=False)
    terminal_id: str = field(default="", repr=False)
    iccid: str = field(default="", repr=False)
    app: str = ""
    subject: str = ""
    states: tuple[str, ...] = ()


def create(database: Database, order: Order, entry: Entry) -> tuple[Order, bool]:
    """Keep a new order; or find the unfinished one about the same subject.

    Returns:
        The order as it is kept, and whether it is the new one.
    """
    new = replace(order, version=1)
    row = row_of(new)
    inserted = database.execute(_INSERT, [row[name] for name in ORDER_COLUMNS])
    if inserted.rowcount == 1:
        _write_step(database, new, entry)
        return new, True
    found = database.execute(
        f"{_SELECT} AND subject = ? AND busy = 1", (order.tenant, order.subject)
    ).fetchone()
    if found is None:
        # It was finished between the two statements (not with SQLite): the caller tries again.
        return order, False
    return order_of(found), False


def save(
    database: Database, before: Order, decision: Decision, entry: Entry, digest: str = ""
) -> Order | None:
    """Keep a step and what it means for the profile.

    Args:
        before: the order as the step found it.
        digest: of the notification that the step came from; it is done then.

    Returns:
        The order as it is kept; None: another step came first, and nothing was changed.
    """
    after = replace(decision.order, version=before.version + 1)
    if not _write_step(database, after, entry):
        return None
    row = row_of(after)
    values = [row[name] for name in UPDATED_COLUMNS]
    database.execute(_UPDATE, (*values, after.tenant, after.order_id))
    if decision.stock is not None and decision.stock_iccid:
        profiles.put_state(
            database, after.tenant, decision.stock_iccid, decision.stock, after.order_id, entry.at
        )
    if digest:
        profiles.finish_notification(database, after.tenant, digest)
    return after


def _write_step(database: Database, order: Order, entry: Entry) -> bool:
    written = database.execute(
        _STEP,
        (
            order.tenant,
            order.order_id,
            order.version,
            entry.at,
            entry.given,
            entry.action,
            order.state.value,
            order.call.identifier,
            entry.detail,
        ),
    )
    return written.rowcount == 1


def take_profile(
    database: Database,
    before: Order,
    wanted: Sequence[Wanted],
    decide: Callable[[Profile], Decision],
    entry: Entry,
) -> tuple[Order | None, bool]:
    """Reserve the first profile that fits, and keep the step that it means.

    Args:
        decide: the step; pure, for it may be asked again.

    Returns:
        The order as it is kept (None: another step came first, or there was no profile), and
        whether there was a profile.
    """
    profile = profiles.take(database, before.tenant, wanted, before.order_id, entry.at)
    if profile is None:
        return None, False
    saved = save(database, before, decide(profile), entry)
    if saved is None:
        profiles.put_state(
            database, before.tenant, profile.iccid, profile.state, profile.order_id, entry.at
        )
    return saved, True


def load(database: Database, tenant: str, order_id: str) -> Order | None:
    """One order."""
    row = database.execute(f"{_SELECT} AND order_id = ?", (tenant, order_id)).fetchone()
    return order_of(row) if row is not None else None


def claim(
    database: Database, tenant: str, order_id: str, owner: str, now: int, until: int
) -> Order | None:
    """Take an order, or keep it for longer; None: another process works on it."""
    taken = database.execute(_CLAIM, (owner, until, tenant, order_id, owner, now))
    return load(database, tenant, order_id) if taken.rowcount == 1 else None


def release_all(database: Database, tenant: str, owner: str) -> None:
    """Let other processes have what this one had."""
    database.execute(
        "UPDATE orders SET lease_owner = '', lease_until = 0 WHERE tenant = ? AND next_at > 0"
        " AND lease_owner = ?",
        (tenant, owner),
    )


def due(database: Database, tenant: str, owner: str, now: int, limit: int) -> list[str]:
    """The orders that want to be looked at and that nobody else works on."""
    rows = database.execute(_DUE, (tenant, now, owner, now, limit)).fetchall()
    return [order_id for (order_id,) in rows]


def search(database: Database, tenant: str, wanted: Filter, limit: int) -> list[Order]:
    """Orders, newest first."""
    sql, values = _SELECT, [tenant]
    for column, value in (
        ("target_eid", wanted.eid),
        ("terminal_id", wanted.terminal_id),
        ("iccid", wanted.iccid),
        ("app", wanted.app),
        ("subject", wanted.subject),
    ):
        if value:
            sql += f" AND {column} = ?"
            values.append(value)
    if wanted.imsi:
        sql += " AND (imsi = ? OR line_imsi = ?)"
        values += [wanted.imsi, wanted.imsi]
    if wanted.states:
        sql += f" AND state IN ({', '.join('?' * len(wanted.states))})"
        values += wanted.states
    rows = database.execute(
        f"{sql} ORDER BY created_at DESC, order_id DESC LIMIT ?", (*values, limit)
    )
    return [order_of(row) for row in rows.fetchall()]


def count_polls(database: Database, tenant: str, order_ids: Sequence[str]) -> None:
    """One more AcquireConfiguration for each of them."""
    database.executemany(
        "UPDATE orders SET polls = polls + 1 WHERE tenant = ? AND order_id = ?",
        [(tenant, order_id) for order_id in order_ids],
    )


def history(database: Database, tenant: str, order_id: str) -> list[Step]:
    """The steps of an order, first to last."""
    rows = database.execute(
        "SELECT number, at, given, action, state, call_id, detail FROM order_steps"
        " WHERE tenant = ? AND order_id = ? ORDER BY number",
        (tenant, order_id),
    )
    return [Step(*row) for row in rows.fetchall()]


def states(database: Database, tenant: str) -> dict[str, int]:
    """How many orders stand where."""
    rows = database.execute(
        "SELECT state, count(*) FROM orders WHERE tenant = ? GROUP BY state", (tenant,)
    )
    return dict(rows.fetchall())
