"""The SWm/SWa client: EAP requests to the right peer, answers back, failing over on the way.

Source: RFC 6733 §6.1 (routing), §5.5.4 (fail-over); RFC 7683 (overload); 3GPP TS 29.273. Call-back
style: `request` never waits, and what it sends leaves at the end of the turn, one write per peer.
"""

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from actors.diameter.connection import Outbox
from actors.diameter.exchange import EapExchange, Termination
from actors.diameter.outcomes import (
    EapAnswer,
    EapOutcome,
    EapProfile,
    EapRequest,
    NoAnswerReason,
)
from actors.diameter.peer import Peer, PeerContext
from actors.diameter.peer_statistics import PeerStatistics
from actors.diameter.redirects import RedirectCache, Subject, read_redirect
from actors.diameter.routes import Route, Routes
from actors.diameter.server_requests import Serve, ServerRequests
from actors.diameter.transport import (
    Transport,
    TransportError,
    client_tls_context,
    connect_tcp,
    connect_tls,
)
from actors.diameter.unrecognised import Unrecognised
from actors.runtime.supervisor import Supervisor
from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from config.model import Diameter, DiameterPeer
from protocols.diameter import dictionary as d
from protocols.diameter import messages, numbers
from protocols.diameter.codec import Message
from protocols.diameter.der_template import DerTemplate, device_avps
from protocols.diameter.identifiers import SessionIds, end_to_end_identifiers
from protocols.diameter.load import PeerLoad, read_load
from protocols.diameter.messages import Offer, Origin, SessionAddress
from protocols.diameter.overload import OverloadReports

MAX_TEMPLATES: Final = 1_000  # a profile and a realm each

_log = structlog.get_logger("diameter")

Connect = Callable[[DiameterPeer], Awaitable[Transport]]


@dataclass(frozen=True, slots=True)
class RouterStatistics:
    """The client as it stands now.

    Attributes:
        shed: new sessions that overload reports kept away.
        duplicates: RAR and ASR answered from the cache.
        refused: requests of peers answered with an error, by result code.
        unrecognised: AVPs with the M bit in answers that are not known, by vendor and code.
        reports: overload reports in force: (type, name, application, per cent, seconds left).
    """

    peers: tuple[PeerStatistics, ...]
    no_peer: int
    shed: int
    malformed: int
    duplicates: int
    refused: dict[int, int]
    unrecognised: dict[str, int]
    reports: list[tuple[int, str, int, int, float]]


class DiameterRouter:
    """All peers of the node, and the exchanges that run over them.

    Attributes:
        on_server_request: decides RAR and ASR, now or later. Set by the session side.
        malformed: DEAs whose content could not be read.
    """

    def __init__(
        self,
        config: Diameter,
        turn: Turn,
        timers: TimerWheel,
        *,
        node_name: str = "ecs1",
        identity_suffix: str = "",
        connect: Connect | None = None,
        unix_seconds: Callable[[], float] = time.time,
        generator: random.Random | None = None,
    ) -> None:
        """Build the router; nothing runs yet.

        Args:
            node_name: part of every Session-Id, so that RAR and ASR find their worker.
            identity_suffix: of the first label of Origin-Host, for one worker of several.
            connect: opens transports, for tests; by default TCP or TLS as the peer's section says.
            unix_seconds: the wall clock, for identifiers only.
        """
        self.settings = config
        self.timers = timers
        self.malformed = 0
        self.turn = turn
        self._node_name = node_name
        self._random = generator or random.Random()  # noqa: S311 (load balancing, jitter)
        now = int(unix_seconds())
        first, dot, rest = config.origin_host.partition(".")
        self.origin = Origin(f"{first}{identity_suffix}{dot}{rest}", config.origin_realm, now)
        self._session_ids = SessionIds(self.origin.host, now, self._random.getrandbits(31))
        self._connect = connect or _connect
        self._outbox = Outbox()
        self._context = PeerContext(
            settings=config,
            origin=self.origin,
            turn=turn,
            timers=timers,
            outbox=self._outbox,
            end_to_end=end_to_end_identifiers(now, self._random.getrandbits(20)),
            on_request=self._request_received,
            generator=self._random,
        )
        self._server_requests = ServerRequests(self._context, (numbers.SWM, numbers.SWA))
        self._unrecognised = Unrecognised()
        self._peers: dict[str, Route] = {}
        self._routes = Routes(self._random)
        self._templates: dict[tuple[EapProfile, bytes], DerTemplate] = {}
        self._overload = OverloadReports()
        self._redirects = RedirectCache()
        self._supervisor = Supervisor("diameter", crashed=self._crashed)
        self._nursery: trio.Nursery | None = None
        self._running: dict[str, Peer] = {}
        self._leaving: dict[str, trio.Event] = {}
        self._draining = False
        self._no_peer = self._shed = 0
        turn.flusher(self._outbox.flush)
        self._set_peers(config.peers)

    # --- what sessions ask ------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Some peer is open, and the node is not on its way out."""
        return not self._draining and any(route.peer.is_open for route in self._peers.values())

    @property
    def on_server_request(self) -> Serve:
        """Decides RAR and ASR; without a session side every session is unknown."""
        return self._server_requests.serve

    @on_server_request.setter
    def on_server_request(self, serve: Serve) -> None:
        self._server_requests.serve = serve

    def new_session_id(self, actor: str) -> bytes:
        """A Session-Id: `<Origin-Host>;<high>;<low>;<node>-<actor>` (RFC 6733 §8.8)."""
        return self._session_ids.next(f"{self._node_name}-{actor}")

    def request(self, der: EapRequest, reply: Callable[[EapOutcome], None]) -> None:
        """Send a DER. `reply` is called exactly once, perhaps before this returns."""
        now = self.turn.now()
        template = self._template(der.profile, der.destination_realm)
        device = b""
        if der.imei or der.calling_station_id or der.software_version:
            device = device_avps(der.imei, der.software_version, der.calling_station_id)
        exchange = EapExchange(
            self,
            der,
            reply,
            template.application,
            template.body(
                der.session_id,
                der.user_name,
                der.eap_payload,
                der.state,
                der.destination_host,
                device,
            ),
            self._context.end_to_end.next(),
            now + self.settings.exchange_seconds,
        )
        if not self._send(exchange, messages.APPLICATION_REQUEST, now):
            exchange.finish(self._why_not(exchange, now))

    def terminate(self, request: EapRequest) -> None:
        """Send an STR for the request's session (Termination-Cause LOGOUT); best effort."""
        host, realm = request.destination_host, request.destination_realm
        peer = self._routes.next_round(host, realm, ()) if host else None
        if peer is None:
            return
        to = SessionAddress(
            numbers.APPLICATIONS[request.profile.application],
            request.session_id,
            realm,
            host,
            request.user_name,
        )
        end_to_end = self._context.end_to_end.next()
        body = messages.build_str(self.origin, to, numbers.LOGOUT, 0, end_to_end)[20:]
        Termination(end_to_end).send(self, peer, to.application, body)

    def statistics(self) -> RouterStatistics:
        """A snapshot."""
        return RouterStatistics(
            peers=tuple(route.peer.statistics() for route in self._peers.values()),
            no_peer=self._no_peer,
            shed=self._shed,
            malformed=self.malformed,
            duplicates=self._server_requests.duplicates,
            refused=dict(self._context.refused),
            unrecognised=dict(self._unrecognised.counts),
            reports=self._overload.in_force(self.turn.now()),
        )

    # --- life -------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the peers connected until cancelled. Does not wait for them: an AAA may be down."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._supervisor.run)
            self._nursery = nursery
            try:
                for route in self._peers.values():
                    await self._start(route.peer)
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = None
                self._running.clear()
                self._leaving.clear()

    async def drain(self) -> None:
        """Say good-bye to every peer (DPR, REBOOTING) and wait for the answers."""
        self._draining = True
        for route in self._peers.values():
            route.peer.stop(numbers.REBOOTING)
        self.turn.end()
        with trio.move_on_after(self.settings.disconnect_seconds):
            for route in self._peers.values():
                await route.peer.wait_closed()

    def reload(self, config: Diameter) -> None:
        """Use another configuration; only another identity of our own needs a restart.

        Peers that are gone get a DPR and the time to answer it, peers that changed too, and are
        then connected to anew; peers that stay have the new timers and bounds at once.
        """
        self.settings = config
        self._context.settings = config
        self._templates.clear()
        self._set_peers(config.peers)
        for route in self._peers.values():
            route.peer.reload(self._offer(route.config))
            if self._nursery is not None and self._running.get(route.peer.host) is not route.peer:
                self._nursery.start_soon(self._start, route.peer)
        self.turn.end()

    async def _start(self, peer: Peer) -> None:
        """Connect to a peer, once the one of that name that was configured before is gone."""
        while peer.host in self._leaving:
            await self._leaving[peer.host].wait()
        route = self._peers.get(peer.host)
        if route is None or route.peer is not peer or peer.host in self._running:
            return  # reloaded once more meanwhile
        self._running[peer.host] = peer
        await self._supervisor.start(peer.host, peer.run)

    def _remove(self, peer: Peer) -> None:
        """Say good-bye; the socket closes with the DPA, or after `disconnect_seconds`."""
        peer.stop(numbers.DO_NOT_WANT_TO_TALK_TO_YOU)
        if self._nursery is not None and self._running.get(peer.host) is peer:
            self._leaving[peer.host] = trio.Event()
            self._nursery.start_soon(self._leave, peer)

    async def _leave(self, peer: Peer) -> None:
        await peer.wait_closed()  # the link itself does not wait for the DPA any longer
        self._supervisor.stop(peer.host)
        self._running.pop(peer.host, None)
        gone = self._leaving.pop(peer.host, None)
        if gone is not None:
            gone.set()

    def _set_peers(self, sections: tuple[DiameterPeer, ...]) -> None:
        before, self._peers = self._peers, {}
        for section in sections:
            name = section.host.lower()
            old = before.pop(name, None)
            if old is not None and _same_connection(old.config, section):
                self._peers[name] = Route(section, old.peer)
                continue
            if old is not None:
                before[name] = old
            self._peers[name] = Route(section, self._new_peer(section))
        for route in before.values():
            self._remove(route.peer)
        self._routes.set(list(self._peers.values()))

    def _offer(self, section: DiameterPeer) -> Offer:
        return Offer(
            (),
            product_name=self.settings.product_name,
            plain_form=section.plain_application_id,
            vendor_specific_form=section.vendor_specific_application_id,
        )

    def _new_peer(self, section: DiameterPeer) -> Peer:
        async def connect() -> Transport:
            return await self._connect(section)

        return Peer(section.host, self._offer(section), self._context, connect)

    def _crashed(self, name: str, error: Exception) -> None:
        _log.error("peer crashed", peer=name, exc_info=error)

    # --- routing ----------------------------------------------------------------------------------

    def _template(self, profile: EapProfile, realm: bytes) -> DerTemplate:
        template = self._templates.get((profile, realm))
        if template is None:
            if len(self._templates) >= MAX_TEMPLATES:
                self._templates.clear()
            template = self._templates[profile, realm] = DerTemplate(
                self.origin,
                numbers.APPLICATIONS[profile.application],
                realm,
                profile.auth_request_type,
                rat_type=profile.rat_type,
                visited_network_identifier=profile.visited_network_identifier,
                service_selection=profile.service_selection,
                overload_control=self.settings.overload_control,
            )
        return template

    def _send(self, exchange: EapExchange, flags: int, now: float) -> bool:
        """Send to the best peer that was not tried yet; False when there is none."""
        peer = self._next_peer(exchange, now)
        if peer is None:
            return False
        exchange.send(peer, flags, now)
        return True

    def send_again(self, exchange: EapExchange, flags: int) -> bool:
        """Send to another peer, if there is one and time is left. For `EapExchange`."""
        now = self.turn.now()
        return now < exchange.deadline and self._send(exchange, flags, now)

    def _next_peer(self, exchange: EapExchange, now: float) -> Peer | None:
        request = exchange.request
        realm = request.destination_realm
        if not exchange.is_first_round:
            return self._routes.next_round(request.destination_host, realm, exchange.tried)
        targets = exchange.targets
        if not targets and self._redirects:
            targets = self._redirects.find(_subject(exchange), now)
        for host in targets:
            target = self._routes.peer(host)
            if target is None or not target.is_open or target.is_full:
                continue
            if target not in exchange.tried:
                return target
        if exchange.targets:
            return None  # redirected to hosts that are not there: nobody else is right
        if self._overload and self._must_shed(exchange, now):
            return None
        tried = exchange.tried
        if request.avoided_host:
            avoided = self._routes.peer(request.avoided_host.decode(errors="replace").lower())
            tried = (*tried, avoided) if avoided is not None else tried
        peer = self._routes.first_round(
            realm, tried, now, lambda peer: self._host_accepts(exchange, peer, now)
        )
        if peer is not None:
            peer.breaker.started()
        return peer

    def _must_shed(self, exchange: EapExchange, now: float) -> bool:
        """A realm report keeps some new sessions away from all its hosts (RFC 7683 §6.3).

        A first DER names no host, so it is "realm-routed" (§2), ours also where the peer happens to
        be the AAA itself: an overloaded realm is not fed by its side doors.
        """
        if exchange.tried:
            return False
        realm = exchange.request.destination_realm
        percentage = self._overload.reduction(
            numbers.REALM_REPORT, realm, exchange.application, now
        )
        return self._loses(percentage)

    def _host_accepts(self, exchange: EapExchange, peer: Peer, now: float) -> bool:
        """A host report of the peer itself diverts some new sessions to other peers."""
        if not self._overload:
            return True
        percentage = self._overload.reduction(
            numbers.HOST_REPORT, peer.identity, exchange.application, now
        )
        return not self._loses(percentage)

    def _loses(self, percentage: float) -> bool:
        return percentage > 0 and self._random.random() * 100 < percentage

    def has_another(self, exchange: EapExchange) -> bool:
        """Whether a peer that was not asked could begin the conversation anew."""
        realm, now = exchange.request.destination_realm, self.turn.now()
        found = self._routes.first_round(realm, exchange.tried, now, lambda _: True)
        return found is not None and not self._draining

    def _why_not(self, exchange: EapExchange, now: float) -> NoAnswerReason:
        """Why nobody could be asked at all."""
        realm = exchange.request.destination_realm
        peers = [route.peer for group in self._routes.groups(realm) for route in group]
        usable = [peer for peer in peers if peer.is_open]
        if usable and all(peer.is_full for peer in usable):
            return NoAnswerReason.TOO_MANY_PENDING
        if exchange.is_first_round and any(peer.breaker.allows(now) for peer in usable):
            self._shed += 1
            return NoAnswerReason.OVERLOADED
        self._no_peer += 1
        return NoAnswerReason.NO_PEER

    # --- what peers tell --------------------------------------------------------------------------

    def observe(self, peer: Peer, answer: Message, outcome: EapAnswer) -> None:
        """Learn from every DEA: who is behind whom, who is overloaded, who works."""
        result = (outcome.vendor, outcome.code)
        if result == (0, numbers.TOO_BUSY):
            peer.breaker.busy(self.turn.now())
        elif result == (0, numbers.UNABLE_TO_DELIVER):
            peer.breaker.failed(self.turn.now())
        else:
            peer.breaker.succeeded()
        # An error with the E bit names the agent that found it (RFC 6733 §7.2).
        if outcome.origin_host and not answer.is_error:
            self._routes.learn(outcome.origin_host, peer)
        if outcome.code != numbers.MULTI_ROUND_AUTH:
            self._unrecognised.look_at(answer, peer.host)
        if self.settings.overload_control:
            if d.OC_OLR in answer:
                self._overload.take(answer, self.turn.now())
            if d.LOAD in answer:
                load = read_load(answer, peer.identity)
                if load is not None:
                    peer.load = PeerLoad(load, self.turn.now())

    def redirected(self, exchange: EapExchange, answer: Message) -> tuple[str, ...]:
        """Hosts that a 3006 names, remembered as it asks.

        Raises:
            DecodeError: it cannot be read.
        """
        redirect = read_redirect(answer)
        self._redirects.put(redirect, _subject(exchange), self.turn.now())
        known = tuple(host for host in redirect.hosts if self._routes.peer(host) is not None)
        if not known:
            _log.warning("redirected to unknown hosts", hosts=redirect.hosts)
        return known

    def _request_received(self, peer: Peer, request: Message) -> bytes | None:
        try:
            return self._server_requests.answer(peer, request, self.turn.now())
        except Exception as error:  # the session side's bug is not the peer's fault
            self.turn.crashed(error)
            return self._context.refuse(request, numbers.UNABLE_TO_COMPLY, "")


def _subject(exchange: EapExchange) -> Subject:
    request = exchange.request
    return Subject(
        session_id=request.session_id,
        realm=request.destination_realm.lower(),
        application=exchange.application.to_bytes(4, "big"),
        user_name=request.user_name,
        destination_host=request.destination_host.lower(),
    )


def _same_connection(one: DiameterPeer, other: DiameterPeer) -> bool:
    """Whether both sections mean the same connection, whatever their routing says."""
    fields = (
        "address",
        "port",
        "transport",
        "tls_ca",
        "tls_certificate",
        "tls_key",
        "tls_server_name",
        "plain_application_id",
        "vendor_specific_application_id",
    )
    return all(getattr(one, name) == getattr(other, name) for name in fields)


async def _connect(section: DiameterPeer) -> Transport:
    """Open the transport that a peer's section asks for.

    Raises:
        TransportError: it cannot be opened.
    """
    if section.transport != "tls":
        return await connect_tcp(section.address, section.port)
    try:
        context = client_tls_context(section.tls_ca, section.tls_certificate, section.tls_key)
    except OSError as error:  # a file that is missing or no PEM; the operator may put it right
        raise TransportError(f"TLS: {error}") from error
    server_name = section.tls_server_name or section.host
    return await connect_tls(section.address, section.port, context, server_name)
