"""`entitlement-node orders`: list and show eSIM orders, and decide what needs a person.

A decision is kept in the database; the node that has the order sees it within orders.look-seconds.
"""

import time

import click

from actors.orders.driver import patience_of
from actors.orders.machine import Event, step
from actors.orders.records import Order
from actors.orders.transitions import Action, IllegalTransition, Input, State
from actors.store import orders as rows
from actors.store.order_findings import findings
from actors.store.orders import Entry, Filter
from actors.store.sql import OperatorDatabase, transaction
from config.model import Config
from node.cli_database import chosen, clear_option, config_option, database, shown, tenant_option

STATES = [state.value for state in State]
_DECISIONS = {
    "done": Input.OPERATOR_DONE,
    "cancel": Input.OPERATOR_CANCELLED,
    "burn": Input.OPERATOR_BURNT,
}


@click.group()
def orders() -> None:
    """List and show eSIM orders; retry or resolve what stands, also while the node runs."""


@orders.command("list")
@config_option
@tenant_option
@clear_option
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Repeatable.")
@click.option("--imsi", default="", help="Of the subscriber or of the line.")
@click.option("--eid", default="", help="Of the eUICC.")
@click.option("--iccid", default="", help="Of the profile.")
@click.option("--limit", default=50, show_default=True, help="The newest so many.")
def list_(
    config: Config,
    tenant: str | None,
    clear: bool,
    states: tuple[str, ...],
    imsi: str,
    eid: str,
    iccid: str,
    limit: int,
) -> None:
    """List orders, newest first."""
    owner = chosen(config, tenant).id
    with database(config) as connection:
        connection.act_for(owner)
        wanted = Filter(imsi, eid, "", iccid, "", "", states)
        for one in rows.search(connection, owner, wanted, limit):
            line = (
                f"{one.order_id}  {_date(one.created_at)}  {one.kind.value:11} {one.state.value:12}"
                f" {shown(one.imsi, clear)}  {shown(one.iccid, clear) or '-'}  {one.reason}"
            )
            click.echo(line.rstrip())


@orders.command()
@config_option
@tenant_option
@clear_option
@click.argument("order_id")
def show(config: Config, tenant: str | None, clear: bool, order_id: str) -> None:
    """Show an order and its history."""
    owner = chosen(config, tenant).id
    with database(config) as connection:
        connection.act_for(owner)
        one = _loaded(connection, owner, order_id)
        for name, value in _facts(one, clear):
            if value:
                click.echo(f"{name:14} {value}")
        for entry in rows.history(connection, owner, order_id):
            text = f"{entry.number:4} {_date(entry.at)} {entry.given:20} {entry.state:12}"
            click.echo(f"{text} {entry.action} {entry.detail}".rstrip())


def _facts(one: Order, clear: bool) -> list[tuple[str, str]]:
    return [
        ("order", one.order_id),
        ("kind", f"{one.kind.value} {one.app} {one.service.value}".rstrip()),
        ("state", one.state.value),
        ("reached", one.reached.value),
        ("resumes", one.resumes.value if one.resumes else ""),
        ("reason", one.reason),
        ("subscriber", shown(one.imsi, clear)),
        ("line", shown(one.new_imsi, clear)),
        ("old line", shown(one.old_imsi, clear)),
        ("eid", shown(one.target_eid, clear)),
        ("device", f"{one.device.vendor} {one.device.model}".strip()),
        ("profile", f"{one.smdp} {one.profile_type} {shown(one.iccid, clear)}".strip()),
        ("possible leak", "yes" if one.possible_leak else ""),
        ("created", _date(one.created_at)),
        ("changed", _date(one.changed_at)),
        ("next look", _date(one.next_at) if one.next_at else ""),
        ("expires", _date(one.expires_at) if one.expires_at else ""),
    ]


@orders.command()
@config_option
@tenant_option
@click.argument("order_id")
def retry(config: Config, tenant: str | None, order_id: str) -> None:
    """Go on with an order at once: what waits for a person, or for its next try."""
    _decide(config, tenant, order_id, Input.OPERATOR_RETRIED)


@orders.command()
@config_option
@tenant_option
@click.option("--done", "decision", flag_value="done", help="The open step was done by hand.")
@click.option("--cancel", "decision", flag_value="cancel", help="Take everything back.")
@click.option("--burn", "decision", flag_value="burn", help="Give up; the profile is not reused.")
@click.argument("order_id")
def resolve(config: Config, tenant: str | None, decision: str | None, order_id: str) -> None:
    """Decide about an order: one of --done, --cancel, --burn."""
    if decision is None:
        raise click.UsageError("one of --done, --cancel, --burn is needed")
    _decide(config, tenant, order_id, _DECISIONS[decision])


@orders.command()
@config_option
@tenant_option
@clear_option
@click.option("--minutes", default=60, show_default=True, help="Unchanged for so long.")
def reconcile(config: Config, tenant: str | None, clear: bool, minutes: int) -> None:
    """Tell what does not fit among orders, pools and lines; status 1 if anything."""
    owner = chosen(config, tenant).id
    with database(config) as connection:
        connection.act_for(owner)
        found = findings(connection, owner, int(time.time()) - minutes * 60)
    for one in found:
        secret = one.kind in ("profile-without-order", "line-without-profile")
        secret = secret or one.kind == "orphan-notification"
        subject = shown(one.subject, clear) if secret else one.subject
        click.echo(f"{one.kind:22} {subject}  {one.detail}")
    if found:
        raise SystemExit(1)


def _decide(config: Config, tenant: str | None, order_id: str, given: Input) -> None:
    owner = chosen(config, tenant).id
    patience = patience_of(config.orders)
    with database(config) as connection:
        connection.act_for(owner)
        while True:
            before = _loaded(connection, owner, order_id)
            event = Event(given, int(time.time()))
            try:
                decision = step(before, event, patience)
            except IllegalTransition as error:
                raise click.ClickException(str(error)) from None
            if decision.action is Action.IGNORE:
                raise click.ClickException(f"nothing to do in {before.state.value}")
            entry = Entry(event.now, given.value, decision.action.value, "by an operator")
            with transaction(connection):
                after = rows.save(connection, before, decision, entry)
            if after is not None:
                click.echo(f"{order_id}: {before.state.value} -> {after.state.value}")
                return


def _loaded(connection: OperatorDatabase, owner: str, order_id: str) -> Order:
    found = rows.load(connection, owner, order_id)
    if found is None:
        raise click.ClickException(f"{owner} has no order {order_id}")
    return found


def _date(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
