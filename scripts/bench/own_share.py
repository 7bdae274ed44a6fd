"""The node's own share of a leg, from its own metrics: what the AAA and the network are not."""

import re
import urllib.request
from typing import Final

_BUCKET: Final = re.compile(
    r'^\w*own_share_seconds_bucket\{le="(?P<edge>[^"]+)"\} (?P<count>[0-9.e+]+)$', re.MULTILINE
)

Buckets = dict[float, float]


def own_share_buckets(management_url: str) -> Buckets:
    """Upper edge in seconds to the cumulated count.

    Raises:
        OSError: the management listener does not answer.
    """
    with urllib.request.urlopen(f"{management_url}/metrics", timeout=5) as response:  # noqa: S310
        return read_buckets(response.read().decode())


def read_buckets(text: str) -> Buckets:
    """The histogram out of a metrics page; empty when it is not there."""
    return {float(found["edge"]): float(found["count"]) for found in _BUCKET.finditer(text)}


def percentile_between(before: Buckets, after: Buckets, percent: float) -> float | None:
    """An upper bound of the percentile of what was observed between two moments.

    The edge of the bucket it lies in: a histogram knows no more. None when nothing was observed.
    """
    edges = sorted(after)
    counts = [after[edge] - before.get(edge, 0.0) for edge in edges]
    if not counts or counts[-1] <= 0:
        return None
    wanted = counts[-1] * percent / 100
    return next(edge for edge, count in zip(edges, counts, strict=True) if count >= wanted)
