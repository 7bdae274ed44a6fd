"""`entitlement-node inventory`: the pools of eSIM profiles."""

import time
from itertools import groupby
from pathlib import Path

import click

from actors.store.profile_files import FORMAT, read_profiles
from actors.store.profiles import counts, put_profiles
from actors.store.sql import transaction
from actors.store.subscriber_files import FileRefused
from config.model import Config
from node.cli_database import chosen, config_option, database, tenant_option, verbatim

BATCH_ROWS = 1_000  # in one transaction: a running node hardly notices
BAD_SHOWN = 20


@click.group()
def inventory() -> None:
    """Import and show the pools of eSIM profiles, also while the node runs."""


@inventory.command("import", epilog=verbatim(FORMAT), short_help="Add profiles from a CSV file.")
@config_option
@tenant_option
@click.option("--smdp", required=True, help="Name of the SM-DP+ that has them.")
@click.option("--profile-type", default="", help="For rows that name none.")
@click.option("--batch", default="", help="Remembered with them; the name of the file.")
@click.option("--dry-run", is_flag=True, help="Check the file; change nothing.")
@click.option("--any-check-digit", is_flag=True, help="Accept wrong check digits of ICCIDs.")
@click.option("--repair", is_flag=True, help="Quarantined ones go back to the pool as well.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_(
    config: Config,
    tenant: str | None,
    smdp: str,
    profile_type: str,
    batch: str,
    dry_run: bool,
    any_check_digit: bool,
    repair: bool,
    file: Path,
) -> None:
    """Add the profiles of a CSV FILE to a pool.

    Doing it again changes nothing, and a profile that an order has is left alone. Bad rows are left
    out, told by line number, and make the command end with status 1.
    """
    owner = chosen(config, tenant)
    names = [one.name for one in owner.smdp_plus]
    if smdp not in names:
        raise click.UsageError(f"{owner.id} has no smdp-plus {smdp}; there are {', '.join(names)}")
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            read = read_profiles(
                lines, smdp, batch or file.name, profile_type, check_digits=not any_check_digit
            )
    except FileRefused as error:
        raise click.ClickException(f"{file}: {error}") from None
    for number, reason in read.bad[:BAD_SHOWN]:
        click.echo(f"{file}:{number}: {reason}", err=True)
    added = changed = 0
    if not dry_run:
        with database(config) as connection:
            connection.act_for(owner.id)
            for begin in range(0, len(read.profiles), BATCH_ROWS):
                some = read.profiles[begin : begin + BATCH_ROWS]
                with transaction(connection):
                    new, other = put_profiles(
                        connection, owner.id, some, int(time.time()), repair=repair
                    )
                added, changed = added + new, changed + other
    done = "nothing changed" if dry_run else f"{added} added, {changed} changed"
    click.echo(f"{owner.id}: {len(read.profiles)} good rows: {done}; {len(read.bad)} bad rows")
    if read.bad:
        raise SystemExit(1)


@inventory.command()
@config_option
@tenant_option
def show(config: Config, tenant: str | None) -> None:
    """Show how many profiles of each pool are in which state."""
    owner = chosen(config, tenant).id
    with database(config) as connection:
        connection.act_for(owner)
        found = counts(connection, owner)
    for (smdp, kind), rows in groupby(found, key=lambda one: (one.smdp, one.profile_type)):
        states = {one.state.value: one.count for one in rows}
        low = "  LOW" if states.get("available", 0) < config.orders.low_water else ""
        text = ", ".join(f"{count} {state}" for state, count in states.items())
        click.echo(f"{smdp} {kind}: {text}{low}")
