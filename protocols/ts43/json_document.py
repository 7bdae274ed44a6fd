"""A document as a JSON object (GSMA TS.43 v12 §2.9.4): the same tree as the XML.

All leaves are texts, also where the specification's samples have numbers; a list is an array of
objects with one key each. Applications that many subscribers share are kept rendered.
"""

from functools import lru_cache
from typing import Final

import msgspec

from protocols.ts43.document import (
    SLOT,
    Application,
    Characteristic,
    Document,
    DocumentError,
    Parm,
    checked_fillings,
    filled,
)
from protocols.ts43.eap_relay import EAP_RELAY_KEY

_encode = msgspec.json.Encoder().encode
_SLOT: Final = SLOT.encode()


def render_json(document: Document) -> bytes:
    """The document in UTF-8.

    Raises:
        DocumentError: two things of the same name stand side by side, or a slot has no filling.
    """
    parts = [
        b'{"Vers":{"version":"%d","validity":"%d"}' % (document.version, document.validity_seconds)
    ]
    if document.token:
        parts.append(_token(document))
    applications = [
        _shared_application(application) if application.shared else _application(application)
        for application in document.applications
    ]
    parts += filled(applications, [one.encode() for one in checked_fillings(document)])
    parts.append(b"}")
    return b"".join(parts)


def _token(document: Document) -> bytes:
    token = b',"Token":{"token":' + _encode(document.token)
    if document.token_validity_seconds is not None:
        token += b',"validity":"%d"' % document.token_validity_seconds
    return token + b"}"


def _application(application: Application) -> tuple[bytes, ...]:
    """The rendered application, cut at its slots."""
    content = _content(application.parms, application.children)
    return tuple((b',"%b":%b' % (application.app_id.encode(), _encode(content))).split(_SLOT))


_shared_application = lru_cache(maxsize=4096)(_application)


def _content(parms: tuple[Parm, ...], children: tuple[Characteristic, ...]) -> dict[str, object]:
    content: dict[str, object] = dict(parms)
    if len(content) != len(parms):
        raise DocumentError("a parm stands twice in one characteristic")
    for child in children:
        value = _value(child)
        if child.form == "repeated":
            siblings = content.setdefault(child.type, [])
            if not isinstance(siblings, list):
                raise DocumentError(f"{child.type} is repeated beside another form of itself")
            siblings.append(value)
        elif child.type in content:
            # Table 65 of the specification repeats a key, which is not JSON.
            raise DocumentError(f"{child.type} stands twice in one characteristic")
        else:
            content[child.type] = value
    if EAP_RELAY_KEY in content:
        # Android takes an object with this key for one more challenge.
        raise DocumentError(f"{EAP_RELAY_KEY} in a document")
    return content


def _value(child: Characteristic) -> object:
    if child.form != "list":
        return _content(child.parms, child.children)
    if child.parms:
        raise DocumentError(f"{child.type} is a list and has parms")
    return [{item.type: _value(item)} for item in child.children]
