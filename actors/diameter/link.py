"""The connections to one peer under the peer machine: opening, capabilities, good-byes, closing.

Source: RFC 6733 §5.3 (CER), §5.4 (DPR), §5.6 (machine). The table is `protocols/diameter/
peer_machine.py`; this class has the two connections, `I` that we opened and `R` that the peer
opened, and carries out the table's actions. What is no base message goes to the owner, which also
has the watchdog.
"""

import random
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog
import trio

from actors.diameter.connection import INITIATED, Connection, Outbox
from actors.diameter.handshake import completed, refusal_in
from actors.diameter.transport import Transport, TransportError
from actors.runtime.timers import Timer, TimerWheel
from actors.runtime.turn import Turn
from config.model import Diameter
from protocols.diameter import dictionary as d
from protocols.diameter import messages, numbers
from protocols.diameter.capabilities import Capabilities, read_capabilities
from protocols.diameter.checks import find_fault
from protocols.diameter.codec import Message, decode_frame
from protocols.diameter.errors import RemoteError
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
CONNECTING: Final = frozenset((State.WAIT_CONN_ACK, State.WAIT_CONN_ACK_ELECT))

_log = structlog.get_logger("diameter")


@dataclass(slots=True)
class LinkContext:
    """What all links of one node share.

    Attributes:
        settings: timers and bounds.
        generator: for jitter and identifiers; no secret comes from it.
        refused: requests of the peers that got an error, by result code.
    """

    settings: Diameter
    origin: Origin
    turn: Turn
    timers: TimerWheel
    outbox: Outbox
    end_to_end: Counter32
    generator: random.Random = field(default_factory=random.Random)
    refused: dict[int, int] = field(default_factory=dict)

    def refuse(self, request: Message, code: int, text: str, failed_avp: bytes = b"") -> bytes:
        """The answer that refuses a request, which is counted."""
        self.refused[code] = self.refused.get(code, 0) + 1
        return messages.build_error(request, self.origin, code, text, failed_avp)


class LinkOwner(Protocol):
    """What a link tells."""

    def link_opened(self) -> None:
        """Messages may be sent."""
        ...

    def link_closing(self) -> None:
        """One side said good-bye; what is in flight may still come."""
        ...

    def link_closed(self, good_bye: int | None) -> None:
        """There is no connection any more.

        Args:
            good_bye: the Disconnect-Cause, when it ended by DPR (of either side).
        """
        ...

    def link_heard(self) -> None:
        """Something was received while open."""
        ...

    def link_heard_dwa(self) -> None:
        """A watchdog answer was received."""
        ...

    def link_message(self, connection: Connection, raw: bytes) -> None:
        """A message of an application.

        Raises:
            RemoteError: the connection must end.
        """
        ...


class Link:
    """The connections to one peer.

    Attributes:
        open: the connection that carries messages; None unless the state is I-Open or R-Open.
        capabilities: of its last CER or CEA.
        last_received: when a message came last, in seconds on the Trio clock.
        last_error: why the last connection or attempt ended; empty when all is well.
        malformed, stray: messages that could not be read, or that meant nothing.
        closed: set while there is no connection, nor any attempt.
    """

    def __init__(self, host: str, offer: Offer, context: LinkContext, owner: LinkOwner) -> None:
        """Begin in Closed. `host` is the peer's identity in lower case."""
        self.open: Connection | None = None
        self.capabilities: Capabilities | None = None
        self.last_received = 0.0
        self.last_error = ""
        self.malformed = self.stray = 0
        self.closed = trio.Event()
        self.closed.set()
        self._host = host
        self._offer = offer
        self._context = context
        self._owner = owner
        self._machine = PeerMachine()
        self._i: Connection | None = None
        self._r: Connection | None = None
        self._candidate: Connection | None = None
        self._cer: Message | None = None
        self._elect = False
        self._dwr: int | None = None  # Hop-by-Hop Identifier of ours that waits for its DWA
        self._limit: Timer | None = None  # of the CEA, or of the DPA
        self._orderly = False
        self._cause = numbers.REBOOTING

    @property
    def state(self) -> State:
        """RFC 6733's state."""
        return self._machine.state

    # --- what the owner asks ----------------------------------------------------------------------

    def reload(self, offer: Offer) -> None:
        """The context has other settings: of messages from now on; the offer for the next CER."""
        self._offer = offer
        for connection in (self._i, self._r):
            if connection is not None:
                connection.limit(self._context.settings.max_message_octets)

    def start(self) -> None:
        """An attempt begins: `connected` or `not_connected` comes next."""
        self.happen(Event.START)

    def not_connected(self, reason: str) -> None:
        """The transport could not be opened."""
        self.last_error = reason
        if self.state in CONNECTING:
            self.happen(Event.I_RCV_CONN_NACK)

    def connected(self, transport: Transport) -> Connection | None:
        """The transport is open; the CER goes out. None: it is not wanted any more."""
        if self.state not in CONNECTING:
            transport.close()
            return None
        self.last_error = ""
        settings = self._context.settings
        self._i = connection = Connection(
            transport,
            INITIATED,
            self._context.outbox,
            settings.max_message_octets,
            self._context.generator.getrandbits(32),
        )
        self._limit_by(settings.capabilities_seconds)
        self.happen(Event.I_RCV_CONN_ACK)
        return connection

    def accept(self, connection: Connection, cer: Message, capabilities: Capabilities) -> bool:
        """Take over a connection whose CER was found good; `serve` it next.

        Returns:
            False: refused, because there is a connection already (R-Reject).
        """
        self._candidate = connection
        self._cer = cer
        if self.state is State.CLOSED:
            self.capabilities = capabilities
        self.happen(Event.R_CONN_CER)
        return self._r is connection

    def stop(self, cause: int) -> None:
        """Disconnect in order: DPR with that Disconnect-Cause, or let go of an attempt."""
        self._cause = cause
        self._happen_if_legal(Event.STOP)

    def give_up(self, reason: str) -> None:
        """Close without a good-bye (RFC 3539 CloseConnection)."""
        if self.open is not None:
            self.last_error = reason
            self._happen_if_legal(Event.TIMEOUT)

    def abort(self) -> None:
        """Reset the open connection, as a crash would; its reader tells the machine."""
        if self.open is not None:
            self.last_error = "aborted"
            self.open.abort()

    def answer(self, raw: bytes) -> None:
        """Send an answer; also while closing. Dropped when the connection is gone."""
        connection = self.open or self._i or self._r
        if connection is not None:
            connection.queue(raw)

    def send_dwr(self) -> None:
        """Send a Device-Watchdog-Request."""
        if self.open is not None:
            identifiers = self.open.hop_by_hop.next(), self._context.end_to_end.next()
            self._dwr = identifiers[0]
            self.open.queue(messages.build_dwr(self._context.origin, *identifiers))

    def shut(self) -> None:
        """Leave nothing open: the owner was cancelled."""
        self._drop_initiated()
        self._drop_responded()
        self.open = None
        self._cancel_limit()
        self._machine = PeerMachine()
        self.closed.set()

    # --- reading ----------------------------------------------------------------------------------

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
                self.last_error = str(error)
        except trio.Cancelled:
            self._happen_if_legal(Event.STOP)  # a peer that gets no DPR puts us on probation
            raise

    def receive(self, connection: Connection, data: bytes) -> None:
        """Handle everything that one read brought. Never raises."""
        try:
            raws = connection.framer.cut(data)
            if raws:
                # RFC 3539 §3.4.1 [2]: a message shows life; octets that never make one do not.
                self.last_received = self._context.turn.now()
                if self.open is not None:
                    self._owner.link_heard()
            for raw in raws:
                if connection.closed:
                    return
                self._take(connection, raw)
        except (RemoteError, IllegalTransition) as error:
            self.malformed += 1
            self._misbehaved(connection, str(error))
        except Exception as error:  # the shell: a bug costs this connection alone
            self._context.turn.crashed(error)
            self._misbehaved(connection, "internal error")

    def _take(self, connection: Connection, raw: bytes) -> None:
        """One message.

        Raises:
            RemoteError, IllegalTransition: the connection must end.
        """
        command = int.from_bytes(raw[5:8], "big")
        if command in _BASE_COMMANDS:
            self._take_base(connection, decode_frame(raw))
        elif connection is not self.open and self._machine.state is not State.CLOSING:
            self._not_a_cea(connection, f"command {command} before the CEA")
        else:
            self._owner.link_message(connection, raw)

    def _take_base(self, connection: Connection, message: Message) -> None:
        initiated = connection.side is INITIATED
        if message.is_request and self._refuses(connection, message):
            return
        if message.command == numbers.CAPABILITIES_EXCHANGE:
            self._take_cea(connection, message)
        elif connection is self._i and self.state in _BEFORE_CEA:
            self._not_a_cea(connection, f"command {message.command} before the CEA")
        elif message.command == numbers.DEVICE_WATCHDOG:
            if message.is_request:
                self.happen(Event.I_RCV_DWR if initiated else Event.R_RCV_DWR, message)
            elif message.hop_by_hop == self._dwr:
                self._dwr = None
                self.happen(Event.I_RCV_DWA if initiated else Event.R_RCV_DWA, message)
            else:
                # RFC 3539 §3.4.1 [5]: three watchdogs "sent and responded to"; this is no response.
                self.stray += 1
        elif message.is_request:
            self._orderly = True
            self._cause = message.i32(d.DISCONNECT_CAUSE) or numbers.REBOOTING
            self.last_error = f"the peer disconnected, cause {self._cause}"
            self.happen(Event.I_RCV_DPR if initiated else Event.R_RCV_DPR, message)
        else:
            self.happen(Event.I_RCV_DPA if initiated else Event.R_RCV_DPA)

    def _refuses(self, connection: Connection, request: Message) -> bool:
        """A DWR or DPR that cannot be understood gets its error, and nothing else happens.

        Raises:
            DecodeError: a group in it is not sound.
        """
        if connection is not self.open and self.state is not State.CLOSING:
            return False
        if request.command == numbers.CAPABILITIES_EXCHANGE:
            return False  # means nothing any more
        fault = find_fault(request)
        if fault is None:
            return False
        code, failed = fault.result_code, fault.failed_avp
        connection.queue(self._context.refuse(request, code, fault.text, failed))
        return True

    def _take_cea(self, connection: Connection, message: Message) -> None:
        expected = connection is self._i and self.state in _BEFORE_CEA
        if message.is_request or not expected:
            self.stray += 1  # a second CER or CEA means nothing (RFC 6733 §5.3)
            return
        capabilities = read_capabilities(message)
        refusal = refusal_in(message, capabilities, self._host, self._offer)
        if refusal:
            self._not_a_cea(connection, refusal)
        else:
            self.capabilities = capabilities
            self.happen(Event.I_RCV_CEA, message)

    def _not_a_cea(self, connection: Connection, reason: str) -> None:
        if connection is self._i and self.state in _BEFORE_CEA:
            self.last_error = reason
            self.happen(Event.I_RCV_NON_CEA)
        else:
            self._misbehaved(connection, reason)

    def _misbehaved(self, connection: Connection, reason: str) -> None:
        """Close a connection because of what came over it; what we answered still goes out."""
        self.last_error = reason
        _log.warning("peer misbehaved", peer=self._host, reason=reason)
        self._orderly = False
        self._connection_ended(connection)

    def _connection_ended(self, connection: Connection) -> None:
        """The reader is through: tell the machine, unless it closed the connection itself."""
        connection.close()
        if connection is self._i:
            if self.state is State.WAIT_I_CEA and not self.last_error:
                self.last_error = "closed before CEA, check application ids"
            self._happen_if_legal(Event.I_PEER_DISC)
        elif connection is self._r:
            self._happen_if_legal(Event.R_PEER_DISC)

    # --- the machine ------------------------------------------------------------------------------

    def happen(self, event: Event, message: Message | None = None) -> None:
        """Let the peer machine go on, and carry out what it says.

        Raises:
            IllegalTransition: nothing happened.
        """
        before = self._machine.state
        actions = self._machine.handle(event)
        if before is State.CLOSED:
            self.closed = trio.Event()
        for action in actions:
            self._act(action, message)
        after = self._machine.state
        if after is not before:
            self._state_changed(after)
        if self._elect:
            self._elect = False
            if wins_election(self._context.origin.host, self._host):
                self.happen(Event.WIN_ELECTION)

    def _happen_if_legal(self, event: Event) -> None:
        """For events that may come too late to mean anything."""
        try:
            self.happen(event)
        except IllegalTransition:
            self.stray += 1

    def _state_changed(self, after: State) -> None:
        self.open = {State.I_OPEN: self._i, State.R_OPEN: self._r}.get(after)
        if self.open is not None:
            self._cancel_limit()
            self._orderly = False
            self.last_error = ""
            self._owner.link_opened()
        elif after is State.CLOSING:
            self._limit_by(self._context.settings.disconnect_seconds)
            self._owner.link_closing()
        elif after is State.CLOSED:
            self._cancel_limit()
            self._drop_initiated()
            self._drop_responded()
            good_bye = self._cause if self._orderly else None
            self._orderly = False
            self.closed.set()
            self._owner.link_closed(good_bye)

    def _act(self, action: Action, message: Message | None) -> None:
        """One action of the table; those that are not here are done by whoever raised the event."""
        match action:
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
            case Action.PROCESS_DWA:
                self._owner.link_heard_dwa()
            case _:
                connection = self._i if action.name.startswith("I_") else self._r
                if connection is not None:
                    self._send(connection, action, message)

    def _send(self, connection: Connection, action: Action, message: Message | None) -> None:
        """A base message; `message` is what it answers."""
        origin = self._context.origin
        offer = completed(self._offer, connection.transport.local_address)
        identifiers = connection.hop_by_hop.next, self._context.end_to_end.next
        if action is Action.I_SND_CER:
            connection.queue(messages.build_cer(origin, offer, *(one() for one in identifiers)))
        elif action is Action.R_SND_CEA and self._cer is not None:
            connection.queue(messages.build_cea(self._cer, origin, offer, numbers.SUCCESS))
        elif action in _SEND_DPR:
            self._orderly = True
            dpr = messages.build_dpr(origin, self._cause, *(one() for one in identifiers))
            connection.queue(dpr)
        elif action in _SEND_DWA and message is not None:
            connection.queue(messages.build_dwa(message, origin))
        elif action in _SEND_DPA and message is not None:
            connection.queue(messages.build_dpa(message, origin))

    def _drop_initiated(self) -> None:
        if self._i is not None:
            self._i.close()
            self._i = None

    def _drop_responded(self) -> None:
        if self._r is not None:
            self._r.close()
            self._r = None

    # --- the limit of the CEA and of the DPA ------------------------------------------------------

    def _limit_by(self, seconds: float) -> None:
        self._cancel_limit()
        self._limit = self._context.timers.after(seconds, self._limit_reached)

    def _cancel_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _limit_reached(self) -> None:
        if self.state is not State.CLOSING:
            self.last_error = "no CEA in time"
        elif not self.last_error:
            self.last_error = "no DPA in time"
        self._happen_if_legal(Event.TIMEOUT)


_SEND_DPR: Final = frozenset((Action.I_SND_DPR, Action.R_SND_DPR))
_SEND_DWA: Final = frozenset((Action.I_SND_DWA, Action.R_SND_DWA))
_SEND_DPA: Final = frozenset((Action.I_SND_DPA, Action.R_SND_DPA))
