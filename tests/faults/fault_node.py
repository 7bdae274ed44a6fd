"""`python -m node serve` for the fault suite: with AAAs and databases of the test's choice."""

import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio

from tests.faults.devices import Device
from tests.node.whole.lab_folder import (
    Changes,
    LabFolder,
    changed_settings,
    free_port,
    mvno_subscriber,
    subscriber,
)
from tests.node.whole.workers_node import ServedNode

# Quick ends, no limits for phones that are here again and again; times that a slow machine keeps.
SETTINGS: Final[Mapping[str, Any]] = {
    "diameter": {"answer-seconds": 1.0, "exchange-seconds": 2.0},
    "sessions": {"finished-seconds": 0.05, "answer-seconds": 4.5},
    "overload": {"authentications-per-device": 0},
    "logging": {"level": "info"},
}


class FaultNode(ServedNode):
    """A node whose AAA, database or clock the test takes away."""

    def device(self, number: int, tenant: str = "mno") -> Device:
        """The phone of a seeded subscriber."""
        who = mvno_subscriber(number) if tenant == "mvno" else subscriber(number)
        return Device(who, self.target())

    async def open_peers(self) -> int:
        """AAAs that it is connected to."""
        peers = (await self.json("/statistics"))["diameter"]["peers"]
        return sum(peer["state"] == "I_OPEN" for peer in peers)

    async def connected_to(self, count: int) -> None:
        """Until it is connected to so many AAAs."""

        async def enough() -> bool:
            return await self.open_peers() == count

        await self.wait(enough)

    async def ready(self) -> None:
        """Until /ready says so."""

        async def is_ready() -> bool:
            return (await self.get("/ready"))[0] == 200

        await self.wait(is_ready)


@asynccontextmanager
async def fault_node(
    lab: LabFolder,
    folder: Path,
    aaas: Sequence[tuple[str, int]],
    changes: Changes | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[FaultNode]:
    """A node of one process, ready; killed after the block.

    Args:
        aaas: (Origin-Host, port).
        changes: see `LabFolder.prepare`.
        environment: of the process; None: the test's own.
    """
    port, management = free_port(), free_port()
    base = {
        **SETTINGS,
        "device": {"listen": [f"127.0.0.1:{port}"]},
        "management": {"listen": f"127.0.0.1:{management}"},
        "node": {"workers": 1},
    }
    path = lab.prepare(folder, aaas, changed_settings(base, changes or {}))
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "node", "serve", "--config", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
    )
    node = FaultNode(process, lab, path, port, f"http://127.0.0.1:{management}")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.read_log)
        try:
            await node.until("serving")
            await node.connected_to(len(aaas))
            yield node
        finally:
            if process.returncode is None:
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
            nursery.cancel_scope.cancel()
            assert process.stderr is not None
            process.stderr.close()
