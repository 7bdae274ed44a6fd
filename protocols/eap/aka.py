"""Attributes and packets of EAP-AKA and EAP-AKA', for the ends of a conversation.

Source: RFC 4187 §8 (format), §9 (messages), §10 (attributes); RFC 9048 §3. The relay needs none of
this (`relay.py`); the lab's AAA and phones do.
"""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from protocols.eap import keys
from protocols.eap import numbers as n
from protocols.eap.packet import (
    AKA_HEADER_OCTETS,
    EapError,
    build,
    check_attributes,
    check_header,
)

# Units of four octets that an attribute of fixed size has; the others tell their own length.
_UNITS: Final[Mapping[int, frozenset[int]]] = {
    n.AT_RAND: frozenset({5}),
    n.AT_AUTN: frozenset({5}),
    n.AT_AUTS: frozenset({4}),
    n.AT_PERMANENT_ID_REQ: frozenset({1}),
    n.AT_MAC: frozenset({5}),
    n.AT_NOTIFICATION: frozenset({1}),
    n.AT_ANY_ID_REQ: frozenset({1}),
    n.AT_FULLAUTH_ID_REQ: frozenset({1}),
    n.AT_COUNTER: frozenset({1}),
    n.AT_COUNTER_TOO_SMALL: frozenset({1}),
    n.AT_NONCE_S: frozenset({5}),
    n.AT_CLIENT_ERROR_CODE: frozenset({1}),
    n.AT_KDF: frozenset({1}),
    n.AT_IV: frozenset({5}),
    n.AT_CHECKCODE: frozenset({1, 6, 9}),
    n.AT_RESULT_IND: frozenset({1}),
    n.AT_BIDDING: frozenset({1}),
}
_WITH_LENGTH: Final = frozenset(
    {n.AT_IDENTITY, n.AT_KDF_INPUT, n.AT_NEXT_PSEUDONYM, n.AT_NEXT_REAUTH_ID}
)
_KNOWN: Final = frozenset(_UNITS) | _WITH_LENGTH | {n.AT_RES, n.AT_ENCR_DATA, n.AT_PADDING}
_REPEATABLE: Final = frozenset({n.AT_KDF})  # RFC 9048 §3.2: a server offers several


class AkaPacket:
    """One request or response of EAP-AKA, read.

    Attributes:
        code, identifier, type, subtype: of the header.
        attributes: number to the octets after type and length (reserved ones included).
        key_derivations: the values of all AT_KDF in order.
    """

    __slots__ = (
        "_mac_at",
        "_raw",
        "attributes",
        "code",
        "identifier",
        "key_derivations",
        "subtype",
        "type",
    )

    def __init__(self, raw: bytes) -> None:
        """Read `raw`.

        Raises:
            EapError: it is not sound, repeats an attribute, has one of a wrong size, or one that
                is unknown and not skippable (RFC 4187 §6.2).
        """
        check_header(raw)
        if len(raw) < AKA_HEADER_OCTETS or raw[0] not in (n.REQUEST, n.RESPONSE):
            raise EapError("neither a request nor a response of EAP-AKA")
        check_attributes(raw)
        self._raw = raw
        self._mac_at = 0
        self.code, self.identifier = raw[0], raw[1]
        self.type, self.subtype = raw[4], raw[5]
        if self.type not in (n.EAP_AKA, n.EAP_AKA_PRIME):
            raise EapError(f"type {self.type} is neither EAP-AKA nor EAP-AKA'")
        self.key_derivations: list[int] = []
        self.attributes: dict[int, bytes] = {}
        for kind, at, value in _attributes(raw, AKA_HEADER_OCTETS):
            self.attributes.setdefault(kind, value)
            if kind == n.AT_MAC:
                self._mac_at = at + 4
            elif kind == n.AT_KDF:
                self.key_derivations.append(value[0] << 8 | value[1])

    def __contains__(self, attribute: int) -> bool:
        return attribute in self.attributes

    def __repr__(self) -> str:
        """Numbers only: values are keys' neighbours or name a subscriber."""
        kinds = ",".join(map(str, self.attributes))
        return f"AkaPacket({self.code}, {self.type}/{self.subtype}, attributes {kinds})"

    def fixed(self, attribute: int) -> bytes:
        """The 16 octets of AT_RAND, AT_AUTN, AT_MAC, AT_NONCE_S or AT_IV; the 14 of AT_AUTS.

        Raises:
            EapError: there is none.
        """
        value = self._value(attribute)
        return value if attribute == n.AT_AUTS else value[2:]

    def number(self, attribute: int) -> int:
        """The 16 bits of AT_NOTIFICATION, AT_COUNTER, AT_CLIENT_ERROR_CODE or AT_BIDDING.

        Raises:
            EapError: there is none.
        """
        value = self._value(attribute)
        return value[0] << 8 | value[1]

    def text(self, attribute: int) -> bytes:
        """The octets of AT_IDENTITY, AT_KDF_INPUT or another with an actual length.

        Raises:
            EapError: there is none, or its actual length is longer than itself.
        """
        value = self._value(attribute)
        length = value[0] << 8 | value[1]
        if length > len(value) - 2:
            raise EapError(f"attribute {attribute} is shorter than it says")
        return value[2 : 2 + length]

    def res(self) -> bytes:
        """RES. AT_RES gives its length in bits (RFC 4187 §10.8); ours are whole octets.

        Raises:
            EapError: there is none, or its length is not 32 to 128 bits or not its own.
        """
        value = self._value(n.AT_RES)
        bits = value[0] << 8 | value[1]
        if not 32 <= bits <= 128 or bits & 7 or bits >> 3 > len(value) - 2:
            raise EapError("AT_RES has no sound length")
        return value[2 : 2 + (bits >> 3)]

    def checkcode(self) -> bytes | None:
        """The 0, 20 or 32 octets of AT_CHECKCODE; None when there is none."""
        value = self.attributes.get(n.AT_CHECKCODE)
        return value[2:] if value is not None else None

    def mac_is_right(self, k_aut: bytes, more: bytes = b"") -> bool:
        """Whether there is an AT_MAC and it fits (RFC 4187 §10.15)."""
        at = self._mac_at
        if not at:
            return False
        zeroed = self._raw[:at] + bytes(keys.MAC_OCTETS) + self._raw[at + keys.MAC_OCTETS :]
        mac = keys.mac(self.type, k_aut, zeroed, more)
        return hmac.compare_digest(mac, self._raw[at : at + keys.MAC_OCTETS])

    def decrypted(self, k_encr: bytes) -> dict[int, bytes]:
        """The attributes inside AT_ENCR_DATA (RFC 4187 §10.12), AT_PADDING included.

        Raises:
            EapError: AT_IV or AT_ENCR_DATA is missing, or the content is not sound.
        """
        cipher_text = self.fixed(n.AT_ENCR_DATA)
        if not cipher_text or len(cipher_text) % 16:
            raise EapError("AT_ENCR_DATA is not a multiple of 16 octets")
        plain = keys.decrypt(k_encr, self.fixed(n.AT_IV), cipher_text)
        check_attributes(bytes(AKA_HEADER_OCTETS) + plain)
        return {kind: value for kind, _, value in _attributes(plain, 0)}

    def _value(self, attribute: int) -> bytes:
        try:
            return self.attributes[attribute]
        except KeyError:
            raise EapError(f"attribute {attribute} is missing") from None


def _attributes(octets: bytes, at: int) -> Iterator[tuple[int, int, bytes]]:
    """(number, where it begins, octets after type and length) of each attribute from `at` on.

    Raises:
        EapError: one is repeated, of a wrong size, or unknown and not skippable.
    """
    seen: set[int] = set()
    while at < len(octets):
        kind, units = octets[at], octets[at + 1]
        if kind not in _KNOWN and kind < n.FIRST_SKIPPABLE:
            raise EapError(f"attribute {kind} is unknown and not skippable")
        if units not in _UNITS.get(kind, (units,)):
            raise EapError(f"attribute {kind} has {units} units")
        if kind in seen and kind not in _REPEATABLE:
            raise EapError(f"attribute {kind} twice")
        seen.add(kind)
        yield kind, at, octets[at + 2 : at + (units << 2)]
        at += units << 2


# --- building -----------------------------------------------------------------------------------


def at_fixed(attribute: int, value: bytes) -> bytes:
    """AT_RAND, AT_AUTN, AT_NONCE_S, AT_IV, AT_CHECKCODE, AT_ENCR_DATA: 2 reserved, then value."""
    return bytes((attribute, len(value) + 4 >> 2, 0, 0)) + value


def at_number(attribute: int, number: int = 0) -> bytes:
    """An attribute of one unit: a 16-bit number, or a flag (number 0)."""
    return bytes((attribute, 1, number >> 8, number & 0xFF))


def at_text(attribute: int, text: bytes) -> bytes:
    """AT_IDENTITY, AT_KDF_INPUT, AT_NEXT_PSEUDONYM, AT_NEXT_REAUTH_ID: length in octets, text."""
    units = (len(text) + 7) >> 2
    return bytes((attribute, units)) + len(text).to_bytes(2, "big") + _padded(text, units)


def at_res(res: bytes) -> bytes:
    """AT_RES: the length is in bits."""
    units = (len(res) + 7) >> 2
    return bytes((n.AT_RES, units)) + (len(res) << 3).to_bytes(2, "big") + _padded(res, units)


def at_auts(auts: bytes) -> bytes:
    """AT_AUTS: no reserved octets."""
    return bytes((n.AT_AUTS, 4)) + auts


def at_encrypted(k_encr: bytes, iv: bytes, attributes: bytes) -> bytes:
    """AT_IV and AT_ENCR_DATA around `attributes`, padded to 16 with AT_PADDING."""
    missing = -len(attributes) % 16
    if missing:
        attributes += bytes((n.AT_PADDING, missing >> 2)) + bytes(missing - 2)
    cipher_text = keys.encrypt(k_encr, iv, attributes)
    return at_fixed(n.AT_IV, iv) + at_fixed(n.AT_ENCR_DATA, cipher_text)


def _padded(octets: bytes, units: int) -> bytes:
    return octets.ljust((units << 2) - 4, b"\0")


_AT_MAC_EMPTY: Final = bytes((n.AT_MAC, 5, 0, 0)) + bytes(keys.MAC_OCTETS)


def build_aka(
    code: int, identifier: int, type_: int, subtype: int, attributes: bytes = b""
) -> bytes:
    """A packet without AT_MAC."""
    return build(code, identifier, bytes((type_, subtype, 0, 0)) + attributes)


def build_with_mac(
    code: int,
    identifier: int,
    type_: int,
    subtype: int,
    attributes: bytes,
    k_aut: bytes,
    more: bytes = b"",
) -> bytes:
    """A packet whose last attribute is AT_MAC.

    Args:
        more: NONCE_S in the response to AKA-Reauthentication, else empty.
    """
    empty = build_aka(code, identifier, type_, subtype, attributes + _AT_MAC_EMPTY)
    return empty[: -keys.MAC_OCTETS] + keys.mac(type_, k_aut, empty, more)


def build_with_mac_first(
    code: int, identifier: int, type_: int, subtype: int, attributes: bytes, k_aut: bytes
) -> bytes:
    """The same with AT_MAC before all others: RFC 4187 allows it, some clients cannot read it."""
    empty = build_aka(code, identifier, type_, subtype, _AT_MAC_EMPTY + attributes)
    at = AKA_HEADER_OCTETS + 4
    return empty[:at] + keys.mac(type_, k_aut, empty) + empty[at + keys.MAC_OCTETS :]


def challenge_response(identifier: int, type_: int, res: bytes, k_aut: bytes) -> bytes:
    """What phones answer to a challenge: AT_RES, then AT_MAC, nothing else."""
    return build_with_mac(n.RESPONSE, identifier, type_, n.CHALLENGE, at_res(res), k_aut)


def synchronization_failure(
    identifier: int, type_: int, auts: bytes, key_derivations: Sequence[int] = ()
) -> bytes:
    """AKA-Synchronization-Failure: AT_AUTS, no AT_MAC (RFC 4187 §9.6).

    Args:
        key_derivations: the AT_KDF values of the challenge, which EAP-AKA' returns (RFC 9048 §3.2).
    """
    attributes = at_auts(auts) + b"".join([at_number(n.AT_KDF, kdf) for kdf in key_derivations])
    return build_aka(n.RESPONSE, identifier, type_, n.SYNCHRONIZATION_FAILURE, attributes)
