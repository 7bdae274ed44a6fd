"""HPACK encoding of a device's requests (RFC 7541), as Android's OkHttp does it.

Strings are Huffman-coded. Fields that repeat (user-agent, accept and the like) enter the dynamic
table once per connection and are one octet afterwards; `:path`, cookies and other fields that
differ each time never enter it. So nothing is ever evicted and the table needs no bookkeeping.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

# Indices of the static table (RFC 7541 appendix A).
_AUTHORITY: Final = 1
_METHODS: Final = {b"GET": b"\x82", b"POST": b"\x83"}
_SCHEME_HTTPS: Final = b"\x87"
_PATH: Final = 4
_NAMES: Final = {
    b"accept-encoding": 16,
    b"accept-language": 17,
    b"accept": 19,
    b"cache-control": 24,
    b"content-length": 28,
    b"content-type": 31,
    b"cookie": 32,
    b"user-agent": 58,
}
_REPEATED: Final = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"cache-control",
        b"content-type",
        b"user-agent",
    }
)
_FIRST_DYNAMIC: Final = 62
_ENTRY_OCTETS: Final = 32  # RFC 7541 §4.1

_BITS: Final = [
    f"{code:0{length}b}"
    for code, length in zip(REQUEST_CODES[:256], REQUEST_CODES_LENGTH[:256], strict=True)
]


def huffman(value: bytes) -> bytes:
    """The string in the Huffman code, padded with ones: 12 µs for 250 characters."""
    if not value:
        return b""
    bits = "".join([_BITS[octet] for octet in value])
    missing = -len(bits) % 8
    return int(bits + "1" * missing, 2).to_bytes((len(bits) + missing) >> 3, "big")


def integer(value: int, prefix_bits: int, first: int) -> bytes:
    """An integer of RFC 7541 §5.1 under the flags `first`."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes((first | value,))
    out = [first | limit]
    value -= limit
    while value >= 128:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(value: bytes) -> bytes:
    """A string literal, in the Huffman code when that is shorter."""
    coded = huffman(value)
    if len(coded) < len(value):
        return integer(len(coded), 7, 0x80) + coded
    return integer(len(value), 7, 0) + value


@lru_cache(maxsize=256)
def _repeated_string(value: bytes) -> bytes:
    return string(value)


class RequestEncoder:
    """The sending half of one connection's HPACK."""

    __slots__ = ("_authority", "_room", "_size_update", "_table")

    def __init__(self, authority: bytes) -> None:
        self._authority = authority
        self._room = 4096  # SETTINGS_HEADER_TABLE_SIZE unless the server says less
        self._size_update = b""
        self._table: dict[tuple[bytes, bytes], int] = {}

    def limit_table(self, octets: int) -> None:
        """The server's SETTINGS_HEADER_TABLE_SIZE; a smaller one empties our table (§4.3)."""
        if octets < 4096:
            self._table.clear()
            self._room = 0
            self._size_update = integer(0, 5, 0x20)

    def encode(
        self,
        method: bytes,
        path: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        content_length: int | None,
    ) -> bytes:
        """A header block. Field names are lower case; without pseudo-headers."""
        update, self._size_update = self._size_update, b""
        parts = [
            update,
            _METHODS.get(method) or b"\x02" + string(method),
            _SCHEME_HTTPS,
            self._repeated(b":authority", self._authority, _AUTHORITY),
            integer(_PATH, 4, 0) + string(path),
        ]
        for name, value in headers:
            index = _NAMES.get(name, 0)
            if name in _REPEATED:
                parts.append(self._repeated(name, value, index))
            elif index:
                parts.append(integer(index, 4, 0) + string(value))
            else:
                parts.append(b"\0" + _repeated_string(name) + string(value))
        if content_length is not None:
            parts.append(integer(_NAMES[b"content-length"], 4, 0) + string(b"%d" % content_length))
        return b"".join(parts)

    def _repeated(self, name: bytes, value: bytes, index: int) -> bytes:
        place = self._table.get((name, value))
        if place is not None:
            return integer(_FIRST_DYNAMIC + len(self._table) - 1 - place, 7, 0x80)
        room = self._room - len(name) - len(value) - _ENTRY_OCTETS
        if room < 0:
            return integer(index, 4, 0) + _repeated_string(value)
        self._room = room
        self._table[name, value] = len(self._table)
        return integer(index, 6, 0x40) + _repeated_string(value)
