"""Challenge, 503, gzip and the guard that stands last."""

import base64
import gzip
import json
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.http.message import HttpResponse, text_response
from protocols.ts43.challenge import challenge
from protocols.ts43.cookies import set_cookie
from protocols.ts43.document import Application, Document
from protocols.ts43.negotiation import DocumentFormat
from protocols.ts43.responses import (
    ALLOWED_STATUSES,
    authenticate,
    document_response,
    forbidden,
    guarded,
    unavailable,
)

# TS.43 reference vector: the 124 octets of a challenge, with AT_IV and AT_ENCR_DATA.
CHALLENGE_BASE64 = (
    "AQIAfBcBAAABBQAAXOZSkCjxysgE43GWqHJvgQIFAABrikWGrekAALNU4TxmCDPoCwUAAJT0nqXeAYlqzT0UGXINENWB"
    "BQAA7z3fhImkq+vcCKWIZBdvuYIJAAAPRUFp7KWFo+Thr78Qj9hEkB2zA0i6KakODsufBC+BJQ=="
)
NOON = 1_700_000_000.7


def test_a_challenge_is_exactly_what_samsung_and_android_expect() -> None:
    """EAP-13a, Q-COOKIE-2, Q-DOC-2."""
    response = challenge(base64.b64decode(CHALLENGE_BASE64), set_cookie("abc"))
    assert response.status == 200
    assert response.content_type == b"application/vnd.gsma.eap-relay.v1.0+json"
    assert response.body == b'{"eap-relay-packet":"' + CHALLENGE_BASE64.encode() + b'"}'
    assert response.headers == ((b"set-cookie", b"SID=abc; Path=/; Secure; HttpOnly"),)
    assert challenge(b"\x01\x02\x00\x04", None).headers == ()


@given(st.binary(min_size=4, max_size=2000))
def test_the_packet_arrives_untouched(packet: bytes) -> None:
    body = json.loads(challenge(packet, None).body)
    assert base64.b64decode(body["eap-relay-packet"], validate=True) == packet


def test_an_outage_is_503_with_retry_after_and_date() -> None:
    """EAP-18a, Q-HTTP-4, Q-HTTP-8."""
    response = unavailable(7, NOON)
    assert response.status == 503
    assert response.header(b"retry-after") == b"7"
    date = response.header(b"date")
    assert date == b"Tue, 14 Nov 2023 22:13:20 GMT"
    assert parsedate_to_datetime(date.decode()).timestamp() == int(NOON)
    assert unavailable(0, NOON).header(b"retry-after") == b"1", "Samsung turns 0 into 10 s"


def test_a_document_has_its_content_type_and_is_not_stored() -> None:
    """T-04, Q-DOC-1."""
    document = Document(1, 60, (Application("ap2005", (("EntitlementStatus", "1"),)),))
    xml = document_response(document, DocumentFormat.XML)
    by_json = document_response(document, DocumentFormat.JSON)
    assert (xml.status, xml.content_type) == (200, b"text/vnd.wap.connectivity-xml")
    assert (by_json.status, by_json.content_type) == (200, b"application/json")
    assert xml.headers == by_json.headers == ((b"cache-control", b"no-store"),)


def test_gzip_only_when_the_client_takes_it_and_it_pays() -> None:
    """T-06."""
    document = Document(1, 60, (Application("ap2005", (("EntitlementStatus", "1"),)),), "t" * 500)
    plain = document_response(document, DocumentFormat.XML)
    for accepts, from_octets in ((False, 1), (True, 0), (True, len(plain.body) + 1)):
        response = document_response(document, DocumentFormat.XML, accepts, from_octets)
        assert response.body == plain.body
        assert response.header(b"content-encoding") is None
    response = document_response(document, DocumentFormat.XML, True, len(plain.body))
    assert gzip.decompress(response.body) == plain.body
    assert len(response.body) < len(plain.body)
    assert response.header(b"content-encoding") == b"gzip"
    assert response.header(b"vary") == b"accept-encoding"
    assert response.header(b"cache-control") == b"no-store"


@pytest.mark.parametrize("status", [*range(100, 104), *range(200, 227), *range(300, 600)])
def test_the_guard_lets_out_only_what_phones_survive(status: int) -> None:
    """Q-HTTP-1, Q-HTTP-3, Q-HTTP-7, EAP-18a: no 500, no other 2xx, no 503 without Retry-After."""
    given_response = text_response(status, "x")
    response = guarded(given_response, 9, NOON)
    if status in ALLOWED_STATUSES and status != 503:
        assert response is given_response
    else:
        assert response.status == 503
        assert response.header(b"retry-after") == b"9"
        assert response.header(b"date")


def test_the_guard_leaves_a_complete_503_alone() -> None:
    response = unavailable(3, NOON)
    assert guarded(response, 9, NOON) is response
    incomplete = HttpResponse(503, headers=((b"retry-after", b"3"),))
    assert guarded(incomplete, 9, NOON).header(b"retry-after") == b"9"


def test_refusals_say_why_in_the_body() -> None:
    assert (authenticate("x").status, authenticate("x").body) == (511, b"x\n")
    assert (forbidden("y").status, forbidden("y").body) == (403, b"y\n")
