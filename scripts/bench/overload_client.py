"""The load client of the overload benchmark: devices come at random, served or not.

An open loop in a process of its own. Each device has an address of its own (127.0.0.0/8), opens a
connection for one authentication, and says its ClientHello a moment after the connection stands, as
a phone does that has to compute it first: who is turned away at the door costs this client little.
What becomes of each device is counted; nothing that goes wrong ends the run.

    python -m scripts.bench.overload_client --port 8443 --ca ca.pem --rate 2000 --seconds 8
"""

import contextlib
import gc
import random
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import click
import msgspec

from scripts.bench.load_client import tls_context
from scripts.bench.load_exchanges import BenchDevice, Exchange
from scripts.bench.load_loop import LoadConnection, Running
from scripts.bench.load_messages import LoadError
from scripts.lab.subscribers import sequential

HELLO_SECONDS: Final = 0.003  # from the connection to the ClientHello
PATIENCE_SECONDS: Final = 10.0
_BIND_ADDRESS_NO_PORT: Final = 24  # Linux: a port for each address, not one for all of them
_IN: Final = select.EPOLLIN
_IN_OUT: Final = select.EPOLLIN | select.EPOLLOUT


class OverloadStep(msgspec.Struct, frozen=True):
    """What became of the devices of one run, without those of its first moments. Times in seconds.

    Attributes:
        offered: devices that came in `seconds`; the following add up to them.
        served: a document with what the subscriber may have.
        excused: 503 with Retry-After to their first request.
        turned_away: closed before the handshake, or in it.
        broken: failed after they had got a challenge: there must be none.
        silent: nothing came in time.
        p50, p99: of the served ones, from the moment when they were due.
        shortest_wait, longest_wait: Retry-After.
        missed: devices that did not come because all were busy: then too little was offered.
        latest: the longest delay of a begin: what the client itself adds at worst.
        cpu: of the client.
    """

    seconds: float
    offered: int
    served: int
    excused: int
    turned_away: int
    broken: int
    silent: int
    p50: float
    p99: float
    shortest_wait: int
    longest_wait: int
    missed: int
    latest: float
    cpu: float


class Visit:
    """One device at the door, or in."""

    __slots__ = ("connection", "counts", "device", "due", "legs", "socket", "source", "steps")

    def __init__(self, device: BenchDevice, source: str, due: float, *, counts: bool) -> None:
        self.device = device
        self.source = source
        self.due = due
        self.counts = counts  # not one of the first moments
        self.legs = 0
        self.steps: Exchange = device.authenticate()
        self.connection: LoadConnection | None = None
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.bind((source, 0))


class OverloadLoop:
    """All devices of a run."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext) -> None:
        self._address = address
        self._context = context
        self._epoll = select.epoll()
        self._visits: dict[int, Visit] = {}
        self._hellos: deque[tuple[float, Visit]] = deque()
        self._free: deque[tuple[BenchDevice, str]] = deque()
        self.latencies: list[float] = []
        self.counts = dict.fromkeys(("offered", "excused", "turned_away", "broken", "silent"), 0)
        self.waits: list[int] = []
        self.latest = 0.0
        self.missed = 0

    def run(self, devices: Sequence[BenchDevice], rate: float, seconds: float, skip: float) -> None:
        """Have `rate` devices come a second.

        Args:
            skip: seconds at the begin whose devices are not counted.
        """
        self._free.extend((one, _source(at)) for at, one in enumerate(devices))
        chance = random.Random(1)  # noqa: S311 (arrivals)
        begin = time.perf_counter()
        due, end = begin, begin + seconds
        while True:
            now = time.perf_counter()
            while due <= now and due < end:
                self._come(due, now, counts=due >= begin + skip)
                due += chance.expovariate(rate)
            while self._hellos and self._hellos[0][0] <= now:
                self._say_hello(self._hellos.popleft()[1])
            if due >= end and (not self._visits or now > end + PATIENCE_SECONDS):
                break
            upcoming = due if due < end else now + 0.1
            if self._hellos:
                upcoming = min(upcoming, self._hellos[0][0])
            for descriptor, event in self._epoll.poll(max(0.0, upcoming - now), 256):
                visit = self._visits.get(descriptor)
                if visit is not None:
                    self._step(visit, event)
        for visit in list(self._visits.values()):
            self._leave(visit, "silent")

    def _come(self, due: float, now: float, *, counts: bool) -> None:
        if not self._free:
            self.missed += 1
            return
        device, source = self._free.popleft()
        visit = Visit(device, source, due, counts=counts)
        if counts:
            self.counts["offered"] += 1
            self.latest = max(self.latest, now - due)
        with contextlib.suppress(BlockingIOError):
            visit.socket.connect(self._address)
        descriptor = visit.socket.fileno()
        self._visits[descriptor] = visit
        self._epoll.register(descriptor, _IN)
        self._hellos.append((now + HELLO_SECONDS, visit))

    def _say_hello(self, visit: Visit) -> None:
        if visit.socket.fileno() < 0:
            return  # turned away meanwhile
        visit.connection = connection = LoadConnection(
            self._address, self._context, http2=True, connected=visit.socket
        )
        connection.request(next(visit.steps), Running(visit.device, visit.steps, visit.due))
        self._flush(visit)

    def _step(self, visit: Visit, event: int) -> None:
        connection = visit.connection
        if connection is None:  # there was nothing to read before our hello: it is the end
            return self._leave(visit, "turned_away")
        try:
            if event & ~select.EPOLLOUT:
                for data in connection.readable():
                    for number, answer in connection.http.receive(data):
                        running = connection.running.pop(number)
                        if answer.status == 503:
                            if visit.counts and not visit.legs:
                                self.waits.append(answer.retry_after)
                            return self._leave(visit, "broken" if visit.legs else "excused")
                        connection.request(visit.steps.send(answer), running)
                        visit.legs += 1
        except StopIteration:
            if visit.counts:
                self.latencies.append(time.perf_counter() - visit.due)
            return self._leave(visit, "")
        except LoadError:
            return self._leave(visit, "broken" if visit.legs or connection.ready else "turned_away")
        return self._flush(visit)

    def _flush(self, visit: Visit) -> None:
        if visit.connection is None:
            return
        try:
            all_left = visit.connection.flush()
        except LoadError:
            return self._leave(visit, "broken" if visit.legs else "turned_away")
        self._epoll.modify(visit.socket.fileno(), _IN if all_left else _IN_OUT)

    def _leave(self, visit: Visit, why: str) -> None:
        if why and visit.counts:
            self.counts[why] += 1
        del self._visits[visit.socket.fileno()]
        visit.socket.close()
        self._free.append((visit.device, visit.source))


def _source(at: int) -> str:
    return f"127.1.{at // 250}.{at % 250 + 1}"


def measure(
    port: int, ca_file: str, rate: float, seconds: float, skip: float, devices: int,
    first_imsi: int,
) -> OverloadStep:  # fmt: skip
    """One run."""
    people = [
        BenchDevice(one, at) for at, one in enumerate(sequential(devices, first_imsi=first_imsi))
    ]
    loop = OverloadLoop(("127.0.0.1", port), tls_context(ca_file, http2=True))
    gc.collect()
    gc.freeze()
    cpu = time.process_time()
    loop.run(people, rate, seconds, skip)
    ordered = sorted(loop.latencies) or [0.0]
    return OverloadStep(
        seconds=seconds - skip,
        served=len(loop.latencies),
        p50=ordered[len(ordered) // 2],
        p99=ordered[int(len(ordered) * 0.99)],
        shortest_wait=min(loop.waits, default=0),
        longest_wait=max(loop.waits, default=0),
        missed=loop.missed,
        latest=loop.latest,
        cpu=time.process_time() - cpu,
        **loop.counts,
    )


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--ca", "ca_file", required=True, type=click.Path(exists=True))
@click.option("--rate", required=True, type=float, help="Devices a second.")
@click.option("--seconds", default=8.0, show_default=True)
@click.option("--skip", default=2.0, show_default=True, help="Not counted at the begin.")
@click.option("--devices", default=2_000, show_default=True)
@click.option("--first-imsi", default=1_010_000_100_001, show_default=True)
def main(
    port: int, ca_file: str, rate: float, seconds: float, skip: float, devices: int,
    first_imsi: int,
) -> None:  # fmt: skip
    """Offer a node a rate of new authentications, and count what becomes of them."""
    found = measure(port, ca_file, rate, seconds, skip, devices, first_imsi)
    print(msgspec.json.encode(found).decode(), flush=True)


if __name__ == "__main__":
    main()
