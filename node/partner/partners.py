"""[partner] as a part of the node: the listener, who may report, and what they report."""

import socket
import ssl
from dataclasses import dataclass

import trio
from cryptography.hazmat.primitives.serialization import Encoding

from actors.backends.smdp_plus import NotificationSink
from actors.backends.smdp_plus_reporters import Reporters
from actors.trace.order_legs import OrderLegs
from config.model import Config
from node.partner.es2plus import Es2PlusEndpoint, NotificationStatistics
from node.partner.listener import ListenerStatistics, MutualTlsListener, server_context


@dataclass(frozen=True, slots=True)
class PartnerStatistics:
    """The listener and what came over it."""

    connections: ListenerStatistics
    notifications: NotificationStatistics


class Partners:
    """Where SM-DP+ report; a supervised actor.

    Attributes:
        enabled: [partner] names an address.
        ready: it listens.
    """

    def __init__(
        self,
        config: Config,
        sink: NotificationSink,
        *,
        bound: socket.socket | None = None,
        legs: OrderLegs | None = None,
    ) -> None:
        """Read the certificates; nothing is bound yet.

        Args:
            config: [partner], and who reports.
            sink: keeps notifications.
            bound: a socket that listens already; None: it is bound here.
            legs: told of every notification while a trace runs.

        Raises:
            OSError: a certificate file cannot be read or used.
            ValueError: a file holds no certificate.
        """
        settings = config.partner
        self.enabled = bool(settings.listen)
        self.ready = False
        self._endpoint = Es2PlusEndpoint(
            _reporters(config), sink, request_seconds=settings.request_seconds, legs=legs
        )
        self._listener: MutualTlsListener | None = None
        if self.enabled:
            self._listener = MutualTlsListener(
                self._endpoint.app,
                settings.listen,
                _context(config, self._endpoint.reporters),
                max_connections=settings.max_connections,
                handshake_seconds=settings.handshake_seconds,
                idle_seconds=settings.idle_seconds,
                bound=bound,
            )

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; reports the URL, or "" when there is no listener.

        Raises:
            OSError: the address cannot be bound.
        """
        if self._listener is None:
            task_status.started("")
            await trio.sleep_forever()
            return
        async with trio.open_nursery() as nursery:
            url = await nursery.start(self._listener.run)
            self.ready = True
            task_status.started(url)
            try:
                await trio.sleep_forever()
            finally:
                self.ready = False

    def reload(self, config: Config) -> list[str]:
        """Take who may report, and the certificates, for connections to come.

        Returns:
            What could not be taken; then everything stays as it was.
        """
        try:
            reporters = _reporters(config)
            if self._listener is not None and config.partner.listen:
                self._listener.context = _context(config, reporters)
        except (OSError, ValueError) as error:
            return [f"partner: {error}"]
        self._endpoint.reporters = reporters
        return []

    def statistics(self) -> PartnerStatistics:
        """As it stands now."""
        connections = self._listener.statistics() if self._listener else ListenerStatistics()
        return PartnerStatistics(connections, self._endpoint.statistics())


def _reporters(config: Config) -> Reporters:
    return Reporters(config.tenants if config.partner.listen else ())


def _context(config: Config, reporters: Reporters) -> ssl.SSLContext:
    authorities = "".join(
        one.public_bytes(Encoding.PEM).decode("ascii") for one in reporters.authorities()
    )
    return server_context(config.partner.certificate, config.partner.key, authorities)
