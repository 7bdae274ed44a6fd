"""Reconciliation: what does not fit together among orders, pools and lines. Changes nothing."""

from dataclasses import dataclass, field
from typing import Final

from actors.store.sql import Database

MOST: Final = 100  # of each kind in one report

# Each: what it is, and a query for (id, detail) with the tenant and a time before which is too old.
QUERIES: Final = {
    "stuck": (
        "SELECT order_id, state FROM orders WHERE tenant = ? AND changed_at < ? AND state NOT IN"
        " ('active', 'released', 'downloaded', 'cancelled', 'failed', 'ended')"
        " ORDER BY changed_at LIMIT ?"
    ),
    "in-doubt": (
        "SELECT order_id, reason FROM orders WHERE tenant = ? AND state = 'in-doubt'"
        " AND created_at < ? ORDER BY created_at LIMIT ?"
    ),
    "profile-without-order": (
        "SELECT p.iccid, p.state FROM profiles p WHERE p.tenant = ?"
        " AND p.state IN ('reserved', 'released') AND p.changed_at < ? AND NOT EXISTS"
        " (SELECT 1 FROM orders o WHERE o.tenant = p.tenant AND o.order_id = p.order_id"
        " AND o.iccid = p.iccid AND o.state NOT IN ('cancelled', 'failed', 'ended'))"
        " ORDER BY p.changed_at LIMIT ?"
    ),
    "line-without-profile": (
        "SELECT l.imsi, l.order_id FROM lines l WHERE l.tenant = ? AND l.state = 'active'"
        " AND l.created_at < ? AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.tenant = l.tenant"
        " AND o.line_imsi = l.imsi AND o.state NOT IN ('cancelled', 'failed', 'ended'))"
        " ORDER BY l.created_at LIMIT ?"
    ),
    "profile-without-line": (
        "SELECT o.order_id, o.state FROM orders o WHERE o.tenant = ? AND o.state = 'active'"
        " AND o.changed_at < ? AND NOT EXISTS (SELECT 1 FROM subscribers s"
        " WHERE s.tenant = o.tenant AND s.imsi = o.line_imsi AND s.status <> 'terminated')"
        " ORDER BY o.changed_at LIMIT ?"
    ),
    "orphan-notification": (
        "SELECT iccid, smdp FROM profile_notifications WHERE tenant = ? AND order_id = ''"
        " AND received_at < ? ORDER BY received_at LIMIT ?"
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at.

    Attributes:
        kind: a key of `QUERIES`.
        subject: order id, ICCID or IMSI.
    """

    kind: str
    subject: str = field(repr=False)
    detail: str


def findings(database: Database, tenant: str, before: int) -> list[Finding]:
    """Everything that does not fit and has not changed since `before` (Unix time)."""
    return [
        Finding(kind, str(subject), str(detail))
        for kind, query in QUERIES.items()
        for subject, detail in database.execute(query, (tenant, before, MOST)).fetchall()
    ]
