"""The terminals that a card was seen in, and the history of what changed."""

import sqlite3
from typing import Final

from actors.store.records import Identity, NewToken

MAX_DEVICES: Final = 16  # remembered for one card; a terminal id can be invented
SEEN_SECONDS: Final = 3_600  # `last_seen` of the terminal in use is not kept more exactly


def see_device(connection: sqlite3.Connection, token: NewToken) -> None:
    """Remember the terminal, and what changed with it."""
    tenant, imsi, terminal, now = token.tenant, token.imsi, token.terminal_id, token.issued
    description = (token.terminal_vendor, token.terminal_model, token.terminal_sw_version)
    known = connection.execute(
        "SELECT terminal_id, last_seen, vendor, model, sw_version FROM devices"
        " WHERE tenant = ? AND imsi = ? ORDER BY last_seen DESC",
        (tenant, imsi),
    ).fetchall()
    if known:
        latest, seen, *described = known[0]
        if latest == terminal and now - seen < SEEN_SECONDS and tuple(described) == description:
            return
        if _imei(latest) and _imei(terminal) and _imei(latest) != _imei(terminal):
            note_change(connection, tenant, Identity.IMEI_OF_IMSI, imsi, now, latest, terminal)
    is_new = all(row[0] != terminal for row in known)
    if is_new:
        _see_card(connection, token)
    connection.execute(
        "INSERT INTO devices (tenant, imsi, terminal_id, vendor, model, sw_version, first_seen,"
        " last_seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, imsi, terminal_id)"
        " DO UPDATE SET vendor = excluded.vendor, model = excluded.model,"
        " sw_version = excluded.sw_version, last_seen = excluded.last_seen",
        (tenant, imsi, terminal, *description, now, now),
    )
    for row in known[MAX_DEVICES - 1 :] if is_new else ():
        connection.execute(
            "DELETE FROM devices WHERE tenant = ? AND imsi = ? AND terminal_id = ?",
            (tenant, imsi, row[0]),
        )


def _see_card(connection: sqlite3.Connection, token: NewToken) -> None:
    """The terminal has a card it never had; a terminal with two cards is no change each time."""
    previous = connection.execute(
        "SELECT imsi FROM devices WHERE tenant = ? AND terminal_id = ?"
        " ORDER BY last_seen DESC LIMIT 1",
        (token.tenant, token.terminal_id),
    ).fetchone()
    if previous is not None:
        kind = Identity.IMSI_OF_TERMINAL
        subject, at, new = token.terminal_id, token.issued, token.imsi
        note_change(connection, token.tenant, kind, subject, at, previous[0], new)


def note_change(
    connection: sqlite3.Connection,
    tenant: str,
    kind: Identity,
    subject: str,
    at: int,
    old: str,
    new: str,
) -> None:
    """Add to the identity history."""
    connection.execute(
        "INSERT INTO identity_changes (tenant, kind, subject, at, old, new)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (tenant, int(kind), subject, at, old, new),
    )


def _imei(terminal_id: str) -> str:
    """The 14 digits of an IMEI that name the terminal; empty for a terminal id of another kind.

    The check digit or the software version follows them (TS 23.003 §6.2).
    """
    return terminal_id[:14] if 14 <= len(terminal_id) <= 16 and terminal_id.isdigit() else ""
