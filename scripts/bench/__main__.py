"""`python -m scripts.bench`: the node against the ordinary stack, on this machine, now."""

import datetime
import os
import platform
import ssl
import sys
import tempfile
import time
from pathlib import Path

import click
import msgspec
from rich.console import Console

from scripts.bench import rounds
from scripts.bench.flame import profile
from scripts.bench.lab import bench_lab, cores
from scripts.bench.measure import MeasurementFailed
from scripts.bench.modes import EVERY_MODE, HTTP_MODES
from scripts.bench.overload import overload
from scripts.bench.processes import NotStarted
from scripts.bench.results import FORMAT, Machine, Results, floors, overload_floors
from scripts.bench.rounds import FULL, QUICK, Effort
from scripts.bench.show import plot, show

QUICK_MODES = ("auth", "auth-shared", "token", "token-shared", "diameter", "sessions")
NOT_A_TERMINAL = 120  # columns
FAILED = 2  # nothing could be measured; 1: a floor was missed


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--quick", is_flag=True, help="Two short rounds, under 50 s.")
@click.option("--rounds", "count", type=click.IntRange(1, 100), help="Interleaved rounds.")
@click.option("--modes", "--mode", help=f"Comma-separated, of: {', '.join(EVERY_MODE)}.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the results.",
)
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the CPU of both servers as SVG.",
)
@click.option(
    "--profile",
    "profile_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a flame graph of the node in the first mode as SVG, and nothing else.",
)
@click.option("--seconds", default=5.0, show_default=True, help="Of the profile.")
def main(
    quick: bool, count: int | None, modes: str | None, json_file: Path | None,
    plot_file: Path | None, profile_file: Path | None, seconds: float,
) -> None:  # fmt: skip
    """Measure the node: CPU per exchange against an ordinary Python stack, latency at half load,
    the Diameter client against python-diameter's, memory of idle sessions, the store, and what is
    served when up to five times as many devices come as the node can serve.

    CPU is what the operating system accounts to all processes of a server. Ratios count, not
    milliseconds: both servers are measured in turns on the same core against the same AAA. Exit
    code 1 when a floor is missed, 2 when something could not be measured.
    """
    effort = QUICK if quick else FULL
    if count is not None:
        effort = Effort(count, *(getattr(effort, name) for name in Effort.__slots__[1:]))
    chosen = tuple(modes.split(",")) if modes else QUICK_MODES if quick else EVERY_MODE
    unknown = [mode for mode in chosen if mode not in EVERY_MODE]
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)}: no such mode", param_hint="--modes")
    console = Console(stderr=True)
    try:
        if profile_file is not None:
            draw_profile(chosen[0], seconds, profile_file, console)
            return
        with console.status("starting") as status:
            results = measured(chosen, effort, quick, status.update)
    except (MeasurementFailed, NotStarted) as error:
        console.print(f"[red]not measured:[/] {error}", highlight=False)
        sys.exit(FAILED)
    out = Console()
    # Into a file or a pipe nothing is cut to the 80 columns of a terminal that is not there.
    show(results, out if out.is_terminal else Console(width=NOT_A_TERMINAL))
    if json_file is not None:
        encoded = msgspec.json.format(msgspec.json.encode(results), indent=1)
        json_file.write_bytes(encoded + b"\n")
    if plot_file is not None:
        plot(results, plot_file)
    sys.exit(0 if all(one.reached for one in results.floors) else 1)


def measured(chosen: tuple[str, ...], effort: Effort, quick: bool, say: rounds.Say) -> Results:
    """Measure the chosen modes.

    Raises:
        MeasurementFailed, NotStarted: see there.
    """
    began = datetime.datetime.now(datetime.UTC)
    load_average = os.getloadavg()[0]
    http_modes = [HTTP_MODES[mode] for mode in chosen if mode in HTTP_MODES]
    http, diameter, idle, store, overloaded = [], None, None, None, None
    with tempfile.TemporaryDirectory(prefix="entitlement-bench-") as name:
        folder = Path(name)
        if http_modes or "diameter" in chosen:
            with bench_lab(folder, ordinary=bool(http_modes)) as lab:
                http = rounds.http_rounds(lab, http_modes, effort, say)
                if "diameter" in chosen:
                    diameter = rounds.diameter_rounds(lab, effort, say)
        if "overload" in chosen:
            place = folder / "overload"
            place.mkdir()
            with bench_lab(place, ordinary=False) as lab:
                overloaded = overload(lab, *effort.overload, say)
        if "sessions" in chosen:
            idle = rounds.idle_sessions(effort, say)
        if "store" in chosen:
            store = rounds.store(folder, effort, say)
    machine = Machine(
        os.cpu_count() or 1,
        platform.python_version(),
        ssl.OPENSSL_VERSION,
        load_average,
        cores()[0] is not None,
    )
    return Results(
        FORMAT, began.isoformat(timespec="seconds"), effort.rounds, quick, machine, http,
        diameter, idle, store, [*floors(http, diameter, idle), *overload_floors(overloaded)],
        overloaded,
    )  # fmt: skip


def draw_profile(mode: str, seconds: float, path: Path, console: Console) -> None:
    """Write the flame graph of one mode.

    Raises:
        MeasurementFailed, NotStarted: see there.
    """
    if mode not in HTTP_MODES:
        raise click.BadParameter(f"{mode} has no server", param_hint="--modes")
    with (
        tempfile.TemporaryDirectory(prefix="entitlement-bench-") as name,
        bench_lab(Path(name), ordinary=False) as lab,
    ):
        begin = time.monotonic()
        samples = profile(lab, HTTP_MODES[mode], seconds, path)
    took = time.monotonic() - begin
    console.print(f"{samples} samples in {took:.0f} s: {path}", highlight=False)


if __name__ == "__main__":
    main()
