"""Metric families in a neutral form: built on the loop, added across workers, exposed anywhere.

A family is a name with help, labels and rows. It is made of numbers and texts only, so that one
worker can send its families to another process as JSON and have them added there.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

Kind = Literal["counter", "gauge", "histogram"]
Merge = Literal["sum", "max", "min"]


class Row(msgspec.Struct, array_like=True):
    """One line, or one histogram.

    Attributes:
        labels: values in the order of the family's labels.
        value: the count or the gauge; the sum of a histogram, in seconds.
        buckets: of a histogram, not cumulated, as `actors.counters.Histogram.counts`.
    """

    labels: tuple[str, ...]
    value: float
    buckets: list[int] = []


class Family(msgspec.Struct):
    """One metric.

    Attributes:
        name: with prefix and unit, without `_total`.
        merge: how the values of several workers become one.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    rows: list[Row] = []
    merge: Merge = "sum"


def added(workers: Iterable[Iterable[Family]]) -> list[Family]:
    """The families of several workers as one list, in the order of their first appearance."""
    families: dict[str, Family] = {}
    rows: dict[str, dict[tuple[str, ...], Row]] = {}
    for worker in workers:
        for family in worker:
            into = families.setdefault(
                family.name,
                Family(family.name, family.kind, family.help, family.labels, [], family.merge),
            )
            known = rows.setdefault(family.name, {})
            for row in family.rows:
                before = known.get(row.labels)
                if before is None:
                    known[row.labels] = Row(row.labels, row.value, list(row.buckets))
                else:
                    _add(before, row, into.merge)
    for name, family in families.items():
        family.rows = list(rows[name].values())
    return list(families.values())


def _add(into: Row, row: Row, merge: Merge) -> None:
    if merge == "sum":
        into.value += row.value
    else:
        into.value = (max if merge == "max" else min)(into.value, row.value)
    into.buckets = [one + other for one, other in zip(into.buckets, row.buckets, strict=True)]
