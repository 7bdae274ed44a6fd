"""An HTTP message of a device as lines: parameters, fields, the EAP packet or document inside."""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_plus

from node.trace.eap_text import eap_lines
from protocols.http.message import HttpRequest, HttpResponse

INDENT: Final = "  "
RELAY: Final = "eap-relay-packet"
_SHOWN_CHARACTERS: Final = 4_000  # of a body that is none of the known forms

_TAG: Final = re.compile(r"<[^>]*>|[^<]+")


def request_title(request: HttpRequest) -> str:
    """`GET /path`; the query is in the lines."""
    path = request.target.partition(b"?")[0].decode("latin-1")
    return f"{request.method.decode('latin-1')} {path}"


def response_title(response: HttpResponse) -> str:
    """`200 OK`."""
    try:
        return f"{response.status} {HTTPStatus(response.status).phrase}"
    except ValueError:
        return str(response.status)


def request_lines(request: HttpRequest, show_secrets: bool) -> list[str]:
    """Parameters, then fields, then the body."""
    query = request.target.partition(b"?")[2].decode("latin-1")
    lines = list(_parameters(query))
    if request.authority:
        lines.append(f"authority: {request.authority.decode('latin-1')}")
    lines += _fields(request.headers)
    form = b"form" in (request.header(b"content-type") or b"")
    if form:
        return lines + list(_parameters(request.body.decode("utf-8", "backslashreplace")))
    return lines + body_lines(request.body, show_secrets)


def response_lines(response: HttpResponse, show_secrets: bool) -> list[str]:
    """Fields, then the body."""
    lines = []
    if response.content_type:
        lines.append(f"content-type: {response.content_type.decode('latin-1')}")
    lines += _fields(response.headers)
    return lines + body_lines(response.body, show_secrets)


def body_lines(body: bytes, show_secrets: bool) -> list[str]:
    """A relayed EAP packet decoded, JSON and XML with indents, anything else as it is."""
    text = body.decode("utf-8", "backslashreplace").strip()
    if not text:
        return []
    if text[0] in "{[":
        try:
            return _json_lines(json.loads(text), show_secrets)
        except ValueError:
            pass
    if text[0] == "<":
        return list(_xml_lines(text))
    lines = text[:_SHOWN_CHARACTERS].splitlines()
    return [*lines, "…"] if len(text) > _SHOWN_CHARACTERS else lines


def relayed_packet(body: bytes) -> bytes | None:
    """The EAP packet in a body (TS.43 §2.8.1), None where there is none."""
    if RELAY.encode() not in body:
        return None
    try:
        return base64.b64decode(json.loads(body)[RELAY], validate=True)
    except (binascii.Error, ValueError, TypeError, LookupError):
        return None


def _json_lines(value: object, show_secrets: bool) -> list[str]:
    if isinstance(value, dict) and isinstance(value.get(RELAY), str):
        packet = relayed_packet(json.dumps(value).encode())
        if packet is not None:
            first, *rest = eap_lines(packet, show_secrets)
            others = {name: item for name, item in value.items() if name != RELAY}
            more = json.dumps(others, indent=2, ensure_ascii=False).splitlines() if others else []
            return [f"{RELAY}: {first}", *(INDENT + line for line in rest), *more]
    return json.dumps(value, indent=2, ensure_ascii=False).splitlines()


def _xml_lines(text: str) -> Iterator[str]:
    """One tag a line, indented; not a parser: what is broken is shown broken."""
    depth = 0
    for part in _TAG.findall(text):
        tag = part.strip()
        if not tag:
            continue
        if tag.startswith("</"):
            depth = max(0, depth - 1)
        yield INDENT * depth + tag
        if tag[0] == "<" and tag[1:2] not in ("/", "?", "!") and not tag.endswith("/>"):
            depth += 1


def _parameters(query: str) -> Iterator[str]:
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            yield f"{unquote_plus(name)} = {unquote_plus(value)}"


def _fields(fields: list[tuple[bytes, bytes]] | tuple[tuple[bytes, bytes], ...]) -> list[str]:
    return [f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in fields]
