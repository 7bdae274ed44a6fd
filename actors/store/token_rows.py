"""The table of tokens: one row for each owner, with the current token and the one before it.

Tokens are written many at a time with one statement: SQLite gives up the interpreter lock at every
statement and has to fight the Trio thread to get it back, which costs more than the row.
"""

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from actors.store.records import NewToken, Token, app_scope
from actors.store.sql import Database
from actors.store.tokens import OWNER_OCTETS

SWEPT_ROWS: Final = 2_000  # looked at in one go: 0.5 ms

_OWNER: Final = ("tenant", "imsi", "terminal_id", "apps", "app_name")
# The hashes; the current token, then the previous one, in the order of `Token`.
FIND_BY_HASH: Final = (
    f"SELECT token_hash, previous_hash, {', '.join(_OWNER)}, method, issued, valid_until, 0,"  # noqa: S608 - our names
    " revoked, generation, diameter_session_id, previous_method, previous_issued, previous_until,"
    " issued, previous_revoked, previous_generation, previous_session"
    " FROM tokens WHERE owner = ? AND tenant = ?"
)

TOKEN_COLUMNS: Final = (
    f"owner, {', '.join(_OWNER)}, method, token_hash, issued, valid_until, generation,"
    " diameter_session_id, previous_until, revoked"
)
VALUE_TYPES: Final = "ittttttbiiibi"
ROW: Final = f"({', '.join('?' * len(VALUE_TYPES))}, 0)"
REPLACE: Final = (
    "ON CONFLICT (owner) DO UPDATE SET"
    " previous_method = tokens.method, previous_hash = tokens.token_hash,"
    " previous_issued = tokens.issued, previous_until = CASE WHEN tokens.valid_until <"
    " excluded.previous_until THEN tokens.valid_until ELSE excluded.previous_until END,"
    " previous_revoked = tokens.revoked, previous_generation = tokens.generation,"
    " previous_session = tokens.diameter_session_id,"
    " method = excluded.method, token_hash = excluded.token_hash, issued = excluded.issued,"
    " valid_until = excluded.valid_until, revoked = 0, generation = excluded.generation,"
    " diameter_session_id = excluded.diameter_session_id"
)
SAME_OWNER: Final = " AND ".join(f"tokens.{name} = excluded.{name}" for name in _OWNER)
SAME_KEY: Final = "two owners of tokens have the same key"
# The current token and the one before it; the values are: when, the tenant, whose.
REVOKE_SUBSCRIBER: Final = (
    "UPDATE tokens SET revoked = ? WHERE tenant = ? AND imsi = ? AND revoked = 0",
    "UPDATE tokens SET previous_revoked = ? WHERE tenant = ? AND imsi = ? AND previous_revoked = 0",
)
REVOKE_SESSION: Final = (
    "UPDATE tokens SET revoked = CASE WHEN revoked = 0 THEN ? ELSE revoked END"
    " WHERE tenant = ? AND diameter_session_id = ?",
    "UPDATE tokens SET previous_revoked ="
    " CASE WHEN previous_revoked = 0 THEN ? ELSE previous_revoked END"
    " WHERE tenant = ? AND previous_session = ?",
)


def split_hash(token_hash: bytes) -> tuple[int, bytes]:
    """The key of the row, and what must stand in it."""
    return int.from_bytes(token_hash[:OWNER_OCTETS], "big") >> 1, token_hash[OWNER_OCTETS:]


def token_of(row: Sequence[Any], hashed: bytes) -> Token | None:
    """The token of this hash in a row of `FIND_BY_HASH`, if it is there."""
    if row[0] == hashed:
        return Token(*row[2:14])
    if row[1] == hashed:
        return Token(*row[2:7], *row[14:])
    return None


def put_tokens(connection: Database, tokens: Sequence[NewToken]) -> None:
    """Put each token in its owner's row, where the one that was there becomes the previous one.

    Raises:
        sqlite3.IntegrityError: a row belongs to somebody else.
    """
    if connection.execute(_upsert(len(tokens)), token_values(tokens)).rowcount != len(tokens):
        raise sqlite3.IntegrityError(SAME_KEY)


def token_values(tokens: Sequence[NewToken]) -> list[object]:
    """The values of a statement that puts tokens, `VALUE_TYPES` for each."""
    values: list[object] = []
    for token in tokens:
        owner, hashed = split_hash(token.token_hash)
        values += (
            owner,
            token.tenant,
            token.imsi,
            token.terminal_id,
            app_scope(token.apps),
            token.app_name,
            token.method,
            hashed,
            token.issued,
            token.expires,
            token.generation,
            token.diameter_session_id,
            token.issued + token.grace_seconds,
        )
    return values


@cache
def _upsert(rows: int) -> str:
    """The statement for so many tokens. `previous_until` of a new row is the end of the grace."""
    values = f"VALUES {', '.join([ROW] * rows)}"
    return f"INSERT INTO tokens ({TOKEN_COLUMNS}) {values} {REPLACE} WHERE {SAME_OWNER}"


def revoke_subscriber(connection: Database, tenant: str, imsi: str, at: int) -> int:
    """Mark all tokens of a subscriber; how many there were."""
    values = (at, tenant, imsi)
    return sum(connection.execute(sql, values).rowcount for sql in REVOKE_SUBSCRIBER)


def revoke_session(connection: Database, tenant: str, session: bytes, at: int) -> int:
    """Mark the tokens that a Diameter session led to.

    Returns:
        How many there are, also those that were revoked before: who asks again is told the same.
    """
    values = (at, tenant, session)
    return sum(connection.execute(sql, values).rowcount for sql in REVOKE_SESSION)


class Sweeper:
    """Removes expired tokens, walking through the table round and round, a stretch each second.

    An index by expiry would have to be changed with every token.
    """

    def __init__(self) -> None:
        self._after = -1
        self._swept_at = 0

    def sweep(self, connection: Database, now: int) -> None:
        """Do the next stretch, unless this second had one; inside a transaction."""
        if now == self._swept_at:
            return
        self._swept_at = now
        (last,) = connection.execute(
            "SELECT max(owner) FROM (SELECT owner FROM tokens WHERE owner > ?"
            " ORDER BY owner LIMIT ?) stretch",
            (self._after, SWEPT_ROWS),
        ).fetchone()
        if last is None:  # the end; the next second begins again
            self._after = -1
            return
        connection.execute(
            "DELETE FROM tokens WHERE owner > ? AND owner <= ? AND valid_until < ?"
            " AND previous_until < ?",
            (self._after, last, now, now),
        )
        self._after = last
