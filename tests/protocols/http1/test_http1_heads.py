"""Which heads are requests and which are refused, and how: RFC 9112 §2 to §6."""

import pytest

from protocols.http1.errors import BadRequest
from protocols.http1.head import CHUNKED, NO_BODY, parse_head

HOST = b"Host: a.example"


def head(*lines: bytes) -> bytes:
    return b"\r\n".join(lines)


def test_names_become_lower_case_and_values_are_trimmed() -> None:
    parsed = parse_head(
        head(b"GET /a?b=c HTTP/1.1", b"Host:a.example", b"X-Own: \t two  words \t", b"Empty:"), 64
    )
    request = parsed.request
    assert (request.method, request.target, request.authority) == (b"GET", b"/a?b=c", b"a.example")
    assert request.headers == [
        (b"host", b"a.example"),
        (b"x-own", b"two  words"),
        (b"empty", b""),
    ]
    assert (parsed.length, parsed.keep_alive, parsed.is_http_1_0) == (NO_BODY, True, False)


def test_one_cookie_line_per_cookie_stays_as_sent() -> None:
    request = parse_head(head(b"GET / HTTP/1.1", HOST, b"Cookie: a=1", b"Cookie: b=2"), 64).request
    assert request.headers[1:] == [(b"cookie", b"a=1"), (b"cookie", b"b=2")]


@pytest.mark.parametrize(
    ("target", "authority", "path"),
    [
        (b"/", b"a.example", b"/"),
        (b"//x", b"a.example", b"//x"),
        (b"http://b.example/x?y", b"b.example", b"/x?y"),
        (b"HTTPS://b.example:8443", b"b.example:8443", b"/"),
        (b"https://b.example?y=/", b"b.example", b"/?y=/"),
    ],
)
def test_targets(target: bytes, authority: bytes, path: bytes) -> None:
    request = parse_head(head(b"GET " + target + b" HTTP/1.1", HOST), 64).request
    assert (request.authority, request.target) == (authority, path)


def test_the_asterisk_form_belongs_to_options() -> None:
    assert parse_head(head(b"OPTIONS * HTTP/1.1", HOST), 64).request.target == b"*"
    with pytest.raises(BadRequest, match="target"):
        parse_head(head(b"GET * HTTP/1.1", HOST), 64)


@pytest.mark.parametrize(
    ("version", "connection", "keep_alive"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Keep-Alive", True),
        (b"1.1", b"close", False),
        (b"1.1", b"Upgrade, CLOSE", False),
        (b"1.1", b"keep-alive, close", False),
        (b"1.0", b"", False),
        (b"1.0", b"Keep-Alive", True),
        (b"1.0", b"close", False),
        (b"1.0", b"close, keep-alive", False),
    ],
)
def test_persistence(version: bytes, connection: bytes, keep_alive: bool) -> None:
    """RFC 9112 §9.3. HTTP/1.0 needs no Host."""
    fields = [HOST] if version == b"1.1" else []
    parsed = parse_head(head(b"GET / HTTP/" + version, *fields, b"Connection: " + connection), 64)
    assert parsed.keep_alive is keep_alive
    assert parsed.is_http_1_0 is (version == b"1.0")


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ([b"Content-Length: 5"], 5),
        ([b"Content-Length: 0"], NO_BODY),
        ([b"Content-Length: 5", b"content-length: 5"], 5),
        ([b"Transfer-Encoding: chunked"], CHUNKED),
        ([b"Transfer-Encoding: Chunked"], CHUNKED),
    ],
)
def test_lengths(fields: list[bytes], length: int) -> None:
    assert parse_head(head(b"POST / HTTP/1.1", HOST, *fields), 64).length == length


def test_an_expectation_of_http_1_0_is_ignored() -> None:
    line = b"Expect: 100-Continue"
    assert parse_head(head(b"POST / HTTP/1.1", HOST, line), 64).expects_continue
    assert not parse_head(head(b"POST / HTTP/1.0", line), 64).expects_continue


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (400, [b""]),
        (400, [b"GET /"]),
        (400, [b"GET  / HTTP/1.1", HOST]),
        (400, [b"GET / HTTP/1.1 ", HOST]),
        (400, [b" GET / HTTP/1.1", HOST]),
        (400, [b"GET / HTTP/x", HOST]),
        (400, [b"GET / http/1.1", HOST]),
        (400, [b"GET\t/ HTTP/1.1", HOST]),
        (400, [b"G(T / HTTP/1.1", HOST]),
        (400, [b"GET /\xc3\xa9 HTTP/1.1", HOST]),
        (400, [b"GET a.example HTTP/1.1", HOST]),
        (400, [b"GET ftp://a/ HTTP/1.1", HOST]),
        (400, [b"GET http:///x HTTP/1.1", HOST]),
        (400, [b"GET / HTTP/1.1"]),
        (400, [b"GET / HTTP/1.1", HOST, HOST]),
        (400, [b"GET / HTTP/1.1", b"Host:"]),
        (400, [b"GET / HTTP/1.0", HOST, HOST]),
        (400, [b"GET https://a.example/ HTTP/1.1", b"Host: b c"]),
        (400, [b"GET https://a.example/ HTTP/1.1", b"Host:"]),
        (400, [b"GET / HTTP/1.1", HOST, b"no colon"]),
        (400, [b"GET / HTTP/1.1", HOST, b"nocolon"]),
        (400, [b"GET / HTTP/1.1", HOST, b": empty name"]),
        (400, [b"GET / HTTP/1.1", HOST, b"Name : blank before the colon"]),
        (400, [b"GET / HTTP/1.1", HOST, b"X: a", b" obsolete folding"]),
        (400, [b"GET / HTTP/1.1", HOST, b"X: a", b"\tobsolete: folding"]),
        (400, [b"GET / HTTP/1.1", HOST, b"X: a\0"]),
        (400, [b"GET / HTTP/1.1", HOST, b"X: a\x7f"]),
        (400, [b"GET / HTTP/1.1", HOST, b"X: a\nY: b"]),
        (400, [b"GET / HTTP/1.1", HOST, b"X: a\rY: b"]),
        (400, [b"POST / HTTP/1.1", HOST, b"Content-Length: -1"]),
        (400, [b"POST / HTTP/1.1", HOST, b"Content-Length: +1"]),
        (400, [b"POST / HTTP/1.1", HOST, b"Content-Length: 1_0"]),
        (400, [b"POST / HTTP/1.1", HOST, b"Content-Length: "]),
        (400, [b"POST / HTTP/1.1", HOST, b"Content-Length: 5, 5"]),
        (400, [b"POST / HTTP/1.1", HOST, b"Content-Length: 5", b"Content-Length: 6"]),
        (400, [b"POST / HTTP/1.1", HOST, b"Content-Length: " + b"9" * 16]),
        (400, [b"POST / HTTP/1.1", HOST, b"Content-Length: 5", b"Transfer-Encoding: chunked"]),
        (400, [b"POST / HTTP/1.0", b"Transfer-Encoding: chunked"]),
        (405, [b"CONNECT a.example:443 HTTP/1.1", HOST]),
        (417, [b"POST / HTTP/1.1", HOST, b"Expect: a miracle"]),
        (431, [b"GET / HTTP/1.1", HOST, *[b"X: y"] * 64]),
        (501, [b"POST / HTTP/1.1", HOST, b"Transfer-Encoding: gzip"]),
        (501, [b"POST / HTTP/1.1", HOST, b"Transfer-Encoding: gzip, chunked"]),
        (501, [b"POST / HTTP/1.1", HOST, *[b"Transfer-Encoding: chunked"] * 2]),
        (505, [b"GET / HTTP/1.2", HOST]),
        (505, [b"PRI * HTTP/2.0"]),
    ],
    ids=repr,
)
def test_refused_heads(status: int, lines: list[bytes]) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_head(head(*lines), 64)
    assert caught.value.status == status


def test_64_fields_are_accepted() -> None:
    assert len(parse_head(head(b"GET / HTTP/1.1", HOST, *[b"X: y"] * 63), 64).request.headers) == 64
