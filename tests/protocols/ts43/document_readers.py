"""Three readers of a TS.43 document, each as strict as a real client, and a fourth for JSON.

All give the same neutral form, so that what two clients understand can be compared:
`{"VERS": {...}, "TOKEN": {...}, "ap2004": {...}}` with nested characteristics as dictionaries and
lists of `{type: {...}}`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

LISTS = {
    "VoiceOverCellularEntitleInfo",
    "DataPlanInfo",
    "DataBoostInfo",
    "DataUsageInfo",
    "5GSAInfo",
    "CompanionConfigurations",
    "PrimaryConfigurations",
    "PlanOffers",
}
REPEATED = {"PLMNAllowed", "PLMNBarred"}


class ReaderError(Exception):
    """The client would throw the document away."""


def read_xml(body: bytes) -> dict[str, Any]:
    """The document by `xml.etree`, an implementation that is not ours."""
    root = ElementTree.fromstring(body)  # noqa: S314 - the document is ours
    if root.tag != "wap-provisioningdoc" or root.attrib != {"version": "1.1"}:
        raise ReaderError("root")
    return _document([_element(child) for child in root])


def read_like_android(body: bytes) -> dict[str, Any]:
    """Android's library rewrites `&` before it parses, then reads by DOM."""
    text = body.decode().replace("&", "&amp;").replace("&amp;amp;", "&amp;")
    return read_xml(text.encode())


def read_json(body: bytes) -> dict[str, Any]:
    """The JSON form; texts everywhere, no key twice."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in items}) != len(items):
            raise ReaderError("a key stands twice")
        if "eap-relay-packet" in dict(items):
            raise ReaderError("Android takes this for a challenge")
        return dict(items)

    found = json.loads(body, object_pairs_hook=pairs)
    _only_texts(found)
    renamed = {"Vers": "VERS", "Token": "TOKEN"}
    return {renamed.get(name, name): value for name, value in found.items()}


_TAG = re.compile(r"<(/?)([A-Za-z-]+)((?:\s+[A-Za-z]+=\"[^\"]*\")*)\s*(/?)>")
_ATTRIBUTE = re.compile(r"([A-Za-z]+)=\"([^\"]*)\"")


def read_like_samsung(body: bytes) -> dict[str, Any]:
    """Samsung's parser: a line at a time, counted attributes, `&` as Android 13 has it."""
    lines = body.decode().split("\n")
    if lines[0] != '<?xml version="1.0"?>':
        raise ReaderError("declaration")
    stack: list[list[Any]] = [[]]
    names: list[str] = []
    for line in filter(None, lines[1:]):
        match = _TAG.fullmatch(line.strip())
        if match is None:
            raise ReaderError(f"not one tag: {line}")
        closing, tag, attributes, empty = match.groups()
        pairs = [
            (name, value.replace("&amp;", "&")) for name, value in _ATTRIBUTE.findall(attributes)
        ]
        if closing:
            content, kind = stack.pop(), names.pop()
            if kind:
                stack[-1].append((kind, content))
        elif tag == "parm":
            if [name for name, _ in pairs] != ["name", "value"] or not empty:
                raise ReaderError(line)
            stack[-1].append((pairs[0][1], pairs[1][1]))
        elif tag == "characteristic":
            if [name for name, _ in pairs] != ["type"] or empty:
                raise ReaderError(line)
            stack.append([])
            names.append(pairs[0][1])
        elif tag == "wap-provisioningdoc" and pairs == [("version", "1.1")]:
            stack.append([])
            names.append("")
        else:
            raise ReaderError(line)
        if tag == "wap-provisioningdoc" and closing:
            return _document(content)
    raise ReaderError("no end")


def _element(element: ElementTree.Element) -> tuple[str, Any]:
    if (element.text or "").strip() or (element.tail or "").strip():
        raise ReaderError("text between the tags")
    if element.tag == "parm":
        if list(element.attrib) != ["name", "value"]:
            raise ReaderError("parm attributes")
        return element.attrib["name"], element.attrib["value"]
    if element.tag != "characteristic" or list(element.attrib) != ["type"]:
        raise ReaderError(element.tag)
    return element.attrib["type"], [_element(child) for child in element]


def _document(items: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, content in items:
        body = _object(content)
        key = body.pop("AppID") if name == "APPLICATION" else name
        if key in document:
            raise ReaderError(f"{key} twice")
        document[key] = body
    return document


def _object(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, content in items:
        if name in REPEATED:
            found.setdefault(name, []).append(_object(content))
            continue
        if name in found:
            raise ReaderError(f"{name} twice")
        found[name] = _value(name, content)
    return found


def _value(name: str, content: Any) -> Any:  # noqa: ANN401 - a text or a list of pairs
    if isinstance(content, str):
        if not content:
            raise ReaderError(f"{name} is empty")
        return content
    if name in LISTS:
        return [{kind: _value(kind, inner)} for kind, inner in content]
    return _object(content)


def _only_texts(value: object) -> None:
    if isinstance(value, dict):
        for inner in value.values():
            _only_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            _only_texts(inner)
    elif not isinstance(value, str):
        raise ReaderError("a leaf is no text")


def lasting(applications: Mapping[str, object]) -> dict[str, object]:
    """What two answers of the same decision share: user data are sealed anew for each."""
    return {
        app: {name: value for name, value in parms.items() if name != "ServiceFlow_UserData"}
        for app, parms in applications.items()
        if isinstance(parms, Mapping)
    }
