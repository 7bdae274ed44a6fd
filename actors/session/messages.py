"""What reaches a subscriber session (messages) and what it wants done (effects).

Commands and effects are imperative, facts are past tense. They are slotted but not frozen: one of
each is built for every step of every exchange, and a frozen dataclass costs twice as much to build.
Nobody changes one after it was sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from actors.backends.bss import Plan, Subscriber
from actors.diameter.outcomes import EapAnswer, EapRequest, NoAnswer
from actors.entitlement.decision import Decision
from protocols.http.message import HttpResponse
from protocols.ts43.request import EapRelayAnswer, Ts43Request


class Exchange(Protocol):
    """The HTTP exchange that waits: the reply address of a message."""

    on_gone: Callable[[], None] | None

    @property
    def gone(self) -> bool:
        """The stream was reset or the connection died; an answer would be for nobody."""
        ...

    @property
    def server_name(self) -> str:
        """The name of the TLS handshake (SNI), lower case; empty when the client sent none."""
        ...

    @property
    def peer(self) -> str:
        """Address of the client."""
        ...

    @property
    def http_version(self) -> str:
        """`1.0`, `1.1` or `2`, for counters."""
        ...

    def answer(self, response: HttpResponse) -> None:
        """Give the response; ignored when the exchange is gone."""
        ...


# --- messages ---------------------------------------------------------------------------------


@dataclass(slots=True)
class StartAuthentication:
    """Command: the device named itself (`EAP_ID`)."""

    request: Ts43Request
    exchange: Exchange


@dataclass(slots=True)
class ServeWithToken:
    """Command: the device presented a token that the store found good for this subscriber."""

    request: Ts43Request
    exchange: Exchange
    imsi: str
    token: str
    token_seconds_left: int
    token_generation: int


@dataclass(slots=True)
class RelayEapAnswer:
    """Command: the device answered a challenge."""

    answer: EapRelayAnswer
    exchange: Exchange


@dataclass(slots=True)
class AaaAnswered:
    """Fact: a DEA arrived."""

    answer: EapAnswer


@dataclass(slots=True)
class AaaFailed:
    """Fact: no DEA will arrive."""

    failure: NoAnswer


@dataclass(slots=True)
class SubscriberFound:
    """Fact: the BSS knows the subscriber, or knows that it has none (`subscriber` None)."""

    subscriber: Subscriber | None
    plan: Plan | None


@dataclass(slots=True)
class BssFailed:
    """Fact: the BSS could not answer."""

    cause: str


@dataclass(slots=True)
class Stored:
    """Fact: what the session wanted kept is on disk.

    `token` is empty when none was issued; `notification_status` is None when none was registered.
    """

    token: str
    notification_status: int | None


@dataclass(slots=True)
class StoreFailed:
    """Fact: the store could not keep it."""

    cause: str


@dataclass(slots=True)
class DeviceGone:
    """Fact: this exchange waits no longer."""

    exchange: Exchange


@dataclass(slots=True)
class TimePassed:
    """Fact: the timer wheel reached the session's deadline."""


@dataclass(slots=True)
class AaaAborted:
    """Fact: ASR (or RAR, which phones can only answer by authenticating again) of the AAA."""


Message = (
    StartAuthentication
    | ServeWithToken
    | RelayEapAnswer
    | AaaAnswered
    | AaaFailed
    | SubscriberFound
    | BssFailed
    | Stored
    | StoreFailed
    | DeviceGone
    | TimePassed
    | AaaAborted
)


# --- effects ----------------------------------------------------------------------------------


@dataclass(slots=True)
class SendDer:
    """Carry this to the AAA; `AaaAnswered` or `AaaFailed` comes back."""

    request: EapRequest


@dataclass(slots=True)
class SendStr:
    """End the session at the AAA (STR, Termination-Cause LOGOUT)."""

    request: EapRequest


@dataclass(slots=True)
class FindSubscriber:
    """Ask the BSS; `SubscriberFound` or `BssFailed` comes back."""

    tenant: str
    imsi: str


@dataclass(slots=True)
class Keep:
    """Issue a token and register for notifications, as asked; `Stored` or `StoreFailed` back."""

    request: Ts43Request
    imsi: str
    issue_token: bool
    token_generation: int
    diameter_session_id: bytes


@dataclass(slots=True)
class AnswerWithChallenge:
    """Give the device an EAP request, with the session's cookie."""

    exchange: Exchange | None
    packet: bytes


@dataclass(slots=True)
class Answer:
    """Give the device its response.

    `cause` is the counter's word for why, `apps` what was asked for; `decisions` are for the trace.
    """

    exchange: Exchange | None
    response: HttpResponse
    cause: str
    apps: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()


@dataclass(slots=True)
class WakeAt:
    """Send `TimePassed` at `at` (seconds on the Trio clock) unless moved before."""

    at: float


@dataclass(slots=True)
class KnownAs:
    """The subscriber is authenticated: find this session by it from now on."""

    tenant: str
    imsi: str
    terminal_id: str


@dataclass(slots=True)
class Note:
    """Count an event of the EAP conversation (`resync`, `abandoned`, …)."""

    event: str


@dataclass(slots=True)
class Alarm:
    """Tell the operator of something that only configuration can mend."""

    text: str


@dataclass(slots=True)
class EndSession:
    """Forget this session."""


Effect = (
    SendDer
    | SendStr
    | FindSubscriber
    | Keep
    | AnswerWithChallenge
    | Answer
    | WakeAt
    | KnownAs
    | Note
    | Alarm
    | EndSession
)
