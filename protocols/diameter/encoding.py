"""Values to AVPs, AVPs to messages.

Source: RFC 6733 §3 (message header) and §4.1 (AVP header). An AVP's length leaves its padding out,
a message's length has it in.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

from protocols.diameter import numbers
from protocols.diameter.dictionary import Avp, AvpType
from protocols.diameter.errors import LocalError
from protocols.diameter.values import write_value

HEADER_OCTETS: Final = 20
LARGEST_LENGTH: Final = 0xFFFFFF  # of a message and of an AVP: 24 bits
_VERSION: Final = 1 << 24

_header = struct.Struct(">5I").pack
_avp_header = struct.Struct(">II").pack
_vendor_avp_header = struct.Struct(">III").pack
_number_avp = struct.Struct(">III").pack
_vendor_number_avp = struct.Struct(">IIII").pack
_u32 = struct.Struct(">I").pack
_PADDING: Final = (b"", b"\0\0\0", b"\0\0", b"\0")

GroupMember = tuple[Avp, Any]


def encode_octets(avp: Avp, data: bytes) -> bytes:
    """An AVP around octets that are encoded already (any type), padded."""
    size = len(data)
    if avp.vendor:
        head = _vendor_avp_header(avp.code, avp.flags << 24 | 12 + size, avp.vendor)
    else:
        head = _avp_header(avp.code, avp.flags << 24 | 8 + size)
    return head + data + _PADDING[size & 3]


def encode_u32(avp: Avp, value: int) -> bytes:
    """An AVP of type Unsigned32, or Enumerated with a value that is not negative."""
    if avp.vendor:
        return _vendor_number_avp(avp.code, avp.flags << 24 | 16, avp.vendor, value)
    return _number_avp(avp.code, avp.flags << 24 | 12, value)


def encode_avp(avp: Avp, value: object) -> bytes:
    """An AVP of any type.

    Args:
        value: str or bytes for texts, identities and URIs; bytes for OctetString; int or float;
            an `ipaddress` object, its text or (family, octets) for Address; an aware datetime for
            Time; for Grouped a sequence of (Avp, value), or the encoded members as bytes.

    Raises:
        LocalError: the value does not fit the type.
    """
    if avp.type is not AvpType.GROUPED:
        return _bounded(avp, write_value(avp.type, value))
    if isinstance(value, bytes):
        return _bounded(avp, value)
    if isinstance(value, Sequence):
        return _bounded(avp, encode_avps(value))
    raise LocalError(f"{avp.name}: a group is a sequence of (Avp, value)")


def _bounded(avp: Avp, data: bytes) -> bytes:
    if len(data) > LARGEST_LENGTH - 12:
        raise LocalError(f"{avp.name}: {len(data)} octets are too many")
    return encode_octets(avp, data)


def encode_avps(members: Iterable[GroupMember]) -> bytes:
    """AVPs one after the other.

    Raises:
        LocalError: a value does not fit its type.
    """
    return b"".join([encode_avp(avp, value) for avp, value in members])


def encode_message(
    flags: int, command: int, application: int, hop_by_hop: int, end_to_end: int, body: bytes
) -> bytes:
    """A message around encoded AVPs.

    Args:
        flags: `numbers.FLAG_REQUEST`, `FLAG_PROXIABLE`, `FLAG_ERROR`, `FLAG_RETRANSMIT`.
    """
    return (
        _header(
            _VERSION | HEADER_OCTETS + len(body),
            flags << 24 | command,
            application,
            hop_by_hop,
            end_to_end,
        )
        + body
    )


def with_hop_by_hop(raw: bytes, hop_by_hop: int) -> bytes:
    """The same message under another Hop-by-Hop Identifier, as an agent or a fail-over sends it."""
    return raw[:12] + _u32(hop_by_hop) + raw[16:]


def with_retransmit_flag(raw: bytes) -> bytes:
    """The same request with the T bit (RFC 6733 §3, §5.5.4)."""
    return raw[:4] + bytes((raw[4] | numbers.FLAG_RETRANSMIT,)) + raw[5:]
