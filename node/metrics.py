"""The node's metrics in the text format of Prometheus, and its statistics as JSON.

Names are `entitlement_…` with the unit. Collecting copies numbers on the loop; rendering works on
the copy, so that it may run in a thread. The families of several workers can be added
(`node/families.py`).
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final

import msgspec
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from actors.counters import BUCKETS, Counter, Counters, Histogram
from node.families import Family, Row, added
from node.log_masking import mask_values
from node.statistics_families import PREFIX, Sheet, text_of

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_EDGES: Final = (*(f"{edge:g}" for edge in BUCKETS), "+Inf")

Statistics = Callable[[], object]


class Metrics:
    """Everything this process counts."""

    def __init__(self, counters: Counters) -> None:
        """Begin with the counters of the hot path; the parts come with `watch`."""
        self._counters = counters
        self._parts: dict[str, Statistics] = {}

    def watch(self, part: str, statistics: Statistics) -> None:
        """Expose what a part's `statistics()` returns: `watch("pool", pool.statistics)`.

        Args:
            part: the word in the metric names.
            statistics: gives a frozen dataclass, or a sequence or mapping of such.

        Raises:
            ValueError: the part is watched already.
        """
        if part in self._parts:
            raise ValueError(f"{part} is watched already")
        self._parts[part] = statistics

    def families(self) -> list[Family]:
        """A copy of all numbers as they stand now; fast, on the loop."""
        sheet = Sheet()
        for part, statistics in self._parts.items():
            sheet.add(part, statistics())
        return [*_of_counters(self._counters), *sheet.families.values()]

    def dump(self) -> bytes:
        """The families for another process (`read_dump`)."""
        return msgspec.json.encode(self.families())

    def statistics(self) -> dict[str, Any]:
        """Every part's statistics for people, as plain objects; texts are masked."""
        parts = {part: _plain(statistics()) for part, statistics in self._parts.items()}
        counters = {
            one.name: [
                {**dict(zip(_names(one), key, strict=True)), "count": count}
                for key, count in one.rows.items()
            ]
            for one in self._counters.all()
        }
        return dict(mask_values({**parts, "counters": counters}))

    def expose(self) -> bytes:
        """The text for Prometheus of this process."""
        return expose(self.families())


def read_dump(dump: bytes) -> list[Family]:
    """What `Metrics.dump` of another process holds.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return msgspec.json.decode(dump, type=list[Family])


def expose(*workers: Iterable[Family], process: bool = True) -> bytes:
    """The text for Prometheus of the families of one or several workers, added up.

    Args:
        workers: families of each.
        process: also CPU, memory and garbage collection of the process that calls.
    """
    registry = CollectorRegistry(auto_describe=False)
    if process:
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
    registry.register(_Families(added(workers)))
    return generate_latest(registry)


class _Families(Collector):
    """Families as prometheus_client wants them."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not look for duplicates, names are unique here."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """One metric for each family."""
        return map(_metric, self._families)


def _metric(family: Family) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for row in family.rows:
            histogram.add_metric(row.labels, _cumulated(row.buckets), sum_value=row.value)
        return histogram
    shape = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = shape(family.name, family.help, labels=family.labels)
    for row in family.rows:
        metric.add_metric(row.labels, row.value)
    return metric


def _cumulated(buckets: list[int]) -> list[tuple[str, float]]:
    total = 0
    edges = []
    for edge, count in zip(_EDGES, buckets, strict=True):
        total += count
        edges.append((edge, float(total)))
    return edges


def _of_counters(counters: Counters) -> list[Family]:
    legs = [
        _histogram(
            "leg_seconds", "HTTP legs, from the whole request to the answer.", counters.legs
        ),
        _histogram(
            "own_share_seconds", "The part of the legs that the node took.", counters.own_shares
        ),
        Family(
            f"{PREFIX}_diameter_leg_seconds",
            "histogram",
            "From a DER to its DEA, by the peer that answered.",
            ("peer",),
            [
                Row((peer,), one.seconds, list(one.counts))
                for peer, one in counters.diameter_legs.items()
            ],
        ),
    ]
    return [*map(_counter, counters.all()), *legs]


def _counter(counter: Counter) -> Family:
    rows = [Row(tuple(map(str, key)), float(count)) for key, count in counter.rows.items()]
    return Family(f"{PREFIX}_{counter.name}", "counter", counter.help, _names(counter), rows)


def _histogram(name: str, help_text: str, histogram: Histogram) -> Family:
    row = Row((), histogram.seconds, list(histogram.counts))
    return Family(f"{PREFIX}_{name}", "histogram", help_text, (), [row])


def _names(counter: Counter) -> tuple[str, ...]:
    return tuple(label.name for label in counter.labels)


def _plain(given: object) -> object:
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        return {one.name: _plain(getattr(given, one.name)) for one in dataclasses.fields(given)}
    if isinstance(given, Mapping):
        return {text_of(key): _plain(item) for key, item in given.items()}
    if isinstance(given, list | tuple | set | frozenset):
        return [_plain(item) for item in given]
    if given is None or (isinstance(given, int | float) and not isinstance(given, Enum)):
        return given
    return text_of(given)
