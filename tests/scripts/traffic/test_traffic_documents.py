"""Parameters of documents, in both forms."""

import pytest

from scripts.traffic.documents import NotADocument, parameters, token_of
from tests.scripts.traffic.fake_node import DOCUMENT

JSON = (
    b'{"Vers":{"version":"1","validity":"172800"},"Token":{"token":"TOKEN-1"},'
    b'"ap2004":{"EntitlementStatus":"1"},"ap2003":{"VoiceOverCellularEntitleInfo":'
    b'[{"RATVoiceEntitleInfoDetails":{"AccessType":"1","EntitlementStatus":"0"}}]},'
    b'"ap2005":{"EntitlementStatus":"1"}}'
)


def test_xml_and_json_say_the_same() -> None:
    xml = [
        row for row in parameters("text/vnd.wap.connectivity-xml", DOCUMENT) if row[1] != "AppID"
    ]
    assert xml == parameters("application/json", JSON)
    assert token_of(xml) == "TOKEN-1"
    assert ("ap2003", "EntitlementStatus", "0") in xml


def test_there_may_be_no_token() -> None:
    assert token_of([("VERS", "token", "x")]) == ""


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/vnd.wap.connectivity-xml", b""),
        ("text/vnd.wap.connectivity-xml", b"<html/>"),
        ("application/json", b"[]"),
        ("application/json", b"{"),
        ("text/html", b"<html/>"),
    ],
)
def test_what_is_no_document(kind: str, body: bytes) -> None:
    with pytest.raises(NotADocument):
        parameters(kind, body)
