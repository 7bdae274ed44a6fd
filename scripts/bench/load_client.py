"""The load client of the benchmark, a process of its own.

It says `prepared` when connections, tokens and warm-up are done, waits for a line on standard
input, makes the exchanges, and says `result` with a JSON object. The benchmark reads the servers'
accounts at those two moments.

    python -m scripts.bench.load_client --port 8443 --ca ca.pem --mode auth --count 500
"""

import gc
import ssl
import sys
import time
from typing import Final

import click
import msgspec

from scripts.bench.load_exchanges import BenchDevice, MakeExchange
from scripts.bench.load_loop import LoadLoop
from scripts.bench.load_messages import LoadError
from scripts.bench.modes import HTTP_MODES, HttpMode
from scripts.lab.subscribers import sequential

WARM_UP: Final = 40  # exchanges before the run: imports, caches, the first growth of memory


class LoadResult(msgspec.Struct, frozen=True):
    """What the client saw. Times are seconds.

    Attributes:
        latest: longest delay of a begin in an open loop: above a few milliseconds the client, not
            the server, limits.
        cpu: of the client itself.
    """

    count: int
    elapsed: float
    p50: float
    p95: float
    p99: float
    largest: float
    latest: float
    cpu: float


def tls_context(ca_file: str, *, http2: bool) -> ssl.SSLContext:
    """TLS 1.3 as a phone does it; certificates are checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"] if http2 else ["http/1.1"])
    return context


def run(
    mode: HttpMode, port: int, ca_file: str, count: int, rate: float, at_once: int, devices: int,
    first_imsi: int,
) -> None:  # fmt: skip
    """Prepare, wait, run, report.

    Raises:
        LoadError: the server did something wrong.
    """
    people = [
        BenchDevice(one, at) for at, one in enumerate(sequential(devices, first_imsi=first_imsi))
    ]
    context = tls_context(ca_file, http2=mode.http2)
    loop = LoadLoop(("127.0.0.1", port), context, http2=mode.http2, shared=mode.connections)
    make: MakeExchange = BenchDevice.authenticate
    if mode.token:
        loop.closed(people, make, len(people), at_once)
        for one in people:
            one.use_token()
        make = BenchDevice.refresh
    loop.closed(people, make, WARM_UP, min(at_once, 8))
    loop.latencies.clear()
    gc.collect()
    gc.freeze()
    print("prepared", flush=True)
    sys.stdin.readline()
    cpu = time.process_time()
    if rate:
        elapsed = loop.open(people, make, count, rate)
    else:
        elapsed = loop.closed(people, make, count, at_once)
    cpu = time.process_time() - cpu
    loop.close()
    print("result", msgspec.json.encode(_result(loop, elapsed, cpu)).decode(), flush=True)


def _result(loop: LoadLoop, elapsed: float, cpu: float) -> LoadResult:
    ordered = sorted(loop.latencies)
    count = len(ordered)

    def percentile(percent: float) -> float:
        return ordered[min(count - 1, int(count * percent / 100))]

    return LoadResult(
        count,
        elapsed,
        percentile(50),
        percentile(95),
        percentile(99),
        ordered[-1],
        loop.latest,
        cpu,
    )


@click.command()
@click.option("--mode", type=click.Choice(list(HTTP_MODES)), required=True)
@click.option("--port", type=int, required=True)
@click.option("--ca", "ca_file", required=True, type=click.Path(exists=True))
@click.option("--count", default=500, show_default=True, help="Exchanges.")
@click.option("--rate", default=0.0, help="An open loop with so many a second; 0: a closed one.")
@click.option("--at-once", default=0, help="Of a closed loop; 0: the mode's.")
@click.option("--devices", default=256, show_default=True)
@click.option("--first-imsi", default=1_010_000_000_001, show_default=True)
def main(
    mode: str, port: int, ca_file: str, count: int, rate: float, at_once: int, devices: int,
    first_imsi: int,
) -> None:  # fmt: skip
    """Load one server in one mode."""
    chosen = HTTP_MODES[mode]
    try:
        run(chosen, port, ca_file, count, rate, at_once or chosen.at_once, devices, first_imsi)
    except LoadError as error:
        sys.exit(f"{mode}: {error}")


if __name__ == "__main__":
    main()
