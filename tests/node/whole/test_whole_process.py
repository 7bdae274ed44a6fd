"""The node as the process that operators start: killed, started again, told to stop."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from scripts.lab.aaa_behaviour import parse_behaviour
from scripts.lab.aaa_running import HOST, running_aaa
from scripts.lab.phone import Phone, Target
from tests.node.whole.device_legs import answer_of, first_leg, relay
from tests.node.whole.whole_node import LabFolder, free_port, subscriber
from tests.protocols.ts43.document_readers import read_xml

pytestmark = pytest.mark.slow

SECONDS = 20.0


class NodeProcess:
    """`python -m node serve`, and what it has said."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.lines: list[dict[str, object]] = []
        self._said = b""

    async def until(self, event: str) -> None:
        """Read its log up to this event."""
        assert self.process.stderr is not None
        with trio.fail_after(SECONDS):
            while not any(line["event"] == event for line in self.lines):
                some = await self.process.stderr.receive_some()
                assert some, f"it ended before {event!r}: {self._said!r} {self.lines}"
                *whole, self._said = (self._said + some).split(b"\n")
                self.lines += [json.loads(line) for line in whole]

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        with trio.fail_after(SECONDS):
            return await self.process.wait()


@asynccontextmanager
async def started(path: Path) -> AsyncIterator[NodeProcess]:
    """A node process that serves and has its AAA; killed at the end of the block."""
    command = [sys.executable, "-m", "node", "serve", "--config", str(path)]
    process = await trio.lowlevel.open_process(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    node = NodeProcess(process)
    try:
        await node.until("serving")
        await node.until("peer open")
        yield node
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            assert process.stderr is not None
            await process.stderr.aclose()


async def test_a_node_that_is_killed_goes_on_where_it_was(lab: LabFolder, tmp_path: Path) -> None:
    """SIGKILL between challenge and answer: the exchange and earlier tokens survive (TOK-28)."""
    port = free_port()
    changes = {
        "device": {"listen": [f"127.0.0.1:{port}"]},
        "node": {"cookie-keys": ["A" * 43]},
        "logging": {"level": "info"},
    }
    target = Target(("127.0.0.1", port), f"localhost:{port}", lab.contexts[True])
    async with running_aaa() as aaa:
        path = lab.prepare(tmp_path, [(HOST, aaa.port)], changes)
        early, late = Phone(subscriber(1), target), Phone(subscriber(2), target)
        async with started(path) as node:
            assert (await early.authenticate()).ok
            async with await target.connect() as connection:
                leg = await first_leg(late, connection)
            assert await node.end(signal.SIGKILL) == -signal.SIGKILL
        assert "no connection" in (await early.with_token()).detail
        async with started(path) as node:
            assert (await early.with_token()).ok
            async with await target.connect() as connection:
                answer = answer_of(late, leg.response)
                final = await relay(answer, connection, leg.cookie_field)
                assert final.status == 200
                assert "TOKEN" in read_xml(final.body)
            assert await node.end(signal.SIGTERM) == 0
            assert not [one for one in node.lines if one["level"] in ("error", "critical")]


async def test_sigterm_lets_a_waiting_phone_have_its_answer(lab: LabFolder, tmp_path: Path) -> None:
    """The process ends by itself, with status 0, after the exchange that was in flight."""
    port = free_port()
    changes = {"device": {"listen": [f"127.0.0.1:{port}"]}, "logging": {"level": "info"}}
    target = Target(("127.0.0.1", port), f"localhost:{port}", lab.contexts[False])
    async with running_aaa() as aaa:
        path = lab.prepare(tmp_path, [(HOST, aaa.port)], changes)
        async with started(path) as node:
            aaa.behaviours.set("*", parse_behaviour("delay=0.2"))
            statuses: list[int] = []
            arrived = trio.Event()
            aaa.turn.flusher(lambda: arrived.set() if aaa.books.open else None)

            async def ask() -> None:
                async with await target.connect() as connection:
                    leg = await first_leg(Phone(subscriber(1), target), connection)
                    statuses.append(leg.response.status)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                with trio.fail_after(SECONDS):
                    await arrived.wait()
                assert await node.end(signal.SIGTERM) == 0
            assert statuses == [200]
