"""Bodies, order, persistence, limits and time of one HTTP/1.1 connection."""

import math

import pytest

from protocols.http.limits import HttpLimits
from protocols.http.message import HttpResponse
from tests.protocols.http1.http1_client import GET, OK, Http1Client, post, read_answers

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture
def client() -> Http1Client:
    return Http1Client()


# Requests and answers


def test_a_request_and_its_answer(client: Http1Client) -> None:
    request = client.request(GET)
    assert (request.method, request.target) == (b"GET", b"/?app=ap2004")
    answer = client.respond(
        1, HttpResponse(200, b"text/plain", b"hello", ((b"set-cookie", b"a=1"),))
    )
    assert answer == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n"
        b"set-cookie: a=1\r\n\r\nhello"
    )
    assert not client.server.closed
    assert client.server.open_streams == 0


def test_the_connection_is_kept_for_further_requests(client: Http1Client) -> None:
    for number in range(1, 6):
        assert client.request(post(b"x" * number)).body == b"x" * number
        assert read_answers(client.respond(number))[0].body == b"hello"
    assert not client.server.closed


@pytest.mark.parametrize(
    ("request_line", "field", "connection"),
    [
        (b"GET / HTTP/1.1", b"Connection: close", "close"),
        (b"GET / HTTP/1.0", b"X: y", "close"),
        (b"GET / HTTP/1.0", b"Connection: keep-alive", "keep-alive"),
        (b"GET / HTTP/1.1", b"Connection: Keep-Alive", None),
    ],
)
def test_the_answer_says_whether_the_connection_stays(
    client: Http1Client, request_line: bytes, field: bytes, connection: str | None
) -> None:
    client.request(request_line + b"\r\nHost: a\r\n" + field + b"\r\n\r\n")
    [answer] = read_answers(client.respond(1))
    assert answer.fields.get("connection") == connection
    assert client.server.closed is (connection == "close")


def test_after_the_last_request_nothing_is_read(client: Http1Client) -> None:
    last = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert len(client.send(last + GET)) == 1
    assert client.send(GET) == []
    client.respond(1)
    assert client.server.closed


def test_head_is_answered_without_body(client: Http1Client) -> None:
    client.request(GET.replace(b"GET", b"HEAD"))
    [answer] = read_answers(client.respond(1), ("HEAD",))
    assert (answer.fields["content-length"], answer.body) == ("5", b"")


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_content(client: Http1Client, status: int) -> None:
    client.request(GET)
    [answer] = read_answers(client.respond(1, HttpResponse(status, b"", b"no")))
    assert (answer.status, answer.body) == (status, b"")
    assert "content-length" not in answer.fields


def test_a_status_without_a_known_reason(client: Http1Client) -> None:
    client.request(GET)
    assert client.respond(1, HttpResponse(599)).startswith(b"HTTP/1.1 599 \r\n")


def test_empty_lines_before_a_request_are_skipped(client: Http1Client) -> None:
    assert client.request(b"\r\n\r\n" + GET).method == b"GET"
    client.respond(1)
    client.send(b"\r\n" * 5 + GET)
    assert client.refused().status == 400


def test_a_response_that_would_split_is_a_mistake_of_ours(client: Http1Client) -> None:
    client.request(GET)
    bad = HttpResponse(302, b"", b"", ((b"location", b"/\r\nset-cookie: a"),))
    with pytest.raises(ValueError, match="location"):
        client.respond(1, bad)
    assert read_answers(client.respond(1))[0].status == 200


def test_an_answer_given_twice_or_to_nobody_is_ignored(client: Http1Client) -> None:
    client.request(GET)
    assert client.respond(2) == b""
    client.respond(1)
    assert client.respond(1) == b""


# Pipelining


def test_pipelined_requests_are_answered_in_order(client: Http1Client) -> None:
    events = client.send(GET + post(b"two") + GET)
    assert [number for number, _ in events] == [1, 2, 3]
    assert client.respond(3, HttpResponse(403)) == b""
    assert client.respond(2, HttpResponse(302)) == b""
    answers = read_answers(client.respond(1), ("GET", "POST", "GET"))
    assert [answer.status for answer in answers] == [200, 302, 403]


def test_too_many_pipelined_requests_end_the_connection_after_those(client: Http1Client) -> None:
    events = client.send(GET * 40)
    assert len(events) == 32
    data = b"".join(client.respond(number) for number, _ in events)
    answers = read_answers(data, ("GET",) * 32)
    assert [answer.fields.get("connection") for answer in answers] == [None] * 31 + ["close"]
    assert client.server.closed


def test_a_bad_request_is_answered_after_those_before_it(client: Http1Client) -> None:
    assert len(client.send(GET + b"nonsense\r\n\r\n")) == 1
    assert client.server.data_to_send() == b""
    answers = read_answers(client.respond(1), ("GET", "GET"))
    assert [answer.status for answer in answers] == [200, 400]
    assert answers[1].fields["connection"] == "close"


def test_after_the_last_request_of_a_connection_it_ends() -> None:
    client = Http1Client(HttpLimits(max_requests=2))
    client.request(GET)
    client.respond(1)
    client.request(GET)
    [answer] = read_answers(client.respond(2))
    assert answer.fields["connection"] == "close"
    assert client.server.closed


# Bodies


def test_a_body_that_arrives_in_parts(client: Http1Client) -> None:
    data = post(b"0123456789")
    for at in range(len(data) - 1):
        assert client.send(data[at : at + 1]) == []
    assert client.request(data[-1:]).body == b"0123456789"


def test_a_chunked_body_with_extension_and_trailers(client: Http1Client) -> None:
    body = b"4\r\nWiki\r\n6 ; a=b\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n000\r\nX: y\r\n\r\n"
    expected = b"Wikipedia in \r\n\r\nchunks."
    assert client.request(CHUNKED + body).body == expected
    client.respond(1)
    data = CHUNKED + body + GET
    for at in range(len(data)):
        client.send(data[at : at + 1])
    assert [number for number, _ in client.events] == [1, 2, 3]
    assert client.events[1][1] is not None
    assert client.events[1][1].body == expected


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b"\r\n"),
        (400, b"x\r\n"),
        (400, b"-1\r\n"),
        (400, b"0x1\r\n"),
        (400, b"1 \r\n"),
        (400, b"1\nx\r\n"),
        (400, b"1\r\nxy\r\n"),
        (400, b"000000001\r\n"),
        (400, b"1;" + b"e" * 300),
        (400, b"0\r\n" + b"X: y\r\n" * 3_000),
        (400, b"0\r\nX: " + b"y" * 17_000),
        (400, b"0\r\nno colon\r\n\r\n"),
        (400, b"0\r\n folded: x\r\n\r\n"),
        (400, b"0\r\nX: a\0\r\n\r\n"),
        (400, b"0\r\nX: a\rb\r\n\r\n"),
        (413, b"8001\r\n"),
        (413, b"8000\r\n" + bytes(32_768) + b"\r\n1\r\n"),
    ],
)
def test_bad_chunks(client: Http1Client, status: int, body: bytes) -> None:
    assert client.send(CHUNKED + body) == []
    assert client.refused().status == status


def test_a_chunk_for_every_octet_is_bounded(client: Http1Client) -> None:
    client.send(CHUNKED + b"1;extension=0123456789\r\nx\r\n" * 2_000)
    assert client.refused().status == 400


def test_a_body_of_exactly_the_limit_is_accepted(client: Http1Client) -> None:
    assert len(client.request(post(bytes(32_768))).body) == 32_768


def test_a_longer_body_is_refused_by_its_length(client: Http1Client) -> None:
    head = post(bytes(32_769)).partition(b"\r\n\r\n")[0]
    assert client.send(head + b"\r\n\r\n") == []
    assert client.refused().status == 413


def test_a_refused_body_is_read_to_its_end_so_that_the_answer_arrives(client: Http1Client) -> None:
    client.send(post(bytes(40_000)))
    assert read_answers(client.server.data_to_send())[0].status == 413
    client.send(bytes(10_000))
    assert not client.server.closed
    client.wait(2.0)
    assert client.server.closed


def test_but_not_for_ever(client: Http1Client) -> None:
    client.send(post(bytes(40_000)))
    for _ in range(5):
        client.send(bytes(65_536))
    assert client.server.closed


# Expect


def test_100_continue_is_sent_before_the_body(client: Http1Client) -> None:
    head, _, body = post(b"body", b"Expect: 100-continue").partition(b"\r\n\r\n")
    client.send(head + b"\r\n\r\n")
    assert client.server.data_to_send() == CONTINUE
    assert client.request(body).body == b"body"
    assert read_answers(client.respond(1))[0].status == 200


def test_100_continue_is_not_sent_when_the_body_is_there(client: Http1Client) -> None:
    client.request(post(b"body", b"Expect: 100-continue"))
    assert client.server.data_to_send() == b""


def test_100_continue_waits_for_the_answers_before_it(client: Http1Client) -> None:
    head = post(b"body", b"Expect: 100-continue").partition(b"\r\n\r\n")[0]
    client.send(GET + head + b"\r\n\r\n")
    assert client.server.data_to_send() == b""
    assert client.respond(1).endswith(b"hello" + CONTINUE)


def test_a_body_that_is_too_large_gets_413_instead_of_100(client: Http1Client) -> None:
    head = post(bytes(40_000), b"Expect: 100-continue").partition(b"\r\n\r\n")[0]
    client.send(head + b"\r\n\r\n")
    assert client.refused().status == 413


# Limits of the head


@pytest.mark.parametrize("complete", [True, False])
def test_a_head_above_16_kb_is_refused(client: Http1Client, complete: bool) -> None:
    end = b"\r\n\r\n" if complete else b""
    client.send(GET[:-2] + b"X: " + b"y" * 16_384 + end)
    assert client.refused().status == 431


def test_a_head_above_16_kb_is_refused_when_it_drips(client: Http1Client) -> None:
    client.send(GET[:-2])
    for _ in range(17):
        client.send(b"X: " + b"y" * 1_000 + b"\r\n")
    assert client.refused().status == 431


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        (400, b"GET / HTTP/1.1\nHost: a\n\r\n\r\n"),
        (405, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        (501, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"),
        (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ],
)
def test_bad_requests_are_answered_and_end_the_connection(
    client: Http1Client, status: int, data: bytes
) -> None:
    assert client.send(data) == []
    assert client.refused().status == status


def test_an_upgrade_is_not_taken(client: Http1Client) -> None:
    fields = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    client.request(GET[:-2] + fields + b"\r\n")
    assert read_answers(client.respond(1))[0].status == 200


def test_answers_that_nobody_reads_are_bounded(client: Http1Client) -> None:
    client.send(GET * 10)
    for number in range(1, 9):
        client.server.respond(number, HttpResponse(200, b"", bytes(40_000)), 0.0)
    assert client.server.closed
    assert client.server.data_to_send() == b""
    assert client.server.counters == {"queued_output": 1}
    assert client.server.eof(0.0) == [(8, None), (9, None), (10, None)]


# Time


def test_a_connection_without_a_request_is_closed(client: Http1Client) -> None:
    assert client.server.next_timeout() == 10.0
    client.wait(10.0)
    assert client.server.closed
    assert client.server.data_to_send() == b""


def test_an_idle_connection_is_closed(client: Http1Client) -> None:
    client.now = 3.0
    client.request(GET)
    assert client.server.next_timeout() == math.inf
    client.now = 20.0
    client.respond(1)
    client.wait(15.0)
    assert client.server.closed
    assert client.server.next_timeout() == math.inf


@pytest.mark.parametrize("start", [GET[:9], post(b"12345")[:-2], CHUNKED + b"5\r\n"])
def test_a_request_that_is_not_complete_in_time_is_answered_408(
    client: Http1Client, start: bytes
) -> None:
    client.now = 4.0
    client.send(start)
    client.now = 18.0
    client.send(b"1")  # a little is not enough
    client.wait(1.0)
    assert client.refused().status == 408
    client.wait(2.0)
    assert client.server.closed


def test_a_timer_that_is_not_due_does_nothing(client: Http1Client) -> None:
    client.send(GET[:5])
    assert client.server.timed_out(14.9) == []
    assert client.request(GET[5:]).method == b"GET"


# Ends


def test_a_graceful_end_of_an_idle_connection(client: Http1Client) -> None:
    client.send(GET)
    client.respond(1)
    client.server.close_gracefully(0.0)
    assert client.server.closed


def test_a_graceful_end_lets_the_first_request_arrive(client: Http1Client) -> None:
    client.server.close_gracefully(0.0)
    assert not client.server.closed
    client.send(GET)
    [answer] = read_answers(client.respond(1))
    assert answer.fields["connection"] == "close"
    assert client.server.closed


def test_a_graceful_end_does_not_wait_long_for_the_first_request(client: Http1Client) -> None:
    client.server.close_gracefully(0.0)
    client.wait(HttpLimits().goaway_seconds)
    assert client.server.closed


def test_a_graceful_end_says_close_with_the_last_answer(client: Http1Client) -> None:
    client.send(GET + GET)
    client.server.close_gracefully(0.0)
    assert client.send(GET) == []
    answers = read_answers(client.respond(1) + client.respond(2), ("GET", "GET"))
    assert [answer.fields.get("connection") for answer in answers] == [None, "close"]
    assert client.server.closed


@pytest.mark.parametrize("cut", [5, -2])
def test_a_graceful_end_waits_for_the_request_in_progress(client: Http1Client, cut: int) -> None:
    data = post(b"body")
    client.send(data[:cut])
    client.server.close_gracefully(0.0)
    assert client.request(data[cut:]).body == b"body"
    [answer] = read_answers(client.respond(1))
    assert answer.fields["connection"] == "close"
    assert client.server.closed


def test_the_end_of_the_connection_reports_unanswered_requests_only(client: Http1Client) -> None:
    client.send(GET * 3 + GET[:7])
    client.server.respond(1, OK, 0.0)
    client.server.respond(3, OK, 0.0)
    assert client.server.eof(0.0) == [(2, None)]
    assert client.server.closed
    assert client.send(GET) == []
    assert client.server.eof(0.0) == []
    assert client.server.timed_out(1e9) == []
