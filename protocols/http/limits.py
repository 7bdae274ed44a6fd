"""What one device connection may cost, whichever version of HTTP it speaks.

Source: RFC 9113 §10.5 and RFC 9112 §3 ask for limits without giving numbers; the numbers are ours.
The names that an operator may change are those of `[device]` in the configuration.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Limits of one connection. Sizes are octets, times seconds, rates per second.

    Attributes:
        max_streams: requests open at the same time (HTTP/1.1: pipelined and not yet answered).
        max_header_octets: one header block as sent, and decoded (HTTP/1.1: the whole head).
        max_fields: header fields of one request, pseudo-header fields included.
        max_body_octets: one request body; a longer one is answered 413.
        max_queued_octets: answers that the peer has not read; beyond it the connection ends.
        max_continuations: CONTINUATION frames in one header block.
        max_requests: requests after which the connection is ended gracefully.
        first_request_seconds: from the handshake to the first request.
        request_seconds: from the first octet of a request to its last.
        idle_seconds: without any open request.
        blocked_seconds: for an answer that waits for the peer's flow-control window.
        settings_seconds: for the acknowledgement of our SETTINGS.
        goaway_seconds: for the round trip between the two GOAWAY frames of a graceful end, and
            for the rest of a body that was refused (HTTP/1.1).
        reset_burst, reset_rate: token bucket of streams reset by the peer, or by us because of
            what the peer did (CVE-2023-44487).
        control_burst, control_rate: token bucket of frames that cost work and carry nothing.
    """

    max_streams: int = 32
    max_header_octets: int = 16_384
    max_fields: int = 64
    max_body_octets: int = 32_768
    max_queued_octets: int = 262_144
    max_continuations: int = 8
    max_requests: int = 1_000_000
    first_request_seconds: float = 10.0
    request_seconds: float = 15.0
    idle_seconds: float = 15.0
    blocked_seconds: float = 15.0
    settings_seconds: float = 10.0
    goaway_seconds: float = 2.0
    reset_burst: float = 20.0
    reset_rate: float = 2.0
    control_burst: float = 50.0
    control_rate: float = 10.0
