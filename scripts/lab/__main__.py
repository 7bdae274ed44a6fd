"""`python -m scripts.lab`: AAA server, SM-DP+, node and a phone on this machine, talking for real.

Each is a process of its own; between them are TLS with HTTP/2 and Diameter over TCP. The ladder on
standard output is what the node itself recorded. Then the node stays up to be used.
"""

import contextlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import trio

from scripts.lab import ending
from scripts.lab.installation import Installation, SmdpPorts
from scripts.lab.showing import show_exchange
from scripts.lab.subscribers import DEFAULT_FILE, LabSubscriber
from scripts.lab.subscribers import load as load_subscribers

READY_SECONDS: Final = 20.0
STOP_SECONDS: Final = 15.0


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--once", is_flag=True, help="End after the phone got its entitlements.")
@click.option("--port", default=8443, show_default=True, help="Where devices connect (HTTPS).")
@click.option("--aaa-port", default=3868, show_default=True, help="Where the AAA server listens.")
@click.option("--management-port", default=8081, show_default=True, help="/ready, /metrics, trace.")
@click.option("--smdp-plus-port", default=8860, show_default=True, help="ES2+ of the SM-DP+.")
@click.option("--smdp-plus-control-port", default=8861, show_default=True, help="Its commands.")
@click.option("--partner-port", default=8444, show_default=True, help="Where it reports downloads.")
@click.option(
    "--data",
    default=Path("var"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the database, the certificates and the configuration of the lab.",
)
@click.option("--imsi", default="001010000000001", show_default=True, help="Whose phone asks.")
def main(
    once: bool,
    port: int,
    aaa_port: int,
    management_port: int,
    smdp_plus_port: int,
    smdp_plus_control_port: int,
    partner_port: int,
    data: Path,
    imsi: str,
) -> None:
    """Run the whole thing on this machine: AAA server, SM-DP+, entitlement node, one phone.

    The phone authenticates with its SIM (EAP-AKA, two Diameter rounds) and gets its VoLTE, VoWiFi,
    SMS over IP and 5G entitlements; the exchange is printed as a ladder. Without --once the node
    keeps serving until Ctrl-C, and an SM-DP+ carries out the eSIM orders of devices. SIGTERM and
    SIGHUP end everything, too.
    """
    ending.obey()
    subscriber = next((one for one in load_subscribers() if one.imsi == imsi), None)
    if subscriber is None:
        raise click.UsageError(f"{imsi} is not in {DEFAULT_FILE}")
    smdp = None if once else SmdpPorts(smdp_plus_port, smdp_plus_control_port, partner_port)
    lab = Installation.prepare(data, port, aaa_port, management_port, smdp)
    with contextlib.ExitStack() as stack:
        stack.enter_context(running("AAA server", lab.aaa_command))
        if smdp is not None:
            stack.enter_context(running("SM-DP+", lab.smdp_command))
        node = stack.enter_context(running("node", lab.node_command))
        wait_until_ready(lab.management_url, node)
        trio.run(show_unless_told_to_end, lab, subscriber)
        if smdp is not None:
            wait_until_listening(smdp.port)
            click.echo(lab.how_to_reach())
            with contextlib.suppress(KeyboardInterrupt):
                node.wait()
                raise click.ClickException(f"the node ended with status {node.returncode}")


async def show_unless_told_to_end(lab: Installation, subscriber: LabSubscriber) -> None:
    """Show the exchange; a signal ends it in good order, for none may raise inside Trio's loop."""
    told: list[int] = []

    async def obey(*, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(*ending.obeyed()) as signals:
            task_status.started()
            async for number in signals:
                told.append(number)
                nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        await nursery.start(obey)
        await show_exchange(lab, subscriber)
        nursery.cancel_scope.cancel()
    if told:
        ending.end(told[0])


@contextlib.contextmanager
def running(name: str, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the lab, ended (SIGTERM, then SIGKILL) with the block."""
    # Its own session: Ctrl-C reaches this program alone, which then ends the others in order.
    process: subprocess.Popen[bytes] | None = None
    try:
        with ending.held_back():
            process = subprocess.Popen(command, start_new_session=True)
        yield process
    finally:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                click.echo(f"the {name} did not end in time", err=True)
                process.kill()
                process.wait()


def wait_until_ready(management_url: str, node: subprocess.Popen[bytes]) -> None:
    """Until the node says that it can serve: listener, AAA and store.

    Raises:
        click.ClickException: it ended, or is not ready in time; with the reasons it gives.
    """
    last = "no answer"
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if node.poll() is not None:
            raise click.ClickException(f"the node ended with status {node.returncode}")
        try:
            with urllib.request.urlopen(f"{management_url}/ready", timeout=2):  # noqa: S310
                return
        except urllib.error.HTTPError as error:
            last = error.read().decode("utf-8", "replace")
        except OSError as error:
            last = str(error)
        time.sleep(0.05)
    raise click.ClickException(f"the node is not ready: {last}")


def wait_until_listening(port: int) -> None:
    """Until something accepts connections there.

    Raises:
        click.ClickException: nothing does in time.
    """
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise click.ClickException(f"nothing listens on port {port}")


if __name__ == "__main__":
    main()
