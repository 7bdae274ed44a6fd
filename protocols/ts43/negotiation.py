"""Which form the answer takes: XML or JSON, plain or gzip (GSMA TS.43 v12 §2.9.1, RFC 9110 §12.5).

Real clients decide their parser by Content-Type, and what they put into Accept differs by leg;
the table is in `_formats`.
"""

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

EAP_RELAY_TYPE: Final = b"application/vnd.gsma.eap-relay.v1.0+json"
XML_TYPE: Final = b"text/vnd.wap.connectivity-xml"
JSON_TYPE: Final = b"application/json"

_XML_RANGES: Final = frozenset(
    {
        XML_TYPE,
        b"text/vnd.wap.connectivity",
        b"application/xml",
        b"application/xhtml+xml",
        b"text/xml",
        b"text/html",
        b"text/*",
        b"*/*",
    }
)


class DocumentFormat(Enum):
    """The two renderings of a configuration document."""

    XML = "xml"
    JSON = "json"


_FIELDS: Final = frozenset({b"accept", b"accept-language", b"accept-encoding", b"user-agent"})


class Wishes(NamedTuple):
    """What the header fields of a request say about the answer.

    Attributes:
        document_format: for a final document, when the tenant has no other wish.
        takes_both_formats: the client takes XML as well as JSON, so the tenant may choose.
        accepts_eap_relay: the client can do EAP-AKA over HTTP.
        accepts_gzip: the body may be compressed.
        accept_language, user_agent: as sent; empty when they were not.
    """

    document_format: DocumentFormat
    takes_both_formats: bool
    accepts_eap_relay: bool
    accepts_gzip: bool
    accept_language: str
    user_agent: str


def read_wishes(headers: Sequence[tuple[bytes, bytes]]) -> Wishes:
    """Read the fields that matter; several of one name are one list (RFC 9110 §5.3)."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _FIELDS:
            fields[name] = fields[name] + b"," + value if name in fields else value
    get = fields.get
    return _wishes(
        get(b"accept", b""),
        get(b"accept-encoding", b""),
        get(b"accept-language", b""),
        get(b"user-agent", b""),
    )


@lru_cache(maxsize=1_024)  # phones of one model and software send the same
def _wishes(accept: bytes, encoding: bytes, language: bytes, agent: bytes) -> Wishes:
    formats = offer(accept)
    return Wishes(
        formats.document_format,
        formats.both,
        formats.eap_relay,
        accepts_gzip(encoding),
        language.decode("latin-1"),
        agent.decode("latin-1"),
    )


def preferred(
    document_format: DocumentFormat, takes_both_formats: bool, prefer_json: bool
) -> DocumentFormat:
    """The form of a document for a tenant that prefers JSON or XML."""
    return DocumentFormat.JSON if prefer_json and takes_both_formats else document_format


class Offer(NamedTuple):
    """What an Accept field means.

    Attributes:
        document_format: for a final document, when the tenant has no other wish.
        both: the client takes XML as well as JSON, so the tenant may choose.
        eap_relay: the client can do EAP-AKA over HTTP.
    """

    document_format: DocumentFormat
    both: bool
    eap_relay: bool


@lru_cache(maxsize=512)
def offer(accept: bytes) -> Offer:
    """Read an Accept field (several fields joined by a comma; empty when there is none)."""
    return _formats(frozenset(_acceptable(accept.lower())))


def _formats(ranges: frozenset[bytes]) -> Offer:
    xml = not _XML_RANGES.isdisjoint(ranges)
    json = JSON_TYPE in ranges
    eap_relay = EAP_RELAY_TYPE in ranges
    if json and not xml:
        return Offer(DocumentFormat.JSON, False, eap_relay)
    if eap_relay and not xml:
        # The Android client of 2021 meant JSON with it on its token leg.
        return Offer(DocumentFormat.JSON, False, True)
    # XML alone, both (Android reads TOKEN only from XML), or nothing we know: XML.
    return Offer(DocumentFormat.XML, xml and json, eap_relay)


@lru_cache(maxsize=128)
def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether an Accept-Encoding field names gzip with a weight above zero."""
    ranges = frozenset(_acceptable(accept_encoding.lower()))
    return b"gzip" in ranges or b"x-gzip" in ranges


def _acceptable(field: bytes) -> list[bytes]:
    """The ranges of a weighted list, without those of weight zero (RFC 9110 §12.4.2)."""
    ranges = []
    for item in field.split(b","):
        name, *parameters = (part.strip() for part in item.split(b";"))
        if not any(_is_zero_weight(parameter) for parameter in parameters):
            ranges.append(name)
    return ranges


def _is_zero_weight(parameter: bytes) -> bool:
    name, _, value = parameter.partition(b"=")
    return name.strip() == b"q" and value.strip() in (b"0", b"0.", b"0.0", b"0.00", b"0.000")
