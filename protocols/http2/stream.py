"""What the connection keeps of one stream while it is open or half-closed."""

from protocols.http.message import HttpRequest
from protocols.http2.stream_states import State

UNKNOWN_LENGTH = -1


class Stream:
    """A plain slotted record: one is made for every request.

    Attributes:
        state: RFC 9113 §5.1.
        request: what was received so far; delivered once its state is HALF_CLOSED_REMOTE.
        expected: content-length, or `UNKNOWN_LENGTH`.
        body: the octets of all DATA frames but the last, None while there are none.
        send_window: octets that the peer lets us send on this stream; may be negative (§6.9.2).
        pending: an answer's body that waits for window, from `sent` on; None before the answer.
        deadline: when the request must be complete, or the waiting answer gone.
    """

    __slots__ = (
        "body",
        "deadline",
        "expected",
        "pending",
        "request",
        "send_window",
        "sent",
        "state",
    )

    def __init__(
        self, state: State, request: HttpRequest, expected: int, send_window: int, deadline: float
    ) -> None:
        self.state = state
        self.request = request
        self.expected = expected
        self.send_window = send_window
        self.deadline = deadline
        self.body: bytearray | None = None
        self.pending: bytes | None = None
        self.sent = 0
