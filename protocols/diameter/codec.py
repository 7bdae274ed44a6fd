"""Octets to messages: framing, one checked pass that indexes the AVPs, typed access on demand.

Source: RFC 6733 §3, §4. A message is one immutable `bytes`; its index maps (vendor, code) to
offsets, groups are indexed only when asked for (4-6 µs for a DEA, against 80-500 for decoding it).
Every fault of the octets is a `RemoteError`, whatever went wrong inside.
"""

import struct
from collections.abc import Iterator, KeysView
from dataclasses import dataclass
from typing import Any, Final

from protocols.diameter import numbers
from protocols.diameter.dictionary import BY_KEY, FLAG_MANDATORY, FLAG_VENDOR, Avp, AvpType
from protocols.diameter.encoding import HEADER_OCTETS
from protocols.diameter.errors import DecodeError, FrameError
from protocols.diameter.values import SIZES, read_value

MAX_MESSAGE_OCTETS: Final = 65_536  # ours: a DER or DEA stays below 4 kB
MAX_DEPTH: Final = 8  # ours: groups inside groups; APN-Configuration needs 3

_GROUP_KEYS: Final = frozenset(key for key, avp in BY_KEY.items() if avp.type is AvpType.GROUPED)

_header = struct.Struct(">5I").unpack_from
_two = struct.Struct(">II").unpack_from
_one = struct.Struct(">I").unpack_from
_one_long = struct.Struct(">Q").unpack_from
_signed = struct.Struct(">i").unpack_from

Index = dict[int, tuple[int, int]]  # key -> (first octet of the data, octet after the last)
Repeats = dict[int, list[tuple[int, int]]]  # the second and later AVPs of one key


@dataclass(frozen=True, slots=True)
class RawAvp:
    """One AVP as it stands in a message: for traces, and for checks of flags and order."""

    code: int
    vendor: int
    flags: int
    data: bytes

    @property
    def key(self) -> int:
        """Vendor and code, as `Avp.key`."""
        return self.vendor << 32 | self.code

    @property
    def mandatory(self) -> bool:
        """The M bit."""
        return bool(self.flags & FLAG_MANDATORY)

    def encode(self) -> bytes:
        """The AVP with its padding, as for Failed-AVP."""
        size = len(self.data)
        if self.flags & FLAG_VENDOR:
            head = struct.pack(">III", self.code, self.flags << 24 | 12 + size, self.vendor)
        else:
            head = struct.pack(">II", self.code, self.flags << 24 | 8 + size)
        return head + self.data + bytes(-size & 3)


class Avps:
    """A checked run of AVPs: the body of a message or of a group. Never changed once built."""

    __slots__ = ("_end", "_index", "_repeats", "_start", "depth", "raw")

    def __init__(self, raw: bytes, start: int, end: int, depth: int) -> None:
        """Index raw[start:end].

        Raises:
            DecodeError: a length is wrong (5014), or groups are nested too deeply (5004).
        """
        if depth > MAX_DEPTH:
            raise DecodeError("groups are nested too deeply", numbers.INVALID_AVP_VALUE)
        self.raw = raw
        self.depth = depth
        self._start = start
        self._end = end
        self._repeats: Repeats | None = None
        index: Index = {}
        self._index = index
        at = start
        while at < end:
            if end - at < 8:
                raise DecodeError("half an AVP header", numbers.INVALID_AVP_LENGTH)
            code, rest = _two(raw, at)
            stop = at + (rest & 0xFFFFFF)
            if rest & 0x80000000:
                first = at + 12
                if not first <= stop <= end:
                    raise _bad_length(raw, at, end)
                code |= _one(raw, at + 8)[0] << 32
            else:
                first = at + 8
                if not first <= stop <= end:
                    raise _bad_length(raw, at, end)
            if code in index:
                if self._repeats is None:
                    self._repeats = {}
                self._repeats.setdefault(code, []).append((first, stop))
            else:
                index[code] = (first, stop)
            # A group may leave out the padding of its last member; a message cannot, because its
            # length is a multiple of 4.
            at = (stop + 3) & -4

    def __contains__(self, avp: Avp) -> bool:
        """Whether there is at least one of it."""
        return avp.key in self._index

    def keys(self) -> KeysView[int]:
        """(vendor, code) of the AVPs that are there, as `Avp.key`."""
        return self._index.keys()

    def octets(self, avp: Avp) -> bytes | None:
        """The data of the first such AVP, whatever its type."""
        place = self._index.get(avp.key)
        return self.raw[place[0] : place[1]] if place is not None else None

    def all(self, avp: Avp) -> list[bytes]:
        """The data of every such AVP, in order."""
        return [self.raw[first:stop] for first, stop in self._places(avp)]

    def u32(self, avp: Avp) -> int | None:
        """An Unsigned32.

        Raises:
            DecodeError: it has not four octets.
        """
        place = self._index.get(avp.key)
        if place is None:
            return None
        first, stop = place
        if stop - first != 4:
            raise _bad_size(avp, self.raw[first:stop])
        number: int = _one(self.raw, first)[0]
        return number

    def i32(self, avp: Avp) -> int | None:
        """An Integer32 or Enumerated.

        Raises:
            DecodeError: it has not four octets.
        """
        place = self._index.get(avp.key)
        if place is None:
            return None
        first, stop = place
        if stop - first != 4:
            raise _bad_size(avp, self.raw[first:stop])
        number: int = _signed(self.raw, first)[0]
        return number

    def u64(self, avp: Avp) -> int | None:
        """An Unsigned64.

        Raises:
            DecodeError: it has not eight octets.
        """
        place = self._index.get(avp.key)
        if place is None:
            return None
        first, stop = place
        if stop - first != 8:
            raise _bad_size(avp, self.raw[first:stop])
        number: int = _one_long(self.raw, first)[0]
        return number

    def text(self, avp: Avp) -> str | None:
        """A UTF8String, DiameterIdentity or DiameterURI.

        Raises:
            DecodeError: it is not UTF-8.
        """
        place = self._index.get(avp.key)
        if place is None:
            return None
        try:
            return self.raw[place[0] : place[1]].decode()
        except UnicodeDecodeError:
            raise _bad_value(avp, self.raw[place[0] : place[1]]) from None

    def group(self, avp: Avp) -> "Avps | None":
        """The first such group.

        Raises:
            DecodeError: its members are not sound.
        """
        place = self._index.get(avp.key)
        return Avps(self.raw, place[0], place[1], self.depth + 1) if place else None

    def groups(self, avp: Avp) -> "list[Avps]":
        """Every such group, in order.

        Raises:
            DecodeError: the members of one are not sound.
        """
        return [Avps(self.raw, at, end, self.depth + 1) for at, end in self._places(avp)]

    def value(self, avp: Avp) -> Any:  # noqa: ANN401 (the AVP's type decides)
        """The first such AVP as the Python value of its type (`values.py`; a group as `Avps`).

        Raises:
            DecodeError: the octets are no value of the type.
        """
        if avp.type is AvpType.GROUPED:
            return self.group(avp)
        data = self.octets(avp)
        if data is None:
            return None
        if len(data) != SIZES.get(avp.type, len(data)):
            raise _bad_size(avp, data)
        try:
            return read_value(avp.type, data)
        except (ValueError, struct.error):
            raise _bad_value(avp, data) from None

    def __iter__(self) -> Iterator[RawAvp]:
        """Every AVP, in order."""
        at = self._start
        while at < self._end:
            code, rest = _two(self.raw, at)
            stop = at + (rest & 0xFFFFFF)
            flags = rest >> 24
            first = at + 12 if flags & FLAG_VENDOR else at + 8
            vendor = _one(self.raw, at + 8)[0] if flags & FLAG_VENDOR else 0
            yield RawAvp(code, vendor, flags, self.raw[first:stop])
            at = (stop + 3) & -4

    def check_groups(self) -> None:
        """Go through every known group, however deep. For requests, which are rare.

        Raises:
            DecodeError: one is not sound.
        """
        for key in self._index.keys() & _GROUP_KEYS:
            for members in self.groups(BY_KEY[key]):
                members.check_groups()

    def _places(self, avp: Avp) -> list[tuple[int, int]]:
        first = self._index.get(avp.key)
        if first is None:
            return []
        repeats = self._repeats.get(avp.key, []) if self._repeats is not None else []
        return [first, *repeats]


class Message(Avps):
    """A decoded message.

    Attributes:
        raw: the octets, header included.
        flags, command, application, hop_by_hop, end_to_end: the header.
    """

    __slots__ = ("application", "command", "end_to_end", "flags", "hop_by_hop")

    def __init__(self, raw: bytes) -> None:
        """Decode a message whose frame was checked: use `decode`."""
        _, rest, self.application, self.hop_by_hop, self.end_to_end = _header(raw)
        self.flags: int = rest >> 24
        self.command: int = rest & 0xFFFFFF
        super().__init__(raw, HEADER_OCTETS, len(raw), 0)
        # RFC 6733 §3: the E bit "MUST NOT be set in request messages".
        if self.flags & 0xA0 == 0xA0:
            raise DecodeError("a request with the E bit", numbers.INVALID_HDR_BITS)

    @property
    def is_request(self) -> bool:
        """The R bit."""
        return bool(self.flags & numbers.FLAG_REQUEST)

    @property
    def is_error(self) -> bool:
        """The E bit: a protocol error, whose grammar is that of RFC 6733 §7.2."""
        return bool(self.flags & numbers.FLAG_ERROR)

    @property
    def is_retransmitted(self) -> bool:
        """The T bit: the sender may have sent it before."""
        return bool(self.flags & numbers.FLAG_RETRANSMIT)

    def __repr__(self) -> str:
        """The header alone: the AVPs name a subscriber."""
        kind = "request" if self.is_request else "answer"
        return f"Message({self.command} {kind}, {len(self.raw)} octets)"


def decode(raw: bytes, limit: int = MAX_MESSAGE_OCTETS) -> Message:
    """Decode exactly one message.

    Args:
        limit: octets that a message may have.

    Raises:
        FrameError: the header's version or length is wrong, or `raw` is not one whole message.
        DecodeError: the AVPs are not sound.
    """
    try:
        if (frame_length(raw, 0, limit) or -1) != len(raw):
            raise FrameError("not one whole message")
        return Message(raw)
    except (FrameError, DecodeError):
        raise
    except Exception as error:  # the boundary: no fault of the octets is anything else
        raise DecodeError("the message cannot be read", numbers.INVALID_AVP_LENGTH) from error


def frame_length(octets: bytes | bytearray, at: int, limit: int) -> int:
    """Length of the message that begins at `at`; 0 when fewer than four octets are there.

    Raises:
        FrameError: there can be no message. A zero length would otherwise spin for ever.
    """
    if len(octets) - at < 4:
        return 0
    word: int = _one(octets, at)[0]
    if word >> 24 != 1:
        raise FrameError(f"version {word >> 24}", numbers.UNSUPPORTED_VERSION)
    length = word & 0xFFFFFF
    if length < HEADER_OCTETS or length > limit or length & 3:
        raise FrameError(f"message length {length}")
    return length


class Framer:
    """Cuts a stream into messages."""

    __slots__ = ("_rest", "limit")

    def __init__(self, limit: int = MAX_MESSAGE_OCTETS) -> None:
        """Start with an empty stream; `limit` is the largest message in octets."""
        self.limit = limit
        self._rest = b""

    @property
    def waiting(self) -> int:
        """Octets of a message that is not complete yet; at most `limit`."""
        return len(self._rest)

    def cut(self, data: bytes) -> list[bytes]:
        """Take what arrived; return the complete messages, not decoded.

        Raises:
            FrameError: the stream is lost. Messages before the fault are lost with it.
        """
        data = self._rest + data if self._rest else data
        messages = []
        at, size = 0, len(data)
        while True:
            length = frame_length(data, at, self.limit)
            if length == 0 or at + length > size:
                break
            messages.append(data[at : at + length])
            at += length
        self._rest = data[at:]
        return messages


def _bad_length(raw: bytes, at: int, end: int) -> DecodeError:
    """RFC 6733 §7.1.5: the AVP's header, with data of the smallest length its type has."""
    code, rest = _two(raw, at)
    flags = rest >> 24
    vendor = 0
    if flags & FLAG_VENDOR and end - at >= 12:
        vendor = _one(raw, at + 8)[0]
    known = BY_KEY.get(vendor << 32 | code)
    least = SIZES.get(known.type, 0) if known is not None else 0
    return DecodeError(
        f"AVP {code} of vendor {vendor} has the length {rest & 0xFFFFFF}",
        numbers.INVALID_AVP_LENGTH,
        RawAvp(code, vendor, flags, bytes(least)).encode(),
    )


def _bad_size(avp: Avp, data: bytes) -> DecodeError:
    failed = RawAvp(avp.code, avp.vendor, avp.flags, bytes(SIZES.get(avp.type, len(data))))
    return DecodeError(
        f"{avp.name} has {len(data)} octets", numbers.INVALID_AVP_LENGTH, failed.encode()
    )


def _bad_value(avp: Avp, data: bytes) -> DecodeError:
    failed = RawAvp(avp.code, avp.vendor, avp.flags, data)
    return DecodeError(f"{avp.name} has no valid value", numbers.INVALID_AVP_VALUE, failed.encode())
