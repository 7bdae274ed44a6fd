"""The operations that change tokens, devices and registrations; they run in the database thread.

Each is one function of (connection, record or records), inside the transaction of its batch. What
PostgreSQL does of the same is `actors/store/postgres/operations.py`.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

from actors.store.devices import SEEN_SECONDS, see_device
from actors.store.records import NewToken, NotificationAction, Registration, RegistrationStatus
from actors.store.sql import Database
from actors.store.store import TokenSuperseded
from actors.store.token_rows import put_tokens, revoke_session, revoke_subscriber

__all__ = [
    "already_registered",
    "bump_generation",
    "register",
    "revoke_session",
    "revoke_tokens",
    "save_token",
    "save_tokens",
]

BUMP_GENERATION: Final = (
    "UPDATE subscribers SET token_generation = token_generation + 1"
    " WHERE tenant = ? AND imsi = ? RETURNING token_generation"
)
END_REGISTRATION: Final = (
    "DELETE FROM registrations"
    " WHERE tenant = ? AND imsi = ? AND terminal_id = ? AND app = ? AND app_name = ?"
)
REGISTER: Final = (
    "INSERT INTO registrations (tenant, imsi, terminal_id, app, app_name, action, push_token,"
    " registered) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (tenant, imsi, terminal_id, app, app_name) DO UPDATE SET"
    " action = excluded.action, push_token = excluded.push_token, registered = excluded.registered"
    " WHERE registrations.action <> excluded.action"
    " OR registrations.push_token <> excluded.push_token"
)
REGISTERED_APPS: Final = (
    "SELECT app FROM registrations WHERE tenant = ? AND imsi = ? AND terminal_id = ?"
    " AND app_name = ? AND action = ? AND push_token = ?"
)
AT_ONCE: Final = 64  # tokens in one statement; as many statements are kept prepared


def save_token(connection: Database, token: NewToken) -> TokenSuperseded | None:
    """Keep a token and its device, and let the token that it replaces end after the grace."""
    return save_tokens(connection, (token,))[0]


def save_tokens(connection: Database, tokens: Sequence[NewToken]) -> list[TokenSuperseded | None]:
    """Do the same for many, in their order; the results in that order too."""
    results: list[TokenSuperseded | None] = []
    for begin in range(0, len(tokens), AT_ONCE):
        results += _save_some(connection, tokens[begin : begin + AT_ONCE])
    return results


def _save_some(connection: Database, tokens: Sequence[NewToken]) -> list[TokenSuperseded | None]:
    special = _special(connection, tokens)
    results: list[TokenSuperseded | None] = [None] * len(tokens)
    if not special:
        put_tokens(connection, tokens)
        return results
    for at, is_superseded in special.items():
        if is_superseded:
            results[at] = TokenSuperseded("the subscriber's tokens were revoked meanwhile")
    kept = [token for token, result in zip(tokens, results, strict=True) if result is None]
    if kept:
        put_tokens(connection, kept)
    news = {(tokens[at].tenant, tokens[at].imsi) for at in special}
    for token in kept:
        # All of this subscriber: what the first one changes may be news for the second.
        if (token.tenant, token.imsi) in news:
            see_device(connection, token)
    return results


def _special(connection: Database, tokens: Sequence[NewToken]) -> dict[int, bool]:
    """The few that need more than to be kept, by position; whether it is superseded.

    The others have the device that was the card's last one, unchanged and seen lately.
    """
    rows = connection.execute(which_are_special(len(tokens)), asked_values(tokens)).fetchall()
    return {at: bool(superseded) for at, superseded in rows}


def asked_values(tokens: Sequence[NewToken]) -> list[object]:
    """The values of `which_are_special`, in its order."""
    values: list[object] = []
    for at, token in enumerate(tokens):
        values += (
            at,
            token.tenant,
            token.imsi,
            token.generation,
            token.terminal_id,
            token.terminal_vendor,
            token.terminal_model,
            token.terminal_sw_version,
            token.issued - SEEN_SECONDS,
        )
    return values


@cache
def which_are_special(rows: int) -> str:
    """One question for so many tokens, because the answer is nearly always: none.

    Scalar subqueries, not joins: PostgreSQL without statistics would join by the tenant alone.
    """
    row = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
    return (
        "WITH asked (at, tenant, imsi, generation, terminal_id, vendor, model, sw_version, since)"  # noqa: S608
        f" AS (VALUES {', '.join([row] * rows)})"
        " SELECT at, superseded FROM (SELECT a.at, coalesce((SELECT s.token_generation"
        " FROM subscribers s WHERE s.tenant = a.tenant AND s.imsi = a.imsi), 0) > a.generation"
        " AS superseded, NOT EXISTS (SELECT 1 FROM devices d"
        " WHERE d.tenant = a.tenant AND d.imsi = a.imsi AND d.terminal_id = a.terminal_id"
        " AND d.vendor = a.vendor AND d.model = a.model AND d.sw_version = a.sw_version"
        " AND d.last_seen > a.since AND NOT EXISTS (SELECT 1 FROM devices o"
        " WHERE o.tenant = a.tenant AND o.imsi = a.imsi AND o.terminal_id <> a.terminal_id"
        " AND o.last_seen >= d.last_seen)) AS news FROM asked a) judged WHERE superseded OR news"
    )


def register(connection: Database, wish: Registration) -> RegistrationStatus:
    """Register, change or end the notifications of each application."""
    if wish.action == NotificationAction.DISABLE:
        connection.executemany(END_REGISTRATION, registration_keys(wish))
        return RegistrationStatus.SUCCESS
    rows = [(*key, wish.action, wish.push_token, wish.at) for key in registration_keys(wish)]
    changed = connection.executemany(REGISTER, rows).rowcount
    return RegistrationStatus.SUCCESS if changed else RegistrationStatus.DUPLICATE


def already_registered(connection: Database, wish: Registration) -> bool:
    """Whether every application has this very registration."""
    rows = connection.execute(REGISTERED_APPS, registered_values(wish)).fetchall()
    return {app for (app,) in rows}.issuperset(wish.apps)


def registered_values(wish: Registration) -> tuple[object, ...]:
    """The values of `REGISTERED_APPS`."""
    owner = (wish.tenant, wish.imsi, wish.terminal_id, wish.app_name)
    return (*owner, wish.action, wish.push_token)


def registration_keys(wish: Registration) -> list[tuple[str, ...]]:
    """The keys of the rows, one for each application, in one order for everybody."""
    apps = sorted(set(wish.apps))
    return [(wish.tenant, wish.imsi, wish.terminal_id, app, wish.app_name) for app in apps]


def revoke_tokens(connection: Database, tenant: str, imsi: str, at: int) -> int:
    """Revoke a subscriber's tokens, and those that are being issued; how many there were."""
    bump_generation(connection, tenant, imsi)
    return revoke_subscriber(connection, tenant, imsi, at)


def bump_generation(connection: Database, tenant: str, imsi: str) -> int:
    """Void every token of a subscriber; the new generation, 0 for a stranger."""
    rows = connection.execute(BUMP_GENERATION, (tenant, imsi)).fetchall()
    return int(rows[0][0]) if rows else 0
