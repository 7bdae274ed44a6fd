"""What a call does, step by step, after all checks: plain data for the call to walk through."""

from dataclasses import dataclass
from enum import Enum

# Of each call: the card's identity, the phone, and devices with an eUICC that are new in each call.
VARIABLES = ("imsi", "imei", "watch", "eid", "new_phone")


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
    """A request with parameters: GET in the query, POST as JSON.

    A value may hold `{name}`: one of `VARIABLES`, or what an answer before was captured as.
    """

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
        captures: what later requests may name, and the (application or "", parm name) it is of.
        until: checks as above; until they hold the request is sent again, after `every` seconds
            and `most` times.
    """

    status: int
    content_type: str
    challenge: bool
    checks: tuple[tuple[tuple[str, str], str], ...]
    timer: str
    captures: tuple[tuple[str, tuple[str, str]], ...] = ()
    until: tuple[tuple[tuple[str, str], str], ...] = ()
    every: float = 1.0
    most: int = 30


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for some time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Abandon:
    """Leave: close the connection, and count the call as passed."""


Step = Send | Answer | Expect | Pause | Abandon
