"""Numbers of several processes as one node's: added up, never going back."""

import os
from dataclasses import dataclass, field
from typing import Any

import msgspec
import trio

from node.families import Family, Row
from node.workers.merged_metrics import MergedMetrics, counters_of


def dump(count: float, *, waiting: float = 0.0, longest: float = 0.0) -> bytes:
    return msgspec.json.encode(
        [
            Family("entitlement_asked", "counter", "h", ("app",), [Row(("ap2004",), count)]),
            Family("entitlement_leg", "histogram", "h", (), [Row((), count / 10, [int(count), 0])]),
            Family("entitlement_waiting", "gauge", "h", (), [Row((), waiting)]),
            Family("entitlement_longest", "gauge", "h", (), [Row((), longest)], "max"),
        ]
    )


def values(families: list[Family], name: str) -> dict[tuple[str, ...], float]:
    (family,) = [one for one in families if one.name == f"entitlement_{name}"]
    return {row.labels: row.value for row in family.rows}


@dataclass(eq=False)
class Process:
    """What the numbers need of a worker's process."""

    number: int
    pid: int = 0
    totals: bytes = b""
    ended: trio.Event = field(default_factory=trio.Event)


def process(number: int) -> Any:  # noqa: ANN401 (stands for a `WorkerProcess`)
    return Process(number)


async def test_counters_and_gauges_add_up_and_the_others_keep_their_worker() -> None:
    merged = MergedMetrics()
    merged.said(process(1), dump(3, waiting=1, longest=5))
    merged.said(process(2), dump(4, waiting=2, longest=7))
    families = merged.families()
    assert values(families, "asked") == {("ap2004",): 7}
    assert values(families, "waiting") == {(): 3}
    assert values(families, "longest") == {("1",): 5, ("2",): 7}
    (leg,) = [one for one in families if one.name == "entitlement_leg"]
    assert leg.rows[0].buckets == [7, 0]


async def test_what_a_worker_had_counted_outlives_it() -> None:
    merged = MergedMetrics()
    killed, ended, third = process(1), process(2), process(1)
    merged.said(killed, dump(3, waiting=1))
    merged.said(ended, dump(4, waiting=2))
    merged.ended(killed)  # without a word: what was seen last counts
    ended.totals = dump(6)  # its last word
    merged.ended(ended)
    assert values(merged.families(), "asked") == {("ap2004",): 9}
    assert not [one for one in merged.families() if one.kind == "gauge"]
    merged.said(third, dump(1, waiting=1))
    assert values(merged.families(), "asked") == {("ap2004",): 10}
    assert values(merged.families(), "waiting") == {(): 1}


async def test_a_worker_that_does_not_answer_still_counts() -> None:
    merged = MergedMetrics()
    silent = process(1)
    merged.said(silent, dump(3, waiting=1))
    families = merged.families([silent])
    assert values(families, "asked") == {("ap2004",): 3}
    assert not [one for one in families if one.kind == "gauge"]


async def test_an_answer_that_was_overtaken_by_the_end_is_not_counted_twice() -> None:
    merged = MergedMetrics()
    late = process(1)
    late.totals = dump(5)
    late.ended.set()
    merged.ended(late)
    merged.said(late, dump(4))
    assert values(merged.families(), "asked") == {("ap2004",): 5}


async def test_counters_as_statistics_show_them() -> None:
    merged = MergedMetrics()
    merged.said(process(1), dump(3))
    shown = counters_of(merged.families(), {"asked"}.__contains__)
    assert shown == {"asked": [{"app": "ap2004", "count": 3}]}


async def test_cpu_and_memory_are_told_by_worker() -> None:
    merged = MergedMetrics()
    own = process(3)
    own.pid = os.getpid()
    merged.said(own, dump(1))
    names = {one.name: one.labels for one in merged.families()}
    assert names["entitlement_worker_resident_memory_bytes"] == ("worker",)
    assert values(merged.families(), "worker_open_fds")["3",] > 2
    assert values(merged.families(), "worker_cpu_seconds")["3",] > 0
