"""Every limit of one connection, each attack bounded, each timer.

Source: RFC 9113 §10.5; the numbers are ours.
"""

import math

import pytest

from protocols.http.limits import HttpLimits
from protocols.http.message import HttpResponse
from tests.protocols.http2.raw_client import (
    ACK,
    CALM,
    CANCEL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GET,
    GOAWAY,
    HEAD,
    HEADERS,
    NO_ERROR,
    OK,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    SETTINGS_TIMEOUT,
    STREAM_CLOSED,
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


# Floods


@pytest.mark.parametrize(
    ("flood", "counter"),
    [
        (frame(PING, 0, 0, bytes(8)), "ping"),
        (frame(PING, ACK, 0, bytes(8)), "ping"),
        (settings(), "settings"),
        (frame(SETTINGS, ACK, 0), "settings"),
        (frame(PRIORITY, 0, 3, bytes(5)), "priority"),
        (window_update(0, 1), "window_update"),
        (window_update(1, 1), "window_update"),
        (frame(0x20, 0, 0), "unknown_frame"),
        (frame(DATA, 0, 3), "empty_data"),
        (frame(DATA, PADDED, 3, b"\x01\x00"), "empty_data"),
    ],
)
def test_a_flood_of_frames_that_carry_nothing_ends_the_connection(
    client: RawClient, flood: bytes, counter: str
) -> None:
    client.request(1)
    client.send(client.headers(3, POST, end=False))
    for _ in range(45):
        client.send(flood)
    assert not client.server.closed
    for _ in range(20):
        client.send(flood)
    client.expect_connection_error(CALM)
    assert client.server.counters == {counter: 1, "abuse": 1}
    assert client.events == [(1, client.events[0][1]), (1, None)]


def test_what_comes_slowly_is_no_flood(client: RawClient) -> None:
    for _ in range(200):
        client.now += 0.1
        client.send(frame(PING, 0, 0, bytes(8)))
        client.server.data_to_send()
    client.expect_life()


def test_window_updates_for_what_we_sent_are_no_flood(client: RawClient) -> None:
    for stream in range(1, 401, 2):
        client.request(stream)
        client.respond(stream)
        client.send(window_update(0, 5), window_update(stream, 5))
    client.expect_life()


def test_rapid_reset_is_bounded(client: RawClient) -> None:
    """CVE-2023-44487."""
    streams = range(1, 2_001, 2)
    for stream in streams:
        client.send(client.headers(stream), rst_stream(stream))
    client.expect_connection_error(CALM)
    delivered = [stream for stream, request in client.events if request is not None]
    assert len(delivered) == 21
    assert [stream for stream, request in client.events if request is None] == delivered


def test_making_us_reset_streams_is_bounded(client: RawClient) -> None:
    """CVE-2025-8671: the peer provokes our RST_STREAM instead of sending its own."""
    for stream in range(1, 2_001, 2):
        client.send(client.headers(stream), window_update(stream, 0))
    client.expect_connection_error(CALM)
    assert len(client.events) == 42


def test_malformed_requests_are_bounded(client: RawClient) -> None:
    for stream in range(1, 2_001, 2):
        client.send(client.headers(stream, (*GET, ("connection", "x"))))
    client.expect_connection_error(CALM)
    assert client.server.counters["malformed_request"] == 21


def test_a_settings_frame_with_thousands_of_parameters_is_refused(client: RawClient) -> None:
    client.send(frame(SETTINGS, 0, 0, (b"\0\4" + bytes(4)) * 2_000))
    client.expect_connection_error(CALM)


# Header blocks


@pytest.mark.parametrize("part", [b"", b"\x00\x01a\x01b" * 80])
def test_a_flood_of_continuation_frames_is_bounded(client: RawClient, part: bytes) -> None:
    """CVE-2024-27316."""
    client.send(frame(HEADERS, END_STREAM, 1, client.block(GET)))
    for _ in range(8):
        client.send(frame(CONTINUATION, 0, 1, part))
    assert not client.server.closed
    client.send(frame(CONTINUATION, 0, 1, part))
    client.expect_connection_error(CALM)


def test_a_header_block_above_the_limit_is_refused_before_it_is_complete(
    client: RawClient,
) -> None:
    client.send(
        frame(HEADERS, END_STREAM, 1, client.block(GET)),
        frame(CONTINUATION, 0, 1, bytes(16_384)),
    )
    client.expect_connection_error(CALM)
    assert "header_block" in client.server.counters


def test_65_fields_are_answered_431(client: RawClient) -> None:
    sixty = tuple((f"x-{i}", "v") for i in range(60))
    client.request(1, GET + sixty)
    client.send(client.headers(3, (*GET, *sixty, ("x", "y"))))
    assert client.answer(client.frames(), 3)[0] == 431
    assert client.server.counters == {"status_431": 1}
    # The tables agree all the same.
    assert client.request(5, GET + sixty[:2]).headers == [(b"x-0", b"v"), (b"x-1", b"v")]


def test_a_bomb_of_references_to_one_large_field_is_answered_431(client: RawClient) -> None:
    large = client.block((*GET, ("x", "y" * 4_000)))
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, large))
    block = client.block(GET)
    assert client.encoder.encode([("x", "y" * 4_000)]) == b"\xbe"
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, block + b"\xbe" * 16_000))
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 5, block + b"\xbe" * 5))
    frames = client.frames()
    assert [client.answer(frames, stream)[0] for stream in (3, 5)] == [431, 431]
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 7, block + b"\xbe" * 3))
    assert client.events[-1][0] == 7


def test_a_refused_head_without_body_is_not_explained(client: RawClient) -> None:
    client.send(client.headers(1, (*HEAD, ("host", "b.example"))))
    status, fields, body = client.answer(client.frames(), 1)
    assert (status, body) == (400, b"")
    assert int(fields["content-length"]) > 0


# Bodies


def test_a_body_of_exactly_the_limit_is_accepted(client: RawClient) -> None:
    client.send(client.headers(1, (*POST, ("content-length", "32768")), end=False))
    client.send(frame(DATA, 0, 1, bytes(16_384)))
    [(_, request)] = client.send(frame(DATA, END_STREAM, 1, bytes(16_384)))
    assert request is not None
    assert len(request.body) == 32_768


def expect_early_answer(client: RawClient, status: int, stream: int = 1) -> None:
    """RFC 9113 §8.1: a complete answer, then RST_STREAM(NO_ERROR)."""
    frames = [f for f in client.frames() if f.stream == stream]
    assert client.answer(frames, stream)[0] == status
    assert (frames[-1].kind, frames[-1].code) == (RST_STREAM, NO_ERROR)
    assert client.server.open_streams == 0
    assert client.server.counters == {f"status_{status}": 1}
    # What was under way is ignored.
    client.send(frame(DATA, END_STREAM, stream, bytes(10)))
    assert client.frames() == []


def test_a_content_length_above_the_limit_is_answered_413_at_once(client: RawClient) -> None:
    client.send(client.headers(1, (*POST, ("content-length", "32769")), end=False))
    expect_early_answer(client, 413)


def test_a_body_above_the_limit_is_answered_413(client: RawClient) -> None:
    client.send(client.headers(1, POST, end=False))
    client.send(frame(DATA, 0, 1, bytes(16_384)), frame(DATA, 0, 1, bytes(16_384)))
    client.send(frame(DATA, 0, 1, b"x"))
    expect_early_answer(client, 413)


def test_an_early_answer_fits_into_any_window() -> None:
    client = RawClient(window=1)
    client.send(client.headers(1, (*POST, ("content-length", "32769")), end=False))
    expect_early_answer(client, 413)


def test_an_early_answer_acknowledges_a_lowered_table_size() -> None:
    client = RawClient()
    client.send(settings(table=0), client.headers(1, (*GET, ("host", "b.example"))))
    client.decoder.max_allowed_table_size = 0
    assert client.answer(client.frames(), 1)[0] == 400


# What is remembered of closed streams is bounded


def test_only_the_last_64_gaps_between_identifiers_are_remembered() -> None:
    client = RawClient()
    for stream in range(1, 401, 4):
        client.request(stream)
        client.respond(stream)
    client.send(client.headers(3))  # forgotten: closed like any other
    client.expect_connection_error(STREAM_CLOSED)


def test_only_the_last_64_resets_are_remembered() -> None:
    client = RawClient(HttpLimits(reset_burst=1e9))
    for stream in range(1, 401, 4):
        client.send(client.headers(stream), rst_stream(stream))
        client.send(client.headers(stream + 2, (*GET, ("upgrade", "x"))))
    client.frames()
    client.send(frame(DATA, 0, 3, b"late"), frame(DATA, 0, 1, b"late"))
    assert [(f.kind, f.code) for f in client.frames()] == [(RST_STREAM, STREAM_CLOSED)] * 2
    assert not client.server.closed


# Streams


def test_streams_above_the_limit_before_our_settings_arrived_cost_the_peer_nothing() -> None:
    client = RawClient(HttpLimits(max_streams=2), start=False)
    client.send(PREFACE + settings(), *[client.headers(stream) for stream in range(1, 201, 2)])
    assert not client.server.closed
    refused = [f for f in client.frames() if f.kind == RST_STREAM]
    assert [f.stream for f in refused] == list(range(5, 201, 2))
    assert {f.code for f in refused} == {REFUSED_STREAM}
    assert len(client.events) == 2


def test_streams_above_the_limit_are_bounded_afterwards() -> None:
    client = RawClient(HttpLimits(max_streams=2))
    client.send(*[client.headers(stream) for stream in range(1, 201, 2)])
    client.expect_connection_error(CALM)


def test_after_the_last_request_of_a_connection_it_ends_in_two_steps() -> None:
    client = RawClient(HttpLimits(max_requests=2))
    client.request(1)
    client.request(3)
    client.request(5)  # was under way
    first, ping = client.frames()
    assert first == Frame(GOAWAY, 0, 0, b"\x7f\xff\xff\xff" + bytes(4))
    client.send(frame(PING, ACK, 0, ping.payload))
    [second] = client.frames()
    assert second == Frame(GOAWAY, 0, 0, bytes((0, 0, 0, 5)) + bytes(4))
    for stream in (1, 3, 5):
        assert not client.server.closed
        assert client.answer(client.respond(stream), stream)[0] == 200
    assert client.server.closed


# Output


def test_a_peer_that_reads_nothing_is_dropped(client: RawClient) -> None:
    client.send(window_update(0, 1 << 30), settings(window=1 << 30))
    for stream in range(1, 21, 2):
        client.request(stream)
    big = HttpResponse(200, b"text/plain", bytes(40_000))
    for stream in range(1, 15, 2):
        client.server.respond(stream, big, client.now)
    assert client.server.closed
    assert client.server.data_to_send() == b""
    assert client.server.counters == {"queued_output": 1}
    assert client.server.next_timeout() == math.inf
    # The three that got no answer are reported when the caller gives the connection up.
    assert client.server.eof(client.now) == [(15, None), (17, None), (19, None)]


def test_answers_that_wait_for_window_count_as_queued() -> None:
    client = RawClient(window=0)
    for stream in range(1, 9, 2):
        client.request(stream)
        client.server.respond(stream, HttpResponse(200, b"", bytes(80_000)), client.now)
    assert client.server.counters == {"queued_output": 1}


def test_acknowledgements_that_nobody_reads_are_bounded() -> None:
    client = RawClient(HttpLimits(max_queued_octets=300, control_burst=1e9))
    client.request(1)
    for _ in range(30):
        client.send(frame(PING, 0, 0, bytes(8)))
    assert client.server.closed
    assert client.events[-1] == (1, None)


# Time


def test_a_connection_without_a_request_ends() -> None:
    client = RawClient(HttpLimits(first_request_seconds=4.0), start=False)
    assert client.server.next_timeout() == 4.0
    client.wait(4.0)
    assert [f.kind for f in client.frames()] == [SETTINGS, GOAWAY, PING]
    client.wait(2.0)
    assert client.server.closed


def test_settings_that_are_not_acknowledged_end_the_connection() -> None:
    client = RawClient(start=False)
    client.send(PREFACE + settings())
    client.request(1)
    assert client.server.next_timeout() == 10.0
    assert client.wait(10.0) == [(1, None)]
    client.expect_connection_error(SETTINGS_TIMEOUT)


def test_an_idle_connection_ends_in_two_steps(client: RawClient) -> None:
    client.now = 5.0
    client.request(1)
    assert client.server.next_timeout() == math.inf  # the answer is the caller's business
    client.now = 20.0
    client.respond(1)
    assert client.server.next_timeout() == 35.0
    client.send(frame(PING, 0, 0, bytes(8)))  # no request: does not count
    client.frames()
    client.wait(15.0)
    goaway, ping = client.frames()
    assert (goaway.code, goaway.payload[:4]) == (NO_ERROR, b"\x7f\xff\xff\xff")
    assert not client.server.closed
    client.send(frame(PING, ACK, 0, ping.payload))
    assert client.frames() == [Frame(GOAWAY, 0, 0, bytes((0, 0, 0, 1)) + bytes(4))]
    assert client.server.closed
    assert not client.server.counters


def test_the_second_step_comes_without_the_round_trip_as_well(client: RawClient) -> None:
    client.wait(10.0)
    client.frames()
    client.wait(2.0)
    assert [f.kind for f in client.frames()] == [GOAWAY]
    assert client.server.closed


def test_a_request_that_crosses_the_first_goaway_is_answered(client: RawClient) -> None:
    client.server.close_gracefully(client.now)
    client.server.close_gracefully(client.now)  # once is enough
    assert [f.kind for f in client.frames()] == [GOAWAY, PING]
    client.request(1)
    client.wait(2.0)
    assert client.frames() == [Frame(GOAWAY, 0, 0, bytes((0, 0, 0, 1)) + bytes(4))]
    client.send(client.headers(3))
    assert [(f.kind, f.code) for f in client.frames()] == [(RST_STREAM, REFUSED_STREAM)]
    assert client.answer(client.respond(1), 1)[2] == b"hello"
    assert client.server.closed


def test_an_unfinished_request_is_reset(client: RawClient) -> None:
    client.now = 1.0
    client.send(client.headers(1, POST, end=False))
    client.now = 2.0
    client.send(client.headers(3, POST, end=False), frame(DATA, 0, 3, b"x"))
    client.now = 15.0
    client.send(frame(DATA, 0, 1, b"slow"))  # a little is not enough
    assert client.wait(1.0) == []
    assert [(f.kind, f.stream, f.code) for f in client.frames()] == [(RST_STREAM, 1, CANCEL)]
    assert client.server.next_timeout() == 17.0
    client.wait(1.0)
    assert client.server.counters == {"request_timeout": 2}
    assert client.server.open_streams == 0


def test_a_timer_that_is_not_due_does_nothing(client: RawClient) -> None:
    assert client.server.timed_out(9.9) == []
    client.expect_life()


# Ends


def test_the_end_of_the_connection_reports_unanswered_requests_only(client: RawClient) -> None:
    client.request(1)
    client.request(3)
    client.send(client.headers(5, POST, end=False))
    client.respond(1)
    assert client.server.eof(client.now) == [(3, None)]
    assert client.server.closed
    assert client.server.eof(client.now) == []
    assert client.respond(3) == []
    assert client.server.timed_out(1e9) == []


def test_an_answer_given_twice_or_to_nobody_is_ignored(client: RawClient) -> None:
    client.request(1)
    client.send(client.headers(3, POST, end=False))
    assert client.respond(3) == []  # not delivered yet
    assert client.respond(7) == []
    client.respond(1)
    assert client.respond(1) == []


def test_a_response_that_would_split_is_a_mistake_of_ours(client: RawClient) -> None:
    client.request(1)
    bad = HttpResponse(200, b"text/plain", b"", ((b"location", b"/\r\nset-cookie: a"),))
    with pytest.raises(ValueError, match="location"):
        client.respond(1, bad)
    assert client.answer(client.respond(1, OK), 1)[0] == 200


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_content(client: RawClient, status: int) -> None:
    client.request(1)
    assert client.answer(client.respond(1, HttpResponse(status, b"", b"no")), 1) == (
        status,
        {},
        b"",
    )
