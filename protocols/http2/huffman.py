"""Huffman decoding of HPACK strings, RFC 7541 §5.2 and appendix B.

An automaton that takes an octet at a time: a state is a node of the code tree, its row is a list of
256 pairs (next row, symbols completed on the way). A walk bit by bit costs eight steps for what is
one here: 2.7 us for a path of 91 characters (measured), and no string needs to be remembered. Rows
are made when first reached: text visits a quarter of the nodes, which saves 4 MB and the start-up.

The code is canonical, so appendix B is kept as lengths alone.
"""

from binascii import b2a_base64
from typing import Final

# Bits of the code of each symbol 0..255 and, last, of EOS.
CODE_LENGTHS: Final = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c"
    "060a0a0c0d06080b0a0a080b080606060505050606060606060607080f060c0a"
    "0d06070707070707070707070707070707070707070707070807080d130d0e06"
    "0f05060506050606060507070606060506070605050607070707070f0b0e0d1c"
    "1416141416161617161717171717181718181617181717171715161716171718"
    "1615141616171715171616181516171715151615171617171416161617161617"
    "1a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a1c1b1b1b"
    "14181415161515171616191918181a171a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a"
    "1e"
)
EOS: Final = 256

SIX_BIT_SYMBOLS: Final = bytes(s for s in range(EOS) if CODE_LENGTHS[s] == 6)
"""Symbols with a code of six bits. A string of these alone, four or a multiple of four long, is
decoded by the base64 function of the standard library (0.4 us for 140 symbols, measured): worth
using for a value that we choose and that comes back with every request."""

Row = list[tuple["Row", bytes]]


class HuffmanError(ValueError):
    """Padding longer than seven bits, padding that is not all ones, or EOS inside the string."""


def codes() -> list[tuple[int, int]]:
    """(code, length in bits) of the symbols 0..255 and EOS, assigned canonically."""
    table = [(0, 0)] * (EOS + 1)
    code = length = 0
    for symbol in sorted(range(EOS + 1), key=lambda s: (CODE_LENGTHS[s], s)):
        code <<= CODE_LENGTHS[symbol] - length
        length = CODE_LENGTHS[symbol]
        table[symbol] = (code, length)
        code += 1
    return table


def _grow_tree() -> list[list[int]]:
    """Inner nodes as [child for 0, child for 1]; a leaf is stored as -1 - symbol."""
    tree = [[0, 0]]
    for symbol, (code, length) in enumerate(codes()):
        node = 0
        for shift in range(length - 1, 0, -1):
            bit = code >> shift & 1
            if not tree[node][bit]:
                tree.append([0, 0])
                tree[node][bit] = len(tree) - 1
            node = tree[node][bit]
        tree[node][code & 1] = -1 - symbol
    return tree


_TREE: Final = _grow_tree()
_DEAD: Final = len(_TREE)  # the state after EOS: nothing leads out of it
_ROWS: Final[list[Row]] = [[] for _ in range(_DEAD + 1)]
_ROOT: Final = _ROWS[0]
_STATE_OF: Final = {id(row): state for state, row in enumerate(_ROWS)}


def _ends() -> frozenset[int]:
    """Rows in which a string may end: the root, and up to seven ones after it (§5.2)."""
    ends = {id(_ROOT)}
    node = 0
    for _ in range(7):
        node = _TREE[node][1]
        ends.add(id(_ROWS[node]))
    return frozenset(ends)


_ENDS: Final = _ends()


def _walk(state: int, octet: int) -> tuple[int, bytes]:
    symbols = b""
    for shift in range(7, -1, -1):
        if state == _DEAD:
            break
        state = _TREE[state][octet >> shift & 1]
        if state < 0:
            symbol = -1 - state
            if symbol == EOS:
                state = _DEAD
            else:
                symbols += bytes((symbol,))
                state = 0
    return state, symbols


def _fill(row: Row) -> None:
    """Make the row of a state that was reached for the first time in this process."""
    state = _STATE_OF[id(row)]
    for octet in range(256):
        follow, symbols = _walk(state, octet)
        row.append((_ROWS[follow], symbols))


def _six_bit_translation() -> bytes:
    """From the base64 letter of each six-bit group to its symbol, or NUL where it is no code."""
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    table = bytearray(256)
    for symbol, (code, length) in enumerate(codes()):
        if length == 6:
            table[letters[code]] = symbol
    return bytes(table)


_SIX_BIT: Final = _six_bit_translation()
_SIX_BIT_FROM: Final = 24  # octets; below it the automaton is as fast


def decode(data: bytes) -> bytes:
    """Decode one Huffman-coded string literal.

    Raises:
        HuffmanError: RFC 7541 §5.2 calls for a decoding error.
    """
    # The first six bits of a six-bit symbol are 0x14..0x2d.
    if len(data) >= _SIX_BIT_FROM and not len(data) % 3 and 0x50 <= data[0] < 0xB8:
        decoded = b2a_base64(data, newline=False).translate(_SIX_BIT)
        if 0 not in decoded:
            return decoded
    while True:
        row = _ROOT
        parts: list[bytes] = []
        append = parts.append
        try:
            for octet in data:
                row, symbols = row[octet]
                append(symbols)
        except IndexError:
            _fill(row)
        else:
            break
    if id(row) not in _ENDS:
        raise HuffmanError("padding or EOS")
    return b"".join(parts)
