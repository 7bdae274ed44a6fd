"""How calls end: passed, or failed for one of few reasons that a tester can act on."""

from enum import Enum


class Reason(Enum):
    """Why a call failed."""

    TIMEOUT = "timeout"  # longer than call-timeout-ms
    CLIENT_ERROR = "4xx"  # a status of that class that was not expected
    SERVER_ERROR = "5xx"
    EAP_REJECT = "eap-reject"  # the AAA, or the card, did not accept the other
    RESYNC = "resync"  # synchronisation failure after synchronisation failure
    MALFORMED = "malformed"  # no HTTP, EAP or document of the expected form
    CHECK = "check"  # well formed, but not what the scenario expects
    CONNECTION = "connection"  # refused, reset, TLS


class CallFailed(Exception):
    """A call ends here.

    Attributes:
        reason: what to count.
        detail: for the examples of the report; names no subscriber.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
