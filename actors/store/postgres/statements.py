"""Statements as PostgreSQL wants them: `$n` for `?`, its words for types, values as octets.

All SQL is written in the subset that SQLite and PostgreSQL share. What differs in every statement
is rewritten here; a statement that must differ as a whole says why where it stands.
"""

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

# SQLite's word, PostgreSQL's. An INTEGER of SQLite has 64 bits; WITHOUT ROWID is what PostgreSQL's
# tables come nearest to anyway.
# A transaction that begins as one for writing is SQLite's need. Both can empty a table at once, by
# other words: with DELETE each batch of an import would read the dead rows of those before it.
WORDS: Final = (
    (" WITHOUT ROWID", ""),
    ("INTEGER", "BIGINT"),
    ("BLOB", "BYTEA"),
    ("BEGIN IMMEDIATE", "BEGIN"),
    ("DELETE FROM incoming", "TRUNCATE incoming"),
)

# Type letters of a statement's values, and PostgreSQL's type numbers (pg_type.dat).
TYPES: Final[Mapping[str, int]] = {"t": 25, "i": 20, "b": 17}
_BOOL, _BYTEA, _INT8, _INT4, _TEXT = 16, 17, 20, 23, 25

_MARK: Final = re.compile(r"\?")
_INT64: Final = struct.Struct("!q")
_INT32: Final = struct.Struct("!i")

Encoded = bytes | None


class NotText(ValueError):
    """A text that no database can hold: half of a surrogate pair, or a NUL."""


def numbered(sql: str) -> str:
    """Portable SQL as PostgreSQL takes it; none of ours has a question mark in a literal."""
    for ours, theirs in WORDS:
        sql = sql.replace(ours, theirs)
    numbers = count(1)
    return _MARK.sub(lambda _: f"${next(numbers)}", sql)


def _octets(value: Any) -> Encoded:  # noqa: ANN401 - bytes or None
    return value  # type: ignore[no-any-return]


def _text(value: Any) -> Encoded:  # noqa: ANN401 - str or None
    if value is None:
        return None
    try:
        encoded: bytes = value.encode()
    except UnicodeEncodeError:
        raise NotText from None
    if b"\0" in encoded:
        raise NotText
    return encoded


def _integer(value: Any) -> Encoded:  # noqa: ANN401 - int or None
    return None if value is None else _INT64.pack(value)


_ENCODERS: Final[Mapping[str, Callable[[Any], Encoded]]] = {
    "t": _text,
    "i": _integer,
    "b": _octets,
}

# From the binary form of a column, by type number.
DECODERS: Final[Mapping[int, Callable[[bytes], Any]]] = {
    _BOOL: lambda octets: octets != b"\0",
    _BYTEA: bytes,
    _INT8: lambda octets: _INT64.unpack(octets)[0],
    _INT4: lambda octets: _INT32.unpack(octets)[0],
    _TEXT: bytes.decode,
}


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One statement, prepared on every connection when it opens.

    Attributes:
        sql: in the portable subset, with `?`.
        types: a letter for each value: `t` text, `i` a 64-bit integer, `b` octets.
    """

    sql: str
    types: str

    def encode(self, values: Sequence[object]) -> list[Encoded]:
        """The values in binary form.

        Raises:
            NotText: a text cannot be in a database.
            ValueError: too few or too many values.
        """
        return [_ENCODERS[kind](value) for kind, value in zip(self.types, values, strict=True)]

    @property
    def numbered(self) -> bytes:
        """What is sent to be prepared."""
        return numbered(self.sql).encode()

    @property
    def type_numbers(self) -> list[int]:
        """For preparing it."""
        return [TYPES[kind] for kind in self.types]
