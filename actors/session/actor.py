"""One subscriber session as a pooled step-function actor: no task, no socket, no clock.

The conversation of one terminal of one subscriber: EAP-AKA relayed to the AAA (GSMA TS.43 v12
§2.8.1), or a token (§2.8.5), then the subscriber, the decisions and the document. What may happen
when is in `transitions.py`; what the words of a conversation mean is in `authentication.py`; what
is done is in `eap_actions.py` and `service_actions.py`; how an answer looks is in `responses.py`.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from actors.backends.bss import Subscriber
from actors.odsa.offered import operated_app
from actors.session import eap_actions, service_actions
from actors.session.messages import (
    AaaAborted,
    AaaAnswered,
    AaaFailed,
    BssFailed,
    DeskAnswered,
    DeskFailed,
    DeviceGone,
    Effect,
    Exchange,
    Message,
    RelayEapAnswer,
    ServeWithToken,
    StartAuthentication,
    Stored,
    StoreFailed,
    SubscriberFound,
    TimePassed,
    WakeAt,
)
from actors.session.session import Session
from actors.session.transitions import (
    LATE,
    TRANSITIONS,
    Action,
    IllegalTransition,
    Input,
    State,
)


class SessionActor(Session):
    """A session that is stepped by messages.

    They arrive one at a time and in order. `receive` never waits, and never raises for something
    that a device, the AAA or the BSS did. An exception is a bug: the pool ends this session alone.
    """

    __slots__ = ()

    def receive(self, message: Message, now: float) -> Sequence[Effect]:
        """Take one message and say what must be done about it.

        Args:
            message: what happened.
            now: seconds on the Trio clock.

        Returns:
            Effects in the order in which to carry them out.
        """
        given = _INPUTS.get(type(message))
        if given is None:
            given = self._input_of(message)
        elif given is Input.TIME_PASSED:
            if now < self.deadline:
                return (WakeAt(self.deadline),)  # the deadline moved since the wheel was set
        elif isinstance(message, DeviceGone) and message.exchange is not self.exchange:
            return self._drop_queued(message.exchange)
        step = _STEPS.get((self.state, given))
        if step is None:
            if given in LATE:
                return ()
            raise IllegalTransition(self.state, given)
        act, self.state, rests = step
        effects = act(self, message, now)
        if rests:
            self._rest(effects, now)
        return effects

    # --- what a message means ------------------------------------------------------------------

    def _input_of(self, message: Message) -> Input:
        """For messages whose meaning depends on what they say."""
        if isinstance(message, SubscriberFound):
            return self._input_of_subscriber(message.subscriber)
        if isinstance(message, DeskAnswered | DeskFailed):
            return self._input_of_desk(message)
        conversation = self.conversation
        if conversation is None:
            return Input.AAA_FAILED  # nothing of EAP concerns a session by token
        if isinstance(message, RelayEapAnswer):
            return conversation.input_of_answer(message.answer.packet)
        if isinstance(message, AaaFailed):
            return conversation.input_of_silence(message.failure)
        assert isinstance(message, AaaAnswered)
        given = conversation.input_of_dea(message.answer, self.rules.limits)
        if given is Input.SUCCESS_RECEIVED:
            imsi = conversation.authenticated_imsi(message.answer)
            if imsi is None:
                return Input.IDENTITY_UNKNOWN
            tenant = self.rules.tenant_of(imsi, self.tenant)
            if tenant is None:
                return Input.SUBSCRIBER_FOREIGN
            self.accepted = (imsi, tenant)
        return given

    def _input_of_subscriber(self, subscriber: Subscriber | None) -> Input:
        presented, request = self.presented, self.request
        if (
            presented is not None
            and subscriber is not None
            and subscriber.token_generation > presented.token_generation
        ):
            return Input.TOKEN_OUTDATED
        if (
            request is not None
            and request.operation  # most requests have none
            and operated_app(request.apps, request.operation, self.tenant)
        ):
            return Input.OPERATION_ASKED
        return Input.SUBSCRIBER_FOUND if self._must_keep else Input.SUBSCRIBER_SUFFICES

    def _input_of_desk(self, message: DeskAnswered | DeskFailed) -> Input:
        if message.question is not self.question:
            return Input.DESK_LATE
        if isinstance(message, DeskFailed):
            return Input.DESK_FAILED
        return Input.DESK_ANSWERED if self._must_keep else Input.DESK_SUFFICES

    @property
    def _must_keep(self) -> bool:
        """A token is to be issued, or a registration for notifications kept."""
        request = self.request
        return self.presented is None or (request is not None and request.notif_action is not None)

    def _rest(self, effects: list[Effect], now: float) -> None:
        """The exchange is over: keep little, serve what queued meanwhile, wait for a repetition."""
        self.request = self.presented = None
        effects += self.wake(now + self.rules.limits.finished_seconds)
        if self.backlog:
            following = self.backlog.popleft()
            if not self.backlog:
                self.backlog = None
            effects.extend(self.receive(following, now))

    def _drop_queued(self, exchange: Exchange) -> Sequence[Effect]:
        if self.backlog:
            self.backlog = deque(one for one in self.backlog if one.exchange is not exchange)
        return ()


_INPUTS: Final[Mapping[type, Input]] = {
    StartAuthentication: Input.IDENTITY_RECEIVED,
    ServeWithToken: Input.TOKEN_PRESENTED,
    BssFailed: Input.BSS_FAILED,
    Stored: Input.STORED,
    StoreFailed: Input.STORE_FAILED,
    DeviceGone: Input.DEVICE_GONE,
    TimePassed: Input.TIME_PASSED,
    AaaAborted: Input.ABORTED,
}

# The table pairs an action with the messages it takes, which a type cannot say.
_ACTIONS: Final[Mapping[Action, Callable[[Session, Any, float], list[Effect]]]] = {
    Action.ASK_AAA: eap_actions.ask_aaa,
    Action.JOIN_WAITING_ANSWER: eap_actions.join_waiting_answer,
    Action.ANSWER_FOR_DEVICE: eap_actions.answer_for_device,
    Action.RELAY_CHALLENGE: eap_actions.relay_challenge,
    Action.START_AGAIN: eap_actions.start_again,
    Action.ASK_BSS: service_actions.ask_bss,
    Action.KEEP: service_actions.keep,
    Action.ASK_DESK: service_actions.ask_desk,
    Action.KEEP_WITH_OPERATION: service_actions.keep_with_operation,
    Action.REJECT_TOKEN: service_actions.reject_token,
    Action.ANSWER_DOCUMENT: service_actions.answer_document,
    Action.REPEAT_RESPONSE: eap_actions.repeat_response,
    Action.REJECT_REPLAY: eap_actions.reject_replay,
    Action.REJECT_ANSWER: eap_actions.reject_answer,
    Action.AUTHENTICATE_AGAIN: eap_actions.authenticate_again,
    Action.REFUSE: eap_actions.refuse,
    Action.REFUSE_FOREIGN: service_actions.refuse_foreign,
    Action.APOLOGISE: service_actions.apologise,
    Action.QUEUE: service_actions.queue,
    Action.REMEMBER_GONE: service_actions.remember_gone,
    Action.CLOSE: service_actions.close,
    Action.CLOSE_UNANSWERED: service_actions.close_unanswered,
    Action.IGNORE: service_actions.ignore,
}

_FINISHED: Final = (State.SERVED, State.REFUSED)
_Step = tuple[Callable[[Session, Any, float], list[Effect]], State, bool]
# The table with the functions in it; whether the exchange is over then.
_STEPS: Final[Mapping[tuple[State, Input], _Step]] = {
    (state, given): (
        _ACTIONS[action],
        following,
        following is not state and following in _FINISHED,
    )
    for (state, given), (action, following) in TRANSITIONS.items()
}
