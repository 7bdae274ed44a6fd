"""The command line of the traffic generator: run, list, show, subscribers generate."""

import datetime
import random
import signal
import sys
from pathlib import Path
from typing import Final, TextIO

import click
import msgspec
import trio
from rich.console import Console

from scripts.lab import subscribers as lab
from scripts.lab.subscribers import SubscriberFileError
from scripts.traffic.display import Display
from scripts.traffic.drivers import DEFAULT_TARGET, default_target, open_driver
from scripts.traffic.durations import seconds
from scripts.traffic.html_report import html_report
from scripts.traffic.keyboard import read_keys
from scripts.traffic.mix import Mix, NotEnoughSubscribers
from scripts.traffic.plan import Plan, Stage, parse_stages
from scripts.traffic.report import report
from scripts.traffic.run import InitFailed, Run, Traffic
from scripts.traffic.scenario import Scenario, ScenarioError, available, find, load_scenario
from scripts.traffic.stat_file import StatFile
from scripts.traffic.statistics import Period
from scripts.traffic.steps import Expect
from scripts.traffic.subscribers import Caller, read
from scripts.traffic.thresholds import ExitCode

NOT_A_TERMINAL: Final = 120  # columns, into a file or a pipe


class Duration(click.ParamType[float]):
    """500ms, 10s, 2m."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """To seconds."""
        try:
            return value if isinstance(value, float) else seconds(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Stages(click.ParamType[tuple[Stage, ...]]):
    """10s@50,30s>100."""

    name = "stages"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Stage, ...]:
        """To (seconds, rate, ramped)."""
        try:
            return value if isinstance(value, tuple) else parse_stages(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Phones by the thousand: loads an entitlement node with TS.43 devices that really
    authenticate by EAP-AKA.

    \b
    python -m scripts.traffic list
    python -m scripts.traffic run volte_vowifi_activation --target https://localhost:8443 \\
        --subscribers subs.csv -r 100 -l 1000 -m 5000 --report report.json --html report.html

    Calls start when they are due, whatever became of those before (open loop), and latencies count
    from that moment. Exit codes as SIPp's: 0 all passed, 1 some failed or a threshold was missed,
    97 stopped by command, 99 no calls, 255 fatal.
    """


_file = click.Path(dir_okay=False, path_type=Path)


@main.command()
@click.argument("scenario")
@click.option(
    "--target", default="", help=f"The node, or diameter://HOST:PORT. [default: {DEFAULT_TARGET}]"
)
@click.option(
    "--subscribers",
    "subscribers_file",
    type=_file,
    default=lab.DEFAULT_FILE,
    help="imsi;k;opc;sqn;imei;plan;tenant. [default: those of the lab]",
)
@click.option("-r", "--rate", type=click.FloatRange(min=0), help="Calls a second, for ever.")
@click.option("-l", "--limit", type=click.IntRange(min=1), help="Most calls at the same time.")
@click.option("-m", "--number", type=click.IntRange(min=0), help="Calls in all; 0: no limit.")
@click.option("--ramp", type=Duration(), help="From nothing to the first rate.")
@click.option("--warm-up", type=Duration(), help="Calls due before it do not count.")
@click.option(
    "--stages",
    type=Stages(),
    default=(),
    metavar="STAGES",
    help="10s@50,30s>100,1m@100: seconds @ rate, or > for a ramp to it.",
)
@click.option(
    "--period",
    type=Duration(),
    default=1.0,
    show_default="1s",
    help="Of the display, of --stat and of the plots.",
)
@click.option("--stat", type=_file, help="Statistics, one CSV line a period.")
@click.option("--report", "json_file", type=_file, help="The report as JSON.")
@click.option("--html", "html_file", type=_file, help="The report as a page with plots.")
@click.option(
    "--cacert",
    type=click.Path(exists=True, dir_okay=False),
    help="PEM of the CA to trust. Without it the certificate is not checked.",
)
@click.option("--seed", type=int, default=0, help="Of the random order of subscribers.")
@click.option("--quiet", is_flag=True, help="Only the last line.")
def run(
    scenario: str, target: str, subscribers_file: Path, rate: float | None, limit: int | None,
    number: int | None, ramp: float | None, warm_up: float | None, stages: tuple[Stage, ...],
    period: float, stat: Path | None, json_file: Path | None, html_file: Path | None,
    cacert: str | None, seed: int, quiet: bool,
) -> None:  # fmt: skip
    """Make the calls of SCENARIO (a name of `list`, or a TOML file).

    On a terminal + and - change the rate by one step (call-rate-scale), * and / by ten, q ends.
    Ctrl-C ends with a report; a second one at once.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        console.width = NOT_A_TERMINAL
    try:
        loaded = load_scenario(find(scenario))
        plan = Plan.of(
            loaded.load, rate=rate, number=number, simultaneous=limit, ramp_seconds=ramp,
            warm_up_seconds=warm_up, stages=stages,
        )  # fmt: skip
        order, subscribers = read(subscribers_file)
        chosen = [one for one in subscribers if loaded.takes_plan(one.plan)]
        callers = [Caller(one, place) for place, one in enumerate(chosen)]
        randomness = random.Random(seed)  # noqa: S311 (so that a run can be repeated)
        mix = Mix(loaded, order, callers, plan.number, randomness)
        outputs = Outputs(stat, json_file, html_file)
        display = Display(console, quiet=quiet)
        finished = trio.run(_run, loaded, plan, mix, target, cacert, period, outputs, display)
    except (
        OSError, ValueError, ScenarioError, SubscriberFileError, NotEnoughSubscribers, InitFailed,
    ) as error:  # fmt: skip
        console.print(f"[red]fatal:[/] {error}", highlight=False)
        sys.exit(ExitCode.FATAL)
    sys.exit(finished.code)


class Outputs:
    """The files of a run; opened before it begins, so that a wrong path is seen at once."""

    def __init__(self, stat: Path | None, json_file: Path | None, html_file: Path | None) -> None:
        """Open them.

        Raises:
            OSError: one cannot be written.
        """
        self._stat: TextIO | None = stat.open("w", encoding="utf-8") if stat else None
        self._json = json_file.open("wb") if json_file else None
        self._html = html_file.open("w", encoding="utf-8") if html_file else None
        self._stat_file: StatFile | None = None

    def start(self, traffic: Traffic) -> None:
        """Write the heads."""
        if self._stat is not None:
            timers = timer_names(traffic.run.scenario)
            self._stat_file = StatFile(self._stat, timers, traffic.run.began_at)

    def period(self, traffic: Traffic, period: Period) -> None:
        """A period has ended."""
        if self._stat_file is not None:
            self._stat_file.period(period, traffic.run.statistics)

    def finish(self, finished: Run) -> None:
        """Write the reports and close everything."""
        data = report(finished)
        if self._json is not None:
            encoded = msgspec.json.format(msgspec.json.encode(data), indent=1)
            self._json.write(encoded + b"\n")
            self._json.close()
        if self._html is not None:
            self._html.write(html_report(data))
            self._html.close()
        if self._stat is not None:
            self._stat.close()


def timer_names(scenario: Scenario) -> list[str]:
    """The named timers of a scenario, those of a mix together, without repetition."""
    names = [
        step.timer
        for part, _ in scenario.parts
        for step in part.steps
        if isinstance(step, Expect) and step.timer
    ]
    return list(dict.fromkeys(names))


async def _run(
    scenario: Scenario, plan: Plan, mix: Mix, target: str, ca_file: str | None, period: float,
    outputs: Outputs, display: Display,
) -> Run:  # fmt: skip
    target = target or default_target(scenario)

    def on_period(one: Period) -> None:
        outputs.period(traffic, one)
        display.period(traffic, one)

    failure: Exception | None = None
    async with open_driver(scenario, target, ca_file) as driver:
        now = datetime.datetime.now(datetime.UTC)
        traffic = Traffic(
            scenario, plan, mix, driver, target, now, period_seconds=period, on_period=on_period
        )
        outputs.start(traffic)
        display.start(traffic)
        try:
            await _make(traffic)
        except InitFailed as error:
            failure = error  # outside of the driver's nursery it is no group
        finally:
            display.stop()
    if failure is not None:
        raise failure
    outputs.finish(traffic.run)
    display.result(traffic.run)
    return traffic.run


async def _make(traffic: Traffic) -> None:
    """Make the run, while signals and keys are obeyed.

    Raises:
        InitFailed: see there; not in a group.
    """
    failure: InitFailed | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_obey_signals, traffic)
        nursery.start_soon(read_keys, traffic.scheduler, traffic.run.plan.scale)
        try:
            await traffic.make()
        except InitFailed as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _obey_signals(traffic: Traffic) -> None:
    """Ctrl-C and SIGTERM: no more calls, then the report; a second one: at once."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            traffic.scheduler.stop()


@main.command("list")
def list_scenarios() -> None:
    """The scenarios that come with the program."""
    for path in available():
        one = load_scenario(path)
        click.echo(f"{one.name:26} {one.head.title}")


@main.command()
@click.argument("scenario")
def show(scenario: str) -> None:
    """Print a scenario's file; the begin of your own."""
    try:
        path = find(scenario)
        load_scenario(path)
    except (FileNotFoundError, ScenarioError) as error:
        click.echo(str(error), err=True)
        sys.exit(ExitCode.FATAL)
    click.echo(path.read_text(encoding="utf-8"), nl=False)


@main.group()
def subscribers() -> None:
    """Subscribers of a test."""


@subscribers.command()
@click.argument("file", type=_file)
@click.option("-n", "--count", type=click.IntRange(min=1), default=1_000, show_default=True)
@click.option("--first-imsi", default=f"{lab.FIRST_IMSI:015d}", show_default=True)
@click.option("--plan", default="full", show_default=True)
@click.option("--tenant", default="mno", show_default=True)
@click.option("--random", "in_random_order", is_flag=True, help="The first line is RANDOM.")
def generate(
    file: Path, count: int, first_imsi: str, plan: str, tenant: str, in_random_order: bool
) -> None:
    """Write FILE with consecutive subscribers that share the lab's K and OPc."""
    if not (first_imsi.isdigit() and len(first_imsi) == 15):
        raise click.BadParameter("15 digits are expected", param_hint="--first-imsi")
    lab.write(file, lab.sequential(count, int(first_imsi), plan, tenant))
    if in_random_order:
        text = file.read_text(encoding="ascii")
        file.write_text(text.replace(lab.FIRST_LINE, "RANDOM", 1), encoding="ascii")
    click.echo(f"{count} subscribers in {file}")
