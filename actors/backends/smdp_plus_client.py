"""One SM-DP+ of one tenant over ES2+: attempts, repetitions, limits and the circuit breaker.

Source: GSMA SGP.22 §5.3, §6. When and how often a call is repeated is ours: after a failure of the
transport up to three times within the caller's budget, always with the identical body; never after
an answer of the function. What is left then is for the order's background.
"""

import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog
import trio

from actors.backends.smdp_plus import (
    Call,
    Capabilities,
    Cause,
    Contradicted,
    Executed,
    NotExecuted,
    Outcome,
    OutcomeUnknown,
    ProfileStatus,
    Refused,
)
from actors.backends.smdp_plus_answers import (
    HttpAnswer,
    interpret,
    refusal,
    transport_outcome,
)
from actors.backends.smdp_plus_drivers import Driver, driver_of
from actors.backends.smdp_plus_http import HttpFailure, SmdpPlusHttp, client_context
from actors.backends.smdp_plus_limits import CallLimits, is_maintenance
from actors.backends.smdp_plus_states import profile_state
from actors.counters import Histogram
from actors.runtime.breaker import CircuitBreaker
from actors.trace.order_legs import Answered, OrderLegs
from config.model import SmdpPlus
from protocols.es2plus.bodies import decode_request, encode_request
from protocols.es2plus.failures import Es2PlusError
from protocols.es2plus.paths import ADMIN_PROTOCOL, CONTENT_TYPE, admin_protocol, function_path
from protocols.es2plus.profile_status import decode_status_answer, encode_status_query
from protocols.es2plus.requests import Request
from protocols.es2plus.status_codes import Function, StatusClass
from protocols.http.message import HttpRequest, HttpResponse
from protocols.identity import Iccid

_log = structlog.get_logger("es2plus")

REPEAT_AFTER_SECONDS: Final = (0.2, 0.6, 1.5)
JITTER: Final = 0.2  # of the delay, either way
# Causes after which the same call is tried again at once.
_AT_ONCE: Final = frozenset({Cause.CONNECT_FAILED, Cause.TIMEOUT, Cause.CONNECTION_LOST})


@dataclass(frozen=True, slots=True)
class SmdpPlusStatistics:
    """One SM-DP+ as it stands.

    Attributes:
        name: tenant and name, `mno/dp1`.
        state: of the circuit breaker.
        breaker_opened: how often the circuit breaker opened.
        in_flight: calls under way now.
        calls: attempts by function and what became of them.
        seconds: that answered calls took, in all.
        answered: calls that any HTTP answer came for.
    """

    name: str
    state: str
    breaker_opened: int
    in_flight: int
    calls: Mapping[str, int]
    seconds: float
    answered: int


class SmdpPlusClient:
    """The port `actors.backends.smdp_plus.SmdpPlus` over ES2+."""

    def __init__(
        self,
        tenant: str,
        settings: SmdpPlus,
        *,
        wall_clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
        legs: OrderLegs | None = None,
    ) -> None:
        """Read the certificates; nothing is connected yet.

        Args:
            tenant: whose.
            settings: [[tenants.smdp-plus]].
            wall_clock: seconds since 1970, for maintenance windows and Retry-After.
            jitter: a number in [0, 1) that spreads repetitions.
            legs: told of every attempt while a trace runs.

        Raises:
            OSError: a certificate file cannot be read or used.
        """
        self.tenant = tenant
        self._legs = legs
        self.name = settings.name
        self.breaker = CircuitBreaker()
        self.durations = Histogram()
        self._counts: Counter[str] = Counter()
        self._in_flight = 0
        self._wall_clock = wall_clock
        self._jitter = jitter
        self._take(settings)

    def _take(self, settings: SmdpPlus) -> None:
        context = None
        if settings.url.startswith("https:"):
            context = client_context(settings.ca, settings.certificate, settings.key)
        basic = (settings.basic_user, settings.basic_password) if settings.basic_user else None
        self._http = SmdpPlusHttp(
            settings.url,
            context,
            server_name=settings.server_name,
            basic=basic,
            http2=settings.http2,
            max_connections=settings.max_calls,
        )
        self._settings = settings
        self._driver = driver_of(settings)
        self._limits = CallLimits(settings.max_calls, settings.max_calls_per_second)
        self._headers = {
            "content-type": CONTENT_TYPE,
            "accept": CONTENT_TYPE,
            ADMIN_PROTOCOL.lower(): admin_protocol(self._driver.version),
        }
        self.address = settings.address or _host(settings.url)
        self.oid = settings.oid
        self.profile_types = settings.profile_types
        self.capabilities: Capabilities = self._driver.capabilities

    @property
    def driver(self) -> Driver:
        """The vendor's driver with the configuration's changes."""
        return self._driver

    @property
    def settings(self) -> SmdpPlus:
        """As configured."""
        return self._settings

    @property
    def available(self) -> bool:
        """Whether a new order should come here."""
        return not self._in_maintenance() and self.breaker.allows(trio.current_time())

    async def reload(self, settings: SmdpPlus) -> None:
        """Take new settings, or the same with new certificate files.

        Calls under way finish on the old connections; breaker and counts stay.

        Raises:
            OSError: a certificate file cannot be used; the old settings stay.
        """
        old = self._http
        self._take(settings)
        await old.close()

    async def close(self) -> None:
        """Close the connections once the calls under way have ended."""
        await self._http.close()

    def statistics(self) -> SmdpPlusStatistics:
        """As it stands now."""
        return SmdpPlusStatistics(
            f"{self.tenant}/{self.name}",
            self.breaker.state(trio.current_time()).value,
            self.breaker.opened,
            self._in_flight,
            dict(self._counts),
            self.durations.seconds,
            sum(self.durations.counts),
        )

    def prepare(self, request: Request, function_call_identifier: str) -> Call:
        """Write the body of a call."""
        body = encode_request(
            request,
            self._settings.requester,
            function_call_identifier,
            padded=self._driver.padded,
        )
        return Call(request.function, function_call_identifier, body, request)

    def restore(self, function: Function, function_call_identifier: str, body: bytes) -> Call:
        """The call that was persisted.

        Raises:
            ValueError: the body is not one of `prepare`.
        """
        request, header = decode_request(function, body)
        if header.function_call_identifier != function_call_identifier:
            raise ValueError("the body is that of another call")
        return Call(function, function_call_identifier, body, request)

    async def execute(self, call: Call, budget_seconds: float) -> Outcome:
        """Send the call, again after passing trouble, within the budget."""
        deadline = trio.current_time() + budget_seconds

        async def attempt() -> tuple[Outcome, bool]:
            found = await self._send(call.function, call.body, deadline)
            if isinstance(found, HttpAnswer):
                return interpret(call, found, self._wall_clock())
            return found, found.cause in _AT_ONCE

        outcome = await self._repeated(attempt, call.function, deadline)
        self._tell(call.function, outcome)
        return outcome

    async def profile_status(
        self, iccids: tuple[Iccid, ...], budget_seconds: float
    ) -> tuple[ProfileStatus, ...] | NotExecuted | Refused | OutcomeUnknown:
        """The vendor's status query."""
        if not self.capabilities.status_query:
            return Refused(
                None, StatusClass.FATAL_CONFIGURATION, "there is no status query", http_status=0
            )
        function = Function.GET_PROFILE_STATUS
        body = encode_status_query(
            iccids, self._settings.requester, function.value, padded=self._driver.padded
        )
        found = await self._send(function, body, trio.current_time() + budget_seconds)
        if not isinstance(found, HttpAnswer):
            return found
        if found.status != 200:
            return transport_outcome(found, self._wall_clock())
        try:
            status, rows = decode_status_answer(found.body)
        except Es2PlusError as error:
            return OutcomeUnknown(Cause.MALFORMED_ANSWER, detail=str(error))
        if not status.succeeded:
            return refusal(function, status)
        return tuple(
            ProfileStatus(row.iccid, profile_state(row.state), row.state, row.eid) for row in rows
        )

    async def _repeated(
        self,
        attempt: Callable[[], Awaitable[tuple[Outcome, bool]]],
        function: Function,
        deadline: float,
    ) -> Outcome:
        doubt: OutcomeUnknown | None = None
        delays = iter(REPEAT_AFTER_SECONDS)
        while True:
            outcome, again = await attempt()
            self._count(function, outcome)
            if isinstance(outcome, OutcomeUnknown):
                doubt = outcome
            delay = next(delays, None)
            if not again or delay is None:
                return _with_doubt(outcome, doubt)
            wait = delay * (1 + JITTER * (2 * self._jitter() - 1))
            if isinstance(outcome, NotExecuted | OutcomeUnknown):
                wait = max(wait, outcome.retry_after_seconds)
            if trio.current_time() + wait >= deadline:
                return _with_doubt(outcome, doubt)
            await trio.sleep(wait)

    async def _send(
        self, function: Function, body: bytes, deadline: float
    ) -> HttpAnswer | NotExecuted | OutcomeUnknown:
        """One attempt, if one is allowed now."""
        if self._in_maintenance():
            return NotExecuted(Cause.MAINTENANCE)
        limits = self._limits  # a reload may change them meanwhile
        if not self.breaker.allows(trio.current_time()):
            return NotExecuted(Cause.BREAKER_OPEN)
        if not await limits.enter(deadline):
            return NotExecuted(Cause.BUSY)
        try:
            # While this one waited for its place others may have failed.
            if not self.breaker.allows(trio.current_time()):
                return NotExecuted(Cause.BREAKER_OPEN)
            return await self._post(function, body, deadline)
        finally:
            limits.leave()

    async def _post(
        self, function: Function, body: bytes, deadline: float
    ) -> HttpAnswer | NotExecuted | OutcomeUnknown:
        path = function_path(function, self._driver.path_prefix)
        answered = await self._traced(path, body)
        began = trio.current_time()
        left = max(deadline - began, 0.0)
        self.breaker.started()
        self._in_flight += 1
        found: HttpAnswer | HttpFailure | None = None
        try:
            found = await self._http.post(
                path,
                body,
                self._headers,
                connect_seconds=min(self._settings.connect_seconds, left),
                answer_seconds=min(self._answer_seconds(function), left),
            )
        finally:
            self._in_flight -= 1
            self._judge(found)
            if answered is not None:
                answered(_as_seen(found))
        if isinstance(found, HttpAnswer):
            self.durations.observe(trio.current_time() - began)
            return found
        kind = OutcomeUnknown if found.sent else NotExecuted
        return kind(found.cause, detail=found.detail)

    async def _traced(self, path: str, body: bytes) -> Answered | None:
        if self._legs is None or not self._legs.armed:
            return None
        request = HttpRequest(
            b"POST",
            path.encode("latin-1"),
            self._settings.url.partition("://")[2].encode("latin-1"),
            [(name.encode(), value.encode("latin-1")) for name, value in self._headers.items()],
            body,
        )
        return await self._legs.message(self.tenant, self.name, request, "out")

    def _judge(self, found: HttpAnswer | HttpFailure | None) -> None:
        """What an attempt says about the health of the peer."""
        now = trio.current_time()
        if found is None:
            self.breaker.probe_lost()  # cancelled: it tells nothing
        elif isinstance(found, HttpFailure) or found.status >= 500:
            self.breaker.failed(now)
        elif found.status == 429:
            self.breaker.busy(now)
        else:
            self.breaker.succeeded()

    def _answer_seconds(self, function: Function) -> float:
        settings = self._settings
        return {
            Function.DOWNLOAD_ORDER: settings.download_order_seconds,
            Function.CONFIRM_ORDER: settings.confirm_order_seconds,
            Function.RELEASE_PROFILE: settings.release_profile_seconds,
            Function.CANCEL_ORDER: settings.cancel_order_seconds,
        }.get(function, settings.profile_status_seconds)

    def _in_maintenance(self) -> bool:
        windows = self._settings.maintenance
        return bool(windows) and is_maintenance(windows, self._wall_clock())

    def _count(self, function: Function, outcome: Outcome) -> None:
        self._counts[f"{function.value} {_word(outcome)}"] += 1

    def _tell(self, function: Function, outcome: Outcome) -> None:
        """One line for what is not plain success; no identities."""
        if isinstance(outcome, Executed) and not outcome.with_warning:
            return
        _log.warning(
            "es2+ call",
            tenant=self.tenant,
            smdp=self.name,
            function=function.value,
            outcome=_word(outcome),
            detail=_detail(outcome),
        )


def _as_seen(found: HttpAnswer | HttpFailure | None) -> HttpResponse | str:
    """An answer as traces show it, or why there is none."""
    if isinstance(found, HttpAnswer):
        fields = dict(found.headers)
        content_type = fields.pop("content-type", "").encode("latin-1", "replace")
        headers = tuple(
            (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for name, value in fields.items()
        )
        return HttpResponse(found.status, content_type, found.body, headers)
    if found is None:
        return "no answer: interrupted"
    sent = "sent" if found.sent else "not sent"
    return f"no answer: {found.cause.value}, {sent} ({found.detail})"


def _host(url: str) -> str:
    host = url.partition("://")[2].rstrip("/")
    return host if host.endswith("]") else host.rpartition(":")[0] or host


def _with_doubt(outcome: Outcome, doubt: OutcomeUnknown | None) -> Outcome:
    """The outcome of all attempts together: one that may have been executed taints the rest."""
    if doubt is None:
        return outcome
    if isinstance(outcome, NotExecuted):
        return replace(doubt, retry_after_seconds=outcome.retry_after_seconds)
    if isinstance(outcome, Refused):
        return replace(outcome, after_doubt=True)
    return outcome


def _word(outcome: Outcome) -> str:
    match outcome:
        case Executed(with_warning=warned):
            return "warning" if warned else "executed"
        case Refused(status_class=kind):
            return f"refused {kind.value}"
        case NotExecuted(cause=cause):
            return f"not-executed {cause.value}"
        case OutcomeUnknown(cause=cause):
            return f"unknown {cause.value}"
        case Contradicted(contradiction=what):
            return f"contradicted {what.value}"


def _detail(outcome: Outcome) -> str:
    match outcome:
        case Executed(warning=code):
            return str(code or "")
        case Refused(code=code, message=message):
            return f"{code or ''} {message}".strip()
        case NotExecuted(detail=detail) | OutcomeUnknown(detail=detail):
            return detail
        case Contradicted():
            return ""
