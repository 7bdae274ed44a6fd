"""A Diameter server: accepts clients and agents, and hands their requests to a handler.

Source: RFC 6733 §5.3 (CER), §5.6 (R-Open). The lab's AAA and the tests' peers are built on it; the
peers are those of the client, only that here the other side connects.
"""

import random
import socket
import ssl
import time
from collections.abc import Callable, Collection
from typing import Final

import structlog
import trio

from actors.diameter.connection import RESPONDED, Connection, Outbox
from actors.diameter.handshake import completed, refuses_cer
from actors.diameter.peer import Peer, PeerContext
from actors.diameter.transport import TcpTransport, Transport, TransportError, accept_tls
from actors.runtime.timers import Timer, TimerWheel
from actors.runtime.turn import Turn
from config.model import Diameter
from protocols.diameter import messages, numbers
from protocols.diameter.capabilities import Capabilities, read_capabilities
from protocols.diameter.checks import find_fault
from protocols.diameter.codec import Message, decode
from protocols.diameter.errors import RemoteError
from protocols.diameter.identifiers import end_to_end_identifiers
from protocols.diameter.messages import Offer, Origin

MAX_PEERS: Final = 1_000  # identities that are remembered
BACKLOG: Final = 128
ACCEPT_PAUSE_SECONDS: Final = 0.1  # no file descriptor left: wait instead of spinning

_log = structlog.get_logger("diameter")

ServerPeer = Peer  # what a handler sees of a client: `host`, `answer(raw)`, `is_open`
Handle = Callable[[Message, ServerPeer], None]


class DiameterServer:
    """Accepts connections and serves requests.

    Attributes:
        origin: our identity, for building answers.
        peers: clients by Origin-Host (lower case), also those that are gone.
    """

    def __init__(
        self,
        identity: str,
        realm: str,
        applications: tuple[int, ...],
        handle: Handle,
        turn: Turn,
        timers: TimerWheel,
        *,
        settings: Diameter | None = None,
        tls: ssl.SSLContext | None = None,
        known_peers: Collection[str] | None = None,
    ) -> None:
        """Describe the server; `run` starts it.

        Args:
            applications: ids to announce; `numbers.RELAY` for all.
            handle: gets each sound request; answers with `peer.answer(raw)`, now or later.
            settings: timers and bounds; by default those of the configuration's model.
            tls: serve TLS (before CER) with this context.
            known_peers: Origin-Hosts that may connect, others get 3010; None: everybody.
        """
        generator = random.Random()  # noqa: S311 (identifiers and jitter)
        now = int(time.time())
        self.origin = Origin(identity, realm, now)
        self.peers: dict[str, Peer] = {}
        self._handle = handle
        self._tls = tls
        self._known = None if known_peers is None else {host.lower() for host in known_peers}
        self._offer = Offer((), applications, product_name="entitlement-node lab")
        self._outbox = Outbox()
        self._context = PeerContext(
            settings=settings or Diameter(origin_host=identity, origin_realm=realm),
            origin=self.origin,
            turn=turn,
            timers=timers,
            outbox=self._outbox,
            end_to_end=end_to_end_identifiers(now, generator.getrandbits(20)),
            on_request=self._on_request,
            generator=generator,
        )
        turn.flusher(self._outbox.flush)

    async def run(
        self,
        address: str = "127.0.0.1",
        port: int = 0,
        *,
        task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept until cancelled; reports the address and port that are bound."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.create_server((address, port), family=family, backlog=BACKLOG) as listener:
            listener.setblocking(False)
            async with trio.open_nursery() as nursery:
                task_status.started(listener.getsockname()[:2])
                while True:
                    await trio.lowlevel.wait_readable(listener)
                    try:
                        sock, _ = listener.accept()
                    except BlockingIOError:
                        continue
                    except OSError:
                        await trio.sleep(ACCEPT_PAUSE_SECONDS)
                        continue
                    nursery.start_soon(self._serve_socket, sock)

    async def _serve_socket(self, sock: socket.socket) -> None:
        tcp = TcpTransport(sock)
        try:
            transport: Transport = tcp if self._tls is None else await accept_tls(tcp, self._tls)
            await self.serve(transport)
        except TransportError as error:
            _log.info("client lost", reason=str(error))
        except Exception as error:  # the shell: one connection's bug ends no other
            self._context.turn.crashed(error)
        finally:
            tcp.close()

    async def serve(self, transport: Transport) -> None:
        """Serve one connection, from its CER to its end.

        Raises:
            TransportError: it was lost before its CER.
        """
        connection = Connection(
            transport,
            RESPONDED,
            self._outbox,
            self._context.settings.max_message_octets,
            self._context.generator.getrandbits(32),
        )
        peer = None
        try:
            with trio.move_on_after(self._context.settings.capabilities_seconds):
                peer = self._opened(connection, await _first_message(connection))
        except RemoteError as error:
            _log.warning("not a CER", reason=str(error))
        finally:
            if peer is None:
                connection.close()
        if peer is not None:
            self._context.turn.end()
            await peer.serve(connection)

    def _opened(self, connection: Connection, cer: Message) -> Peer | None:
        """The peer that a CER belongs to; None when it is refused.

        Raises:
            RemoteError: it is no CER.
        """
        if cer.command != numbers.CAPABILITIES_EXCHANGE or not cer.is_request:
            raise RemoteError(f"command {cer.command}", numbers.COMMAND_UNSUPPORTED)
        capabilities = read_capabilities(cer)
        fault = find_fault(cer)
        code = fault.result_code if fault is not None else self._refusal(capabilities)
        if code:
            _log.warning("client refused", peer=capabilities.origin_host, result=code)
            refused = self._context.refused
            refused[code] = refused.get(code, 0) + 1
            offer = completed(self._offer, connection.transport.local_address)
            failed = fault.failed_avp if fault is not None else b""
            connection.queue(messages.build_cea(cer, self.origin, offer, code, failed))
            return None
        peer = self._peer(capabilities.origin_host.lower())
        # RFC 6733 §5.6: while one connection is open, another of the same peer is rejected.
        return peer if peer.accept(connection, cer, capabilities) else None

    def _refusal(self, capabilities: Capabilities) -> int:
        if self._known is not None and capabilities.origin_host.lower() not in self._known:
            return numbers.UNKNOWN_PEER
        return refuses_cer(capabilities, self._offer, self._tls is not None)

    def _peer(self, host: str) -> Peer:
        peer = self.peers.get(host)
        if peer is None:
            if len(self.peers) >= MAX_PEERS:
                self.peers = {name: one for name, one in self.peers.items() if one.is_open}
            peer = self.peers[host] = Peer(host, self._offer, self._context)
        return peer

    def _on_request(self, peer: Peer, request: Message) -> bytes | None:
        self._handle(request, peer)
        return None

    def request(
        self,
        peer: ServerPeer,
        command: int,
        application: int,
        body: bytes,
        reply: Callable[[Message | None], None],
        *,
        seconds: float = 5.0,
        end_to_end: int | None = None,
        flags: int = messages.APPLICATION_REQUEST,
    ) -> None:
        """Send a request of our own, such as RAR or ASR; it leaves at the end of the turn.

        Args:
            body: its AVPs.
            reply: gets the answer, or None when none comes in time.
            end_to_end: to send one again as the duplicate that it is.
        """
        if end_to_end is None:
            end_to_end = self._context.end_to_end.next()
        waiter = _Reply(reply, end_to_end)
        if not peer.is_open or peer.is_full:
            reply(None)
            return
        waiter.timer = self._context.timers.after(seconds, lambda: waiter.give_up(peer))
        peer.request(waiter, flags, command, application, body)


class _Reply:
    """Who waits for the answer to a server's request."""

    __slots__ = ("_reply", "end_to_end", "hop_by_hop", "sent_at", "timer")

    def __init__(self, reply: Callable[[Message | None], None], end_to_end: int) -> None:
        self._reply = reply
        self.end_to_end = end_to_end
        self.hop_by_hop = 0
        self.sent_at = 0.0
        self.timer: Timer | None = None

    def answered(self, peer: Peer, answer: Message, vendor: int, code: int) -> None:
        """It came."""
        self._done(answer)

    def lost(self, peer: Peer) -> None:
        """It will not come."""
        self._done(None)

    def give_up(self, peer: Peer) -> None:
        """It did not come in time."""
        peer.forget(self.hop_by_hop)
        self._done(None)

    def _done(self, answer: Message | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self._reply(answer)


async def _first_message(connection: Connection) -> Message:
    """What a client sends first.

    Raises:
        TransportError: it went away.
        RemoteError: it cannot be read, or more came before our CEA.
    """
    raws: list[bytes] = []
    while not raws:
        data = await connection.transport.receive()
        if not data:
            raise TransportError("closed before its CER")
        raws = connection.framer.cut(data)
    if len(raws) > 1:
        raise RemoteError("more than a CER before the CEA", numbers.UNABLE_TO_COMPLY)
    return decode(raws[0], connection.framer.limit)
