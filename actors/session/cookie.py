"""The one session cookie: what any worker or node needs to go on with an exchange, sealed.

Set with the first challenge and never changed (clients keep the first one). AES-256-GCM; the text
uses sixteen symbols that have six bits in the HPACK code (RFC 7541 Appendix B) and a length that
is a multiple of four, so that the Huffman decoder takes whole octets. 3GPP names and digits are
packed.
"""

import struct
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

NONCE_OCTETS: Final = 12
LONGEST_COOKIE: Final = 2_048  # characters; a longer one is not ours

_SYMBOLS: Final = "3456789bdfghlmnp"
_TO_SYMBOLS: Final = str.maketrans("0123456789abcdef", _SYMBOLS)
_FROM_SYMBOLS: Final = str.maketrans(_SYMBOLS, "0123456789abcdef")
_PURPOSE: Final = b"eap"  # associated data: a value sealed for something else does not open here

_TWO_COUNTERS: Final = struct.Struct(">II")
_LENGTH: Final = struct.Struct(">H")
_DIGITS: Final = struct.Struct(">BQ")
_FIXED: Final = struct.Struct(">IIBBBBB")
_PLAIN_NAME: Final = 0xFF  # length octet of a name that is not packed
_EPC: Final = ".3gppnetwork.org"


class ResumePoint(Struct, frozen=True, gc=False):
    """Where an exchange stands after its first DEA.

    Attributes:
        expires: wall clock, whole seconds.
        owner: the process that holds the session; 32 bits.
        tenant: id of the tenant.
        session_id: Diameter Session-Id.
        aaa_host: Origin-Host of the first DEA.
        aaa_state: State AVP, empty when there was none.
        eap_id: the identity exactly as the phone sent it.
        eap_identifier: of the outstanding EAP request.
        eap_type: of the outstanding EAP request.
        version: entitlement_version (major, minor).
        apps: application ids in the order of the request.
        terminal_id, app_name: as in the request; the token is bound to them.
        boost_type: of a real-time boost request, else None.

    A registration for notifications is not here: its token is long, and clients register again
    with every request.
    """

    expires: int
    owner: int
    tenant: str
    session_id: bytes
    aaa_host: bytes
    aaa_state: bytes
    eap_id: str
    eap_identifier: int
    eap_type: int
    version: tuple[int, int]
    apps: tuple[str, ...]
    terminal_id: str
    app_name: str
    boost_type: int | None = None


class CookieSeal:
    """Seals and opens session cookies with the node's keys; the first key seals."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        """Prepare the keys.

        Args:
            keys: 32 octets each; several so that a rotation does not end running exchanges.
        """
        self._ciphers = tuple(AESGCM(key) for key in keys)

    def seal(self, point: ResumePoint, nonce: bytes) -> str:
        """The cookie's value.

        Args:
            point: what to carry.
            nonce: 12 random octets, used once.
        """
        sealed = nonce + self._ciphers[0].encrypt(nonce, _pack(point), _PURPOSE)
        if len(sealed) % 2:
            sealed += b"\x00"  # two symbols an octet: an even count gives a multiple of four
        return sealed.hex().translate(_TO_SYMBOLS)

    def open(self, cookie: str, now: float) -> ResumePoint | None:
        """The resume point, or None when the cookie is foreign, damaged or expired.

        Args:
            cookie: the value as the device sent it.
            now: wall clock in seconds.
        """
        if not NONCE_OCTETS * 2 < len(cookie) <= LONGEST_COOKIE:
            return None
        try:
            sealed = bytes.fromhex(cookie.translate(_FROM_SYMBOLS))
        except ValueError:
            return None
        for length in (len(sealed), len(sealed) - 1):
            for cipher in self._ciphers:
                try:
                    plain = cipher.decrypt(
                        sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:length], _PURPOSE
                    )
                except InvalidTag:
                    continue
                point = _unpack(plain)
                return point if point.expires >= now else None
            if sealed[-1]:
                break  # no padding octet: nothing to try a second time
        return None


def _pack(point: ResumePoint) -> bytes:
    session_host, high, low, optional = _split_session_id(point.session_id)
    return b"".join(
        (
            _FIXED.pack(
                point.expires,
                point.owner,
                point.eap_identifier,
                point.eap_type,
                *point.version,
                len(point.apps),
            ),
            _TWO_COUNTERS.pack(high, low),
            _pack_text(optional),
            _pack_name(session_host),
            _pack_name(point.aaa_host.decode("latin-1")),
            _pack_octets(point.aaa_state),
            _pack_nai(point.eap_id),
            _pack_apps(point.apps),
            _pack_digits(point.terminal_id),
            _pack_text(point.app_name),
            _pack_text(point.tenant),
            b"" if point.boost_type is None else bytes((point.boost_type,)),
        )
    )


def _unpack(plain: bytes) -> ResumePoint:
    """The inverse of `_pack`. The octets are authentic, so their form is not checked again."""
    expires, owner, identifier, eap_type, major, minor, app_count = _FIXED.unpack_from(plain)
    reader = _Reader(plain, _FIXED.size)
    high, low = _TWO_COUNTERS.unpack(reader.take(8))
    optional = reader.text()
    session_host = reader.name()
    session_id = f"{session_host};{high};{low}" + (f";{optional}" if optional else "")
    return ResumePoint(
        expires=expires,
        owner=owner,
        session_id=session_id.encode(),
        eap_identifier=identifier,
        eap_type=eap_type,
        version=(major, minor),
        aaa_host=reader.name().encode("latin-1"),
        aaa_state=reader.octets(),
        eap_id=reader.nai(),
        apps=tuple(f"ap{_LENGTH.unpack(reader.take(2))[0]}" for _ in range(app_count)),
        terminal_id=reader.digits(),
        app_name=reader.text(),
        tenant=reader.text(),
        boost_type=reader.last_octet(),
    )


def _split_session_id(session_id: bytes) -> tuple[str, int, int, str]:
    host, high, low, *optional = session_id.decode().split(";", 3)
    return host, int(high), int(low), optional[0] if optional else ""


@lru_cache(maxsize=256)  # phones ask for the same few sets, of the same few hosts and realms
def _pack_apps(apps: tuple[str, ...]) -> bytes:
    return b"".join(struct.pack(">H", int(app[2:])) for app in apps)


def _pack_octets(octets: bytes) -> bytes:
    return _LENGTH.pack(len(octets)) + octets


def _pack_text(text: str) -> bytes:
    return _pack_octets(text.encode())


@lru_cache(maxsize=1_024)
def _pack_name(name: str) -> bytes:
    """`<label>.mnc<MNC>.mcc<MCC>.3gppnetwork.org` as label, MNC and MCC; else as it is."""
    label = name[: -len(_EPC) - len(".mnc001.mcc001")]
    digits = name[-len(_EPC) - 10 : -len(_EPC) - 7] + name[-len(_EPC) - 3 : -len(_EPC)]
    if digits.isdigit() and name == _epc_name(label, digits) and len(label) < _PLAIN_NAME:
        return bytes((len(label),)) + label.encode() + struct.pack(">I", int(digits))[1:]
    return bytes((_PLAIN_NAME,)) + _pack_text(name)


def _epc_name(label: str, digits: str) -> str:
    return f"{label}.mnc{digits[:3]}.mcc{digits[3:]}{_EPC}"


def _pack_digits(text: str) -> bytes:
    """Digits as a number behind their count; anything else as text behind 0."""
    if text.isascii() and text.isdigit() and 0 < len(text) <= 18:
        return _DIGITS.pack(len(text), int(text))
    return b"\x00" + _pack_text(text)


def _pack_nai(nai: str) -> bytes:
    user, at, realm = nai.partition("@")
    return _pack_digits(user) + (b"\x01" + _pack_name(realm) if at else b"\x00")


class _Reader:
    """Takes the packed fields off the front."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    def take(self, count: int) -> bytes:
        start = self._position
        self._position = start + count
        return self._data[start : start + count]

    def last_octet(self) -> int | None:
        left = self.take(1)
        return left[0] if left else None

    def octets(self) -> bytes:
        (length,) = _LENGTH.unpack(self.take(2))
        return self.take(length)

    def text(self) -> str:
        return self.octets().decode()

    def name(self) -> str:
        length = self.take(1)[0]
        if length == _PLAIN_NAME:
            return self.text()
        label = self.take(length).decode()
        return _epc_name(label, f"{int.from_bytes(self.take(3)):06d}")

    def digits(self) -> str:
        count = self.take(1)[0]
        if count == 0:
            return self.text()
        return f"{int.from_bytes(self.take(8)):0{count}d}"

    def nai(self) -> str:
        user = self.digits()
        return f"{user}@{self.name()}" if self.take(1)[0] else user
