"""What a session does for a device whose subscriber is known, and how every exchange ends.

One function for each remaining action of `transitions.py`: the subscriber, the token, the document
(GSMA TS.43 v12 §2.8.5), apologies, and what waits or has gone.
"""

from collections import deque
from typing import Final

from actors.backends.bss import Plan, Subscriber, SubscriberStatus
from actors.diameter.outcomes import EapAnswer
from actors.odsa.offered import operated_app
from actors.odsa.question import Question
from actors.session import responses
from actors.session.authentication import outcome_of
from actors.session.messages import (
    AaaAborted,
    AaaAnswered,
    AaaFailed,
    Alarm,
    Answer,
    AskDesk,
    BssFailed,
    DeskAnswered,
    DeskFailed,
    Effect,
    EndSession,
    FindSubscriber,
    Keep,
    KnownAs,
    Message,
    Note,
    SendStr,
    ServeWithToken,
    Stored,
    StoreFailed,
    SubscriberFound,
)
from actors.session.session import Session
from protocols.ts43.responses import authenticate, forbidden

TO_ANSWER_SECONDS: Final = 1.0  # of the budget of a leg, when an operation has taken all it may
FOREIGN: Final = "no operator here serves this subscriber"
NO_PLAN: Final = Plan("none", "none", frozenset())


def unknown_subscriber(tenant: str, imsi: str) -> tuple[Subscriber, Plan]:
    """One that the AAA knows and the BSS does not: nothing was sold to it (yet)."""
    subscriber = Subscriber(tenant, imsi, "", "", NO_PLAN.plan_id, SubscriberStatus.ACTIVE)
    return subscriber, NO_PLAN


def ask_bss(session: Session, message: Message, now: float) -> list[Effect]:
    """What did the subscriber buy, whom a token or the AAA names?"""
    effects: list[Effect] = []
    if isinstance(message, ServeWithToken):
        session.request = message.request
        session.exchange = message.exchange
        session.imsi = message.imsi
        session.presented = message
    else:
        assert isinstance(message, AaaAnswered)
        effects = _authenticated(session, message.answer)
    session.undelivered = session.question = session.decided = None
    effects.append(FindSubscriber(session.tenant.id, session.imsi))
    effects += session.wake(now + session.rules.limits.answer_seconds)
    return effects


def _authenticated(session: Session, answer: EapAnswer) -> list[Effect]:
    """Who it is, by the AAA's word; the Diameter session has served its purpose."""
    request = session.request
    assert request is not None
    assert session.accepted is not None, "_input_of gives SUCCESS_RECEIVED with one alone"
    session.imsi, session.tenant = session.accepted
    session.accepted = None
    session.presented = None
    effects: list[Effect] = [Note("success")]
    if session.tenant.authentication.session_termination and answer.auth_session_state == 0:
        effects.append(SendStr(session.der(b"")))
    effects.append(KnownAs(session.tenant.id, session.imsi, request.terminal_id))
    return effects


def ask_desk(session: Session, message: SubscriberFound, now: float) -> list[Effect]:
    """An operation (§6): eSIM orders and phone numbers are answered elsewhere."""
    request, presented = session.request, session.presented
    assert request is not None
    given = responses.decision_input(
        session.tenant,
        *_take_subscriber(session, message),
        entitlement_version=request.entitlement_version,
        accept_language=request.accept_language,
        wall_clock=session.rules.wall_clock(),
        operation=request.operation,
    )
    inline = session.tenant.odsa.inline_seconds
    session.question = Question(
        app=operated_app(request.apps, request.operation, session.tenant),
        operation=request.operation,
        params=request.params,
        given=given,
        known=message.subscriber is not None,
        terminal_id=request.terminal_id,
        token=None if presented is None else presented.temporary,
        budget_seconds=max(0.0, min(inline, session.deadline - now - TO_ANSWER_SECONDS)),
    )
    return [AskDesk(session.question)]


def keep_with_operation(session: Session, message: DeskAnswered, now: float) -> list[Effect]:
    """The operation was answered; then as for every other request."""
    assert session.subscriber is not None
    session.decided = message.decision
    return _keep(session, session.subscriber[0])


def keep(session: Session, message: SubscriberFound, now: float) -> list[Effect]:
    """A token and a registration outlive this process: on disk before they are given out."""
    return _keep(session, _take_subscriber(session, message)[0])


def _keep(session: Session, subscriber: Subscriber) -> list[Effect]:
    assert session.request is not None
    conversation = session.conversation
    return [
        Keep(
            request=session.request,
            imsi=session.imsi,
            issue_token=session.presented is None,
            token_generation=subscriber.token_generation,
            diameter_session_id=b"" if conversation is None else conversation.session_id,
        )
    ]


def _take_subscriber(session: Session, message: SubscriberFound) -> tuple[Subscriber, Plan]:
    """Keep the subscriber until the answer."""
    if message.subscriber is None or message.plan is None:
        session.subscriber = unknown_subscriber(session.tenant.id, session.imsi)
    else:
        session.subscriber = (message.subscriber, message.plan)
    return session.subscriber


def answer_document(
    session: Session, message: SubscriberFound | DeskAnswered | Stored, now: float
) -> list[Effect]:
    """Decide every application that was asked for, and answer."""
    presented, notification_status = session.presented, None
    if isinstance(message, SubscriberFound):
        _take_subscriber(session, message)
    elif isinstance(message, DeskAnswered):
        session.decided = message.decision
    else:
        assert isinstance(message, Stored)
        notification_status = message.notification_status
    if presented is not None:
        token, seconds = presented.token, presented.token_seconds_left
    else:
        assert isinstance(message, Stored)
        token, seconds = message.token, session.tenant.tokens.validity_seconds
    assert session.request is not None
    assert session.subscriber is not None
    response, decisions = responses.document(
        session.request,
        session.tenant,
        *session.subscriber,
        remembered=session.rules.remembered,
        user_data=session.rules.user_data,
        token=token,
        token_seconds=seconds,
        notification_status=notification_status,
        wall_clock=session.rules.wall_clock(),
        gzip_from_octets=session.rules.gzip_from_octets,
        decided=session.decided,
    )
    session.subscriber = session.decided = session.question = None
    return [session.give(response, "served", decisions)]


def reject_token(session: Session, message: Message, now: float) -> list[Effect]:
    """It was voided after the store found it good (§2.10: authenticate)."""
    return [session.give(authenticate("the token is void"), "token revoked")]


def refuse_foreign(session: Session, message: Message, now: float) -> list[Effect]:
    """Authenticated, and nobody's subscriber here."""
    return [Note("foreign"), session.give(forbidden(FOREIGN), "foreign subscriber")]


def apologise(session: Session, message: Message, now: float) -> list[Effect]:
    """Not the subscriber's fault: 503 with Retry-After, or 511 when there is another way."""
    effects: list[Effect] = []
    cause, another_way = "timeout", False
    if isinstance(message, AaaAnswered):
        assert session.conversation is not None
        cause, alarm = session.conversation.failure(message.answer)
        another_way = outcome_of(message.answer).alternative_helps
        if alarm:
            effects.append(Alarm(alarm))
    elif isinstance(message, AaaFailed):
        cause, another_way = f"aaa {message.failure.reason.value}", True
    elif isinstance(message, BssFailed | StoreFailed | DeskFailed):
        cause = message.cause
    elif isinstance(message, AaaAborted):
        cause = "aborted by the AAA"
    had_token = session.request is not None and bool(session.request.token)
    if another_way and session.tenant.authentication.alternative and not had_token:
        response = authenticate("use another authentication")
    else:
        response = session.unavailable(cause)
    effects.append(session.give(response, cause))
    return effects


def queue(session: Session, message: ServeWithToken, now: float) -> list[Effect]:
    """Another request of the device that is being served: its turn comes, if it has patience."""
    if session.backlog is None:
        session.backlog = deque()
    if len(session.backlog) + 1 >= session.rules.limits.max_requests_per_device:
        return [Answer(message.exchange, session.unavailable("too many requests"), "device-limit")]
    session.backlog.append(message)
    return []


def remember_gone(session: Session, message: Message, now: float) -> list[Effect]:
    """Nobody waits; what is under way is finished for a repetition."""
    session.exchange = None
    return [Note("gone")]


def close(session: Session, message: Message, now: float) -> list[Effect]:
    """It has rested long enough."""
    return [EndSession()]


def close_unanswered(session: Session, message: Message, now: float) -> list[Effect]:
    """The device did not answer its challenge."""
    return [Note("abandoned"), EndSession()]


def ignore(session: Session, message: Message, now: float) -> list[Effect]:
    """Nothing depends on it here."""
    return []
