"""hostapd's EAP-AKA server as the lab's EAP side: another implementation than ours.

Chain: node, SWm, our AAA, RADIUS, hostapd, and the authentication centre that it asks for vectors
(a UNIX datagram socket, the protocol of hostapd's `hlr_auc_gw`). Nothing of the EAP server is ours.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import trio

from protocols.eap.aka_server import FailureReason
from protocols.eap.numbers import IDENTITY, RESPONSE
from protocols.eap.packet import failure
from scripts.lab.aaa_eap import EapConversation, EapStep, StepKind
from scripts.lab.home_network import HomeNetwork
from scripts.lab.radius import (
    ACCESS_ACCEPT,
    ACCESS_CHALLENGE,
    AccessAnswer,
    RadiusError,
    access_request,
    read_answer,
)

READY_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 1.0
TRIES: Final = 3
SECRET: Final = b"lab"
IDENTIFIERS: Final = 256
MAX_DATAGRAM: Final = 65_536
SEARCH_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

CONFIGURATION: Final = """\
driver=none
radius_server_clients={folder}/clients
radius_server_auth_port={port}
eap_server=1
eap_user_file={folder}/eap_user
eap_sim_db=unix:{folder}/auc.sock
eap_sim_id={identities}
{more}
"""
USERS: Final = """\
"0"* AKA
"2"* AKA
"4"* AKA
"6"* AKA'
"7"* AKA'
"8"* AKA'
"""


def find_hostapd() -> str | None:
    """Path of the program, None when it is not installed."""
    return shutil.which("hostapd", path=SEARCH_PATH)


class AuthenticationCentre:
    """Answers hostapd's questions for vectors.

    Attributes:
        resynchronisations: AUTS that hostapd handed on.
    """

    def __init__(self, home: HomeNetwork, random: Callable[[int], bytes] = os.urandom) -> None:
        self._home = home
        self._random = random
        self.resynchronisations = 0

    def answer(self, request: str) -> str | None:
        """The reply to one datagram, None when there is none to give."""
        words = request.split()
        match words:
            case ["AKA-REQ-AUTH", imsi]:
                vector = self._home.vector(imsi, self._random(16))
                if vector is None:
                    return f"AKA-RESP-AUTH {imsi} FAILURE"
                parts = (vector.rand, vector.autn, vector.ik, vector.ck, vector.res)
                return " ".join(["AKA-RESP-AUTH", imsi, *(part.hex() for part in parts)])
            case ["AKA-AUTS", imsi, auts, rand]:
                self.resynchronisations += 1
                self._home.resynchronise(imsi, bytes.fromhex(rand), bytes.fromhex(auts))
        return None

    async def run(
        self, path: Path, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve the socket until cancelled."""
        with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            await own.bind(str(path))
            task_status.started()
            while True:
                data, sender = await own.recvfrom(4_096)
                reply = self.answer(data.decode("ascii", "replace"))
                if reply is not None:
                    await own.sendto(reply.encode(), sender)


class RadiusClient:
    """Asks one RADIUS server over one UDP socket; 256 requests may be out at a time."""

    def __init__(
        self, address: tuple[str, int], secret: bytes, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._address = address
        self._secret = secret
        self._random = random
        self._socket = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._free = list(range(IDENTIFIERS))
        self._limit = trio.Semaphore(IDENTIFIERS)
        self._waiting: dict[int, tuple[bytes, trio.MemorySendChannel[AccessAnswer]]] = {}

    async def run(self) -> None:
        """Read answers until cancelled."""
        with self._socket:
            while True:
                packet = await self._socket.recv(MAX_DATAGRAM)
                waiting = self._waiting.get(packet[1]) if len(packet) > 1 else None
                if waiting is None:
                    continue
                request, channel = waiting
                try:
                    channel.send_nowait(read_answer(packet, request, self._secret))
                except (RadiusError, trio.WouldBlock, trio.BrokenResourceError):
                    continue  # forged, or a second answer to a repeated request

    async def ask(self, user_name: bytes, eap: bytes, state: bytes) -> AccessAnswer | None:
        """One round; None when the server does not answer."""
        async with self._limit:
            identifier = self._free.pop()
            authenticator = self._random(16)
            request = access_request(identifier, authenticator, self._secret, user_name, eap, state)
            sender, receiver = trio.open_memory_channel[AccessAnswer](1)
            self._waiting[identifier] = request, sender
            try:
                for _ in range(TRIES):
                    await self._socket.sendto(request, self._address)
                    with trio.move_on_after(ANSWER_SECONDS):
                        return await receiver.receive()
                return None
            finally:
                del self._waiting[identifier]
                self._free.append(identifier)


class RadiusConversation:
    """One EAP conversation with a server behind RADIUS."""

    def __init__(self, client: RadiusClient, nursery: trio.Nursery) -> None:
        self._client = client
        self._nursery = nursery
        self._identity = b""
        self._state = b""

    def receive(self, packet: bytes, reply: Callable[[EapStep], None]) -> None:
        """Hand the packet on; the reply comes with the server's answer."""
        if packet[0] == RESPONSE and packet[4] == IDENTITY:
            self._identity = packet[5:]
        self._nursery.start_soon(self._ask, packet, reply)

    async def _ask(self, packet: bytes, reply: Callable[[EapStep], None]) -> None:
        answer = await self._client.ask(self._identity, packet, self._state)
        if answer is None:
            return  # a silent EAP server makes a silent AAA
        self._state = answer.state
        reply(_step(answer, packet[1]))


def _step(answer: AccessAnswer, identifier: int) -> EapStep:
    if answer.code == ACCESS_CHALLENGE:
        return EapStep(StepKind.REQUEST, answer.eap)
    if answer.code == ACCESS_ACCEPT:
        return EapStep(StepKind.SUCCESS, answer.eap, answer.msk)
    # RADIUS does not say why; the AAA makes 4001 of it.
    packet = answer.eap or failure(identifier)
    return EapStep(StepKind.FAILURE, packet, reason=FailureReason.WRONG_RESPONSE)


class HostapdMissing(Exception):
    """hostapd is not installed, or does not start."""


@asynccontextmanager
async def running_hostapd(
    home: HomeNetwork, *, identities: int = 0, result_indication: bool = False
) -> AsyncIterator[tuple[Callable[[], EapConversation], AuthenticationCentre]]:
    """Run hostapd and its authentication centre; gives what opens conversations with it.

    Args:
        identities: `eap_sim_id`: 0 none, 1 pseudonyms, 3 fast re-authentication as well.
        result_indication: AT_RESULT_IND.

    Raises:
        HostapdMissing: it is not installed, or does not start.
    """
    program = find_hostapd()
    if program is None:
        raise HostapdMissing("hostapd is not installed")
    centre = AuthenticationCentre(home)
    with tempfile.TemporaryDirectory(prefix="hostapd-") as name:
        folder = Path(name)
        port = _free_port()
        _configure(folder, port, identities, result_indication)
        async with trio.open_nursery() as nursery:
            await nursery.start(centre.run, folder / "auc.sock")
            command = [program, str(folder / "hostapd.conf")]
            run = partial(trio.run_process, command, stdout=subprocess.DEVNULL, check=False)
            nursery.start_soon(run)
            await _until_bound(port)
            client = RadiusClient(("127.0.0.1", port), SECRET)
            nursery.start_soon(client.run)
            yield partial(RadiusConversation, client, nursery), centre
            nursery.cancel_scope.cancel()


def _configure(folder: Path, port: int, identities: int, result_indication: bool) -> None:
    more = "eap_sim_aka_result_ind=1" if result_indication else ""
    text = CONFIGURATION.format(folder=folder, port=port, identities=identities, more=more)
    (folder / "hostapd.conf").write_text(text)
    (folder / "clients").write_text(f"127.0.0.1/32 {SECRET.decode()}\n")
    (folder / "eap_user").write_text(USERS)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _until_bound(port: int) -> None:
    """Until the port is taken: hostapd's output is buffered and tells too late."""
    with trio.move_on_after(READY_SECONDS):
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind(("0.0.0.0", port))  # noqa: S104 (a probe: closed at once)
                except OSError:
                    return
            await trio.sleep(0.01)
    raise HostapdMissing("hostapd does not start")
