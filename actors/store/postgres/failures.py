"""What PostgreSQL reports, as `StoreUnavailable` with one word for counters.

Source: the SQLSTATE codes of PostgreSQL 15, Appendix A.
"""

from collections.abc import Mapping
from typing import Final

from actors.store.store import StoreUnavailable

# Whole codes first, then classes (their first two characters).
REASONS: Final[Mapping[str, str]] = {
    "57014": "timeout",  # statement_timeout
    "55P03": "locked",
    "25006": "read-only",
    "53100": "full-disk",
    "22": "refused",  # the value
    "23": "refused",  # a constraint
    "08": "connection",
    "57": "connection",
    "58": "input-output",
    "XX": "corrupt",
}
# Somebody else was in the way: the same again may well succeed.
AGAIN: Final = frozenset({"40001", "40P01"})
# This connection is no use any more, but another one may be: the server ends or starts, or is no
# primary now (after a failover; with several hosts libpq finds the new one), or somebody threw the
# prepared statements away.
RECONNECT: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25006", "26000", "08006"})


def reason_of(state: str) -> str:
    """The word for a SQLSTATE."""
    return REASONS.get(state) or REASONS.get(state[:2], "other")


def unavailable(state: str, text: str) -> StoreUnavailable:
    """The value for a caller.

    Args:
        state: SQLSTATE, empty if there is none.
        text: the primary message. Those about values quote them, so they are left out.
    """
    reason = reason_of(state)
    told = "" if reason == "refused" else f" {text.strip()}"
    return StoreUnavailable(reason, f"{reason}: SQLSTATE {state}{told}")
