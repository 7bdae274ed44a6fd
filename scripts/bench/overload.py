"""What the node still does when several times too many devices come.

The node shares its core with a program that does nothing but use it: the one core that is left for
the client and the AAA could not offer several times the capacity of a whole one. All figures are
ratios to what the node does under the same condition.
"""

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from scripts.bench.lab import FIRST_IMSI, SUBSCRIBERS, BenchLab, cores
from scripts.bench.measure import MeasurementFailed, measure
from scripts.bench.modes import HTTP_MODES
from scripts.bench.overload_client import PATIENCE_SECONDS, OverloadStep
from scripts.bench.processes import pinned, python

LOADS: Final = (0.5, 0.8, 1.0, 2.0, 5.0)
BASE_LOAD: Final = 0.8  # whose 99th percentile the others are compared with
GOODPUT_FLOOR: Final = 0.85
LATENCY_FLOOR: Final = 2.0
# Of the closed loop: the busy program makes each exchange wait for several of its time slices, so
# that few at once would leave the node idle. More would be an overload in its eyes.
AT_ONCE: Final = 28
AT_ONCE_DEVICES: Final = 256
EXCHANGES: Final = 800
SETTLE_SECONDS: Final = 10.0
LATE_SECONDS: Final = 0.1  # a begin that is later than this: the client was the bottleneck
_SPIN: Final = "while True:\n pass"


class OverloadRun(msgspec.Struct, frozen=True):
    """One load.

    Attributes:
        load: of the capacity.
        goodput: of the capacity.
        p99_ratio: of the served ones, to that at `BASE_LOAD`.
        shed_share: of the offered ones, excused or turned away.
        client_limited: the client could not offer this load: the run says nothing.
    """

    load: float
    goodput: float
    p99_ratio: float
    shed_share: float
    client_limited: bool
    step: OverloadStep


class OverloadResult(msgspec.Struct, frozen=True):
    """All loads.

    Attributes:
        capacity: exchanges a second in a closed loop beside the busy program; of the best round.
    """

    capacity: float
    runs: list[OverloadRun]


def overload(
    lab: BenchLab, rounds: int, seconds: float, skip: float, say: Callable[[str], None]
) -> OverloadResult:
    """Measure the capacity, then offer each of the loads.

    Args:
        rounds: of the capacity.
        seconds: of each load.
        skip: of them at the begin, not counted.

    Raises:
        MeasurementFailed: the client failed.
        NotStarted: the node ended.
    """
    with _busy_core():
        rates = []
        for number in range(rounds):
            say(f"capacity, round {number + 1} of {rounds}")
            mode = HTTP_MODES["auth"]
            found = measure(
                lab, lab.node, mode, EXCHANGES, devices=AT_ONCE_DEVICES, at_once=AT_ONCE
            )
            rates.append(found.rate)
        capacity = max(rates)  # what others take away on this machine is no limit of the node
        steps = {}
        for load in LOADS:
            _settle(lab)
            say(f"{load:g} times the capacity of {capacity:.0f}/s")
            steps[load] = _offer(lab, load * capacity, seconds, skip)
    return OverloadResult(
        capacity, [_run(load, step, capacity, steps[BASE_LOAD].p99) for load, step in steps.items()]
    )


def _run(load: float, step: OverloadStep, capacity: float, base: float) -> OverloadRun:
    return OverloadRun(
        load=load,
        goodput=step.served / step.seconds / capacity,
        p99_ratio=step.p99 / base if base else 0.0,
        shed_share=(step.excused + step.turned_away) / max(step.offered, 1),
        client_limited=step.latest > LATE_SECONDS or bool(step.missed),
        step=step,
    )


@contextlib.contextmanager
def _busy_core() -> Iterator[None]:
    """The core of the node half used, by a session of its own: schedulers share among sessions."""
    busy = subprocess.Popen(pinned([sys.executable, "-c", _SPIN], cores()[0]),
                            start_new_session=True)  # fmt: skip
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


def _settle(lab: BenchLab) -> None:
    """Wait until the node limits nothing any more."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{lab.management_url}/statistics", timeout=5) as response:  # noqa: S310
            if not json.load(response)["admission"]["limiting"]:
                return
        time.sleep(0.2)


def _offer(lab: BenchLab, rate: float, seconds: float, skip: float) -> OverloadStep:
    command = python(
        "scripts.bench.overload_client", "--port", lab.node.port, "--ca", lab.ca,
        "--rate", rate, "--seconds", seconds, "--skip", skip, "--devices", SUBSCRIBERS,
        "--first-imsi", FIRST_IMSI,
    )  # fmt: skip
    found = subprocess.run(
        pinned(command, cores()[1]), capture_output=True, text=True,
        timeout=seconds + PATIENCE_SECONDS + 60,
    )  # fmt: skip
    if found.returncode != 0:
        raise MeasurementFailed(f"overload: {found.stderr.strip()[-600:]}")
    lab.node.program.check()
    return msgspec.json.decode(found.stdout.strip().splitlines()[-1], type=OverloadStep)
