"""One phone's exchange as the running node saw it: ladder and document on standard output."""

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from typing import Final

import click
import trio

from scripts.lab.device_http import tls_context
from scripts.lab.installation import Installation
from scripts.lab.phone import Phone, Target
from scripts.lab.subscribers import LabSubscriber

ARM_SECONDS: Final = 10.0
LADDER_SECONDS: Final = 20.0
APPS: Final = ("ap2004", "ap2003", "ap2005", "ap2010")


async def show_exchange(lab: Installation, subscriber: LabSubscriber) -> None:
    """Trace the subscriber, let its phone ask, print what the node recorded.

    Raises:
        click.ClickException: the phone got no document, or nothing was recorded.
    """
    target = Target(
        ("127.0.0.1", lab.port), f"localhost:{lab.port}", tls_context(str(lab.ca), http2=True)
    )
    async with tracing(lab, subscriber.imsi):
        result = await Phone(subscriber, target).authenticate(APPS)
    if not result.ok:
        raise click.ClickException(
            f"the phone got no document: {result.outcome.value}, status {result.status} "
            f"{result.detail}"
        )
    legs = ", ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in result.legs)
    click.echo(f"\nThe phone is authenticated and has its entitlements ({legs}).")


@contextlib.asynccontextmanager
async def tracing(lab: Installation, imsi: str) -> AsyncIterator[None]:
    """`entitlement-node trace` of one exchange beside the block; done when it printed."""
    command = [sys.executable, "-m", "node", "trace", "--imsi", imsi, "--exchanges", "1"]
    command += ["--management", lab.management_url]
    process = await trio.lowlevel.open_process(command, stderr=subprocess.DEVNULL)
    try:
        with trio.fail_after(ARM_SECONDS):
            while not await trio.to_thread.run_sync(traces_running, lab.management_url):  # noqa: ASYNC110
                await trio.sleep(0.05)
        yield
        with trio.fail_after(LADDER_SECONDS):
            await process.wait()
    except trio.TooSlowError:
        raise click.ClickException("the node recorded no exchange") from None
    finally:
        if process.returncode is None:
            process.kill()


def traces_running(management_url: str) -> int:
    """How many traces the node is recording."""
    with urllib.request.urlopen(f"{management_url}/statistics", timeout=2) as answer:  # noqa: S310
        return int(json.load(answer)["trace"]["armed"])
