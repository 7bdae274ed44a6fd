"""What a document says: (part, name, value) of every parameter, from XML or JSON (TS.43 §2.9).

`part` is the application id, or the type of a characteristic of the top (`VERS`, `TOKEN`).
Parameters of nested characteristics count to the application they stand in.
"""

from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree

import msgspec

Parameter = tuple[str, str, str]

APPLICATION: Final = "APPLICATION"
_JSON_TOP: Final = {"vers": "VERS", "token": "TOKEN"}


class NotADocument(ValueError):
    """The body is no document of its content type; the text quotes nothing of it."""


def parameters(content_type: str, body: bytes) -> list[Parameter]:
    """All parameters of a document, in order.

    Raises:
        NotADocument: it is not well formed, or of no known type.
    """
    try:
        if "xml" in content_type:
            return list(_xml(ElementTree.fromstring(body)))  # noqa: S314 (of the node under test)
        if "json" in content_type:
            return list(_json(msgspec.json.decode(body)))
    except (ElementTree.ParseError, msgspec.DecodeError):
        raise NotADocument("not well formed") from None
    raise NotADocument(f"content type {content_type!r}")


def token_of(document: list[Parameter]) -> str:
    """The token for fast authentication; empty when there is none."""
    for part, name, value in document:
        if part == "TOKEN" and name == "token":
            return value
    return ""


def _xml(root: ElementTree.Element) -> Iterator[Parameter]:
    if root.tag != "wap-provisioningdoc":
        raise NotADocument("the root is no wap-provisioningdoc")
    for characteristic in root:
        part: str = characteristic.get("type", "")
        rows: list[tuple[str, str]] = [
            (one.get("name", ""), one.get("value", "")) for one in characteristic.iter("parm")
        ]
        if part == APPLICATION:
            part = dict(rows).get("AppID", "")
        for name, value in rows:
            yield part, name, value


def _json(document: object) -> Iterator[Parameter]:
    if not isinstance(document, dict):
        raise NotADocument("not an object")
    for key, inside in document.items():
        part = _JSON_TOP.get(str(key).lower(), str(key))
        for name, value in _json_leaves(inside):
            yield part, name, value


def _json_leaves(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inside in value.items():
            if isinstance(inside, dict | list):
                yield from _json_leaves(inside)
            else:
                yield name, str(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _json_leaves(inside)
