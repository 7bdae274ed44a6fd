"""Requests and responses as every layer above the wire sees them."""

from protocols.http.message import HttpRequest, HttpResponse, text_response


def test_the_first_field_of_a_name_is_found() -> None:
    fields = ((b"cookie", b"a=1"), (b"cookie", b"b=2"))
    for message in (
        HttpRequest(b"GET", b"/", b"a.example", list(fields)),
        HttpResponse(200, headers=fields),
    ):
        assert message.header(b"cookie") == b"a=1"
        assert message.header(b"accept") is None


def test_a_request_shows_neither_query_nor_fields_nor_body() -> None:
    request = HttpRequest(
        b"POST", b"/ts43?token=secret", b"a.example", [(b"cookie", b"secret")], b"secret"
    )
    assert repr(request) == "<HttpRequest b'POST' b'/ts43' body=6>"


def test_a_response_shows_no_body() -> None:
    response = text_response(403, "secret", ((b"set-cookie", b"secret"),))
    assert repr(response) == "<HttpResponse 403 b'text/plain; charset=utf-8' body=7>"
    assert response.body == b"secret\n"
