"""EAP packets at the edge: the header, and what a device may answer, checked once.

Source: RFC 3748 §4 (header), RFC 4187 §8.1 and §9 (EAP-AKA), RFC 9048 (EAP-AKA'). What happens
for every packet is cheap (1-2 µs): no attribute becomes an object here, see `aka.py` for that.
"""

from typing import Final

from protocols.eap.numbers import (
    AKA_IDENTITY,
    AUTHENTICATION_REJECT,
    CHALLENGE,
    CLIENT_ERROR,
    EAP_AKA,
    EAP_AKA_PRIME,
    FAILURE,
    IDENTITY,
    NAK,
    NOTIFICATION,
    REAUTHENTICATION,
    RESPONSE,
    SUCCESS,
    SYNCHRONIZATION_FAILURE,
)

MAX_PACKET_OCTETS: Final = 4_095  # ours: "below 4 kB"; a challenge has about 200
AKA_HEADER_OCTETS: Final = 8  # EAP header and type 5, subtype 1, reserved 2

# What a device sends by itself, and what it sends to a request that is no challenge.
RESPONSE_SUBTYPES: Final = frozenset(
    {
        CHALLENGE,
        AUTHENTICATION_REJECT,
        SYNCHRONIZATION_FAILURE,
        AKA_IDENTITY,
        NOTIFICATION,
        REAUTHENTICATION,
        CLIENT_ERROR,
    }
)


class EapError(Exception):
    """The other side sent what is no sound packet. The text names no content of it."""


class EapResponse:
    """What the relay needs to know of a checked EAP-AKA or EAP-AKA' response.

    Attributes:
        identifier: of the request it answers.
        type: 23 EAP-AKA or 50 EAP-AKA'.
        subtype: 1 challenge, 2 reject, 4 synchronisation failure, 5 identity, 12 notification,
            13 re-authentication, 14 client error.
    """

    __slots__ = ("identifier", "subtype", "type")

    def __init__(self, identifier: int, type_: int, subtype: int) -> None:
        self.identifier = identifier
        self.type = type_
        self.subtype = subtype

    def __repr__(self) -> str:
        return f"EapResponse(identifier={self.identifier}, {self.type}/{self.subtype})"


def check_header(packet: bytes) -> None:
    """Check that `packet` is one whole EAP packet, no more and no less.

    RFC 3748 §4.1 lets a link pad; neither JSON nor Diameter does, so octets after the end are a
    fault.

    Raises:
        EapError: too short, too long, or the length field differs from the octets.
    """
    size = len(packet)
    if not 4 <= size <= MAX_PACKET_OCTETS:
        raise EapError(f"an EAP packet has 4 to {MAX_PACKET_OCTETS} octets, not {size}")
    if packet[2] << 8 | packet[3] != size:
        raise EapError(f"the length field says {packet[2] << 8 | packet[3]}, there are {size}")


def check_attributes(packet: bytes) -> None:
    """Check that the attributes of an EAP-AKA packet fill it exactly (RFC 4187 §8.1).

    Raises:
        EapError: an attribute has the length zero, or reaches over the end.
    """
    at, size = AKA_HEADER_OCTETS, len(packet)
    last = size - 1
    while at < last:
        length = packet[at + 1]
        if not length:
            raise EapError(f"attribute {packet[at]} has the length zero")
        at += length << 2
    if at != size:
        raise EapError("the attributes do not end with the packet")


def parse_response(packet: bytes) -> EapResponse:
    """Check an EAP-AKA or EAP-AKA' response from a device.

    Whether the identifier and the type are those of the outstanding request is for the caller.

    Raises:
        EapError: it is no such response, or not sound.
    """
    size = len(packet)
    if not AKA_HEADER_OCTETS <= size <= MAX_PACKET_OCTETS:
        raise EapError(f"an EAP-AKA response has 8 to {MAX_PACKET_OCTETS} octets, not {size}")
    code, identifier, high, low, type_, subtype = packet[:6]
    if high << 8 | low != size:
        raise EapError(f"the length field says {high << 8 | low}, there are {size}")
    if code != RESPONSE:
        raise EapError(f"code {code} is not a response")
    if type_ != EAP_AKA and type_ != EAP_AKA_PRIME:
        raise EapError(f"type {type_} is neither EAP-AKA nor EAP-AKA'")
    if subtype not in RESPONSE_SUBTYPES:
        raise EapError(f"subtype {subtype} is not a response of EAP-AKA")
    check_attributes(packet)
    return EapResponse(identifier, type_, subtype)


def parse_identity_response(packet: bytes) -> str:
    """The identity in an EAP-Response/Identity (RFC 3748 §5.1), as sent.

    Raises:
        EapError: it is no such packet, or the identity is empty or not ASCII.
    """
    check_header(packet)
    if len(packet) < 6 or packet[0] != RESPONSE or packet[4] != IDENTITY:
        raise EapError("not an EAP-Response/Identity with an identity")
    try:
        return packet[5:].decode("ascii")
    except UnicodeDecodeError:
        raise EapError("the identity is not ASCII") from None


def build(code: int, identifier: int, payload: bytes = b"") -> bytes:
    """A packet: `payload` begins with the type; success and failure have none."""
    return bytes((code, identifier)) + (4 + len(payload)).to_bytes(2, "big") + payload


def identity_response(identifier: int, nai: str) -> bytes:
    """EAP-Response/Identity: type 1, then the NAI exactly as the device gave it."""
    data = nai.encode()
    size = 5 + len(data)
    return bytes((RESPONSE, identifier, size >> 8, size & 0xFF, IDENTITY)) + data


def nak_response(identifier: int, wanted_type: int) -> bytes:
    """EAP-Response/Nak: "I cannot do this type, but `wanted_type`" (RFC 3748 §5.3.1)."""
    return build(RESPONSE, identifier, bytes((NAK, wanted_type)))


def success(identifier: int) -> bytes:
    """EAP-Success."""
    return build(SUCCESS, identifier)


def failure(identifier: int) -> bytes:
    """EAP-Failure."""
    return build(FAILURE, identifier)
