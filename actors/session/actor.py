"""One subscriber session as a pooled step-function actor: no task, no socket, no clock.

The conversation of one terminal of one subscriber: EAP-AKA relayed to the AAA (GSMA TS.43 v12
§2.8.1), or a token (§2.8.5), then the subscriber, the decisions and the document. What may happen
when is in `transitions.py`; what the words of a conversation mean is in `authentication.py`; how
an answer looks is in `responses.py`.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actors.backends.bss import Plan, Subscriber, SubscriberStatus
from actors.diameter.outcomes import EapAnswer, EapRequest
from actors.entitlement.decision import Decision
from actors.entitlement.remembered import RememberedDecisions
from actors.session import authentication, responses
from actors.session.authentication import Conversation
from actors.session.cookie import ResumePoint
from actors.session.messages import (
    AaaAborted,
    AaaAnswered,
    AaaFailed,
    Alarm,
    Answer,
    AnswerWithChallenge,
    BssFailed,
    DeviceGone,
    Effect,
    EndSession,
    Exchange,
    FindSubscriber,
    Keep,
    KnownAs,
    Message,
    Note,
    RelayEapAnswer,
    SendDer,
    SendStr,
    ServeWithToken,
    StartAuthentication,
    Stored,
    StoreFailed,
    SubscriberFound,
    TimePassed,
    WakeAt,
)
from actors.session.transitions import LATE, Action, IllegalTransition, Input, State, step
from actors.session.user_data import UserDataSeal
from config.model import Sessions as Limits
from config.model import Tenant
from protocols.http.message import HttpResponse
from protocols.ts43.request import Ts43Request
from protocols.ts43.responses import authenticate, forbidden, unavailable

FOREIGN: Final = "no operator here serves this subscriber"
NO_PLAN: Final = Plan("none", "none", frozenset())


def unknown_subscriber(tenant: str, imsi: str) -> tuple[Subscriber, Plan]:
    """One that the AAA knows and the BSS does not: nothing was sold to it (yet)."""
    subscriber = Subscriber(tenant, imsi, "", "", NO_PLAN.plan_id, SubscriberStatus.ACTIVE)
    return subscriber, NO_PLAN


@dataclass(frozen=True, slots=True)
class Rules:
    """What every session of one configuration shares.

    `tenant_of` gives the tenant of an authenticated IMSI, from the one it was thought to belong to;
    `jitter` a number in [0, 1); `wall_clock` seconds of Unix time.
    """

    limits: Limits
    tenant_of: Callable[[str, Tenant], Tenant | None]
    jitter: Callable[[], float]
    wall_clock: Callable[[], float]
    user_data: UserDataSeal
    gzip_from_octets: int = 2_000  # a smaller document fits into the packets it takes anyway
    remembered: RememberedDecisions = field(default_factory=RememberedDecisions)


class Session:
    """What one terminal of one subscriber is doing now.

    Attributes:
        tenant: whose subscriber it is, as far as it is known.
        name: for traces, and part of the Diameter Session-Id.
        conversation: of EAP; None for a session by token.
        imsi: authenticated, or before that what the device says of itself.
        cookie, subscriber_key, device, alarm_at, leg_began, away_seconds, der_sent: where the
            registry filed it, when the timer wheel rings for it (0: it will not), and what its
            current HTTP leg has taken; only `Sessions` touches them.

    Messages arrive one at a time and in order. `receive` never waits, and never raises for
    something that a device, the AAA or the BSS did. An exception is a bug: the pool ends this
    session alone.
    """

    __slots__ = (
        "_backlog",
        "_deadline",
        "_exchange",
        "_presented",
        "_request",
        "_rules",
        "_subscriber",
        "_undelivered",
        "alarm_at",
        "away_seconds",
        "conversation",
        "cookie",
        "der_sent",
        "device",
        "imsi",
        "leg_began",
        "name",
        "state",
        "subscriber_key",
        "tenant",
    )

    def __init__(
        self, tenant: Tenant, rules: Rules, name: str, conversation: Conversation | None
    ) -> None:
        """Begin.

        Args:
            tenant: whose subscriber it is.
            rules: shared limits.
            name: for traces, and part of the Diameter Session-Id.
            conversation: the EAP conversation to be had, or None for a session by token.
        """
        self.state = State.NEW
        self.tenant = tenant
        self.name = name
        self.conversation = conversation
        self.imsi = ""
        self.cookie = ""
        self.subscriber_key: tuple[str, str, str] | None = None
        self.device: tuple[str, str] | None = None
        self.alarm_at = 0.0
        self.leg_began = 0.0
        self.away_seconds = 0.0
        self.der_sent = 0.0
        self._rules = rules
        self._request: Ts43Request | None = None
        self._exchange: Exchange | None = None
        self._presented: ServeWithToken | None = None  # how it authenticated, if not by EAP
        self._subscriber: tuple[Subscriber, Plan] | None = None
        self._backlog: deque[ServeWithToken] | None = None
        self._undelivered: HttpResponse | None = None  # a response that nobody was there to take
        self._deadline = 0.0

    def __repr__(self) -> str:
        return f"<Session of {self.tenant.id} {self.state.name}>"

    def resume_point(self, expires: int) -> ResumePoint:
        """What a sealed cookie says of this exchange, `expires` in seconds of Unix time."""
        assert self.conversation is not None
        assert self._request is not None
        return self.conversation.resume_point(expires, self.tenant.id, self._request)

    def resume(self, request: Ts43Request, now: float) -> WakeAt:
        """Stand where a sealed cookie says that another worker or node stood."""
        self._request = request
        self.state = State.WAITING_FOR_DEVICE
        return self._wake(now + self._rules.limits.challenge_seconds)

    def adopt(self, tenant: Tenant, rules: Rules) -> None:
        """Go by a configuration that was loaded since, unless something is under way."""
        if self.state in (State.SERVED, State.REFUSED):
            self.tenant = tenant
            self._rules = rules

    @property
    def waiting(self) -> tuple[Exchange, ...]:
        """The exchanges that still wait for an answer; the pool's shell answers them on a crash."""
        queued = tuple(one.exchange for one in self._backlog or ())
        return queued if self._exchange is None else (self._exchange, *queued)

    def receive(self, message: Message, now: float) -> Sequence[Effect]:
        """Take one message and say what must be done about it.

        Args:
            message: what happened.
            now: seconds on the Trio clock.

        Returns:
            Effects in the order in which to carry them out.
        """
        if isinstance(message, TimePassed) and now < self._deadline:
            return (WakeAt(self._deadline),)  # the deadline moved since the wheel was set
        if isinstance(message, DeviceGone) and message.exchange is not self._exchange:
            return self._drop_queued(message.exchange)
        given = self._input_of(message)
        try:
            action, following = step(self.state, given)
        except IllegalTransition:
            if given in LATE:
                return ()
            raise
        before = self.state
        self.state = following
        effects = _ACTIONS[action](self, message, now)
        if following is not before and following in (State.SERVED, State.REFUSED):
            self._rest(effects, now)
        return effects

    # --- what a message means ------------------------------------------------------------------

    def _input_of(self, message: Message) -> Input:
        plain = _INPUTS.get(type(message))
        if plain is not None:
            return plain
        if isinstance(message, SubscriberFound):
            return self._input_of_subscriber(message.subscriber)
        conversation = self.conversation
        if conversation is None:
            return Input.AAA_FAILED  # nothing of EAP concerns a session by token
        if isinstance(message, RelayEapAnswer):
            return conversation.input_of_answer(message.answer.packet)
        assert isinstance(message, AaaAnswered)
        given = conversation.input_of_dea(message.answer, self._rules.limits)
        if given is Input.SUCCESS_RECEIVED:
            imsi = conversation.authenticated_imsi(message.answer)
            if imsi is None:
                return Input.IDENTITY_UNKNOWN
            if self._rules.tenant_of(imsi, self.tenant) is None:
                return Input.SUBSCRIBER_FOREIGN
        return given

    def _input_of_subscriber(self, subscriber: Subscriber | None) -> Input:
        presented, request = self._presented, self._request
        if presented is None:
            return Input.SUBSCRIBER_FOUND
        if subscriber is not None and subscriber.token_generation > presented.token_generation:
            return Input.TOKEN_OUTDATED
        if request is not None and request.notif_action is not None:
            return Input.SUBSCRIBER_FOUND
        return Input.SUBSCRIBER_SUFFICES

    # --- actions -------------------------------------------------------------------------------

    def _ask_aaa(self, message: Message, now: float) -> list[Effect]:
        """The device's identity or answer becomes a DER."""
        conversation = self.conversation
        assert conversation is not None
        if isinstance(message, StartAuthentication):
            self._request = message.request
            self._exchange = message.exchange
            packet = conversation.begin()
        else:
            assert isinstance(message, RelayEapAnswer)
            self._exchange = message.exchange
            assert self._request is not None
            responses.take_form(self._request, message.answer)
            packet = conversation.take_answer(message.answer.packet)
        effects: list[Effect] = []
        if conversation.last_event:
            effects.append(Note(conversation.last_event))
        self._undelivered = None
        effects.append(SendDer(self._der(packet)))
        effects.append(self._wake(now + self._rules.limits.answer_seconds))
        return effects

    def _answer_for_device(self, message: AaaAnswered, now: float) -> list[Effect]:
        assert self.conversation is not None
        packet = self.conversation.answer_for_device(message.answer)
        return [Note("answered-for-device"), SendDer(self._der(packet))]

    def _start_again(self, message: Message, now: float) -> list[Effect]:
        assert self.conversation is not None
        return [Note("session-lost"), SendDer(self._der(self.conversation.begin_again()))]

    def _relay_challenge(self, message: AaaAnswered, now: float) -> list[Effect]:
        conversation, exchange = self.conversation, self._exchange
        assert conversation is not None
        packet = conversation.take_challenge(message.answer)
        self._exchange = None
        seconds = self._rules.limits.challenge_seconds
        if message.answer.multi_round_time_out:  # the AAA forgets it by then (RFC 6733 §8.19)
            seconds = min(seconds, message.answer.multi_round_time_out)
        effects: list[Effect] = [
            Note("challenge"),
            AnswerWithChallenge(exchange, packet),
            self._wake(now + seconds),
        ]
        if conversation.out_of_order:
            effects.insert(1, Alarm("the AAA's challenge does not begin with AT_RAND, AT_AUTN"))
        return effects

    def _ask_bss(self, message: Message, now: float) -> list[Effect]:
        effects: list[Effect] = []
        if isinstance(message, ServeWithToken):
            self._request = message.request
            self._exchange = message.exchange
            self.imsi = message.imsi
            self._presented = message
        else:
            assert isinstance(message, AaaAnswered)
            effects = self._authenticated(message.answer)
        self._undelivered = None
        effects.append(FindSubscriber(self.tenant.id, self.imsi))
        effects.append(self._wake(now + self._rules.limits.answer_seconds))
        return effects

    def _authenticated(self, answer: EapAnswer) -> list[Effect]:
        """Who it is, by the AAA's word; the Diameter session has served its purpose."""
        conversation, request = self.conversation, self._request
        assert conversation is not None
        assert request is not None
        imsi = conversation.authenticated_imsi(answer)
        assert imsi is not None, "_input_of gives IDENTITY_UNKNOWN without one"
        tenant = self._rules.tenant_of(imsi, self.tenant)
        assert tenant is not None, "_input_of gives SUBSCRIBER_FOREIGN without one"
        self.tenant = tenant
        self.imsi = imsi
        self._presented = None
        effects: list[Effect] = [Note("success")]
        if self.tenant.authentication.session_termination and answer.auth_session_state == 0:
            effects.append(SendStr(self._der(b"")))
        effects.append(KnownAs(self.tenant.id, imsi, request.terminal_id))
        return effects

    def _keep(self, message: SubscriberFound, now: float) -> list[Effect]:
        """A token and a registration outlive this process: on disk before they are given out."""
        assert self._request is not None
        subscriber, _ = self._take_subscriber(message)
        conversation = self.conversation
        return [
            Keep(
                request=self._request,
                imsi=self.imsi,
                issue_token=self._presented is None,
                token_generation=subscriber.token_generation,
                diameter_session_id=b"" if conversation is None else conversation.session_id,
            )
        ]

    def _take_subscriber(self, message: SubscriberFound) -> tuple[Subscriber, Plan]:
        if message.subscriber is None or message.plan is None:
            self._subscriber = unknown_subscriber(self.tenant.id, self.imsi)
        else:
            self._subscriber = (message.subscriber, message.plan)
        return self._subscriber

    def _answer_document(self, message: SubscriberFound | Stored, now: float) -> list[Effect]:
        """Decide every application that was asked for, and answer."""
        presented, notification_status = self._presented, None
        if isinstance(message, SubscriberFound):
            self._take_subscriber(message)
        else:
            assert isinstance(message, Stored)
            notification_status = message.notification_status
        if presented is not None:
            token, seconds = presented.token, presented.token_seconds_left
        else:
            assert isinstance(message, Stored)
            token, seconds = message.token, self.tenant.tokens.validity_seconds
        assert self._request is not None
        assert self._subscriber is not None
        response, decisions = responses.document(
            self._request,
            self.tenant,
            *self._subscriber,
            remembered=self._rules.remembered,
            user_data=self._rules.user_data,
            token=token,
            token_seconds=seconds,
            notification_status=notification_status,
            wall_clock=self._rules.wall_clock(),
            gzip_from_octets=self._rules.gzip_from_octets,
        )
        self._subscriber = None
        return [self._give(response, "served", decisions)]

    def _reject_token(self, message: Message, now: float) -> list[Effect]:
        return [self._give(authenticate("the token is void"), "token revoked")]

    def _repeat_response(self, message: RelayEapAnswer, now: float) -> list[Effect]:
        """The outstanding challenge again: the response to the first POST was lost."""
        assert self.conversation is not None
        return [
            Note("repeated"),
            AnswerWithChallenge(message.exchange, self.conversation.outstanding),
        ]

    def _reject_replay(self, message: RelayEapAnswer, now: float) -> list[Effect]:
        """After the end: what never reached the device is given once; all else authenticates."""
        response, self._undelivered = self._undelivered, None
        if response is not None:
            return [Note("repeated"), Answer(message.exchange, response, "repeated")]
        return [
            Note("replayed"),
            Answer(message.exchange, authenticate("answered already"), "replayed"),
        ]

    def _reject_answer(self, message: RelayEapAnswer, now: float) -> list[Effect]:
        assert self.conversation is not None
        fault = self.conversation.fault
        return [
            Note("malformed"),
            Answer(message.exchange, responses.bad_request(fault), "bad-eap"),
        ]

    def _authenticate_again(self, message: RelayEapAnswer, now: float) -> list[Effect]:
        """The round that it answers was lost with another process: from the start, by 511."""
        response = authenticate("this round was lost; authenticate again")
        return [Note("lost-round"), Answer(message.exchange, response, "lost round")]

    def _join_waiting_answer(self, message: RelayEapAnswer, now: float) -> list[Effect]:
        """The device repeated its POST: the newer exchange gets the answer, the older is gone."""
        older, self._exchange = self._exchange, message.exchange
        effects: list[Effect] = [Note("repeated")]
        if older is not None:
            effects.append(Answer(older, self._unavailable("superseded"), "superseded"))
        return effects

    def _refuse(self, message: AaaAnswered, now: float) -> list[Effect]:
        """The AAA's word about this subscriber (Table 7)."""
        assert self.conversation is not None
        cause, alarm = self.conversation.refusal(message.answer)
        effects: list[Effect] = [Note("reject")]
        if alarm:
            effects.append(Alarm(alarm))
        effects.append(self._give(forbidden(f"refused: {cause}"), cause))
        return effects

    def _refuse_foreign(self, message: Message, now: float) -> list[Effect]:
        """Authenticated, and nobody's subscriber here."""
        return [Note("foreign"), self._give(forbidden(FOREIGN), "foreign subscriber")]

    def _apologise(self, message: Message, now: float) -> list[Effect]:
        """Not the subscriber's fault: 503 with Retry-After, or 511 when there is another way."""
        effects: list[Effect] = []
        cause, another_way = "timeout", False
        if isinstance(message, AaaAnswered):
            assert self.conversation is not None
            cause, alarm = self.conversation.failure(message.answer)
            another_way = authentication.outcome_of(message.answer).alternative_helps
            if alarm:
                effects.append(Alarm(alarm))
        elif isinstance(message, AaaFailed):
            cause, another_way = f"aaa {message.failure.reason.value}", True
        elif isinstance(message, BssFailed | StoreFailed):
            cause = message.cause
        elif isinstance(message, AaaAborted):
            cause = "aborted by the AAA"
        had_token = self._request is not None and bool(self._request.token)
        if another_way and self.tenant.authentication.alternative and not had_token:
            response = authenticate("use another authentication")
        else:
            response = self._unavailable(cause)
        effects.append(self._give(response, cause))
        return effects

    def _queue(self, message: ServeWithToken, now: float) -> list[Effect]:
        if self._backlog is None:
            self._backlog = deque()
        if len(self._backlog) + 1 >= self._rules.limits.max_requests_per_device:
            return [
                Answer(message.exchange, self._unavailable("too many requests"), "device-limit")
            ]
        self._backlog.append(message)
        return []

    def _remember_gone(self, message: Message, now: float) -> list[Effect]:
        self._exchange = None
        return [Note("gone")]

    def _close(self, message: Message, now: float) -> list[Effect]:
        return [EndSession()]

    def _close_unanswered(self, message: Message, now: float) -> list[Effect]:
        return [Note("abandoned"), EndSession()]

    def _ignore(self, message: Message, now: float) -> list[Effect]:
        return []

    # --- parts ---------------------------------------------------------------------------------

    def _give(
        self, response: HttpResponse, cause: str, decisions: tuple[Decision, ...] = ()
    ) -> Answer:
        """The end of this exchange; a response that nobody takes is kept for a repeated POST."""
        exchange, self._exchange = self._exchange, None
        if exchange is None or exchange.gone:
            self._undelivered = response
        apps = () if self._request is None else self._request.apps
        return Answer(exchange, response, cause, apps, decisions)

    def _der(self, packet: bytes) -> EapRequest:
        assert self.conversation is not None
        assert self._request is not None
        return self.conversation.der(packet, self._request)

    def _unavailable(self, cause: str) -> HttpResponse:
        seconds = self._rules.limits.retry_after_seconds
        return unavailable(
            seconds + int(seconds * self._rules.jitter()),
            self._rules.wall_clock(),
            f"try again later: {cause}",
        )

    def _wake(self, at: float) -> WakeAt:
        self._deadline = at
        return WakeAt(at)

    def _rest(self, effects: list[Effect], now: float) -> None:
        """The exchange is over: keep little, serve what queued meanwhile, wait for a repetition."""
        self._request = None
        effects.append(self._wake(now + self._rules.limits.finished_seconds))
        if self._backlog:
            following = self._backlog.popleft()
            if not self._backlog:
                self._backlog = None
            effects.extend(self.receive(following, now))

    def _drop_queued(self, exchange: Exchange) -> Sequence[Effect]:
        if self._backlog:
            self._backlog = deque(one for one in self._backlog if one.exchange is not exchange)
        return ()


_INPUTS: Final[Mapping[type, Input]] = {
    StartAuthentication: Input.IDENTITY_RECEIVED,
    ServeWithToken: Input.TOKEN_PRESENTED,
    AaaFailed: Input.AAA_FAILED,
    BssFailed: Input.BSS_FAILED,
    Stored: Input.STORED,
    StoreFailed: Input.STORE_FAILED,
    DeviceGone: Input.DEVICE_GONE,
    TimePassed: Input.TIME_PASSED,
    AaaAborted: Input.ABORTED,
}

# The table pairs an action with the messages it takes, which a type cannot say.
_ACTIONS: Final[Mapping[Action, Callable[[Session, Any, float], list[Effect]]]] = {
    Action.ASK_AAA: Session._ask_aaa,
    Action.JOIN_WAITING_ANSWER: Session._join_waiting_answer,
    Action.ANSWER_FOR_DEVICE: Session._answer_for_device,
    Action.RELAY_CHALLENGE: Session._relay_challenge,
    Action.START_AGAIN: Session._start_again,
    Action.ASK_BSS: Session._ask_bss,
    Action.KEEP: Session._keep,
    Action.REJECT_TOKEN: Session._reject_token,
    Action.ANSWER_DOCUMENT: Session._answer_document,
    Action.REPEAT_RESPONSE: Session._repeat_response,
    Action.REJECT_REPLAY: Session._reject_replay,
    Action.REJECT_ANSWER: Session._reject_answer,
    Action.AUTHENTICATE_AGAIN: Session._authenticate_again,
    Action.REFUSE: Session._refuse,
    Action.REFUSE_FOREIGN: Session._refuse_foreign,
    Action.APOLOGISE: Session._apologise,
    Action.QUEUE: Session._queue,
    Action.REMEMBER_GONE: Session._remember_gone,
    Action.CLOSE: Session._close,
    Action.CLOSE_UNANSWERED: Session._close_unanswered,
    Action.IGNORE: Session._ignore,
}
