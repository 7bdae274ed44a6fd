"""Medians, floors, and how results are shown: without a server."""

from xml.etree import ElementTree

import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console

from scripts.bench.__main__ import main
from scripts.bench.diameter_client import DiameterResult
from scripts.bench.flame import read_collapsed
from scripts.bench.flame import svg as flame_svg
from scripts.bench.idle_sessions import IdleResult
from scripts.bench.load_client import LoadResult
from scripts.bench.measure import Measured
from scripts.bench.modes import HTTP_MODES
from scripts.bench.own_share import percentile_between, read_buckets
from scripts.bench.results import (
    FORMAT,
    Latency,
    Machine,
    Results,
    Side,
    diameter_sides,
    floors,
    http_result,
    side,
)
from scripts.bench.show import show, svg

LATENCY = Latency(100.0, 2.0, 8.0, 1.0, 5.0)


def measured(cpu_ms: float, elapsed: float = 1.0) -> Measured:
    load = LoadResult(100, elapsed, 0.001, 0.002, 0.003, 0.004, 0.0, 0.02)
    return Measured(cpu_ms, 50.0, load)


def one_side(cpu_ms: float) -> Side:
    return side([measured(cpu_ms)])


def results(auth: float, latency: Latency | None = LATENCY) -> Results:
    http = [http_result(HTTP_MODES["auth"], one_side(auth), one_side(12.0), latency)]
    ours, library = (DiameterResult(1_000, cpu, 1.0, 0.01, 0.02) for cpu in (0.03, 0.3))
    diameter = diameter_sides([ours], [library])
    idle = IdleResult(1_000, 1_000, 3_000.0, 0.0001)
    machine = Machine(2, "3.11.7", "OpenSSL", 0.5, True)
    return Results(
        FORMAT, "2026-03-01T12:00:00+00:00", 1, False, machine, http, diameter, idle, None,
        floors(http, diameter, idle),
    )  # fmt: skip


def test_the_median_of_the_rounds_counts_and_all_rounds_are_kept() -> None:
    found = side([measured(1.0), measured(9.0, elapsed=2.0), measured(2.0)])
    assert found.cpu_ms == 2.0
    assert found.rounds_cpu_ms == [1.0, 9.0, 2.0]
    assert found.rate == 100.0
    assert found.client_cpu_ms == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("mode", "floor", "aim"),
    [
        ("auth", 1 / 6, 1 / 9),
        ("auth-shared", 1 / 15, 1 / 28),
        ("token", 1 / 4.5, 1 / 6.5),
        ("token-shared", 1 / 10, 1 / 16),
    ],
)
def test_the_floors_are_those_of_the_design(mode: str, floor: float, aim: float) -> None:
    assert (HTTP_MODES[mode].floor, HTTP_MODES[mode].aim) == (floor, aim)


@pytest.mark.parametrize(("auth", "reached"), [(1.99, True), (2.0, True), (2.01, False)])
def test_a_floor_is_reached_at_its_value_and_missed_above(auth: float, reached: bool) -> None:
    first = results(auth).floors[0]
    assert first.name == "auth CPU"
    assert first.reached is reached


def test_every_floor_that_was_measured_is_judged() -> None:
    assert [one.name for one in results(1.0).floors] == [
        "auth CPU",
        "auth own share p99",
        "DER/DEA CPU",
        "idle session",
    ]
    assert all(one.reached for one in results(1.0).floors)
    slow = Latency(100.0, 2.0, 8.0, 1.0, 20.0)
    assert not results(1.0, slow).floors[1].reached


def test_without_the_ordinary_stack_there_is_no_ratio_and_no_floor() -> None:
    found = http_result(HTTP_MODES["auth"], one_side(1.0), None, None)
    assert found.ratio is None
    assert floors([found], None, None) == []


def test_the_results_survive_json() -> None:
    found = results(1.0)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Results) == found


def test_the_tables_tell_what_was_reached() -> None:
    console = Console(width=120, record=True, quiet=True)
    console.quiet = False
    with console.capture() as capture:
        show(results(2.5), console)
    text = capture.get()
    assert "1/4.8" in text
    assert "missed" in text
    assert "3,000 octets each" in text
    assert "1/10.0" in text


def test_the_plot_is_one_sound_svg_file() -> None:
    found = results(1.0)
    root = ElementTree.fromstring(svg(found.http))  # noqa: S314 (our own)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall("{http://www.w3.org/2000/svg}rect")) == 3  # ground and two bars


METRICS = """
# HELP entitlement_own_share_seconds The part of the legs that the node took.
entitlement_own_share_seconds_bucket{le="0.001"} %d
entitlement_own_share_seconds_bucket{le="0.005"} %d
entitlement_own_share_seconds_bucket{le="+Inf"} %d
entitlement_leg_seconds_bucket{le="0.001"} 7
"""


def test_the_own_share_is_read_between_two_moments() -> None:
    before, after = (
        read_buckets(METRICS % (1_000, 1_000, 1_000)),
        read_buckets(METRICS % (1_090, 1_100, 1_100)),
    )
    assert sorted(after) == [0.001, 0.005, float("inf")]
    assert percentile_between(before, after, 90) == 0.001
    assert percentile_between(before, after, 99) == 0.005
    assert percentile_between(after, after, 99) is None
    assert percentile_between({}, {}, 99) is None


COLLAPSED = """run (a.py:1);step (b.py:2) 30
run (a.py:1);step (b.py:2);<read> (c.py:3) 10
run (a.py:1);Condition.wait (threading.py:327) 500
run (a.py:1);EpollIOManager.get_events (trio/_core/_io_epoll.py:246) 500
not a line
"""


def test_a_flame_graph_counts_work_and_not_waiting() -> None:
    root = read_collapsed(COLLAPSED)
    assert root.samples == 40
    run = root.inside["run (a.py:1)"]
    assert (run.samples, run.depth) == (40, 3)
    assert run.inside["step (b.py:2)"].inside["<read> (c.py:3)"].samples == 10
    text = flame_svg(root, "node <auth>")
    drawn = ElementTree.fromstring(text)  # noqa: S314 (our own)
    titles = [one.text for one in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == [
        "all (100.0%)",
        "run (a.py:1) (100.0%)",
        "step (b.py:2) (100.0%)",
        "<read> (c.py:3) (25.0%)",
    ]


def test_an_unknown_mode_is_a_usage_error() -> None:
    found = CliRunner().invoke(main, ["--modes", "auth,nothing"])
    assert found.exit_code == 2
    assert "nothing: no such mode" in found.output
