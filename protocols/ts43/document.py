"""A configuration document as a neutral tree, before it becomes XML or JSON (TS.43 v12 §2.9).

Tuples, so that a tree is hashable in C and serves as the key of the renderers' caches. Values are
always texts. Use `plain_text` and `plain_url` for what comes from outside: the renderers refuse
what phones cannot read.
"""

import re
from collections.abc import Iterable, Sequence
from typing import AnyStr, Final, Literal, NamedTuple
from urllib.parse import quote

Parm = tuple[str, str]

# How the children of a characteristic look in JSON (in XML all are nested characteristics):
# "object"    {"type": {...}}
# "list"      {"type": [{"child": {...}}, {"child": {...}}]}
# "repeated"  its siblings of the same type become {"type": [{...}, {...}]}
Form = Literal["object", "list", "repeated"]


class Characteristic(NamedTuple):
    """A named group of parms and further groups."""

    type: str
    parms: tuple[Parm, ...] = ()
    children: tuple["Characteristic", ...] = ()
    form: Form = "object"


class Application(NamedTuple):
    """The answer for one application: an APPLICATION characteristic, or a key in JSON.

    Attributes:
        app_id: such as `ap2004`.
        parms: in the order in which to send them, without AppID.
        children: after the parms.
        shared: many subscribers get exactly this, but for its slots, so the rendered form is worth
            keeping. False when something of one subscriber is in it.
    """

    app_id: str
    parms: tuple[Parm, ...] = ()
    children: tuple[Characteristic, ...] = ()
    shared: bool = True


class Document(NamedTuple):
    """A whole document.

    Attributes:
        version, validity_seconds: of VERS (RCC.14): positive, or 0, -1, -2 in both.
        applications: only those that were asked for, in that order.
        token: empty when there is none to give.
        token_validity_seconds: None leaves it out, which clients read as unlimited.
        fillings: one for each slot of the applications, in order.
    """

    version: int
    validity_seconds: int
    applications: tuple[Application, ...] = ()
    token: str = ""
    token_validity_seconds: int | None = None
    fillings: tuple[str, ...] = ()


class DocumentError(Exception):
    """A tree that no phone could read: a bug of ours, or a value that was not made plain."""


SLOT: Final = "\ue000"
"""The whole value of a parm that differs by request, in an application that is the same for many:
one of `Document.fillings` goes there. A private-use character, which no plain text has."""

# What neither XML nor JSON has to escape, such as `st=2b7e`.
_FILLING: Final = re.compile(r"[!#-%'-;=?-\[\]-~]*").fullmatch

_LOOK_ALIKES: Final = str.maketrans({"<": "‹", ">": "›", '"': "”"})  # noqa: RUF001
_SENDABLE_URL: Final = re.compile("[!#-;=?-~]*").fullmatch  # printable, without blank, " < >
_URL_SAFE: Final = "!#$%&'()*+,/:;=?@[]~"


def sendable(text: str) -> bool:
    """Whether an attribute can carry it: no entity but `&amp;` survives Android's client."""
    return text.isprintable() and "<" not in text and '"' not in text


def plain_text(text: str) -> str:
    """A text for people, without what XML attributes cannot carry to a phone.

    `<`, `>` and `"` become look-alikes, line ends and other control characters blanks.
    """
    if sendable(text) and ">" not in text:
        return text
    text = text.translate(_LOOK_ALIKES)
    return "".join(character if character.isprintable() else " " for character in text)


def plain_url(url: str) -> str:
    """A URL or its user data, where what XML attributes cannot carry is percent-encoded."""
    return url if _SENDABLE_URL(url) else quote(url, safe=_URL_SAFE)


def checked_fillings(document: Document) -> tuple[str, ...]:
    """The document's fillings, ready for either form.

    Raises:
        DocumentError: one has a character that would have to be escaped.
    """
    for filling in document.fillings:
        if not _FILLING(filling):
            raise DocumentError("a filling has a character that would have to be escaped")
    return document.fillings


def filled(applications: Iterable[tuple[AnyStr, ...]], fillings: Sequence[AnyStr]) -> list[AnyStr]:
    """The rendered pieces of all applications, with the fillings between them.

    Args:
        applications: each cut at its slots.
        fillings: for the slots, in order.

    Raises:
        DocumentError: there are more or fewer fillings than slots.
    """
    parts: list[AnyStr] = []
    used = 0
    for pieces in applications:
        parts.append(pieces[0])
        for piece in pieces[1:]:
            parts += fillings[used : used + 1]
            parts.append(piece)
            used += 1
    if used != len(fillings):
        raise DocumentError(f"{len(fillings)} fillings for {used} slots")
    return parts
