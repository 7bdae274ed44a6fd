"""The chunked transfer coding, RFC 9112 §7.1, read as it comes; extensions and trailers skipped.

Source of the limits: §7.1.1 and §7.1.2 ask for some; the numbers are ours.
"""

from enum import Enum, auto
from typing import Final

from protocols.http1.errors import BadRequest
from protocols.http1.head import FIELD_OCTETS, TOKEN

_SIZE_LINE_OCTETS: Final = 256
_SIZE_DIGITS: Final = 8
_OVERHEAD_OCTETS: Final = 16_384  # size lines and trailers: a chunk for every octet is an attack
_CR: Final = 0x0D
_HEX: Final = b"0123456789abcdefABCDEF"


class Part(Enum):
    """What the next octets are, by the rule names of §7.1."""

    CHUNK_SIZE = auto()
    CHUNK_DATA = auto()
    CHUNK_END = auto()  # the CRLF after the data
    TRAILER_SECTION = auto()
    COMPLETE = auto()


class ChunkedBody:
    """One body.

    Attributes:
        body: what was decoded so far.
        part: where the reading stands.
    """

    __slots__ = ("_left", "_line", "_max_body", "_overhead", "body", "part")

    def __init__(self, max_body: int) -> None:
        self.body = bytearray()
        self.part = Part.CHUNK_SIZE
        self._left = 0  # octets of the chunk that are missing
        self._line = bytearray()  # a line that is not complete
        self._overhead = 0
        self._max_body = max_body

    def receive(self, data: bytes, at: int) -> int:
        """Take octets from `data[at:]`; returns the offset behind what belongs to this body.

        Raises:
            BadRequest: 400 for bad coding, 413 for a body that is too large.
        """
        end = len(data)
        while at < end and self.part is not Part.COMPLETE:
            if self.part is Part.CHUNK_DATA:
                taken = min(self._left, end - at)
                self.body += data[at : at + taken]
                self._left -= taken
                at += taken
                if not self._left:
                    self.part = Part.CHUNK_END
            else:
                at = self._take_line(data, at)
        return at

    def _take_line(self, data: bytes, at: int) -> int:
        """Up to and with the next LF; a line that is split over segments is kept."""
        line_feed = data.find(b"\n", at)
        stop = len(data) if line_feed < 0 else line_feed + 1
        self._line += data[at:stop]
        self._overhead += stop - at
        too_long = self.part is not Part.TRAILER_SECTION and len(self._line) > _SIZE_LINE_OCTETS
        if too_long or self._overhead > _OVERHEAD_OCTETS:
            raise BadRequest(400, "chunk overhead")
        if line_feed >= 0:
            line = bytes(self._line)
            self._line.clear()
            if line[-2:] != b"\r\n":
                raise BadRequest(400, "chunk line end")
            self._take_complete_line(line[:-2])
        return stop

    def _take_complete_line(self, line: bytes) -> None:
        if self.part is Part.CHUNK_SIZE:
            size = _chunk_size(line)
            if size + len(self.body) > self._max_body:
                raise BadRequest(413, "body too large")
            self._left = size
            self.part = Part.CHUNK_DATA if size else Part.TRAILER_SECTION
        elif self.part is Part.CHUNK_END:
            if line:
                raise BadRequest(400, "chunk data longer than its size")
            self.part = Part.CHUNK_SIZE
        elif not line:
            self.part = Part.COMPLETE
        else:
            _check_trailer(line)


def _check_trailer(line: bytes) -> None:
    """A field like any other (§7.1.2), though nobody looks at it."""
    name, colon, _ = line.partition(b":")
    if not colon or not name or name.translate(None, TOKEN):
        raise BadRequest(400, "trailer")
    if _CR in line or line.translate(None, FIELD_OCTETS):
        raise BadRequest(400, "forbidden octet in a trailer")


def _chunk_size(line: bytes) -> int:
    digits, semicolon, _ = line.partition(b";")
    if semicolon:
        digits = digits.rstrip(b" \t")  # §7.1.1: "bad whitespace" before an extension
    if not digits or len(digits) > _SIZE_DIGITS or digits.translate(None, _HEX):
        raise BadRequest(400, "chunk size")
    return int(digits, 16)
