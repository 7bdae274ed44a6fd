"""MSG: what a device without a web view asks its user (GSMA TS.43 v12 §6.5.5 table 45)."""

import base64
from typing import Final

from msgspec import Struct

from protocols.ts43.document import Characteristic, Parm, plain_text

NO_LIMIT: Final = -1
_CUT: Final = "…"
_LIMITS: Final = 6


class DisplayLimits(Struct, frozen=True):
    """`MSG_character_display_limits` (table 27): what the client can show; -1 is no limit."""

    title: int = NO_LIMIT
    message: int = NO_LIMIT
    accept_label: int = NO_LIMIT
    reject_label: int = NO_LIMIT
    hint: int = NO_LIMIT
    failed_text: int = NO_LIMIT


NO_LIMITS: Final = DisplayLimits()


def read_limits(text: str) -> DisplayLimits:
    """The list of the request; a position that is no positive number has no limit."""
    limits = [NO_LIMIT] * _LIMITS
    for position, part in enumerate(text.split(",")[:_LIMITS]):
        digits = part.strip()
        if digits.isascii() and digits.isdigit() and int(digits[:9]) > 0:
            limits[position] = int(digits[:9])
    return DisplayLimits(*limits)


class UserMessage(Struct, frozen=True, kw_only=True):
    """A message with its buttons, and a field when the user shall type something.

    Attributes:
        accept_label, reject_label: empty leaves them to the client.
        pattern: regular expression for what is typed; empty: anything.
        free_text: the field is there.
    """

    message: str
    title: str = ""
    accept: bool = True
    accept_label: str = ""
    reject: bool = True
    reject_label: str = ""
    free_text: bool = False
    hint: str = ""
    pattern: str = ""
    failed_text: str = ""


def message_characteristic(message: UserMessage, limits: DisplayLimits) -> Characteristic:
    """The MSG structure. Android needs Message, both buttons and Accept_freetext, never empty."""
    parms: list[Parm] = []
    _add(parms, "Title", message.title, limits.title)
    _add(parms, "Message", message.message, limits.message)
    parms.append(("Accept_btn", _flag(message.accept)))
    _add(parms, "Accept_btn_label", message.accept_label, limits.accept_label)
    parms.append(("Reject_btn", _flag(message.reject)))
    _add(parms, "Reject_btn_label", message.reject_label, limits.reject_label)
    parms.append(("Accept_freetext", _flag(message.free_text)))
    if message.free_text:
        _add(parms, "Accept_freetext_hint", message.hint, limits.hint)
        if message.pattern:
            encoded = base64.b64encode(message.pattern.encode()).decode()
            parms.append(("Accept_freetext_validation", f"encodedValue={encoded}"))
            name = "Accept_freetext_validation_failed_error_text"
            _add(parms, name, message.failed_text, limits.failed_text)
    return Characteristic("MSG", tuple(parms))


def _add(parms: list[Parm], name: str, text: str, limit: int) -> None:
    if text:
        if limit != NO_LIMIT and len(text) > limit:
            text = text[: limit - 1] + _CUT
        parms.append((name, plain_text(text)))


def _flag(value: bool) -> str:
    return "1" if value else "0"
