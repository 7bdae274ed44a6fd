"""A flame graph of the node under load: samples of py-spy, drawn by ourselves as one SVG file.

py-spy looks from outside, so the node runs as it is. Where it is not installed there is no
profile: a profiler inside the process would change what is measured.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

from scripts.bench.lab import BenchLab
from scripts.bench.measure import MeasurementFailed, measure
from scripts.bench.modes import HttpMode

SAMPLES_PER_SECOND: Final = 500
_WIDTH: Final = 1_200.0
_ROW: Final = 17
_NARROWEST: Final = 0.4  # pixels
# Where threads wait: py-spy cannot tell that from work in every container. All of Trio's loop
# waits in one place; the threads of the store and of the log in another.
_WAITING: Final = ("Condition.wait (threading.py", "EpollIOManager.get_events (trio/")


@dataclass(slots=True)
class Frame:
    """One function with what it called."""

    name: str
    samples: int = 0
    inside: dict[str, "Frame"] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Levels, itself included."""
        return 1 + max((one.depth for one in self.inside.values()), default=0)


def py_spy() -> str | None:
    """Its path: beside this Python, or anywhere."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


def profile(lab: BenchLab, mode: HttpMode, seconds: float, path: Path) -> int:
    """Load the node in a mode and write its flame graph; how many samples.

    Raises:
        MeasurementFailed: there is no py-spy, or it or the load failed.
    """
    program = py_spy()
    if program is None:
        raise MeasurementFailed("py-spy is not installed: pip install py-spy")
    rate = measure(lab, lab.node, mode, mode.count[1]).rate
    stacks = path.with_suffix(".collapsed")
    command = [
        program, "record", "--pid", str(lab.node.program.pid), "--format", "raw", "--output",
        str(stacks), "--duration", str(round(seconds)), "--rate", str(SAMPLES_PER_SECOND),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as sampler:
        measure(lab, lab.node, mode, round(rate * (seconds + 1)))
        said, _ = sampler.communicate(timeout=30)
    if sampler.returncode != 0 or not stacks.exists():
        raise MeasurementFailed(f"py-spy: {said.decode('utf-8', 'replace').strip()[-400:]}")
    root = read_collapsed(stacks.read_text(encoding="utf-8"))
    path.write_text(svg(root, f"node, {mode.name}"), encoding="utf-8")
    return root.samples


def read_collapsed(text: str) -> Frame:
    """A tree out of lines `outer;inner;innermost COUNT`, without those of waiting threads."""
    root = Frame("all")
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if not count.isdigit() or stack.rpartition(";")[2].startswith(_WAITING):
            continue
        frame = root
        frame.samples += int(count)
        for name in stack.split(";"):
            frame = frame.inside.setdefault(name, Frame(name))
            frame.samples += int(count)
    return root


def svg(root: Frame, title: str) -> str:
    """The graph: what called at the bottom, widths by samples. Native tooltips."""
    height = root.depth * _ROW + 30
    parts: list[str] = []
    total = max(root.samples, 1)
    _draw(root, 0.0, _WIDTH, height - _ROW - 4, total, parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height}" '
        'font-family="ui-monospace, monospace" font-size="11">'
        '<rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="6" y="16">{escape(title)}: {root.samples} samples</text>{"".join(parts)}</svg>\n'
    )


def _draw(
    frame: Frame, x: float, width: float, y: float, total: int, parts: list[str]
) -> None:  # fmt: skip
    if width < _NARROWEST:
        return
    label = f"{frame.name} ({frame.samples / total:.1%})"
    letters = int(width / 6.7)
    text = label if len(label) <= letters else frame.name[: max(letters - 1, 0)]
    # The same function has the same colour everywhere, and from one graph to the next.
    hue = sum(map(ord, frame.name.partition(" ")[0])) % 40 + 15
    parts.append(
        f'<g><title>{escape(label)}</title><rect x="{x:.1f}" y="{y:.1f}" '
        f'width="{max(width - 0.3, 0.2):.1f}" height="{_ROW - 1}" fill="hsl({hue},80%,68%)"/>'
        + (f'<text x="{x + 3:.1f}" y="{y + 12:.1f}">{escape(text)}</text>' if letters > 3 else "")
        + "</g>"
    )
    at = x
    for one in sorted(frame.inside.values(), key=lambda inner: inner.name):
        share = width * one.samples / max(frame.samples, 1)
        _draw(one, at, share, y - _ROW, total, parts)
        at += share
