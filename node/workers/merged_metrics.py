"""The numbers of all workers as one node's: counters and histograms add up and never go back.

What a worker had counted when it ended is kept and added to those that live. Gauges that make sense
together are summed; the others (most, least, yes or no) keep the worker as a label.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import Metric

from node.families import Family, Row, added
from node.metrics import read_dump
from node.statistics_families import PREFIX
from node.workers.process import WorkerProcess

WORKER = "worker"


class MergedMetrics:
    """Remembers what every process said last."""

    def __init__(self) -> None:
        self._gone: list[Family] = []
        self._last: dict[WorkerProcess, list[Family]] = {}

    def said(self, process: WorkerProcess, dump: bytes) -> None:
        """Take the dump of a process that lives; one that has ended meanwhile counts already."""
        if process.ended.is_set():
            return
        families = [_labelled(one, process.number) for one in read_dump(dump)]
        self._last[process] = [*families, *_of_process(process)]

    def ended(self, process: WorkerProcess) -> None:
        """Keep what a process had counted: by its last word, or else what was seen last."""
        if process.totals:
            seen = self._last.get(process, [])
            of_process = [one for one in seen if one.name.startswith(f"{PREFIX}_worker_")]
            self._last[process] = [*read_dump(process.totals), *of_process]
        left = self._last.pop(process, [])
        self._gone = added([self._gone, _that_grow(left)])

    def families(self, silent: Iterable[WorkerProcess] = ()) -> list[Family]:
        """Everything added up.

        Args:
            silent: processes that did not answer now: what they had counted still counts.
        """
        silent = set(silent)
        living = (
            list(_that_grow(families)) if process in silent else families
            for process, families in self._last.items()
        )
        return added([self._gone, *living])


def _that_grow(families: Iterable[Family]) -> Iterator[Family]:
    return (one for one in families if one.kind != "gauge")


def _labelled(family: Family, number: int) -> Family:
    """With the worker as a label, if a sum over workers would make no sense."""
    if family.kind != "gauge" or family.merge == "sum":
        return family
    rows = [Row((*row.labels, str(number)), row.value) for row in family.rows]
    labels = (*family.labels, WORKER)
    return Family(family.name, family.kind, family.help, labels, rows, family.merge)


def _of_process(process: WorkerProcess) -> Iterator[Family]:
    """CPU, memory and descriptors of a process, by worker."""
    collector = ProcessCollector(pid=lambda: process.pid, registry=None)
    for metric in collector.collect():
        yield _family(metric, str(process.number))


def _family(metric: Metric, number: str) -> Family:
    name = f"{PREFIX}_{WORKER}_{metric.name.removeprefix('process_')}"
    rows = [Row((number,), sample.value) for sample in metric.samples]
    kind = "counter" if metric.type == "counter" else "gauge"
    return msgspec.convert(
        {
            "name": name,
            "kind": kind,
            "help": metric.documentation.removesuffix(".") + ", of a worker.",
            "labels": (WORKER,),
            "rows": rows,
            "merge": "sum" if kind == "counter" else "max",
        },
        Family,
    )


def counters_of(families: Iterable[Family], names: Callable[[str], bool]) -> dict[str, Any]:
    """Counters as `/statistics` shows them: a list of rows each."""
    return {
        short: [
            {**dict(zip(one.labels, row.labels, strict=True)), "count": int(row.value)}
            for row in one.rows
        ]
        for one in families
        if one.kind == "counter" and names(short := one.name.removeprefix(f"{PREFIX}_"))
    }
