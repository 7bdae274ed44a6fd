"""The statements of the store in PostgreSQL, and why each write may be done twice.

When a connection dies in the middle of a write nobody knows whether it was done. It is done again:

| write | a second time |
|---|---|
| a token | changes nothing: its hash is in the row already (`PUT_TOKENS`) |
| a device, a history entry | the same values; the entry is there already |
| a registration | the same values; what then looks like a duplicate is told as the success it was |
| an end of registrations | nothing is left to end |
| revoking a subscriber or a session | what is revoked stays so |
| bumping the generation | voids tokens once more: the device authenticates again, never less |

`PUT_TOKENS` differs from SQLite's statement: there the database thread looks first which tokens are
superseded, and puts the others. Here question and answer would cost a second journey, so the
statement itself leaves them out. Between its look at the subscriber and its commit another node may
revoke; the token then has an older generation than the subscriber, and is void for that reason.
"""

from typing import Final

from actors.store import devices, writes
from actors.store.postgres.requests import SET_TENANT
from actors.store.postgres.statements import Statement
from actors.store.records import HISTORY as HISTORY_SQL
from actors.store.subscriber_rows import FIND_SUBSCRIBER as SUBSCRIBER_SQL
from actors.store.token_rows import (
    FIND_BY_HASH,
    REPLACE,
    REVOKE_SESSION,
    REVOKE_SUBSCRIBER,
    ROW,
    SAME_OWNER,
    TOKEN_COLUMNS,
    VALUE_TYPES,
)

SIZES: Final = (64, 32, 16, 8, 4, 2, 1)  # tokens in one statement: as many of each are prepared
SWEPT_ROWS: Final = 2_000

FIND_TOKEN: Final = Statement(FIND_BY_HASH, "it")
FIND_SUBSCRIBER: Final = Statement(SUBSCRIBER_SQL, "tt")
HISTORY: Final = Statement(HISTORY_SQL, "titi")
REGISTERED_APPS: Final = Statement(writes.REGISTERED_APPS, "ttttit")
REGISTER: Final = Statement(writes.REGISTER, "tttttiti")
END_REGISTRATION: Final = Statement(writes.END_REGISTRATION, "ttttt")
BUMP_GENERATION: Final = Statement(writes.BUMP_GENERATION, "tt")
# With the rows' keys: this node forgets them itself, before it says that they are revoked.
REVOKE_TOKENS: Final = tuple(
    Statement(f"{sql} RETURNING owner", "itt") for sql in REVOKE_SUBSCRIBER
)
END_SESSION: Final = tuple(Statement(f"{sql} RETURNING owner", "itb") for sql in REVOKE_SESSION)
DEVICE: Final = {
    devices.IMEI_CHANGED: Statement(devices.IMEI_CHANGED, "tititttt"),
    devices.CARD_CHANGED: Statement(devices.CARD_CHANGED, "titi" + "t" * 6),
    devices.SEEN: Statement(devices.SEEN, "ttttttii"),
    devices.TOO_MANY: Statement(devices.TOO_MANY, "ttttt"),
}
WHICH_ARE_SPECIAL: Final = {
    size: Statement(writes.which_are_special(size), "ittitttti" * size) for size in SIZES
}


def _put_tokens(rows: int) -> str:
    return (
        f"WITH fresh ({TOKEN_COLUMNS}) AS (VALUES {', '.join([ROW] * rows)})"  # noqa: S608
        f" INSERT INTO tokens ({TOKEN_COLUMNS}) SELECT {TOKEN_COLUMNS} FROM fresh WHERE coalesce("
        "(SELECT s.token_generation FROM subscribers s WHERE s.tenant = fresh.tenant"
        f" AND s.imsi = fresh.imsi), 0) <= fresh.generation {REPLACE} WHERE {SAME_OWNER}"
        " AND tokens.token_hash <> excluded.token_hash"
        " AND (tokens.previous_hash IS NULL OR tokens.previous_hash <> excluded.token_hash)"
    )


PUT_TOKENS: Final = {size: Statement(_put_tokens(size), VALUE_TYPES * size) for size in SIZES}

# Other than SQLite's: with row-level security a walk by owner would read past the rows of all other
# tenants; this one follows an index that begins with the tenant.
STRETCH_END: Final = Statement(
    "SELECT max(imsi) FROM (SELECT imsi FROM tokens WHERE tenant = ? AND imsi > ?"  # noqa: S608
    f" ORDER BY imsi LIMIT {SWEPT_ROWS}) stretch",
    "tt",
)
SWEEP: Final = Statement(
    "DELETE FROM tokens WHERE tenant = ? AND imsi > ? AND imsi <= ? AND valid_until < ?"
    " AND previous_until < ?",
    "tttii",
)

READS: Final = (SET_TENANT, FIND_TOKEN, FIND_SUBSCRIBER, HISTORY, REGISTERED_APPS)
WRITES: Final = (
    SET_TENANT,
    FIND_TOKEN,
    REGISTER,
    END_REGISTRATION,
    BUMP_GENERATION,
    *REVOKE_TOKENS,
    *END_SESSION,
    *DEVICE.values(),
    *WHICH_ARE_SPECIAL.values(),
    *PUT_TOKENS.values(),
    STRETCH_END,
    SWEEP,
)
