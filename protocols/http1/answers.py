"""What an HTTP/1.1 connection writes: answers in the order of their requests, RFC 9112 §9.3.2."""

import math

from protocols.http.limits import HttpLimits
from protocols.http.message import HttpResponse
from protocols.http1.responses import CONTINUE, encode_response
from protocols.http1.states import Input, State, step


class Exchange:
    """One request whose answer has not been written: in order, also when answers are not."""

    __slots__ = ("answer", "connection", "head_only")

    def __init__(self, *, head_only: bool, connection: bytes) -> None:
        self.head_only = head_only
        self.connection = connection  # value of the Connection field of the answer
        self.answer: bytes | None = None


class Answers:
    """The writing half of a connection, and what both halves share.

    Attributes:
        closed: nothing more is read; close the socket once `data_to_send` is empty.
        counters: refused requests and abuse by name; empty for a peer that behaves.
    """

    __slots__ = (
        "_continue_owed",
        "_idle_deadline",
        "_limits",
        "_now",
        "_out",
        "_queued",
        "_request_deadline",
        "_state",
        "_waiting",
        "closed",
        "counters",
    )

    def __init__(self, limits: HttpLimits, now: float) -> None:
        self.closed = False
        self.counters: dict[str, int] = {}
        self._limits = limits
        self._now = now
        self._state = State.WAITING
        self._out: list[bytes] = []
        self._queued = 0  # octets in _out, and of answers that wait for their turn
        self._waiting: dict[int, Exchange] = {}
        self._continue_owed = False
        self._request_deadline = math.inf  # of the request in progress, or of lingering
        self._idle_deadline = now + limits.first_request_seconds

    @property
    def open_streams(self) -> int:
        """Requests that were delivered and not answered yet."""
        return len(self._waiting)

    def data_to_send(self) -> bytes:
        """Everything to write now; empty when there is nothing."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        self._out = []
        self._queued -= len(data)
        return data

    def respond(self, stream_id: int, response: HttpResponse, now: float) -> None:
        """Answer one request, completely. Ignored for one that is gone or answered.

        Answers leave in the order of the requests (RFC 9112 §9.3.2), whatever the order of calls.

        Raises:
            ValueError: a field value would split the response.
        """
        exchange = self._waiting.get(stream_id)
        if exchange is None or exchange.answer is not None or self.closed:
            return
        self._now = now
        answer = encode_response(response, exchange.connection, head_only=exchange.head_only)
        exchange.answer = answer
        self._queued += len(answer)
        self._write_answers()
        if self._queued > self._limits.max_queued_octets:
            self._count("queued_output")
            self._out = []
            self._queued = 0
            self._leave()

    def _write(self, data: bytes) -> None:
        self._out.append(data)
        self._queued += len(data)

    def _write_answers(self) -> None:
        """Write the answers whose turn it is."""
        waiting = self._waiting
        while waiting:
            stream_id, exchange = next(iter(waiting.items()))
            if exchange.answer is None:
                return
            self._out.append(exchange.answer)
            del waiting[stream_id]
        if self._state is State.STOPPED or self._state is State.REFUSED:
            self._state = step(self._state, Input.ALL_ANSWERED)
            self.closed = self._state is State.CLOSED
            self._request_deadline = self._now + self._limits.goaway_seconds
            return
        self._idle_deadline = self._now + self._limits.idle_seconds
        if self._continue_owed:
            self._continue_owed = False
            self._write(CONTINUE)

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1

    def _leave(self) -> None:
        self._state = step(self._state, Input.GONE)
        self.closed = True
