"""Identities of subscribers, networks and terminals, each checked once when it is built.

Source: 3GPP TS 23.003 (IMSI §2.2, MSISDN §3.3, IMEI §6.2, NAI §19.3), ITU-T E.118 (ICCID),
GSMA SGP.29 (EID).
They are `str` subclasses: usable as keys, in SQL and JSON without conversion.
"""

import re
from functools import lru_cache
from typing import Final, Self

_DIGITS: Final = re.compile(r"[0-9]+")
_NAI_REALM: Final = re.compile(
    r"(?:.+\.)?mnc(?P<mnc>[0-9]{3})\.mcc(?P<mcc>[0-9]{3})\.3gppnetwork\.org", re.IGNORECASE
)


def masked(identity: str) -> str:
    """What a log may show of an identity: the network's part and the last two digits."""
    return identity if len(identity) <= 7 else f"{identity[:5]}…{identity[-2:]}"


class Imsi(str):
    """International mobile subscriber identity: 6 to 15 digits (TS 23.003 §2.2)."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check and build.

        Raises:
            ValueError: not 6 to 15 ASCII digits.
        """
        if not (6 <= len(text) <= 15 and text.isascii() and text.isdigit()):
            raise ValueError("an IMSI is 6 to 15 digits")
        return super().__new__(cls, text)


class Msisdn(str):
    """Subscriber number, digits of E.164 without the plus sign (TS 23.003 §3.3)."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check and build; a leading `+` is dropped.

        Raises:
            ValueError: not 3 to 15 digits.
        """
        digits = text.removeprefix("+")
        if not (3 <= len(digits) <= 15 and _DIGITS.fullmatch(digits)):
            raise ValueError("an MSISDN is 3 to 15 digits, with or without a leading +")
        return super().__new__(cls, digits)


class Imei(str):
    """Terminal identity: 14 digits, the check digit (15) or the software version (16)."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check and build.

        Raises:
            ValueError: not 14 to 16 digits.
        """
        if not (14 <= len(text) <= 16 and _DIGITS.fullmatch(text)):
            raise ValueError("an IMEI is 14 to 16 digits")
        return super().__new__(cls, text)


class Iccid(str):
    """Card identity: 18 to 20 digits (E.118); a padding F is dropped."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check and build.

        Raises:
            ValueError: not 18 to 20 digits.
        """
        digits = text.rstrip("Ff")
        if not (18 <= len(digits) <= 20 and _DIGITS.fullmatch(digits)):
            raise ValueError("an ICCID is 18 to 20 digits")
        return super().__new__(cls, digits)

    @property
    def check_digit_is_valid(self) -> bool:
        """Whether the last digit is the Luhn check digit of the others (E.118).

        Not checked when it is built: test cards and some peers do not keep to it.
        """
        digits = [int(digit) for digit in reversed(self)]
        doubled = (2 * digit - 9 * (digit > 4) for digit in digits[1::2])
        return (sum(digits[::2]) + sum(doubled)) % 10 == 0

    @property
    def padded(self) -> str:
        """Twenty symbols, with the F nibble that the card's ten octets need."""
        return self.ljust(20, "F")


class Eid(str):
    """eUICC identity: 32 digits (SGP.29). Its `repr` is masked."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check and build.

        Raises:
            ValueError: not 32 ASCII digits.
        """
        if not (len(text) == 32 and _DIGITS.fullmatch(text)):
            raise ValueError("an EID is 32 digits")
        return super().__new__(cls, text)

    def __repr__(self) -> str:
        return f"Eid({masked(self)!r})"

    @property
    def check_digits_are_valid(self) -> bool:
        """Whether the last two digits are those of ISO 7064 MOD 97-10.

        Not checked when it is built: laboratory EIDs often fail, so that it is a tenant's policy.
        """
        return int(self) % 97 == 1


class Plmn(str):
    """Network code: three digits MCC, then two or three digits MNC (TS 23.003 §2.2)."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check and build; `001/01` and `001-01` are accepted as well.

        Raises:
            ValueError: not five or six digits.
        """
        digits = text.replace("/", "").replace("-", "")
        if not (5 <= len(digits) <= 6 and _DIGITS.fullmatch(digits)):
            raise ValueError("a PLMN is five or six digits, such as 00101")
        return super().__new__(cls, digits)

    @property
    def mcc(self) -> str:
        """Mobile country code."""
        return self[:3]

    @property
    def mnc(self) -> str:
        """Mobile network code, two or three digits."""
        return self[3:]

    @property
    def realm_suffix(self) -> str:
        """`mnc<MNC3>.mcc<MCC>.3gppnetwork.org`, MNC padded to three digits (TS 23.003 §19.2)."""
        return f"mnc{self.mnc:0>3}.mcc{self.mcc}.3gppnetwork.org"


class Nai(str):
    """Network access identifier `<prefix><user>@<realm>` (TS 23.003 §19.3).

    The text is kept exactly as the phone sent it: it enters the EAP-AKA master key.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check and build.

        Raises:
            ValueError: empty, over 253 octets, or not printable ASCII.
        """
        if type(text) is cls:
            return text
        if not (0 < len(text) <= 253 and text.isascii() and text.isprintable() and " " not in text):
            raise ValueError("an NAI is 1 to 253 printable ASCII characters")
        return super().__new__(cls, text)

    @property
    def user(self) -> str:
        """What stands before the `@`."""
        return self.partition("@")[0]

    @property
    def realm(self) -> str:
        """What stands after the `@`; empty when there is none (pseudonyms often have none)."""
        return self.partition("@")[2]

    @property
    def imsi(self) -> Imsi | None:
        """The IMSI of a permanent identity (prefix 0, 1 or 6), else None."""
        return _imsi_of(self)

    @property
    def realm_plmn(self) -> tuple[str, str] | None:
        """(MCC, MNC padded to three digits) named by a 3GPP realm, else None."""
        match = _NAI_REALM.fullmatch(self.realm)
        return (match["mcc"], match["mnc"]) if match else None


@lru_cache(maxsize=4_096)  # asked again at every step of an exchange
def _imsi_of(nai: Nai) -> Imsi | None:
    user = nai.user
    if len(user) > 6 and user[0] in "016" and user.isdigit():
        try:
            return Imsi(user[1:])
        except ValueError:
            return None
    return None
