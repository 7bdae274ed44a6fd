"""Requests that a peer sends to us: RAR and ASR are ours, everything else is refused politely.

Source: RFC 6733 §6.1.4 (who a request is for), §6.2 (loops), §7.1.3; §5.5.4 and §3 (duplicates, the
T bit); TS 29.273 §7.1.2.3-5. A relay may hand us another client's request: it gets an answer too.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Final

from actors.diameter.link import LinkContext
from actors.diameter.outcomes import ServerRequest
from actors.diameter.peer import Peer
from protocols.diameter import dictionary as d
from protocols.diameter import messages, numbers
from protocols.diameter.codec import Message
from protocols.diameter.encoding import with_hop_by_hop

DUPLICATE_SECONDS: Final = 240.0  # RFC 6733 §3: End-to-End Identifiers are unique for 4 minutes
MAX_DUPLICATES: Final = 10_000  # ours

# Decides an RAR or ASR, now or later: the reply takes its result code, once.
Serve = Callable[[ServerRequest, Callable[[int], None]], None]

_SERVED: Final = frozenset((numbers.RE_AUTH, numbers.ABORT_SESSION))


class AnsweredRequests:
    """Answers given lately, by (Origin-Host, End-to-End Identifier)."""

    __slots__ = ("_answers",)

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[bytes, int], tuple[bytes, float]] = OrderedDict()

    def find(self, key: tuple[bytes, int], now: float) -> bytes | None:
        """The answer that this request got the first time."""
        found = self._answers.get(key)
        return found[0] if found is not None and found[1] > now else None

    def put(self, key: tuple[bytes, int], answer: bytes, now: float) -> None:
        """Remember an answer; the oldest give way."""
        answers = self._answers
        while answers and (
            len(answers) >= MAX_DUPLICATES or next(iter(answers.values()))[1] <= now
        ):
            answers.popitem(last=False)
        answers[key] = (answer, now + DUPLICATE_SECONDS)


class ServerRequests:
    """Answers what a client's peer sends.

    Attributes:
        serve: decides an RAR or ASR: its result code, 2001, 5002, or 5012 when it came to nothing.
        duplicates: requests that were answered from the cache.
    """

    def __init__(self, context: LinkContext, applications: tuple[int, ...]) -> None:
        """`applications` are those that we announce."""
        self.serve: Serve = _no_session
        self.duplicates = 0
        self._context = context
        self._host = context.origin.host.lower().encode()
        self._applications = applications
        self._answered = AnsweredRequests()

    def answer(self, peer: Peer, request: Message, now: float) -> bytes | None:
        """The answer to any request; None when it goes to the peer by itself, once decided."""
        key = (request.octets(d.ORIGIN_HOST) or b"", request.end_to_end)
        known = self._answered.find(key, now)
        if known is not None:
            self.duplicates += 1
            return with_hop_by_hop(known, request.hop_by_hop)
        code, text = self._refusal(request)
        if code:
            return self._answer(request, key, now, code, text)
        self.serve(_view(request), partial(self._decided, peer, request, key, now))
        return None

    def _decided(
        self, peer: Peer, request: Message, key: tuple[bytes, int], now: float, code: int
    ) -> None:
        text = "no such session" if code == numbers.UNKNOWN_SESSION_ID else ""
        peer.answer(self._answer(request, key, now, code, text))

    def _answer(
        self, request: Message, key: tuple[bytes, int], now: float, code: int, text: str
    ) -> bytes:
        """Build an answer, and remember it for a retransmission."""
        if code == numbers.SUCCESS:
            answer = messages.build_answer(request, self._context.origin, code)
        else:
            answer = self._context.refuse(request, code, text)
        self._answered.put(key, answer, now)
        return answer

    def _refusal(self, request: Message) -> tuple[int, str]:
        """(result code, text) of a request that is not for us; code 0 when it is."""
        records = {host.lower() for host in request.all(d.ROUTE_RECORD)}
        if self._host in records:
            return numbers.LOOP_DETECTED, "our own identity in Route-Record"
        destination = request.octets(d.DESTINATION_HOST)
        if destination is not None and destination.lower() != self._host:
            return numbers.UNABLE_TO_DELIVER, "this node is no agent"
        if request.command not in _SERVED:
            if destination is None:
                # By realm only: the agent should ask somebody else, not give up.
                return numbers.UNABLE_TO_DELIVER, "this node is a client"
            return numbers.COMMAND_UNSUPPORTED, f"command {request.command}"
        if request.application not in self._applications:
            return numbers.APPLICATION_UNSUPPORTED, f"application {request.application}"
        return 0, ""


def _view(request: Message) -> ServerRequest:
    return ServerRequest(
        command=request.command,
        session_id=request.octets(d.SESSION_ID) or b"",
        origin_host=request.octets(d.ORIGIN_HOST) or b"",
        user_name=request.octets(d.USER_NAME) or b"",
    )


def _no_session(_: ServerRequest, reply: Callable[[int], None]) -> None:
    reply(numbers.UNKNOWN_SESSION_ID)
