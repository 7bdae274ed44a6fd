"""The command line: `entitlement-node`, also `python -m node`."""

import sys
from functools import partial
from pathlib import Path

import click
import trio

from config.load import ConfigError, load
from node.cli_data import check_config, plans, subscribers, tenants, tokens
from node.cli_trace import explain, trace
from node.failures import reasons
from node.logs import configure_logging, get_logger
from node.node import Node


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

    SIGHUP reads the configuration again without ending an exchange. SIGTERM (or Ctrl-C) drains:
    no new connections, started exchanges finish, the AAA gets a Disconnect-Peer-Request; a second
    one ends at once.
    """
    try:
        config = load(path)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    writer = configure_logging(config.logging)
    sys.unraisablehook = _log_unraisable
    node: Node | None = None
    try:
        node = Node(config, path, partial(configure_logging, writer=writer))
        trio.run(node.run)
    except Exception as error:
        why = [] if node is not None and node.serving else reasons(error)
        if not why:
            raise
        for reason in why:
            click.echo(f"cannot start: {reason}", err=True)
        sys.exit(1)


def _log_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """What CPython can raise nowhere, such as a server name in a handshake that is no ASCII.

    Any client can cause that one, so it goes to the log, which holds repetitions back.
    """
    get_logger("python").warning("unraisable", reason=repr(unraisable.exc_value))


for command in (check_config, subscribers, plans, tenants, tokens, trace, explain):
    main.add_command(command)
