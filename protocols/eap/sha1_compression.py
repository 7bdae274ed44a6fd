"""The SHA-1 compression function G(t, c) of FIPS 186-2, which hashlib does not offer.

EAP-AKA's key generator needs the bare compression of one block without SHA-1's own padding
(RFC 4187 §7). libcrypto exports it as `SHA1_Transform`; where it is missing, pure Python does the
same twenty times slower. Which one is in use is found out at the first call, and checked there.
"""

import ctypes
import struct
from collections.abc import Callable
from functools import cache
from typing import Final

LIBRARIES: Final = ("libcrypto.so.3", "libcrypto.so.1.1")
BLOCK_OCTETS: Final = 64

_INITIAL: Final = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
_MASK: Final = 0xFFFFFFFF
_words = struct.Struct(">16I").unpack
_digest = struct.Struct(">5I").pack

Compression = Callable[[bytes], bytes]


def compress_python(block: bytes) -> bytes:
    """SHA-1's compression of one block of 64 octets, from the standard initial value."""
    w = list(_words(block))
    for t in range(16, 80):
        x = w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16]
        w.append((x << 1 | x >> 31) & _MASK)
    a, b, c, d, e = _INITIAL
    for t, word in enumerate(w):
        if t < 20:
            f, k = (b & c) | (~b & d), 0x5A827999
        elif t < 40:
            f, k = b ^ c ^ d, 0x6ED9EBA1
        elif t < 60:
            f, k = (b & c) | (b & d) | (c & d), 0x8F1BBCDC
        else:
            f, k = b ^ c ^ d, 0xCA62C1D6
        rotated = (a << 5 | a >> 27) & _MASK
        a, b, c, d, e = (
            (rotated + f + e + k + word) & _MASK,
            a,
            (b << 30 | b >> 2) & _MASK,
            c,
            d,
        )
    return _digest(*[(x + y) & _MASK for x, y in zip(_INITIAL, (a, b, c, d, e), strict=True)])


def load_libcrypto(names: tuple[str, ...] = LIBRARIES) -> Compression | None:
    """The compression of libcrypto, or None when no library has it or it gives other results."""
    for name in names:
        try:
            transform = ctypes.CDLL(name).SHA1_Transform
        except (OSError, AttributeError):
            continue
        compress = _wrap(transform)
        probe = bytes(range(BLOCK_OCTETS))
        if compress(probe) == compress_python(probe):
            return compress
    return None


def _wrap(transform: "ctypes._NamedFuncPointer") -> Compression:
    transform.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    transform.restype = None
    # SHA_CTX of <openssl/sha.h>: h0-h4, Nl, Nh, sixteen words, num; all of 32 bits. Only h0-h4
    # take part. The context is local to a call, so threads do not meet.
    native = struct.Struct("=5I")
    initial = native.pack(*_INITIAL) + bytes(96 - 20)
    buffer = ctypes.create_string_buffer

    def compress(block: bytes) -> bytes:
        context = buffer(initial, 96)
        transform(context, block)
        return _digest(*native.unpack_from(context))

    return compress


@cache
def best_compression() -> Compression:
    """libcrypto's, else ours."""
    return load_libcrypto() or compress_python
