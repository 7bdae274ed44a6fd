"""The AAA over real sockets: the node's own router as client, command line, control line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from actors.diameter.outcomes import (
    EapAnswer,
    EapOutcome,
    EapProfile,
    EapRequest,
    NoAnswer,
    NoAnswerReason,
)
from actors.diameter.router import DiameterRouter
from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from config.model import Diameter, DiameterPeer
from protocols.eap.aka_peer import AkaPeer, PeerOptions
from scripts.lab import aaa as command_line
from scripts.lab.aaa_behaviour import parse_behaviour
from scripts.lab.aaa_control import Control
from scripts.lab.aaa_running import HOST, REALM, RunningAaa, running_aaa
from scripts.lab.hostapd import find_hostapd
from scripts.lab.subscribers import OPC, K, nai_of
from scripts.lab.usim import Usim

IMSI = "001010000000001"
ROOT = Path(__file__).parents[3]


class Client:
    """The node's Diameter router, and what it was answered."""

    def __init__(self, address: str, port: int) -> None:
        self.crashes: list[Exception] = []
        self.turn = Turn(self.crashes.append)
        self.timers = TimerWheel(self.turn)
        peer = DiameterPeer(host=HOST, address=address, port=port)
        settings = Diameter(
            origin_host=f"ecs1.{REALM}",
            origin_realm=REALM,
            peers=(peer,),
            first_reconnect_seconds=0.01,
            answer_seconds=0.3,
            exchange_seconds=0.5,
        )
        self.router = DiameterRouter(settings, self.turn, self.timers)

    async def until_ready(self, ready: bool = True) -> None:
        with trio.fail_after(5):
            while self.router.ready is not ready:  # noqa: ASYNC110 (there is no event for it)
                await trio.sleep(0.005)

    async def ask(self, request: EapRequest) -> EapOutcome:
        sender, receiver = trio.open_memory_channel[EapOutcome](1)
        self.router.request(request, sender.send_nowait)
        self.turn.end()
        with trio.fail_after(5):
            return await receiver.receive()

    async def converse(self, peer: AkaPeer, nai: str) -> EapOutcome:
        """A whole EAP conversation."""
        request = EapRequest(
            profile=EapProfile(),
            session_id=self.router.new_session_id("1"),
            user_name=nai.encode(),
            eap_payload=peer.start(1),
            destination_realm=REALM.encode(),
        )
        while True:
            answer = await self.ask(request)
            if not isinstance(answer, EapAnswer) or answer.code != 1001:
                return answer
            request.state = answer.state
            request.destination_host = answer.origin_host
            request.eap_payload = peer.receive(answer.eap_payload)


@asynccontextmanager
async def connected(running: RunningAaa) -> AsyncIterator[Client]:
    client = Client(running.address, running.port)
    async with trio.open_nursery() as nursery:
        await nursery.start(client.timers.run)
        await nursery.start(client.router.run)
        await client.until_ready()
        yield client
        nursery.cancel_scope.cancel()
    assert client.crashes == []


def card_and_peer() -> tuple[Usim, AkaPeer]:
    card = Usim(IMSI, K, OPC)
    return card, AkaPeer(nai_of(IMSI), card.authenticate, PeerOptions())


async def test_the_nodes_router_gets_a_subscriber_authenticated() -> None:
    async with running_aaa() as running, connected(running) as client:
        card, peer = card_and_peer()
        card.lose_synchronisation()
        answer = await client.converse(peer, nai_of(IMSI))
        assert isinstance(answer, EapAnswer)
        assert (answer.vendor, answer.code) == (0, 2001)
        assert answer.mobile_node_identifier == nai_of(IMSI).encode()
        assert answer.msisdn == b"491700000001"
        (session,) = running.books.of(IMSI)
        assert session.results == [(0, 1001), (0, 1001), (0, 2001)]


async def test_a_subscriber_that_misbehaves_on_demand() -> None:
    async with running_aaa() as running, connected(running) as client:
        _, peer = card_and_peer()
        running.behaviours.set(IMSI, parse_behaviour("result=5450/10415"))
        answer = await client.converse(peer, nai_of(IMSI))
        assert isinstance(answer, EapAnswer)
        assert (answer.vendor, answer.code) == (10415, 5450)
        running.behaviours.set(IMSI, parse_behaviour("silent"))
        answer = await client.converse(peer, nai_of(IMSI))
        assert isinstance(answer, NoAnswer)
        assert answer.reason is NoAnswerReason.TIMEOUT
        running.behaviours.set(IMSI, parse_behaviour("delay=0.05"))
        answer = await client.converse(peer, nai_of(IMSI))
        assert isinstance(answer, EapAnswer)
        assert answer.code == 2001


async def test_resets_and_disconnects() -> None:
    async with running_aaa() as running, connected(running) as client:
        _, peer = card_and_peer()
        running.behaviours.set(IMSI, parse_behaviour("reset"))
        answer = await client.converse(peer, nai_of(IMSI))
        assert isinstance(answer, NoAnswer)
        running.behaviours.clear()
        await client.until_ready()
        answer = await client.converse(peer, nai_of(IMSI))
        assert isinstance(answer, EapAnswer)
        assert answer.code == 2001
        running.disconnect()
        await client.until_ready(False)


async def test_rar_and_asr_reach_the_node() -> None:
    async with running_aaa() as running, connected(running) as client:
        seen: list[bytes] = []

        def decide(request: object, reply: Callable[[int], None]) -> None:
            seen.append(request.session_id)  # type: ignore[attr-defined]
            reply(2001)

        client.router.on_server_request = decide
        assert running.reauthorize(IMSI) is None
        _, peer = card_and_peer()
        await client.converse(peer, nai_of(IMSI))
        sent = [running.reauthorize(IMSI), running.abort(IMSI)]
        with trio.fail_after(5):
            while any(one is None or one.code is None for one in sent):  # noqa: ASYNC110 (as above)
                await trio.sleep(0.005)
        assert [one.code for one in sent if one is not None] == [2001, 2001]
        assert len(seen) == 2


@pytest.mark.interop
@pytest.mark.skipif(find_hostapd() is None, reason="hostapd is missing")
async def test_hostapd_serves_eap_for_the_node() -> None:
    async with running_aaa(hostapd=True) as running, connected(running) as client:
        card, peer = card_and_peer()
        card.lose_synchronisation()
        answer = await client.converse(peer, nai_of(IMSI))
        assert isinstance(answer, EapAnswer)
        assert answer.code == 2001
        card.wrong_res = True
        answer = await client.converse(peer, nai_of(IMSI))
        assert isinstance(answer, EapAnswer)
        assert answer.code == 4001


# --- control line and command line --------------------------------------------------------------


async def test_the_control_line() -> None:
    async with running_aaa() as running, connected(running) as client:
        control = Control(running)
        _, peer = card_and_peer()
        assert control.execute(f"behaviour {IMSI} unknown") == "ok"
        answer = await client.converse(peer, nai_of(IMSI))
        assert isinstance(answer, EapAnswer)
        assert answer.code == 5001
        assert control.execute("clear") == "ok"
        await client.converse(peer, nai_of(IMSI))
        books = control.execute("books")
        assert books["open"] == 1
        assert books["peers"] == {f"ecs1.{REALM}": True}
        assert {"command": 268, "vendor": 10415, "code": 5001, "count": 1} in books["answers"]
        assert [one["end"] for one in control.execute(f"session {IMSI}")] == ["failed", ""]
        assert control.execute(f"sqn {IMSI} 0") == "ok"
        assert running.home.sqn(IMSI) == 0
        assert control.execute(f"rar {IMSI}") == "sent"
        assert control.execute(f"asr {IMSI}") == "sent"
        assert "error" in control.execute("rar 001010000000099")
        assert "usage: rar IMSI" in control.execute("rar")["error"]
        assert "unknown command" in control.execute("what")["error"]
        assert "dealy" in control.execute(f"behaviour {IMSI} dealy=1")["error"]
        assert "delay" in control.execute("help")["WORDS"]
        assert control.execute("reset") == "ok"
        await client.until_ready()
        assert control.execute("dpr") == "ok"


async def test_the_program_serves_and_ends_with_a_signal() -> None:
    command = [sys.executable, "-m", "scripts.lab.aaa", "--suffixes"]
    command += ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    output = b""
    with trio.fail_after(20):
        while output.count(b"\n") < 2:
            output += await process.stdout.receive_some()
        control, listening = (line.split()[-1] for line in output.decode().splitlines())
        address, _, port = control.rpartition(":")
        async with await trio.open_tcp_stream(address, int(port)) as stream:
            await stream.send_all(b"books\n\nwhat\n")
            replies = b""
            while replies.count(b"\n") < 2:
                replies += await stream.receive_some()
        assert json.loads(replies.splitlines()[0])["open"] == 0
        assert b"unknown command" in replies.splitlines()[1]
        address, _, port = listening.rpartition(":")
        client = Client(address, int(port))
        async with trio.open_nursery() as nursery:
            await nursery.start(client.timers.run)
            await nursery.start(client.router.run)
            await client.until_ready()
            _, peer = card_and_peer()
            answer = await client.converse(peer, nai_of(IMSI))
            assert isinstance(answer, EapAnswer)
            assert answer.code == 2001
            os.kill(process.pid, signal.SIGTERM)
            await client.until_ready(False)
            nursery.cancel_scope.cancel()
        output = b""
        while data := await process.stdout.receive_some():
            output += data
        assert await process.wait() == 0
    assert json.loads(output)["answers"][-1] == {
        "command": 268,
        "vendor": 0,
        "code": 2001,
        "count": 1,
    }


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--behaviour", "abc"], "is not IMSI=words"),
        (["--behaviour", "1=dealy"], "'dealy' is unknown"),
        (["--listen", "nowhere"], "ADDRESS:PORT"),
        (["--subscribers", __file__], "first line"),
    ],
)
def test_a_wrong_command_line_says_why(arguments: list[str], why: str) -> None:
    result = CliRunner().invoke(command_line.main, arguments)
    assert result.exit_code == 2
    assert why in result.output


def test_the_help_lists_every_word() -> None:
    result = CliRunner().invoke(command_line.main, ["--help"])
    assert result.exit_code == 0
    assert "--suffixes gives" in result.output
    assert "multi-round-time-out" in result.output
