"""`python -m scripts.lab.smdp_plus`: an SM-DP+ (ES2+ server) with its inventory, for labs."""

import json
import logging
import signal
from pathlib import Path

import click
import trio

from scripts.lab.behaviour_words import BehaviourError
from scripts.lab.smdp_plus_behaviour import WORDS, Behaviours
from scripts.lab.smdp_plus_certificates import Credential, certificates
from scripts.lab.smdp_plus_control import Control
from scripts.lab.smdp_plus_notifier import DIALECTS, Notifier
from scripts.lab.smdp_plus_profiles import TYPES, Inventory, stock
from scripts.lab.smdp_plus_running import RunningSmdpPlus, running_smdp_plus
from scripts.lab.smdp_plus_server import SmdpPlusServer


def _words() -> str:
    return "\n".join(f"  {name:20}{row.metadata['text']}" for name, row in WORDS.items())


EPILOG = f"""\b
A behaviour is WHO=word,word=value,...; WHO is an ICCID, an EID, *DIGITS (an ending) or *:
  --behaviour '*=delay=2,function=confirmOrder' --behaviour '*18=silent,times=1'

\b
Words:
{_words()}

\b
Control connection (--control 127.0.0.1:8861), one command a line:
  printf 'help\\n' | nc -N 127.0.0.1 8861

\b
Without --certificate it makes an authority in --data and issues dp1.pem (its own, also to report
with), operator.pem (the node's client certificate) and partner.pem (the node's [partner] listener);
all trust ca.pem there.
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.option("--listen", default="127.0.0.1:8860", show_default=True, help="ES2+ over HTTPS.")
@click.option(
    "--data",
    default=Path("var/smdp-plus"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the certificates it makes.",
)
@click.option("--certificate", type=click.Path(exists=True, path_type=Path), help="Its PEM chain.")
@click.option("--key", type=click.Path(exists=True, path_type=Path), help="The key of that.")
@click.option(
    "--ca", type=click.Path(exists=True, path_type=Path), help="That operators' certificates need."
)
@click.option("--profiles", default=1_000, show_default=True, help="Profiles of each type.")
@click.option(
    "--type",
    "types",
    multiple=True,
    default=TYPES,
    show_default=True,
    help="Profile types of the inventory.",
)
@click.option("--prefix", default="", help="Before /gsma/rsp2/es2plus/, such as /aep.")
@click.option("--http1", is_flag=True, help="HTTP/1.1 alone.")
@click.option("--operator", help="Where downloads are reported: https://host:port of [partner].")
@click.option(
    "--dialect",
    default="standard",
    show_default=True,
    type=click.Choice(sorted(DIALECTS)),
    help="How notifications are written.",
)
@click.option("--behaviour", "given", multiple=True, metavar="WHO=WORDS", help="See below.")
@click.option("--control", metavar="ADDRESS:PORT", help="Take commands there.")
def main(
    listen: str,
    data: Path,
    certificate: Path | None,
    key: Path | None,
    ca: Path | None,
    profiles: int,
    types: tuple[str, ...],
    prefix: str,
    http1: bool,
    operator: str | None,
    dialect: str,
    given: tuple[str, ...],
    control: str | None,
) -> None:
    """An SM-DP+ as an operator sees it: ES2+ of SGP.22 with profile states over mutual TLS.

    It says on standard output where it listens, serves until SIGINT or SIGTERM, and prints its
    books. The inventory has ICCIDs 8949000000… with valid check digits.
    """
    if len({certificate is None, key is None, ca is None}) > 1:
        raise click.UsageError("--certificate, --key and --ca are given together or not at all")
    credential, trusted = (
        (Credential(certificate, key), ca)
        if certificate is not None and key is not None and ca is not None
        else certificates(data)
    )
    behaviours = Behaviours()
    for text in given:
        who, _, words = text.partition("=")
        try:
            behaviours.set(who, words)
        except BehaviourError as error:
            raise click.UsageError(str(error)) from None
    server = SmdpPlusServer(Inventory(stock(profiles, types)), behaviours, prefix=prefix)
    notifier = Notifier(operator, str(trusted), credential, DIALECTS[dialect]) if operator else None
    logging.getLogger("hypercorn.error").setLevel(logging.WARNING)
    try:
        trio.run(
            _serve,
            server,
            credential,
            trusted,
            trusted.read_text(),
            listen,
            not http1,
            notifier,
            control,
        )
    except* OSError as group:
        raise click.ClickException("; ".join(str(error) for error in group.exceptions)) from None


async def _serve(
    server: SmdpPlusServer,
    credential: Credential,
    ca: Path,
    authorities: str,
    listen: str,
    http2: bool,
    notifier: Notifier | None,
    control: str | None,
) -> None:
    """Serve until a signal."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with (
            running_smdp_plus(
                server, credential, authorities, listen=listen, http2=http2, notifier=notifier
            ) as running,
            trio.open_nursery() as nursery,
        ):
            if control is not None:
                await _open_control(nursery, control, running)
            click.echo(f"SM-DP+ at {running.url}{server.prefix}, trust {ca}")
            async for _ in signals:
                break
            nursery.cancel_scope.cancel()
    click.echo(json.dumps(await Control(running).execute("books")))


async def _open_control(nursery: trio.Nursery, control: str, running: RunningSmdpPlus) -> None:
    host, _, port = control.rpartition(":")
    listeners = await trio.open_tcp_listeners(int(port), host=host.strip("[]"))
    place = listeners[0].socket.getsockname()
    nursery.start_soon(trio.serve_listeners, Control(running).serve, listeners)
    click.echo(f"control on {place[0]}:{place[1]}")


if __name__ == "__main__":
    main()
