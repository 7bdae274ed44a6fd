"""One Diameter peer: its connections, its state machine, its watchdog and its pending requests.

Source: RFC 6733 §5 (peers), RFC 3539 (watchdog). The same class is the client's peer, which
connects and reconnects, and the server's, which is given accepted connections. Everything happens
in the Trio thread; a reader handles all that one `recv` brought and then ends the turn once. A peer
that misbehaves loses its connection and nothing else.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
import trio

from actors.diameter.back_off import BackOff
from actors.diameter.breaker import CircuitBreaker
from actors.diameter.connection import INITIATED, Connection, Outbox
from actors.diameter.handshake import completed, refusal_in
from actors.diameter.peer_statistics import PeerStatistics
from actors.diameter.pending import Pending, Waiter
from actors.diameter.transport import Transport, TransportError
from actors.diameter.watch import Watch
from actors.runtime.timers import Timer, TimerWheel
from actors.runtime.turn import Turn
from config.model import Diameter
from protocols.diameter import dictionary as d
from protocols.diameter import messages, numbers, watchdog
from protocols.diameter.capabilities import Capabilities, read_capabilities
from protocols.diameter.codec import Message, decode
from protocols.diameter.errors import DecodeError, RemoteError
from protocols.diameter.identifiers import Counter32
from protocols.diameter.messages import Offer, Origin
from protocols.diameter.peer_machine import (
    Action,
    Event,
    IllegalTransition,
    PeerMachine,
    State,
    wins_election,
)

_BASE_COMMANDS: Final = frozenset(
    (numbers.CAPABILITIES_EXCHANGE, numbers.DEVICE_WATCHDOG, numbers.DISCONNECT_PEER)
)
_BEFORE_CEA: Final = frozenset((State.WAIT_I_CEA, State.WAIT_RETURNS))
_CONNECTING: Final = frozenset((State.WAIT_CONN_ACK, State.WAIT_CONN_ACK_ELECT))

_log = structlog.get_logger("diameter")

OnRequest = Callable[["Peer", Message], bytes | None]  # the answer, or None: it comes later


@dataclass(slots=True)
class PeerContext:
    """What all peers of one node share.

    Attributes:
        settings: timers and bounds.
        changed: told when a peer opens, closes or changes its watchdog state.
        generator: for jitter and identifiers; no secret comes from it.
    """

    settings: Diameter
    origin: Origin
    turn: Turn
    timers: TimerWheel
    outbox: Outbox
    end_to_end: Counter32
    on_request: OnRequest
    changed: Callable[["Peer"], None]
    generator: random.Random = field(default_factory=random.Random)


class Peer:
    """One peer.

    Attributes:
        host, identity: its Origin-Host in lower case, as text and as octets.
        breaker: whether new sessions may start here.
        is_agent: it relays: it said so in its CEA, or answered for somebody else.
        capabilities: of its last CER or CEA.
        doubted: a request timed out and nothing was received since.
        last_received: seconds on the Trio clock.
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
        self.is_agent = False
        self.capabilities: Capabilities | None = None
        self.doubted = False
        self.last_received = 0.0
        self.timeouts = self.failovers = 0
        self._offer = offer
        self._context = context
        self._connect = connect
        self._machine = PeerMachine()
        self._pending = Pending()
        self._watch = Watch(
            context.settings.watchdog_seconds,
            context.timers,
            context.generator,
            send_dwr=self._send_dwr,
            fail_over=self._fail_over,
            close=self._close_for_watchdog,
            changed=self._watchdog_changed,
        )
        self._back_off = BackOff(context.settings, context.generator)
        self._i: Connection | None = None
        self._r: Connection | None = None
        self._open: Connection | None = None
        self._candidate: Connection | None = None
        self._cer: Message | None = None
        self._elect = False
        self._limit: Timer | None = None  # of the CEA, or of the DPA
        self._wake = trio.Event()
        self._closed = trio.Event()
        self._closed.set()
        self._stopped = False
        self._opened_at: float | None = None
        self._orderly = False
        self._disconnect_cause = numbers.REBOOTING
        self._requests_received = self._malformed = self._connections = self._stray = 0
        self._last_error = self._logged_error = ""

    def __repr__(self) -> str:
        """Where it stands."""
        return f"Peer({self.host!r}, {self._machine.state.name}, {self._watch.state.name})"

    # --- what the router and the server ask -------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Requests may be sent."""
        return self._open is not None

    @property
    def is_good(self) -> bool:
        """Open, and nothing speaks against using it: the watchdog is OKAY, it is not silent."""
        return (
            self._open is not None and not self.doubted and self._watch.state is watchdog.State.OKAY
        )

    @property
    def in_flight(self) -> int:
        """Requests that wait for their answer."""
        return len(self._pending)

    @property
    def is_full(self) -> bool:
        """As many requests wait as may."""
        return len(self._pending) >= self._context.settings.max_pending

    def request(
        self, waiter: Waiter, flags: int, command: int, application: int, body: bytes
    ) -> bytes:
        """Send a request at the end of this turn. Only while `is_open` and not `is_full`.

        Returns:
            The message as it goes out.
        """
        assert self._open is not None, "the caller looked at is_open"  # noqa: S101
        waiter.sent_at = trio.current_time()
        return self._pending.send(self._open, waiter, flags, command, application, body)

    def answer(self, raw: bytes) -> None:
        """Send an answer at the end of this turn; dropped when the connection is gone."""
        connection = self._open or self._i or self._r
        if connection is not None:
            connection.queue(raw)

    def forget(self, waiter: Waiter) -> None:
        """The waiter waits no longer; a late answer is dropped."""
        self._pending.forget(waiter)

    def doubt(self) -> None:
        """A request timed out and nothing else came either: ask with a DWR, prefer others."""
        self.doubted = True
        self._watch.handle(watchdog.Event.DOUBTED)

    def statistics(self) -> PeerStatistics:
        """A snapshot."""
        pending = self._pending
        return PeerStatistics(
            host=self.host,
            state=self._machine.state.name,
            watchdog=self._watch.state.name,
            breaker=self.breaker.state(trio.current_time()).value,
            is_agent=self.is_agent,
            in_flight=len(pending),
            requests=pending.requests,
            answers=dict(pending.answers),
            timeouts=self.timeouts,
            failovers=self.failovers,
            lost=pending.lost,
            requests_received=self._requests_received,
            unexpected=pending.unexpected + self._stray,
            malformed=self._malformed,
            connections=self._connections,
            reconnects=max(0, self._connections - 1),
            last_error=self._last_error,
            origin_state_id=self.capabilities.origin_state_id if self.capabilities else None,
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
                self._happen(Event.START)
                await self._attempt()
                await self._closed.wait()
        finally:
            self._shut()

    async def _wait_for_turn(self) -> None:
        """Until it is time to connect; not while stopped, nor while the peer has connected."""
        while True:
            with trio.move_on_after(self._back_off.seconds):
                await self._wake.wait()
            self._wake = trio.Event()
            if self._stopped:
                await self._wake.wait()
            elif self._machine.state is State.CLOSED:
                return
            else:
                await self._closed.wait()

    async def _attempt(self) -> None:
        """One connection, from its opening to its end."""
        assert self._connect is not None  # noqa: S101
        transport = None
        try:
            with trio.move_on_after(self._context.settings.connect_seconds):
                transport = await self._connect()
            self._last_error = "" if transport is not None else "no connection in time"
        except TransportError as error:
            self._last_error = str(error)
        if self._machine.state not in _CONNECTING:  # stopped meanwhile
            if transport is not None:
                transport.close()
        elif transport is None:
            self._happen(Event.I_RCV_CONN_NACK)
            self._context.turn.end()
        else:
            self._i = connection = Connection(
                transport,
                INITIATED,
                self._context.outbox,
                self._context.settings.max_message_octets,
                self._context.generator.getrandbits(32),
            )
            self._limit_by(self._context.settings.capabilities_seconds)
            self._happen(Event.I_RCV_CONN_ACK)
            self._context.turn.end()
            await self.serve(connection)

    async def serve(self, connection: Connection) -> None:
        """Read a connection until it ends."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.transport.write_rest)
                await self._read(connection)
                nursery.cancel_scope.cancel()
        finally:
            self._connection_ended(connection)
            self._context.turn.end()

    async def _read(self, connection: Connection) -> None:
        receive, end = connection.transport.receive, self._context.turn.end
        try:
            while not connection.closed:
                data = await receive()
                if not data:
                    return
                self.receive(connection, data)
                end()
        except TransportError as error:
            if not connection.closed:
                self._last_error = str(error)
        except trio.Cancelled:
            self._happen_if_legal(Event.STOP)  # a peer that gets no DPR puts us on probation
            raise

    def accept(self, connection: Connection, cer: Message, capabilities: Capabilities) -> bool:
        """Take over a connection whose CER was found good; `serve` it next.

        Returns:
            False: refused, because there is a connection already (R-Reject).
        """
        self._candidate = connection
        self._cer = cer
        if self._machine.state is State.CLOSED:
            self.capabilities = capabilities
        self._happen(Event.R_CONN_CER)
        return self._r is connection

    def stop(self, cause: int = numbers.REBOOTING) -> None:
        """Disconnect in order (DPR with that Disconnect-Cause) and stay away until `start`."""
        self._stopped = True
        self._disconnect_cause = cause
        self._happen_if_legal(Event.STOP)

    def start(self) -> None:
        """Connect (again), now."""
        self._stopped = False
        self._back_off.at_once()
        self._wake.set()

    async def wait_closed(self) -> None:
        """Until there is no connection."""
        await self._closed.wait()

    # --- input ------------------------------------------------------------------------------------

    def receive(self, connection: Connection, data: bytes) -> None:
        """Handle everything that one read brought. Never raises."""
        self.last_received = trio.current_time()
        self.doubted = False
        if self._open is not None:
            self._watch.heard(self.last_received)
        try:
            for raw in connection.framer.cut(data):
                if connection.closed:
                    return
                self._take(connection, raw)
        except (RemoteError, IllegalTransition) as error:
            self._malformed += 1
            self._give_up(connection, str(error))
        except Exception as error:  # the shell: a bug costs this connection alone
            self._context.turn.crashed(error)
            self._give_up(connection, "internal error")

    def _take(self, connection: Connection, raw: bytes) -> None:
        """One message.

        Raises:
            RemoteError, IllegalTransition: the connection must end.
        """
        command = int.from_bytes(raw[5:8], "big")
        if command in _BASE_COMMANDS:
            self._take_base(connection, decode(raw, connection.framer.limit))
        elif connection is not self._open and self._machine.state is not State.CLOSING:
            self._not_a_cea(connection, f"command {command} before the CEA")
        elif raw[4] & numbers.FLAG_REQUEST:
            self._take_request(connection, raw)
        else:
            self._pending.take(self, raw, self.last_received, connection.framer.limit)

    def _take_request(self, connection: Connection, raw: bytes) -> None:
        self._requests_received += 1
        try:
            request = decode(raw, connection.framer.limit)
            fault = messages.find_fault(request)
        except DecodeError as error:
            connection.queue(self._refusal(raw, error))
            raise
        if fault is not None:
            refusal = messages.build_error(
                request, self._context.origin, fault.result_code, fault.text, fault.failed_avp
            )
            connection.queue(refusal)
            return
        answer = self._context.on_request(self, request)
        if answer is not None:
            connection.queue(answer)

    def _refusal(self, raw: bytes, error: DecodeError) -> bytes:
        """An answer to a request of which only the header can be trusted."""
        header = raw[:1] + b"\0\0\x14" + bytes((raw[4] & ~numbers.FLAG_ERROR,)) + raw[5:20]
        return messages.build_error(
            decode(header), self._context.origin, error.result_code, str(error), error.failed_avp
        )

    # --- base messages ----------------------------------------------------------------------------

    def _take_base(self, connection: Connection, message: Message) -> None:
        initiated = connection.side is INITIATED
        if message.command == numbers.CAPABILITIES_EXCHANGE:
            self._take_cea(connection, message)
        elif connection is self._i and self._machine.state in _BEFORE_CEA:
            self._not_a_cea(connection, f"command {message.command} before the CEA")
        elif message.command == numbers.DEVICE_WATCHDOG:
            if message.is_request:
                self._happen(Event.I_RCV_DWR if initiated else Event.R_RCV_DWR, message)
            else:
                self._happen(Event.I_RCV_DWA if initiated else Event.R_RCV_DWA, message)
        elif message.is_request:
            self._orderly = True
            self._disconnect_cause = message.i32(d.DISCONNECT_CAUSE) or numbers.REBOOTING
            self._last_error = f"the peer disconnected, cause {self._disconnect_cause}"
            self._happen(Event.I_RCV_DPR if initiated else Event.R_RCV_DPR, message)
        else:
            self._happen(Event.I_RCV_DPA if initiated else Event.R_RCV_DPA)

    def _take_cea(self, connection: Connection, message: Message) -> None:
        expected = connection is self._i and self._machine.state in _BEFORE_CEA
        if message.is_request or not expected:
            self._stray += 1  # a second CER or CEA means nothing (RFC 6733 §5.3)
            return
        capabilities = read_capabilities(message)
        refusal = refusal_in(message, capabilities, self.host, self._offer)
        if refusal:
            self._not_a_cea(connection, refusal)
            return
        self.capabilities = capabilities
        self.is_agent = self.is_agent or numbers.RELAY in capabilities.applications
        self._happen(Event.I_RCV_CEA, message)

    def _not_a_cea(self, connection: Connection, reason: str) -> None:
        if connection is self._i and self._machine.state in _BEFORE_CEA:
            self._last_error = reason
            self._happen(Event.I_RCV_NON_CEA)
        else:
            self._give_up(connection, reason)

    # --- the machine ------------------------------------------------------------------------------

    def _happen(self, event: Event, message: Message | None = None) -> None:
        """Let the peer machine go on, and carry out what it says.

        Raises:
            IllegalTransition: nothing happened.
        """
        before = self._machine.state
        actions = self._machine.handle(event)
        if before is State.CLOSED:
            self._closed = trio.Event()
        for action in actions:
            self._act(action, message)
        after = self._machine.state
        if after is not before:
            self._state_changed(before, after)
        if self._elect:
            self._elect = False
            if wins_election(self._context.origin.host, self.host):
                self._happen(Event.WIN_ELECTION)

    def _happen_if_legal(self, event: Event) -> None:
        """For events that may come too late to mean anything."""
        try:
            self._happen(event)
        except IllegalTransition:
            self._stray += 1

    def _act(self, action: Action, message: Message | None) -> None:
        origin = self._context.origin
        match action:
            case Action.I_SND_CER:
                self._send_cer()
            case Action.R_SND_CEA:
                self._send_cea()
            case Action.I_SND_DWA | Action.R_SND_DWA if message is not None:
                self._send(action, messages.build_dwa(message, origin))
            case Action.I_SND_DPA | Action.R_SND_DPA if message is not None:
                self._send(action, messages.build_dpa(message, origin))
            case Action.I_SND_DPR | Action.R_SND_DPR:
                self._send_dpr(action)
            case Action.PROCESS_DWA:
                self._watch.handle(watchdog.Event.RECEIVE_DWA)
            case Action.I_DISC:
                self._drop_initiated()
            case Action.R_DISC:
                self._drop_responded()
            case Action.CLEANUP | Action.ERROR:
                self._drop_initiated()
                self._drop_responded()
            case Action.R_ACCEPT:
                self._r = self._candidate
            case Action.ELECT:
                self._elect = True  # once this step is through
            case _:
                pass  # done by whoever raised the event (PROCESS_…), or nothing to do (R_REJECT)

    def _send(self, action: Action, raw: bytes) -> None:
        connection = self._i if action.name.startswith("I_") else self._r
        if connection is not None:
            connection.queue(raw)

    def _send_cer(self) -> None:
        connection = self._i
        assert connection is not None  # noqa: S101
        offer = completed(self._offer, connection.transport.local_address)
        identifiers = connection.hop_by_hop.next(), self._context.end_to_end.next()
        connection.queue(messages.build_cer(self._context.origin, offer, *identifiers))

    def _send_cea(self) -> None:
        if self._r is not None and self._cer is not None:
            offer = completed(self._offer, self._r.transport.local_address)
            cea = messages.build_cea(self._cer, self._context.origin, offer, numbers.SUCCESS)
            self._r.queue(cea)

    def _send_dpr(self, action: Action) -> None:
        self._orderly = True
        connection = self._i if action is Action.I_SND_DPR else self._r
        if connection is not None:
            identifiers = connection.hop_by_hop.next(), self._context.end_to_end.next()
            cause = self._disconnect_cause
            connection.queue(messages.build_dpr(self._context.origin, cause, *identifiers))

    def _send_dwr(self) -> None:
        connection = self._open
        if connection is not None:
            identifiers = connection.hop_by_hop.next(), self._context.end_to_end.next()
            connection.queue(messages.build_dwr(self._context.origin, *identifiers))

    def _drop_initiated(self) -> None:
        if self._i is not None:
            self._i.close()
            self._i = None

    def _drop_responded(self) -> None:
        if self._r is not None:
            self._r.close()
            self._r = None

    # --- what follows from a new state ------------------------------------------------------------

    def _state_changed(self, before: State, after: State) -> None:
        self._open = {State.I_OPEN: self._i, State.R_OPEN: self._r}.get(after)
        if self._open is not None:
            self._opened()
        elif after is State.CLOSING:
            self._limit_by(self._context.settings.disconnect_seconds)
            self._context.changed(self)
        elif after is State.CLOSED:
            self._went_down()

    def _opened(self) -> None:
        self._cancel_limit()
        self._connections += 1
        self._opened_at = trio.current_time()
        self._orderly = False
        self.doubted = False
        self._last_error = ""
        self._watch.up()
        _log.info("peer open", peer=self.host, state=self._machine.state.name)
        self._context.changed(self)

    def _went_down(self) -> None:
        self._cancel_limit()
        self._drop_initiated()
        self._drop_responded()
        opened_at, self._opened_at = self._opened_at, None
        if self._orderly and not self._stopped:
            self._stopped = not self._back_off.after_disconnect(self._disconnect_cause)
        else:
            now = trio.current_time()
            self._back_off.after_loss(now - opened_at if opened_at is not None else 0.0)
        orderly, self._orderly = self._orderly, False
        self._watch.down(orderly)
        # An AAA that is down for an hour is one warning, not one for each attempt.
        news = opened_at is not None or self._last_error != self._logged_error
        self._logged_error = self._last_error
        (_log.warning if news else _log.debug)(
            "peer closed",
            peer=self.host,
            reason=self._last_error,
            stays_away=self._stopped,
            retry_seconds=round(self._back_off.seconds, 1),
        )
        self._closed.set()
        self._fail_over()
        self._context.changed(self)

    def _connection_ended(self, connection: Connection) -> None:
        """The reader is through: tell the machine, unless it closed the connection itself."""
        connection.close()
        if connection is self._i:
            if self._machine.state is State.WAIT_I_CEA and not self._last_error:
                self._last_error = "closed before CEA, check application ids"
            self._happen_if_legal(Event.I_PEER_DISC)
        elif connection is self._r:
            self._happen_if_legal(Event.R_PEER_DISC)

    def _give_up(self, connection: Connection, reason: str) -> None:
        """Close a connection because of what came over it; what we answered still goes out."""
        self._last_error = reason
        _log.warning("peer misbehaved", peer=self.host, reason=reason)
        self._orderly = False
        self._connection_ended(connection)

    def _fail_over(self) -> None:
        """Nobody will answer what is pending; the waiters decide where it goes."""
        self._pending.fail(self)

    def _close_for_watchdog(self) -> None:
        if self._open is not None:
            self._last_error = "no watchdog answer"
            self._happen_if_legal(Event.TIMEOUT)

    def _watchdog_changed(self) -> None:
        _log.info("watchdog", peer=self.host, state=self._watch.state.name)
        self._context.changed(self)

    def _shut(self) -> None:
        """Cancelled: nothing may be left open or waiting."""
        self._drop_initiated()
        self._drop_responded()
        self._open = None
        self._cancel_limit()
        self._watch.cancel()
        self._machine = PeerMachine()
        self._closed.set()
        self._fail_over()

    # --- the limit of the CEA and of the DPA ------------------------------------------------------

    def _limit_by(self, seconds: float) -> None:
        self._cancel_limit()
        self._limit = self._context.timers.after(seconds, self._limit_reached)

    def _cancel_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _limit_reached(self) -> None:
        if self._machine.state is not State.CLOSING:
            self._last_error = "no CEA in time"
        elif not self._last_error:
            self._last_error = "no DPA in time"
        self._happen_if_legal(Event.TIMEOUT)
