"""The overload benchmark as a table and as one SVG file."""

from typing import Final

from rich.table import Table

from scripts.bench.overload import GOODPUT_FLOOR, LATENCY_FLOOR, OverloadResult, OverloadRun

_WIDTH: Final = 760
_LEFT: Final = 70
_BAR: Final = 34
_HEIGHT: Final = 150
_BASE: Final = 200
_SERVED, _SHED, _LATENCY = "#2563eb", "#cbd5e1", "#ea580c"


def overload_table(result: OverloadResult) -> Table:
    """A row for each load."""
    table = Table(
        title=f"New authentications offered; capacity {result.capacity:,.0f}/s beside a busy "
        "program on the node's core",
        title_justify="left",
    )
    for name in ("load", "offered/s", "served/s", "of capacity", "503", "closed", "broken"):
        table.add_column(name, justify="right")
    for name in ("p50 ms", "p99 ms", "p99 is", ""):
        table.add_column(name, justify="right")
    for run in result.runs:
        step = run.step
        table.add_row(
            f"{run.load:g}",
            f"{step.offered / step.seconds:,.0f}",
            f"{step.served / step.seconds:,.0f}",
            f"{run.goodput:.0%}",
            _share(step.excused, step.offered),
            _share(step.turned_away, step.offered),
            str(step.broken + step.silent),
            f"{step.p50 * 1_000:.1f}",
            f"{step.p99 * 1_000:.1f}",
            f"{run.p99_ratio:.1f} x",
            "client-limited" if run.client_limited else "",
        )
    return table


def _share(count: int, of: int) -> str:
    return f"{count / of:.1%}" if of else "-"


def overload_svg(result: OverloadResult) -> str:
    """Goodput, accepted p99 and the shed share, load by load."""
    width = (_WIDTH - _LEFT) / max(len(result.runs), 1)
    largest = max([run.p99_ratio for run in result.runs] + [LATENCY_FLOOR]) * 1.1
    best = max([run.goodput for run in result.runs] + [1.0]) * 1.1
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_BASE + 60}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#334155">'
        '<rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{_LEFT}" y="20"><tspan fill="{_SERVED}">goodput, of capacity</tspan> · '
        f'<tspan fill="#64748b">refused, of offered</tspan> · '
        f'<tspan fill="{_LATENCY}">p99 of the served, times that at 0.8</tspan></text>',
        _line(_BASE - _HEIGHT * GOODPUT_FLOOR / best, f"{GOODPUT_FLOOR:.0%}", _SERVED),
        _line(_BASE - _HEIGHT * LATENCY_FLOOR / largest, f"{LATENCY_FLOOR:g} x", _LATENCY),
    ]
    for at, run in enumerate(result.runs):
        parts.append(_bars(run, _LEFT + at * width + 8, best, largest))
    return "".join(parts) + "</svg>\n"


def _bars(run: OverloadRun, x: float, best: float, largest: float) -> str:
    bars = (
        (run.goodput / best, _SERVED, f"{run.goodput:.0%}"),
        (run.shed_share, _SHED, f"{run.shed_share:.0%}"),
        (run.p99_ratio / largest, _LATENCY, f"{run.p99_ratio:.1f}"),
    )
    drawn = [
        f'<rect x="{x + at * (_BAR + 6):.1f}" y="{_BASE - _HEIGHT * share:.1f}" width="{_BAR}" '
        f'height="{_HEIGHT * share:.1f}" fill="{colour}"/>'
        f'<text x="{x + at * (_BAR + 6) + _BAR / 2:.1f}" y="{_BASE - _HEIGHT * share - 4:.1f}" '
        f'text-anchor="middle" font-size="11">{label}</text>'
        for at, (share, colour, label) in enumerate(bars)
    ]
    middle = x + 1.5 * (_BAR + 6)
    drawn.append(
        f'<text x="{middle:.1f}" y="{_BASE + 20}" text-anchor="middle">{run.load:g} x</text>'
    )
    return "".join(drawn)


def _line(y: float, label: str, colour: str) -> str:
    return (
        f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" '
        f'stroke-dasharray="4 4"/><text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" '
        f'fill="{colour}">{label}</text>'
    )
