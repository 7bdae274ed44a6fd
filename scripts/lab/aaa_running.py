"""The lab's AAA on a real Diameter server: for the command line and for tests.

The server side is the engine of `actors/diameter`; that the messages are right by themselves is the
business of that engine's own tests, against python-diameter.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import trio

from actors.diameter.server import DiameterServer, ServerPeer
from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from config.model import Diameter
from protocols.diameter import numbers
from protocols.diameter.codec import Message
from protocols.diameter.messages import result_of
from scripts.lab.aaa_behaviour import Behaviour, Behaviours
from scripts.lab.aaa_books import AaaSession, Books, SentRequest
from scripts.lab.aaa_eap import EapConversation, LocalConversation
from scripts.lab.aaa_server import AaaServer
from scripts.lab.home_network import HomeNetwork
from scripts.lab.hostapd import running_hostapd

REALM: Final = "epc.mnc001.mcc001.3gppnetwork.org"
HOST: Final = f"aaa1.{REALM}"
APPLICATIONS: Final = (numbers.SWM, numbers.SWA)
DISCONNECT_SECONDS: Final = 1.0

NewConversation = Callable[[Behaviour], EapConversation]


class _NodePeer:
    """A connected node, as `AaaServer` wants it."""

    __slots__ = ("_peer", "_server", "answer")

    def __init__(self, server: DiameterServer, peer: ServerPeer) -> None:
        self._server = server
        self._peer = peer
        self.answer = peer.answer

    def ask(
        self, command: int, application: int, body: bytes, reply: Callable[[int], None]
    ) -> None:
        """Send a request; 0 when no answer comes."""

        def answered(answer: Message | None) -> None:
            reply(result_of(answer)[1] if answer is not None else 0)

        self._server.request(self._peer, command, application, body, answered)

    def disconnect(self) -> None:
        """DPR, REBOOTING; the node may come back."""
        self._peer.stop(numbers.REBOOTING)

    def reset(self) -> None:
        """A reset (RST) instead of an orderly end."""
        self._peer.abort()


@dataclass
class RunningAaa:
    """An AAA that serves.

    Attributes:
        aaa: the server; its `behaviours` and `books`.
        home: keys and sequence numbers.
        address, port: where it listens.
    """

    aaa: AaaServer
    home: HomeNetwork
    server: DiameterServer
    turn: Turn
    address: str = ""
    port: int = 0

    @property
    def books(self) -> Books:
        """What happened."""
        return self.aaa.books

    @property
    def behaviours(self) -> Behaviours:
        """Who is treated how."""
        return self.aaa.behaviours

    def reauthorize(self, imsi: str) -> SentRequest | None:
        """Send a RAR for the subscriber's newest session; None when there is none."""
        return self._ask(imsi, self.aaa.reauthorize)

    def abort(self, imsi: str) -> SentRequest | None:
        """Send an ASR for the subscriber's newest session; None when there is none."""
        return self._ask(imsi, self.aaa.abort)

    def _ask(
        self, imsi: str, act: Callable[[AaaSession, _NodePeer], SentRequest]
    ) -> SentRequest | None:
        sessions = [one for one in self.books.open.values() if one.imsi == imsi]
        for session in reversed(sessions):
            peer = self.server.peers.get(session.client.decode().lower())
            if peer is not None and peer.is_open:
                sent = act(session, _NodePeer(self.server, peer))
                self.turn.end()
                return sent
        return None

    def disconnect(self) -> None:
        """Send DPR to every node."""
        for peer in self._connected():
            peer.disconnect()
        self.turn.end()

    def reset(self) -> None:
        """Drop every connection as a crash does."""
        for peer in self._connected():
            peer.reset()

    def _connected(self) -> list[_NodePeer]:
        return [_NodePeer(self.server, one) for one in self.server.peers.values() if one.is_open]

    async def leave(self) -> None:
        """Disconnect in order; not longer than a second."""
        self.disconnect()
        with trio.move_on_after(DISCONNECT_SECONDS):
            for peer in list(self.server.peers.values()):
                await peer.wait_closed()


@asynccontextmanager
async def running_aaa(
    *,
    home: HomeNetwork | None = None,
    behaviours: Behaviours | None = None,
    address: str = "127.0.0.1",
    port: int = 0,
    host: str = HOST,
    realm: str = REALM,
    applications: tuple[int, ...] = APPLICATIONS,
    settings: Diameter | None = None,
    hostapd: bool = False,
    on_crash: Callable[[Exception], None] | None = None,
) -> AsyncIterator[RunningAaa]:
    """Serve while the block lasts.

    Args:
        home: by default the test network 001/01, every IMSI of it with the lab's keys.
        port: 0 takes a free one.
        settings: timers of the Diameter side.
        hostapd: let hostapd answer EAP; EAP behaviours then have no effect.

    Raises:
        OSError: the address is taken.
        HostapdMissing: hostapd was wanted and is not there.
    """
    home = home or HomeNetwork()
    async with AsyncExitStack() as stack:
        new_conversation: NewConversation = partial(_local, home)
        if hostapd:
            opened, _ = await stack.enter_async_context(running_hostapd(home))
            new_conversation = partial(_foreign, opened)
        turn = Turn(on_crash)
        timers = TimerWheel(turn)
        running: RunningAaa

        def handle(request: Message, peer: ServerPeer) -> None:
            running.aaa.handle(request, _NodePeer(server, peer))

        server = DiameterServer(host, realm, applications, handle, turn, timers, settings=settings)
        aaa = AaaServer(
            server.origin, behaviours or Behaviours(), new_conversation, timers.after, turn.end
        )
        running = RunningAaa(aaa, home, server, turn)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(timers.run)
            run = partial(server.run, address, port)
            running.address, running.port = await nursery.start(run)
            yield running
            nursery.cancel_scope.cancel()


def _local(home: HomeNetwork, behaviour: Behaviour) -> EapConversation:
    return LocalConversation(home, behaviour, os.urandom)


def _foreign(opened: Callable[[], EapConversation], behaviour: Behaviour) -> EapConversation:
    return opened()
