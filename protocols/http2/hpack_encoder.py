"""HPACK encoding without state, RFC 7541: literals without indexing, static indices, no Huffman.

The peer's dynamic table is never touched, so what is constant in a response is encoded once: the
start of a block per (status, content type), the content-length per value. Cookies are never-indexed
literals (§7.1.3). Source of the shape: ours; a dynamic table saves octets, not time.
"""

from typing import Final

from protocols.http2.static_table import NAME_INDEX, STATUS_INDEX, Field

_WITHOUT_INDEXING: Final = 0x00  # §6.2.2, four bits of index
_NEVER_INDEXED: Final = 0x10  # §6.2.3
_INDEXED: Final = 0x80  # §6.1, seven bits
_SENSITIVE: Final = frozenset((b"set-cookie", b"authorization"))
TABLE_SIZE_ZERO: Final = b"\x20"
"""§6.3, the update to size 0: owed once when the peer lowers SETTINGS_HEADER_TABLE_SIZE (§4.2)."""


def encode_integer(value: int, prefix_bits: int, first: int) -> bytes:
    """§5.1: `value` in a prefix of `prefix_bits`, with the representation bits `first` above it."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes((first | value,))
    octets = [first | limit]
    value -= limit
    while value >= 0x80:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def encode_string(value: bytes) -> bytes:
    """§5.2, without Huffman coding."""
    return encode_integer(len(value), 7, 0) + value


def _encode_name(name: bytes) -> bytes:
    first = _NEVER_INDEXED if name in _SENSITIVE else _WITHOUT_INDEXING
    index = NAME_INDEX.get(name)
    if index is None:
        return bytes((first,)) + encode_string(name)
    return encode_integer(index, 4, first)


def encode_field(name: bytes, value: bytes) -> bytes:
    """One field as a literal that leaves the peer's table alone.

    Raises:
        ValueError: NUL, CR or LF in the value: our own code would split a response.
    """
    if 0x0A in value or 0x0D in value or 0 in value:
        raise ValueError(f"forbidden octet in the value of {name!r}")
    if len(value) < 0x7F:
        return b"%b%c%b" % (_encoded_name(name), len(value), value)
    return _encoded_name(name) + encode_string(value)


# Names come from our own code, so these stay small; the bound is a guard against a future that
# passes names on from outside.
_MEMORY_BOUND: Final = 512
_names: Final[dict[bytes, bytes]] = {}
_starts: Final[dict[tuple[int, bytes], bytes]] = {}


def _encoded_name(name: bytes) -> bytes:
    encoded = _names.get(name)
    if encoded is None:
        encoded = _encode_name(name)
        if len(_names) < _MEMORY_BOUND:
            _names[name] = encoded
    return encoded


def _encode_status(status: int) -> bytes:
    index = STATUS_INDEX.get(status)
    if index is not None:
        return encode_integer(index, 7, _INDEXED)
    return encode_integer(NAME_INDEX[b":status"], 4, _WITHOUT_INDEXING) + encode_string(
        b"%d" % status
    )


def encode_start(status: int, content_type: bytes) -> bytes:
    """:status and content-type; the latter is left out when empty."""
    start = _starts.get((status, content_type))
    if start is None:
        start = _encode_status(status)
        if content_type:
            start += encode_field(b"content-type", content_type)
        if len(_starts) < _MEMORY_BOUND:
            _starts[status, content_type] = start
    return start


def _encode_content_length(length: int) -> bytes:
    return encode_field(b"content-length", b"%d" % length)


_LENGTHS: Final = [_encode_content_length(length) for length in range(2_048)]


def encode_content_length(length: int) -> bytes:
    """content-length; documents are short, so most lengths are ready."""
    return _LENGTHS[length] if length < len(_LENGTHS) else _encode_content_length(length)


def encode_fields(fields: tuple[Field, ...]) -> bytes:
    """Further response fields in order.

    Raises:
        ValueError: see `encode_field`.
    """
    return b"".join([encode_field(name, value) for name, value in fields])
