"""A client that writes any octets and reads answers with h11."""

import h11

from protocols.http.events import Event
from protocols.http.limits import HttpLimits
from protocols.http.message import HttpRequest, HttpResponse
from protocols.http1.connection import Http1Connection

GET = b"GET /?app=ap2004 HTTP/1.1\r\nHost: a.example\r\n\r\n"
OK = HttpResponse(200, b"text/plain", b"hello")


def post(body: bytes, *fields: bytes) -> bytes:
    lines = [b"POST / HTTP/1.1", b"Host: a.example", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Answer:
    """One response as h11 reads it."""

    def __init__(self, head: h11.Response, body: bytes) -> None:
        self.status = head.status_code
        self.fields = {name.decode(): value.decode() for name, value in head.headers}
        self.body = body


class Http1Client:
    def __init__(self, limits: HttpLimits | None = None) -> None:
        self.server = Http1Connection(limits or HttpLimits(), 0.0)
        self.now = 0.0
        self.events: list[Event] = []

    def send(self, data: bytes) -> list[Event]:
        events = self.server.receive(data, self.now)
        self.events += events
        return events

    def request(self, data: bytes) -> HttpRequest:
        [(_, request)] = self.send(data)
        assert request is not None
        return request

    def respond(self, number: int, response: HttpResponse = OK) -> bytes:
        self.server.respond(number, response, self.now)
        return self.server.data_to_send()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        assert self.server.next_timeout() <= self.now
        self.events += self.server.timed_out(self.now)

    def refused(self) -> Answer:
        """The one answer there is; it must end the connection."""
        [answer] = read_answers(self.server.data_to_send())
        assert answer.fields["connection"] == "close"
        assert self.server.counters == {f"status_{answer.status}": 1}
        assert self.send(GET) == []
        return answer


def read_answers(data: bytes, methods: tuple[str, ...] = ("GET",)) -> list[Answer]:
    """Parse as many answers as `methods`, with nothing left over."""
    answers = []
    for method in methods:
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
        client.send(h11.EndOfMessage())
        client.receive_data(data)
        head = client.next_event()
        while isinstance(head, h11.InformationalResponse):
            head = client.next_event()
        assert isinstance(head, h11.Response)
        body = b""
        while isinstance(event := client.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage)
        data = client.trailing_data[0]
        answers.append(Answer(head, body))
    assert not data
    return answers
