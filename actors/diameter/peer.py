"""One Diameter peer: its link, its watchdog, its pending requests, and when it is connected to.

Source: RFC 6733 §5 (peers), RFC 3539 (watchdog). The same class is the client's peer, which
connects and reconnects, and the server's, which is given accepted connections. Everything happens
in the Trio thread. A peer that misbehaves loses its connection and nothing else.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
import trio

from actors.diameter.back_off import BackOff
from actors.diameter.connection import Connection
from actors.diameter.link import Link, LinkContext
from actors.diameter.peer_statistics import PeerStatistics
from actors.diameter.pending import Pending, Waiter
from actors.diameter.transport import Transport, TransportError
from actors.diameter.watch import Watch
from actors.runtime.breaker import CircuitBreaker
from protocols.diameter import numbers, watchdog
from protocols.diameter.capabilities import Capabilities
from protocols.diameter.checks import find_fault
from protocols.diameter.codec import Message, decode, decode_frame
from protocols.diameter.errors import DecodeError
from protocols.diameter.load import PeerLoad
from protocols.diameter.messages import Offer
from protocols.diameter.peer_machine import State

_log = structlog.get_logger("diameter")

OnRequest = Callable[["Peer", Message], bytes | None]  # the answer, or None: it comes later


@dataclass(slots=True, kw_only=True)
class PeerContext(LinkContext):
    """What all peers of one node share, besides what their links share.

    Attributes:
        on_request: answers sound requests of the peers.
    """

    on_request: OnRequest


class Peer:
    """One peer.

    Attributes:
        host, identity: its Origin-Host in lower case, as text and as octets.
        breaker: whether new sessions may start here.
        doubted: a request timed out and nothing was received since.
        load: what it reported of its load (RFC 8583), None when it never did.
        timeouts, failovers: requests that were not answered in time; that went elsewhere.
    """

    def __init__(
        self,
        host: str,
        offer: Offer,
        context: PeerContext,
        connect: Callable[[], Awaitable[Transport]] | None = None,
    ) -> None:
        """Describe the peer; nothing runs yet.

        Args:
            offer: without addresses, the connection's own is put in.
            connect: opens a transport, TLS included; None: only the peer connects.
        """
        self.host = host.lower()
        self.identity = self.host.encode()
        self.breaker = CircuitBreaker()
        self.doubted = False
        self.load: PeerLoad | None = None
        self.timeouts = self.failovers = 0
        self._answers_for_others = False
        self._context = context
        self._connect = connect
        self._link = Link(self.host, offer, context, self)
        self._pending = Pending()
        self._watch = Watch(
            context.settings.watchdog_seconds,
            context.timers,
            context.generator,
            send_dwr=self._link.send_dwr,
            fail_over=self._fail_over,
            close=lambda: self._link.give_up("no watchdog answer"),
            changed=self._watchdog_changed,
        )
        self._back_off = BackOff(context.settings, context.generator)
        self._wake = trio.Event()
        self._stopped = False
        self._opened_at: float | None = None
        self._requests_received = self._connections = 0
        self._logged_error = ""

    def __repr__(self) -> str:
        """Where it stands."""
        return f"Peer({self.host!r}, {self._link.state.name}, {self._watch.state.name})"

    # --- what the router and the server ask -------------------------------------------------------

    @property
    def _open(self) -> Connection | None:
        """The connection that carries messages."""
        return self._link.open

    @property
    def is_open(self) -> bool:
        """Requests may be sent."""
        return self._link.open is not None

    @property
    def is_good(self) -> bool:
        """Open, and nothing speaks against using it: the watchdog is OKAY, it is not silent."""
        return (
            self._link.open is not None
            and not self.doubted
            and self._watch.state is watchdog.State.OKAY
        )

    @property
    def is_agent(self) -> bool:
        """It relays: it said so in its CEA, or answered for somebody else."""
        said = self._link.capabilities
        return self._answers_for_others or (said is not None and numbers.RELAY in said.applications)

    @property
    def in_flight(self) -> int:
        """Requests that wait for their answer."""
        return len(self._pending)

    @property
    def is_full(self) -> bool:
        """As many requests wait as may."""
        return len(self._pending) >= self._context.settings.max_pending

    @property
    def last_received(self) -> float:
        """When a message came last, in seconds on the Trio clock."""
        return self._link.last_received

    def request(
        self, waiter: Waiter, flags: int, command: int, application: int, body: bytes
    ) -> bytes:
        """Send a request at the end of this turn. Only while `is_open` and not `is_full`.

        Returns:
            The message as it goes out.
        """
        connection = self._open
        assert connection is not None, "the caller looked at is_open"  # noqa: S101
        waiter.sent_at = self._context.turn.now()
        return self._pending.send(connection, waiter, flags, command, application, body)

    def answer(self, raw: bytes) -> None:
        """Send an answer at the end of this turn; dropped when the connection is gone."""
        self._link.answer(raw)

    def forget(self, hop_by_hop: int) -> None:
        """Nobody waits for this answer any longer; a late one is dropped."""
        self._pending.forget(hop_by_hop)

    def doubt(self) -> None:
        """A request timed out and nothing else came either: ask with a DWR, prefer others."""
        self.doubted = True
        self._watch.handle(watchdog.Event.DOUBTED)

    def answers_for_others(self) -> None:
        """An answer of another host came over this peer: it is an agent."""
        self._answers_for_others = True

    def statistics(self) -> PeerStatistics:
        """A snapshot."""
        pending, link = self._pending, self._link
        return PeerStatistics(
            host=self.host,
            state=link.state.name,
            watchdog=self._watch.state.name,
            breaker=self.breaker.state(trio.current_time()).value,
            is_agent=self.is_agent,
            in_flight=len(pending),
            load_value=self.load.value if self.load is not None else None,
            requests=pending.requests,
            answers=dict(pending.answers),
            timeouts=self.timeouts,
            failovers=self.failovers,
            lost=pending.lost,
            requests_received=self._requests_received,
            unexpected=pending.unexpected + link.stray,
            malformed=link.malformed,
            connections=self._connections,
            reconnects=max(0, self._connections - 1),
            last_error=link.last_error,
            origin_state_id=link.capabilities.origin_state_id if link.capabilities else None,
            queued_octets=self._open.transport.queued if self._open else 0,
            latency_buckets=tuple(pending.latency.buckets),
            latency_count=pending.latency.count,
            latency_seconds=pending.latency.total_seconds,
        )

    # --- life -------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the peer connected until cancelled. For peers that we connect to."""
        task_status.started()
        try:
            while True:
                await self._wait_for_turn()
                self._watch.handle(watchdog.Event.TIMER_EXPIRES)  # ATTEMPT_OPEN
                self._link.start()
                await self._attempt()
                await self._link.closed.wait()
        finally:
            self._link.shut()
            self._watch.down(orderly=False)
            self._fail_over()

    async def _wait_for_turn(self) -> None:
        """Until it is time to connect; not while stopped, nor while the peer has connected."""
        while True:
            with trio.move_on_after(self._back_off.seconds):
                await self._wake.wait()
            self._wake = trio.Event()
            if self._stopped:
                await self._wake.wait()
            elif self._link.state is State.CLOSED:
                return
            else:
                await self._link.closed.wait()

    async def _attempt(self) -> None:
        """One connection, from its opening to its end."""
        assert self._connect is not None  # noqa: S101
        transport = None
        reason = "no connection in time"
        try:
            with trio.move_on_after(self._context.settings.connect_seconds):
                transport = await self._connect()
        except TransportError as error:
            reason = str(error)
        if transport is None:
            self._link.not_connected(reason)
            self._context.turn.end()
            return
        connection = self._link.connected(transport)
        self._context.turn.end()
        if connection is not None:
            await self.serve(connection)

    async def serve(self, connection: Connection) -> None:
        """Read a connection until it ends."""
        await self._link.serve(connection)

    def accept(self, connection: Connection, cer: Message, capabilities: Capabilities) -> bool:
        """Take over a connection whose CER was found good; `serve` it next.

        Returns:
            False: refused, because there is a connection already (R-Reject).
        """
        return self._link.accept(connection, cer, capabilities)

    def reload(self, offer: Offer) -> None:
        """The context has other settings: use them, and that offer when connecting again."""
        settings = self._context.settings
        self._link.reload(offer)
        self._watch.use(settings.watchdog_seconds)
        self._back_off.settings = settings

    def stop(self, cause: int = numbers.REBOOTING) -> None:
        """Disconnect in order (DPR with that Disconnect-Cause) and stay away until `start`."""
        self._stopped = True
        self._link.stop(cause)

    def start(self) -> None:
        """Connect (again), now."""
        self._stopped = False
        self._back_off.at_once()
        self._wake.set()

    def abort(self) -> None:
        """Reset the connection, without a good-bye; what was not delivered yet is lost."""
        self._link.abort()

    async def wait_closed(self) -> None:
        """Until there is no connection."""
        await self._link.closed.wait()

    # --- what the link tells ----------------------------------------------------------------------

    def link_opened(self) -> None:
        """Watch it, use it."""
        self._connections += 1
        self._opened_at = trio.current_time()
        self.doubted = False
        self.load = None
        _log.info("peer open", peer=self.host, state=self._link.state.name)
        self._logged_error = ""
        self._watch.up()

    def link_closing(self) -> None:
        """What is in flight may still be answered; `link_closed` fails what is not."""

    def link_closed(self, good_bye: int | None) -> None:
        """What is in flight goes elsewhere; decide when to come back."""
        opened_at, self._opened_at = self._opened_at, None
        if good_bye is not None and not self._stopped:
            self._stopped = not self._back_off.after_disconnect(good_bye)
        else:
            now = trio.current_time()
            self._back_off.after_loss(now - opened_at if opened_at is not None else 0.0)
        self._log_closed(opened_at is not None)
        self._watch.down(orderly=good_bye is not None)
        self._fail_over()

    def link_heard(self) -> None:
        """It lives (RFC 3539 §3.4.1: any traffic proves it)."""
        self.doubted = False
        self._watch.heard(self._link.last_received)

    def link_heard_dwa(self) -> None:
        """It answered our DWR."""
        self._watch.handle(watchdog.Event.RECEIVE_DWA)

    def link_message(self, connection: Connection, raw: bytes) -> None:
        """An answer to give to who waits for it, or a request to answer.

        Raises:
            DecodeError: it cannot be read.
        """
        if raw[4] & numbers.FLAG_REQUEST:
            self._take_request(connection, raw)
        else:
            self._pending.take(self, raw, self._link.last_received)

    def _take_request(self, connection: Connection, raw: bytes) -> None:
        self._requests_received += 1
        try:
            request = decode_frame(raw)
            fault = find_fault(request)
        except DecodeError as error:
            connection.queue(self._refusal(raw, error))
            raise
        if fault is not None:
            answer: bytes | None = self._context.refuse(
                request, fault.result_code, fault.text, fault.failed_avp
            )
        else:
            answer = self._context.on_request(self, request)
        if answer is not None:
            connection.queue(answer)

    def _refusal(self, raw: bytes, error: DecodeError) -> bytes:
        """An answer to a request of which only the header can be trusted."""
        header = raw[:1] + b"\0\0\x14" + bytes((raw[4] & ~numbers.FLAG_ERROR,)) + raw[5:20]
        code = error.result_code
        return self._context.refuse(decode(header), code, str(error), error.failed_avp)

    def _fail_over(self) -> None:
        """Nobody will answer what is pending; the waiters decide where it goes."""
        self._pending.fail(self)

    def _watchdog_changed(self) -> None:
        _log.info("watchdog", peer=self.host, state=self._watch.state.name)

    def _log_closed(self, was_open: bool) -> None:
        # An AAA that is down for an hour is one warning, not one for each attempt.
        reason = self._link.last_error
        news = was_open or reason != self._logged_error
        self._logged_error = reason
        (_log.warning if news else _log.debug)(
            "peer closed",
            peer=self.host,
            reason=reason,
            stays_away=self._stopped,
            retry_seconds=round(self._back_off.seconds, 1),
        )
