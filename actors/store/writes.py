"""The operations that change tokens, devices and registrations; they run in the database thread.

Each is one function of (connection, record), inside the transaction of its batch.
"""

import sqlite3
from typing import Final

from actors.store.records import (
    Identity,
    NewToken,
    NotificationAction,
    Registration,
    RegistrationStatus,
    app_scope,
)
from actors.store.store import TokenSuperseded

MAX_DEVICES: Final = 16  # remembered for one card; a terminal id can be invented
SEEN_SECONDS: Final = 3_600  # `last_seen` of the terminal in use is not kept more exactly
SWEPT: Final = 2  # expired tokens that each new one removes, so that none pile up


def save_token(connection: sqlite3.Connection, token: NewToken) -> TokenSuperseded | None:
    """Keep a token and its device, and let the token that it replaces end after the grace."""
    current = connection.execute(
        "SELECT token_generation FROM subscribers WHERE tenant = ? AND imsi = ?",
        (token.tenant, token.imsi),
    ).fetchone()
    if current is not None and current[0] > token.generation:
        return TokenSuperseded("the subscriber's tokens were revoked meanwhile")
    apps = app_scope(token.apps)
    owner = (token.tenant, token.imsi, token.terminal_id, apps, token.app_name)
    last = token.issued + token.grace_seconds
    connection.execute(
        "UPDATE tokens SET replaced = ?,"
        " valid_until = CASE WHEN expires < ? THEN expires ELSE ? END"
        " WHERE tenant = ? AND imsi = ? AND terminal_id = ? AND apps = ? AND app_name = ?"
        " AND replaced = 0 AND revoked = 0",
        (token.issued, last, last, *owner),
    )
    for expired in connection.execute(
        "SELECT tenant, imsi, terminal_id, apps, app_name, token_hash FROM tokens"
        " WHERE tenant = ? AND expires < ? ORDER BY expires LIMIT ?",
        (token.tenant, token.issued, SWEPT),
    ).fetchall():
        connection.execute(
            "DELETE FROM tokens WHERE tenant = ? AND imsi = ? AND terminal_id = ? AND apps = ?"
            " AND app_name = ? AND token_hash = ?",
            expired,
        )
    connection.execute(
        "INSERT INTO tokens (tenant, imsi, terminal_id, apps, app_name, token_hash, method, issued,"
        " expires, valid_until, replaced, revoked, generation, diameter_session_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?)",
        (
            *owner,
            token.token_hash,
            token.method,
            token.issued,
            token.expires,
            token.expires,
            token.generation,
            token.diameter_session_id,
        ),
    )
    _see_device(connection, token)
    return None


def _see_device(connection: sqlite3.Connection, token: NewToken) -> None:
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


def register(connection: sqlite3.Connection, wish: Registration) -> RegistrationStatus:
    """Register, change or end the notifications of each application."""
    if wish.action == NotificationAction.DISABLE:
        connection.executemany(
            "DELETE FROM registrations"
            " WHERE tenant = ? AND imsi = ? AND terminal_id = ? AND app = ? AND app_name = ?",
            registration_keys(wish),
        )
        return RegistrationStatus.SUCCESS
    if already_registered(connection, wish):
        return RegistrationStatus.DUPLICATE
    connection.executemany(
        "INSERT INTO registrations (tenant, imsi, terminal_id, app, app_name, action, push_token,"
        " registered) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (tenant, imsi, terminal_id, app, app_name) DO UPDATE SET"
        " action = excluded.action, push_token = excluded.push_token,"
        " registered = excluded.registered",
        [(*key, wish.action, wish.push_token, wish.at) for key in registration_keys(wish)],
    )
    return RegistrationStatus.SUCCESS


def already_registered(connection: sqlite3.Connection, wish: Registration) -> bool:
    """Whether every application has this very registration."""
    return all(
        connection.execute(
            "SELECT action, push_token FROM registrations"
            " WHERE tenant = ? AND imsi = ? AND terminal_id = ? AND app = ? AND app_name = ?",
            key,
        ).fetchone()
        == (wish.action, wish.push_token)
        for key in registration_keys(wish)
    )


def registration_keys(wish: Registration) -> list[tuple[str, ...]]:
    """The keys of the rows, one for each application."""
    return [(wish.tenant, wish.imsi, wish.terminal_id, app, wish.app_name) for app in wish.apps]


def revoke_tokens(connection: sqlite3.Connection, tenant: str, imsi: str, at: int) -> int:
    """Revoke a subscriber's tokens, and those that are being issued; how many there were."""
    bump_generation(connection, tenant, imsi)
    return connection.execute(
        "UPDATE tokens SET revoked = ? WHERE tenant = ? AND imsi = ? AND revoked = 0",
        (at, tenant, imsi),
    ).rowcount


def revoke_session(connection: sqlite3.Connection, tenant: str, session: bytes, at: int) -> int:
    """Revoke the tokens that a Diameter session led to; how many there were."""
    return connection.execute(
        "UPDATE tokens SET revoked = ? WHERE tenant = ? AND diameter_session_id = ?"
        " AND revoked = 0",
        (at, tenant, session),
    ).rowcount


def bump_generation(connection: sqlite3.Connection, tenant: str, imsi: str) -> int:
    """Void every token of a subscriber; the new generation, 0 for a stranger."""
    connection.execute(
        "UPDATE subscribers SET token_generation = token_generation + 1"
        " WHERE tenant = ? AND imsi = ?",
        (tenant, imsi),
    )
    row = connection.execute(
        "SELECT token_generation FROM subscribers WHERE tenant = ? AND imsi = ?", (tenant, imsi)
    ).fetchone()
    return int(row[0]) if row else 0
