"""What the data commands share: their options, and the database they work on.

They open the node's database themselves, also while the node runs: SQLite lets one process write
at a time, and the node sees a change with its next read; PostgreSQL tells the nodes of changes.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from actors.store.database import database_path
from actors.store.opening import open_for_operator
from actors.store.schema import DatabaseRefused
from actors.store.sql import OperatorDatabase
from config.load import ConfigError, load
from config.model import Config, Tenant
from protocols.identity import masked

BUSY_SECONDS: Final = 30.0  # a person can wait longer for the database than a phone

F = TypeVar("F", bound=Callable[..., Any])


def config_option(command: F) -> F:
    """--config, loaded: the command gets a `Config` named `config`."""
    return click.option(
        "--config",
        "-c",
        required=True,
        envvar="ENTITLEMENT_CONFIG",
        show_envvar=True,
        callback=_load,
        expose_value=True,
        type=click.Path(dir_okay=False, path_type=Path),
        help="The node's configuration file: says where the database is.",
    )(command)


def tenant_option(command: F) -> F:
    """--tenant: the command gets its id or None; `chosen` finds it."""
    return click.option(
        "--tenant",
        "-t",
        help="Id of the tenant; may be left out when the configuration has only one.",
    )(command)


def clear_option(command: F) -> F:
    """--clear: identities are masked without it."""
    return click.option(
        "--clear", is_flag=True, help="Print whole identities instead of masking them."
    )(command)


def chosen(config: Config, tenant: str | None) -> Tenant:
    """The tenant of that id, or the only one.

    Raises:
        click.UsageError: there is none, or the choice is open.
    """
    ids = [one.id for one in config.tenants]
    if tenant is None and len(ids) == 1:
        return config.tenants[0]
    if tenant is None:
        raise click.UsageError(f"--tenant is needed; there are {', '.join(ids)}")
    if tenant not in ids:
        raise click.UsageError(f"there is no tenant {tenant}; there are {', '.join(ids)}")
    return config.tenants[ids.index(tenant)]


@contextmanager
def database(config: Config) -> Iterator[OperatorDatabase]:
    """The node's database; trouble with it ends the command with status 1 and its reason.

    `act_for` says which tenant the statements are for.
    """
    path = database_path(config)
    new = not config.store.postgres and not path.exists()
    try:
        connection = open_for_operator(config, busy_seconds=BUSY_SECONDS)
        if new:
            click.echo(f"made {os.fspath(path.absolute())}", err=True)
        try:
            yield connection
        finally:
            connection.close()
    except DatabaseRefused as error:
        raise click.ClickException(str(error)) from None
    except sqlite3.Error as error:
        raise click.ClickException(f"{path}: {error}") from None


def shown(identity: str, clear: bool) -> str:
    """An identity for the screen."""
    return identity if clear or not identity else masked(identity)


def verbatim(text: str) -> str:
    """A text for --help whose lines click must leave alone."""
    return "\b\n" + text.replace("\n\n", "\n\n\b\n")


def _load(_context: click.Context, _parameter: click.Parameter, path: Path) -> Config:
    try:
        return load(path)
    except ConfigError as error:
        raise click.UsageError(str(error)) from None
