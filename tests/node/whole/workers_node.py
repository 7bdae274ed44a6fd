"""A node with several workers as operators run it: `serve`, its log, its management listener."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio
from prometheus_client.parser import text_string_to_metric_families

from scripts.lab.aaa_running import HOST, RunningAaa, running_aaa
from scripts.lab.device_http import DeviceConnection
from scripts.lab.phone import Phone, PhoneResult, Target
from tests.node.whole.device_legs import FirstLeg, answer_of, first_leg, relay
from tests.node.whole.lab_folder import Changes, LabFolder, changed_settings, free_port, subscriber

SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.02

Line = dict[str, Any]


@dataclass
class ServedNode:
    """The process that `serve` starts, and what is around it.

    Attributes:
        lines: its log and that of its workers, as it grows.
        errors: what it says that is no log.
    """

    process: trio.Process
    lab: LabFolder
    config: Path
    port: int
    management: str
    lines: list[Line] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    said: trio.Event = field(default_factory=trio.Event)

    # --- the log --------------------------------------------------------------------------------

    async def read_log(self) -> None:
        """Read standard error until it ends."""
        rest = b""
        while some := await self._some():
            *whole, rest = (rest + some).split(b"\n")
            for line in whole:
                if line.startswith(b"{"):
                    self.lines.append(json.loads(line))
                else:
                    self.errors.append(line.decode())
            self.said.set()
            self.said = trio.Event()

    async def _some(self) -> bytes:
        assert self.process.stderr is not None
        try:
            return bytes(await self.process.stderr.receive_some())
        except trio.ClosedResourceError:  # the end of the test
            return b""

    def logged(self, event: str) -> list[Line]:
        """The lines of one event so far."""
        return [line for line in self.lines if line["event"] == event]

    async def until(self, event: str, count: int = 1) -> None:
        """Until it has been logged so often."""
        try:
            with trio.fail_after(SECONDS):
                while len(self.logged(event)) < count:
                    await self.said.wait()
        except trio.TooSlowError:
            raise AssertionError(f"no {event!r}: {self.lines} {self.errors}") from None

    # --- the management listener ----------------------------------------------------------------

    async def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        """One page."""

        def fetch() -> tuple[int, str]:
            request = urllib.request.Request(f"{self.management}{path}", method=method)  # noqa: S310
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        return await trio.to_thread.run_sync(fetch)

    async def json(self, path: str) -> Any:  # noqa: ANN401 (any JSON)
        """One page as JSON."""
        return json.loads((await self.get(path))[1])

    async def pids(self) -> dict[int, int]:
        """Worker to process id."""
        workers = (await self.json("/ready"))["workers"]
        return {int(number): one["pid"] for number, one in workers.items()}

    async def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """All numbers of /metrics: (name, labels) to value."""
        _, text = await self.get("/metrics")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def count(self, metric: str, /, **labels: str) -> float:
        """The sum of all samples of a metric that have these labels."""
        wanted = set(labels.items())
        return sum(
            value
            for (found, has), value in (await self.samples()).items()
            if found == f"entitlement_{metric}" and wanted <= has
        )

    async def statistics(self, part: str, name: str) -> dict[int, Any]:
        """One field of one part, by worker."""
        workers = (await self.json("/statistics"))["workers"]
        return {int(number): one[part][name] for number, one in workers.items()}

    async def all_ready(self) -> None:
        """Until every worker is."""
        await self.wait(self._all_ready)

    async def _all_ready(self) -> bool:
        body = await self.json("/ready")
        return bool(body["ready_workers"] == len(body["workers"]))

    async def wait(self, condition: Callable[[], Any]) -> None:
        """Until an asynchronous condition holds; processes tell of nothing, so it is looked at."""
        with trio.fail_after(SECONDS):
            while not await condition():  # noqa: ASYNC110
                await trio.sleep(POLL_SECONDS)

    # --- devices --------------------------------------------------------------------------------

    def target(self, *, http2: bool = True) -> Target:
        """Where phones find the node."""
        return Target(("127.0.0.1", self.port), f"localhost:{self.port}", self.lab.contexts[http2])

    def phone(self, number: int, *, http2: bool = True) -> Phone:
        """A phone of the `number`-th subscriber."""
        return Phone(subscriber(number), self.target(http2=http2))

    @asynccontextmanager
    async def connected(self, *, http2: bool = True) -> AsyncIterator[DeviceConnection]:
        """A new connection; the kernel chooses the worker."""
        async with await self.target(http2=http2).connect() as connection:
            yield connection

    async def begin(self, phone: Phone) -> tuple[FirstLeg, bytes]:
        """A first leg on a connection of its own, and the answer to its challenge."""
        async with self.connected() as connection:
            leg = await first_leg(phone, connection)
        return leg, answer_of(phone, leg.response)

    async def finish(self, leg: FirstLeg, answer: bytes) -> int:
        """The second leg on a connection of its own; its status."""
        async with self.connected() as connection:
            return (await relay(answer, connection, leg.cookie_field)).status

    async def begin_at(self, phone: Phone) -> tuple[FirstLeg, bytes, int]:
        """A first leg, the answer to its challenge, and the worker that it came to."""
        before = await self.statistics("devices", "requests")
        leg, answer = await self.begin(phone)
        after = await self.statistics("devices", "requests")
        (owner,) = [number for number, count in after.items() if count > before.get(number, 0)]
        return leg, answer, owner

    async def authenticate(self, number: int) -> PhoneResult:
        """A whole exchange over one connection."""
        return await self.phone(number).authenticate()

    # --- the end --------------------------------------------------------------------------------

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for the end; the status."""
        with trio.fail_after(SECONDS):
            return await self.process.wait()


@dataclass
class WorkersNode(ServedNode):
    """A node with several workers, and its AAA in the test's own process."""

    aaa: RunningAaa = field(kw_only=True)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody waits for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@asynccontextmanager
async def workers_node(
    lab: LabFolder, folder: Path, count: int = 2, changes: Changes | None = None
) -> AsyncIterator[WorkersNode]:
    """A node with so many workers and its AAA, serving and connected; killed after the block."""
    port, management = free_port(), free_port()
    base: Mapping[str, Any] = {
        "device": {"listen": [f"127.0.0.1:{port}"]},
        "management": {"listen": f"127.0.0.1:{management}"},
        "node": {"workers": count, "drain-seconds": 5.0},
        "logging": {"level": "info"},
    }
    async with running_aaa() as aaa, trio.open_nursery() as nursery:
        path = lab.prepare(folder, [(HOST, aaa.port)], changed_settings(base, changes or {}))
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "node", "serve", "--config", str(path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        management_url = f"http://127.0.0.1:{management}"
        node = WorkersNode(process, lab, path, port, management_url, aaa=aaa)
        nursery.start_soon(node.read_log)
        try:
            await node.until("serving")
            await node.all_ready()
            yield node
        finally:
            if process.returncode is None:
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
            nursery.cancel_scope.cancel()  # no checkpoint from here on: it would hide a failure
            assert process.stderr is not None
            process.stderr.close()
