"""Huffman decoding of HPACK strings, RFC 7541 §5.2 and appendix B.

Longer strings are given to zlib (`huffman_deflate`). What is short, rare or wrong goes through an
automaton that takes an octet at a time: a state is a node of the code tree, its row is a list of
256 pairs (next row, symbols completed on the way). Rows are made when first reached: text visits a
quarter of the nodes, which saves 4 MB and the start-up.
"""

from typing import Final

from protocols.http2.huffman_code import CODE_LENGTHS, EOS, canonical_codes
from protocols.http2.huffman_deflate import inflate

_INFLATE_FROM: Final = 12  # octets; below it the automaton is as fast

Row = list[tuple["Row", bytes]]


class HuffmanError(ValueError):
    """Padding longer than seven bits, padding that is not all ones, or EOS inside the string."""


def _grow_tree() -> list[list[int]]:
    """Inner nodes as [child for 0, child for 1]; a leaf is stored as -1 - symbol."""
    tree = [[0, 0]]
    for symbol, (code, length) in enumerate(canonical_codes(CODE_LENGTHS)):
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


def decode(data: bytes) -> bytes:
    """Decode one Huffman-coded string literal.

    Raises:
        HuffmanError: RFC 7541 §5.2 calls for a decoding error.
    """
    if len(data) >= _INFLATE_FROM:
        text = inflate(data)
        if text is not None:
            return text
    return decode_by_octets(data)


def decode_by_octets(data: bytes) -> bytes:
    """The same by the automaton alone."""
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
