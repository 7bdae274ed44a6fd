"""The lab's AAA as a process that can be killed, stopped and started again."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import trio

from scripts.lab.aaa_running import HOST
from tests.node.whole.lab_folder import free_port

SECONDS: Final = 20.0


class AaaProcess:
    """One AAA.

    Attributes:
        host: its Origin-Host.
        port: where nodes connect; the same after a restart.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.port = free_port()
        self._control = free_port()
        self._process: trio.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [
            sys.executable, "-m", "scripts.lab.aaa", "--host", self.host,
            "--listen", f"127.0.0.1:{self.port}", "--control", f"127.0.0.1:{self._control}",
        ]  # fmt: skip
        self._process = await trio.lowlevel.open_process(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        said = b""
        with trio.fail_after(SECONDS):
            while b"listens on" not in said:
                some = await self._process.stdout.receive_some()
                assert some, f"the AAA ended: {said!r}"
                said += some

    async def kill(self) -> None:
        """SIGKILL: its connections are reset or closed by the kernel."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()
        assert self._process.stdout is not None
        await self._process.stdout.aclose()

    def stop(self) -> None:
        """SIGSTOP: connections stay open, and nothing is answered."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    async def tell(self, command: str) -> Any:  # noqa: ANN401 (any JSON)
        """One command on the control connection; what it answers."""
        async with await trio.open_tcp_stream("127.0.0.1", self._control) as stream:
            await stream.send_all(command.encode() + b"\n")
            said = b""
            with trio.fail_after(SECONDS):
                while b"\n" not in said:
                    said += await stream.receive_some()
        return json.loads(said)

    async def behave(self, words: str) -> None:
        """Treat every subscriber so from now on."""
        assert await self.tell(f"behaviour * {words}") == "ok"

    async def rounds_of(self, imsi: str) -> int:
        """DERs of the subscriber's newest session; 0 when there is none."""
        sessions = await self.tell(f"session {imsi}")
        return sessions[-1]["rounds"] if sessions else 0

    async def close(self) -> None:
        """The end, however it is now."""
        if self._process is not None and self._process.returncode is None:
            await self.kill()


@asynccontextmanager
async def aaa_process(host: str = HOST) -> AsyncIterator[AaaProcess]:
    """An AAA that runs; killed after the block."""
    one = AaaProcess(host)
    try:
        await one.start()
        yield one
    finally:
        with trio.CancelScope(shield=True):
            await one.close()
