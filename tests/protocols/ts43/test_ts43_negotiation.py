"""Accept, Accept-Encoding, Accept-Language and Cookie as real clients send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ts43.cookies import SESSION_COOKIE, find_all, set_cookie
from protocols.ts43.languages import choose_language
from protocols.ts43.messages import (
    DEFAULT_MESSAGES,
    VOWIFI_NOT_OFFERED,
    language_of,
    message,
)
from protocols.ts43.negotiation import DocumentFormat, accepts_gzip, preferred, read_wishes

XML, JSON = DocumentFormat.XML, DocumentFormat.JSON
RELAY = b"application/vnd.gsma.eap-relay.v1.0+json"
WAP = b"text/vnd.wap.connectivity-xml"
BROWSER = b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

# Accept, (document format, both, eap-relay): every row of the negotiation rule and every client.
ACCEPTS = [
    (b"", XML, False, False),
    (WAP, XML, False, False),
    (b"text/vnd.wap.connectivity", XML, False, False),
    (b"application/xml", XML, False, False),
    (b"*/*", XML, False, False),
    (BROWSER, XML, False, False),  # the specification's samples
    (b"application/json", JSON, False, False),  # T-04; satellite and slicing
    (b"Application/JSON; charset=utf-8", JSON, False, False),
    (RELAY, JSON, False, True),  # the Android client of 2021 on its token leg
    (RELAY + b", " + WAP, XML, False, True),  # T-05; Samsung
    (RELAY + b", application/json", JSON, False, True),
    (RELAY + b", application/json, " + WAP, XML, True, True),  # Android's library
    (b"application/json, " + WAP, XML, True, False),
    (b"application/json;q=0, " + WAP, XML, False, False),
    (WAP + b";q=0, application/json", JSON, False, False),
    (WAP + b"; q=0.000", XML, False, False),
    (b"image/png", XML, False, False),
    (b";;,=,q=0", XML, False, False),
]


@pytest.mark.parametrize(("accept", "document_format", "both", "relay"), ACCEPTS)
def test_accept_decides_the_form_of_the_document(
    accept: bytes, document_format: DocumentFormat, both: bool, relay: bool
) -> None:
    """T-04, T-05."""
    wishes = read_wishes([(b"accept", accept)] if accept else [])
    assert wishes.document_format is document_format
    assert wishes.takes_both_formats is both
    assert wishes.accepts_eap_relay is relay
    assert preferred(document_format, both, prefer_json=False) is document_format
    assert preferred(document_format, both, prefer_json=True) is (JSON if both else document_format)


def test_several_fields_are_one_list() -> None:
    wishes = read_wishes([(b"accept", RELAY), (b"x", b"y"), (b"accept", b"application/json")])
    assert wishes.document_format is JSON
    assert wishes.accepts_eap_relay


@pytest.mark.parametrize(
    ("field", "allowed"),
    [
        (b"", False),
        (b"gzip", True),
        (b"gzip, deflate", True),
        (b"deflate, GZIP;q=0.5", True),
        (b"x-gzip", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.0, br", False),
        (b"identity", False),
        (b"*", False),
        (b"gzipped", False),
    ],
)
def test_gzip_only_when_it_is_asked_for(field: bytes, allowed: bool) -> None:
    """T-06."""
    assert accepts_gzip(field) is allowed


AVAILABLE = frozenset({"en", "fr", "de", "pt-BR"})


@pytest.mark.parametrize(
    ("field", "language"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("FR-ca", "fr"),
        ("fr_CA", "fr"),
        ("it, fr;q=0.4, de;q=0.7", "de"),
        ("it", "en"),
        ("*", "en"),
        ("it, *;q=0.1", "en"),
        ("de;q=0, fr;q=0.1", "fr"),
        ("pt-br", "pt-BR"),
        ("pt", "en"),
        ("pt-BR-x-old", "pt-BR"),
        ("zh-Hant-x-y, de", "de"),
        ("de;q=nan, fr", "de"),
        ("fr;q=high", "fr"),
        ("fr;q=0.1,de;q=inf", "de"),
        (",;, ;q=1,-,--", "en"),
    ],
)
def test_the_language_is_looked_up(field: str, language: str) -> None:
    """T-11; RFC 4647 §3.4."""
    assert choose_language(field, AVAILABLE, "en") == language


@given(st.text(max_size=60))
def test_any_language_field_gives_an_available_language(field: str) -> None:
    assert choose_language(field, AVAILABLE, "en") in AVAILABLE


def test_every_message_is_there_in_all_our_languages() -> None:
    for message_id, texts in DEFAULT_MESSAGES.items():
        assert set(texts) == {"en", "fr", "de", "es"}
        for language, text in texts.items():
            assert message(message_id, language, "en", {}) == text
            assert not set('<>"&\n') & set(text), "phones cannot read these"


def test_a_tenants_text_goes_before_ours_and_its_language_counts() -> None:
    """T-11."""
    own = {VOWIFI_NOT_OFFERED: {"it": "Non disponibile", "fr": "Chez nous, non", "de-AT": "Na"}}
    assert language_of("it-CH, en;q=0.1", "en", own) == "it"
    assert language_of("it-CH", "en", {}) == "en"
    assert message(VOWIFI_NOT_OFFERED, "it", "en", own) == "Non disponibile"
    assert message(VOWIFI_NOT_OFFERED, "fr", "en", own) == "Chez nous, non"
    assert message(VOWIFI_NOT_OFFERED, "de-AT", "en", own) == "Na"
    german = DEFAULT_MESSAGES[VOWIFI_NOT_OFFERED]["de"]
    assert message(VOWIFI_NOT_OFFERED, "de-DE", "en", own) == german
    assert message(VOWIFI_NOT_OFFERED, "sv", "it", own) == "Non disponibile"
    assert message("line-suspended", "it", "it", own) == DEFAULT_MESSAGES["line-suspended"]["en"]


COOKIES = {
    "plain": [b"SID=abc"],
    "EAP-20a attributes echoed": [b"SID=abc; Path=/; HttpOnly; Secure; SameSite=Lax"],
    "attributes first": [b"Path=/; HttpOnly; SID=abc"],
    "EAP-20b several lines": [b"lb=7", b"SID=abc", b"x=y"],
    "several Set-Cookie joined": [b"SID=abc; Path=/; Secure; HttpOnly; lb=7; Path=/"],
    "joined by commas": [b"lb=7, SID=abc"],
    "without blanks": [b"lb=7;SID=abc;x=y"],
    "in quotes": [b'SID="abc"'],
    "blanks around": [b"  SID = abc "],
    "a look-alike before": [b"XSID=no; SIDX=no; sid=no; SID; SID=abc"],
}


@pytest.mark.parametrize("lines", COOKIES.values(), ids=COOKIES.keys())
def test_the_session_cookie_is_found(lines: list[bytes]) -> None:
    """EAP-20a, EAP-20b, Q-COOKIE-3, Q-COOKIE-4."""
    headers = [(b"accept", b"SID=no"), *((b"cookie", line) for line in lines)]
    assert find_all(headers, SESSION_COOKIE) == ("abc",)


def test_every_value_is_given_when_there_are_several() -> None:
    headers = [(b"cookie", b"SID=old; SID=new"), (b"cookie", b"SID=")]
    assert find_all(headers, SESSION_COOKIE) == ("old", "new", "")
    assert find_all([(b"cookie", b"other=1")], SESSION_COOKIE) == ()
    assert find_all([], SESSION_COOKIE) == ()


def test_the_cookie_we_set_comes_back_from_samsung() -> None:
    """Q-COOKIE-3: it splits Set-Cookie at `;` and sends every part back as a cookie."""
    ours = set_cookie("3456bdfgh")
    assert ours.startswith(b"SID=3456bdfgh;")
    assert find_all([(b"cookie", ours)], SESSION_COOKIE) == ("3456bdfgh",)


@given(st.lists(st.binary(max_size=40), max_size=3))
def test_any_cookie_field_is_survived(lines: list[bytes]) -> None:
    for value in find_all([(b"cookie", line) for line in lines], SESSION_COOKIE):
        assert "," not in value
        assert ";" not in value


@given(st.binary(max_size=60))
def test_any_accept_field_gives_a_form(field: bytes) -> None:
    wishes = read_wishes([(b"accept", field), (b"accept-encoding", field), (b"user-agent", field)])
    assert wishes.document_format in DocumentFormat
