"""What a session does on the way through an EAP conversation (GSMA TS.43 v12 §2.8.1).

One function for each action of `transitions.py` that concerns the AAA's and the device's packets.
"""

from actors.session import responses
from actors.session.messages import (
    AaaAnswered,
    AaaFailed,
    Alarm,
    Answer,
    AnswerWithChallenge,
    Effect,
    Message,
    Note,
    RelayEapAnswer,
    SendDer,
    StartAuthentication,
)
from actors.session.session import Session
from protocols.ts43.responses import authenticate, forbidden


def ask_aaa(session: Session, message: Message, now: float) -> list[Effect]:
    """The device's identity or answer becomes a DER."""
    conversation = session.conversation
    assert conversation is not None
    if isinstance(message, StartAuthentication):
        session.request = message.request
        session.exchange = message.exchange
        packet = conversation.begin()
    else:
        assert isinstance(message, RelayEapAnswer)
        session.exchange = message.exchange
        assert session.request is not None
        responses.take_form(session.request, message.answer)
        packet = conversation.take_answer(message.answer.packet)
    effects: list[Effect] = []
    if conversation.last_event:
        effects.append(Note(conversation.last_event))
    session.undelivered = None
    effects.append(SendDer(session.der(packet)))
    effects += session.wake(now + session.rules.limits.answer_seconds)
    return effects


def answer_for_device(session: Session, message: AaaAnswered, now: float) -> list[Effect]:
    """A round that no phone can answer, and that needs no key."""
    assert session.conversation is not None
    packet = session.conversation.answer_for_device(message.answer)
    return [Note("answered-for-device"), SendDer(session.der(packet))]


def start_again(session: Session, message: Message, now: float) -> list[Effect]:
    """The AAA forgot the conversation, or is gone: one new one, perhaps at another AAA."""
    assert session.conversation is not None
    packet = session.conversation.begin_again(elsewhere=isinstance(message, AaaFailed))
    return [Note("session-lost"), SendDer(session.der(packet))]


def relay_challenge(session: Session, message: AaaAnswered, now: float) -> list[Effect]:
    """The AAA's challenge goes to the device, which has a while to answer it."""
    conversation, exchange = session.conversation, session.exchange
    assert conversation is not None
    packet = conversation.take_challenge(message.answer)
    session.exchange = None
    seconds = session.rules.limits.challenge_seconds
    if message.answer.multi_round_time_out:  # the AAA forgets it by then (RFC 6733 §8.19)
        seconds = min(seconds, message.answer.multi_round_time_out)
    effects: list[Effect] = [
        Note("challenge"),
        AnswerWithChallenge(exchange, packet),
        *session.wake(now + seconds),
    ]
    if conversation.out_of_order:
        effects.insert(1, Alarm("the AAA's challenge does not begin with AT_RAND, AT_AUTN"))
    return effects


def repeat_response(session: Session, message: RelayEapAnswer, now: float) -> list[Effect]:
    """The outstanding challenge again: the response to the first POST was lost."""
    assert session.conversation is not None
    return [
        Note("repeated"),
        AnswerWithChallenge(message.exchange, session.conversation.outstanding),
    ]


def reject_replay(session: Session, message: RelayEapAnswer, now: float) -> list[Effect]:
    """After the end: what never reached the device is given once; all else authenticates."""
    response, session.undelivered = session.undelivered, None
    if response is not None:
        return [Note("repeated"), Answer(message.exchange, response, "repeated")]
    return [
        Note("replayed"),
        Answer(message.exchange, authenticate("answered already"), "replayed"),
    ]


def reject_answer(session: Session, message: RelayEapAnswer, now: float) -> list[Effect]:
    """It answers nothing outstanding; the exchange goes on beside it."""
    assert session.conversation is not None
    fault = session.conversation.fault
    return [
        Note("malformed"),
        Answer(message.exchange, responses.bad_request(fault), "bad-eap"),
    ]


def authenticate_again(session: Session, message: RelayEapAnswer, now: float) -> list[Effect]:
    """The round that it answers was lost with another process: a new conversation, once."""
    conversation = session.conversation
    assert conversation is not None
    assert session.request is not None
    session.exchange = message.exchange
    responses.take_form(session.request, message.answer)
    packet = conversation.take_lost_answer(message.answer.packet)
    return [
        Note("lost-round"),
        SendDer(session.der(packet)),
        *session.wake(now + session.rules.limits.answer_seconds),
    ]


def join_waiting_answer(session: Session, message: RelayEapAnswer, now: float) -> list[Effect]:
    """The device repeated its POST: the newer exchange gets the answer, the older is gone."""
    older, session.exchange = session.exchange, message.exchange
    effects: list[Effect] = [Note("repeated")]
    if older is not None:
        effects.append(Answer(older, session.unavailable("superseded"), "superseded"))
    return effects


def refuse(session: Session, message: AaaAnswered, now: float) -> list[Effect]:
    """The AAA's word about this subscriber (Table 7)."""
    assert session.conversation is not None
    cause, alarm = session.conversation.refusal(message.answer)
    effects: list[Effect] = [Note("reject")]
    if alarm:
        effects.append(Alarm(alarm))
    effects.append(session.give(forbidden(f"refused: {cause}"), cause))
    return effects
