"""What one terminal of one subscriber is doing now: the state that actions work on.

The actor around it is in `actor.py`, what may happen when in `transitions.py`, and what is then
done in `eap_actions.py` and `service_actions.py`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from actors.backends.bss import Plan, Subscriber
from actors.diameter.outcomes import EapRequest
from actors.entitlement.decision import Decision
from actors.entitlement.remembered import RememberedDecisions
from actors.odsa.question import Question
from actors.session.authentication import Conversation
from actors.session.cookie import ResumePoint
from actors.session.messages import Answer, Exchange, ServeWithToken, WakeAt
from actors.session.transitions import State
from actors.session.user_data import UserDataSeal
from config.model import Sessions as Limits
from config.model import Tenant
from protocols.http.message import HttpResponse
from protocols.ts43.request import Ts43Request
from protocols.ts43.responses import unavailable


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
    gzip_from_octets: int = 8_000  # a smaller one fits into the first packets of TCP anyway
    remembered: RememberedDecisions = field(default_factory=RememberedDecisions)


class Session:
    """What one terminal of one subscriber is doing now.

    Attributes:
        state: where the conversation with the device stands.
        tenant: whose subscriber it is, as far as it is known.
        name: for traces, and part of the Diameter Session-Id.
        conversation: of EAP; None for a session by token.
        accepted: whom the AAA accepted and whose subscriber that is; not acted on yet.
        imsi: authenticated, or before that what the device says of itself.
        rules: shared limits.
        request, exchange: what is being served, and who waits for it.
        presented: the token's request, of a device that did not authenticate by EAP.
        subscriber: found, and not answered yet.
        question: the operation that is being answered.
        decided: the answer to it, not given yet.
        backlog: requests of the same device that wait for their turn.
        undelivered: a response that nobody was there to take.
        deadline: when the current state has lasted too long, on the Trio clock.
        cookie, subscriber_key, device, alarm_at, leg_began, away_seconds, der_sent: where the
            registry filed it, when the timer wheel rings for it (0: it will not), and what its
            current HTTP leg has taken; only the registry and the interpreter touch them.
    """

    __slots__ = (
        "accepted",
        "alarm_at",
        "away_seconds",
        "backlog",
        "conversation",
        "cookie",
        "deadline",
        "decided",
        "der_sent",
        "device",
        "exchange",
        "imsi",
        "leg_began",
        "name",
        "presented",
        "question",
        "request",
        "rules",
        "state",
        "subscriber",
        "subscriber_key",
        "tenant",
        "undelivered",
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
        self.accepted: tuple[str, Tenant] | None = None
        self.imsi = ""
        self.rules = rules
        self.request: Ts43Request | None = None
        self.exchange: Exchange | None = None
        self.presented: ServeWithToken | None = None
        self.subscriber: tuple[Subscriber, Plan] | None = None
        self.question: Question | None = None
        self.decided: Decision | None = None
        self.backlog: deque[ServeWithToken] | None = None
        self.undelivered: HttpResponse | None = None
        self.deadline = 0.0
        self.cookie = ""
        self.subscriber_key: tuple[str, str, str] | None = None
        self.device: tuple[str, str] | None = None
        self.alarm_at = 0.0
        self.leg_began = 0.0
        self.away_seconds = 0.0
        self.der_sent = 0.0

    def __repr__(self) -> str:
        return f"<Session of {self.tenant.id} {self.state.name}>"

    def resume_point(self, expires: int, owner: int) -> ResumePoint:
        """What a sealed cookie says of this exchange.

        Args:
            expires: seconds of Unix time.
            owner: the process that this session lives in.
        """
        assert self.conversation is not None
        assert self.request is not None
        return self.conversation.resume_point(expires, owner, self.tenant.id, self.request)

    def resume(self, request: Ts43Request, now: float) -> WakeAt:
        """Stand where a sealed cookie says that another worker or node stood."""
        self.request = request
        self.state = State.WAITING_FOR_DEVICE
        self.deadline = now + self.rules.limits.challenge_seconds
        return WakeAt(self.deadline)

    def adopt(self, tenant: Tenant, rules: Rules) -> None:
        """Go by a configuration that was loaded since, unless something is under way."""
        if self.state in (State.SERVED, State.REFUSED):
            self.tenant = tenant
            self.rules = rules

    @property
    def waiting(self) -> tuple[Exchange, ...]:
        """The exchanges that still wait for an answer; the pool's shell answers them on a crash."""
        queued = tuple(one.exchange for one in self.backlog or ())
        return queued if self.exchange is None else (self.exchange, *queued)

    def give(
        self, response: HttpResponse, cause: str, decisions: tuple[Decision, ...] = ()
    ) -> Answer:
        """The end of this exchange; a response that nobody takes is kept for a repeated POST."""
        exchange, self.exchange = self.exchange, None
        if exchange is None or exchange.gone:
            self.undelivered = response
        apps = () if self.request is None else self.request.apps
        return Answer(exchange, response, cause, apps, decisions)

    def der(self, packet: bytes) -> EapRequest:
        """The next DER of the conversation (an STR's session, with an empty packet)."""
        assert self.conversation is not None
        assert self.request is not None
        return self.conversation.der(packet, self.request)

    def unavailable(self, cause: str) -> HttpResponse:
        """503 with a Retry-After that spreads the devices."""
        seconds = self.rules.limits.retry_after_seconds
        return unavailable(
            seconds + int(seconds * self.rules.jitter()),
            self.rules.wall_clock(),
            f"try again later: {cause}",
        )

    def wake(self, at: float) -> tuple[WakeAt, ...]:
        """The current state may last until `at`; nothing to do when the wheel rings before that."""
        self.deadline = at
        return () if 0.0 < self.alarm_at <= at else (WakeAt(at),)
