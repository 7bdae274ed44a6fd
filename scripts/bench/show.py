"""The results of a benchmark as tables on a terminal, and as one SVG file."""

from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from scripts.bench.overload_show import overload_svg, overload_table
from scripts.bench.results import Floor, HttpResult, Results

_WIDTH: Final = 760
_ROW: Final = 46
_LEFT: Final = 150
_RIGHT: Final = 150


def show(results: Results, console: Console) -> None:
    """Print everything that was measured."""
    machine = results.machine
    console.print(
        f"{machine.processors} processors, Python {machine.python}, {machine.openssl}, "
        f"{results.rounds} rounds{'' if machine.pinned else ', not pinned'}",
        style="dim",
        highlight=False,
    )
    if results.http:
        console.print(_http_table(results.http))
    if results.diameter is not None:
        one = results.diameter
        console.print(
            f"Diameter client, CPU per DER/DEA: ours {one.ours_us:.1f} µs, python-diameter's Node "
            f"{one.library_us:.1f} µs: {_fraction(one.ratio)}",
            highlight=False,
        )
    if results.sessions is not None:
        idle = results.sessions
        console.print(
            f"{idle.alive:,} idle sessions: {idle.octets_each:,.0f} octets each, "
            f"{idle.cpu_each * 1e6:.0f} µs CPU to begin one",
            highlight=False,
        )
    if results.store is not None:
        store = results.store
        console.print(
            f"store, CPU: find subscriber {store.find_subscriber_us:.1f} µs, find token "
            f"{store.find_token_us:.1f} µs, save token {store.save_token_us:.1f} µs; "
            f"{store.saved_per_second:,.0f} tokens committed a second",
            highlight=False,
        )
    if results.overload is not None:
        console.print(overload_table(results.overload))
    if results.floors:
        console.print(_floor_table(results.floors))


def _http_table(results: list[HttpResult]) -> Table:
    table = Table(
        title="CPU of the server's processes per exchange; neither sends an STR",
        title_justify="left",
    )
    table.add_column("mode")
    for name in ("ordinary ms", "node ms", "node is", "node/s", "client ms", "node MB"):
        table.add_column(name, justify="right")
    for name in ("at half load p50", "p99", "own p99 ≤"):
        table.add_column(name, justify="right")
    for one in results:
        latency = one.latency
        table.add_row(
            one.mode,
            f"{one.ordinary.cpu_ms:.2f}" if one.ordinary is not None else "-",
            f"{one.node.cpu_ms:.3f}",
            "-" if one.ratio is None else _fraction(one.ratio),
            f"{one.node.rate:,.0f}",
            f"{one.node.client_cpu_ms:.3f}",
            f"{one.node.resident_mb:.0f}",
            "-" if latency is None else f"{latency.p50_ms:.1f}",
            "-" if latency is None else f"{latency.p99_ms:.1f}",
            "-" if latency is None or latency.own_p99_ms is None else f"{latency.own_p99_ms:g}",
        )
    return table


def _floor_table(floors: list[Floor]) -> Table:
    table = Table(title="What must be reached", title_justify="left")
    table.add_column("figure")
    for name in ("measured", "floor", "aim"):
        table.add_column(name, justify="right")
    table.add_column("")
    for one in floors:
        mark = "[green]reached[/]" if one.reached else "[red]missed[/]"
        if one.measured <= one.aim:
            mark = "[bold green]aim reached[/]"
        values = (_value(value, one.unit) for value in (one.measured, one.floor, one.aim))
        table.add_row(one.name, *values, mark)
    return table


def _value(value: float, unit: str) -> str:
    if unit == "of capacity":
        return f"{value:.0%}"
    return _fraction(value) if unit.startswith("of ") else f"{value:,.4g} {unit}"


def _fraction(ratio: float) -> str:
    return f"1/{1 / ratio:.1f}" if 0 < ratio < 1 else f"{ratio:.2f}"


def plot(results: Results, path: Path) -> None:
    """Write the CPU of both servers, mode by mode, as one SVG file.

    What an overload came to is a file of its own, `…-overload.svg` when the name is taken.

    Raises:
        OSError: it cannot be written.
    """
    if results.http or results.overload is None:
        path.write_text(svg(results.http), encoding="utf-8")
        path = path.with_stem(f"{path.stem}-overload")
    if results.overload is not None:
        path.write_text(overload_svg(results.overload), encoding="utf-8")


def svg(results: list[HttpResult]) -> str:
    """Two bars a mode; the scale is that of the largest."""
    sides = [one.node.cpu_ms for one in results]
    sides += [one.ordinary.cpu_ms for one in results if one.ordinary is not None]
    largest = max(sides, default=1.0) or 1.0
    height = 40 + _ROW * len(results)
    rows = []
    for at, one in enumerate(results):
        top = 34 + at * _ROW
        rows.append(f'<text x="{_LEFT - 12}" y="{top + 21}" text-anchor="end">{one.mode}</text>')
        label = f"{one.node.cpu_ms:.3f} ms"
        if one.ratio is not None:
            label += f" ({_fraction(one.ratio)})"
        if one.ordinary is not None:
            ordinary = one.ordinary.cpu_ms
            rows.append(_bar(top, ordinary / largest, "#94a3b8", f"{ordinary:.2f} ms"))
        rows.append(_bar(top + 16, one.node.cpu_ms / largest, "#2563eb", label))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#334155">'
        '<rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{_LEFT}" y="20">CPU per exchange: <tspan fill="#64748b">ordinary stack</tspan>, '
        f'<tspan fill="#2563eb">node</tspan></text>{"".join(rows)}</svg>\n'
    )


def _bar(y: float, share: float, colour: str, label: str) -> str:
    width = max(1.0, (_WIDTH - _LEFT - _RIGHT) * share)
    return (
        f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="14" rx="2" fill="{colour}"/>'
        f'<text x="{_LEFT + width + 6:.1f}" y="{y + 11}">{label}</text>'
    )
