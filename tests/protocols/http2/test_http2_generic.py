"""Uses that every server must accept: the 44 generic cases of h2spec, by its section numbers.

With `test_http2_conformance.py` (its 95 cases of RFC 9113 and 8 of RFC 7541, by section of the
standard) and `test_http2_flow_control.py` (§6.9) this is all of h2spec.
"""

import struct

import pytest

from protocols.http.message import HttpRequest
from tests.protocols.http2.raw_client import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GET,
    GOAWAY,
    HEAD,
    HEADERS,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITIZED,
    PRIORITY,
    SETTINGS,
    Frame,
    RawClient,
    frame,
    rst_stream,
    settings,
    window_update,
)

# :method GET, :scheme https, :path /, and :authority as a literal without indexing.
REQUEST = b"\x82\x87\x84\x01\x09a.example"
POST_REQUEST = b"\x83" + REQUEST[1:]


def priority(stream: int, weight: int, *, on: int = 0, exclusive: bool = False) -> bytes:
    payload = struct.pack(">LB", on | (0x8000_0000 if exclusive else 0), weight - 1)
    return frame(PRIORITY, 0, stream, payload)


def get(stream: int, block: bytes = REQUEST) -> bytes:
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, block)


def post(stream: int) -> bytes:
    return frame(HEADERS, END_HEADERS, stream, POST_REQUEST)


def delivered(client: RawClient, *octets: bytes) -> HttpRequest:
    """The one request that these octets bring; it is answered, and the connection lives."""
    events = client.send(*octets)
    [(stream, request)] = events
    assert request is not None
    assert client.answer(client.respond(stream), stream)[0] == 200
    client.expect_life()
    return request


@pytest.fixture
def client() -> RawClient:
    return RawClient()


def test_1_the_preface_is_answered_by_settings() -> None:
    client = RawClient(start=False)
    client.send(PREFACE + settings())
    kinds = [(one.kind, one.flags) for one in client.frames()]
    assert kinds == [(SETTINGS, 0), (SETTINGS, ACK)]


@pytest.mark.parametrize(
    "octets",
    [
        priority(1, 256) + get(1),  # 2.1 PRIORITY on an idle stream
        get(1) + window_update(1, 100),  # 2.2 to 2.4: half-closed (remote)
        get(1) + priority(1, 256),
        priority(1, 1) + get(1),  # 3.3.1 to 3.3.4
        priority(1, 256, on=3) + get(1),
        priority(1, 256, on=3, exclusive=True) + get(1),
        priority(5, 256) + get(3),  # 3.3.5: PRIORITY does not pass over a lower stream
        window_update(0, 1) + get(1),  # 3.9.1
        frame(HEADERS, END_HEADERS | END_STREAM, 1, REQUEST),  # 3.2.1
        frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\x06" + REQUEST + bytes(6)),
        frame(
            HEADERS,
            END_HEADERS | END_STREAM | PRIORITIZED,
            1,
            struct.pack(">LB", 0, 255) + REQUEST,
        ),
        frame(HEADERS, END_STREAM, 1, REQUEST[:4])  # 3.10.1 and 3.10.2
        + frame(CONTINUATION, END_HEADERS, 1, REQUEST[4:]),
        frame(HEADERS, END_STREAM, 1, REQUEST[:1])
        + frame(CONTINUATION, 0, 1, REQUEST[1:6])
        + frame(CONTINUATION, 0, 1, REQUEST[6:8])
        + frame(CONTINUATION, END_HEADERS, 1, REQUEST[8:]),
        settings(streams=100) + get(1),  # 3.5
    ],
)
def test_2_and_3_a_request_among_other_frames_is_answered(client: RawClient, octets: bytes) -> None:
    events = client.send(octets)
    [(stream, request)] = events
    assert request is not None
    assert (request.method, request.authority, request.target) == (b"GET", b"a.example", b"/")
    assert client.answer(client.respond(stream), stream)[0] == 200
    client.expect_life()


def test_2_3_rst_stream_ends_a_half_closed_stream(client: RawClient) -> None:
    client.request(1)
    assert client.send(rst_stream(1)) == [(1, None)]
    client.expect_life()


def test_2_5_priority_on_a_closed_stream(client: RawClient) -> None:
    delivered(client, get(1))
    client.send(priority(1, 256))
    client.expect_life()


@pytest.mark.parametrize(
    ("octets", "body"),
    [
        (frame(DATA, END_STREAM, 1, b"test"), b"test"),  # 3.1.1
        (frame(DATA, 0, 1, b"te") + frame(DATA, END_STREAM, 1, b"st"), b"test"),
        (frame(DATA, END_STREAM | PADDED, 1, b"\x06test" + bytes(6)), b"test"),
    ],
)
def test_3_1_data(client: RawClient, octets: bytes, body: bytes) -> None:
    assert delivered(client, post(1) + octets).body == body


def test_3_4_rst_stream_of_an_open_stream(client: RawClient) -> None:
    client.send(post(1), rst_stream(1))
    client.expect_life()


def test_3_7_ping(client: RawClient) -> None:
    client.send(frame(PING, 0, 0, b"h2spec\0\0"))
    assert client.frames() == [Frame(PING, ACK, 0, b"h2spec\0\0")]


def test_3_8_goaway_ends_the_connection_without_an_error(client: RawClient) -> None:
    client.send(frame(GOAWAY, 0, 0, bytes(8)))
    assert client.server.closed
    assert client.server.counters == {}


def test_3_9_2_window_update_on_a_stream(client: RawClient) -> None:
    client.request(1)
    client.send(window_update(1, 1))
    assert client.answer(client.respond(1), 1)[0] == 200


@pytest.mark.parametrize(("fields", "body"), [(GET, b"hello"), (HEAD, b"")])
def test_4_get_and_head(
    client: RawClient, fields: tuple[tuple[str, str], ...], body: bytes
) -> None:
    client.request(1, fields)
    assert client.answer(client.respond(1), 1)[2] == body


def test_4_post_and_post_with_trailers(client: RawClient) -> None:
    assert delivered(client, post(1), frame(DATA, END_STREAM, 1, b"test")).body == b"test"
    trailers = client.headers(3, (("x-test", "ok"),))
    client.send(client.headers(3, POST, end=False))
    assert delivered(client, frame(DATA, 0, 3, b"test"), trailers).body == b"test"


PLAIN_NAME, CODED_NAME = b"\x06x-test", b"\x85\xf2\xb2\x4a\x84\xff"
PLAIN_VALUE, CODED_VALUE = b"\x03abc", b"\x82\x1c\x64"


@pytest.mark.parametrize("value", [PLAIN_VALUE, CODED_VALUE])
@pytest.mark.parametrize(
    ("start", "name"),
    [
        # RFC 7541 §6.2.1, §6.2.2 and §6.2.3, with an indexed name and with a new one.
        (b"\x7a", b"user-agent"),
        (b"\x40" + PLAIN_NAME, b"x-test"),
        (b"\x40" + CODED_NAME, b"x-test"),
        (b"\x0f\x2b", b"user-agent"),
        (b"\x00" + PLAIN_NAME, b"x-test"),
        (b"\x00" + CODED_NAME, b"x-test"),
        (b"\x1f\x2b", b"user-agent"),
        (b"\x10" + PLAIN_NAME, b"x-test"),
        (b"\x10" + CODED_NAME, b"x-test"),
    ],
)
def test_5_every_representation_of_a_field(
    client: RawClient, start: bytes, name: bytes, value: bytes
) -> None:
    assert delivered(client, get(1, REQUEST + start + value)).headers == [(name, b"abc")]


def test_5_an_indexed_field(client: RawClient) -> None:
    headers = delivered(client, get(1, REQUEST + b"\x90")).headers
    assert headers == [(b"accept-encoding", b"gzip, deflate")]


@pytest.mark.parametrize("updates", [b"\x20", b"\x3f\xe1\x1f", b"\x20\x3f\xe1\x1f"])
def test_5_size_updates_of_the_dynamic_table(client: RawClient, updates: bytes) -> None:
    delivered(client, get(1, updates + REQUEST))
