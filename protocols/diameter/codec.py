"""Octets to messages: framing, one checked pass that indexes the AVPs, typed access on demand.

Source: RFC 6733 §3, §4. A message is one immutable `bytes`; its index maps (vendor, code) to
octets, groups are indexed only when asked for (3-5 µs for a DEA, against 80-500 for decoding it).
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

Repeats = dict[int, list[bytes]]  # the second and later AVPs of one key


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
    """A checked run of AVPs: the body of a message or of a group. Never changed once built.

    Attributes:
        first: the data of the first AVP of each kind, by `Avp.key`.
        raw: the octets that hold the AVPs.
        depth: groups around this one.
    """

    __slots__ = ("_end", "_repeats", "_start", "depth", "first", "raw")

    def __init__(self, raw: bytes, start: int, end: int, depth: int) -> None:
        """Index raw[start:end], which reaches to the end of `raw`.

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
        first: dict[int, bytes] = {}
        self.first = first
        at = start
        try:
            while at < end:
                code, rest = _two(raw, at)
                stop = at + (rest & 0xFFFFFF)
                if rest & 0x80000000:
                    begin = at + 12
                    if not begin <= stop <= end:
                        raise _bad_length(raw, at, end)
                    code |= _one(raw, at + 8)[0] << 32
                else:
                    begin = at + 8
                    if not begin <= stop <= end:
                        raise _bad_length(raw, at, end)
                if code in first:
                    self._repeat(code, raw[begin:stop])
                else:
                    first[code] = raw[begin:stop]
                # A group may leave out the padding of its last member; a message cannot, because
                # its length is a multiple of 4.
                at = (stop + 3) & -4
        except struct.error:
            raise DecodeError("half an AVP header", numbers.INVALID_AVP_LENGTH) from None

    def _repeat(self, key: int, data: bytes) -> None:
        if self._repeats is None:
            self._repeats = {}
        self._repeats.setdefault(key, []).append(data)

    def __contains__(self, avp: Avp) -> bool:
        """Whether there is at least one of it."""
        return avp.key in self.first

    def keys(self) -> KeysView[int]:
        """(vendor, code) of the AVPs that are there, as `Avp.key`."""
        return self.first.keys()

    def octets(self, avp: Avp) -> bytes | None:
        """The data of the first such AVP, whatever its type."""
        return self.first.get(avp.key)

    def all(self, avp: Avp) -> list[bytes]:
        """The data of every such AVP, in order."""
        first = self.first.get(avp.key)
        if first is None:
            return []
        repeats = self._repeats.get(avp.key, []) if self._repeats is not None else []
        return [first, *repeats]

    def u32(self, avp: Avp) -> int | None:
        """An Unsigned32.

        Raises:
            DecodeError: it has not four octets.
        """
        data = self.first.get(avp.key)
        if data is None:
            return None
        if len(data) != 4:
            raise _bad_size(avp, data)
        return int.from_bytes(data)

    def i32(self, avp: Avp) -> int | None:
        """An Integer32 or Enumerated.

        Raises:
            DecodeError: it has not four octets.
        """
        data = self.first.get(avp.key)
        if data is None:
            return None
        if len(data) != 4:
            raise _bad_size(avp, data)
        return int.from_bytes(data, signed=True)

    def u64(self, avp: Avp) -> int | None:
        """An Unsigned64.

        Raises:
            DecodeError: it has not eight octets.
        """
        data = self.first.get(avp.key)
        if data is None:
            return None
        if len(data) != 8:
            raise _bad_size(avp, data)
        return int.from_bytes(data)

    def text(self, avp: Avp) -> str | None:
        """A UTF8String, DiameterIdentity or DiameterURI.

        Raises:
            DecodeError: it is not UTF-8.
        """
        data = self.first.get(avp.key)
        if data is None:
            return None
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise _bad_value(avp, data) from None

    def group(self, avp: Avp) -> "Avps | None":
        """The first such group.

        Raises:
            DecodeError: its members are not sound.
        """
        data = self.first.get(avp.key)
        return None if data is None else Avps(data, 0, len(data), self.depth + 1)

    def groups(self, avp: Avp) -> "list[Avps]":
        """Every such group, in order.

        Raises:
            DecodeError: the members of one are not sound.
        """
        return [Avps(data, 0, len(data), self.depth + 1) for data in self.all(avp)]

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
        for key in self.first.keys() & _GROUP_KEYS:
            for members in self.groups(BY_KEY[key]):
                members.check_groups()


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
    if (frame_length(raw, 0, limit) or -1) != len(raw):
        raise FrameError("not one whole message")
    return decode_frame(raw)


def decode_frame(raw: bytes) -> Message:
    """Decode a message that a `Framer` cut out of its stream.

    Raises:
        DecodeError: the AVPs are not sound.
    """
    try:
        return Message(raw)
    except DecodeError:
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
        at, size, limit = 0, len(data), self.limit
        while True:
            length = frame_length(data, at, limit)
            stop = at + length
            if not length or stop > size:
                break
            messages.append(data[at:stop])
            at = stop
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
