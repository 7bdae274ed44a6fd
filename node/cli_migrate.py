"""`entitlement-node database`: the schema of the database, brought up to date by hand."""

import click

from actors.store.opening import migrate
from actors.store.schema import DatabaseRefused
from config.model import Config
from node.cli_database import config_option


@click.group("database")
def database_commands() -> None:
    """Look after the database itself."""


@database_commands.command("migrate")
@config_option
@click.option(
    "--owner",
    default="",
    metavar="CONNINFO",
    envvar="ENTITLEMENT_DATABASE_OWNER",
    show_envvar=True,
    help="PostgreSQL: connection string of the role that owns the tables, or shall."
    " Instead of store.postgres-owner; a password is better left to PGPASSFILE.",
)
def migrate_database(config: Config, owner: str) -> None:
    """Bring the schema up to date, and say what was done.

    A node does the same when it starts: with SQLite always, with PostgreSQL when it has
    store.postgres-owner. Nodes that run need not be stopped. With PostgreSQL the role of
    store.postgres gets the right to read and write; it must be another role than the owner, for
    every row is shown to its own tenant only.
    """
    try:
        where, steps = migrate(config, owner)
    except DatabaseRefused as error:
        raise click.ClickException(str(error)) from None
    for step in steps:
        click.echo(f"{where}: {step.version:04} {step.name.replace('_', ' ')}")
    if not steps:
        click.echo(f"{where}: is up to date")
