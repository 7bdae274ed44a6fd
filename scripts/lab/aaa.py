"""`python -m scripts.lab.aaa`: a 3GPP AAA server with its home network, for labs and benchmarks."""

import json
import logging
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Final

import click
import structlog
import trio

from config.model import Diameter
from protocols.diameter import numbers
from scripts.lab import subscribers
from scripts.lab.aaa_behaviour import (
    SUFFIXES,
    WORDS,
    Behaviours,
    parse_assignments,
)
from scripts.lab.aaa_control import Control
from scripts.lab.aaa_running import HOST, REALM, RunningAaa, running_aaa
from scripts.lab.behaviour_words import BehaviourError
from scripts.lab.home_network import HomeNetwork
from scripts.lab.hostapd import HostapdMissing

MAX_PENDING: Final = 100_000


def _words() -> str:
    lines = [f"  {name:22}{row.metadata['text']}" for name, row in WORDS.items()]
    return "\n".join(lines)


def _suffixes() -> str:
    return "\n".join(f"  {who:5}{words}" for who, words in SUFFIXES.items())


EPILOG: Final = f"""\b
A behaviour is WHO=word,word=value,...; WHO is an IMSI, *DIGITS (an ending) or * (everybody):
  --behaviour 001010000000007=delay=2 --behaviour '*13=result=5012,round=2'

\b
Words (delays and timers count in steps of 50 ms):
{_words()}

\b
--suffixes gives these endings a behaviour:
{_suffixes()}

\b
Control connection (--control 127.0.0.1:3869), one command a line:
  printf 'help\\n' | nc -N 127.0.0.1 3869
"""


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise click.BadParameter(f"{text!r} is not ADDRESS:PORT")
    return host.strip("[]"), int(port)


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.option("--listen", default="127.0.0.1:3868", show_default=True, help="Diameter over TCP.")
@click.option("--host", default=HOST, show_default=True, help="Origin-Host.")
@click.option("--realm", default=REALM, show_default=True, help="Origin-Realm.")
@click.option(
    "--application",
    "applications",
    multiple=True,
    type=click.Choice(sorted(numbers.APPLICATIONS)),
    help="Only this one; by default swm and swa.",
)
@click.option(
    "--subscribers",
    "file",
    default=subscribers.DEFAULT_FILE,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Subscribers with keys of their own: imsi;k;opc;sqn;imei;plan;tenant.",
)
@click.option(
    "--prefix",
    "prefixes",
    multiple=True,
    default=(subscribers.PLMN,),
    show_default=True,
    help="Every IMSI that begins so is a subscriber too, with TS 35.208's test keys.",
)
@click.option("--behaviour", "given", multiple=True, metavar="WHO=WORDS", help="See below.")
@click.option("--suffixes", is_flag=True, help="Endings 80 to 99 misbehave, see below.")
@click.option(
    "--eap",
    default="local",
    show_default=True,
    type=click.Choice(["local", "hostapd"]),
    help="Who serves EAP: this program, or hostapd behind RADIUS.",
)
@click.option("--control", metavar="ADDRESS:PORT", help="Take commands there.")
@click.option("--verbose", is_flag=True, help="Log connections on standard error, too.")
@click.option(
    "--watchdog", default=30.0, show_default=True, help="Seconds of silence before a DWR."
)
def main(
    listen: str,
    host: str,
    realm: str,
    applications: tuple[str, ...],
    file: Path,
    prefixes: tuple[str, ...],
    given: tuple[str, ...],
    suffixes: bool,
    eap: str,
    control: str | None,
    verbose: bool,
    watchdog: float,
) -> None:
    """A 3GPP AAA server (SWm and SWa) with EAP-AKA, EAP-AKA' and its home network.

    It says on standard output where it listens, serves until SIGINT or SIGTERM, leaves in order
    (DPR), and prints what it answered.
    """
    try:
        home = HomeNetwork(subscribers.load(file), known_prefixes=prefixes)
        behaviours = Behaviours((dict(SUFFIXES) if suffixes else {}) | parse_assignments(given))
    except (BehaviourError, subscribers.SubscriberFileError) as error:
        raise click.UsageError(str(error)) from None
    address, port = _address(listen)
    settings = Diameter(
        origin_host=host, origin_realm=realm, watchdog_seconds=watchdog, max_pending=MAX_PENDING
    )
    chosen = tuple(numbers.APPLICATIONS[name] for name in applications or ("swm", "swa"))
    run = partial(
        running_aaa,
        home=home,
        behaviours=behaviours,
        address=address,
        port=port,
        host=host,
        realm=realm,
        applications=chosen,
        settings=settings,
        hostapd=eap == "hostapd",
    )
    level = logging.INFO if verbose else logging.WARNING
    try:
        trio.run(_serve, run, host, _address(control) if control else None, level)
    except* (OSError, HostapdMissing) as group:
        raise click.ClickException("; ".join(str(error) for error in group.exceptions)) from None


async def _serve(
    run: Callable[[], AbstractAsyncContextManager[RunningAaa]],
    host: str,
    control: tuple[str, int] | None,
    level: int,
) -> None:
    """Serve until a signal."""
    # What the Diameter engine logs must not mix with what this program says.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with run() as running:
            async with trio.open_nursery() as nursery:
                if control is not None:
                    await _open_control(nursery, control, running)
                click.echo(f"{host} listens on {running.address}:{running.port}")
                async for _ in signals:
                    break
                nursery.cancel_scope.cancel()
            await running.leave()
            click.echo(json.dumps(Control(running).execute("books")))


async def _open_control(
    nursery: trio.Nursery, control: tuple[str, int], running: RunningAaa
) -> None:
    listeners = await trio.open_tcp_listeners(control[1], host=control[0])
    place = listeners[0].socket.getsockname()
    nursery.start_soon(trio.serve_listeners, Control(running).serve, listeners)
    click.echo(f"control on {place[0]}:{place[1]}")


if __name__ == "__main__":
    main()
