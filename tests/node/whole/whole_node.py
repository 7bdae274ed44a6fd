"""The assembled node on real sockets: `Node` from a file, lab AAAs and lab phones in one test.

Nothing is replaced: TLS, HTTP, sessions, SQLite, Diameter over TCP. A lab is prepared once (keys
and a seeded database are slow to make) and copied for each test. Tests wait for a condition, which
is looked at after every turn of the node's or of an AAA's loop; they never sleep.
"""

import tomllib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import trio

from actors.diameter.server import ServerPeer
from actors.runtime.turn import Turn
from config.load import load
from node.cli import main
from node.node import Node
from protocols.diameter.codec import Message
from scripts.lab.aaa_behaviour import parse_behaviour
from scripts.lab.aaa_running import HOST, REALM, RunningAaa, running_aaa
from scripts.lab.device_http import DeviceConnection, Response
from scripts.lab.phone import DEFAULT_APPS, Phone, Target
from scripts.lab.phone_habits import AOSP, Habits
from scripts.lab.subscribers import LabSubscriber
from scripts.lab.usim import Usim
from tests.node.whole.lab_folder import (
    Changes,
    LabFolder,
    changed_settings,
    free_port,
    mvno_subscriber,
    subscriber,
    toml,
)

__all__ = [
    "HOST",
    "REALM",
    "Changes",
    "LabFolder",
    "WholeNode",
    "asking",
    "free_port",
    "mvno_subscriber",
    "serving",
    "subscriber",
    "whole_node",
]

WAIT_SECONDS: Final = 10.0
MNO_HOST: Final = "localhost"
MVNO_HOST: Final = "aes.mvno.localhost"

Parameters = Mapping[str, str] | Sequence[tuple[str, str]]


def asking(phone: Phone, app: str = "ap2004", version: str = "2.0") -> dict[str, str]:
    """The parameters of a phone's request with its token (TS.43 §2.3, table 4)."""
    return {
        "IMSI": phone.usim.imsi,
        "token": phone.token,
        "terminal_id": phone.imei,
        "app": app,
        "terminal_vendor": "vend",
        "terminal_model": "modelY",
        "terminal_sw_version": "versionZ",
        "vers": "1",
        "entitlement_version": version,
    }


class Waiting:
    """Waits for a condition, looked at after each turn of some loops."""

    def __init__(self, *turns: Turn) -> None:
        self._turned = trio.Event()
        for turn in turns:
            self.watch(turn)

    def watch(self, turn: Turn) -> None:
        """Look after each of its turns, too."""
        turn.flusher(self._look)

    def _look(self) -> None:
        self._turned.set()
        self._turned = trio.Event()

    async def until(self, condition: Callable[[], object]) -> None:
        """Return when it holds.

        Raises:
            trio.TooSlowError: it never did.
        """
        with trio.fail_after(WAIT_SECONDS):
            while not condition():
                await self._turned.wait()


@dataclass
class WholeNode:
    """One running node and what is around it.

    Attributes:
        node: the real one.
        lab: its certificates.
        config: the file it was started from.
        port: where devices connect.
        aaas: the lab's AAAs, in the order of the configuration.
        bugs_expected: crashes do not fail the test, which made them.
    """

    node: Node
    lab: LabFolder
    config: Path
    port: int
    waiting: Waiting
    aaas: list[RunningAaa] = field(default_factory=list)
    cards: dict[str, Usim] = field(default_factory=dict)
    bugs_expected: bool = False

    @property
    def aaa(self) -> RunningAaa:
        """The first AAA."""
        return self.aaas[0]

    async def until(self, condition: Callable[[], object]) -> None:
        """Return when it holds; looked at after each turn of the node and of the AAAs."""
        await self.waiting.until(condition)

    # --- devices --------------------------------------------------------------------------------

    def target(self, host: str = MNO_HOST, *, http2: bool = True, path: str = "/") -> Target:
        """Where phones find this node."""
        context = self.lab.contexts[http2]
        return Target(("127.0.0.1", self.port), f"{host}:{self.port}", context, path)

    def phone(
        self,
        who: LabSubscriber | int = 1,
        habits: Habits = AOSP,
        *,
        host: str = MNO_HOST,
        http2: bool = True,
        post: bool = False,
    ) -> Phone:
        """A phone; the card of a subscriber is the same in all its phones."""
        whose = subscriber(who) if isinstance(who, int) else who
        card = self.cards.setdefault(whose.imsi, whose.usim())
        return Phone(whose, self.target(host, http2=http2), habits, post=post, usim=card)

    @asynccontextmanager
    async def connected(
        self, host: str = MNO_HOST, *, http2: bool = True
    ) -> AsyncIterator[DeviceConnection]:
        """A device's connection for requests that no phone would send."""
        async with await self.target(host, http2=http2).connect() as connection:
            yield connection

    async def with_token(self, who: LabSubscriber | int, *apps: str) -> Phone:
        """A phone that has just been authenticated for these applications."""
        phone = self.phone(who)
        result = await phone.authenticate(apps or DEFAULT_APPS)
        assert result.ok, result
        return phone

    async def get(
        self,
        parameters: Parameters,
        *headers: tuple[bytes, bytes],
        http2: bool = True,
        host: str = MNO_HOST,
    ) -> Response:
        """One GET on a connection of its own."""
        pairs = parameters.items() if isinstance(parameters, Mapping) else parameters
        path = f"/?{urlencode(list(pairs))}".encode()
        async with self.connected(host, http2=http2) as connection:
            return await connection.request(b"GET", path, headers)

    async def post(
        self, body: bytes, *headers: tuple[bytes, bytes], http2: bool = True
    ) -> Response:
        """One POST to the bare URL, on a connection of its own."""
        async with self.connected(http2=http2) as connection:
            return await connection.request(b"POST", b"/", headers, body)

    async def operate(self, *command: str) -> None:
        """Run a command of the node's command line on its database, beside the running node.

        Raises:
            click.ClickException: it refused.
        """
        arguments = [*command, "--config", str(self.config)]
        await trio.to_thread.run_sync(lambda: main.main(arguments, standalone_mode=False))

    async def change(self, who: LabSubscriber | int, *options: str) -> None:
        """`subscribers set` for one subscriber."""
        whose = subscriber(who) if isinstance(who, int) else who
        await self.operate("subscribers", "set", "-t", whose.tenant, whose.imsi, *options)

    def rewrite(self, changes: Changes) -> None:
        """Edit the configuration file as an operator does; see `LabFolder.prepare`."""
        settings = tomllib.loads(self.config.read_text())
        self.config.write_text(toml(changed_settings(settings, changes)))

    # --- AAA ------------------------------------------------------------------------------------

    def behave(self, words: str, who: str = "*") -> None:
        """Have every AAA treat `who` so; without words well again."""
        for one in self.aaas:
            one.behaviours.set(who, parse_behaviour(words))

    @staticmethod
    def requests_to(aaa: RunningAaa) -> list[Message]:
        """What an AAA is sent from now on, as it grows."""
        seen: list[Message] = []
        handle = aaa.server._handle

        def keep(request: Message, peer: ServerPeer) -> None:
            seen.append(request)
            handle(request, peer)

        aaa.server._handle = keep
        return seen

    def asked(self) -> int:
        """DERs that the AAAs were sent, as the node counts."""
        return sum(peer.requests for peer in self.node.router.statistics().peers)

    async def connected_to_aaa(self, count: int | None = None) -> None:
        """Until so many peers are open; all of them by default."""
        wanted = len(self.aaas) if count is None else count
        await self.until(lambda: self.open_peers() == wanted)

    def open_peers(self) -> int:
        """Peers in I-Open."""
        return sum(peer.state == "I_OPEN" for peer in self.node.router.statistics().peers)

    # --- what it leaves behind ------------------------------------------------------------------

    def counted(self, name: str) -> dict[tuple[str | int, ...], int]:
        """The rows of one counter."""
        return next(dict(one.rows) for one in self.node.counters.all() if one.name == name)

    def bad_inputs(self) -> int:
        """All bad input of devices so far: of TS.43, and of TLS and HTTP."""
        devices = self.node.listener.statistics()
        return (
            sum(self.counted("bad_inputs").values())
            + sum(devices.protocol_errors.values())
            + sum(devices.handshakes_failed.values())
        )

    def left_over(self) -> dict[str, int]:
        """What is not at rest: name and number; empty is what every test should end with."""
        sessions = self.node.sessions
        devices = self.node.listener.statistics()
        found = {
            "connections": devices.open,
            "handshakes": devices.handshakes_in_progress,
            "sessions": sessions.pool.statistics().alive,
            "mail": sessions.pool.statistics().ready,
            "pending": sum(peer.in_flight for peer in self.node.router.statistics().peers),
            **sessions.sizes(),
        }
        return {name: number for name, number in found.items() if number}

    async def at_rest(self) -> None:
        """Until nothing is open, alive or pending.

        Raises:
            AssertionError: something stays; it says what.
        """
        try:
            await self.until(lambda: not self.left_over())
        except trio.TooSlowError:
            raise AssertionError(f"not at rest: {self.left_over()}") from None

    def bugs(self) -> dict[str, int]:
        """Crashes of any part, by name."""
        found = {
            "turn": self.node.turn.crashes,
            "sessions": self.node.sessions.pool.statistics().crashes,
            "devices": self.node.listener.statistics().crashes,
            "timers": self.node.timers.statistics().crashes,
            "aaa": sum(one.turn.crashes for one in self.aaas),
        }
        return {name: number for name, number in found.items() if number}


@asynccontextmanager
async def serving(
    lab: LabFolder, path: Path, aaas: Sequence[RunningAaa] = ()
) -> AsyncIterator[WholeNode]:
    """Run the node of a configuration file while the block lasts; a crash in it fails the test."""
    node = Node(load(path), path)
    waiting = Waiting(node.turn, *(one.turn for one in aaas))
    async with trio.open_nursery() as nursery:
        addresses = await nursery.start(node.run)
        port = int(addresses[0].rpartition(":")[2])
        whole = WholeNode(node, lab, path, port, waiting, list(aaas))
        yield whole
        nursery.cancel_scope.cancel()
    assert whole.bugs_expected or whole.bugs() == {}


@asynccontextmanager
async def whole_node(
    lab: LabFolder,
    folder: Path,
    changes: Changes | None = None,
    *,
    aaas: Sequence[str] = (HOST,),
) -> AsyncIterator[WholeNode]:
    """A node with its AAAs, connected.

    Args:
        changes: see `LabFolder.prepare`.
        aaas: their Origin-Hosts.
    """
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(running_aaa(host=host)) for host in aaas]
        places = [(host, one.port) for host, one in zip(aaas, running, strict=True)]
        path = lab.prepare(folder, places, changes)
        whole = await stack.enter_async_context(serving(lab, path, running))
        await whole.connected_to_aaa()
        yield whole
