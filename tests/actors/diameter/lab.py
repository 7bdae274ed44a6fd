"""A network in memory with AAA servers on it, for tests of the router and its peers.

The transports have the shape of the real ones; faults are a method call instead of a firewall.
"""

import contextlib
from collections.abc import Callable

import trio

from actors.diameter.outcomes import EapOutcome, EapProfile, EapRequest
from actors.diameter.peer import Peer
from actors.diameter.router import DiameterRouter
from actors.diameter.server import DiameterServer
from actors.diameter.transport import Transport, TransportError
from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from config.model import Diameter, DiameterPeer
from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Message
from protocols.diameter.messages import build_answer, build_eap_answer

REALM = "epc.mnc001.mcc001.3gppnetwork.org"
NODE = f"ecs1.{REALM}"
CHALLENGE = bytes.fromhex("0117000801000000")


class MemoryTransport:
    """One end of a connection in memory."""

    local_address = "127.0.0.1"
    queued = 0

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[bytes](10_000)
        self.other: MemoryTransport | None = None
        self.mute = False
        self.closed = False
        self.reset = False
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)
        if not self.mute and not self.closed and self.other is not None and not self.other.closed:
            self.other._send.send_nowait(data)

    async def receive(self) -> bytes:
        try:
            return await self._receive.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            if self.reset:
                raise TransportError("ECONNRESET") from None
            return b""

    def arrived(self) -> bytes:
        """What is there to read, without waiting."""
        data = b""
        with contextlib.suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                data += self._receive.receive_nowait()
        return data

    async def write_rest(self) -> None:
        await trio.sleep_forever()

    def close(self) -> None:
        self.closed = True
        self._send.close()
        if self.other is not None:
            self.other._send.close()

    def abort(self) -> None:
        """Both ends see a reset."""
        for end in (self, self.other):
            if end is not None:
                end.reset = True
        self.close()


def pair() -> tuple[MemoryTransport, MemoryTransport]:
    one, two = MemoryTransport(), MemoryTransport()
    one.other, two.other = two, one
    return one, two


Answer = Callable[["Aaa", Message], bytes | None]


def challenge(aaa: "Aaa", request: Message) -> bytes | None:
    """The usual AAA: every DER gets a challenge, every STR its answer."""
    if request.command == numbers.SESSION_TERMINATION:
        return build_answer(request, aaa.server.origin, numbers.SUCCESS)
    members = [(d.EAP_PAYLOAD, CHALLENGE), (d.STATE, b"st01"), (d.MULTI_ROUND_TIME_OUT, 30)]
    return build_eap_answer(request, aaa.server.origin, numbers.MULTI_ROUND_AUTH, members)


def result(code: int, *members: tuple[d.Avp, object], vendor: int = 0) -> Answer:
    """An AAA that always answers this result."""

    def answer(aaa: "Aaa", request: Message) -> bytes:
        origin = aaa.server.origin
        if 3000 <= code < 4000:
            return build_answer(request, origin, code, members)
        return build_eap_answer(request, origin, code, members, vendor=vendor)

    return answer


def silence(aaa: "Aaa", request: Message) -> bytes | None:
    """An AAA that loses DERs (but answers watchdogs)."""
    return None


class Aaa:
    """One server on the network.

    Attributes:
        answer: what it does with a request; replace it at any time.
        requests: what it got.
        up: whether it accepts connections.
    """

    def __init__(self, lab: "Lab", name: str, answer: Answer, settings: Diameter | None) -> None:
        self.name = name if "." in name else f"{name}.{REALM}"
        self.answer = answer
        self.requests: list[Message] = []
        self.up = True
        self.connections: list[MemoryTransport] = []  # the client's ends
        self.server = DiameterServer(
            self.name,
            REALM,
            (numbers.SWM, numbers.SWA),
            self._handle,
            lab.turn,
            lab.timers,
            settings=settings,
        )

    def _handle(self, request: Message, peer: Peer) -> None:
        self.requests.append(request)
        answer = self.answer(self, request)
        if answer is not None:
            peer.answer(answer)

    @property
    def client(self) -> Peer:
        """The node, as this server sees it."""
        return self.server.peers[NODE]

    def crash(self) -> None:
        """Reset every connection and refuse new ones."""
        self.up = False
        for transport in self.connections:
            transport.abort()

    def vanish(self) -> None:
        """Lose everything that is sent, in both directions."""
        for transport in self.connections:
            transport.mute = True
            assert transport.other is not None
            transport.other.mute = True


class Lab:
    """A turn, timers, servers and one router. Start with `lab.start()` in a nursery."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.crashes: list[Exception] = []
        self.turn = Turn(on_crash=self.crashes.append)
        self.timers = TimerWheel(self.turn)
        self.servers: dict[str, Aaa] = {}

    def aaa(self, name: str, answer: Answer = challenge, settings: Diameter | None = None) -> Aaa:
        server = Aaa(self, name, answer, settings)
        self.servers[server.name] = server
        return server

    async def connect(self, section: DiameterPeer) -> Transport:
        """What the router opens transports with."""
        await trio.lowlevel.checkpoint()
        aaa = self.servers.get(section.host)
        if aaa is None or not aaa.up:
            raise TransportError("ECONNREFUSED")
        ours, theirs = pair()
        aaa.connections.append(ours)

        async def serve() -> None:
            with contextlib.suppress(TransportError):
                await aaa.server.serve(theirs)

        self.nursery.start_soon(serve)
        return ours

    def settings(self, *peers: DiameterPeer, **changes: object) -> Diameter:
        fields = {"origin_host": NODE, "origin_realm": REALM, "peers": peers, **changes}
        return Diameter(**fields)  # type: ignore[arg-type]

    async def router(self, *peers: str | DiameterPeer, **changes: object) -> DiameterRouter:
        """A router whose peers are tried already; `peers` are names of servers or sections."""
        sections = [
            one if isinstance(one, DiameterPeer) else DiameterPeer(host=f"{one}.{REALM}")
            for one in peers
        ]
        router = DiameterRouter(
            self.settings(*sections, **changes),
            self.turn,
            self.timers,
            connect=self.connect,
            unix_seconds=lambda: 1_764_000_000,
        )
        await self.nursery.start(self.timers.run)
        await self.nursery.start(router.run)
        await self.settle()
        return router

    async def settle(self) -> None:
        """Let everything happen that needs no time to pass."""
        await trio.testing.wait_all_tasks_blocked()

    async def ask(self, router: DiameterRouter, request: EapRequest | None = None) -> EapOutcome:
        """Send a DER and wait for its outcome."""
        outcomes: list[EapOutcome] = []
        done = trio.Event()

        def reply(outcome: EapOutcome) -> None:
            assert not outcomes, "one outcome only"
            outcomes.append(outcome)
            done.set()

        router.request(request or first_round(), reply)
        self.turn.end()
        await done.wait()
        return outcomes[0]


async def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for what another process does; it has no event for us."""
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.01)


def first_round(number: int = 1, **fields: object) -> EapRequest:
    """The first DER of a subscriber."""
    nai = f"0{number:015d}@nai.{REALM}".encode()
    values: dict[str, object] = {
        "profile": EapProfile(),
        "session_id": f"{NODE};1764000000;{number};ecs1-{number}".encode(),
        "user_name": nai,
        "eap_payload": b"\x02\x01" + (5 + len(nai)).to_bytes(2, "big") + b"\x01" + nai,
        "destination_realm": REALM.encode(),
        **fields,
    }
    return EapRequest(**values)  # type: ignore[arg-type]
