"""What reaches a subscriber session (messages) and what it wants done (effects).

Commands and effects are imperative, facts are past tense. Structs, which are built in C: one of
each is built for every step of every exchange. Nobody changes one after it was sent.
"""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from actors.backends.bss import Plan, Subscriber
from actors.diameter.outcomes import EapAnswer, EapRequest, NoAnswer
from actors.entitlement.decision import Decision
from actors.odsa.question import Question
from actors.orders.port import TemporaryToken
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


class StartAuthentication(Struct):
    """Command: the device named itself (`EAP_ID`)."""

    request: Ts43Request
    exchange: Exchange


class ServeWithToken(Struct):
    """Command: the device presented a token that was found good for this subscriber.

    `temporary` is what a temporary token stands for; the device then gets no token of its own.
    """

    request: Ts43Request
    exchange: Exchange
    imsi: str
    token: str
    token_seconds_left: int
    token_generation: int
    temporary: TemporaryToken | None = None


class RelayEapAnswer(Struct):
    """Command: the device answered a challenge."""

    answer: EapRelayAnswer
    exchange: Exchange


class AaaAnswered(Struct):
    """Fact: a DEA arrived."""

    answer: EapAnswer


class AaaFailed(Struct):
    """Fact: no DEA will arrive."""

    failure: NoAnswer


class SubscriberFound(Struct):
    """Fact: the BSS knows the subscriber, or knows that it has none (`subscriber` None)."""

    subscriber: Subscriber | None
    plan: Plan | None


class BssFailed(Struct):
    """Fact: the BSS could not answer."""

    cause: str


class DeskAnswered(Struct):
    """Fact: this is the answer to the operation that was asked for."""

    question: Question
    decision: Decision


class DeskFailed(Struct):
    """Fact: nobody could answer the operation now."""

    question: Question
    cause: str


class Stored(Struct):
    """Fact: what the session wanted kept is on disk.

    `token` is empty when none was issued; `notification_status` is None when none was registered.
    """

    token: str
    notification_status: int | None


class StoreFailed(Struct):
    """Fact: the store could not keep it."""

    cause: str


class DeviceGone(Struct):
    """Fact: this exchange waits no longer."""

    exchange: Exchange


class TimePassed(Struct):
    """Fact: the timer wheel reached the session's deadline."""


class AaaAborted(Struct):
    """Fact: ASR (or RAR, which phones can only answer by authenticating again) of the AAA."""


Message = (
    StartAuthentication
    | ServeWithToken
    | RelayEapAnswer
    | AaaAnswered
    | AaaFailed
    | SubscriberFound
    | BssFailed
    | DeskAnswered
    | DeskFailed
    | Stored
    | StoreFailed
    | DeviceGone
    | TimePassed
    | AaaAborted
)


# --- effects ----------------------------------------------------------------------------------


class SendDer(Struct):
    """Carry this to the AAA; `AaaAnswered` or `AaaFailed` comes back."""

    request: EapRequest


class SendStr(Struct):
    """End the session at the AAA (STR, Termination-Cause LOGOUT)."""

    request: EapRequest


class FindSubscriber(Struct):
    """Ask the BSS; `SubscriberFound` or `BssFailed` comes back."""

    tenant: str
    imsi: str


class AskDesk(Struct):
    """Have an operation answered; `DeskAnswered` or `DeskFailed` comes back."""

    question: Question


class Keep(Struct):
    """Issue a token and register for notifications, as asked; `Stored` or `StoreFailed` back."""

    request: Ts43Request
    imsi: str
    issue_token: bool
    token_generation: int
    diameter_session_id: bytes


class AnswerWithChallenge(Struct):
    """Give the device an EAP request, with the session's cookie."""

    exchange: Exchange | None
    packet: bytes


class Answer(Struct):
    """Give the device its response.

    `cause` is the counter's word for why, `apps` what was asked for; `decisions` are for the trace.
    """

    exchange: Exchange | None
    response: HttpResponse
    cause: str
    apps: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()


class WakeAt(Struct):
    """Send `TimePassed` at `at` (seconds on the Trio clock) unless moved before."""

    at: float


class KnownAs(Struct):
    """The subscriber is authenticated: find this session by it from now on."""

    tenant: str
    imsi: str
    terminal_id: str


class Note(Struct):
    """Count an event of the EAP conversation (`resync`, `abandoned`, …)."""

    event: str


class Alarm(Struct):
    """Tell the operator of something that only configuration can mend."""

    text: str


class EndSession(Struct):
    """Forget this session."""


Effect = (
    SendDer
    | SendStr
    | FindSubscriber
    | AskDesk
    | Keep
    | AnswerWithChallenge
    | Answer
    | WakeAt
    | KnownAs
    | Note
    | Alarm
    | EndSession
)
