"""The lines of the embedded BSS: what eSIM orders change of the subscribers.

Operations as in `orders.py`. Every change is kept with its idempotency key in the transaction that
makes it, so that a repetition finds what the first attempt did.
"""

from collections.abc import Callable, Mapping
from typing import Final

from actors.backends.bss import Plan, Subscriber, SubscriberStatus
from actors.backends.bss_lines import LineChange, LineDone, LineEligibility, LineRefused
from actors.store.plans import plan_of
from actors.store.records import Identity
from actors.store.sql import Database
from actors.store.subscriber_rows import SUBSCRIBER_COLUMNS, row_of, subscriber_of

Done = LineDone | LineRefused

COMPANION_SERVICES: Final = ("SharedNumber", "DiffNumber")
SHARED_NUMBER: Final = "SharedNumber"
MAX_LINES: Final = 10  # of one subscriber; more is a loop of something

_FIND: Final = (
    f"SELECT {', '.join(SUBSCRIBER_COLUMNS)} FROM subscribers"  # noqa: S608 - names of columns
    " WHERE tenant = ? AND imsi = ?"
)
_PUT: Final = (
    f"INSERT INTO subscribers ({', '.join(SUBSCRIBER_COLUMNS)})"  # noqa: S608
    f" VALUES ({', '.join('?' * len(SUBSCRIBER_COLUMNS))})"
    " ON CONFLICT (tenant, imsi) DO UPDATE SET "
    + ", ".join(
        f"{name} = excluded.{name}"
        for name in SUBSCRIBER_COLUMNS
        if name not in ("tenant", "imsi", "token_generation")
    )
)
_END: Final = (
    "UPDATE subscribers SET status = 'terminated', msisdn = '',"
    " token_generation = token_generation + 1 WHERE tenant = ? AND imsi = ?"
)
_LINE: Final = (
    "INSERT INTO lines (tenant, imsi, owner_imsi, app, service, plan_id, iccid, eid, terminal_id,"
    " friendly_name, order_id, state, created_at, ended_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'active', ?, 0)"
    " ON CONFLICT (tenant, imsi) DO UPDATE SET owner_imsi = excluded.owner_imsi,"
    " app = excluded.app, service = excluded.service, plan_id = excluded.plan_id,"
    " iccid = excluded.iccid,"
    " eid = excluded.eid, terminal_id = excluded.terminal_id,"
    " friendly_name = excluded.friendly_name, order_id = excluded.order_id, state = 'active',"
    " created_at = excluded.created_at, ended_at = 0"
)
_SWAP: Final = (
    "INSERT INTO identity_changes (tenant, kind, subject, at, new, old) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)


def find_subscriber(database: Database, tenant: str, imsi: str) -> Subscriber | None:
    """A subscription, whatever its status."""
    row = database.execute(_FIND, (tenant, imsi)).fetchone()
    return subscriber_of(row) if row is not None else None


def own_line(database: Database, tenant: str, owner_imsi: str, iccid: str) -> str:
    """The IMSI of the working line with this card, if it is this subscriber's; else empty."""
    row = database.execute(
        "SELECT imsi, owner_imsi FROM lines WHERE tenant = ? AND iccid = ? AND state = 'active'",
        (tenant, iccid),
    ).fetchone()
    if row is not None:
        return str(row[0]) if owner_imsi in row else ""
    row = database.execute(
        "SELECT imsi FROM subscribers WHERE tenant = ? AND iccid = ? AND iccid <> ''"
        " AND status <> 'terminated'",
        (tenant, iccid),
    ).fetchone()
    return owner_imsi if row is not None and row[0] == owner_imsi else ""


def offered_plans(database: Database, tenant: str) -> tuple[Plan, ...]:
    """All plans of the tenant, by id."""
    rows = database.execute(
        "SELECT plan_id, name, body FROM plans WHERE tenant = ? ORDER BY plan_id", (tenant,)
    )
    return tuple(plan_of(*row) for row in rows.fetchall())


def eligibility(database: Database, tenant: str, imsi: str, app: str) -> LineEligibility:
    """An active subscriber may have companions and lines up to a limit."""
    owner = find_subscriber(database, tenant, imsi)
    if owner is None:
        return LineEligibility(False, reason="unknown-subscriber")
    if owner.status is not SubscriberStatus.ACTIVE:
        return LineEligibility(False, reason=owner.status.value)
    (lines,) = database.execute(
        "SELECT count(*) FROM lines WHERE tenant = ? AND owner_imsi = ? AND state = 'active'",
        (tenant, imsi),
    ).fetchone()
    if lines >= MAX_LINES:
        return LineEligibility(False, reason="too-many-lines")
    return LineEligibility(True, COMPANION_SERVICES)


def transfer_eligibility(database: Database, tenant: str, imsi: str) -> LineEligibility:
    """An active line may move."""
    line = find_subscriber(database, tenant, imsi)
    if line is None:
        return LineEligibility(False, reason="unknown-subscriber")
    if line.status is not SubscriberStatus.ACTIVE:
        return LineEligibility(False, reason=line.status.value)
    return LineEligibility(True)


def carry_out(database: Database, verb: str, change: LineChange, now: int) -> Done:
    """Make a change once; the same key finds what became of it.

    Args:
        verb: activate, recover, move, restore, undo or end.
    """
    key = (change.tenant, change.key)
    row = database.execute(
        "SELECT refused FROM line_changes WHERE tenant = ? AND change_key = ?", key
    ).fetchone()
    if row is not None and not row[0]:
        return LineDone()
    outcome = _VERBS[verb](database, change, now)
    refused = outcome.reason if isinstance(outcome, LineRefused) else ""
    database.execute(
        "INSERT INTO line_changes (tenant, change_key, verb, at, refused) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (tenant, change_key) DO UPDATE SET refused = excluded.refused,"
        " at = excluded.at",
        (*key, verb, now, refused),
    )
    return outcome


def _activate(database: Database, change: LineChange, now: int) -> Done:
    owner = find_subscriber(database, change.tenant, change.owner_imsi)
    if owner is None or owner.status is not SubscriberStatus.ACTIVE:
        return LineRefused("unknown-subscriber" if owner is None else owner.status.value)
    if not change.imsi:
        return LineRefused("no-imsi: the pool does not say whose card the profile is")
    if not _is_free(database, change):
        return LineRefused("imsi-in-use")
    model = owner
    if change.old_imsi and change.old_imsi != change.owner_imsi:
        model = find_subscriber(database, change.tenant, change.old_imsi) or owner
    plan_id = change.plan_id or model.plan_id
    if change.plan_id and not _has_plan(database, change.tenant, plan_id):
        return LineRefused("unknown-plan")
    _put(database, _new_line(change, owner, model, plan_id))
    owner_imsi = change.imsi if change.old_imsi == change.owner_imsi else change.owner_imsi
    database.execute(
        _LINE,
        (
            change.tenant,
            change.imsi,
            owner_imsi,
            change.app,
            change.service,
            plan_id,
            change.iccid,
            change.eid,
            change.terminal_id,
            change.friendly_name,
            change.order_id,
            now,
        ),
    )
    return LineDone()


def _is_free(database: Database, change: LineChange) -> bool:
    """The card is nobody's, or was this order's before."""
    other = find_subscriber(database, change.tenant, change.imsi)
    if other is None or other.status is SubscriberStatus.TERMINATED:
        return True
    row = database.execute(
        "SELECT order_id FROM lines WHERE tenant = ? AND imsi = ?", (change.tenant, change.imsi)
    ).fetchone()
    return row is not None and row[0] == change.order_id


def _has_plan(database: Database, tenant: str, plan_id: str) -> bool:
    found = database.execute(
        "SELECT 1 FROM plans WHERE tenant = ? AND plan_id = ?", (tenant, plan_id)
    )
    return found.fetchone() is not None


def _new_line(change: LineChange, owner: Subscriber, model: Subscriber, plan_id: str) -> Subscriber:
    """A transferred line gets its number with `move`; until then the old one has it."""
    if change.old_imsi:
        msisdn = ""
    elif change.service == SHARED_NUMBER:
        msisdn = owner.msisdn
    else:
        msisdn = change.msisdn
    return Subscriber(
        change.tenant,
        change.imsi,
        msisdn,
        change.iccid,
        plan_id,
        SubscriberStatus.ACTIVE,
        model.overrides if change.old_imsi else (),
        model.vowifi_tc_status,
        model.vowifi_addr_status,
        model.vowifi_prov_status,
        model.vowifi_addr_expiry,
        model.vowifi_addr_identifier,
    )


def _put(database: Database, subscriber: Subscriber) -> None:
    database.execute(_PUT, row_of(subscriber))


def _recover(database: Database, change: LineChange, now: int) -> Done:
    line = find_subscriber(database, change.tenant, change.imsi)
    if line is None or line.status is not SubscriberStatus.ACTIVE:
        return LineRefused("unknown-subscriber" if line is None else line.status.value)
    database.execute(
        "UPDATE lines SET eid = ?, terminal_id = ?, order_id = ? WHERE tenant = ? AND imsi = ?",
        (change.eid, change.terminal_id, change.order_id, change.tenant, change.imsi),
    )
    return LineDone()


def _move(database: Database, change: LineChange, now: int) -> Done:
    """The number, and with it the companions; the old line's tokens are void."""
    new = find_subscriber(database, change.tenant, change.imsi)
    if new is None:
        # A BSS that swaps before the release is asked for nothing else.
        activated = _activate(database, change, now)
        if isinstance(activated, LineRefused):
            return activated
    old = find_subscriber(database, change.tenant, change.old_imsi)
    if old is None or (old.status is SubscriberStatus.TERMINATED and not old.msisdn):
        return LineRefused("old-line-gone")
    database.execute(
        "UPDATE subscribers SET msisdn = ? WHERE tenant = ? AND imsi = ?",
        (old.msisdn, change.tenant, change.imsi),
    )
    _change_owner(database, change.tenant, change.old_imsi, change.imsi)
    _end_line(database, change.tenant, change.old_imsi, now)
    _note_swap(database, change.tenant, old.msisdn, change.old_imsi, change.imsi, now)
    return LineDone()


def _restore(database: Database, change: LineChange, now: int) -> Done:
    new = find_subscriber(database, change.tenant, change.imsi)
    if new is None or not new.msisdn:
        return LineDone()  # the number is where it was
    database.execute(
        "UPDATE subscribers SET msisdn = ?, status = 'active' WHERE tenant = ? AND imsi = ?",
        (new.msisdn, change.tenant, change.old_imsi),
    )
    database.execute(
        "UPDATE lines SET state = 'active', ended_at = 0 WHERE tenant = ? AND imsi = ?",
        (change.tenant, change.old_imsi),
    )
    _change_owner(database, change.tenant, change.imsi, change.old_imsi)
    database.execute(
        "UPDATE subscribers SET msisdn = '' WHERE tenant = ? AND imsi = ?",
        (change.tenant, change.imsi),
    )
    _note_swap(database, change.tenant, new.msisdn, change.imsi, change.old_imsi, now)
    return LineDone()


def _undo(database: Database, change: LineChange, now: int) -> Done:
    """Only what this very order made."""
    row = database.execute(
        "SELECT order_id FROM lines WHERE tenant = ? AND imsi = ?", (change.tenant, change.imsi)
    ).fetchone()
    if row is not None and row[0] == change.order_id:
        for table in ("subscribers", "lines"):
            database.execute(
                f"DELETE FROM {table} WHERE tenant = ? AND imsi = ?",  # noqa: S608 - two names
                (change.tenant, change.imsi),
            )
    return LineDone()


def _end(database: Database, change: LineChange, now: int) -> Done:
    line = find_subscriber(database, change.tenant, change.imsi)
    if line is None or line.status is SubscriberStatus.TERMINATED:
        return LineDone()
    _end_line(database, change.tenant, change.imsi, now)
    return LineDone()


def _end_line(database: Database, tenant: str, imsi: str, now: int) -> None:
    database.execute(_END, (tenant, imsi))
    database.execute(
        "UPDATE lines SET state = 'ended', ended_at = ? WHERE tenant = ? AND imsi = ?"
        " AND state = 'active'",
        (now, tenant, imsi),
    )


def _change_owner(database: Database, tenant: str, old: str, new: str) -> None:
    database.execute(
        "UPDATE lines SET owner_imsi = ? WHERE tenant = ? AND owner_imsi = ? AND imsi <> ?",
        (new, tenant, old, old),
    )


def _note_swap(database: Database, tenant: str, msisdn: str, old: str, new: str, now: int) -> None:
    """For the swap questions of other systems."""
    if msisdn:
        kind = int(Identity.IMSI_OF_MSISDN)
        database.execute(_SWAP, (tenant, kind, msisdn, now, new, old))


_VERBS: Final[Mapping[str, Callable[[Database, LineChange, int], Done]]] = {
    "activate": _activate,
    "recover": _recover,
    "move": _move,
    "restore": _restore,
    "undo": _undo,
    "end": _end,
}
