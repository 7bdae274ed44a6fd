"""An EAP packet as lines: `EAP-Request/AKA-Challenge`, then its attributes.

Source: RFC 3748 §4, RFC 4187 §8 to §10, RFC 9048 §3. RES, MAC and keys are hidden unless asked for.
"""

from collections.abc import Iterator
from typing import Final

from protocols.eap import numbers
from protocols.eap.packet import AKA_HEADER_OCTETS, EapError, check_attributes, check_header
from protocols.eap.relay import challenge_warnings

_CODES: Final = {1: "Request", 2: "Response", 3: "Success", 4: "Failure"}
_TYPES: Final = {
    numbers.IDENTITY: "Identity",
    2: "Notification",
    numbers.NAK: "Nak",
    numbers.EAP_AKA: "AKA",
    numbers.EAP_AKA_PRIME: "AKA'",
}
_SUBTYPES: Final = {
    numbers.CHALLENGE: "Challenge",
    numbers.AUTHENTICATION_REJECT: "Authentication-Reject",
    numbers.SYNCHRONIZATION_FAILURE: "Synchronization-Failure",
    numbers.AKA_IDENTITY: "Identity",
    numbers.NOTIFICATION: "Notification",
    numbers.REAUTHENTICATION: "Reauthentication",
    numbers.CLIENT_ERROR: "Client-Error",
}
_ATTRIBUTES: Final = {
    value: name for name, value in vars(numbers).items() if name.startswith("AT_")
} | {137: "AT_IPMS_IND", 138: "AT_IPMS_RES", 139: "AT_TRUST_IND"}
_NOTIFICATIONS: Final = {
    numbers.NOTIFICATION_SUCCESS: "success",
    numbers.NOTIFICATION_FAILURE_AFTER: "general failure after authentication",
    numbers.NOTIFICATION_FAILURE: "general failure",
    numbers.NOTIFICATION_DENIED: "temporarily denied",
    numbers.NOTIFICATION_NOT_SUBSCRIBED: "not subscribed",
}
_RESERVED_THEN_VALUE: Final = frozenset(
    {numbers.AT_RAND, numbers.AT_MAC, numbers.AT_NONCE_S, numbers.AT_IV}
    | {numbers.AT_ENCR_DATA, numbers.AT_CHECKCODE}
)
_LENGTH_THEN_TEXT: Final = frozenset(
    {numbers.AT_IDENTITY, numbers.AT_KDF_INPUT, numbers.AT_NEXT_PSEUDONYM}
    | {numbers.AT_NEXT_REAUTH_ID}
)
_NUMBER: Final = frozenset(
    {numbers.AT_COUNTER, numbers.AT_CLIENT_ERROR_CODE, numbers.AT_KDF, numbers.AT_BIDDING}
)


def hidden(secret: bytes, show_secrets: bool) -> str:
    """A secret, or how long it is."""
    return secret.hex() if show_secrets else f"({len(secret)} octets hidden)"


def eap_title(packet: bytes) -> str:
    """`EAP-Request/AKA-Challenge id 2`; of broken octets what can be said."""
    try:
        check_header(packet)
    except EapError as error:
        return f"EAP, broken: {error}"
    name = "EAP-" + _CODES.get(packet[0], f"code {packet[0]}")
    if packet[0] in (numbers.REQUEST, numbers.RESPONSE) and len(packet) > 4:
        type_ = packet[4]
        name += "/" + _TYPES.get(type_, f"type {type_}")
        if _is_aka(packet):
            name += "-" + _SUBTYPES.get(packet[5], f"subtype {packet[5]}")
    return f"{name} id {packet[1]}"


def eap_lines(packet: bytes, show_secrets: bool) -> list[str]:
    """The title, then what the packet holds, then what will trouble phones."""
    lines = [f"{eap_title(packet)} ({len(packet)} octets)"]
    try:
        check_header(packet)
        if packet[0] not in (numbers.REQUEST, numbers.RESPONSE) or len(packet) < 5:
            return lines
        if _is_aka(packet):
            check_attributes(packet)
            lines += _attributes(packet, show_secrets)
            if packet[0] == numbers.REQUEST and packet[5] == numbers.CHALLENGE:
                lines += [f"! {warning}" for warning in challenge_warnings(packet)]
        elif packet[4] == numbers.IDENTITY:
            lines.append(f"identity {packet[5:].decode('ascii', 'backslashreplace')}")
        elif packet[4] == numbers.NAK:
            wanted = ", ".join(_TYPES.get(one, str(one)) for one in packet[5:])
            lines.append(f"wants {wanted}")
    except EapError as error:
        lines.append(f"broken: {error}")
    return lines


def _is_aka(packet: bytes) -> bool:
    return len(packet) >= AKA_HEADER_OCTETS and packet[4] in (
        numbers.EAP_AKA,
        numbers.EAP_AKA_PRIME,
    )


def _attributes(packet: bytes, show_secrets: bool) -> Iterator[str]:
    at = AKA_HEADER_OCTETS
    while at < len(packet):
        type_, size = packet[at], packet[at + 1] * 4
        name = _ATTRIBUTES.get(type_, f"attribute {type_}")
        yield f"{name} {_attribute(type_, packet[at + 2 : at + size], show_secrets)}".rstrip()
        at += size


def _attribute(type_: int, data: bytes, show_secrets: bool) -> str:
    number = int.from_bytes(data[:2])
    if type_ == numbers.AT_MAC:
        return hidden(data[2:], show_secrets)
    if type_ == numbers.AT_RES:
        return hidden(data[2 : 2 + (number + 7) // 8], show_secrets)
    if type_ == numbers.AT_AUTN and len(data) == 18:
        return f"{data[2:].hex()} (AMF {data[8:10].hex()})"
    if type_ == numbers.AT_AUTS:
        return f"{data.hex()} (SQN_MS^AK* {data[:6].hex()})"
    if type_ == numbers.AT_NOTIFICATION:
        return f"{number} {_NOTIFICATIONS.get(number, '')}"
    if type_ in _LENGTH_THEN_TEXT:
        return data[2 : 2 + number].decode("utf-8", "backslashreplace")
    if type_ in _NUMBER:
        return str(number)
    return (data[2:] if type_ in _RESERVED_THEN_VALUE else data).hex()
