"""`entitlement-node subscribers`: import, export, show and change subscribers."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

import click
from click.termui import progressbar

from actors.backends.bss import Subscriber
from actors.store.plans import all_plans
from actors.store.records import Identity
from actors.store.sql import OperatorDatabase, transaction
from actors.store.subscriber_files import (
    COLUMNS,
    FORMAT,
    BadRow,
    FileRefused,
    GoodRow,
    SubscriberFile,
    join,
)
from actors.store.subscriber_import import Imported, RowWriter, import_subscribers
from actors.store.subscriber_rows import (
    SUBSCRIBER_COLUMNS,
    format_overrides,
    parse_overrides,
    subscriber_of,
)
from actors.store.writes import revoke_tokens
from config.model import Config, Tenant
from node.cli_database import (
    chosen,
    clear_option,
    config_option,
    database,
    shown,
    tenant_option,
    verbatim,
)


@click.group()
def subscribers() -> None:
    """Import, export, show and change subscribers, also while the node runs."""


@subscribers.command(
    "import", epilog=verbatim(FORMAT), short_help="Add and change subscribers from a CSV file."
)
@config_option
@tenant_option
@click.option("--all-or-nothing", is_flag=True, help="Take the file only if every row is good.")
@click.option(
    "--show-bad",
    default=20,
    show_default=True,
    help="How many bad rows to print with their reason.",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_(
    config: Config, tenant: str | None, all_or_nothing: bool, show_bad: int, file: Path
) -> None:
    """Add and change subscribers from a CSV FILE.

    Doing it again changes nothing. Rows are written in small batches, so that a running node hardly
    notices; bad rows are left out, told by line number, and make the command end with status 1.
    With --all-or-nothing one bad row leaves everything as it was; all rows are then one
    transaction, during which a running node cannot write (5 s for each 1,000,000 rows; what waits
    longer than store.busy-seconds is answered with 503).

    A subscription whose ICCID changes loses its tokens: they are in the phone with the old card.
    """
    owner = chosen(config, tenant)
    with (
        database(config) as connection,
        file.open(encoding="utf-8", errors="replace") as lines,
        _progress(file) as bar,
    ):
        result = import_subscribers(
            connection,
            _opened(connection, owner, _counted(lines, bar)),
            owner.id,
            now=int(time.time()),
            all_or_nothing=all_or_nothing,
            kept_bad_rows=show_bad,
        )
    for row in result.bad_rows:
        click.echo(f"{file}:{row.line}: {row.reason}", err=True)
    if result.bad > len(result.bad_rows):
        click.echo(f"… and {result.bad - len(result.bad_rows)} more bad rows", err=True)
    if result.bad and all_or_nothing:
        raise click.ClickException(f"{result.bad} bad rows: nothing was changed")
    click.echo(
        f"{owner.id}: {result.rows} rows: {result.added} added, {result.changed} changed,"
        f" {result.unchanged} unchanged, {result.swapped} swaps; {result.bad} bad rows left out"
    )
    if result.bad:
        raise SystemExit(1)


def _opened(connection: OperatorDatabase, owner: Tenant, lines: Iterable[str]) -> SubscriberFile:
    plans = [plan.plan_id for plan in all_plans(connection, owner.id)]
    if not plans:
        raise click.ClickException(f"{owner.id} has no plans yet: `plans import` comes first")
    try:
        return SubscriberFile(lines, owner, plans)
    except FileRefused as error:
        raise click.ClickException(str(error)) from None


def _progress(file: Path) -> Any:  # noqa: ANN401 - click's bar, or something like it
    size = file.stat().st_size
    if not sys.stderr.isatty():
        return nullcontext(None)
    return progressbar(length=size, label="importing", file=sys.stderr)


def _counted(lines: IO[str], bar: Any) -> Iterator[str]:  # noqa: ANN401
    """The lines; moves the bar by their length now and then."""
    if bar is None:
        yield from lines
        return
    seen = 0
    for line in lines:
        seen += len(line)
        if seen > 100_000:
            bar.update(seen)
            seen = 0
        yield line
    bar.update(seen)


@subscribers.command()
@config_option
@tenant_option
@clear_option
@click.option(
    "--output",
    "-o",
    default="-",
    type=click.File("w", encoding="utf-8", lazy=True),
    help="Where to write; standard output if left out.",
)
def export(config: Config, tenant: str | None, clear: bool, output: IO[str]) -> None:
    """Print all subscribers of a tenant as CSV.

    With --clear, `subscribers import` takes the file again.
    """
    owner = chosen(config, tenant)
    names = list(COLUMNS)
    fields = ", ".join(COLUMNS[name][0] for name in names)
    hidden = [] if clear else [names.index(name) for name in ("imsi", "msisdn", "iccid")]
    with database(config) as connection:
        connection.act_for(owner.id)
        output.write(join(names))
        last = ""
        # In pieces: a long read would let the write-ahead log grow.
        while rows := connection.execute(
            f"SELECT {fields} FROM subscribers WHERE tenant = ? AND imsi > ?"  # noqa: S608
            " ORDER BY imsi LIMIT 10000",
            (owner.id, last),
        ).fetchall():
            last = rows[-1][0]
            for row in rows:
                values = [shown(one, False) if at in hidden else one for at, one in enumerate(row)]
                output.write(join(values))


@subscribers.command()
@config_option
@tenant_option
@clear_option
@click.argument("identity")
def show(config: Config, tenant: str | None, clear: bool, identity: str) -> None:
    """Show what is known of one subscriber.

    IDENTITY is an IMSI, or an MSISDN with a leading +.
    """
    owner = chosen(config, tenant)
    with database(config) as connection:
        found = _find(connection, owner.id, identity)
        if found is None:
            raise click.ClickException(f"{owner.id} has no such subscriber")
        for name, text in _description(connection, found, clear):
            click.echo(f"{name:<14} {text}")


def _find(connection: OperatorDatabase, tenant: str, identity: str) -> Subscriber | None:
    connection.act_for(tenant)
    column = "msisdn" if identity.startswith("+") else "imsi"
    row = connection.execute(
        f"SELECT {', '.join(SUBSCRIBER_COLUMNS)} FROM subscribers"  # noqa: S608 - our names
        f" WHERE tenant = ? AND {column} = ?",
        (tenant, identity.removeprefix("+")),
    ).fetchone()
    return subscriber_of(row) if row else None


def _description(
    connection: OperatorDatabase, one: Subscriber, clear: bool
) -> Iterator[tuple[str, str]]:
    yield "tenant", one.tenant
    yield "imsi", shown(one.imsi, clear)
    yield "msisdn", shown(one.msisdn, clear) or "-"
    yield "iccid", shown(one.iccid, clear) or "-"
    yield "plan", one.plan_id
    yield "status", one.status.value
    yield "overrides", format_overrides(one.overrides) or "-"
    yield (
        "vowifi",
        f"terms {one.vowifi_tc_status}, address {one.vowifi_addr_status}"
        f"{f' until {one.vowifi_addr_expiry}' if one.vowifi_addr_expiry else ''},"
        f" provisioning {one.vowifi_prov_status}",
    )
    owner = (one.tenant, one.imsi)
    now = int(time.time())
    for terminal, model, seen in connection.execute(
        "SELECT terminal_id, vendor || ' ' || model || ' ' || sw_version, last_seen FROM devices"
        " WHERE tenant = ? AND imsi = ? ORDER BY last_seen DESC",
        owner,
    ):
        yield "device", f"{shown(terminal, clear)} {model.strip()}, last seen {_date(seen)}"
    for terminal, apps, name, until in connection.execute(
        "SELECT terminal_id, apps, app_name, valid_until FROM tokens WHERE tenant = ? AND imsi = ?"
        " AND revoked = 0 AND generation >= ? AND valid_until > ? ORDER BY valid_until",
        (*owner, one.token_generation, now),
    ):
        of = f"{shown(terminal, clear)} {apps}{f' {name}' if name else ''}"
        yield "token", f"{of}, valid until {_date(until)}"
    for app, action, at in connection.execute(
        "SELECT app, action, registered FROM registrations WHERE tenant = ? AND imsi = ?", owner
    ):
        yield "notifications", f"{app} by {_SERVICES.get(action, action)}, since {_date(at)}"
    for kind, at, old, new in connection.execute(
        "SELECT kind, at, old, new FROM identity_changes WHERE tenant = ?"
        " AND ((kind IN (1, 3) AND subject = ?) OR (kind = 4 AND subject = ?)) ORDER BY at",
        (*owner, one.msisdn),
    ):
        name = Identity(kind).name.lower().replace("_", " ")
        yield "changed", f"{_date(at)} {name}: {shown(old, clear)} -> {shown(new, clear)}"


_SERVICES = {1: "GCM", 2: "FCM", 3: "WNS", 4: "APNs"}


def _date(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


@subscribers.command("set")
@config_option
@tenant_option
@click.argument("imsi")
@click.option("--plan", help="Id of one of the tenant's plans (plans show).")
@click.option("--status", help="active, suspended, barred or terminated.")
@click.option("--msisdn", help="The number; empty takes it away.")
@click.option("--iccid", help="The card. Another one revokes the subscriber's tokens.")
@click.option(
    "--override",
    "overrides",
    multiple=True,
    metavar="SERVICE=WHAT",
    help="volte=blocked, vowifi=allowed, …; `volte=` goes back to the plan. May be repeated.",
)
@click.option("--vowifi-tc-status", help="Terms of Wi-Fi calling: 0 to 3.")
@click.option("--vowifi-addr-status", help="Emergency address: 0 to 3.")
@click.option("--vowifi-prov-status", help="Provisioning of Wi-Fi calling: 0 to 3.")
@click.option("--vowifi-addr-expiry", help="Of the emergency address, ISO 8601.")
@click.option("--vowifi-addr-identifier", help="Of the emergency address.")
@click.option("--add", is_flag=True, help="Make the subscriber if it does not exist.")
@click.option("--revoke-tokens", "revoke", is_flag=True, help="Its phones must authenticate again.")
def set_(
    config: Config,
    tenant: str | None,
    imsi: str,
    overrides: tuple[str, ...],
    add: bool,
    revoke: bool,
    **changes: str | None,
) -> None:
    """Change the subscriber with this IMSI; what is not named stays as it is.

    \b
    Example: entitlement-node subscribers set -c node.toml -t mno 001010000000001 \\
                 --plan gold --override vowifi=blocked
    """
    owner = chosen(config, tenant)
    values = {name: value for name, value in changes.items() if value is not None}
    with database(config) as connection:
        known = _find(connection, owner.id, imsi)
        if known is None and not add:
            raise click.ClickException(f"{owner.id} has no such subscriber (--add makes it)")
        if known is None and "plan" not in values:
            raise click.UsageError("a new subscriber needs --plan")
        if overrides:
            values["overrides"] = _overridden(known, overrides)
        values = {"imsi": imsi, "plan": known.plan_id if known else ""} | values
        result = _write_one(connection, owner, values)
        if revoke:
            with transaction(connection):
                revoked = revoke_tokens(connection, owner.id, imsi, int(time.time()))
            click.echo(f"{revoked} tokens revoked")
    click.echo("added" if result.added else "changed" if result.changed else "unchanged")


def _overridden(known: Subscriber | None, given: tuple[str, ...]) -> str:
    """The overrides with some changed; `service=` takes one away."""
    current = dict(known.overrides) if known else {}
    for text in given:
        service, _, what = text.partition("=")
        try:
            parse_overrides(f"{service}={what or 'blocked'}")
        except ValueError as error:
            raise click.UsageError(f"--override: {error}") from None
        if what:
            current[service] = what
        else:
            current.pop(service, None)
    return format_overrides(tuple(current.items()))


def _write_one(connection: OperatorDatabase, owner: Tenant, values: dict[str, str]) -> Imported:
    """Through the same checks as a file."""
    file = _opened(connection, owner, [join(list(values)), join(list(values.values()))])
    result = Imported()
    for row in file.rows():
        match row:
            case BadRow(_, reason):
                raise click.UsageError(reason)
            case GoodRow(_, good):
                writer = RowWriter(connection, owner.id, file.columns, int(time.time()))
                writer.add([good])
                writer.apply(result)
    return result
