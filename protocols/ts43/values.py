"""Checks of single request parameters: text in, value out (GSMA TS.43 v12 §2.3, table 4).

Every function raises RequestError with its own row of the table. What nothing is decided on is
read leniently: a 400 stays with some clients until reboot.
"""

from functools import lru_cache
from typing import Final

from protocols.identity import Imsi, Nai
from protocols.ts43.applications import application_ids
from protocols.ts43.operations import OPERATIONS
from protocols.ts43.request_error import Fault, RequestError

MAX_BOOST_TYPE: Final = 255  # §9.1.2: one octet of TS 24.526
MAX_IDENTIFIER_CHARACTERS: Final = 128  # terminal_id, app_name: both go into the session cookie
MAX_VERSION_CHARACTERS: Final = 8


def read_apps(text: str) -> tuple[str, ...]:
    """`app`: the known application ids, each once, in order; at least one."""
    if not text:
        raise RequestError(Fault.NO_APP)
    apps = application_ids(text)
    if not apps:
        # Ours: TS.43 leaves it open what a request for nothing we know gets.
        raise RequestError(Fault.UNKNOWN_APP)
    return apps


def read_terminal_id(text: str, requestor_id: str) -> str:
    """`terminal_id`: IMEI or UUID; may be missing when there is a `requestor_id`."""
    terminal_id = text.strip()
    if terminal_id:
        if len(terminal_id) > MAX_IDENTIFIER_CHARACTERS or not (
            terminal_id.isascii() and terminal_id.isprintable()
        ):
            raise RequestError(Fault.BAD_TERMINAL_ID)
    elif not requestor_id:
        raise RequestError(Fault.NO_TERMINAL_ID)
    return terminal_id


@lru_cache(maxsize=256)  # the clients of a network send a dozen different ones
def read_version(text: str) -> tuple[int, int]:
    """`entitlement_version`, `1*DIGIT.1*DIGIT` (§2.3), as numbers; (0, 0) for an empty text.

    Ours: a lone major version is accepted.
    """
    if not text:
        return (0, 0)
    major, point, minor = text.strip().partition(".")
    if not point:
        minor = "0"
    if len(text) > MAX_VERSION_CHARACTERS or not (
        text.isascii() and major.isdigit() and minor.isdigit()
    ):
        raise RequestError(Fault.BAD_VERSION)
    # Both fit an octet, as the session cookie wants them; no version so high exists.
    return (min(int(major), 255), min(int(minor), 255))


def read_vers(text: str) -> int:
    """`vers`: nothing is decided on it, so what is no number counts as 0."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else 0


def read_imsi(text: str) -> str:
    """`IMSI`; empty stays empty."""
    if not text:
        return ""
    try:
        return Imsi(text.strip())
    except ValueError:
        raise RequestError(Fault.BAD_IMSI) from None


def read_eap_id(text: str) -> str:
    """`EAP_ID`, a network access identifier exactly as sent; empty stays empty."""
    if not text:
        return ""
    try:
        return Nai(text)
    except ValueError:
        raise RequestError(Fault.BAD_EAP_ID) from None


def read_app_name(text: str) -> str:
    """`app_name`: short enough for a key; empty stays empty."""
    if len(text) > MAX_IDENTIFIER_CHARACTERS or not text.isprintable():
        raise RequestError(Fault.BAD_APP_NAME)
    return text


def read_operation(text: str) -> str:
    """`operation` in the spelling of TS.43, or as sent when it is none of them."""
    return OPERATIONS.get(text.lower(), text) if text else ""


def read_boost_type(text: str | None) -> int | None:
    """`boost_type`: 0 to 255 (§9.7)."""
    if text is None:
        return None
    digits = text.strip()
    if digits.isascii() and digits.isdigit() and len(digits) <= 3 and int(digits) <= MAX_BOOST_TYPE:
        return int(digits)
    raise RequestError(Fault.BAD_BOOST_TYPE)


def read_notif_action(text: str | None) -> int | None:
    """`notif_action`: 0 to 4, -1 for anything else.

    No reason to refuse the rest of the request: RegisterNotifStatus says it (§2.9.5).
    """
    if text is None:
        return None
    text = text.strip()
    return int(text) if len(text) == 1 and text in "01234" else -1
