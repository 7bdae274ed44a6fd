"""All subscriber sessions: what devices and the AAA ask goes to the session it is for.

Finds or starts that session (`registry.py`) and gives it the message; what the session then wants
is done by `interpreter.py`. Everything here runs in the Trio thread and never waits.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from actors.admission.admission import Admission
from actors.backends.bss import Bss
from actors.counters import Counters
from actors.diameter.outcomes import ServerRequest
from actors.odsa.clerk import Clerk
from actors.odsa.offered import offers
from actors.odsa.question import Unanswered
from actors.orders.port import TemporaryToken, TokenRefusal
from actors.runtime.pool import ActorPool
from actors.runtime.timers import TimerWheel
from actors.session import responses
from actors.session.aaa_requests import Revocation
from actors.session.cookie import CookieSeal, ResumePoint
from actors.session.interpreter import Aaa, Interpreter
from actors.session.messages import (
    AaaAborted,
    DeviceGone,
    Exchange,
    Message,
    RelayEapAnswer,
    ServeWithToken,
    StartAuthentication,
)
from actors.session.randomness import RandomOctets
from actors.session.registry import Registry, SessionCell, SessionPool
from actors.session.session import Rules
from actors.session.tracing import SessionTrace
from actors.session.user_data import UserDataSeal
from actors.store.records import Token
from actors.store.store import Store, StoreUnavailable
from actors.store.tokens import fault, token_hash
from actors.tenants import Tenants
from actors.trace.recorder import TraceRecorder
from config.model import Overload, Tenant
from config.model import Sessions as Limits
from protocols.http.message import HttpRequest, HttpResponse
from protocols.ts43.request import EapRelayAnswer, Ts43Request
from protocols.ts43.responses import authenticate, forbidden, unauthorised, unavailable

_log = structlog.get_logger("sessions")

# Hands a request to the process that owns its session; calls the last argument when that is gone.
Forward = Callable[[int, HttpRequest, Exchange, Callable[[], None]], None]


NEVER_OUTDATED: Final = 2**62  # a temporary token has no generation; it ends after minutes
REFUSED_TOKENS: Final[Mapping[TokenRefusal, HttpResponse]] = {
    TokenRefusal.UNKNOWN: unauthorised("the temporary token is unknown or has expired"),
    TokenRefusal.OUTSIDE_TARGETS: forbidden("the temporary token is not for this operation"),
}


class Sessions:
    """The sessions of one process, as the device surface and the Diameter router see them."""

    def __init__(
        self,
        limits: Limits,
        *,
        gzip_from_octets: int = 8_000,
        aaa: Aaa,
        bss: Bss,
        store: Store,
        timers: TimerWheel,
        counters: Counters,
        recorder: TraceRecorder,
        seal: CookieSeal,
        user_data: UserDataSeal,
        tenants: Tenants,
        admission: Admission | None = None,
        owner: int = 0,
        forward: Forward | None = None,
        clerk: Clerk | None = None,
    ) -> None:
        """Put the parts together; nothing runs yet.

        Args:
            limits: [sessions] of the configuration.
            gzip_from_octets: of [device].
            user_data: seals what the documents tell the web sheets.
            admission: asked what may begin; None: only the limit of each device counts.
            owner: this process, as cookies name it.
            forward: reaches the other processes that cookies may name; None when there is none.
            clerk: answers operations (eSIM orders, phone numbers); None: 503 to them.
        """
        self._limits = limits
        self._aaa = aaa
        self._store = store
        self._counters = counters
        self._tenants = tenants
        self._admission = admission or Admission(Overload())
        self._owner = owner
        self._forward = forward
        self._clerk = clerk
        self._trace = SessionTrace(recorder)
        self._turn = timers.turn
        self.pool: SessionPool = ActorPool(
            self._crashed,
            dropped=self._dropped,
            capacity=limits.capacity,
            mailbox_bound=limits.mailbox_bound,
            clock=lambda: self._turn.now(),
        )
        rules = Rules(
            limits,
            tenant_of=self._tenant_of,
            jitter=random.random,
            wall_clock=time.time,
            user_data=user_data,
            gzip_from_octets=gzip_from_octets,
        )
        self._registry = Registry(rules, seal, self.pool, counters)
        self._interpreter = Interpreter(
            pool=self.pool,
            registry=self._registry,
            aaa=aaa,
            bss=bss,
            store=store,
            timers=timers,
            counters=counters,
            trace=self._trace,
            random=RandomOctets(),
            owner=owner,
            clerk=clerk,
        )

    def sizes(self) -> dict[str, int]:
        """How many entries each index of the sessions has."""
        return self._registry.sizes()

    def under_way(self, address: str) -> int:
        """How many conversations with devices at this address have begun and not ended."""
        return self._registry.under_way(address)

    def _tenant_of(self, imsi: str, candidate: Tenant) -> Tenant | None:
        return self._tenants.of_imsi(imsi, candidate)

    def reload(
        self, limits: Limits, tenants: Tenants, seal: CookieSeal, user_data: UserDataSeal
    ) -> None:
        """Take a new configuration for what comes; running exchanges keep their tenant."""
        self._limits = limits
        self._tenants = tenants
        registry = self._registry
        registry.seal = seal
        registry.rules = replace(registry.rules, limits=limits, user_data=user_data)

    # --- what devices ask ----------------------------------------------------------------------

    def authenticate(
        self, tenant: Tenant, request: Ts43Request, exchange: Exchange, http: HttpRequest
    ) -> None:
        """A request with EAP_ID: begin a conversation with the AAA."""
        device = (exchange.peer, request.terminal_id)
        if self._registry.unfinished(device) >= self._limits.max_requests_per_device:
            return self._excuse(tenant, exchange, "device-limit")
        now = self._turn.now()
        why_not = self._admission.authentication(tenant, request, exchange.peer, now)
        if why_not:
            return self._shed(tenant, exchange, "authentication", why_not)
        cell = self._registry.start(tenant, request, device, self._aaa.new_session_id)
        if cell is None:
            return self._excuse(tenant, exchange, "too many sessions")
        self._tell_for(cell, StartAuthentication(request, exchange), exchange, http)

    def relay(self, answer: EapRelayAnswer, exchange: Exchange, http: HttpRequest) -> None:
        """A POST with an EAP packet: the cookie says whose it is."""
        for cookie in answer.session_cookies:
            cell = self._registry.by_cookie(cookie)
            if cell is not None:
                return self._tell_for(cell, RelayEapAnswer(answer, exchange), exchange, http)
            point = self._registry.open(cookie)
            if point is not None:
                here = partial(self._resume, cookie, point, answer, exchange, http)
                if self._forward is None or point.owner == self._owner:
                    return here()
                return self._forward(point.owner, http, exchange, here)
        self._unknown_cookie(exchange, http)

    def _resume(
        self,
        cookie: str,
        point: ResumePoint,
        answer: EapRelayAnswer,
        exchange: Exchange,
        http: HttpRequest,
    ) -> None:
        """Whoever began this exchange is gone: go on with it here."""
        tenant = self._tenants.by_id(point.tenant)
        # What an operation was asked with is not in a cookie: its device starts over.
        if tenant is None or any(offers(tenant, app_id) for app_id in point.apps):
            return self._unknown_cookie(exchange, http)
        cell = self._registry.by_cookie(cookie)
        if cell is None:
            cell = self._registry.resume(cookie, point, tenant)
            if cell is None:
                return self._excuse(tenant, exchange, "too many sessions")
            now = self._turn.now()
            wake = cell.actor.resume(responses.resumed_request(point), now)
            self._interpreter.wake_at(cell, wake, now)
        self._tell_for(cell, RelayEapAnswer(answer, exchange), exchange, http)

    def _unknown_cookie(self, exchange: Exchange, http: HttpRequest) -> None:
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
        why_not = self._admission.token(tenant, self._turn.now())
        if why_not:
            return self._shed(tenant, exchange, "token", why_not)
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
        cell = self._registry.of_subscriber(tenant, found.imsi, found.terminal_id)
        if cell is None:
            return self._excuse(tenant, exchange, "too many sessions")
        message = ServeWithToken(
            request=request,
            exchange=exchange,
            imsi=found.imsi,
            token=request.token,
            token_seconds_left=max(1, int(found.expires - now)),
            token_generation=found.generation,
        )
        self._tell_for(cell, message, exchange, http)

    def serve_with_temporary_token(
        self,
        tenant: Tenant,
        app: str,
        request: Ts43Request,
        exchange: Exchange,
        http: HttpRequest,
    ) -> None:
        """A request with a temporary token, for an operation of `app` (§2.8.6, table 8)."""
        why_not = self._admission.token(tenant, self._turn.now())
        if why_not:
            return self._shed(tenant, exchange, "token", why_not)
        if self._clerk is None:
            return self._excuse(tenant, exchange, "no desk")
        done = partial(self._redeemed, tenant, request, exchange, http)
        self._clerk.redeem(tenant, app, request, done)

    def _redeemed(
        self,
        tenant: Tenant,
        request: Ts43Request,
        exchange: Exchange,
        http: HttpRequest,
        found: TemporaryToken | TokenRefusal | Unanswered,
    ) -> None:
        if isinstance(found, Unanswered):
            return self._excuse(tenant, exchange, found.cause)
        if isinstance(found, TokenRefusal):
            self._counters.token(tenant.id, f"temporary-{found.value}")
            response = REFUSED_TOKENS[found]
            return self.refuse(tenant.id, "", response, "temporary token", exchange, http)
        self._counters.token(tenant.id, "temporary-good")
        cell = self._registry.of_subscriber(tenant, found.imsi, request.terminal_id)
        if cell is None:
            return self._excuse(tenant, exchange, "too many sessions")
        message = ServeWithToken(
            request=request,
            exchange=exchange,
            imsi=found.imsi,
            token="",
            token_seconds_left=0,
            token_generation=NEVER_OUTDATED,
            temporary=found,
        )
        self._tell_for(cell, message, exchange, http)

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
        if self._trace.armed and imsi:
            self._trace.refused(tenant, imsi, http, response, exchange)
        exchange.answer(response)

    # --- what the AAA asks ---------------------------------------------------------------------

    def serve_aaa(self, request: ServerRequest, reply: Callable[[int], None]) -> None:
        """RAR or ASR: the session ends and its tokens die, so that the device authenticates anew.

        Args:
            reply: takes the Result-Code (`Revocation` says which).
        """
        self._counters.session("aborted-by-aaa")
        cell = self._registry.by_diameter(request.session_id)
        if cell is not None:
            self.pool.tell(cell, AaaAborted())
        Revocation(
            request,
            reply,
            under_way=cell is not None,
            store=self._store,
            tenants=tuple(tenant.id for tenant in self._tenants),
            counters=self._counters,
        )

    # --- messages and effects ------------------------------------------------------------------

    def _tell_for(
        self, cell: SessionCell, message: Message, exchange: Exchange, http: HttpRequest
    ) -> None:
        """Give the session what a device asked of it."""
        session = cell.actor
        session.leg_began = self._turn.now()
        session.away_seconds = 0.0
        if self._trace.armed:
            self._trace.asked(session, http, exchange)
        if self.pool.tell(cell, message):
            exchange.on_gone = partial(self._device_gone, cell, exchange)
        else:
            self._excuse(session.tenant, exchange, "mailbox full")

    def _device_gone(self, cell: SessionCell, exchange: Exchange) -> None:
        self.pool.tell(cell, DeviceGone(exchange))

    def _crashed(self, cell: SessionCell, message: Message, error: Exception) -> None:
        """The pool's shell: a bug ended this session; whoever waits gets 503, never 500."""
        session = cell.actor
        _log.error("session crashed", message=type(message).__name__, exc_info=error)
        self._counters.session("crashed")
        self._registry.end(cell, self._turn.now())
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

    def _shed(self, tenant: Tenant, exchange: Exchange, what: str, why: str) -> None:
        """Refuse what would have begun; the device comes back when there may be room."""
        self._counters.shed(tenant.id, what, why)
        self._excuse(tenant, exchange, why, self._admission.retry_after())

    def _excuse(
        self, tenant: Tenant, exchange: Exchange, cause: str, seconds: int | None = None
    ) -> None:
        """503 with Retry-After, without an actor."""
        self._counters.exchange(tenant.id, "", "503", cause)
        self._counters.http(tenant.id, 503, exchange.http_version)
        if seconds is None:
            seconds = self._limits.retry_after_seconds
            seconds += int(seconds * random.random())  # noqa: S311 - spreads a storm, hides nothing
        exchange.answer(unavailable(seconds, time.time(), f"try again later: {cause}"))
