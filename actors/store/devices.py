"""The terminals that a card was seen in, and the history of what changed.

No statement needs an answer of the one before it, so that PostgreSQL gets them all in one go.
"""

from collections.abc import Iterator
from typing import Final

from actors.store.records import Identity, NewToken
from actors.store.sql import Database

MAX_DEVICES: Final = 16  # remembered for one card; a terminal id can be invented
SEEN_SECONDS: Final = 3_600  # `last_seen` of the terminal in use is not kept more exactly
DIGITS: Final = "0123456789"

# The card was in another terminal last. The first 14 digits of an IMEI name the terminal; the check
# digit or the software version follows them (TS 23.003 §6.2). Terminal ids of another kind count
# for nothing here: a device may have an IMEI and a UUID.
IMEI_CHANGED: Final = (
    "INSERT INTO identity_changes (tenant, kind, subject, at, old, new)"  # noqa: S608 - our text
    " SELECT ?, ?, ?, ?, terminal_id, ? FROM (SELECT terminal_id FROM devices"
    " WHERE tenant = ? AND imsi = ? ORDER BY last_seen DESC LIMIT 1) latest"
    f" WHERE length(terminal_id) BETWEEN 14 AND 16 AND trim(terminal_id, '{DIGITS}') = ''"
    " AND substr(terminal_id, 1, 14) <> ? ON CONFLICT DO NOTHING"
)
# The terminal has a card that it never had; a terminal with two cards is no change each time.
CARD_CHANGED: Final = (
    "INSERT INTO identity_changes (tenant, kind, subject, at, old, new)"
    " SELECT ?, ?, ?, ?, imsi, ? FROM (SELECT imsi FROM devices"
    " WHERE tenant = ? AND terminal_id = ? ORDER BY last_seen DESC LIMIT 1) latest"
    " WHERE NOT EXISTS (SELECT 1 FROM devices"
    " WHERE tenant = ? AND imsi = ? AND terminal_id = ?) ON CONFLICT DO NOTHING"
)
SEEN: Final = (
    "INSERT INTO devices (tenant, imsi, terminal_id, vendor, model, sw_version, first_seen,"
    " last_seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, imsi, terminal_id)"
    " DO UPDATE SET vendor = excluded.vendor, model = excluded.model,"
    " sw_version = excluded.sw_version, last_seen = excluded.last_seen"
)
TOO_MANY: Final = (
    "DELETE FROM devices WHERE tenant = ? AND imsi = ? AND terminal_id IN"  # noqa: S608 - our text
    " (SELECT terminal_id FROM devices WHERE tenant = ? AND imsi = ? AND terminal_id <> ?"
    f" ORDER BY last_seen DESC LIMIT 1000 OFFSET {MAX_DEVICES - 1})"
)


def device_steps(token: NewToken) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Statements with their values that remember the terminal, and what changed with it."""
    tenant, imsi, terminal, now = token.tenant, token.imsi, token.terminal_id, token.issued
    imei = _imei(terminal)
    if imei:
        kind = int(Identity.IMEI_OF_IMSI)
        yield IMEI_CHANGED, (tenant, kind, imsi, now, terminal, tenant, imsi, imei)
    kind, of = int(Identity.IMSI_OF_TERMINAL), (tenant, terminal)
    yield CARD_CHANGED, (tenant, kind, terminal, now, imsi, *of, tenant, imsi, terminal)
    description = (token.terminal_vendor, token.terminal_model, token.terminal_sw_version)
    yield SEEN, (tenant, imsi, terminal, *description, now, now)
    yield TOO_MANY, (tenant, imsi, tenant, imsi, terminal)


def see_device(connection: Database, token: NewToken) -> None:
    """Carry the steps out."""
    for sql, values in device_steps(token):
        connection.execute(sql, values)


def _imei(terminal_id: str) -> str:
    """The 14 digits of an IMEI that name the terminal; empty for a terminal id of another kind."""
    return terminal_id[:14] if 14 <= len(terminal_id) <= 16 and terminal_id.isdigit() else ""
