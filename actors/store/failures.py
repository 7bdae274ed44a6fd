"""What SQLite reports, as `StoreUnavailable` with one word for counters."""

import sqlite3
from collections.abc import Mapping
from typing import Final

from actors.store.store import StoreUnavailable

# Primary result codes, https://sqlite.org/rescode.html: the low octet of an extended code.
REASONS: Final[Mapping[int, str]] = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_FULL: "full-disk",
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_NOTADB: "corrupt",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_IOERR: "input-output",
    sqlite3.SQLITE_CANTOPEN: "input-output",
}


def unavailable(error: Exception) -> StoreUnavailable:
    """The value for a caller; SQLite's texts hold names of tables, never values."""
    if not isinstance(error, sqlite3.Error):
        return StoreUnavailable("crash", type(error).__name__)
    code = getattr(error, "sqlite_errorcode", None)
    if code is None and "decode" in str(error):
        # Python's own: octets that are no UTF-8, in one row. Its text quotes them.
        return StoreUnavailable("bad-row", "bad-row: a value is not UTF-8 text")
    reason = REASONS.get(code & 0xFF, "other") if isinstance(code, int) else "other"
    return StoreUnavailable(reason, f"{reason}: {error}")
