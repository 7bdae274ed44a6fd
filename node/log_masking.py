"""What must not stand in a log: identities are shortened, secrets are taken out.

Ours, after GSMA and operators' privacy rules: a log line may tell the network and the last two
digits of a subscriber or device, never a token, a cookie, or a key of EAP-AKA. Applied to every
value of every line, so that an exception text or a foreign library's message is safe as well.
"""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from protocols.identity import masked

HIDDEN: Final = "…"
_DEEPEST: Final = 6  # values nested deeper are hidden: nobody reads them in a line

# Keys whose value is never shown, and keys whose value is an identity, whatever it looks like.
_SECRET_KEYS: Final = frozenset(
    {"token", "tokens", "cookie", "cookies", "set_cookie", "set-cookie", "authorization",
     "password", "secret", "key", "otp", "temporary_token", "access_token", "res", "mac", "auts",
     "ck", "ik", "k", "opc", "msk", "emsk", "k_aut", "k_encr",
     "matching_id", "matchingid", "confirmation_code", "confirmationcode", "activation_code"}
)  # fmt: skip
_IDENTITY_KEYS: Final = frozenset(
    {"imsi", "msisdn", "imei", "imei2", "eid", "iccid", "nai", "eap_id", "user_name",
     "subscriber", "terminal_id"}
)  # fmt: skip

# IMSI 15, IMEI 14 to 16, ICCID 19 or 20, EID 32 digits; an NAI begins with a digit and an IMSI.
_LONG_NUMBER: Final = re.compile(r"(?<![0-9])[0-9]{14,}(?![0-9])")
_PHONE_NUMBER: Final = re.compile(r"\+[0-9]{7,15}(?![0-9])")
_ASSIGNED: Final = re.compile(
    r"(?i)\b((?:access_|temporary_)?token|eap_id|cookie|authorization|password|otp|sid|res|mac|msk)"
    r"(=|: ?|%3D)(?:(?:Bearer|Basic) )?[^\s&;,\"']+"
)
# What lets anybody download a profile: the activation code of an eSIM (SGP.22 §4.1).
_ACTIVATION_CODE: Final = re.compile(r"\b1\$([A-Za-z0-9.-]+)\$[0-9A-Z-]+(?:\$[0-9.]*)?(?:\$1)?")
_ORDER_SECRET: Final = re.compile(r"(?i)\b((?:matching_?id|confirmation_?code)\W{1,4})[\w-]+")
# Device tokens and sealed cookies: 40 and more symbols of base64url with a digit among them, which
# long Python names seldom have.
_LONG_SYMBOLS: Final = re.compile(r"(?<![\w-])(?=[A-Za-z_-]{0,39}[0-9])[\w-]{40,}", re.ASCII)


def mask_text(text: str) -> str:
    """The text without secrets, and with its identities shortened."""
    if len(text) < 8:
        return text
    text = _ASSIGNED.sub(rf"\1\2{HIDDEN}", text)
    text = _ACTIVATION_CODE.sub(rf"1$\1${HIDDEN}", text)
    text = _ORDER_SECRET.sub(rf"\1{HIDDEN}", text)
    text = _LONG_NUMBER.sub(_shortened, text)
    text = _PHONE_NUMBER.sub(_shortened, text)
    return _LONG_SYMBOLS.sub(HIDDEN, text)


def mask_values(values: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask every value in place."""
    for name, value in values.items():
        values[name] = _masked_value(name, value, 0)
    return values


def _masked_value(name: str, value: object, depth: int) -> object:
    lower = name.lower()
    if lower in _SECRET_KEYS:
        return HIDDEN
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        return masked(value) if lower in _IDENTITY_KEYS else mask_text(value)
    if value is None or isinstance(value, float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**13 else masked(str(value))
    if depth >= _DEEPEST:
        return HIDDEN
    if isinstance(value, Mapping):
        return {
            mask_text(str(key)): _masked_value(str(key), item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked_value(name, item, depth + 1) for item in value]
    return mask_text(repr(value))


def _shortened(match: re.Match[str]) -> str:
    return masked(match[0])
