"""HPACK's Huffman code (RFC 7541 appendix B) as one of DEFLATE (RFC 1951), for zlib to decode.

Both codes are canonical: the lengths alone say which symbol has which bits. DEFLATE allows lengths
up to 15, and the symbols with longer codes, which no text has, share their first 15 bits, all ones.
Here that code means DEFLATE's end of the block, which comes last among the 15-bit codes as its
number is the highest. So a string is the contents of a block, with the bits of each octet reversed;
its padding, all ones, and a few more ones end it.

A block begins with a description of its code, which is the same for every string. zlib reads it
once, and each string is given to a copy of what zlib is then: 1.5 us for a path of 254 characters,
five times less than octet by octet (measured).
"""

import zlib
from collections.abc import Sequence
from typing import Final

from protocols.http2.huffman_code import CODE_LENGTHS, canonical_codes

_MAX_LENGTH: Final = 15
_END_OF_BLOCK: Final = 256
_WINDOW_BITS: Final = -9  # without zlib's own header; there are no back-references
_SHORTEST: Final = 5  # bits of a code
# RFC 1951 §3.2.7: in which order the lengths of the codes of lengths stand.
_LENGTHS_ORDER: Final = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)

REVERSED: Final = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
# 15 ones, which end the block whatever the padding, and a zero: one more octet of ones would let
# a symbol that was cut off be completed and the block be ended all the same.
_TAIL: Final = b"\xff\xfe".translate(REVERSED)
_ALL_ONES: Final = 0xFF


class _Bits:
    """Bits in the order of DEFLATE: numbers from the lowest bit, codes from the highest."""

    def __init__(self) -> None:
        self._value = 0
        self.count = 0

    def number(self, value: int, bits: int) -> None:
        self._value |= value << self.count
        self.count += bits

    def code(self, value: int, bits: int) -> None:
        for shift in range(bits - 1, -1, -1):
            self.number(value >> shift & 1, 1)

    def octets(self) -> bytes:
        return self._value.to_bytes(-(-self.count // 8), "little")


def _block_start() -> bytes:
    """RFC 1951 §3.2.7: the start of a last block with a code of its own, in whole octets."""
    lengths = [length if length <= _MAX_LENGTH else 0 for length in CODE_LENGTHS[:_END_OF_BLOCK]]
    lengths += [_MAX_LENGTH, 0]  # the end of the block; and one code for distances, which has none
    return _described(lengths, _lengths_of_lengths(set(lengths)))


def _lengths_of_lengths(used: set[int]) -> list[int]:
    """A complete code for the lengths: two of three bits, twelve of four.

    That 0 and 7 are the short ones is what makes the description end with an octet.
    """
    chosen = sorted(used)
    chosen += [other for other in range(_MAX_LENGTH) if other not in used][: 14 - len(chosen)]
    return [(3 if one in (0, 7) else 4) if one in chosen else 0 for one in range(19)]


def _described(lengths: Sequence[int], of_lengths: Sequence[int]) -> bytes:
    bits = _Bits()
    bits.number(1, 1)  # the last block
    bits.number(2, 2)  # with codes of its own
    bits.number(0, 5)  # 257 codes of literals, and the end of the block
    bits.number(0, 5)  # one of distances
    bits.number(len(_LENGTHS_ORDER) - 4, 4)
    for symbol in _LENGTHS_ORDER:
        bits.number(of_lengths[symbol], 3)
    codes = canonical_codes(of_lengths)
    for length in lengths:
        bits.code(*codes[length])
    if bits.count % 8:
        raise AssertionError("a string would not begin with an octet")
    return bits.octets()


def _prepared() -> "zlib._Decompress":
    decoder = zlib.decompressobj(_WINDOW_BITS)
    decoder.decompress(_block_start())
    return decoder


_copy: Final = _prepared().copy


def inflate(data: bytes) -> bytes | None:
    """Decode a string that is not empty; None when it must be looked at octet by octet.

    That is when it has symbols of more than 15 bits or is malformed, and for some strings whose
    last octet is all ones: padding of eight ones looks like that of seven here.
    """
    decoder = _copy()
    text = decoder.decompress(data.translate(REVERSED) + _TAIL, len(data) * 8 // _SHORTEST + 1)
    rest = decoder.unused_data
    # The end stands in the last octet of the tail, or in the first with seven ones of padding.
    if decoder.eof and (not rest or (len(rest) == 1 and data[-1] != _ALL_ONES)):
        return text
    return None
