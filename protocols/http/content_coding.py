"""Request bodies under a content coding, RFC 9110 §8.4: gzip (RFC 1952) and deflate (RFC 1950).

Some phones compress their batches (Q-TR-11). A decoded body may be as large as a plain one and no
larger, so that a bomb costs what its limit allows: at most that many octets are ever written.
"""

import zlib
from typing import Final

from protocols.http.message import HttpResponse, text_response

ACCEPTED: Final = b"gzip, deflate"
MAX_RATIO: Final = 100  # decoded octets for one that was sent; JSON reaches 10 to 20, zeros 1,000
_RATIO_FROM: Final = 4_096  # decoded octets; below it a ratio says nothing
_MAX_MEMBERS: Final = 4  # RFC 1952 §2.2: a file may have several; each costs a decoder

_WINDOW_BITS: Final = {
    b"gzip": 16 + zlib.MAX_WBITS,
    b"x-gzip": 16 + zlib.MAX_WBITS,  # §8.4.1.3: equivalent
    b"deflate": zlib.MAX_WBITS,
}
_IDENTITY: Final = b"identity"


class CodingRefused(Exception):
    """The body cannot be read.

    Attributes:
        status: 400 malformed, 413 too large, 415 a coding that is not known.
        reason: one line for a person.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

    def response(self) -> HttpResponse:
        """What the client is told; with 415 also what it may send instead (§12.5.3, §15.5.16)."""
        headers = ((b"accept-encoding", ACCEPTED),) if self.status == 415 else ()
        return text_response(self.status, self.reason, headers)


def decoded(body: bytes, coding: bytes, max_octets: int) -> bytes:
    """The body without its coding.

    Args:
        body: as sent.
        coding: value of Content-Encoding; several fields joined with a comma.
        max_octets: of the result.

    Raises:
        CodingRefused: 400, 413 or 415.
    """
    named = [one.strip(b" \t").lower() for one in coding.split(b",")]
    applied = [one for one in named if one and one != _IDENTITY]
    if not applied:
        return body
    # More than one: nobody has a reason to, and each would multiply what a bomb costs.
    if len(applied) > 1 or applied[0] not in _WINDOW_BITS:
        raise CodingRefused(415, "content coding not supported")
    return _inflate(body, _WINDOW_BITS[applied[0]], max_octets)


def _inflate(body: bytes, window_bits: int, max_octets: int) -> bytes:
    parts: list[bytes] = []
    room = max_octets
    rest = body
    for _ in range(_MAX_MEMBERS):
        decoder = zlib.decompressobj(window_bits)
        try:
            part = decoder.decompress(rest, room + 1)
        except zlib.error:
            raise CodingRefused(400, "malformed compression") from None
        room -= len(part)
        size = max_octets - room
        if room < 0 or (size > _RATIO_FROM and size > len(body) * MAX_RATIO):
            raise CodingRefused(413, "body too large when decompressed")
        if not decoder.eof:
            raise CodingRefused(400, "compressed body cut short")
        parts.append(part)
        rest = decoder.unused_data
        if not rest:
            return b"".join(parts) if len(parts) > 1 else part
    raise CodingRefused(400, "octets behind the compressed body")
