"""All subscriber sessions: finds or starts the one a request is for, and does what it wants done.

The only place where the session's effects meet the router, the BSS, the store, the timer wheel,
the cookie and the exchanges. Everything here runs in the Trio thread and never waits.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

import structlog
import trio

from actors.backends.bss import Bss, BssUnavailable, Plan, Subscriber
from actors.counters import Counters
from actors.diameter.outcomes import EapAnswer, EapOutcome, EapRequest, ServerRequest
from actors.runtime.pool import ActorPool, Cell, PoolFull
from actors.runtime.timers import TimerWheel
from actors.session import responses
from actors.session.actor import Rules, Session
from actors.session.authentication import Conversation
from actors.session.cookie import NONCE_OCTETS, CookieSeal
from actors.session.keeping import Keeping
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
from actors.session.randomness import RandomOctets
from actors.session.spent_cookies import SpentCookies
from actors.session.tracing import SessionTrace
from actors.session.user_data import UserDataSeal
from actors.store.records import Token
from actors.store.store import Store, StoreUnavailable
from actors.store.tokens import fault, token_hash
from actors.tenants import Tenants
from actors.trace.recorder import TraceRecorder
from config.model import Sessions as Limits
from config.model import Tenant
from protocols.http.message import HttpRequest, HttpResponse
from protocols.identity import Nai
from protocols.ts43.challenge import challenge
from protocols.ts43.cookies import set_cookie
from protocols.ts43.request import EapRelayAnswer, Ts43Request
from protocols.ts43.responses import authenticate, guarded, unavailable

DIAMETER_SUCCESS: Final = 2001
DIAMETER_UNKNOWN_SESSION_ID: Final = 5002
DIAMETER_UNABLE_TO_COMPLY: Final = 5012

_log = structlog.get_logger("sessions")

SessionCell = Cell[Session, Message, Effect]


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


class Sessions:
    """The registry of the sessions, and the interpreter of their effects."""

    def __init__(
        self,
        limits: Limits,
        *,
        gzip_from_octets: int = 2_000,
        aaa: Aaa,
        bss: Bss,
        store: Store,
        timers: TimerWheel,
        counters: Counters,
        recorder: TraceRecorder,
        seal: CookieSeal,
        user_data: UserDataSeal,
        tenants: Tenants,
    ) -> None:
        """Put the parts together; nothing runs yet.

        Args:
            limits: [sessions] of the configuration.
            gzip_from_octets: of [device].
            user_data: seals what the documents tell the web sheets.
        """
        self._limits = limits
        self._aaa = aaa
        self._bss = bss
        self._store = store
        self._timers = timers
        self._counters = counters
        self._recorder = recorder
        self._seal = seal
        self._tenants = tenants
        self._trace = SessionTrace(recorder)
        self._random = RandomOctets()
        self._keeping = Keeping(store, self._random)
        self._count = 0
        self._rules = Rules(
            limits,
            tenant_of=self._tenant_of,
            jitter=random.random,
            wall_clock=time.time,
            user_data=user_data,
            gzip_from_octets=gzip_from_octets,
        )
        self._by_cookie: dict[str, SessionCell] = {}
        self._by_subscriber: dict[tuple[str, str, str], SessionCell] = {}
        self._by_diameter: dict[bytes, SessionCell] = {}
        self._spent = SpentCookies()
        self._unfinished: dict[tuple[str, str], int] = {}  # (address, terminal) -> sessions
        self.pool: ActorPool[Session, Message, Effect] = ActorPool(
            self._carry_out,
            self._crashed,
            dropped=self._dropped,
            capacity=limits.capacity,
            mailbox_bound=limits.mailbox_bound,
        )

    def _tenant_of(self, imsi: str, candidate: Tenant) -> Tenant | None:
        return self._tenants.of_imsi(imsi, candidate)

    def reload(
        self, limits: Limits, tenants: Tenants, seal: CookieSeal, user_data: UserDataSeal
    ) -> None:
        """Take a new configuration for what comes; running exchanges keep their tenant."""
        self._seal = seal
        self._limits = limits
        self._tenants = tenants
        self._rules = replace(self._rules, limits=limits, user_data=user_data)

    # --- what devices ask ----------------------------------------------------------------------

    def authenticate(
        self, tenant: Tenant, request: Ts43Request, exchange: Exchange, http: HttpRequest
    ) -> None:
        """A request with EAP_ID: begin a conversation with the AAA."""
        device = (exchange.peer, request.terminal_id)
        if self._unfinished.get(device, 0) >= self._limits.max_requests_per_device:
            return self._excuse(tenant, exchange, "device-limit")
        cell = self._start(tenant, request)
        if cell is None:
            return self._excuse(tenant, exchange, "too many sessions")
        self._unfinished[device] = self._unfinished.get(device, 0) + 1
        cell.actor.device = device
        self._tell_for(cell, StartAuthentication(request, exchange), exchange, http)

    def relay(self, answer: EapRelayAnswer, exchange: Exchange, http: HttpRequest) -> None:
        """A POST with an EAP packet: the cookie says whose it is."""
        for value in answer.session_cookies:
            cell = self._by_cookie.get(value)
            if cell is None:
                cell = self._resume(value)
            if cell is not None:
                return self._tell_for(cell, RelayEapAnswer(answer, exchange), exchange, http)
        self._counters.bad_input("ts43", "unknown-cookie")
        self.refuse("", "", authenticate("unknown session"), "unknown cookie", exchange, http)

    def serve_with_token(
        self,
        tenant: Tenant,
        request: Ts43Request,
        exchange: Exchange,
        http: HttpRequest,
        otherwise: Callable[[], None],
    ) -> None:
        """A request with a token: serve it, or call `otherwise` when the token is no good."""
        hashed = token_hash(request.token)
        if hashed is None:
            self._counters.token(tenant.id, "malformed")
            return otherwise()
        self._store.find_token(
            tenant.id,
            hashed,
            partial(self._token_found, tenant, request, exchange, http, otherwise),
        )

    def _token_found(
        self,
        tenant: Tenant,
        request: Ts43Request,
        exchange: Exchange,
        http: HttpRequest,
        otherwise: Callable[[], None],
        found: Token | StoreUnavailable | None,
    ) -> None:
        if isinstance(found, StoreUnavailable):
            return self._excuse(tenant, exchange, f"store {found.reason}")
        now = time.time()
        wrong = fault(
            found,
            tenant=tenant.id,
            imsi=request.imsi or None,
            terminal_id=request.terminal_id,
            apps=request.apps,
            app_name=request.app_name,
            generation=None,
            now=now,
        )
        if found is None or wrong is not None:
            self._counters.token(tenant.id, wrong.value if wrong else "unknown")
            return otherwise()
        self._counters.token(tenant.id, "good")
        key = (tenant.id, found.imsi, found.terminal_id)
        cell = self._by_subscriber.get(key)
        if cell is not None:
            cell.actor.adopt(tenant, self._rules)
        if cell is None:
            cell = self._spawn(Session(tenant, self._rules, self._next_name(), None))
            if cell is None:
                return self._excuse(tenant, exchange, "too many sessions")
            cell.actor.imsi = found.imsi
            cell.actor.subscriber_key = key
            self._by_subscriber[key] = cell
        message = ServeWithToken(
            request=request,
            exchange=exchange,
            imsi=found.imsi,
            token=request.token,
            token_seconds_left=max(1, int(found.expires - now)),
            token_generation=found.generation,
        )
        self._tell_for(cell, message, exchange, http)

    def _tell_for(
        self, cell: SessionCell, message: Message, exchange: Exchange, http: HttpRequest
    ) -> None:
        session = cell.actor
        session.leg_began = trio.current_time()
        session.away_seconds = 0.0
        if self._recorder.armed:
            self._trace.asked(session, http, exchange)
        if self.pool.tell(cell, message):
            exchange.on_gone = partial(self._device_gone, cell, exchange)
        else:
            self._excuse(session.tenant, exchange, "mailbox full")

    def _device_gone(self, cell: SessionCell, exchange: Exchange) -> None:
        self.pool.tell(cell, DeviceGone(exchange))

    def refuse(
        self,
        tenant: str,
        imsi: str,
        response: HttpResponse,
        cause: str,
        exchange: Exchange,
        http: HttpRequest,
    ) -> None:
        """Answer a request that needs no session; `tenant` and `imsi` as far as they are known."""
        self._counters.exchange(tenant, "", str(response.status), cause)
        self._counters.http(tenant, response.status, exchange.http_version)
        if self._recorder.armed and imsi:
            self._trace.refused(tenant, imsi, http, response, exchange)
        exchange.answer(response)

    def _excuse(self, tenant: Tenant, exchange: Exchange, cause: str) -> None:
        """503 with Retry-After, without an actor."""
        self._counters.exchange(tenant.id, "", "503", cause)
        self._counters.http(tenant.id, 503, exchange.http_version)
        seconds = self._limits.retry_after_seconds
        seconds += int(seconds * random.random())  # noqa: S311 - spreads a storm, hides nothing
        exchange.answer(unavailable(seconds, time.time(), f"try again later: {cause}"))

    # --- starting, resuming, ending ------------------------------------------------------------

    def _start(self, tenant: Tenant, request: Ts43Request) -> SessionCell | None:
        """A new session for a conversation with the AAA; None when there is no room."""
        name = self._next_name()
        session_id = self._aaa.new_session_id(name)
        conversation = Conversation(request.eap_id, tenant.authentication, session_id)
        session = Session(tenant, self._rules, name, conversation)
        session.imsi = str(Nai(request.eap_id).imsi or "")
        return self._spawn(session)

    def _resume(self, cookie: str) -> SessionCell | None:
        """Go on with what another worker or node began, or this one before it restarted."""
        point = None if self._spent.has(cookie) else self._seal.open(cookie, time.time())
        if point is None:
            return None
        tenant = self._tenants.by_id(point.tenant)
        if tenant is None:
            return None
        name = self._next_name()
        conversation = Conversation.resumed(point, tenant.authentication)
        session = Session(tenant, self._rules, name, conversation)
        session.imsi = str(Nai(point.eap_id).imsi or "")
        cell = self._spawn(session)
        if cell is not None:
            session.cookie = cookie
            wake = session.resume(responses.resumed_request(point), trio.current_time())
            self._wake_at(cell, wake)
            self._by_cookie[cookie] = cell
            self._counters.session("resumed")
        return cell

    def _spawn(self, session: Session) -> SessionCell | None:
        try:
            cell = self.pool.spawn(session)
        except PoolFull:
            self._counters.session("refused")
            return None
        return cell

    def _next_name(self) -> str:
        self._count += 1
        return str(self._count)

    def _end(self, cell: SessionCell) -> None:
        """Take the session out of every index."""
        session = cell.actor
        self.pool.end(cell)
        self._finished(session)
        if session.cookie:
            self._by_cookie.pop(session.cookie, None)
            now = trio.current_time()
            self._spent.forget(now)
            self._spent.add(session.cookie, now + self._limits.challenge_seconds)
        if session.subscriber_key and self._by_subscriber.get(session.subscriber_key) is cell:
            del self._by_subscriber[session.subscriber_key]
        if session.conversation is not None:
            for session_id in session.conversation.session_ids:
                self._by_diameter.pop(session_id, None)

    def _finished(self, session: Session) -> None:
        """The device may begin another conversation."""
        device, session.device = session.device, None
        if device is not None:
            left = self._unfinished.get(device, 1) - 1
            if left:
                self._unfinished[device] = left
            else:
                self._unfinished.pop(device, None)

    # --- what a session wants done -------------------------------------------------------------

    def _carry_out(self, cell: SessionCell, effect: Effect) -> None:
        _INTERPRETERS[type(effect)](self, cell, effect)

    def _send_der(self, cell: SessionCell, effect: SendDer) -> None:
        self._by_diameter.setdefault(effect.request.session_id, cell)
        cell.actor.der_sent = trio.current_time()
        self._aaa.request(effect.request, partial(self._aaa_outcome, cell))

    def _aaa_outcome(self, cell: SessionCell, outcome: EapOutcome) -> None:
        session = cell.actor
        tenant = session.tenant.id
        application = session.tenant.authentication.application
        seconds = trio.current_time() - session.der_sent
        session.away_seconds += seconds
        if self._recorder.armed:
            self._trace.aaa_outcome(session, outcome, seconds)
        if isinstance(outcome, EapAnswer):
            peer = outcome.peer
            self._counters.diameter(tenant, application, outcome.vendor, outcome.code, peer)
            self._counters.diameter_leg(peer, seconds)
            self.pool.tell(cell, AaaAnswered(outcome))
        else:
            self._counters.no_answer(tenant, application, outcome.reason.value)
            self.pool.tell(cell, AaaFailed(outcome))

    def _send_str(self, cell: SessionCell, effect: SendStr) -> None:
        self._aaa.terminate(effect.request)

    def _find_subscriber(self, cell: SessionCell, effect: FindSubscriber) -> None:
        self._bss.find_subscriber(effect.tenant, effect.imsi, partial(self._subscriber_found, cell))

    def _subscriber_found(
        self, cell: SessionCell, found: tuple[Subscriber, Plan] | BssUnavailable | None
    ) -> None:
        if isinstance(found, BssUnavailable):
            self.pool.tell(cell, BssFailed(f"bss {found}"))
        else:
            self.pool.tell(cell, SubscriberFound(*(found or (None, None))))

    def _keep(self, cell: SessionCell, effect: Keep) -> None:
        self._keeping.keep(cell.actor.tenant, effect, partial(self._kept, cell))

    def _kept(self, cell: SessionCell, kept: Stored | StoreFailed) -> None:
        if isinstance(kept, Stored) and kept.token:
            self._counters.token(cell.actor.tenant.id, "issued")
        self.pool.tell(cell, kept)

    def _answer_with_challenge(self, cell: SessionCell, effect: AnswerWithChallenge) -> None:
        exchange, session = effect.exchange, cell.actor
        if exchange is None or exchange.gone:
            if not session.cookie:  # nobody has the cookie, so nobody can go on
                self._counters.session("abandoned-first-leg")
                self._end(cell)
            return
        if not session.cookie:
            point = session.resume_point(int(time.time() + self._limits.challenge_seconds))
            session.cookie = self._seal.seal(point, self._random.take(NONCE_OCTETS))
            self._by_cookie[session.cookie] = cell
        exchange.on_gone = None
        response = challenge(effect.packet, set_cookie(session.cookie))
        self._give(session, exchange, response)
        if self._recorder.armed:
            self._trace.answered(session, response, (), exchange)

    def _answer(self, cell: SessionCell, effect: Answer) -> None:
        session, exchange = cell.actor, effect.exchange
        self._finished(session)
        for app in effect.apps or ("",):
            self._counters.exchange(
                session.tenant.id, app, str(effect.response.status), effect.cause
            )
        if exchange is not None:
            exchange.on_gone = None
            self._give(session, exchange, effect.response)
        if self._recorder.armed:
            self._trace.answered(session, effect.response, effect.decisions, exchange)

    def _give(self, session: Session, exchange: Exchange, response: HttpResponse) -> None:
        """The answer on its way, counted and timed."""
        sound = guarded(response, self._limits.retry_after_seconds, time.time())
        if sound is not response:
            self._counters.session("status-guarded")
            response = sound
        self._counters.http(session.tenant.id, response.status, exchange.http_version)
        self._counters.leg(trio.current_time() - session.leg_began, session.away_seconds)
        exchange.answer(response)

    def _wake_at(self, cell: SessionCell, effect: WakeAt) -> None:
        session = cell.actor
        if session.alarm_at and session.alarm_at <= effect.at:
            return  # it wakes before, and will say then that it wants to sleep on
        session.alarm_at = effect.at
        self._timers.after(effect.at - trio.current_time(), partial(self._wake, cell))

    def _wake(self, cell: SessionCell) -> None:
        if cell.alive:
            cell.actor.alarm_at = 0.0
            self.pool.tell(cell, TimePassed())

    def _known_as(self, cell: SessionCell, effect: KnownAs) -> None:
        key = (effect.tenant, effect.imsi, effect.terminal_id)
        if key not in self._by_subscriber:
            self._by_subscriber[key] = cell
            cell.actor.subscriber_key = key

    def _note(self, cell: SessionCell, effect: Note) -> None:
        self._counters.eap(cell.actor.tenant.id, effect.event)

    def _alarm(self, cell: SessionCell, effect: Alarm) -> None:
        _log.warning("alarm", tenant=cell.actor.tenant.id, text=effect.text)

    def _end_session(self, cell: SessionCell, effect: EndSession) -> None:
        self._end(cell)

    def _crashed(self, cell: SessionCell, message: Message, error: Exception) -> None:
        """The pool's shell: a bug ended this session; whoever waits gets 503, never 500."""
        session = cell.actor
        _log.error("session crashed", message=type(message).__name__, exc_info=error)
        self._counters.session("crashed")
        self._end(cell)
        waiting = list(session.waiting)
        newest = getattr(message, "exchange", None)
        if newest is not None and newest not in waiting:
            waiting.append(newest)
        for exchange in waiting:
            self._excuse(session.tenant, exchange, "crash")

    def _dropped(self, cell: SessionCell, message: Message) -> None:
        """A session ended with mail left: whoever waits for an answer to it gets one."""
        if isinstance(message, StartAuthentication | ServeWithToken | RelayEapAnswer):
            self._excuse(cell.actor.tenant, message.exchange, "session ended")

    # --- what the AAA asks ---------------------------------------------------------------------

    def serve_aaa(self, request: ServerRequest, reply: Callable[[int], None]) -> None:
        """RAR or ASR: the session ends and its tokens die, so that the device authenticates anew.

        Args:
            reply: takes the Result-Code: 2001 once the tokens are revoked on disk, 5012 when they
                could not be, 5002 when neither a session nor a token is known by that id.
        """
        self._counters.session("aborted-by-aaa")
        cell = self._by_diameter.get(request.session_id)
        if cell is not None:
            self.pool.tell(cell, AaaAborted())
        tenants = self._tenants_of(request.session_id)
        if not tenants:
            reply(DIAMETER_UNKNOWN_SESSION_ID if cell is None else DIAMETER_SUCCESS)
            return
        results: list[int | StoreUnavailable] = []

        def revoked(tenant: str, count: int | StoreUnavailable) -> None:
            results.append(count)
            if isinstance(count, StoreUnavailable):
                _log.error("tokens not revoked", tenant=tenant, reason=count.reason)
            elif count:
                self._counters.token(tenant, "revoked-by-aaa")
            if len(results) == len(tenants):
                failed = any(isinstance(one, StoreUnavailable) for one in results)
                reply(DIAMETER_UNABLE_TO_COMPLY if failed else DIAMETER_SUCCESS)

        now = int(time.time())
        for tenant in tenants:
            self._store.revoke_session(tenant, request.session_id, now, partial(revoked, tenant))

    def _tenants_of(self, session_id: bytes) -> list[str]:
        """The tenants with tokens that came of a Diameter session; nearly always one at most."""
        return [one.id for one in self._tenants if self._store.has_session(one.id, session_id)]


_INTERPRETERS: Final[Mapping[type, Callable[[Sessions, SessionCell, Any], None]]] = {
    SendDer: Sessions._send_der,
    SendStr: Sessions._send_str,
    FindSubscriber: Sessions._find_subscriber,
    Keep: Sessions._keep,
    AnswerWithChallenge: Sessions._answer_with_challenge,
    Answer: Sessions._answer,
    WakeAt: Sessions._wake_at,
    KnownAs: Sessions._known_as,
    Note: Sessions._note,
    Alarm: Sessions._alarm,
    EndSession: Sessions._end_session,
}
