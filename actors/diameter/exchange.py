"""One DER until its one outcome, however many peers that takes; and an STR, which nobody waits for.

Source: RFC 6733 §5.5.4 (fail-over: same End-to-End Identifier, T bit), §6.2.1 and §7.1.3 (3002,
3004: another peer), §6.1.8 (3006); TS 29.273 §7.1.2 (later rounds go to the same AAA).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from actors.diameter.outcomes import (
    EapAnswer,
    EapOutcome,
    EapRequest,
    NoAnswer,
    NoAnswerReason,
)
from actors.diameter.peer import Peer
from actors.runtime.timers import Timer
from protocols.diameter import dictionary as d
from protocols.diameter import messages, numbers
from protocols.diameter.codec import Message
from protocols.diameter.errors import DecodeError

if TYPE_CHECKING:
    from actors.diameter.router import DiameterRouter

AUTHENTICATION_DATA_UNAVAILABLE: Final = (d.VENDOR_3GPP, 4181)  # TS 29.229 §6.2
_ANOTHER_PEER: Final = frozenset(
    ((0, numbers.UNABLE_TO_DELIVER), (0, numbers.TOO_BUSY), AUTHENTICATION_DATA_UNAVAILABLE)
)
_EAP_PAYLOAD: Final = d.EAP_PAYLOAD.key
_EAP_REISSUED_PAYLOAD: Final = d.EAP_REISSUED_PAYLOAD.key
_STATE: Final = d.STATE.key
_ORIGIN_HOST: Final = d.ORIGIN_HOST.key
_USER_NAME: Final = d.USER_NAME.key
_MOBILE_NODE_IDENTIFIER: Final = d.MOBILE_NODE_IDENTIFIER.key
_ERROR_MESSAGE: Final = d.ERROR_MESSAGE.key
_FAILED_AVP: Final = d.FAILED_AVP.key
_REDIRECT: Final = (0, numbers.REDIRECT_INDICATION)
_AGAIN: Final = messages.APPLICATION_REQUEST | numbers.FLAG_RETRANSMIT
# The AAA of a conversation is away; our own bounds and its overload are other matters.
_GONE: Final = frozenset(
    {NoAnswerReason.NO_PEER, NoAnswerReason.CONNECTION_LOST, NoAnswerReason.TIMEOUT}
)
MAX_REDIRECTS: Final = 2  # of one request; redirects that point at each other must end


class EapExchange:
    """One DER on its way. The peers it was sent to are in `tried`."""

    __slots__ = (
        "_answer",
        "_late",
        "_peer",
        "_raw",
        "_redirects",
        "_reply",
        "_router",
        "_timer",
        "application",
        "body",
        "deadline",
        "end_to_end",
        "hop_by_hop",
        "request",
        "sent_at",
        "targets",
        "tried",
    )

    def __init__(
        self,
        router: "DiameterRouter",
        request: EapRequest,
        reply: Callable[[EapOutcome], None],
        application: int,
        body: bytes,
        end_to_end: int,
        deadline: float,
    ) -> None:
        self._router = router
        self._reply = reply
        self.deadline = deadline
        self._peer: Peer | None = None
        self._timer: Timer | None = None
        self._raw = b""
        self._late = False
        self._answer: EapAnswer | None = None
        self._redirects = 0
        self.request = request
        self.application = application
        self.body = body
        self.end_to_end = end_to_end
        self.hop_by_hop = 0
        self.sent_at = 0.0
        self.tried: tuple[Peer, ...] = ()
        self.targets: tuple[str, ...] = ()  # where a redirect says it should go

    @property
    def is_first_round(self) -> bool:
        """No AAA is bound to this conversation yet."""
        return not self.request.destination_host

    def send(self, peer: Peer, flags: int, now: float) -> None:
        """Send to a peer and wait there for as long as one peer may take."""
        self.tried += (peer,)
        self._peer = peer
        self._late = False
        self._raw = peer.request(self, flags, numbers.DIAMETER_EAP, self.application, self.body)
        router = self._router
        until = min(now + router.settings.answer_seconds, self.deadline)
        self._timer = router.timers.at(until, self._timed_out)

    def finish(self, reason: NoAnswerReason) -> None:
        """No peer is left. An answer that was held back in hope of a better one is used now."""
        elsewhere = not self.is_first_round and reason in _GONE and self._router.has_another(self)
        self._conclude(self._answer or NoAnswer(reason, self._raw, elsewhere))

    def _conclude(self, outcome: EapOutcome) -> None:
        """Tell the session. Its bug must not cost the AAA's connection."""
        try:
            self._reply(outcome)
        except Exception as error:
            self._router.turn.crashed(error)

    # --- what the peer tells ----------------------------------------------------------------------

    def answered(self, peer: Peer, answer: Message, vendor: int, code: int) -> None:
        """A DEA came."""
        if self._timer is not None:
            self._timer.cancel()
        try:
            outcome = read_eap_answer(answer, vendor, code, self._raw, peer.host)
            self._router.observe(peer, answer, outcome)
            another = self._goes_on(peer, answer, outcome)
        except DecodeError:
            # The frame is sound, only this answer's content is not: no other exchange suffers.
            self._router.malformed += 1
            peer.breaker.succeeded()
            self._conclude(NoAnswer(NoAnswerReason.MALFORMED_ANSWER, self._raw))
            return
        if not another:
            self._conclude(outcome)

    def _goes_on(self, peer: Peer, answer: Message, outcome: EapAnswer) -> bool:
        """Whether this answer made the DER go to another peer."""
        result = (outcome.vendor, outcome.code)
        if result in _ANOTHER_PEER:
            return self._try_another(peer, outcome)
        return result == _REDIRECT and self._follow(answer, outcome)

    def lost(self, peer: Peer) -> None:
        """The connection was lost with the DER unanswered."""
        if self._timer is not None:
            self._timer.cancel()
        peer.breaker.probe_lost()
        self._fail_over(peer, NoAnswerReason.CONNECTION_LOST)

    def _timed_out(self) -> None:
        """The peer is late: go elsewhere, or without another way wait on until the deadline."""
        peer = self._peer
        assert peer is not None  # noqa: S101
        now = self._router.turn.now()
        if not self._late:
            self._late = True
            peer.timeouts += 1
            peer.breaker.failed(now)
            if peer.last_received <= self.sent_at:
                peer.doubt()
        there = self.hop_by_hop
        if self._router.send_again(self, _AGAIN):
            peer.failovers += 1
            peer.forget(there)
        elif now < self.deadline:
            limit = min(self._router.settings.answer_seconds, self.deadline - now)
            self._timer = self._router.timers.after(limit, self._timed_out)
        else:
            peer.forget(there)
            self.finish(NoAnswerReason.TIMEOUT)

    # --- another way ------------------------------------------------------------------------------

    def _fail_over(self, peer: Peer, reason: NoAnswerReason) -> None:
        """The peer may have seen it: the same request, with the T bit, by another way."""
        if self._router.send_again(self, _AGAIN):
            peer.failovers += 1
        else:
            self.finish(reason)

    def _try_another(self, peer: Peer, outcome: EapAnswer) -> bool:
        """The peer said that it did not serve the request: no T bit."""
        if outcome.vendor and (not self.is_first_round or len(self.tried) > 1):
            return False  # 4181: one retry at another AAA, never in mid-EAP
        self._answer = outcome
        if self._router.send_again(self, messages.APPLICATION_REQUEST):
            peer.failovers += 1
            return True
        return False

    def _follow(self, answer: Message, outcome: EapAnswer) -> bool:
        """Send to where a redirect points; not in mid-EAP, where the AAA is fixed."""
        if not self.is_first_round or self._redirects >= MAX_REDIRECTS:
            return False
        self._redirects += 1
        self.targets = self._router.redirected(self, answer)
        self._answer = outcome
        return bool(self.targets) and self._router.send_again(self, messages.APPLICATION_REQUEST)


class Termination:
    """An STR: sent once, its answer counted, nothing else."""

    __slots__ = ("_timer", "end_to_end", "hop_by_hop", "sent_at")

    def __init__(self, end_to_end: int) -> None:
        self.end_to_end = end_to_end
        self.hop_by_hop = 0
        self.sent_at = 0.0
        self._timer: Timer | None = None

    def send(self, router: "DiameterRouter", peer: Peer, application: int, body: bytes) -> None:
        """Send, and forget it after as long as a peer may take."""
        flags = messages.APPLICATION_REQUEST
        peer.request(self, flags, numbers.SESSION_TERMINATION, application, body)
        seconds = router.settings.answer_seconds
        self._timer = router.timers.after(seconds, lambda: peer.forget(self.hop_by_hop))

    def answered(self, peer: Peer, answer: Message, vendor: int, code: int) -> None:
        """An STA came; the peer has counted its code."""
        self._done()

    def lost(self, peer: Peer) -> None:
        """Nobody will answer."""
        self._done()

    def _done(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def read_eap_answer(
    answer: Message, vendor: int, code: int, request_raw: bytes, peer: str
) -> EapAnswer:
    """A DEA as the session sees it.

    Raises:
        DecodeError: one of the AVPs cannot be read.
    """
    get = answer.first.get
    return EapAnswer(
        vendor,
        code,
        get(_EAP_PAYLOAD, b""),
        get(_EAP_REISSUED_PAYLOAD, b""),
        get(_STATE, b""),
        get(_ORIGIN_HOST, b""),
        answer.u32(d.MULTI_ROUND_TIME_OUT),
        get(_USER_NAME, b""),
        get(_MOBILE_NODE_IDENTIFIER, b""),
        messages.msisdn_of(answer) if d.SUBSCRIPTION_ID in answer else b"",
        answer.u32(d.SESSION_TIMEOUT),
        answer.i32(d.AUTH_SESSION_STATE) or numbers.STATE_MAINTAINED,
        get(_ERROR_MESSAGE, b""),
        get(_FAILED_AVP, b""),
        answer.raw,
        request_raw,
        peer,
    )
