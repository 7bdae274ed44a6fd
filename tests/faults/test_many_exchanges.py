"""Thousands of exchanges, abandoned or finished: memory, files and indexes come to rest.

`FAULTS_EXCHANGES=1000000` makes the long run.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from scripts.bench.load_client import tls_context
from scripts.bench.load_exchanges import BenchDevice, Exchange
from scripts.bench.load_loop import LoadLoop
from scripts.bench.load_messages import LoadError
from scripts.lab.aaa_running import HOST
from scripts.lab.device_http_errors import DeviceHttpError
from scripts.lab.subscribers import sequential
from tests.faults.aaa_process import aaa_process
from tests.faults.fault_node import FaultNode, fault_node
from tests.faults.memory import open_files, resident_octets
from tests.faults.rest import at_rest, by_worker
from tests.node.whole.device_legs import ask_for_challenge
from tests.node.whole.lab_folder import LabFolder

pytestmark = [pytest.mark.faults, pytest.mark.slow]

EXCHANGES = int(os.environ.get("FAULTS_EXCHANGES", "10000"))
# By then everything is as large as it gets: also the cookies of the last 31 s, which are remembered
# so that none is used twice (some 500 octets each: 15 MB at 900 exchanges a second).
SETTLED = min(50_000, EXCHANGES // 2)
# Allowed from then on, whatever their number.
GROWTH_OCTETS = 8 << 20
ABANDONED = 10_000
AT_ONCE = 32
CONNECTIONS = 8
CHANGES = {
    "sessions": {"challenge-seconds": 31.0},  # as short as may be
    "overload": {"enabled": False},
}
FORGETFUL = "multi-round-time-out=3"  # the AAA's own patience ends a session that waits
BOUND_SECONDS = 3_600  # of pytest, for the long run


@contextmanager
def load_loop(node: FaultNode) -> Iterator[LoadLoop]:
    """A client that costs less than the node; it runs in a thread."""
    context = tls_context(str(node.lab.ca), http2=True)
    loop = LoadLoop(("127.0.0.1", node.port), context, http2=True, shared=CONNECTIONS)
    try:
        yield loop
    finally:
        loop.close()


def with_full_plan() -> list[BenchDevice]:
    """Phones of the lab's subscribers that may use everything."""
    return [BenchDevice(one, at) for at, one in enumerate(sequential(100)) if int(one.imsi[-1]) < 5]


def abandon(device: BenchDevice) -> Exchange:
    """Ask, get the challenge, and never answer."""
    answer = yield next(device.authenticate())
    if answer.status != 200:
        raise LoadError(f"no challenge, but {answer.status}")


async def settled(node: FaultNode) -> int:
    """Memory once the node is at rest and no alarm of an ended session is left."""
    await at_rest(node)

    async def no_alarm() -> bool:
        timers = (await by_worker(node))[1]["timers"]
        return bool(timers["waiting"] < 10)  # of peers, not of sessions

    await node.wait(no_alarm)
    return resident_octets(node.process.pid)


async def closed(node: FaultNode, files: int) -> None:
    """Until no more files are open than there were; our own questions end a moment later."""

    async def so_few() -> bool:
        return open_files(node.process.pid) <= files

    await node.wait(so_few)


async def make(node: FaultNode, devices: Sequence[BenchDevice], count: int) -> None:
    """So many whole exchanges."""
    with load_loop(node) as loop:
        await trio.to_thread.run_sync(
            loop.closed, devices, BenchDevice.authenticate, count, AT_ONCE
        )


@pytest.mark.timeout(BOUND_SECONDS)
async def test_memory_is_flat_over_many_exchanges(lab: LabFolder, tmp_path: Path) -> None:
    async with (
        aaa_process() as aaa,
        fault_node(lab, tmp_path, [(HOST, aaa.port)], CHANGES) as node,
    ):
        await aaa.behave(FORGETFUL)
        devices = with_full_plan()
        await make(node, devices, SETTLED)
        before, files = await settled(node), open_files(node.process.pid)
        await make(node, devices, EXCHANGES - SETTLED)
        growth = await settled(node) - before
        print(f"\nRSS {before >> 10} KiB after {SETTLED}, {growth >> 10:+} KiB after {EXCHANGES}")
        assert growth < GROWTH_OCTETS
        await closed(node, files)
        assert await node.count("exchanges_total", app="ap2004", result="200") == EXCHANGES


async def test_abandoned_exchanges_leave_nothing(lab: LabFolder, tmp_path: Path) -> None:
    """Ten thousand phones get a challenge and go silent; some leave with their DER in flight."""
    async with (
        aaa_process() as aaa,
        fault_node(lab, tmp_path, [(HOST, aaa.port)], CHANGES) as node,
    ):
        await aaa.behave(FORGETFUL)
        silent = [BenchDevice(one, at) for at, one in enumerate(sequential(ABANDONED))]
        await go_silent(node, silent)
        before, files = await settled(node), open_files(node.process.pid)
        assert await node.count("eap_events_total", event="abandoned") == ABANDONED
        await aaa.behave(f"delay=0.5,{FORGETFUL}")
        await leave(node, 100)
        await aaa.behave(FORGETFUL)
        await go_silent(node, silent[: ABANDONED // 4])
        growth = await settled(node) - before
        print(f"\nRSS {before >> 10} KiB, {growth >> 10:+} KiB after a quarter more")
        assert growth < GROWTH_OCTETS
        await closed(node, files)
        assert (await node.device(1).authenticate()).extra_rounds == 0


async def go_silent(node: FaultNode, devices: Sequence[BenchDevice]) -> None:
    """Each gets a challenge, and its connection is closed at the end."""
    with load_loop(node) as loop:
        await trio.to_thread.run_sync(loop.closed, devices, abandon, len(devices), AT_ONCE)


async def leave(node: FaultNode, count: int) -> None:
    """Devices whose connection is gone before the AAA has answered."""

    async def ask(number: int) -> None:
        try:
            async with node.connected() as connection:
                await ask_for_challenge(node.phone(number), connection)
        except DeviceHttpError:
            pass

    async with trio.open_nursery() as nursery:
        for number in range(1, count + 1):
            nursery.start_soon(ask, number)

        async def in_flight() -> bool:
            return bool((await by_worker(node))[1]["sessions"]["alive"] >= count)

        await node.wait(in_flight)
        nursery.cancel_scope.cancel()
