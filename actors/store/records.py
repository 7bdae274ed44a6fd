"""What goes into the store and comes out of it, besides subscribers and plans (`backends/bss.py`).

Times are whole seconds of the wall clock (Unix time): they outlive the process and its Trio clock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from msgspec import Struct

APP_SEPARATOR: Final = ","
HISTORY_ROWS: Final = 100
HISTORY: Final = (
    "SELECT kind, subject, at, old, new FROM identity_changes"
    " WHERE tenant = ? AND kind = ? AND subject = ? ORDER BY at DESC LIMIT ?"
)


def app_scope(apps: tuple[str, ...]) -> str:
    """The applications of a request as one key: sorted, without repetition, comma-joined."""
    return APP_SEPARATOR.join(sorted(set(apps)))


class Token(Struct, gc=False):
    """A fast-authentication token as it was issued (TS.43 §2.8.5). The token itself is not here.

    Attributes:
        apps: `app_scope` of the request it was issued for.
        method: how the device had authenticated, such as `eap-aka`.
        expires: end of its validity; earlier than issued for when a newer token replaced it.
        replaced: when a newer token took its place; 0 when none did.
        revoked: when it was revoked; 0 when it was not.
        generation: the subscriber's token generation when it was issued.
    """

    tenant: str
    imsi: str
    terminal_id: str
    apps: str
    app_name: str
    method: str
    issued: int
    expires: int
    replaced: int
    revoked: int
    generation: int
    diameter_session_id: bytes

    def __repr__(self) -> str:
        return f"<Token of {self.tenant} issued={self.issued} expires={self.expires}>"


class NewToken(Struct, gc=False):
    """What `Store.save_token` keeps: the token, the device that gets it, what it replaces.

    A token of the same tenant, IMSI, terminal, apps and app_name that is still valid stays so for
    `grace_seconds` at most: the device may have been offline when its successor was sent. The one
    before that ends now.

    Attributes:
        token_hash: `tokens.token_hash`, which begins with the `tokens.owner_key` of the others.
    """

    tenant: str
    token_hash: bytes
    imsi: str
    terminal_id: str
    apps: tuple[str, ...]
    app_name: str
    issued: int
    expires: int
    grace_seconds: int
    generation: int = 0
    method: str = "eap-aka"
    diameter_session_id: bytes = b""
    terminal_vendor: str = ""
    terminal_model: str = ""
    terminal_sw_version: str = ""

    def __repr__(self) -> str:
        return f"<NewToken of {self.tenant} issued={self.issued} expires={self.expires}>"


class RegistrationStatus(IntEnum):
    """RegisterNotifStatus (TS.43 §2.9.5)."""

    SUCCESS = 0
    INVALID_TOKEN = 1
    DUPLICATE = 2


class NotificationAction(IntEnum):
    """notif_action (TS.43 §2.3): which push service, or none."""

    DISABLE = 0
    GCM = 1
    FCM = 2
    WNS = 3
    APNS = 4


class Registration(Struct, gc=False):
    """A wish to be notified, as it came: `action` and `push_token` are not checked yet."""

    tenant: str
    imsi: str
    terminal_id: str
    apps: tuple[str, ...]
    app_name: str
    action: int
    push_token: str
    at: int

    def __repr__(self) -> str:
        return f"<Registration of {self.tenant} action={self.action}>"


class Identity(IntEnum):
    """Whose identity changed, and which one, in the history."""

    IMEI_OF_IMSI = 1  # the card was put into another terminal
    IMSI_OF_TERMINAL = 2  # the terminal was seen with a card for the first time
    ICCID_OF_IMSI = 3  # the subscription moved to another card: a SIM swap
    IMSI_OF_MSISDN = 4  # the number moved to another subscription: a SIM swap as well


@dataclass(frozen=True, slots=True)
class IdentityChange:
    """One entry of the history: at `at`, the identity of `subject` changed from `old` to `new`."""

    kind: Identity
    subject: str
    at: int
    old: str
    new: str


def history_of(rows: Iterable[Sequence[Any]]) -> tuple[IdentityChange, ...]:
    """From rows of kind, subject, at, old, new."""
    return tuple(IdentityChange(Identity(kind), *rest) for kind, *rest in rows)
