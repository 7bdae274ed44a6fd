"""Device tokens: their form, their hash, and whether one is good for a request.

Opaque, 256 random bits in base64url, after a prefix of fixed length in the same alphabet:

    1 character    version of this form
    4 characters   the tenant, a checksum of its id in base 36
    3 characters   the slot of the subscriber (CRC-32 of the IMSI, 14 bits) in base 36
    54 characters  the owner (8 octets, `owner_key`) and the secret (32 octets)

The prefix lets a balancer or another node route a request without a look-up, and the owner says
where in the store to look, so that no index of hashes has to be kept up to date: half of the
pages that a new token would touch. They prove nothing; the secret does.
The characters are `[A-Za-z0-9_-]` only: the Samsung client splits values at commas. Only the
SHA-256 of a token is kept, so that a copy of the database opens no session. Looking that hash up
needs no constant time: who does not know the token cannot choose its hash.

Source: GSMA TS.43 v12 §2.8.5 (binding, expiry, replacement); the form is ours.
"""

import base64
import hashlib
import hmac
import re
import zlib
from enum import Enum
from functools import lru_cache
from typing import Final

from actors.store.records import APP_SEPARATOR, Token, app_scope

SECRET_OCTETS: Final = 32
OWNER_OCTETS: Final = 8
TOKEN_LENGTH: Final = 62
_VERSION: Final = "1"
_TENANT_DIGITS: Final = 4
_SLOT_DIGITS: Final = 3
_SLOTS: Final = 16_384
_BASE36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_PREFIX: Final = 1 + _TENANT_DIGITS + _SLOT_DIGITS
_OWNER_END: Final = _PREFIX + 12  # base64 of 9 octets: the owner and the first of the secret
_FORM: Final = re.compile(rf"{_VERSION}[0-9a-z]{{7}}[A-Za-z0-9_-]{{54}}")


class TokenFault(Enum):
    """Why a token is refused: for counters and traces. The device sees 511, always the same."""

    UNKNOWN = "unknown"
    REVOKED = "revoked"
    EXPIRED = "expired"
    OTHER_TENANT = "other-tenant"
    OTHER_SUBSCRIBER = "other-subscriber"
    OTHER_TERMINAL = "other-terminal"
    OTHER_APPS = "other-apps"


def owner_key(
    tenant: str, imsi: str, terminal_id: str, apps: tuple[str, ...], app_name: str
) -> bytes:
    """What one token at a time is issued for, as `OWNER_OCTETS` octets; any text will do.

    Two owners with one key, which nobody will see, cannot have tokens at the same time; the store
    compares them all the same.
    """
    text = "\n".join((tenant, imsi, terminal_id, app_scope(apps), app_name))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=OWNER_OCTETS).digest()


def mint(tenant: str, imsi: str, secret: bytes, owner: bytes = bytes(OWNER_OCTETS)) -> str:
    """Make a token.

    Args:
        tenant: id of the tenant.
        imsi: whose slot goes into the prefix.
        secret: 32 random octets, `secrets.token_bytes(SECRET_OCTETS)`.
        owner: `owner_key` of what it is for.

    Raises:
        ValueError: the secret or the owner has another length.
    """
    if len(secret) != SECRET_OCTETS or len(owner) != OWNER_OCTETS:
        raise ValueError(f"a token needs {SECRET_OCTETS} random octets and an owner")
    text = base64.urlsafe_b64encode(owner + secret)[:54].decode("ascii")
    return f"{_VERSION}{tenant_code(tenant)}{_slot(imsi)}{text}"


@lru_cache(maxsize=4_096)
def tenant_code(tenant: str) -> str:
    """The tenant in a token's prefix."""
    return _base36(zlib.crc32(tenant.encode()) % 36**_TENANT_DIGITS, _TENANT_DIGITS)


def code_of(token: str) -> str | None:
    """The tenant code that a presented token carries; None when it is no token of ours."""
    return token[1 : 1 + _TENANT_DIGITS] if _FORM.fullmatch(token) else None


def token_hash(token: str) -> bytes | None:
    """The key of a presented token in the store; None when it cannot be a token of ours.

    It is the owner's key and the SHA-256 of the token.
    """
    if not _FORM.fullmatch(token):
        return None
    owner = base64.urlsafe_b64decode(token[_PREFIX:_OWNER_END])[:OWNER_OCTETS]
    return owner + hashlib.sha256(token.encode("ascii")).digest()


def fault(
    token: Token | None,
    *,
    tenant: str,
    imsi: str | None,
    terminal_id: str,
    apps: tuple[str, ...],
    app_name: str,
    generation: int | None,
    now: float,
) -> TokenFault | None:
    """Why this token does not authenticate this request, or None if it does.

    A request may ask for fewer applications than the token was issued for.

    Args:
        token: what the store found.
        imsi: the IMSI parameter of the request, if it had one.
        generation: the subscriber's, as far as it is known yet.
        now: seconds of the wall clock.
    """
    if token is None:
        return TokenFault.UNKNOWN
    if token.tenant != tenant:
        return TokenFault.OTHER_TENANT
    if token.revoked or (generation is not None and token.generation < generation):
        return TokenFault.REVOKED
    if now >= token.expires:
        return TokenFault.EXPIRED
    if imsi is not None and not _same(token.imsi, imsi):
        return TokenFault.OTHER_SUBSCRIBER
    if not _same(token.terminal_id, terminal_id):
        return TokenFault.OTHER_TERMINAL
    if token.app_name != app_name or not set(apps) <= set(token.apps.split(APP_SEPARATOR)):
        return TokenFault.OTHER_APPS
    return None


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(
        one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    )


def _slot(imsi: str) -> str:
    return _base36(zlib.crc32(imsi.encode()) % _SLOTS, _SLOT_DIGITS)


@lru_cache(maxsize=_SLOTS)
def _base36(number: int, digits: int) -> str:
    text = ""
    for _ in range(digits):
        number, digit = divmod(number, 36)
        text = _BASE36[digit] + text
    return text
