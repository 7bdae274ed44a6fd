"""Flow control in both directions, RFC 9113 §5.2 and §6.9."""

import pytest

from protocols.http.limits import HttpLimits
from protocols.http.message import HttpResponse
from tests.protocols.http2.raw_client import (
    CANCEL,
    DATA,
    END_STREAM,
    FLOW_CONTROL,
    GET,
    HEADERS,
    PADDED,
    POST,
    RST_STREAM,
    WINDOW_UPDATE,
    Frame,
    RawClient,
    frame,
    rst_stream,
    settings,
    window_update,
)

LARGEST = (1 << 31) - 1
LONG = HttpResponse(200, b"text/plain", b"x" * 40_000)


def body_octets(frames: list[Frame], stream: int) -> int:
    return sum(len(f.payload) for f in frames if f.kind == DATA and f.stream == stream)


def test_6_9_1_a_window_of_one_octet_gives_data_frames_of_one_octet() -> None:
    client = RawClient(window=1)
    client.request(1)
    frames = client.respond(1)
    for _ in range(4):
        assert frames[-1].payload in (b"h", b"e", b"l")
        assert not frames[-1].flags & END_STREAM
        client.send(window_update(1, 1))
        frames += client.frames()
    assert client.answer(frames, 1)[2] == b"hello"
    assert not client.server.counters
    assert client.server.open_streams == 0


@pytest.mark.parametrize("increments", [(LARGEST,), (LARGEST - 65_535, 1)])
def test_6_9_1_overflow_of_the_connection_window(increments: tuple[int, ...]) -> None:
    client = RawClient()
    client.send(*[window_update(0, increment) for increment in increments])
    client.expect_connection_error(FLOW_CONTROL)


def test_6_9_1_overflow_of_a_stream_window() -> None:
    client = RawClient()
    client.request(1)
    client.send(window_update(1, LARGEST - 65_535))
    client.expect_life()
    client.send(window_update(1, 1))
    client.expect_stream_error(1, FLOW_CONTROL)
    assert client.events[-1] == (1, None)


def test_6_9_2_a_change_of_the_initial_window_moves_open_streams() -> None:
    client = RawClient(window=0)
    client.request(1)
    assert [f.kind for f in client.respond(1)] == [HEADERS]
    client.send(settings(window=3))
    assert client.frames()[-1].payload == b"hel"
    client.send(settings(window=5))
    assert client.frames()[-1] == Frame(DATA, END_STREAM, 1, b"lo")


def test_6_9_2_nothing_is_sent_while_a_window_is_negative() -> None:
    client = RawClient(window=3)
    client.request(1)
    assert client.respond(1)[-1].payload == b"hel"
    client.send(settings(window=2))  # now -1
    client.frames()
    client.send(window_update(1, 1))
    assert client.frames() == []
    client.send(window_update(1, 1))
    assert client.frames() == [Frame(DATA, 0, 1, b"l")]


def test_6_9_2_a_setting_that_overflows_the_window_of_a_stream() -> None:
    client = RawClient()
    client.request(1)
    client.send(window_update(1, LARGEST - 65_535))
    client.send(settings(window=65_536))
    client.expect_connection_error(FLOW_CONTROL)


def test_the_connection_window_is_shared_in_order_and_headers_still_go() -> None:
    client = RawClient()
    for stream in (1, 3, 5):
        client.request(stream)
    first, second, third = (client.respond(stream, LONG) for stream in (1, 3, 5))
    assert [len(f.payload) for f in first if f.kind == DATA] == [16_384, 16_384, 7_232]
    assert first[-1].flags & END_STREAM
    assert body_octets(second, 3) == 65_535 - 40_000
    assert [f.kind for f in third] == [HEADERS]
    client.send(window_update(0, 20_000))
    more = client.frames()
    assert body_octets(more, 3) == 40_000 - body_octets(second, 3)
    assert body_octets(more, 5) == 20_000 - body_octets(more, 3)
    client.send(window_update(0, 100_000))
    assert client.answer(third + more + client.frames(), 5)[2] == LONG.body


def test_a_blocked_answer_holds_back_no_other_stream() -> None:
    client = RawClient()
    client.send(window_update(0, 100_000), settings(window=65_535))
    client.request(1)
    client.request(3)
    big = HttpResponse(200, b"text/plain", b"x" * 70_000)
    assert body_octets(client.respond(1, big), 1) == 65_535
    assert client.answer(client.respond(3), 3)[2] == b"hello"


def test_an_answer_that_is_reset_half_way_gives_its_octets_back() -> None:
    client = RawClient(window=10)
    client.request(1)
    client.respond(1, LONG)
    assert client.send(rst_stream(1)) == []  # it was answered: nobody waits for news
    assert client.server.open_streams == 0
    client.send(settings(window=65_535))
    client.request(3)
    assert body_octets(client.respond(3, LONG), 3) == 40_000
    client.expect_life()


def test_a_blocked_answer_is_reset_when_the_peer_never_opens_its_window() -> None:
    client = RawClient(window=0)
    client.request(1)
    client.respond(1)
    client.now += 10
    client.send(settings(window=1), settings(window=2))  # a little is not enough
    client.frames()
    assert client.wait(5) == []
    assert [(f.kind, f.code) for f in client.frames()] == [(RST_STREAM, CANCEL)]
    assert client.server.counters == {"blocked_timeout": 1}
    assert client.server.open_streams == 0


def test_an_answer_longer_than_a_frame_is_cut() -> None:
    client = RawClient()
    client.request(1)
    frames = client.respond(1, HttpResponse(200, b"text/plain", b"x" * 16_385))
    assert [len(f.payload) for f in frames if f.kind == DATA] == [16_384, 1]


def test_a_header_block_longer_than_a_frame_is_continued() -> None:
    client = RawClient()
    client.request(1)
    fields = tuple((b"x-%d" % i, b"v" * 1_000) for i in range(40))
    frames = client.respond(1, HttpResponse(200, b"text/plain", b"hello", fields))
    assert [f.kind for f in frames] == [HEADERS, 9, 9, DATA]
    assert [f.flags for f in frames] == [0, 0, 4, END_STREAM]
    block = b"".join(f.payload for f in frames[:3])
    assert client.decoder.decode(block)[3:] == [(n.decode(), v.decode()) for n, v in fields]


# Receiving


def test_the_window_of_the_connection_is_opened_once_for_all_that_was_received() -> None:
    client = RawClient()
    parts = []
    for stream in range(1, 7, 2):
        parts.append(client.headers(stream, POST, end=False))
        parts.append(frame(DATA, END_STREAM, stream, b"x" * 12_000))
    client.send(*parts)
    assert client.frames() == [Frame(WINDOW_UPDATE, 0, 0, (36_000).to_bytes(4, "big"))]


def test_a_short_body_needs_no_window_update() -> None:
    client = RawClient()
    client.send(client.headers(1, POST, end=False), frame(DATA, END_STREAM, 1, b"x" * 500))
    assert client.frames() == []


def test_many_bodies_never_run_out_of_window() -> None:
    client = RawClient()
    window = 65_535
    for stream in range(1, 401, 2):
        client.send(
            client.headers(stream, POST, end=False), frame(DATA, END_STREAM, stream, bytes(900))
        )
        window -= 900
        frames = client.respond(stream)
        window += sum(int.from_bytes(f.payload, "big") for f in frames if f.kind == WINDOW_UPDATE)
        assert window > 32_000
    client.expect_life()


def test_6_9_1_more_than_the_connection_window_is_an_error() -> None:
    client = RawClient()
    parts = []
    for stream in range(1, 11, 2):
        parts.append(client.headers(stream, POST, end=False))
        parts.append(frame(DATA, 0, stream, b"x" * 14_000))
    client.send(*parts)
    client.expect_connection_error(FLOW_CONTROL)


def test_data_for_a_stream_that_we_reset_is_still_credited() -> None:
    client = RawClient()
    client.send(client.headers(1, (*POST, ("upgrade", "x")), end=False))
    client.frames()
    for _ in range(20):
        client.send(frame(DATA, 0, 1, bytes(16_384)))
    updates = client.frames()
    assert all((f.kind, f.stream) == (WINDOW_UPDATE, 0) for f in updates)
    credited = sum(int.from_bytes(f.payload, "big") for f in updates)
    assert 20 * 16_384 - 32_768 <= credited <= 20 * 16_384


def test_padding_is_given_back_to_the_stream_so_that_it_cannot_stall() -> None:
    client = RawClient()
    client.send(client.headers(1, POST, end=False))
    client.send(frame(DATA, PADDED, 1, b"\x05body" + bytes(5)))
    assert client.frames() == [Frame(WINDOW_UPDATE, 0, 1, (6).to_bytes(4, "big"))]


def test_a_larger_body_limit_opens_a_larger_window() -> None:
    client = RawClient(HttpLimits(max_body_octets=100_000), start=False)
    payload = client.frames()[0].payload
    assert payload[6:12] == (4).to_bytes(2, "big") + (100_000).to_bytes(4, "big")


def test_get_answers_do_not_touch_the_receive_window() -> None:
    client = RawClient()
    client.request(1, GET)
    assert [f.kind for f in client.respond(1)] == [HEADERS, DATA]
