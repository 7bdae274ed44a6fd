"""A Diameter message as lines that a core engineer reads: names, results, the EAP packet inside."""

from collections.abc import Iterator
from typing import Final

from node.trace import diameter_names as names
from node.trace.eap_text import eap_lines, hidden
from protocols.diameter import dictionary
from protocols.diameter.codec import Avps, RawAvp, decode
from protocols.diameter.dictionary import BY_KEY, AvpType
from protocols.diameter.errors import DecodeError, RemoteError
from protocols.diameter.messages import result_of
from protocols.diameter.values import read_value

INDENT: Final = "  "
_SHOWN_OCTETS: Final = 64  # of an OctetString; longer ones are cut

_SECRETS: Final = frozenset({dictionary.EAP_MASTER_SESSION_KEY.key, dictionary.EAP_KEY_NAME.key})
_PACKETS: Final = frozenset({dictionary.EAP_PAYLOAD.key, dictionary.EAP_REISSUED_PAYLOAD.key})
_RESULTS: Final = {
    dictionary.RESULT_CODE.key: 0,
    dictionary.EXPERIMENTAL_RESULT_CODE.key: dictionary.VENDOR_3GPP,
}


def diameter_title(raw: bytes) -> str:
    """One line for the arrow: `DEA SWm 1001 DIAMETER_MULTI_ROUND_AUTH`."""
    try:
        message = decode(raw)
    except RemoteError:
        return f"Diameter, {len(raw)} octets, unreadable"
    title = names.command_name(message.command, message.is_request)
    title += f" {names.application_name(message.application)}"
    if message.is_retransmitted:
        title += " [T]"
    if message.is_request:
        return title
    try:
        vendor, code = result_of(message)
    except RemoteError:
        return title
    prefix = "exp " if vendor else ""
    return f"{title} {prefix}{code} {names.result_name(vendor, code)}".rstrip()


def diameter_lines(raw: bytes, show_secrets: bool) -> list[str]:
    """The AVPs, one a line, groups indented."""
    try:
        message = decode(raw)
    except RemoteError as error:
        return [f"unreadable: {error}", raw[:_SHOWN_OCTETS].hex()]
    ids = f"hop-by-hop {message.hop_by_hop:08x}, end-to-end {message.end_to_end:08x}"
    return [ids, *_avps(message, show_secrets)]


def _avps(avps: Avps, show_secrets: bool) -> Iterator[str]:
    for avp in avps:
        name = names.avp_name(avp.code, avp.vendor)
        known = BY_KEY.get(avp.key)
        if avp.key in _SECRETS:
            yield f"{name}: {hidden(avp.data, show_secrets)}"
        elif avp.key in _PACKETS:
            first, *rest = eap_lines(avp.data, show_secrets)
            yield f"{name}: {first}"
            yield from (INDENT + line for line in rest)
        elif known is not None and known.type is AvpType.GROUPED:
            yield from _group(name, avp, avps.depth, show_secrets)
        else:
            yield f"{name}: {_value(avp)}"


def _group(name: str, avp: RawAvp, depth: int, show_secrets: bool) -> Iterator[str]:
    try:
        members = Avps(avp.data, 0, len(avp.data), depth + 1)
    except DecodeError:
        yield f"{name}: {_hex(avp.data)}"
        return
    yield f"{name}:"
    yield from (INDENT + line for line in _avps(members, show_secrets))


def _value(avp: RawAvp) -> str:
    known = BY_KEY.get(avp.key)
    if known is None or known.type is AvpType.OCTET_STRING:
        return _octets(avp.data)
    try:
        value = read_value(known.type, avp.data)
    except Exception:  # whatever octets the other side sent: they are shown as they are
        return f"{_hex(avp.data)} (no {known.type.name})"
    if isinstance(value, int):
        name = names.value_name(avp.key, value)
        if avp.key in _RESULTS:
            name = names.result_name(_RESULTS[avp.key], value)
        return f"{value} {name}".rstrip()
    return str(value)


def _octets(data: bytes) -> str:
    """Text where all of it can be read, else hexadecimal."""
    if data and all(0x20 <= octet < 0x7F for octet in data):
        return f'"{data.decode()}"'
    return _hex(data)


def _hex(data: bytes) -> str:
    if len(data) <= _SHOWN_OCTETS:
        return data.hex() or "(empty)"
    return f"{data[:_SHOWN_OCTETS].hex()}… ({len(data)} octets)"
