"""`python -m scripts.lab.odsa_device FLOW`: a lab device walks an eSIM flow against a running node.

Prints each operation with its time and what matters of its answer, then the activation code. The
profile is downloaded by nobody here: the lab's SM-DP+ installs by itself when it is told to.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
import trio

from protocols.es2plus.identifiers import ActivationCode
from scripts.lab import odsa_flows as flows
from scripts.lab.device_http import tls_context
from scripts.lab.odsa_phone import (
    COMPANION,
    PRIMARY,
    SERVER,
    EsimDevice,
    FlowFailed,
    OdsaPhone,
    Step,
    TokenBearer,
)
from scripts.lab.phone import Phone, Target
from scripts.lab.subscribers import DEFAULT_FILE, LabSubscriber
from scripts.lab.subscribers import load as load_subscribers

# What a person looks for in an answer.
TOLD: Final = (
    "CompanionAppEligibility",
    "PrimaryAppEligibility",
    "EnterpriseAppEligibility",
    "CompanionDeviceServices",
    "SubscriptionResult",
    "ServiceStatus",
    "PollingInterval",
    "TemporaryTokenExpiry",
    "OperationResult",
    "GeneralErrorText",
)

Flow = Callable[[Phone, Target, EsimDevice], Awaitable[ActivationCode]]


async def _watch(phone: Phone, target: Target, device: EsimDevice) -> ActivationCode:
    return await _told(OdsaPhone(phone, COMPANION), partial(flows.pair_watch, watch=device))


async def _new_line(phone: Phone, target: Target, device: EsimDevice) -> ActivationCode:
    return await _told(OdsaPhone(phone, PRIMARY), partial(flows.new_line, target=device))


async def _transfer(phone: Phone, target: Target, device: EsimDevice) -> ActivationCode:
    return await _told(
        OdsaPhone(phone, PRIMARY), partial(flows.transfer_by_old_phone, target=device)
    )


async def _transfer_by_token(phone: Phone, target: Target, device: EsimDevice) -> ActivationCode:
    old = OdsaPhone(phone, PRIMARY)
    try:
        token = await flows.temporary_token(old)
    finally:
        show(old.steps)
    bearer = TokenBearer(target, device, token, PRIMARY)
    try:
        return await flows.transfer_by_token(bearer, device)
    finally:
        show(bearer.steps)


async def _server(phone: Phone, target: Target, device: EsimDevice) -> ActivationCode:
    return await _told(OdsaPhone(phone, SERVER), partial(flows.server_initiated, device=device))


FLOWS: Final[dict[str, Flow]] = {
    "watch": _watch,
    "new-line": _new_line,
    "transfer": _transfer,
    "transfer-by-token": _transfer_by_token,
    "server": _server,
}


async def _told(
    phone: OdsaPhone, walk: Callable[[OdsaPhone], Awaitable[ActivationCode]]
) -> ActivationCode:
    try:
        return await walk(phone)
    finally:
        show(phone.steps)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("flow", type=click.Choice(sorted(FLOWS)))
@click.option("--target", "url", default="https://localhost:8443", show_default=True)
@click.option(
    "--cacert",
    default=Path("var/tls/ca.pem"),
    show_default=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What the node's certificate must come from.",
)
@click.option("--imsi", default="001010000000001", show_default=True, help="Whose phone asks.")
@click.option("--eid", help="Of the eUICC that gets the profile; a new one by default.")
def main(flow: str, url: str, cacert: Path, imsi: str, eid: str | None) -> None:
    """Walk an eSIM flow as a device of the lab.

    The node needs a tenant with [[tenants.smdp-plus]] and free profiles of that SM-DP+.
    """
    subscriber = next((one for one in load_subscribers() if one.imsi == imsi), None)
    if subscriber is None:
        raise click.UsageError(f"{imsi} is not in {DEFAULT_FILE}")
    device = new_device(eid)
    began = time.monotonic()
    try:
        code = trio.run(walk, flow, url, str(cacert), subscriber, device)
    except FlowFailed as error:
        raise click.ClickException(str(error)) from None
    seconds = time.monotonic() - began
    click.echo(f"\n{flow} in {seconds:.2f} s: the device {device.id} fetches {code.qr_text}")


async def walk(
    flow: str, url: str, ca: str, subscriber: LabSubscriber, device: EsimDevice
) -> ActivationCode:
    """One flow.

    Raises:
        FlowFailed: it does not come to its end.
    """
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname in (None, "localhost") else parts.hostname
    context = tls_context(ca, http2=True)
    target = Target((host, parts.port or 443), parts.netloc, context, parts.path or "/")
    return await FLOWS[flow](Phone(subscriber, target), target, device)


def new_device(eid: str | None = None) -> EsimDevice:
    """A device that nobody has seen before."""
    number = secrets.randbelow(10**24)
    return EsimDevice(f"35700000{number % 10**6:06}0", eid or f"89049032{number:024}")


def show(steps: Sequence[Step]) -> None:
    """Each operation on a line."""
    for step in steps:
        found = _leaves(step.application)
        words = " ".join(f"{name}={found[name]}" for name in TOLD if name in found)
        text = words or f"HTTP {step.result.status} {step.result.detail}"
        click.echo(f"{step.name:24}{step.seconds * 1000:8.1f} ms  {text}")


def _leaves(application: dict[str, object]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in application.items():
        if isinstance(value, list):
            for inner in value:
                found.update(_leaves(inner))
        elif isinstance(value, str):
            found[name] = value
    return found


if __name__ == "__main__":
    main()
