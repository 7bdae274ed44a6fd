"""The live display on a terminal: rate, calls, failures and latencies, refreshed every period."""

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from scripts.traffic.run import Run, Traffic
from scripts.traffic.statistics import CALL, Period

KEYS = "+ - one step   * / ten steps   q end"


class Display:
    """Shows a run; without a terminal, one line a period."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._live: Live | None = None

    def start(self, traffic: Traffic) -> None:
        """Begin to show."""
        if self._quiet:
            return
        run = traffic.run
        self._console.print(
            f"[bold]{run.scenario.name}[/] → {run.target}  {run.scenario.head.title}",
            highlight=False,
        )
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()

    def period(self, traffic: Traffic, period: Period) -> None:
        """A period has ended."""
        if self._quiet:
            return
        if self._live is not None:
            self._live.update(self._panel(traffic, period), refresh=True)
            return
        total = traffic.run.statistics.total
        call = period.tally.timers.get(CALL)
        p95 = f"{call.percentile(95) * 1_000:.1f}" if call else "-"
        self._console.print(
            f"{period.end:7.1f} s  {period.rate:8.1f}/s  running {period.running:5d}  "
            f"passed {total.passed:8d}  failed {total.failures:6d}  p95 {p95} ms",
            highlight=False,
        )

    def stop(self) -> None:
        """Take the live part away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def result(self, run: Run) -> None:
        """Say how it ended, also when quiet: in one line then."""
        total = run.statistics.total
        if self._quiet:
            self._console.print(
                f"{run.scenario.name}: {total.passed} passed, {total.failures} failed",
                highlight=False,
            )
            return
        self._console.print(_timer_table(run))
        for reason, count in total.failed.items():
            if count:
                examples = "; ".join(run.statistics.examples.get(reason, []))
                self._console.print(f"[red]{count} {reason.value}[/]: {examples}", highlight=False)
        for one in run.verdicts:
            measured = "not measured" if one.measured is None else f"{one.measured:.4g}"
            mark = "[green]passed[/]" if one.passed else "[red]failed[/]"
            self._console.print(
                f"{mark}  {one.name} {measured} (limit {one.limit:g})", highlight=False
            )
        self._console.print(
            f"{total.created} calls in {run.elapsed:.1f} s, {total.passed} passed, "
            f"{total.failures} failed, {run.statistics.warm_up.created} in the warm-up",
            highlight=False,
        )

    def _panel(self, traffic: Traffic, period: Period) -> Panel:
        run = traffic.run
        statistics = run.statistics
        total = statistics.total
        head = Text.assemble(
            (f"{period.end:.0f} s   ", "bold"),
            f"wanted {traffic.scheduler.wanted_rate:.1f}/s   made {period.rate:.1f}/s   "
            f"running {period.running}   passed {total.passed}   ",
            (f"failed {total.failures}", "red" if total.failures else ""),
        )
        reasons = "   ".join(
            f"{reason.value} {count}" for reason, count in total.failed.items() if count
        )
        table = _timer_table(run, period)
        return Panel(Group(head, table, Text(reasons or " "), Text(KEYS, style="dim")))


def _timer_table(run: Run, period: Period | None = None) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("timer (ms)")
    for name in ("count", "p50", "p90", "p95", "p99", "max"):
        table.add_column(name, justify="right")
    timers = (period.tally if period else run.statistics.total).timers
    for name, one in sorted(timers.items(), key=lambda item: item[0] != CALL):
        values = [one.percentile(percent) for percent in (50, 90, 95, 99)]
        values.append(one.largest)
        table.add_row(name, f"{one.count:,}", *(f"{value * 1_000:,.1f}" for value in values))
    return table
