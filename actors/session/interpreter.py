"""Does what sessions want done.

The only place where a session's effects meet the router, the BSS, the store, the timer wheel, the
cookie and the exchanges; what comes back is told to the session. Runs in the Trio thread and never
waits.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

import structlog

from actors.backends.bss import Bss, BssUnavailable, Plan, Subscriber
from actors.counters import Counters
from actors.diameter.outcomes import EapAnswer, EapOutcome, EapRequest
from actors.entitlement.decision import Decision
from actors.odsa.clerk import Clerk
from actors.odsa.question import Question, Unanswered, result_of
from actors.runtime.timers import TimerWheel
from actors.session.actor import SessionActor
from actors.session.cookie import NONCE_OCTETS
from actors.session.keeping import Keeping
from actors.session.messages import (
    AaaAnswered,
    AaaFailed,
    Alarm,
    Answer,
    AnswerWithChallenge,
    AskDesk,
    BssFailed,
    DeskAnswered,
    DeskFailed,
    EndSession,
    Exchange,
    FindSubscriber,
    Keep,
    KnownAs,
    Note,
    SendDer,
    SendStr,
    Stored,
    StoreFailed,
    SubscriberFound,
    TimePassed,
    WakeAt,
)
from actors.session.randomness import RandomOctets
from actors.session.registry import Registry, SessionCell, SessionPool
from actors.session.tracing import SessionTrace
from actors.store.store import Store
from protocols.http.message import HttpResponse
from protocols.ts43.challenge import challenge
from protocols.ts43.cookies import set_cookie
from protocols.ts43.responses import guarded

_log = structlog.get_logger("sessions")


class Aaa(Protocol):
    """What sessions need of the Diameter router."""

    def request(self, der: EapRequest, reply: Callable[[EapOutcome], None]) -> None:
        """Send a DER; `reply` is called exactly once, perhaps before this returns."""
        ...

    def terminate(self, request: EapRequest) -> None:
        """Send an STR for the request's session; best effort."""
        ...

    def new_session_id(self, actor: str) -> bytes:
        """A Session-Id that names this node and the actor."""
        ...


class Interpreter:
    """Carries out the effects of all sessions."""

    def __init__(
        self,
        *,
        pool: SessionPool,
        registry: Registry,
        aaa: Aaa,
        bss: Bss,
        store: Store,
        timers: TimerWheel,
        counters: Counters,
        trace: SessionTrace,
        random: RandomOctets,
        owner: int,
        clerk: Clerk | None = None,
    ) -> None:
        """Take the parts; the pool's effects are carried out here from now on.

        Args:
            owner: this process, as cookies name it.
            clerk: answers operations; None: nobody does.
        """
        self._tell = pool.tell
        pool.effects = {
            SendDer: self._send_der,
            SendStr: self._send_str,
            FindSubscriber: self._find_subscriber,
            AskDesk: self._ask_desk,
            Keep: self._keep,
            AnswerWithChallenge: self._answer_with_challenge,
            Answer: self._answer,
            WakeAt: self.wake_at,
            KnownAs: self._known_as,
            Note: self._note,
            Alarm: self._alarm,
            EndSession: self._end_session,
        }
        self._registry = registry
        self._aaa = aaa
        self._bss = bss
        self._timers = timers
        self._turn = timers.turn
        self._counters = counters
        self._trace = trace
        self._random = random
        self._owner = owner
        self._clerk = clerk
        self._keeping = Keeping(store, random)

    # --- the AAA -------------------------------------------------------------------------------

    def _send_der(self, cell: SessionCell, effect: SendDer, now: float) -> None:
        self._registry.file_diameter(cell, effect.request.session_id)
        cell.actor.der_sent = now
        self._aaa.request(effect.request, partial(self._aaa_outcome, cell))

    def _aaa_outcome(self, cell: SessionCell, outcome: EapOutcome) -> None:
        session = cell.actor
        tenant = session.tenant.id
        application = session.tenant.authentication.application
        seconds = self._turn.now() - session.der_sent
        session.away_seconds += seconds
        if self._trace.armed:
            self._trace.aaa_outcome(session, outcome, seconds)
        if isinstance(outcome, EapAnswer):
            peer = outcome.peer
            self._counters.diameter(tenant, application, outcome.vendor, outcome.code, peer)
            self._counters.diameter_leg(peer, seconds)
            self._tell(cell, AaaAnswered(outcome))
        else:
            self._counters.no_answer(tenant, application, outcome.reason.value)
            self._tell(cell, AaaFailed(outcome))

    def _send_str(self, cell: SessionCell, effect: SendStr, now: float) -> None:
        self._aaa.terminate(effect.request)

    # --- the BSS and the store -----------------------------------------------------------------

    def _find_subscriber(self, cell: SessionCell, effect: FindSubscriber, now: float) -> None:
        self._bss.find_subscriber(effect.tenant, effect.imsi, partial(self._subscriber_found, cell))

    def _subscriber_found(
        self, cell: SessionCell, found: tuple[Subscriber, Plan] | BssUnavailable | None
    ) -> None:
        if isinstance(found, BssUnavailable):
            self._tell(cell, BssFailed(f"bss {found}"))
        else:
            self._tell(cell, SubscriberFound(*(found or (None, None))))

    def _ask_desk(self, cell: SessionCell, effect: AskDesk, now: float) -> None:
        question = effect.question
        if self._clerk is None:
            self._tell(cell, DeskFailed(question, "no desk"))
        else:
            self._clerk.ask(question, partial(self._desk_answered, cell, question))

    def _desk_answered(
        self, cell: SessionCell, question: Question, found: Decision | Unanswered
    ) -> None:
        if isinstance(found, Unanswered):
            self._tell(cell, DeskFailed(question, found.cause))
        else:
            tenant, result = question.tenant.id, result_of(found)
            self._counters.operation(tenant, question.app, question.operation, result)
            self._tell(cell, DeskAnswered(question, found))

    def _keep(self, cell: SessionCell, effect: Keep, now: float) -> None:
        self._keeping.keep(cell.actor.tenant, effect, partial(self._kept, cell))

    def _kept(self, cell: SessionCell, kept: Stored | StoreFailed) -> None:
        if isinstance(kept, Stored) and kept.token:
            self._counters.token(cell.actor.tenant.id, "issued")
        self._tell(cell, kept)

    # --- the device ----------------------------------------------------------------------------

    def _answer_with_challenge(
        self, cell: SessionCell, effect: AnswerWithChallenge, now: float
    ) -> None:
        exchange, session = effect.exchange, cell.actor
        if exchange is None or exchange.gone:
            if not session.cookie:  # nobody has the cookie, so nobody can go on
                self._counters.session("abandoned-first-leg")
                self._registry.end(cell, now)
            return
        if not session.cookie:
            expires = int(time.time() + session.rules.limits.challenge_seconds)
            point = session.resume_point(expires, self._owner)
            cookie = self._registry.seal.seal(point, self._random.take(NONCE_OCTETS))
            self._registry.file_cookie(cell, cookie)
        exchange.on_gone = None
        response = challenge(effect.packet, set_cookie(session.cookie))
        self._give(session, exchange, response)
        if self._trace.armed:
            self._trace.answered(session, response, (), exchange)

    def _answer(self, cell: SessionCell, effect: Answer, now: float) -> None:
        session, exchange = cell.actor, effect.exchange
        self._registry.finished(session)
        self._counters.exchanges(
            session.tenant.id, effect.apps, effect.response.status, effect.cause
        )
        if exchange is not None:
            exchange.on_gone = None
            self._give(session, exchange, effect.response)
        if self._trace.armed:
            self._trace.answered(session, effect.response, effect.decisions, exchange)

    def _give(self, session: SessionActor, exchange: Exchange, response: HttpResponse) -> None:
        """The answer on its way, counted and timed."""
        sound = guarded(response, session.rules.limits.retry_after_seconds, time.time())
        if sound is not response:
            self._counters.session("status-guarded")
            response = sound
        self._counters.http(session.tenant.id, response.status, exchange.http_version)
        self._counters.leg(self._turn.now() - session.leg_began, session.away_seconds)
        exchange.answer(response)

    # --- time and the registry -----------------------------------------------------------------

    def wake_at(self, cell: SessionCell, effect: WakeAt, now: float) -> None:
        """Ring for the session then, unless the wheel rings before: it will ask again."""
        session = cell.actor
        if session.alarm_at and session.alarm_at <= effect.at:
            return
        session.alarm_at = effect.at
        self._timers.at(effect.at, partial(self._wake, cell))

    def _wake(self, cell: SessionCell) -> None:
        if cell.alive:
            cell.actor.alarm_at = 0.0
            self._tell(cell, TimePassed())

    def _known_as(self, cell: SessionCell, effect: KnownAs, now: float) -> None:
        self._registry.file_subscriber(cell, (effect.tenant, effect.imsi, effect.terminal_id))

    def _end_session(self, cell: SessionCell, effect: EndSession, now: float) -> None:
        self._registry.end(cell, now)

    # --- the operator --------------------------------------------------------------------------

    def _note(self, cell: SessionCell, effect: Note, now: float) -> None:
        self._counters.eap(cell.actor.tenant.id, effect.event)

    def _alarm(self, cell: SessionCell, effect: Alarm, now: float) -> None:
        _log.warning("alarm", tenant=cell.actor.tenant.id, text=effect.text)
