"""Interleaved rounds: in each, every mode against both servers, in turns, the order changing.

A machine that others use gets slower and faster by the minute. What is compared is measured a
second apart, and the median of the rounds counts.
"""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from scripts.bench.diameter_client import DiameterResult
from scripts.bench.idle_sessions import IdleResult
from scripts.bench.lab import BenchLab, cores
from scripts.bench.measure import Measured, MeasurementFailed, measure
from scripts.bench.modes import HttpMode
from scripts.bench.own_share import own_share_buckets, percentile_between
from scripts.bench.processes import pinned, python
from scripts.bench.results import (
    DiameterSides,
    HttpResult,
    Latency,
    diameter_sides,
    http_result,
    side,
)
from scripts.bench.store_load import StoreResult

CHILD_SECONDS: Final = 300.0

Say = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    Attributes:
        scale: of the counts of the modes.
        latency_seconds: of the open loop for each mode; 0: none.
        sessions: how many idle ones.
    """

    rounds: int
    scale: float
    latency_seconds: float
    devices: int
    diameter: tuple[int, int]  # DERs of the library, and of ours
    sessions: int
    store: int
    overload: tuple[int, float, float]  # rounds of the capacity, seconds of a load, left out


FULL: Final = Effort(3, 1.0, 4.0, 128, (2_000, 20_000), 100_000, 20_000, (3, 13.0, 3.0))
QUICK: Final = Effort(2, 0.33, 1.0, 32, (600, 5_000), 30_000, 5_000, (2, 6.0, 2.0))


def http_rounds(
    lab: BenchLab, modes: Sequence[HttpMode], effort: Effort, say: Say
) -> list[HttpResult]:
    """All modes over HTTP.

    Raises:
        MeasurementFailed: an exchange failed.
        NotStarted: a server ended.
    """
    node: dict[str, list[Measured]] = {mode.name: [] for mode in modes}
    ordinary: dict[str, list[Measured]] = {mode.name: [] for mode in modes}
    for number in range(effort.rounds):
        for mode in modes:
            turns = [(lab.node, node, mode.count[1])]
            if lab.ordinary is not None:
                turns.append((lab.ordinary, ordinary, mode.count[0]))
            for server, into, count in turns if number % 2 else reversed(turns):
                say(f"round {number + 1} of {effort.rounds}: {mode.name}, {server.name}")
                found = measure(
                    lab, server, mode, max(20, round(count * effort.scale)), devices=effort.devices
                )
                into[mode.name].append(found)
    results = []
    for mode in modes:
        own = side(node[mode.name])
        other = side(ordinary[mode.name]) if ordinary[mode.name] else None
        latency = _latency(lab, mode, own.rate / 2, effort, say)
        results.append(http_result(mode, own, other, latency))
    return results


def _latency(
    lab: BenchLab, mode: HttpMode, rate: float, effort: Effort, say: Say
) -> Latency | None:
    """The node in an open loop."""
    if not effort.latency_seconds:
        return None
    say(f"latency at {rate:.0f}/s: {mode.name}")
    # Enough devices for a second of standstill: fewer would end the open loop.
    devices = max(effort.devices, min(1_000, round(rate)))
    before = own_share_buckets(lab.management_url)
    found = measure(
        lab, lab.node, mode, max(50, round(rate * effort.latency_seconds)), rate=rate,
        devices=devices,
    )  # fmt: skip
    after = own_share_buckets(lab.management_url)
    own = percentile_between(before, after, 99)
    return Latency(
        rate,
        found.load.p50 * 1_000,
        found.load.p99 * 1_000,
        found.load.latest * 1_000,
        None if own is None else own * 1_000,
    )


def diameter_rounds(lab: BenchLab, effort: Effort, say: Say) -> DiameterSides:
    """Both Diameter clients in turns, on the core of the measured server."""
    ours: list[DiameterResult] = []
    library: list[DiameterResult] = []
    for number in range(effort.rounds):
        turns = [("ours", ours, effort.diameter[1]), ("library", library, effort.diameter[0])]
        for stack, into, count in turns if number % 2 else reversed(turns):
            say(f"round {number + 1} of {effort.rounds}: diameter, {stack}")
            command = python(
                "scripts.bench.diameter_client", "--stack", stack,
                "--aaa", f"127.0.0.1:{lab.aaa_port}", "--count", count,
            )  # fmt: skip
            into.append(child(command, DiameterResult))
    return diameter_sides(ours, library)


def idle_sessions(effort: Effort, say: Say) -> IdleResult:
    """Memory of idle sessions."""
    say(f"{effort.sessions:,} idle sessions")
    return child(python("scripts.bench.idle_sessions", "--count", effort.sessions), IdleResult)


def store(folder: Path, effort: Effort, say: Say) -> StoreResult:
    """The embedded store alone."""
    say("store")
    arguments = ("--folder", folder, "--count", effort.store)
    return child(python("scripts.bench.store_load", *arguments), StoreResult)


def child(command: Sequence[str], kind: type[T]) -> T:
    """Run a measuring program; its last line is the result.

    Raises:
        MeasurementFailed: it failed.
    """
    found = subprocess.run(
        pinned(command, cores()[0]), capture_output=True, text=True, timeout=CHILD_SECONDS
    )
    if found.returncode != 0:
        raise MeasurementFailed(f"{command[2]}: {found.stderr.strip()[-600:]}")
    return msgspec.json.decode(found.stdout.strip().splitlines()[-1], type=kind)
