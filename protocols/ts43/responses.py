"""The HTTP responses of TS.43 and the last check before they leave (GSMA TS.43 v12 §2.9.1, §2.10).

What a client does with a status decides which may be sent: Samsung's stops until reboot at 400,
403, 500 and without Retry-After; Android's takes 200 and 302 alone for success.
"""

import gzip
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from protocols.http.message import HttpResponse, text_response
from protocols.ts43.document import Document
from protocols.ts43.json_document import render_json
from protocols.ts43.negotiation import JSON_TYPE, XML_TYPE, DocumentFormat
from protocols.ts43.xml_document import render_xml

# RFC 9110 allows what a token-bearing answer must never become: stored on the way.
_NO_STORE: Final = ((b"cache-control", b"no-store"),)
_GZIPPED: Final = ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
_GZIP_LEVEL: Final = 1  # level 6 takes twice the time for 2 % less

# Table 13 and what comes before it; every other status is a fault of ours.
ALLOWED_STATUSES: Final = frozenset({200, 302, 400, 401, 403, 404, 405, 406, 413, 501, 503, 511})


def document_response(
    document: Document,
    document_format: DocumentFormat,
    accepts_gzip: bool = False,
    gzip_from_octets: int = 0,
) -> HttpResponse:
    """A final document.

    Args:
        document: the tree.
        document_format: XML or JSON.
        accepts_gzip: the client's Accept-Encoding has gzip.
        gzip_from_octets: smaller bodies stay as they are; 0 compresses none.

    Raises:
        DocumentError: the tree cannot be rendered for a phone.
    """
    if document_format is DocumentFormat.XML:
        response = HttpResponse(200, XML_TYPE, render_xml(document), _NO_STORE)
    else:
        response = HttpResponse(200, JSON_TYPE, render_json(document), _NO_STORE)
    if accepts_gzip and gzip_from_octets and len(response.body) >= gzip_from_octets:
        return gzipped(response)
    return response


def gzipped(response: HttpResponse) -> HttpResponse:
    """The response with a compressed body; only for clients that accept it."""
    body = gzip.compress(response.body, _GZIP_LEVEL, mtime=0)
    return HttpResponse(response.status, response.content_type, body, response.headers + _GZIPPED)


def unavailable(
    retry_after_seconds: int, now_wall: float, text: str = "try again later"
) -> HttpResponse:
    """503: a passing fault, which is never the device's.

    Args:
        retry_after_seconds: at least 1; Samsung takes 10 for anything less.
        now_wall: Unix time. Samsung needs Date beside Retry-After.
        text: for a person.
    """
    headers = (
        (b"retry-after", b"%d" % max(1, retry_after_seconds)),
        (b"date", http_date(int(now_wall))),
    )
    return text_response(503, text, headers)


@lru_cache(maxsize=4)
def http_date(seconds: int) -> bytes:
    """Unix time as IMF-fixdate (RFC 9110 §5.6.7)."""
    return formatdate(seconds, usegmt=True).encode()


def authenticate(text: str = "authenticate") -> HttpResponse:
    """511: no authentication, or one that is void; the client starts over."""
    return text_response(511, text)


def unauthorised(text: str = "the token is not accepted") -> HttpResponse:
    """401: a temporary token is unknown or has expired (§2.8.6 table 8)."""
    return text_response(401, text, ((b"www-authenticate", b"TS43"),))


def forbidden(text: str = "this identity is not served") -> HttpResponse:
    """403: the identity itself is refused; clients remember it."""
    return text_response(403, text)


def guarded(response: HttpResponse, retry_after_seconds: int, now_wall: float) -> HttpResponse:
    """The response, or a harmless one in its place: the last stage, whatever went wrong before.

    A status outside of table 13 (500, 502, 204, …) becomes 503; a 503 without Retry-After or Date
    gets both. Compare with `is` to count what was replaced.
    """
    status = response.status
    if status == 200:
        return response
    if status not in ALLOWED_STATUSES:
        return unavailable(retry_after_seconds, now_wall)
    if status == 503 and not (response.header(b"retry-after") and response.header(b"date")):
        return unavailable(retry_after_seconds, now_wall)
    return response
