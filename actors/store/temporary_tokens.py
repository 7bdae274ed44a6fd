"""Temporary tokens: what lets another device order in a subscriber's name (TS.43 §6.5.7, §8.9).

Operations as in `orders.py`. The token itself is not kept, only its SHA-256.
"""

from dataclasses import dataclass, field
from typing import Final

from actors.store.sql import Database

_COLUMNS: Final = "imsi, terminal_id, iccid, app, operations, expires_at, consumed_at, eid"


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A temporary token as it is kept.

    Attributes:
        operations: comma-joined operation targets.
        eid: of the first device that used it; empty: none yet.
    """

    imsi: str = field(repr=False)
    terminal_id: str = field(repr=False)
    iccid: str = field(repr=False)
    app: str
    operations: str
    expires_at: int
    consumed_at: int = 0
    eid: str = field(default="", repr=False)


def issue(database: Database, tenant: str, token_hash: bytes, row: TokenRow, now: int) -> None:
    """Keep a new token; those of the same device and application end, and old ones go."""
    database.execute(
        "DELETE FROM temporary_tokens WHERE tenant = ? AND imsi = ?"
        " AND (expires_at <= ? OR (terminal_id = ? AND app = ?))",
        (tenant, row.imsi, now, row.terminal_id, row.app),
    )
    database.execute(
        f"INSERT INTO temporary_tokens (tenant, token_hash, {_COLUMNS}, issued_at)"  # noqa: S608
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            tenant,
            token_hash,
            row.imsi,
            row.terminal_id,
            row.iccid,
            row.app,
            row.operations,
            row.expires_at,
            row.consumed_at,
            row.eid,
            now,
        ),
    )


def use(database: Database, tenant: str, token_hash: bytes, eid: str, now: int) -> TokenRow | None:
    """The token, if it is good for this device; the first device that uses it binds it."""
    row = database.execute(
        f"SELECT {_COLUMNS} FROM temporary_tokens WHERE tenant = ? AND token_hash = ?",  # noqa: S608
        (tenant, token_hash),
    ).fetchone()
    found = TokenRow(*row) if row is not None else None
    if found is None or found.consumed_at or found.expires_at <= now:
        return None
    if found.eid and eid and found.eid != eid:
        return None
    if eid and not found.eid:
        bound = database.execute(
            "UPDATE temporary_tokens SET eid = ? WHERE tenant = ? AND token_hash = ? AND eid = ''",
            (eid, tenant, token_hash),
        )
        if bound.rowcount != 1:
            return use(database, tenant, token_hash, eid, now)
    return found


def consume(database: Database, tenant: str, token_hash: bytes, now: int) -> bool:
    """It is used up; whether this was the use that did it."""
    used = database.execute(
        "UPDATE temporary_tokens SET consumed_at = ? WHERE tenant = ? AND token_hash = ?"
        " AND consumed_at = 0",
        (now, tenant, token_hash),
    )
    return used.rowcount == 1
