"""Plots as inline SVG: lines over time, stacked bars, bars. No script, no font, no network.

Colours come from CSS classes `c0`, `c1`, ... of the page, so that a page has its dark form too.
Native tooltips (`title`) tell the numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 860
HEIGHT: Final = 230
LEFT: Final = 56
RIGHT: Final = 14
TOP: Final = 12
BOTTOM: Final = 30
MAX_COLUMNS: Final = 430  # two pixels each; longer runs are drawn with fewer columns


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one colour of the bars; None is a gap."""

    name: str
    values: Sequence[float | None]
    colour: int = 0


def line_plot(times: Sequence[float], series: Sequence[Series], unit: str) -> str:
    """Lines over time in seconds."""
    return _over_time(times, series, unit, stacked=False)


def stacked_plot(times: Sequence[float], series: Sequence[Series], unit: str) -> str:
    """Bars over time in seconds, one series above the other."""
    return _over_time(times, series, unit, stacked=True)


def bar_plot(labels: Sequence[str], values: Sequence[float], unit: str, colour: int = 0) -> str:
    """One bar for each label."""
    frame = _Frame(max(values, default=0.0), max(len(labels), 1), unit)
    width = frame.column
    bars = [
        f'<rect class="f{colour}" x="{frame.x(at) + width * 0.1:.1f}" y="{frame.y(value):.1f}" '
        f'width="{width * 0.8:.1f}" height="{max(frame.base - frame.y(value), 0):.1f}" rx="1.5">'
        f"<title>{escape(label)}: {_number(value)} {escape(unit)}</title></rect>"
        for at, (label, value) in enumerate(zip(labels, values, strict=True))
    ]
    every = math.ceil(len(labels) / 12) if labels else 1
    names = [
        f'<text class="t" x="{frame.x(at) + width / 2:.1f}" y="{HEIGHT - 10}" '
        f'text-anchor="middle">{escape(label)}</text>'
        for at, label in enumerate(labels)
        if at % every == 0
    ]
    return frame.svg([*bars, *names])


def legend(series: Sequence[Series]) -> str:
    """What the colours mean, as HTML."""
    items = [f'<span><i class="b{one.colour}"></i>{escape(one.name)}</span>' for one in series]
    return f'<div class="legend">{"".join(items)}</div>'


class _Frame:
    """The axes of a plot."""

    def __init__(self, largest: float, columns: int, unit: str) -> None:
        self.step = _nice(largest / 4 if largest > 0 else 0.25)
        self.top = self.step * max(1, math.ceil(largest / self.step - 1e-9))
        self.column = (WIDTH - LEFT - RIGHT) / columns
        self.base = HEIGHT - BOTTOM
        self._unit = unit

    def x(self, column: float) -> float:
        return LEFT + column * self.column

    def y(self, value: float) -> float:
        return self.base - (self.base - TOP) * min(value, self.top) / self.top

    def svg(self, inside: Sequence[str]) -> str:
        grid = []
        for at in range(round(self.top / self.step) + 1):
            value = at * self.step
            y = self.y(value)
            grid.append(
                f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            grid.append(
                f'<text class="t" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
                f"{_number(value)}</text>"
            )
        grid.append(f'<text class="t" x="6" y="{TOP + 2}">{escape(self._unit)}</text>')
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" preserveAspectRatio="xMidYMid meet">'
            f"{''.join(grid)}{''.join(inside)}</svg>"
        )


def _over_time(
    times: Sequence[float], series: Sequence[Series], unit: str, *, stacked: bool
) -> str:
    times, series = _thinned(times, series, stacked=stacked)
    count = len(times)
    if stacked:
        largest = max(
            (sum(one.values[at] or 0 for one in series) for at in range(count)), default=0
        )
    else:
        largest = max((value or 0 for one in series for value in one.values), default=0)
    frame = _Frame(largest, max(count, 1), unit)
    inside = _bars(frame, series, count) if stacked else [_line(frame, one) for one in series]
    for at, time in enumerate(times):
        rows = [f"{one.name}: {_number(one.values[at])} {unit}" for one in series]
        inside.append(
            f'<rect class="h" x="{frame.x(at):.1f}" y="{TOP}" width="{frame.column:.1f}" '
            f'height="{frame.base - TOP}"><title>{escape(_clock(time))}&#10;'
            f"{'&#10;'.join(map(escape, rows))}</title></rect>"
        )
    every = max(1, math.ceil(count / 10))
    inside += [
        f'<text class="t" x="{frame.x(at + 0.5):.1f}" y="{HEIGHT - 10}" text-anchor="middle">'
        f"{_clock(times[at])}</text>"
        for at in range(0, count, every)
    ]
    return frame.svg(inside)


def _line(frame: _Frame, one: Series) -> str:
    parts = []
    pen = "M"
    for at, value in enumerate(one.values):
        if value is None:
            pen = "M"
            continue
        parts.append(f"{pen}{frame.x(at + 0.5):.1f} {frame.y(value):.1f}")
        # A single point is drawn, too: a line of no length with round ends.
        parts.append("h0" if pen == "M" else "")
        pen = "L"
    return f'<path class="l{one.colour}" d="{"".join(parts)}"/>'


def _bars(frame: _Frame, series: Sequence[Series], count: int) -> list[str]:
    bars = []
    for at in range(count):
        below = 0.0
        for one in series:
            value = one.values[at] or 0.0
            if value:
                top, bottom = frame.y(below + value), frame.y(below)
                bars.append(
                    f'<rect class="f{one.colour}" x="{frame.x(at) + 0.5:.1f}" y="{top:.1f}" '
                    f'width="{max(frame.column - 1, 1):.1f}" height="{bottom - top:.1f}"/>'
                )
            below += value
    return bars


def _thinned(
    times: Sequence[float], series: Sequence[Series], *, stacked: bool
) -> tuple[Sequence[float], Sequence[Series]]:
    """At most MAX_COLUMNS columns: sums of bars, the worst of lines."""
    if len(times) <= MAX_COLUMNS:
        return times, series
    group = math.ceil(len(times) / MAX_COLUMNS)
    cuts = range(0, len(times), group)

    def one_of(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        if not known:
            return None
        return sum(known) if stacked else max(known)

    return (
        [times[at] for at in cuts],
        [
            Series(one.name, [one_of(one.values[at : at + group]) for at in cuts], one.colour)
            for one in series
        ],
    )


def _nice(step: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    for factor in (1, 2, 2.5, 5, 10):
        if step <= factor * power * (1 + 1e-9):
            return factor * power
    return 10 * power


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
