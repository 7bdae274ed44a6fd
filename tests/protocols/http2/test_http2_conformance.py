"""What RFC 9113 demands of a server, section by section; numbers in brackets are those of h2spec.

Sections covered, with the number of cases that h2spec has for them (95 in all; 8 more of RFC 7541:
§2.3.3, §4.2, §5.2, §6.1, §6.3): §3.4 2, §4.1 3, §4.2 3, §4.3 3, §5.1 13, §5.1.1 2, §5.1.2 1,
§5.3.1 2, §5.4.1 2, §5.5 2, §6.1 3, §6.2 4, §6.3 2, §6.4 3, §6.5 3, §6.5.2 5, §6.5.3 2, §6.7 4,
§6.8 1, §6.9 3, §6.10 6, §7 2, §8.1 1, §8.1.1 2, §8.2.1 1, §8.2.2 2, §8.3 4, §8.3.1 7, §8.4 1.
§6.9.1 3 and §6.9.2 3 are in `test_http2_flow_control.py`, the 44 generic cases in
`test_http2_generic.py`. The priority cases of RFC 7540 §5.3.1 are decided here: priority is
deprecated (RFC 9113 §5.3.2), so a stream that depends on itself is ignored.
"""

import struct

import pytest

from tests.protocols.http2.raw_client import (
    ACK,
    COMPRESSION,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FLOW_CONTROL,
    FRAME_SIZE,
    GET,
    GOAWAY,
    HEAD,
    HEADERS,
    OK,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITIZED,
    PRIORITY,
    PROTOCOL,
    PUSH_PROMISE,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    Frame,
    RawClient,
    frame,
    rst_stream,
    settings,
    window_update,
)


@pytest.fixture
def client() -> RawClient:
    return RawClient()


# §3.4 (3.5) preface


def test_3_4_settings_is_the_first_frame_we_send() -> None:
    client = RawClient(start=False)
    assert client.frames()[0].kind == SETTINGS


def test_3_4_an_invalid_preface_ends_the_connection() -> None:
    client = RawClient(start=False)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.expect_connection_error(PROTOCOL)


def test_3_4_a_preface_that_goes_wrong_at_its_end() -> None:
    client = RawClient(start=False)
    client.send(PREFACE[:-2])
    client.send(b"xx" + settings())
    client.expect_connection_error(PROTOCOL)


@pytest.mark.parametrize(
    "first", [frame(PING, 0, 0, bytes(8)), frame(SETTINGS, ACK, 0), window_update(0, 1)]
)
def test_3_4_the_first_frame_must_be_settings(first: bytes) -> None:
    client = RawClient(start=False)
    client.send(PREFACE + first)
    client.expect_connection_error(PROTOCOL)


# §4.1 frame format


def test_4_1_an_unknown_frame_type_is_ignored(client: RawClient) -> None:
    client.send(frame(0x16, 0xFF, 0, b"whatever"), frame(0xFF, 0, 3, b""))
    client.expect_life()


def test_4_1_undefined_flags_are_ignored(client: RawClient) -> None:
    client.send(frame(PING, 0x16, 0, b"12345678"))
    assert client.frames() == [Frame(PING, ACK, 0, b"12345678")]


def test_4_1_the_reserved_bit_is_ignored(client: RawClient) -> None:
    client.send(frame(PING, 0, 0x8000_0000, b"12345678"))
    assert client.frames() == [Frame(PING, ACK, 0, b"12345678")]


# §4.2 frame size


def test_4_2_data_of_16384_octets_is_accepted(client: RawClient) -> None:
    client.send(client.headers(1, POST, end=False))
    [(stream, request)] = client.send(frame(DATA, END_STREAM, 1, b"x" * 16_384))
    assert stream == 1
    assert request is not None
    assert request.body == b"x" * 16_384


def test_4_2_oversized_data_is_an_error(client: RawClient) -> None:
    client.send(client.headers(1, POST, end=False), frame(DATA, END_STREAM, 1, b"x" * 16_385))
    client.expect_connection_error(FRAME_SIZE)


def test_4_2_oversized_headers_are_an_error_as_soon_as_their_length_is_known(
    client: RawClient,
) -> None:
    client.send(frame(HEADERS, END_HEADERS, 1, b"\x82" * 16_385)[:9])
    client.expect_connection_error(FRAME_SIZE)


# §4.3 header compression


def test_4_3_a_broken_header_block(client: RawClient) -> None:
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x40\x85\xf2"))
    client.expect_connection_error(COMPRESSION)


@pytest.mark.parametrize(
    "intruder",
    [
        frame(PRIORITY, 0, 1, bytes(5)),
        frame(HEADERS, END_HEADERS | END_STREAM, 3, b"\x82"),
        frame(PING, 0, 0, bytes(8)),
        frame(DATA, 0, 1, b"x"),
        frame(0x16, 0, 0, bytes(8)),
        frame(CONTINUATION, END_HEADERS, 3, b"\x82"),
        frame(CONTINUATION, END_HEADERS, 0, b"\x82"),
    ],
    ids=["priority", "headers", "ping", "data", "unknown", "other_stream", "stream_0"],
)
def test_4_3_nothing_comes_between_headers_and_continuation(
    client: RawClient, intruder: bytes
) -> None:
    """Also 5.5 (2), 6.2 (1, 2) and 6.10 (2, 3)."""
    client.send(frame(HEADERS, END_STREAM, 1, client.block(GET)), intruder)
    client.expect_connection_error(PROTOCOL)


# §5.1 stream states


@pytest.mark.parametrize(
    "early",
    [
        frame(DATA, END_STREAM, 1, b"x"),
        rst_stream(1),
        window_update(1, 100),
        frame(CONTINUATION, END_HEADERS, 1, b"\x82"),
    ],
    ids=["data", "rst_stream", "window_update", "continuation"],
)
def test_5_1_an_idle_stream_takes_only_headers_and_priority(
    client: RawClient, early: bytes
) -> None:
    client.send(early)
    client.expect_connection_error(PROTOCOL)


def test_5_1_half_closed_remote_refuses_data(client: RawClient) -> None:
    client.request(1)
    client.send(frame(DATA, END_STREAM, 1, b"x"))
    client.expect_stream_error(1, STREAM_CLOSED)
    assert client.events[-1] == (1, None)


def test_5_1_half_closed_remote_refuses_headers(client: RawClient) -> None:
    client.request(1)
    client.send(client.headers(1))
    client.expect_stream_error(1, STREAM_CLOSED)


def test_5_1_half_closed_remote_refuses_continuation(client: RawClient) -> None:
    client.request(1)
    client.send(frame(CONTINUATION, END_HEADERS, 1, b"\x82"))
    client.expect_connection_error(PROTOCOL, STREAM_CLOSED)


@pytest.mark.parametrize("kind", ["data", "headers"])
def test_5_1_a_stream_that_the_peer_reset_is_closed(client: RawClient, kind: str) -> None:
    client.request(1)
    assert client.send(rst_stream(1)) == [(1, None)]
    client.send(frame(DATA, END_STREAM, 1, b"x") if kind == "data" else client.headers(1))
    client.expect_stream_error(1, STREAM_CLOSED)


def test_5_1_a_stream_that_the_peer_reset_takes_no_continuation(client: RawClient) -> None:
    client.request(1)
    client.send(rst_stream(1), frame(CONTINUATION, END_HEADERS, 1, b"\x82"))
    client.expect_connection_error(PROTOCOL, STREAM_CLOSED)


def test_5_1_a_stream_closed_by_end_stream_refuses_data(client: RawClient) -> None:
    client.request(1)
    client.respond(1)
    client.send(frame(DATA, END_STREAM, 1, b"x"))
    client.expect_stream_error(1, STREAM_CLOSED)


def test_5_1_a_stream_closed_by_end_stream_refuses_headers(client: RawClient) -> None:
    client.request(1)
    client.respond(1)
    client.send(client.headers(1))
    client.expect_connection_error(STREAM_CLOSED)


def test_5_1_a_stream_closed_by_end_stream_refuses_continuation(client: RawClient) -> None:
    client.request(1)
    client.respond(1)
    client.send(frame(CONTINUATION, END_HEADERS, 1, b"\x82"))
    client.expect_connection_error(PROTOCOL, STREAM_CLOSED)


def test_5_1_late_frames_on_a_closed_stream_are_harmless(client: RawClient) -> None:
    client.request(1)
    client.respond(1)
    client.send(window_update(1, 5), rst_stream(1), frame(PRIORITY, 0, 1, bytes(5)))
    client.expect_life()


def test_5_1_frames_for_a_stream_that_we_reset_are_ignored(client: RawClient) -> None:
    client.send(client.headers(1, (*POST, ("connection", "x")), end=False))
    client.expect_stream_error(1, PROTOCOL)
    client.send(frame(DATA, 0, 1, b"x"), client.headers(1), window_update(1, 9), rst_stream(1))
    assert client.frames() == []
    assert not client.server.closed


def test_5_1_1_an_even_identifier(client: RawClient) -> None:
    client.send(client.headers(2))
    client.expect_connection_error(PROTOCOL)


def test_5_1_1_an_identifier_lower_than_a_previous_one(client: RawClient) -> None:
    client.request(5)
    client.send(client.headers(3))
    client.expect_connection_error(PROTOCOL)


def test_5_1_1_an_identifier_in_a_gap_between_used_ones(client: RawClient) -> None:
    client.request(1)
    client.request(3)
    client.request(9)
    client.request(11)
    client.send(client.headers(7))
    client.expect_connection_error(PROTOCOL)


def test_5_1_2_more_streams_than_advertised(client: RawClient) -> None:
    for stream in range(1, 65, 2):
        client.request(stream)
    client.send(client.headers(65))
    client.expect_stream_error(65, REFUSED_STREAM)
    # The block was decoded all the same, so the next one is understood.
    client.respond(1)
    assert client.request(67).method == b"GET"


def test_5_3_1_a_stream_that_depends_on_itself_is_ignored(client: RawClient) -> None:
    payload = struct.pack(">LB", 1, 255) + client.block(GET)
    [(stream, _)] = client.send(
        frame(HEADERS, END_HEADERS | END_STREAM | PRIORITIZED, 1, payload),
        frame(PRIORITY, 0, 3, struct.pack(">LB", 3, 255)),
    )
    assert stream == 1
    client.expect_life()


def test_5_4_1_goaway_comes_before_the_end_and_names_the_last_stream(client: RawClient) -> None:
    client.request(1)
    client.request(3)
    assert client.send(frame(PING, 0, 0, b"short")) == [(1, None), (3, None)]
    [goaway] = client.frames()
    assert goaway == Frame(GOAWAY, 0, 0, struct.pack(">LL", 3, FRAME_SIZE))
    assert client.server.closed


# §6.1 DATA


def test_6_1_data_on_stream_0(client: RawClient) -> None:
    client.send(frame(DATA, END_STREAM, 0, b"x"))
    client.expect_connection_error(PROTOCOL)


def test_6_1_padding_is_removed(client: RawClient) -> None:
    client.send(client.headers(1, POST, end=False))
    [(_, request)] = client.send(frame(DATA, END_STREAM | PADDED, 1, b"\x04body\0\0\0\0"))
    assert request is not None
    assert request.body == b"body"


@pytest.mark.parametrize("payload", [b"\x05body", b"\xff"])
def test_6_1_a_pad_length_beyond_the_payload(client: RawClient, payload: bytes) -> None:
    client.send(client.headers(1, POST, end=False), frame(DATA, PADDED | END_STREAM, 1, payload))
    client.expect_connection_error(PROTOCOL)


def test_6_1_padded_without_a_pad_length(client: RawClient) -> None:
    client.send(client.headers(1, POST, end=False), frame(DATA, PADDED | END_STREAM, 1))
    client.expect_connection_error(FRAME_SIZE)


# §6.2 HEADERS


def test_6_2_headers_on_stream_0(client: RawClient) -> None:
    client.send(client.headers(0))
    client.expect_connection_error(PROTOCOL)


def test_6_2_padding_and_priority_are_removed(client: RawClient) -> None:
    payload = b"\x03" + bytes(5) + client.block(GET) + bytes(3)
    flags = END_HEADERS | END_STREAM | PADDED | PRIORITIZED
    [(_, request)] = client.send(frame(HEADERS, flags, 1, payload))
    assert request is not None
    assert request.target == b"/"


def test_6_2_a_pad_length_beyond_the_payload(client: RawClient) -> None:
    flags = END_HEADERS | END_STREAM | PADDED
    client.send(frame(HEADERS, flags, 1, b"\xff" + client.block(GET)))
    client.expect_connection_error(PROTOCOL)


def test_6_2_priority_cut_short(client: RawClient) -> None:
    client.send(frame(HEADERS, END_HEADERS | END_STREAM | PRIORITIZED, 1, b"\x82"))
    client.expect_connection_error(FRAME_SIZE)


# §6.3 PRIORITY


def test_6_3_priority_on_stream_0(client: RawClient) -> None:
    client.send(frame(PRIORITY, 0, 0, bytes(5)))
    client.expect_connection_error(PROTOCOL)


def test_6_3_priority_of_another_length_on_an_open_stream(client: RawClient) -> None:
    client.request(1)
    client.send(frame(PRIORITY, 0, 1, bytes(4)))
    client.expect_stream_error(1, FRAME_SIZE)


def test_6_3_priority_of_another_length_on_an_idle_stream(client: RawClient) -> None:
    client.send(frame(PRIORITY, 0, 1, bytes(4)))
    client.expect_connection_error(FRAME_SIZE)


# §6.4 RST_STREAM


def test_6_4_rst_stream_on_stream_0(client: RawClient) -> None:
    client.send(rst_stream(0))
    client.expect_connection_error(PROTOCOL)


@pytest.mark.parametrize("length", [0, 3, 5])
def test_6_4_rst_stream_of_another_length(client: RawClient, length: int) -> None:
    client.request(1)
    client.send(frame(RST_STREAM, 0, 1, bytes(length)))
    client.expect_connection_error(FRAME_SIZE)


def test_6_4_nothing_is_sent_for_a_stream_that_was_reset(client: RawClient) -> None:
    client.request(1)
    assert client.send(rst_stream(1)) == [(1, None)]
    assert client.respond(1) == []


# §6.5 SETTINGS


def test_6_5_an_acknowledgement_with_payload(client: RawClient) -> None:
    client.send(frame(SETTINGS, ACK, 0, bytes(6)))
    client.expect_connection_error(FRAME_SIZE)


def test_6_5_settings_on_a_stream(client: RawClient) -> None:
    client.send(frame(SETTINGS, 0, 1))
    client.expect_connection_error(PROTOCOL)


def test_6_5_a_length_that_is_no_multiple_of_6(client: RawClient) -> None:
    client.send(frame(SETTINGS, 0, 0, bytes(7)))
    client.expect_connection_error(FRAME_SIZE)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (settings(push=2), PROTOCOL),
        (settings(window=1 << 31), FLOW_CONTROL),
        (settings(frame_size=16_383), PROTOCOL),
        (settings(frame_size=1 << 24), PROTOCOL),
    ],
    ids=["enable_push", "initial_window", "small_frames", "large_frames"],
)
def test_6_5_2_values_out_of_range(client: RawClient, payload: bytes, code: int) -> None:
    client.send(payload)
    client.expect_connection_error(code)


def test_6_5_2_values_in_range_and_unknown_ones_are_acknowledged(client: RawClient) -> None:
    client.send(settings(push=0, unknown=7, frame_size=(1 << 24) - 1, streams=0, list_size=0))
    assert client.frames() == [Frame(SETTINGS, ACK, 0, b"")]


def test_6_5_3_the_last_value_of_a_setting_wins(client: RawClient) -> None:
    twice = struct.pack(">HLHL", 4, 100, 4, 1)
    client.send(frame(SETTINGS, 0, 0, twice))
    assert client.frames() == [Frame(SETTINGS, ACK, 0, b"")]
    client.request(1)
    assert client.respond(1)[-1] == Frame(DATA, 0, 1, b"h")


def test_4_2_of_rfc_7541_a_lowered_table_size_is_acknowledged_in_the_next_block(
    client: RawClient,
) -> None:
    client.send(settings(table=0))
    client.frames()
    client.decoder.max_allowed_table_size = 0
    for stream in (1, 3):
        client.request(stream)
        assert client.answer(client.respond(stream), stream)[0] == 200


# §6.7 PING


def test_6_7_an_acknowledgement_is_not_answered(client: RawClient) -> None:
    client.send(frame(PING, ACK, 0, bytes(8)))
    assert client.frames() == []
    client.expect_life()


def test_6_7_ping_on_a_stream(client: RawClient) -> None:
    client.send(frame(PING, 0, 1, bytes(8)))
    client.expect_connection_error(PROTOCOL)


@pytest.mark.parametrize("length", [0, 7, 9])
def test_6_7_ping_of_another_length(client: RawClient, length: int) -> None:
    client.send(frame(PING, 0, 0, bytes(length)))
    client.expect_connection_error(FRAME_SIZE)


# §6.8 GOAWAY


def test_6_8_goaway_on_a_stream(client: RawClient) -> None:
    client.send(frame(GOAWAY, 0, 1, bytes(8)))
    client.expect_connection_error(PROTOCOL)


def test_6_8_goaway_too_short(client: RawClient) -> None:
    client.send(frame(GOAWAY, 0, 0, bytes(7)))
    client.expect_connection_error(FRAME_SIZE)


def test_6_8_after_their_goaway_what_is_open_is_answered_and_nothing_new_begun(
    client: RawClient,
) -> None:
    client.request(1)
    client.send(frame(GOAWAY, 0, 0, bytes(8) + b"debug"), client.headers(3))
    assert [(f.kind, f.stream, f.code) for f in client.frames()] == [
        (RST_STREAM, 3, REFUSED_STREAM)
    ]
    assert not client.server.closed
    assert client.answer(client.respond(1), 1)[2] == b"hello"
    assert client.server.closed


def test_6_8_their_goaway_ends_an_idle_connection(client: RawClient) -> None:
    client.send(frame(GOAWAY, 0, 0, bytes(8)))
    assert client.server.closed
    assert client.frames() == []


# §6.9 WINDOW_UPDATE; more in test_http2_flow_control.py


def test_6_9_increment_0_on_the_connection(client: RawClient) -> None:
    client.send(window_update(0, 0))
    client.expect_connection_error(PROTOCOL)


def test_6_9_increment_0_on_a_stream(client: RawClient) -> None:
    client.request(1)
    client.send(window_update(1, 0))
    client.expect_stream_error(1, PROTOCOL)


@pytest.mark.parametrize("stream", [0, 1])
def test_6_9_window_update_of_another_length(client: RawClient, stream: int) -> None:
    client.request(1)
    client.send(frame(WINDOW_UPDATE, 0, stream, bytes(3)))
    client.expect_connection_error(FRAME_SIZE)


# §6.10 CONTINUATION


def test_6_10_several_continuation_frames_are_accepted(client: RawClient) -> None:
    block = client.block((*GET, ("x-a", "1"), ("x-b", "2")))
    [(_, request)] = client.send(
        frame(HEADERS, END_STREAM, 1, block[:3]),
        frame(CONTINUATION, 0, 1, block[3:7]),
        frame(CONTINUATION, 0, 1, b""),
        frame(CONTINUATION, END_HEADERS, 1, block[7:]),
    )
    assert request is not None
    assert request.headers == [(b"x-a", b"1"), (b"x-b", b"2")]


def test_6_10_continuation_after_end_headers_of_headers(client: RawClient) -> None:
    client.send(client.headers(1, end=False), frame(CONTINUATION, END_HEADERS, 1, b"\x82"))
    client.expect_connection_error(PROTOCOL)


def test_6_10_continuation_after_end_headers_of_continuation(client: RawClient) -> None:
    block = client.block(GET)
    client.send(
        frame(HEADERS, 0, 1, block[:2]),
        frame(CONTINUATION, END_HEADERS, 1, block[2:]),
        frame(CONTINUATION, END_HEADERS, 1, b"\x82"),
    )
    client.expect_connection_error(PROTOCOL)


def test_6_10_continuation_after_data(client: RawClient) -> None:
    client.send(
        client.headers(1, POST, end=False),
        frame(DATA, 0, 1, b"x"),
        frame(CONTINUATION, END_HEADERS, 1, b"\x82"),
    )
    client.expect_connection_error(PROTOCOL)


# §7 error codes


def test_7_unknown_error_codes_are_nothing_special(client: RawClient) -> None:
    client.request(1)
    client.request(3)
    assert client.send(rst_stream(1, 0xFF)) == [(1, None)]
    client.send(frame(GOAWAY, 0, 0, struct.pack(">LL", 0, 0xFF)))
    assert client.answer(client.respond(3), 3)[0] == 200


# §8.1 message exchange


def test_8_1_a_second_headers_without_end_stream(client: RawClient) -> None:
    client.send(client.headers(1, POST, end=False), client.headers(1, (("x", "y"),), end=False))
    client.expect_stream_error(1, PROTOCOL)


def test_8_1_post_with_trailers(client: RawClient) -> None:
    client.send(client.headers(1, POST, end=False), frame(DATA, 0, 1, b"body"))
    [(_, request)] = client.send(client.headers(1, (("x-checksum", "1"),)))
    assert request is not None
    assert request.body == b"body"
    assert request.headers == []
    assert client.answer(client.respond(1), 1)[0] == 200


def test_8_1_a_pseudo_header_field_in_trailers(client: RawClient) -> None:
    """8.1.2.1 (3)."""
    client.send(client.headers(1, POST, end=False), frame(DATA, 0, 1, b"body"))
    client.send(client.headers(1, ((":method", "GET"),)))
    client.expect_stream_error(1, PROTOCOL)


def test_8_1_get_head_and_post_are_answered(client: RawClient) -> None:
    client.request(1)
    assert client.answer(client.respond(1), 1) == (
        200,
        {"content-type": "text/plain", "content-length": "5"},
        b"hello",
    )
    client.request(3, HEAD)
    assert client.answer(client.respond(3), 3)[1:] == (
        {"content-type": "text/plain", "content-length": "5"},
        b"",
    )
    client.request(5, POST)
    assert client.answer(client.respond(5, OK), 5)[2] == b"hello"


@pytest.mark.parametrize(
    "fields",
    [
        (*GET, ("X-Test", "ok")),
        (*GET, ("", "ok")),
        (*GET, ("a:b", "ok")),
        (*GET, ("a b", "ok")),
        (*GET, ("a\x7f", "ok")),
        (*GET, ("x", "a\nb")),
        (*GET, ("x", "a\rb")),
        (*GET, ("x", "a\0b")),
        (*GET, ("x", " a")),
        (*GET, ("x", "a\t")),
        (*GET, (":test", "ok")),
        ((":test", "ok"), *GET),
        (*GET, (":status", "200")),
        ((":status", "200"), *GET),
        (*GET[:3], ("x", "y"), GET[3]),
        (*GET, ("connection", "keep-alive")),
        (*GET, ("proxy-connection", "keep-alive")),
        (*GET, ("keep-alive", "1")),
        (*GET, ("transfer-encoding", "chunked")),
        (*GET, ("upgrade", "h2c")),
        (*GET, ("te", "trailers, deflate")),
        (*GET[:3], (":path", "")),
        GET[1:],
        (GET[0], *GET[2:]),
        GET[:3],
        (GET[0], *GET),
        (*GET, GET[1]),
        (*GET, GET[3]),
        (*GET, GET[2]),
        ((":method", ""), *GET[1:]),
        ((":method", "G T"), *GET[1:]),
    ],
    ids=repr,
)
def test_8_2_and_8_3_malformed_requests(
    client: RawClient, fields: tuple[tuple[str, str], ...]
) -> None:
    """8.1.2, 8.1.2.1, 8.1.2.2 and 8.1.2.3."""
    client.send(client.headers(1, fields))
    assert client.events == []
    client.expect_stream_error(1, PROTOCOL)


@pytest.mark.parametrize("length", ["1", "9", "-1", "+4", "four", "4, 4", "", "9" * 16])
def test_8_1_1_content_length_differs_from_data(client: RawClient, length: str) -> None:
    """8.1.2.6."""
    fields = (*POST, ("content-length", length))
    client.send(client.headers(1, fields, end=False), frame(DATA, 0, 1, b"te"))
    client.send(frame(DATA, END_STREAM, 1, b"st"))
    assert client.events == []
    client.expect_stream_error(1, PROTOCOL)


@pytest.mark.parametrize("fields", [(("content-length", "4"),), (("content-length", "4"),) * 2])
def test_8_1_1_content_length_equals_the_sum(
    client: RawClient, fields: tuple[tuple[str, str], ...]
) -> None:
    client.send(client.headers(1, (*POST, *fields), end=False), frame(DATA, 0, 1, b"te"))
    [(_, request)] = client.send(frame(DATA, END_STREAM, 1, b"st"))
    assert request is not None
    assert request.body == b"test"


def test_8_1_1_content_length_without_data(client: RawClient) -> None:
    client.send(client.headers(1, (*POST, ("content-length", "4"))))
    client.expect_stream_error(1, PROTOCOL)


def test_8_1_1_two_different_content_lengths(client: RawClient) -> None:
    fields = (*POST, ("content-length", "4"), ("content-length", "5"))
    client.send(client.headers(1, fields, end=False))
    client.expect_stream_error(1, PROTOCOL)


def test_8_2_3_several_cookie_fields_stay_as_sent(client: RawClient) -> None:
    request = client.request(1, (*GET, ("cookie", "a=1"), ("te", "trailers"), ("cookie", "b=2")))
    assert request.headers == [(b"cookie", b"a=1"), (b"te", b"trailers"), (b"cookie", b"b=2")]


def test_8_3_1_host_stands_in_for_authority(client: RawClient) -> None:
    request = client.request(1, (GET[0], GET[1], GET[3], ("host", "b.example")))
    assert request.authority == b"b.example"


@pytest.mark.parametrize("host", ["A.Example", "a.example:443"])
def test_8_3_1_host_that_agrees_with_authority(client: RawClient, host: str) -> None:
    assert client.request(1, (*GET, ("host", host))).authority == b"a.example"


def test_8_3_1_a_request_without_authority_is_for_the_name_of_the_connection(
    client: RawClient,
) -> None:
    assert client.request(1, (GET[0], GET[1], GET[3])).authority == b""


@pytest.mark.parametrize(
    "fields",
    [
        (GET[0], GET[1], GET[3], (":authority", "")),
        (GET[0], GET[1], GET[3], ("host", "")),
        (GET[0], GET[1], GET[3], (":authority", ""), ("host", "a.example")),
    ],
)
def test_8_3_1_an_empty_host_is_answered_400(
    client: RawClient, fields: tuple[tuple[str, str], ...]
) -> None:
    client.send(client.headers(1, fields))
    assert client.events == []
    assert client.answer(client.frames(), 1)[0] == 400


@pytest.mark.parametrize(
    "hosts",
    [
        (("host", "b.example"),),
        (("host", "a.example:8443"),),
        (("host", "a.example"), ("host", "a.example")),
    ],
)
def test_8_3_1_host_that_contradicts_authority_is_answered_400(
    client: RawClient, hosts: tuple[tuple[str, str], ...]
) -> None:
    client.send(client.headers(1, (*GET, *hosts)))
    assert client.events == []
    assert client.answer(client.frames(), 1)[0] == 400
    assert not client.server.closed


def test_8_4_push_promise_from_the_client(client: RawClient) -> None:
    client.send(frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">L", 2) + client.block(GET)))
    client.expect_connection_error(PROTOCOL)


def test_8_5_connect_is_answered_405(client: RawClient) -> None:
    client.send(client.headers(1, ((":method", "CONNECT"), (":authority", "a:1")), end=False))
    frames = client.frames()
    assert client.answer(frames, 1)[0] == 405
    assert (frames[-1].kind, frames[-1].code) == (RST_STREAM, 0)


# RFC 7541


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (b"\xff\x00", "2.3.3: indexed, beyond the tables"),
        (b"\x7f\x0f\x01x", "2.3.3: literal name beyond the tables"),
        (b"\x0f\xff\xff\xff\xff\x7f\x01x", "5.1: integer too long"),
        (b"\x82\x84\x87\x20", "4.2: size update at the end"),
        (b"\x20\x20\x20\x82", "4.2: three size updates"),
        (b"\x3f\xe2\x1f\x82", "6.3: size above SETTINGS_HEADER_TABLE_SIZE"),
        (b"\x80", "6.1: index 0"),
        (b"\x00\x01x\x82\xff\xff", "5.2: EOS-like padding longer than 7 bits"),
        (b"\x00\x01x\x81\x00", "5.2: padding of zeros"),
        (b"\x00\x01x\x84\xff\xff\xff\xff", "5.2: EOS in a string"),
        (b"\x00\x05abc", "5.2: string longer than the block"),
        (b"\x00\x01x\x05abc", "5.2: value longer than the block"),
        (b"\x00\x01", "truncated"),
        (b"\x3f", "truncated size update"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_rfc_7541_errors_end_the_connection(client: RawClient, block: bytes, why: str) -> None:
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
    client.expect_connection_error(COMPRESSION)


@pytest.mark.parametrize("update", [b"\x20", b"\x20\x3f\xe1\x1f", b"\x3f\xe1\x1f"])
def test_rfc_7541_4_2_size_updates_at_the_start_are_accepted(
    client: RawClient, update: bytes
) -> None:
    block = update + b"\x82\x84\x87\x01\x01a"
    [(_, request)] = client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
    assert request is not None
    assert request.authority == b"a"
