"""The data commands of the command line: subscribers, plans, tokens, tenants, check-config.

Exit status: 0 done, 1 it could not be done (or only in part), 2 the command itself is wrong.
"""

import time
from pathlib import Path

import click

from actors.backends.bss import Plan
from actors.store.plan_files import FORMAT as PLAN_FORMAT
from actors.store.plan_files import read_csv, read_toml, write_csv
from actors.store.plans import all_plans, put_plans
from actors.store.sql import transaction
from actors.store.subscriber_files import FileRefused
from actors.store.writes import revoke_session, revoke_tokens
from config.load import ConfigError, load
from config.model import Config, Tenant
from node.cli_database import chosen, config_option, database, tenant_option, verbatim
from node.cli_subscribers import subscribers
from protocols.ts43.messages import DEFAULT_MESSAGES

__all__ = ["check_config", "plans", "subscribers", "tenants", "tokens"]


@click.command("check-config")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--elsewhere",
    is_flag=True,
    help="The file is for another machine: look for no secrets, certificates or variables here.",
)
def check_config(file: Path, elsewhere: bool) -> None:
    """Check a configuration FILE and print everything that is wrong with it.

    Each problem is told with the path of its key, such as tenants[1].plmns[0]. Exit status 1 if
    there is any.
    """
    try:
        config = load(file, here=not elsewhere)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    peers = len(config.diameter.peers)
    names = ", ".join(tenant.id for tenant in config.tenants)
    click.echo(f"{file}: good; tenants {names}; {peers} Diameter peer{'s' * (peers != 1)}")
    for tenant in config.tenants:
        for message in sorted(set(tenant.messages) - set(DEFAULT_MESSAGES)):
            known = ", ".join(DEFAULT_MESSAGES)
            text = f"no text has the id {message} of tenant {tenant.id}; there are {known}"
            click.echo(f"warning: {text}", err=True)
    if not peers:
        click.echo("warning: without [[diameter.peers]] no phone can authenticate", err=True)


@click.group()
def plans() -> None:
    """Import and show what the tenants sell."""


@plans.command("import", epilog=verbatim(PLAN_FORMAT))
@config_option
@tenant_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_plans(config: Config, tenant: str | None, file: Path) -> None:
    """Add the plans of a TOML or CSV FILE, or change those of the same id.

    All or nothing: one mistake leaves everything as it was. A running node uses the change with
    the next request.
    """
    ids = [one.id for one in config.tenants]
    tenant = tenant if tenant is None and len(ids) > 1 else chosen(config, tenant).id
    read = read_toml if file.suffix.lower() == ".toml" else read_csv
    try:
        found = read(file.read_text(encoding="utf-8-sig"), tenant, ids)
    except UnicodeDecodeError:
        raise click.ClickException(f"{file}: is not UTF-8 text") from None
    except FileRefused as error:
        raise click.ClickException(f"{file}: nothing was changed:\n{error}") from None
    with database(config) as connection, transaction(connection):
        for owner, of_owner in found.items():
            put_plans(connection, owner, of_owner)
    for owner, of_owner in found.items():
        click.echo(f"{owner}: {', '.join(plan.plan_id for plan in of_owner)}")


@plans.command("show")
@config_option
@tenant_option
@click.option("--csv", "as_csv", is_flag=True, help="Print what `plans import` takes.")
def show_plans(config: Config, tenant: str | None, as_csv: bool) -> None:
    """Show the plans of a tenant."""
    owner = chosen(config, tenant)
    with database(config) as connection:
        found = all_plans(connection, owner.id)
    if as_csv:
        click.echo(write_csv(found), nl=False)
    elif not found:
        click.echo(f"{owner.id} has no plans yet; `plans import` adds some")
    else:
        click.echo("\n".join(_plan_text(plan) for plan in found))


def _plan_text(plan: Plan) -> str:
    data_plans = [f"{one.access_type}={one.data_plan_type}" for one in plan.data_plans]
    boosts = [f"{one.boost_type}={one.status}" for one in plan.boosts]
    lines = [f"{plan.plan_id:<14} {plan.name}", f"  services     {_listed(sorted(plan.services))}"]
    lines += [f"  data plans   {_listed(data_plans)}"] * bool(data_plans)
    lines += [f"  boosts       {_listed(boosts)}"] * bool(boosts)
    return "\n".join(lines)


def _listed(texts: list[str]) -> str:
    return ", ".join(texts) or "none"


@click.group()
def tokens() -> None:
    """Take away the tokens with which phones ask without authenticating."""


@tokens.command()
@config_option
@tenant_option
@click.option("--imsi", help="Revoke all tokens of this subscriber.")
@click.option("--session-id", help="Revoke the tokens that this Diameter session led to.")
def revoke(config: Config, tenant: str | None, imsi: str | None, session_id: str | None) -> None:
    """Revoke tokens at once, also in a running node.

    The phone gets 511 with its next request and authenticates with the SIM again.
    """
    owner = chosen(config, tenant)
    if (imsi is None) == (session_id is None):
        raise click.UsageError("give --imsi or --session-id, one of them")
    now = int(time.time())
    with database(config) as connection, transaction(connection):
        connection.act_for(owner.id)
        if imsi is not None:
            count = revoke_tokens(connection, owner.id, imsi, now)
        else:
            assert session_id is not None  # noqa: S101 - said above, for mypy
            count = revoke_session(connection, owner.id, session_id.encode(), now)
    click.echo(f"{count} tokens revoked")


@click.group()
def tenants() -> None:
    """Show the operators that this node serves."""


@tenants.command("show")
@config_option
def show_tenants(config: Config) -> None:
    """Show each tenant, how a request finds it, and what the database holds of it."""
    with database(config) as connection:
        for tenant in config.tenants:
            click.echo(f"{tenant.id:<14} {tenant.name}")
            for name, values in _marks(tenant):
                click.echo(f"  {name:<12} {_listed(list(values)) if values else 'any'}")
            connection.act_for(tenant.id)
            for table in ("plans", "subscribers", "tokens"):
                (count,) = connection.execute(
                    f"SELECT count(*) FROM {table} WHERE tenant = ?",  # noqa: S608 - our names
                    (tenant.id,),
                ).fetchone()
                click.echo(f"  {table:<12} {count}")
        ids = {tenant.id for tenant in config.tenants}
        # PostgreSQL shows the rows of one tenant only, and so no orphans.
        rows = connection.execute("SELECT DISTINCT tenant FROM plans").fetchall()
        for orphan in sorted({name for (name,) in rows} - ids):
            click.echo(f"warning: the database has data of {orphan}, which is no tenant", err=True)


def _marks(tenant: Tenant) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (
        ("hosts", tenant.hosts),
        ("plmns", tenant.plmns),
        ("imsi ranges", tenant.imsi_ranges),
        ("gid1", tenant.gid1),
    )
