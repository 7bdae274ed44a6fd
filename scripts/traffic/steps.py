"""What a call does, step by step, after all checks: plain data for the call to walk through."""

from dataclasses import dataclass
from enum import Enum


class Authentication(Enum):
    """How a request says who asks (TS.43 §2.8)."""

    EAP_AKA = "eap-aka"
    TOKEN = "token"  # noqa: S105 (no secret)
    NONE = "none"


class AnswerKind(Enum):
    """How the card answers a challenge."""

    RES = "res"
    WRONG_RES = "wrong-res"
    RESYNC = "resync"


@dataclass(frozen=True, slots=True)
class Send:
    """A request with parameters: GET in the query, POST as JSON."""

    method: str
    path: str
    apps: tuple[str, ...]
    authentication: Authentication
    accept: str
    parameters: tuple[tuple[str, str], ...]
    new_connection: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """Post the answer to the last challenge."""

    kind: AnswerKind


@dataclass(frozen=True, slots=True)
class Expect:
    """Wait for the answer to the last request and compare it.

    Attributes:
        challenge: the awaited answer is itself a challenge; else one that comes is answered.
        checks: ((application or "", parm name), value or "*").
        timer: takes the time since the request; empty: none.
    """

    status: int
    content_type: str
    challenge: bool
    checks: tuple[tuple[tuple[str, str], str], ...]
    timer: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for some time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Abandon:
    """Leave: close the connection, and count the call as passed."""


Step = Send | Answer | Expect | Pause | Abandon
