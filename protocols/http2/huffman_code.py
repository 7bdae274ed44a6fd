"""The Huffman code of HPACK, RFC 7541 appendix B. It is canonical, so lengths say it all."""

from collections.abc import Sequence
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


def canonical_codes(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """(code, length in bits) of each symbol: shorter codes first, then by symbol; 0 is no code."""
    table = [(0, 0)] * len(lengths)
    code = length = 0
    for symbol in sorted(range(len(lengths)), key=lambda s: (lengths[s], s)):
        if lengths[symbol]:
            code <<= lengths[symbol] - length
            length = lengths[symbol]
            table[symbol] = (code, length)
            code += 1
    return table
