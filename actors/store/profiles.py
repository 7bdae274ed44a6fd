"""The pools of profiles, and what SM-DP+ reported of them; operations as in `orders.py`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from actors.orders.machine import StockState
from actors.store.sql import Database

_COLUMNS: Final = "iccid, smdp, profile_type, state, imsi, msisdn, matching_id, batch, order_id"
_TAKE: Final = (
    "UPDATE profiles SET state = 'reserved', order_id = ?, changed_at = ?"
    " WHERE tenant = ? AND iccid = ? AND state = ?"
)
_TRIES: Final = 8  # other processes may take the same profile first


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile of a pool.

    Attributes:
        matching_id: given by the vendor; empty: each order has its own.
        order_id: that has it, or had it last.
    """

    iccid: str = field(repr=False)
    smdp: str
    profile_type: str
    state: StockState = StockState.AVAILABLE
    imsi: str = field(default="", repr=False)
    msisdn: str = field(default="", repr=False)
    matching_id: str = field(default="", repr=False)
    batch: str = ""
    order_id: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pool to take from, or the one profile meant.

    Attributes:
        profile_type: empty: any.
        iccid: of a line that needs its own profile again.
    """

    smdp: str
    profile_type: str = ""
    iccid: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PoolCount:
    """How many profiles of one pool are in a state."""

    smdp: str
    profile_type: str
    state: StockState
    count: int


def _profile(row: Sequence[str]) -> Profile:
    iccid, smdp, profile_type, state, imsi, msisdn, matching_id, batch, order_id = row
    return Profile(
        iccid, smdp, profile_type, StockState(state), imsi, msisdn, matching_id, batch, order_id
    )


def find(database: Database, tenant: str, iccid: str) -> Profile | None:
    """One profile."""
    row = database.execute(
        f"SELECT {_COLUMNS} FROM profiles WHERE tenant = ? AND iccid = ?",  # noqa: S608
        (tenant, iccid),
    ).fetchone()
    return _profile(row) if row is not None else None


def take(
    database: Database, tenant: str, wanted: Sequence[Wanted], order_id: str, now: int
) -> Profile | None:
    """Reserve a profile of the first pool that has one; as it was before."""
    for one in wanted:
        for _ in range(_TRIES):
            profile = _candidate(database, tenant, one)
            if profile is None:
                break
            values = (order_id, now, tenant, profile.iccid, profile.state.value)
            if database.execute(_TAKE, values).rowcount == 1:
                return profile
    return None


def _candidate(database: Database, tenant: str, wanted: Wanted) -> Profile | None:
    if wanted.iccid:
        own = find(database, tenant, wanted.iccid)
        again = (StockState.INSTALLED, StockState.DELETED)
        return own if own is not None and own.state in again else None
    sql = (
        f"SELECT {_COLUMNS} FROM profiles WHERE tenant = ? AND smdp = ?"  # noqa: S608
        " AND state = 'available'"
    )
    values = [tenant, wanted.smdp]
    if wanted.profile_type:
        sql += " AND profile_type = ?"
        values.append(wanted.profile_type)
    row = database.execute(f"{sql} ORDER BY profile_type, iccid LIMIT 1", values).fetchone()
    return _profile(row) if row is not None else None


def adopt(database: Database, tenant: str, profile: Profile, order_id: str, now: int) -> Profile:
    """A profile that the SM-DP+ chose by its type: known from an import, or new."""
    database.execute(
        "INSERT INTO profiles (tenant, iccid, smdp, profile_type, state, imsi, msisdn, matching_id,"
        " batch, imported_at, changed_at, order_id) VALUES (?, ?, ?, ?, 'reserved', '', '', '',"
        " 'chosen by the SM-DP+', ?, ?, ?) ON CONFLICT (tenant, iccid) DO UPDATE SET"
        " state = 'reserved', changed_at = excluded.changed_at, order_id = excluded.order_id"
        " WHERE profiles.smdp = excluded.smdp AND profiles.state = 'available'",
        (tenant, profile.iccid, profile.smdp, profile.profile_type, now, now, order_id),
    )
    return find(database, tenant, profile.iccid) or profile


def put_state(
    database: Database, tenant: str, iccid: str, state: StockState, order_id: str, now: int
) -> None:
    """What became of a profile; those that are not in our pools are not our concern."""
    database.execute(
        "UPDATE profiles SET state = ?, order_id = ?, changed_at = ?"
        " WHERE tenant = ? AND iccid = ?",
        (state.value, order_id, now, tenant, iccid),
    )


def counts(database: Database, tenant: str) -> list[PoolCount]:
    """All pools, state by state."""
    rows = database.execute(
        "SELECT smdp, profile_type, state, count(*) FROM profiles WHERE tenant = ?"
        " GROUP BY smdp, profile_type, state ORDER BY smdp, profile_type, state",
        (tenant,),
    )
    return [
        PoolCount(smdp, profile_type, StockState(state), count)
        for smdp, profile_type, state, count in rows.fetchall()
    ]


def put_profiles(
    database: Database, tenant: str, rows: Sequence[Profile], now: int, *, repair: bool = False
) -> tuple[int, int]:
    """Add profiles; (how many are new, how many of the others were changed).

    A profile that an order has or had keeps its state. `repair` brings quarantined and deleted ones
    back to the pool, after people have looked.
    """
    added = changed = 0
    for row in rows:
        values = (
            tenant,
            row.iccid,
            row.smdp,
            row.profile_type,
            row.imsi,
            row.msisdn,
            row.matching_id,
            row.batch,
            now,
            now,
        )
        new = database.execute(_ADD, values).rowcount
        added += new
        if not new:
            known = (row.smdp, row.profile_type, row.imsi, row.msisdn, row.matching_id, row.batch)
            where = (tenant, row.iccid, "available", "quarantined" if repair else "available")
            changed += database.execute(_CHANGE, (*known, now, *where, *known[:5])).rowcount
    return added, changed


_ADD: Final = (
    "INSERT INTO profiles (tenant, iccid, smdp, profile_type, state, imsi, msisdn, matching_id,"
    " batch, imported_at, changed_at, order_id) VALUES (?, ?, ?, ?, 'available', ?, ?, ?, ?, ?, ?,"
    " '') ON CONFLICT DO NOTHING"
)
_CHANGE: Final = (
    "UPDATE profiles SET smdp = ?, profile_type = ?, imsi = ?, msisdn = ?, matching_id = ?,"
    " batch = ?, state = 'available', changed_at = ? WHERE tenant = ? AND iccid = ?"
    " AND state IN (?, ?) AND (state = 'quarantined' OR smdp <> ? OR profile_type <> ?"
    " OR imsi <> ? OR msisdn <> ? OR matching_id <> ?)"
)


# --- notifications ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeptNotification:
    """A notification as it is kept.

    Attributes:
        given: name of the order's input that it is; empty: it changes nothing.
        order_id: empty: it is about no profile of ours (an orphan).
    """

    tenant: str
    digest: str
    smdp: str
    iccid: str = field(repr=False)
    order_id: str
    point: str
    given: str
    reason: str
    happened_at: int
    received_at: int


_KEPT: Final = (
    "tenant, digest, smdp, iccid, order_id, point, given, reason, happened_at, received_at"
)


def keep_notification(
    database: Database, one: KeptNotification, raw: bytes
) -> tuple[str, KeptNotification]:
    """Keep what an SM-DP+ reported: `kept`, `duplicate`, `unknown` or `foreign` (nothing kept)."""
    profile = find(database, one.tenant, one.iccid)
    if profile is not None and profile.smdp != one.smdp:
        return "foreign", one
    order_id = profile.order_id if profile is not None else ""
    written = database.execute(
        f"INSERT INTO profile_notifications ({_KEPT}, done, raw)"  # noqa: S608
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            one.tenant,
            one.digest,
            one.smdp,
            one.iccid,
            order_id,
            one.point,
            one.given,
            one.reason,
            one.happened_at,
            one.received_at,
            int(not (order_id and one.given)),
            raw,
        ),
    )
    kept = KeptNotification(
        one.tenant,
        one.digest,
        one.smdp,
        one.iccid,
        order_id,
        one.point,
        one.given,
        one.reason,
        one.happened_at,
        one.received_at,
    )
    if written.rowcount == 0:
        return "duplicate", kept
    return ("kept" if profile is not None else "unknown"), kept


def finish_notification(database: Database, tenant: str, digest: str) -> None:
    """The order has taken it."""
    database.execute(
        "UPDATE profile_notifications SET done = 1 WHERE tenant = ? AND digest = ?",
        (tenant, digest),
    )


def open_notifications(database: Database, tenant: str, limit: int) -> list[KeptNotification]:
    """Those that no order has taken yet, oldest first."""
    rows = database.execute(
        f"SELECT {_KEPT} FROM profile_notifications"  # noqa: S608
        " WHERE tenant = ? AND done = 0 ORDER BY received_at LIMIT ?",
        (tenant, limit),
    )
    return [KeptNotification(*row) for row in rows.fetchall()]
