"""What the device listener counts, and the snapshot it gives."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from node.device.tls import CertificateStatistics


class DeviceCounters:
    """Counts since the start of the process; see `DeviceStatistics` for the meaning."""

    __slots__ = (
        "abandoned",
        "accepted",
        "closed",
        "crashes",
        "failed_reloads",
        "handshakes_failed",
        "pauses",
        "protocol_errors",
        "protocols",
        "requests",
    )

    def __init__(self) -> None:
        self.accepted = self.requests = self.abandoned = self.crashes = self.failed_reloads = 0
        self.handshakes_failed: Counter[str] = Counter()
        self.protocols: Counter[str] = Counter()
        self.protocol_errors: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()
        self.pauses: Counter[str] = Counter()


@dataclass(frozen=True, slots=True)
class DeviceStatistics:
    """The device listener as it stands now; everything else counts since the start."""

    open: int
    """Connections that are open now."""
    handshakes_in_progress: int
    """Connections whose TLS handshake is under way now."""
    draining: bool
    """No new connections are accepted, and open ones are being ended."""
    accepted: int
    """Connections accepted."""
    protocols: Mapping[str, int]
    """TLS handshakes completed, by what ALPN chose."""
    handshakes_failed: Mapping[str, int]
    """Connections that ended before the handshake was done, by cause."""
    requests: int
    """Complete requests handed over."""
    abandoned: int
    """Requests whose device left before the answer."""
    protocol_errors: Mapping[str, int]
    """What clients did against HTTP or to harm, by HTTP version and name; counted at the end of
    their connections."""
    closed: Mapping[str, int]
    """Connections that ended after the handshake, by cause."""
    pauses: Mapping[str, int]
    """How often accepting paused, by the limit that was reached."""
    crashes: int
    """Bugs: a step, a handler or a callback raised; each cost its connection or request alone."""
    failed_reloads: int
    """Certificate reloads that were refused; the old certificates stayed."""
    certificates: tuple[CertificateStatistics, ...]
    """The certificates in use."""
