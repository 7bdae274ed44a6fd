"""What the relay sees in an EAP request of the AAA, and the answers it gives in the phone's place.

Source: RFC 4187 §4.1 (identity), §6.1 (notifications), §9. Phones understand one request only,
EAP-AKA's challenge. Identity rounds and notifications before the challenge need no key, so the
node answers them; all else it cannot answer. Nothing inside a challenge is read but its order.
"""

from enum import Enum
from typing import Final

from protocols.eap.numbers import (
    AKA_IDENTITY,
    AT_ANY_ID_REQ,
    AT_AUTN,
    AT_BIDDING,
    AT_CHECKCODE,
    AT_FULLAUTH_ID_REQ,
    AT_IDENTITY,
    AT_NEXT_PSEUDONYM,
    AT_NEXT_REAUTH_ID,
    AT_NOTIFICATION,
    AT_PERMANENT_ID_REQ,
    AT_RAND,
    AT_RESULT_IND,
    CHALLENGE,
    EAP_AKA,
    EAP_AKA_PRIME,
    FAILURE,
    IDENTITY,
    NOTIFICATION,
    NOTIFICATION_BEFORE_CHALLENGE_BIT,
    REAUTHENTICATION,
    REQUEST,
    RESPONSE,
    SUCCESS,
)
from protocols.eap.packet import (
    AKA_HEADER_OCTETS,
    EapError,
    check_attributes,
    check_header,
    identity_response,
)

__all__ = [
    "InspectedRequest",
    "RequestKind",
    "aka_identity_response",
    "challenge_warnings",
    "identity_response",
    "inspect_request",
    "notification_response",
]


class RequestKind(Enum):
    """What a packet from the AAA is, by what can be done with it."""

    CHALLENGE = "AKA-Challenge"  # goes to the device, untouched
    CHALLENGE_PRIME = "AKA'-Challenge"  # no phone can answer it over TS.43
    IDENTITY = "Identity"  # `identity_response`
    AKA_IDENTITY = "AKA-Identity"  # `aka_identity_response`
    NOTIFICATION = "AKA-Notification before the challenge"  # `notification_response`
    NOTIFICATION_AFTER = "AKA-Notification after the challenge"  # its answer needs K_aut
    REAUTHENTICATION = "AKA-Reauthentication"  # its answer needs K_aut
    SUCCESS = "Success"
    FAILURE = "Failure"
    UNKNOWN = "unknown"  # another EAP method or subtype


class InspectedRequest:
    """A checked packet of the AAA.

    Attributes:
        kind: what it is.
        identifier: the answer carries the same one.
        type: EAP type, 0 for success and failure.
        rand_autn_first: a challenge begins with AT_RAND, AT_AUTN. Samsung's clients read both at
            fixed places (octets 12-27 and 32-47).
        notification: the code of AT_NOTIFICATION, else 0.
    """

    __slots__ = ("identifier", "kind", "notification", "rand_autn_first", "type")

    def __init__(
        self,
        kind: RequestKind,
        identifier: int,
        type_: int,
        rand_autn_first: bool = True,
        notification: int = 0,
    ) -> None:
        self.kind = kind
        self.identifier = identifier
        self.type = type_
        self.rand_autn_first = rand_autn_first
        self.notification = notification

    def __repr__(self) -> str:
        return f"InspectedRequest({self.kind.name}, identifier={self.identifier})"


# AT_RAND at octet 8, five units long; AT_AUTN at octet 28, five units long.
_RAND_HEAD: Final = bytes((AT_RAND, 5))
_AUTN_HEAD: Final = bytes((AT_AUTN, 5))

_KINDS: Final = {
    AKA_IDENTITY: RequestKind.AKA_IDENTITY,
    REAUTHENTICATION: RequestKind.REAUTHENTICATION,
}


def inspect_request(packet: bytes) -> InspectedRequest:
    """Say what the AAA sent. The same checks as for a response of the device.

    Raises:
        EapError: it is not a sound request, success or failure.
    """
    size = len(packet)
    if (
        size >= AKA_HEADER_OCTETS
        and packet[0] == REQUEST
        and packet[5] == CHALLENGE
        and (packet[4] == EAP_AKA or packet[4] == EAP_AKA_PRIME)
    ):
        check_header(packet)
        check_attributes(packet)
        is_aka = packet[4] == EAP_AKA
        return InspectedRequest(
            RequestKind.CHALLENGE if is_aka else RequestKind.CHALLENGE_PRIME,
            packet[1],
            packet[4],
            packet[8:10] == _RAND_HEAD and packet[28:30] == _AUTN_HEAD,
        )
    return _inspect_other(packet)


def _inspect_other(packet: bytes) -> InspectedRequest:
    check_header(packet)
    code, identifier = packet[0], packet[1]
    if code in (SUCCESS, FAILURE):
        if len(packet) != 4:
            raise EapError("success and failure have four octets")
        kind = RequestKind.SUCCESS if code == SUCCESS else RequestKind.FAILURE
        return InspectedRequest(kind, identifier, 0)
    if code != REQUEST:
        raise EapError(f"code {code} is not a request, success or failure")
    if len(packet) < 5:
        raise EapError("a request without a type")
    type_ = packet[4]
    if type_ == IDENTITY:
        return InspectedRequest(RequestKind.IDENTITY, identifier, type_)
    if type_ not in (EAP_AKA, EAP_AKA_PRIME):
        return InspectedRequest(RequestKind.UNKNOWN, identifier, type_)
    if len(packet) < AKA_HEADER_OCTETS:
        raise EapError("an EAP-AKA request has at least 8 octets")
    check_attributes(packet)
    if packet[5] == NOTIFICATION:
        return _inspect_notification(packet)
    kind = _KINDS.get(packet[5], RequestKind.UNKNOWN)
    return InspectedRequest(kind, identifier, type_)


def _inspect_notification(packet: bytes) -> InspectedRequest:
    place = _find(packet, AT_NOTIFICATION)
    if place is None or packet[place + 1] != 1:
        raise EapError("a notification without its code")
    code = packet[place + 2] << 8 | packet[place + 3]
    before = code & NOTIFICATION_BEFORE_CHALLENGE_BIT
    kind = RequestKind.NOTIFICATION if before else RequestKind.NOTIFICATION_AFTER
    return InspectedRequest(kind, packet[1], packet[4], notification=code)


def _find(packet: bytes, attribute: int) -> int | None:
    """Where the first such attribute of a checked packet begins."""
    at = AKA_HEADER_OCTETS
    while at < len(packet):
        if packet[at] == attribute:
            return at
        at += packet[at + 1] << 2
    return None


def aka_identity_response(request: bytes, nai: str) -> bytes:
    """Answer a checked AKA-Identity request with the identity that the device gave.

    The same answer fits all three requests for an identity: the node knows only this one.
    """
    data = nai.encode()
    units = (4 + len(data) + 3) >> 2
    attribute = bytes((AT_IDENTITY, units)) + len(data).to_bytes(2, "big")
    size = AKA_HEADER_OCTETS + (units << 2)
    head = bytes((RESPONSE, request[1], size >> 8, size & 0xFF, request[4], AKA_IDENTITY, 0, 0))
    return head + attribute + data.ljust((units << 2) - 4, b"\0")


def notification_response(request: bytes) -> bytes:
    """Answer a checked notification whose P bit is set: no attribute (RFC 4187 §6.1, §9.11)."""
    return bytes((RESPONSE, request[1], 0, AKA_HEADER_OCTETS, request[4], NOTIFICATION, 0, 0))


_WARNINGS: Final = {
    AT_RESULT_IND: "AT_RESULT_IND: the AAA may notify the result, which no phone can answer",
    AT_NEXT_PSEUDONYM: "AT_NEXT_PSEUDONYM outside AT_ENCR_DATA",
    AT_NEXT_REAUTH_ID: "AT_NEXT_REAUTH_ID outside AT_ENCR_DATA",
    AT_ANY_ID_REQ: "an identity request inside a challenge",
    AT_FULLAUTH_ID_REQ: "an identity request inside a challenge",
    AT_PERMANENT_ID_REQ: "an identity request inside a challenge",
    AT_BIDDING: "AT_BIDDING: the AAA offers EAP-AKA'",
    AT_CHECKCODE: "AT_CHECKCODE: phones do not return it",
}


def challenge_warnings(packet: bytes) -> list[str]:
    """What in a checked challenge will trouble real phones; for the trace, not the hot path."""
    found = []
    if packet[8:10] != _RAND_HEAD or packet[28:30] != _AUTN_HEAD:
        found.append("AT_RAND and AT_AUTN are not the first attributes: Samsung cannot read it")
    if packet[4] == EAP_AKA_PRIME:
        found.append("EAP-AKA': phones answer EAP-AKA only")
    found += [text for attribute, text in _WARNINGS.items() if _find(packet, attribute) is not None]
    return found
