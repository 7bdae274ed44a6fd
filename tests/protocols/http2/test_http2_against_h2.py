"""The server machine against the `h2` library as client: any sequence, cut anywhere.

The requests, their order, the answers and the flow control must come out the same on both sides.
"""

import itertools
import math

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.http.limits import HttpLimits
from protocols.http.message import HttpRequest, HttpResponse
from protocols.http2.connection import Http2Connection
from tests.protocols.http2.raw_client import GET, POST, PREFACE, RawClient, frame
from tests.protocols.http2.raw_client import settings as settings_frame

NAMES = st.sampled_from(["accept", "cookie", "user-agent", "x-own", "content-type", "x-y"])
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=80)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=8)
BODIES = st.one_of(st.just(b""), st.binary(max_size=300), st.just(b"z" * 30_000))
ANSWERS = st.builds(
    HttpResponse,
    st.sampled_from([200, 302, 403, 503]),
    st.sampled_from([b"", b"application/json"]),
    st.one_of(st.just(b""), st.binary(max_size=600), st.just(b"y" * 50_000)),
)
REQUESTS = st.lists(
    st.tuples(st.sampled_from(["GET", "POST", "HEAD"]), HEADERS, BODIES, ANSWERS, st.booleans()),
    min_size=1,
    max_size=6,
)


class H2Client:
    """h2 as client of one machine, with octets cut as `cuts` says."""

    def __init__(self, cuts: list[int], limits: HttpLimits | None = None) -> None:
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.server = Http2Connection(limits or HttpLimits(), 0.0)
        self.cuts = cuts
        self.requests: dict[int, HttpRequest] = {}
        self.gone: list[int] = []
        self.bodies: dict[int, bytearray] = {}
        self.answers: dict[int, dict[bytes, bytes]] = {}
        self.resets: dict[int, int] = {}
        self.ended: set[int] = set()
        self.h2.initiate_connection()

    def exchange(self) -> None:
        """Carry octets both ways until nothing is left to carry."""
        while True:
            data = self.h2.data_to_send()
            for part in self.parts(data):
                for stream, request in self.server.receive(part, 0.0):
                    if request is None:
                        self.gone.append(stream)
                    else:
                        self.requests[stream] = request
            answer = self.server.data_to_send()
            if not data and not answer:
                return
            for part in self.parts(answer):
                for event in self.h2.receive_data(part):
                    self.note(event)

    def parts(self, data: bytes) -> list[bytes]:
        bounds = sorted({0, len(data), *(cut % (len(data) + 1) for cut in self.cuts)})
        return [data[a:b] for a, b in itertools.pairwise(bounds)]

    def note(self, event: object) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            self.answers[event.stream_id] = dict(event.headers)
            self.bodies[event.stream_id] = bytearray()
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.add(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.resets[event.stream_id] = event.error_code


@settings(max_examples=80, deadline=None)
@given(REQUESTS, st.lists(st.integers(0, 1 << 16), max_size=5), st.permutations(range(6)))
def test_any_sequence_of_requests_is_understood_and_answered(
    requests: list[tuple[str, list[tuple[str, str]], bytes, HttpResponse, bool]],
    cuts: list[int],
    order: list[int],
) -> None:
    client = H2Client(cuts)
    streams = {}
    for index, (method, headers, body, answer, trailers) in enumerate(requests):
        stream = 2 * index + 1
        streams[index] = (stream, method, headers, body, answer)
        fields = [(":method", method), *GET[1:], *headers]
        client.h2.send_headers(stream, fields, end_stream=not body and not trailers)
        for at in range(0, len(body), 16_384):
            if client.h2.local_flow_control_window(stream) < 16_384:
                client.exchange()
            part = body[at : at + 16_384]
            end = at + len(part) == len(body) and not trailers
            client.h2.send_data(stream, part, end_stream=end)
        if trailers:
            client.h2.send_headers(stream, [("x-trailer", "1")], end_stream=True)
    client.exchange()
    for index in order:
        if index not in streams:
            continue
        stream, method, headers, body, answer = streams[index]
        request = client.requests[stream]
        assert (request.method, request.target) == (method.encode(), b"/")
        assert request.headers == [(name.encode(), value.encode()) for name, value in headers]
        assert request.body == body
        client.server.respond(stream, answer, 0.0)
        client.exchange()
        assert client.answers[stream][b":status"] == b"%d" % answer.status
        assert client.answers[stream][b"content-length"] == b"%d" % len(answer.body)
        assert client.bodies[stream] == (b"" if method == "HEAD" else answer.body)
        assert stream in client.ended
    assert client.server.open_streams == 0
    assert client.server.counters == {}
    assert not client.server.closed


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=30), st.randoms())
def test_any_sequence_of_steps_keeps_both_sides_in_agreement(
    steps: list[tuple[int, int]], random: object
) -> None:
    """Open, send, end, reset, ping, change the window, answer: h2 refuses what it may not send."""
    client = H2Client([3, 50], HttpLimits(max_streams=4, reset_burst=1e9, control_burst=1e9))
    client.exchange()
    stream = 1
    half_open: list[int] = []
    cancelled: set[int] = set()
    for kind, which in steps:
        waiting = [number for number in client.requests if number not in client.ended | cancelled]
        if kind == 0 and client.h2.open_outbound_streams < 4:
            client.h2.send_headers(stream, GET if which % 2 else POST, end_stream=bool(which % 2))
            if not which % 2:
                half_open.append(stream)
            stream += 2
        elif kind == 1 and half_open:
            client.h2.send_data(half_open[which % len(half_open)], b"some")
        elif kind == 2 and half_open:
            client.h2.end_stream(half_open.pop(which % len(half_open)))
        elif kind == 3 and waiting:
            number = waiting[which % len(waiting)]
            client.h2.reset_stream(number)
            cancelled.add(number)
        elif kind == 4:
            client.h2.update_settings({4: (1, 10, 100, 65_535, 0, 7)[which]})
        elif kind == 5 and waiting:
            number = waiting[which % len(waiting)]
            client.server.respond(number, HttpResponse(200, b"", b"answer"), 0.0)
        client.exchange()
    assert not client.server.closed
    assert set(client.gone) <= cancelled
    client.h2.update_settings({4: 65_535})
    for number in half_open:
        client.h2.end_stream(number)
    client.exchange()
    for number in set(client.requests) - cancelled:
        client.server.respond(number, HttpResponse(200, b"", b"answer"), 0.0)
        client.exchange()
        assert client.bodies[number] == b"answer"
    assert client.server.open_streams == 0
    assert client.h2.open_outbound_streams == 0


def test_one_octet_at_a_time() -> None:
    raw = RawClient(start=False)
    data = PREFACE + settings_frame() + frame(4, 1, 0)
    data += raw.headers(1, POST, end=False) + frame(0, 0, 1, b"bo") + frame(0, 1, 1, b"dy")
    data += raw.headers(3)
    for octet in data:
        raw.send(bytes((octet,)))
    assert [stream for stream, _ in raw.events] == [1, 3]
    request = raw.events[0][1]
    assert request is not None
    assert request.body == b"body"
    raw.frames()
    raw.expect_life()


def test_everything_in_one_segment() -> None:
    raw = RawClient(start=False)
    parts = [PREFACE, settings_frame(), frame(4, 1, 0)]
    for stream in range(1, 41, 2):
        parts += [raw.headers(stream, POST, end=False), frame(0, 1, stream, bytes(stream))]
    events = raw.send(*parts)
    assert [stream for stream, _ in events] == list(range(1, 41, 2))
    assert [len(request.body) for stream, request in events if request] == list(range(1, 41, 2))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(0, 400), max_size=3))
def test_garbage_ends_in_goaway_or_is_ignored_but_never_raises(
    garbage: bytes, cuts: list[int]
) -> None:
    raw = RawClient()
    bounds = sorted({0, len(garbage), *(cut % (len(garbage) + 1) for cut in cuts)})
    for a, b in itertools.pairwise(bounds):
        raw.send(garbage[a:b])
    raw.server.timed_out(1_000.0)
    raw.server.data_to_send()
    assert raw.server.eof(1_000.0) is not None
    assert raw.server.next_timeout() == math.inf


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 10), st.integers(0, 255), st.integers(0, 5), st.binary(max_size=12)
        ),
        max_size=12,
    )
)
def test_any_frames_end_in_goaway_or_are_answered(
    frames: list[tuple[int, int, int, bytes]],
) -> None:
    raw = RawClient()
    for kind, flags, stream, payload in frames:
        raw.send(frame(kind, flags, stream, payload))
    delivered = [stream for stream, request in raw.events if request is not None]
    for stream in delivered:
        raw.server.respond(stream, HttpResponse(200, b"", b"x"), 0.0)
    raw.frames()
    # Nobody is left waiting: each was answered, or reported gone.
    gone = [stream for stream, request in raw.events if request is None]
    assert set(gone) <= set(delivered)
    assert raw.server.eof(0.0) == []


@pytest.mark.parametrize("table", [0, 100, 4_096, 65_536])
def test_h2_may_choose_any_table_size(table: int) -> None:
    client = H2Client([])
    client.h2.update_settings({1: table})
    for stream in (1, 3):
        client.h2.send_headers(stream, GET, end_stream=True)
        client.exchange()
        client.server.respond(stream, HttpResponse(200, b"text/plain", b"x"), 0.0)
        client.exchange()
        assert client.bodies[stream] == b"x"


def test_h2_understands_the_first_step_of_a_graceful_end() -> None:
    """h2 4.4 takes any GOAWAY for the end and refuses a PING after it: it is not shown that."""
    client = H2Client([])
    client.h2.send_headers(1, GET, end_stream=True)
    client.exchange()
    client.server.respond(1, HttpResponse(200, b"text/plain", b"x"), 0.0)
    client.exchange()
    client.server.close_gracefully(0.0)
    [event] = client.h2.receive_data(client.server.data_to_send()[:17])
    assert isinstance(event, h2.events.ConnectionTerminated)
    assert event.last_stream_id == (1 << 31) - 1
    assert event.error_code == h2.errors.ErrorCodes.NO_ERROR
