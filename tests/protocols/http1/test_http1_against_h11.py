"""The HTTP/1.1 machine against h11: what both accept means the same, cut anywhere.

We are stricter by intention: bare LF as a line end, obsolete folding, lists in Content-Length,
a blank before the colon. h11 is asked only about input outside of that.
"""

import itertools

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.http.limits import HttpLimits
from protocols.http.message import HttpResponse
from protocols.http1.connection import Http1Connection
from tests.protocols.http1.http1_client import Http1Client, read_answers

TOKENS = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_!#", min_size=1, max_size=12)
VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40
).map(lambda text: text.strip(" \t"))
FRAMING = ("host", "connection", "content-length", "transfer-encoding", "expect", "upgrade")
FIELDS = st.lists(
    st.tuples(TOKENS.filter(lambda name: name.lower() not in FRAMING), VALUES), max_size=6
)
TARGETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40)
BODIES = st.lists(st.binary(min_size=1, max_size=300), max_size=4)
REQUESTS = st.lists(
    st.tuples(st.sampled_from(["GET", "POST", "PUT"]), TARGETS, FIELDS, BODIES, st.booleans()),
    min_size=1,
    max_size=4,
)
CUTS = st.lists(st.integers(0, 1 << 16), max_size=5)


def parts(data: bytes, cuts: list[int]) -> list[bytes]:
    bounds = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(bounds)]


@settings(max_examples=80, deadline=None)
@given(REQUESTS, CUTS)
def test_requests_written_by_h11_are_read_as_meant(
    requests: list[tuple[str, str, list[tuple[str, str]], list[bytes], bool]], cuts: list[int]
) -> None:
    data = b""
    for method, target, fields, body, chunked in requests:
        writer = h11.Connection(h11.CLIENT)
        framing = (
            ("Transfer-Encoding", "chunked")
            if chunked
            else ("Content-Length", str(sum(map(len, body))))
        )
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in fields]
        headers = [(b"Host", b"a.example"), *encoded, tuple(f.encode() for f in framing)]
        data += writer.send(h11.Request(method=method, target="/" + target, headers=headers)) or b""
        for chunk in body:
            data += writer.send(h11.Data(data=chunk)) or b""
        data += writer.send(h11.EndOfMessage()) or b""
    client = Http1Client()
    for part in parts(data, cuts):
        client.send(part)
    assert len(client.events) == len(requests)
    for (_, request), (method, target, fields, body, _) in zip(
        client.events, requests, strict=True
    ):
        assert request is not None
        assert (request.method, request.target) == (method.encode(), b"/" + target.encode())
        assert [field for field in request.headers if field[0].decode() not in FRAMING] == [
            (name.lower().encode(), value.encode("latin-1")) for name, value in fields
        ]
        assert request.body == b"".join(body)
    assert client.server.counters == {}


H11Request = tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]


def read_with_h11(data: bytes) -> list[H11Request]:
    """The complete requests in `data`, up to the first that h11 refuses or cannot complete."""
    requests: list[H11Request] = []
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(data)
    try:
        while isinstance(event := reader.next_event(), h11.Request):
            body = b""
            while isinstance(part := reader.next_event(), h11.Data):
                body += part.data
            if not isinstance(part, h11.EndOfMessage):
                break
            requests.append((event.method, event.target, list(event.headers), body))
            if reader.states[h11.CLIENT] is not h11.DONE:
                break
            reader.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            reader.send(h11.EndOfMessage())
            reader.start_next_cycle()
    except h11.RemoteProtocolError:
        pass
    return requests


MUTATIONS = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from(list(b"\t :;,/0159afGHx\x00\x7f\xff-\r"))),
    max_size=2,
)
SAMPLES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n",
        b"POST /p?q HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
        b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        b"GET /1 HTTP/1.0\r\nAccept: */*\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ]
)


@settings(max_examples=300, deadline=None)
@given(SAMPLES, MUTATIONS, CUTS)
def test_whatever_we_accept_h11_accepts_with_the_same_meaning(
    sample: bytes, mutations: list[tuple[int, int]], cuts: list[int]
) -> None:
    data = bytearray(sample)
    for at, octet in mutations:
        data[at % len(data)] = octet
    client = Http1Client()
    for part in parts(bytes(data), cuts):
        client.send(part)
    ours = [request for _, request in client.events if request is not None]
    theirs = read_with_h11(bytes(data))
    assert len(ours) <= len(theirs)
    for mine, (method, target, headers, body) in zip(ours, theirs, strict=False):
        assert (mine.method, mine.headers) == (method, headers)
        assert target.endswith(mine.target)
        assert mine.body == body


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.builds(
            HttpResponse,
            st.sampled_from([200, 204, 302, 304, 403, 429, 503, 511]),
            st.sampled_from([b"", b"application/json"]),
            st.binary(max_size=300),
            st.sampled_from([(), ((b"set-cookie", b"a=b"), (b"retry-after", b"5"))]),
        ),
        min_size=1,
        max_size=5,
    ),
    st.permutations(range(5)),
)
def test_answers_are_read_by_h11_as_meant(answers: list[HttpResponse], order: list[int]) -> None:
    client = Http1Client()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * len(answers))
    data = b"".join(client.respond(i + 1, answers[i]) for i in order if i < len(answers))
    for read, meant in zip(read_answers(data, ("GET",) * len(answers)), answers, strict=True):
        assert read.status == meant.status
        assert read.body == (b"" if meant.status in (204, 304) else meant.body)
        assert read.fields.get("content-type", "") == meant.content_type.decode()
        assert read.fields.get("retry-after") == ("5" if meant.headers else None)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120), CUTS)
def test_garbage_is_answered_or_waits_but_never_raises(garbage: bytes, cuts: list[int]) -> None:
    server = Http1Connection(HttpLimits(), 0.0)
    for part in parts(garbage + b"\r\n\r\n", cuts):
        server.receive(part, 0.0)
    server.timed_out(100.0)
    data = server.data_to_send()
    assert not data or data.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    assert server.eof(0.0) == []
