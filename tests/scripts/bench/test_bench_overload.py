"""The overload benchmark: its client counts every device, its results are shown and judged."""

import socket
import ssl
import threading
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from rich.console import Console

from scripts.bench.load_exchanges import BenchDevice
from scripts.bench.overload import LOADS, OverloadResult, _run
from scripts.bench.overload_client import OverloadLoop, OverloadStep
from scripts.bench.overload_show import overload_svg, overload_table
from scripts.bench.results import overload_floors
from scripts.lab.subscribers import sequential


def step(served: int, p99: float, **others: float) -> OverloadStep:
    counts = {"offered": 2_000, "excused": 10, "turned_away": 990, "broken": 0, "silent": 0}
    known = {**counts, "missed": 0, "latest": 0.01, **others}
    return OverloadStep(
        seconds=2.0, served=served, p50=0.01, p99=p99, shortest_wait=30, longest_wait=90, cpu=1.0,
        **known,
    )  # fmt: skip


def result(served: int, p99: float) -> OverloadResult:
    return OverloadResult(500.0, [_run(load, step(served, p99), 500.0, 0.02) for load in LOADS])


@pytest.mark.parametrize(
    ("served", "p99", "reached"),
    [
        (900, 0.03, [True, True]),
        (840, 0.03, [False, True]),
        (900, 0.05, [True, False]),
    ],
)
def test_the_floors_count_at_twice_the_capacity(
    served: int, p99: float, reached: list[bool]
) -> None:
    assert [one.reached for one in overload_floors(result(served, p99))] == reached


def test_without_the_mode_there_is_no_floor() -> None:
    assert overload_floors(None) == []


def test_the_table_and_the_picture_have_every_load() -> None:
    console = Console(width=160, record=True)
    console.print(overload_table(result(900, 0.03)))
    text = console.export_text()
    assert "90%" in text
    assert "49.5%" in text
    picture = ElementTree.fromstring(overload_svg(result(900, 0.03)))  # noqa: S314 (our own)
    labels = [one.text for one in picture.iter() if one.text]
    assert all(f"{load:g} x" in labels for load in LOADS)


@pytest.mark.parametrize("late", [{"latest": 0.2}, {"missed": 3}])
def test_a_client_that_could_not_follow_is_told(late: dict[str, float]) -> None:
    assert _run(2.0, step(900, 0.03, **late), 500.0, 0.02).client_limited


@pytest.fixture
def closing_port() -> Iterator[int]:
    """A server that closes whoever comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def close_all() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.close()

        thread = threading.Thread(target=close_all, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_devices_that_are_closed_at_the_door_are_counted(closing_port: int) -> None:
    devices = [BenchDevice(one, at) for at, one in enumerate(sequential(20))]
    loop = OverloadLoop(("127.0.0.1", closing_port), ssl.create_default_context())
    loop.run(devices, rate=400.0, seconds=0.2, skip=0.05)
    assert loop.counts["offered"] == loop.counts["turned_away"] > 0
    assert not loop.latencies
    assert loop.counts["broken"] == loop.counts["silent"] == 0
