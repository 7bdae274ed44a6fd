"""How phones read what the node answers, with the strictness of the real clients.

Source: GSMA TS.43 v12 §2.8.1, §2.9; the AOSP client and Samsung's client (quirks Q-EAP, Q-DOC).
Whatever one of them would not understand is `Malformed`.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final
from xml.parsers import expat

from protocols.eap import numbers as n
from scripts.lab.device_http import Response
from scripts.lab.phone_habits import EAP_RELAY, Habits

MAX_SAMSUNG_APPLICATIONS: Final = 3
RELAY_KEY: Final = "eap-relay-packet"

_STRAY_AMPERSAND: Final = re.compile(rb"&(?!amp;)")


class Malformed(Exception):
    """This client cannot read the answer (error 32 of the AOSP client)."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge as far as a phone reads it."""

    identifier: int
    rand: bytes
    autn: bytes = field(repr=False)


@dataclass(slots=True)
class Node:
    """One characteristic of an XML document."""

    type: str
    parms: dict[str, str] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)


@dataclass(slots=True)
class Document:
    """A final document.

    Attributes:
        vers: (version, validity), None when there is no VERS.
        token: empty when there is none. token_validity: seconds, None when absent.
        applications: AppID to its parameters; characteristics inside are lists of the same.
    """

    vers: tuple[int, int] | None = None
    token: str = field(default="", repr=False)
    token_validity: int | None = None
    applications: dict[str, Any] = field(default_factory=dict)

    def status(self, app: str) -> str | None:
        """EntitlementStatus of an application, None when it is missing."""
        found = self.applications.get(app, {}).get("EntitlementStatus")
        return found if isinstance(found, str) else None


# --- challenges ---------------------------------------------------------------------------------


def is_challenge(habits: Habits, response: Response) -> bool:
    """Whether this client takes a 200 for one more challenge."""
    content_type = response.header(b"content-type") or b""
    if habits.exact_challenge_type:
        return content_type == EAP_RELAY or RELAY_KEY.encode() in response.body
    # Q-EAP-11: a JSON body with the key is always one more challenge.
    return b"json" in content_type and RELAY_KEY.encode() in response.body


def read_challenge(habits: Habits, response: Response, *, first: bool) -> Challenge:
    """Read a challenge.

    Args:
        first: it answers the first leg, whose cookies are kept.

    Raises:
        Malformed: this client cannot.
    """
    content_type = response.header(b"content-type") or b""
    if habits.exact_challenge_type and content_type != EAP_RELAY:
        raise Malformed(f"Content-Type of a challenge is {content_type!r}")
    if b"json" not in content_type:
        raise Malformed(f"a challenge with the Content-Type {content_type!r}")
    if first and habits.needs_cookie and not response.all(b"set-cookie"):
        raise Malformed("empty cookie")
    packet = _relay_packet(response.body)
    return _fixed_offsets(packet) if habits.fixed_offsets else _walk(packet)


def _relay_packet(body: bytes) -> bytes:
    try:
        text = json.loads(body)[RELAY_KEY]
        return base64.b64decode(text, validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise Malformed("no EAP packet in the JSON") from None


def _fixed_offsets(packet: bytes) -> Challenge:
    """Samsung: RAND at 12..27, AUTN at 32..47, whatever stands there."""
    if len(packet) < 48:
        raise Malformed("a challenge too short")
    return Challenge(packet[1], packet[12:28], packet[32:48])


def _walk(packet: bytes) -> Challenge:
    """AOSP: header and attributes are walked through, others than the two are skipped."""
    if len(packet) < 8 or packet[0] != n.REQUEST or packet[4:6] != bytes((n.EAP_AKA, n.CHALLENGE)):
        raise Malformed("not an EAP-AKA challenge")
    if packet[2] << 8 | packet[3] != len(packet):
        raise Malformed("the EAP length is wrong")
    rand = autn = b""
    at = 8
    while at + 1 < len(packet):
        size = packet[at + 1] << 2
        if not size or at + size > len(packet):
            raise Malformed("an EAP attribute of a wrong length")
        if packet[at] == n.AT_RAND:
            rand = packet[at + 4 : at + size]
        elif packet[at] == n.AT_AUTN:
            autn = packet[at + 4 : at + size]
        at += size
    if len(rand) != 16 or len(autn) != 16:
        raise Malformed("a challenge without RAND and AUTN")
    return Challenge(packet[1], rand, autn)


# --- documents ----------------------------------------------------------------------------------


def read_document(habits: Habits, response: Response) -> Document:
    """Read a final document; the Content-Type decides how (Q-DOC-1).

    Raises:
        Malformed: this client cannot.
    """
    content_type = response.header(b"content-type") or b""
    if b"xml" in content_type or content_type == b"text/vnd.wap.connectivity":
        return _from_xml(habits, response.body)
    if b"json" in content_type:
        return _from_json(response.body)
    raise Malformed(f"neither XML nor JSON: {content_type!r}")


def _from_xml(habits: Habits, body: bytes) -> Document:
    # Q-DOC-3: the AOSP client brings only `&amp;` through, as do Samsung's.
    if _STRAY_AMPERSAND.search(body):
        raise Malformed("an entity that is not &amp;")
    if habits.counts_attributes:
        body = b"".join(body.splitlines())  # Q-DOC-5: it joins lines without a newline
    root = _XmlReader(habits.counts_attributes).read(body)
    document = Document()
    applications = 0
    for node in root.children:
        if node.type == "VERS":
            document.vers = _number(node, "version"), _number(node, "validity")
        elif node.type == "TOKEN":
            document.token = node.parms.get("token", "")
            if "validity" in node.parms:
                document.token_validity = _number(node, "validity")
        elif node.type == "APPLICATION":
            applications += 1
            document.applications[node.parms.get("AppID", "")] = _application(node)
    if habits.counts_attributes and applications > MAX_SAMSUNG_APPLICATIONS:
        raise Malformed(f"{applications} APPLICATION blocks")
    return _checked(document)


def _application(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = dict(node.parms)
    for child in node.children:
        found.setdefault(child.type, []).append(_application(child))
    return found


def _number(node: Node, name: str) -> int:
    try:
        return int(node.parms[name])
    except (KeyError, ValueError, TypeError):
        raise Malformed(f"{node.type} without a number in {name}") from None


class _XmlReader:
    """Characteristics and parms of a wap-provisioningdoc."""

    def __init__(self, counts: bool) -> None:
        self._counts = counts
        self._path: list[Node] = []
        self._root: Node | None = None

    def read(self, body: bytes) -> Node:
        """Parse; return the root.

        Raises:
            Malformed: no sound document.
        """
        parser = expat.ParserCreate()
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        try:
            parser.Parse(body, True)
        except expat.ExpatError as error:
            raise Malformed(f"XML: {error}") from None
        if self._root is None:
            raise Malformed("an empty document")
        return self._root

    def _start(self, name: str, attributes: Any) -> None:  # noqa: ANN401 (expat: a flat list)
        names, values = attributes[::2], attributes[1::2]
        if name == "wap-provisioningdoc" and not self._path:
            self._expect(name, names, ["version"])
            self._root = Node("")
            self._path.append(self._root)
        elif name == "characteristic" and self._path:
            self._expect(name, names, ["type"])
            # Q-DOC-8: the first attribute, whatever its name.
            node = Node(values[0])
            self._path[-1].children.append(node)
            self._path.append(node)
        elif name == "parm" and self._path:
            self._expect(name, names, ["name", "value"])
            given = dict(zip(names, values, strict=True))
            self._path[-1].parms[given["name"]] = given["value"]
        else:
            raise Malformed(f"<{name}> is out of place")

    def _expect(self, element: str, names: list[str], expected: list[str]) -> None:
        right = names == expected if self._counts else set(expected) <= set(names)
        if not right:
            raise Malformed(f"<{element}> has the attributes {names}")

    def _end(self, name: str) -> None:
        if name != "parm":
            self._path.pop()


def _from_json(body: bytes) -> Document:
    try:
        given = json.loads(body)
    except ValueError:
        raise Malformed("no JSON") from None
    if not isinstance(given, dict):
        raise Malformed("JSON that is no object")
    document = Document()
    for key, value in given.items():
        if not isinstance(value, dict):
            raise Malformed(f"{key} is no object")
        if key.lower() == "vers":
            node = Node("VERS", value)
            document.vers = _number(node, "version"), _number(node, "validity")
        elif key.lower() == "token":
            document.token = str(value.get("token", ""))
            if "validity" in value:
                document.token_validity = _number(Node("TOKEN", value), "validity")
        else:
            document.applications[key] = value
    return _checked(document)


def _checked(document: Document) -> Document:
    """Statuses are read by an integer parser: an empty or other value breaks everything."""
    for app, parameters in document.applications.items():
        for name, value in parameters.items():
            if name.endswith("Status") and not (isinstance(value, str) and value.isdigit()):
                raise Malformed(f"{app} {name} is {value!r}")
    return document
