"""The command line: `entitlement-node`, also `python -m node`."""

import socket
import sys
from functools import partial
from pathlib import Path

import click
import trio

from config.load import ConfigError, load
from node.cli_data import check_config, plans, subscribers, tenants, tokens
from node.cli_inventory import inventory
from node.cli_migrate import database_commands
from node.cli_orders import orders
from node.cli_trace import explain, trace
from node.failures import reasons
from node.logs import configure_logging, get_logger
from node.node import Node
from node.workers.control import Failed, first_message, say
from node.workers.cores import worker_count
from node.workers.supervising import Workers
from node.workers.worker import Worker


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="entitlement-node")
def main() -> None:
    """A mobile service entitlement node (GSMA TS.43).

    Phones ask it over HTTPS which services their subscriber may use; it authenticates them with
    the SIM (EAP-AKA over Diameter SWm or SWa to the operator's AAA server).

    \b
    Start it:        entitlement-node serve --config node.toml
    Check a file:    entitlement-node check-config node.toml
    Look inside:     entitlement-node explain --imsi 001010000000001 --app ap2004
                     entitlement-node trace --imsi 001010000000001
    """


@main.command()
@click.option(
    "--config",
    "-c",
    "path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration file (TOML).",
)
def serve(path: Path) -> None:
    """Run the node until SIGTERM.

    By default with one process for each core ([node] workers). SIGHUP reads the configuration again
    without ending an exchange. SIGUSR2 replaces the processes one after another, without a failed
    exchange: after an upgrade, or for settings that need a restart. SIGTERM (or Ctrl-C) drains: no
    new connections, started exchanges finish, the AAA gets a Disconnect-Peer-Request; a second one
    ends at once.
    """
    try:
        config = load(path)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    sys.unraisablehook = _log_unraisable
    count = worker_count(config.node.workers)
    worker = 0 if count > 1 else None
    writer = configure_logging(config.logging, worker=worker)
    set_log = partial(configure_logging, writer=writer, worker=worker)
    node: Node | Workers | None = None
    try:
        several = count > 1
        node = Workers(config, path, count, set_log) if several else Node(config, path, set_log)
        trio.run(node.run)
    except Exception as error:
        why = [] if node is not None and node.serving else reasons(error)
        if not why:
            raise
        for reason in why:
            click.echo(f"cannot start: {reason}", err=True)
        sys.exit(1)
    if isinstance(node, Workers) and node.gave_up:
        sys.exit(1)


@main.command(hidden=True)
@click.option("--control", required=True, type=int, help="Descriptor of the supervisor's socket.")
def worker(control: int) -> None:
    """One process of a node; started by `serve`."""
    connection = socket.socket(fileno=control)
    try:
        start = first_message(connection)
    except (EOFError, OSError) as error:
        raise click.ClickException(str(error)) from None
    writer = configure_logging(start.config.logging, worker=start.number)
    sys.unraisablehook = _log_unraisable
    set_log = partial(configure_logging, writer=writer, worker=start.number)
    try:
        process = Worker(start, set_log)
    except Exception as error:
        say(connection, Failed(reasons(error) or [f"a bug: {error!r}"]))
        sys.exit(1)
    trio.run(process.run, connection)
    if process.failed:
        sys.exit(1)


def _log_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """What CPython can raise nowhere, such as a server name in a handshake that is no ASCII.

    Any client can cause that one, so it goes to the log, which holds repetitions back.
    """
    get_logger("python").warning("unraisable", reason=repr(unraisable.exc_value))


for command in (
    check_config,
    subscribers,
    plans,
    tenants,
    tokens,
    trace,
    explain,
    database_commands,
    inventory,
    orders,
):
    main.add_command(command)
