"""What a benchmark has measured, as data: medians of the rounds, and the floors they must reach."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from scripts.bench.diameter_client import DiameterResult
from scripts.bench.idle_sessions import IdleResult
from scripts.bench.measure import Measured
from scripts.bench.modes import HttpMode
from scripts.bench.overload import GOODPUT_FLOOR, LATENCY_FLOOR, OverloadResult
from scripts.bench.store_load import StoreResult

FORMAT: Final = 1
OWN_SHARE_FLOOR_MS: Final = 10.0
DIAMETER_FLOOR: Final = 1 / 8
DIAMETER_AIM: Final = 1 / 12
SESSION_FLOOR_OCTETS: Final = 4_000.0
SESSION_AIM_OCTETS: Final = 1_500.0
OVERLOAD: Final = 2.0  # times the capacity, at which the floors of goodput and p99 count


class Side(msgspec.Struct, frozen=True):
    """One server in one mode, medians over the rounds; all rounds stand in `rounds_cpu_ms`.

    Attributes:
        cpu_ms: of the server for each exchange.
        rate: exchanges a second in the closed loop; the client has a core of its own.
        client_cpu_ms: of the load client: far below the server's, or it would limit.
        resident_mb: the largest.
    """

    cpu_ms: float
    rounds_cpu_ms: list[float]
    rate: float
    client_cpu_ms: float
    resident_mb: float


class Latency(msgspec.Struct, frozen=True):
    """The node at half of its measured rate, whole exchanges as the client sees them, in ms.

    Attributes:
        latest_ms: the longest delay of a begin: what the client itself adds at worst.
        own_p99_ms: upper bound of the node's own share of a leg, from its own histogram; None
            when the mode has no legs of its own there.
    """

    rate: float
    p50_ms: float
    p99_ms: float
    latest_ms: float
    own_p99_ms: float | None


class HttpResult(msgspec.Struct, frozen=True):
    """One mode over HTTP. `ratio`: CPU of the node as a fraction of the ordinary stack's."""

    mode: str
    node: Side
    ordinary: Side | None
    ratio: float | None
    floor: float | None
    aim: float | None
    latency: Latency | None


class DiameterSides(msgspec.Struct, frozen=True):
    """Client CPU for each DER/DEA, in microseconds; medians."""

    ours_us: float
    library_us: float
    ratio: float
    ours: list[DiameterResult]
    library: list[DiameterResult]


class Floor(msgspec.Struct, frozen=True):
    """A figure that must be reached to land; `reached` is false when it was not."""

    name: str
    floor: float
    aim: float
    measured: float
    unit: str
    reached: bool


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured."""

    processors: int
    python: str
    openssl: str
    load_average: float
    pinned: bool


class Results(msgspec.Struct, frozen=True):
    """Everything; the JSON file."""

    format: int
    began_at: str
    rounds: int
    quick: bool
    machine: Machine
    http: list[HttpResult]
    diameter: DiameterSides | None
    sessions: IdleResult | None
    store: StoreResult | None
    floors: list[Floor]
    overload: OverloadResult | None = None


def side(measured: Sequence[Measured]) -> Side:
    """The medians of some rounds."""
    return Side(
        statistics.median(one.cpu_ms for one in measured),
        [round(one.cpu_ms, 4) for one in measured],
        statistics.median(one.rate for one in measured),
        statistics.median(one.load.cpu / one.load.count * 1_000 for one in measured),
        max(one.resident_mb for one in measured),
    )


def http_result(
    mode: HttpMode, node: Side, ordinary: Side | None, latency: Latency | None
) -> HttpResult:
    """Put the two sides of a mode together."""
    ratio = node.cpu_ms / ordinary.cpu_ms if ordinary is not None and ordinary.cpu_ms else None
    return HttpResult(mode.name, node, ordinary, ratio, mode.floor, mode.aim, latency)


def diameter_sides(
    ours: Sequence[DiameterResult], library: Sequence[DiameterResult]
) -> DiameterSides:
    """Put the two clients together."""
    ours_us = statistics.median(one.cpu / one.count * 1e6 for one in ours)
    library_us = statistics.median(one.cpu / one.count * 1e6 for one in library)
    return DiameterSides(ours_us, library_us, ours_us / library_us, list(ours), list(library))


def floors(
    http: Iterable[HttpResult], diameter: DiameterSides | None, sessions: IdleResult | None
) -> list[Floor]:
    """Compare with what must be reached; what was not measured is left out."""
    found = []
    for one in http:
        if one.ratio is not None and one.floor is not None and one.aim is not None:
            found.append(_floor(f"{one.mode} CPU", one.floor, one.aim, one.ratio, "of ordinary"))
        if one.latency is not None and one.latency.own_p99_ms is not None:
            name = f"{one.mode} own share p99"
            found.append(_floor(name, OWN_SHARE_FLOOR_MS, 5.0, one.latency.own_p99_ms, "ms"))
    if diameter is not None:
        found.append(
            _floor("DER/DEA CPU", DIAMETER_FLOOR, DIAMETER_AIM, diameter.ratio, "of library")
        )
    if sessions is not None:
        octets = sessions.octets_each
        found.append(
            _floor("idle session", SESSION_FLOOR_OCTETS, SESSION_AIM_OCTETS, octets, "octets")
        )
    return found


def overload_floors(result: OverloadResult | None) -> list[Floor]:
    """Compare goodput and latency at twice the capacity; five times is the aim, in the table."""
    runs = [] if result is None else [one for one in result.runs if one.load == OVERLOAD]
    found = []
    for run in runs:
        lost, most = 1.0 - run.goodput, 1.0 - GOODPUT_FLOOR
        found.append(_floor("goodput lost at 2 x load", most, most, lost, "of capacity"))
        found.append(
            _floor("p99 at 2 x load", LATENCY_FLOOR, LATENCY_FLOOR, run.p99_ratio, "x at 0.8")
        )
    return found


def _floor(name: str, floor: float, aim: float, measured: float, unit: str) -> Floor:
    return Floor(name, floor, aim, measured, unit, measured <= floor)
