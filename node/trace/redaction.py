"""Takes the secrets out of trace events, so that a trace can be sent to a colleague.

Tokens, cookies and one-time passwords of HTTP, RES and MAC of EAP-AKA, the MSK of Diameter; EIDs,
matching ids and activation codes of eSIM orders. The
length of everything stays, so that lengths, checks and captures stay right. RAND, AUTN and AUTS
are no secrets (RFC 4187 §12): they went over the air. Identities stay: the trace is about them.
"""

import base64
import binascii
import dataclasses
import re
from typing import Final

from actors.trace.recorder import TraceEvent
from protocols.diameter import dictionary
from protocols.diameter.codec import Avps, RawAvp, decode
from protocols.diameter.errors import DecodeError, RemoteError
from protocols.eap.numbers import AT_MAC, AT_RES, EAP_AKA, EAP_AKA_PRIME, REQUEST, RESPONSE
from protocols.eap.packet import AKA_HEADER_OCTETS, EapError, check_attributes, check_header
from protocols.http.message import HttpRequest, HttpResponse

HIDDEN: Final = b"*"
_HEADER_OCTETS: Final = 20  # of a Diameter message

_SECRET_FIELDS: Final = frozenset({b"cookie", b"set-cookie", b"authorization"})
# Names of values in a query, a form, a JSON object, or a parm of an XML document (TS.43 §2.8, §6).
_NAMES: Final = (
    rb"(?:access_|temporary_?|temp_?|notif_|id_)?token|otp|password|notification_token"
    rb"|\w*_userdata"  # opens a web sheet as this subscriber
    # What a profile is downloaded with, and the eUICC that may do so (TS.43 §6.5, SGP.22 §6.5).
    rb"|profileactivationcode|matchingid|confirmationcode|resultdata|\w*eid"
)
_IN_QUERY: Final = re.compile(rb"(?i)(?<=[?&;])((?:" + _NAMES + rb")=)([^&#;\"'\s<]*)")
_IN_JSON: Final = re.compile(rb'(?i)("(?:' + _NAMES + rb')"\s*:\s*")((?:[^"\\]|\\.)*)')
_IN_XML: Final = re.compile(rb'(?i)(\bname="(?:' + _NAMES + rb')"\s+value=")([^"]*)')
_RELAY: Final = re.compile(rb'("eap-relay-packet"\s*:\s*")([A-Za-z0-9+/=\\]*)')

_KEYS: Final = frozenset({dictionary.EAP_MASTER_SESSION_KEY.key, dictionary.EAP_KEY_NAME.key})
_PACKETS: Final = frozenset({dictionary.EAP_PAYLOAD.key, dictionary.EAP_REISSUED_PAYLOAD.key})
_GROUPS: Final = frozenset(
    key for key, avp in dictionary.BY_KEY.items() if avp.type is dictionary.AvpType.GROUPED
)


def redacted(event: TraceEvent) -> TraceEvent:
    """The event without its secrets; the one given is not changed."""
    payload = event.payload
    if isinstance(payload, HttpRequest):
        return dataclasses.replace(event, payload=_request(payload))
    if isinstance(payload, HttpResponse):
        return dataclasses.replace(event, payload=_response(payload))
    if isinstance(payload, bytes):
        return dataclasses.replace(event, payload=redacted_diameter(payload))
    return event


def redacted_diameter(raw: bytes) -> bytes:
    """A Diameter message with zeros for keys, RES and MAC; nothing at all of one that is broken."""
    try:
        message = decode(raw)
    except RemoteError:
        return raw[:_HEADER_OCTETS].ljust(_HEADER_OCTETS, b"\0")
    return raw[:_HEADER_OCTETS] + b"".join(_avp(avp, 1).encode() for avp in message)


def redacted_eap(packet: bytes) -> bytes:
    """An EAP packet with zeros for RES and MAC."""
    try:
        check_header(packet)
        if packet[0] not in (REQUEST, RESPONSE) or packet[4:5] not in (
            bytes((EAP_AKA,)),
            bytes((EAP_AKA_PRIME,)),
        ):
            return packet
        check_attributes(packet)
    except EapError:
        return bytes(len(packet))  # what cannot be read may hold anything
    out = bytearray(packet)
    at = AKA_HEADER_OCTETS
    while at < len(out):
        size = out[at + 1] * 4
        if out[at] in (AT_RES, AT_MAC):
            out[at + 4 : at + size] = bytes(size - 4)  # type, length and two octets stay
        at += size
    return bytes(out)


def _avp(avp: RawAvp, depth: int) -> RawAvp:
    data = avp.data
    if avp.key in _KEYS:
        data = bytes(len(data))
    elif avp.key in _PACKETS:
        data = redacted_eap(data)
    elif avp.key in _GROUPS:
        try:
            members = Avps(data, 0, len(data), depth)
        except DecodeError:
            data = bytes(len(data))
        else:
            data = b"".join(_avp(member, depth + 1).encode() for member in members)
    return dataclasses.replace(avp, data=data)


def _request(request: HttpRequest) -> HttpRequest:
    return HttpRequest(
        request.method,
        _IN_QUERY.sub(_hide, request.target),
        request.authority,
        [_field(*field) for field in request.headers],
        _body(request.body),
    )


def _response(response: HttpResponse) -> HttpResponse:
    return HttpResponse(
        response.status,
        response.content_type,
        _body(response.body),
        tuple(_field(*field) for field in response.headers),
    )


def _field(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    if name == b"location":
        return name, _IN_QUERY.sub(_hide, value)
    if name not in _SECRET_FIELDS:
        return name, value
    shown, equals, rest = value.partition(b"=" if b"cookie" in name else b" ")
    rest, semicolon, attributes = rest.partition(b";" if name == b"set-cookie" else b"\0")
    return name, shown + equals + HIDDEN * len(rest) + semicolon + attributes


def _body(body: bytes) -> bytes:
    body = _RELAY.sub(_hide_packet, body)
    body = _IN_JSON.sub(_hide, body)
    body = _IN_XML.sub(_hide, body)
    return _IN_QUERY.sub(_hide, b"&" + body)[1:]


def _hide(match: re.Match[bytes]) -> bytes:
    return match[1] + HIDDEN * len(match[2])


def _hide_packet(match: re.Match[bytes]) -> bytes:
    try:
        packet = base64.b64decode(match[2].replace(b"\\", b""), validate=True)
    except (binascii.Error, ValueError):
        return _hide(match)
    return match[1] + base64.b64encode(redacted_eap(packet))
