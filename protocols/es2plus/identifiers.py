"""Matching id, confirmation code and activation code of an eSIM order (GSMA SGP.22 §4.1, §5.3).

EID and ICCID are in `protocols/identity.py`. The three here are secrets of the subscriber: whoever
knows an activation code can download the profile. Their `repr` shows nothing of them.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final, Self

# SGP.22 §6.5.2.2: matchingId.
_MATCHING_ID: Final = re.compile(r"[0-9A-Z-]*")
_LABEL: Final = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_FQDN: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_OID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
# Crockford's base 32: no I, L, O, U, which people misread.
_SYMBOLS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUPS: Final = 5
_GROUP_SYMBOLS: Final = 5
RANDOM_OCTETS: Final = 16  # of a generated matching id: 125 of the 128 bits are used

ACTIVATION_CODE_SYMBOLS: Final = 255  # SGP.22 §4.1
QR_PREFIX: Final = "LPA:"
_FORMAT: Final = "1"


class MatchingId(str):
    """Links a download to its order: digits, capitals and `-`; unique per operator and SM-DP+.

    Empty in the default SM-DP+ address mode (SGP.22 §5.3.2). Its `repr` shows the first group.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check and build.

        Raises:
            ValueError: another symbol, or more than an activation code can hold.
        """
        if len(text) >= ACTIVATION_CODE_SYMBOLS or not _MATCHING_ID.fullmatch(text):
            raise ValueError("a matching id is digits, capital letters and -")
        return super().__new__(cls, text)

    def __repr__(self) -> str:
        return f"MatchingId({self[:5] + '…' if len(self) > 8 else '…' * bool(self)!r})"

    @classmethod
    def generate(cls, random_octets: bytes, prefix: str = "") -> Self:
        """Five groups of five symbols, 125 random bits, after the tenant's prefix.

        Args:
            random_octets: 16 octets nobody can guess.
            prefix: put before it with a `-`.

        Raises:
            ValueError: the octets are not 16, or the prefix has symbols that may not be in it.
        """
        if len(random_octets) != RANDOM_OCTETS:
            raise ValueError(f"{RANDOM_OCTETS} random octets are needed")
        bits = int.from_bytes(random_octets, "big")
        symbols = "".join(
            _SYMBOLS[bits >> 5 * place & 31] for place in range(_GROUPS * _GROUP_SYMBOLS)
        )
        groups = [
            symbols[at : at + _GROUP_SYMBOLS] for at in range(0, len(symbols), _GROUP_SYMBOLS)
        ]
        return cls("-".join(([prefix] if prefix else []) + groups))


class ConfirmationCode(str):
    """What the user must type to download. Clear text on ES2+; never in a log or a `repr`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ConfirmationCode('…')"


@dataclass(frozen=True, slots=True)
class ActivationCode:
    """What a device needs to fetch its profile.

    Source: SGP.22 §4.1: `1$<SM-DP+ address>$<matching id>[$<SM-DP+ OID>][$1]`.

    Attributes:
        smdp_address: host name of the SM-DP+, without a port.
        smdp_oid: that the certificate of the SM-DP+ must have; empty: any.
        confirmation_code_required: the user will be asked for the confirmation code.
    """

    smdp_address: str
    matching_id: MatchingId = field(repr=False)
    smdp_oid: str = ""
    confirmation_code_required: bool = False

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ValueError: the address or OID is malformed, or the whole exceeds 255 symbols.
        """
        if len(self.smdp_address) > 253 or not _FQDN.fullmatch(self.smdp_address):
            raise ValueError("the SM-DP+ address of an activation code is a host name")
        if self.smdp_oid and not _OID.fullmatch(self.smdp_oid):
            raise ValueError("the OID of an activation code is numbers and dots")
        if len(self.text) > ACTIVATION_CODE_SYMBOLS:
            raise ValueError(f"an activation code has {ACTIVATION_CODE_SYMBOLS} symbols at most")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one, with or without `LPA:`.

        Raises:
            ValueError: it is none.
        """
        if text[: len(QR_PREFIX)].upper() == QR_PREFIX:
            text = text[len(QR_PREFIX) :]
        kind, *fields = text.split("$")
        if kind != _FORMAT or not 2 <= len(fields) <= 4:
            raise ValueError("an activation code is 1$address$matching id[$OID][$1]")
        address, matching_id, oid, flag = (*fields, "", "")[:4]
        if flag not in ("", "1"):
            raise ValueError("the last field of an activation code is 1 or absent")
        return cls(address, MatchingId(matching_id), oid, flag == "1")

    @property
    def text(self) -> str:
        """As a person types it."""
        parts = [_FORMAT, self.smdp_address, str(self.matching_id)]
        if self.smdp_oid or self.confirmation_code_required:
            parts.append(self.smdp_oid)
        if self.confirmation_code_required:
            parts.append("1")
        return "$".join(parts)

    @property
    def qr_text(self) -> str:
        """As a QR code holds it."""
        return QR_PREFIX + self.text

    def profile_activation_code(self, *, qr_prefix: bool = False) -> str:
        """The value of TS.43's `ProfileActivationCode`: standard base64 on one line.

        Args:
            qr_prefix: begin the encoded text with `LPA:`; deployments differ.
        """
        text = self.qr_text if qr_prefix else self.text
        return base64.b64encode(text.encode("ascii")).decode("ascii")

    @classmethod
    def from_profile_activation_code(cls, encoded: str) -> Self:
        """Read the value of TS.43's `ProfileActivationCode`, as strictly as Android does.

        Raises:
            ValueError: it is not base64 of an activation code.
        """
        try:
            return cls.parse(base64.b64decode(encoded, validate=True).decode("ascii"))
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError("the activation code is not standard base64") from None
