"""RADIUS Access packets with EAP inside, for the lab's AAA in front of a foreign EAP server.

Source: RFC 2865 §3, §5 (format, Response Authenticator), RFC 3579 §3 (EAP-Message,
Message-Authenticator), RFC 2548 §2.4 (MS-MPPE keys). Only for the lab: RADIUS over UDP with a
shared secret is MD5 throughout.
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass, field
from typing import Final

ACCESS_REQUEST: Final = 1
ACCESS_ACCEPT: Final = 2
ACCESS_REJECT: Final = 3
ACCESS_CHALLENGE: Final = 11

USER_NAME: Final = 1
NAS_IP_ADDRESS: Final = 4
STATE: Final = 24
VENDOR_SPECIFIC: Final = 26
CALLING_STATION_ID: Final = 31
EAP_MESSAGE: Final = 79
MESSAGE_AUTHENTICATOR: Final = 80
VENDOR_MICROSOFT: Final = 311
MS_MPPE_SEND_KEY: Final = 16
MS_MPPE_RECV_KEY: Final = 17

MAX_PACKET_OCTETS: Final = 4_096
HEADER_OCTETS: Final = 20
MAX_VALUE_OCTETS: Final = 253

_head = struct.Struct(">BBH16s")


class RadiusError(Exception):
    """The other side's packet is malformed, or not authentic."""


@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """What the server answered.

    Attributes:
        code: `ACCESS_ACCEPT`, `ACCESS_REJECT` or `ACCESS_CHALLENGE`.
        eap: the EAP packet, its pieces joined; empty when there was none.
        state: to be echoed, empty when absent.
        msk: 64 octets with an accept, else empty.
    """

    code: int
    eap: bytes
    state: bytes
    msk: bytes = field(repr=False)


def access_request(
    identifier: int,
    authenticator: bytes,
    secret: bytes,
    user_name: bytes,
    eap: bytes,
    state: bytes = b"",
) -> bytes:
    """An Access-Request.

    Args:
        authenticator: 16 random octets.
        state: of the last challenge, echoed; empty in the first round.
    """
    attributes = [
        (USER_NAME, user_name[:MAX_VALUE_OCTETS]),
        (NAS_IP_ADDRESS, bytes((127, 0, 0, 1))),
        (CALLING_STATION_ID, b"lab"),
    ]
    attributes += [
        (EAP_MESSAGE, eap[at : at + MAX_VALUE_OCTETS])
        for at in range(0, len(eap), MAX_VALUE_OCTETS)
    ]
    if state:
        attributes.append((STATE, state))
    attributes.append((MESSAGE_AUTHENTICATOR, bytes(16)))  # last: it is filled in below
    body = b"".join([bytes((kind, len(value) + 2)) + value for kind, value in attributes])
    size = HEADER_OCTETS + len(body)
    packet = _head.pack(ACCESS_REQUEST, identifier, size, authenticator) + body
    return packet[:-16] + hmac.digest(secret, packet, "md5")


def read_answer(packet: bytes, request: bytes, secret: bytes) -> AccessAnswer:
    """Read and authenticate the answer to `request`.

    Raises:
        RadiusError: it is not an authentic answer to it.
    """
    if not HEADER_OCTETS <= len(packet) <= MAX_PACKET_OCTETS:
        raise RadiusError("no RADIUS packet")
    code, identifier, size, authenticator = _head.unpack_from(packet)
    if size != len(packet) or identifier != request[1]:
        raise RadiusError("not an answer to this request")
    asked = request[4:20]
    signed = packet[:4] + asked + packet[20:]
    if not hmac.compare_digest(_md5(signed + secret), authenticator):
        raise RadiusError("the Response Authenticator is wrong")
    eap = state = receive = send = b""
    for kind, at, value in _attributes(packet):
        if kind == EAP_MESSAGE:
            eap += value
        elif kind == STATE:
            state = value
        elif kind == MESSAGE_AUTHENTICATOR:
            _check_message_authenticator(signed, at, value, secret)
        elif kind == VENDOR_SPECIFIC and int.from_bytes(value[:4], "big") == VENDOR_MICROSOFT:
            if value[4] == MS_MPPE_RECV_KEY:
                receive = _mppe_key(value[6:], secret, asked)
            elif value[4] == MS_MPPE_SEND_KEY:
                send = _mppe_key(value[6:], secret, asked)
    return AccessAnswer(code, eap, state, receive + send)


def _attributes(packet: bytes) -> list[tuple[int, int, bytes]]:
    """(type, where the value begins, value) of each."""
    found = []
    at = HEADER_OCTETS
    while at < len(packet):
        size = packet[at + 1] if at + 1 < len(packet) else 0
        if size < 2 or at + size > len(packet):
            raise RadiusError("an attribute of a wrong length")
        found.append((packet[at], at + 2, packet[at + 2 : at + size]))
        at += size
    return found


def _check_message_authenticator(signed: bytes, at: int, value: bytes, secret: bytes) -> None:
    zeroed = signed[:at] + bytes(16) + signed[at + 16 :]
    if not hmac.compare_digest(hmac.digest(secret, zeroed, "md5"), value):
        raise RadiusError("the Message-Authenticator is wrong")


def _mppe_key(value: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """RFC 2548 §2.4.2: salt (2), then length and key, each block xored with an MD5."""
    salt, cipher = value[:2], value[2:]
    plain = b""
    previous = authenticator + salt
    for at in range(0, len(cipher), 16):
        block = cipher[at : at + 16]
        mask = _md5(secret + previous)
        plain += bytes(a ^ b for a, b in zip(block, mask, strict=False))
        previous = block
    if not plain or plain[0] >= len(plain):
        raise RadiusError("an MS-MPPE key of a wrong length")
    return plain[1 : 1 + plain[0]]


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
