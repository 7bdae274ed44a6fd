"""The report of a run as plain data, for JSON and for the HTML page. Times are milliseconds."""

from typing import Final

from scripts.traffic.histogram import Histogram
from scripts.traffic.run import Run
from scripts.traffic.statistics import Period, Tally

FORMAT: Final = 1  # of the JSON file; a field that changes its meaning raises it
PERCENTILES: Final = (50, 90, 95, 99)

Json = dict[str, object]


def report(run: Run) -> Json:
    """Everything that a run has measured."""
    statistics = run.statistics
    total = statistics.total
    head = run.scenario.head
    return {
        "format": FORMAT,
        "scenario": {
            "name": head.name,
            "title": head.title,
            "flow": head.flow,
            "provisions": head.provisions,
            "driver": head.driver,
            "http": head.http,
            "mix": dict(run.shares) if run.scenario.shares else {},
        },
        "target": run.target,
        "began-at": run.began_at.isoformat(timespec="milliseconds"),
        "elapsed-seconds": round(run.elapsed, 3),
        "stopped": run.stopped,
        "exit-code": int(run.code),
        "load": {
            "rate": run.plan.rate,
            "stages": [
                {"seconds": lasts, "rate": rate, "ramp": ramped}
                for lasts, rate, ramped in run.plan.stages
            ],
            "ramp-seconds": run.plan.ramp_seconds,
            "warm-up-seconds": run.plan.warm_up_seconds,
            "max-simultaneous-calls": run.plan.simultaneous,
            "number-calls": run.plan.number,
            "call-timeout-ms": run.plan.timeout_seconds * 1_000,
        },
        "calls": {
            **_counts(total),
            "warm-up": statistics.warm_up.created,
            "initialised": run.initialised,
            "most-simultaneous": statistics.most_running,
            "rate": round(_rate(run), 3),
            "failed-ratio": _ratio(total),
        },
        "latest-start-ms": _ms(statistics.late),
        "failures": _failures(total),
        "examples": {reason.value: texts for reason, texts in statistics.examples.items()},
        "timers": {name: _timer(one) for name, one in total.timers.items()},
        "distribution": {name: _distribution(one) for name, one in total.timers.items()},
        "thresholds": [
            {
                "name": one.name,
                "limit": one.limit,
                "measured": None if one.measured is None else round(one.measured, 4),
                "passed": one.passed,
            }
            for one in run.verdicts
        ],
        "periods": [_period(one) for one in statistics.periods if one.end > one.begin],
    }


def _rate(run: Run) -> float:
    seconds = run.elapsed - run.plan.warm_up_seconds
    return run.statistics.total.created / seconds if seconds > 0 else 0.0


def _ratio(tally: Tally) -> float:
    ended = tally.passed + tally.failures
    return round(tally.failures / ended, 6) if ended else 0.0


def _counts(tally: Tally) -> Json:
    return {
        "created": tally.created,
        "passed": tally.passed,
        "failed": tally.failures,
        "resynchronisations": tally.resynchronisations,
    }


def _failures(tally: Tally) -> Json:
    return {reason.value: count for reason, count in tally.failed.items()}


def _timer(histogram: Histogram) -> Json:
    values: Json = {"count": histogram.count, "mean-ms": _ms(histogram.mean)}
    for percent in PERCENTILES:
        values[f"p{percent}-ms"] = _ms(histogram.percentile(percent))
    values["max-ms"] = _ms(histogram.largest)
    return values


def _distribution(histogram: Histogram) -> list[list[float]]:
    """[[upper edge in ms, number]] with edges a factor of 1.25 apart: enough for a plot."""
    found: dict[int, int] = {}
    edges = [0.1]
    for edge, count in histogram.buckets():
        while edges[-1] < edge * 1_000:
            edges.append(edges[-1] * 1.25)
        found[len(edges) - 1] = found.get(len(edges) - 1, 0) + count
    return [[round(edges[at], 3), count] for at, count in found.items()]


def _period(period: Period) -> Json:
    return {
        "begin": round(period.begin, 3),
        "end": round(period.end, 3),
        "wanted-rate": round(period.wanted_rate, 3),
        "rate": round(period.rate, 3),
        "running": period.running,
        **_counts(period.tally),
        "failures": {reason.value: count for reason, count in period.tally.failed.items() if count},
        "timers": {name: _timer(one) for name, one in period.tally.timers.items()},
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1_000, 3)
