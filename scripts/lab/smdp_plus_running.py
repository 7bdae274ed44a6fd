"""A running SM-DP+ of the lab: its server, its devices' side, and its notifications."""

import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import httpx2
import trio

from node.partner.listener import server_context
from scripts.lab.smdp_plus_behaviour import Behaviour
from scripts.lab.smdp_plus_certificates import Credential
from scripts.lab.smdp_plus_notifier import Notifier
from scripts.lab.smdp_plus_profiles import (
    AVAILABLE,
    DOWNLOADED,
    ERROR,
    INSTALLED,
    RELEASED,
    Profile,
)
from scripts.lab.smdp_plus_server import LabListener, ReceivedCall, SmdpPlusServer


class WrongState(Exception):
    """The device cannot do that: as its LPA would hear from ES9+ (8.2.6/3.8)."""


@dataclass(slots=True)
class RunningSmdpPlus:
    """What tests and the control connection use.

    Attributes:
        url: of ES2+.
        server: inventory, behaviours and books.
        notifier: None: nobody is told of downloads.
    """

    url: str
    server: SmdpPlusServer
    notifier: Notifier | None

    async def download(self, iccid: str, eid: str | None = None) -> Profile:
        """A device fetches the profile (ES9+ GetBoundProfilePackage): notification point 3.

        Raises:
            WrongState: it is not released, or for another eUICC.
        """
        profile = self._in(iccid, RELEASED, DOWNLOADED)
        if eid is not None and profile.eid not in (None, eid):
            raise WrongState("8.1.1/3.8")
        profile.eid = profile.eid or eid
        profile.move(DOWNLOADED)
        await self._tell(profile, 3)
        return profile

    async def install(self, iccid: str) -> Profile:
        """The eUICC reports that the profile is on it: notification point 4."""
        profile = self._in(iccid, DOWNLOADED)
        profile.move(INSTALLED)
        await self._tell(profile, 4)
        return profile

    async def fail(self, iccid: str, code: str = "8.8.5/3.8", point: int = 4) -> Profile:
        """The user refuses, a limit is reached, or the installation fails: state Error."""
        profile = self._in(iccid, RELEASED, DOWNLOADED)
        profile.move(ERROR)
        await self._tell(profile, point, code)
        return profile

    async def delete(self, iccid: str, *, point: int = 5) -> Profile:
        """The eUICC deleted it; it is available again, as vendors do who reuse ICCIDs."""
        profile = self._in(iccid, INSTALLED)
        await self._tell(profile, point)
        profile.forget_order()
        profile.move(AVAILABLE)
        return profile

    async def after_execution(
        self, nursery: trio.Nursery, call: ReceivedCall, how: Behaviour
    ) -> None:
        """What a behaviour wants done between a function and its answer."""
        profile = self.server.inventory.find(str(call.fields.get("iccid", "")))
        if profile is None:
            return
        if how.notify and self.notifier is not None:
            body = self.notifier.body(profile, how.notify)
            for _ in range(2 if how.notify_twice else 1):
                await self.notifier.send(body)
        if how.install and profile.state == RELEASED:
            nursery.start_soon(self._install_later, profile.iccid, how.install)

    async def _install_later(self, iccid: str, seconds: float) -> None:
        await trio.sleep(seconds)
        try:
            await self.download(iccid)
            await self.install(iccid)
        except (WrongState, httpx2.HTTPError) as error:
            # The order was taken back meanwhile, or the operator is down.
            print(f"{iccid} not installed: {type(error).__name__} {error}", file=sys.stderr)

    def _in(self, iccid: str, *states: str) -> Profile:
        profile = self.server.inventory.find(iccid)
        if profile is None or profile.state not in states:
            raise WrongState("8.2.6/3.8")
        return profile

    async def _tell(self, profile: Profile, point: int, code: str = "") -> None:
        if self.notifier is not None:
            await self.notifier.notify(profile, point, code)


@asynccontextmanager
async def running_smdp_plus(
    server: SmdpPlusServer,
    credential: Credential,
    authorities: str,
    *,
    listen: str = "127.0.0.1:0",
    http2: bool = True,
    notifier: Notifier | None = None,
) -> AsyncIterator[RunningSmdpPlus]:
    """Serve inside the block.

    Args:
        server: what to serve.
        credential: the server's certificate.
        authorities: PEM text that client certificates must come from.
        listen: where; port 0 is any.
        http2: by ALPN, besides HTTP/1.1.
        notifier: told of downloads.
    """
    context = server_context(str(credential.chain), str(credential.key), authorities)
    if not http2:
        context.set_alpn_protocols(["http/1.1"])
    async with running_listener(server, context, listen) as url:
        running = RunningSmdpPlus(url, server, notifier)
        async with trio.open_nursery() as devices:
            server.after_execution = partial(running.after_execution, devices)
            yield running
            devices.cancel_scope.cancel()


@asynccontextmanager
async def running_listener(
    server: SmdpPlusServer, context: ssl.SSLContext, listen: str = "127.0.0.1:0"
) -> AsyncIterator[str]:
    """The listener alone, with any TLS; gives its URL."""
    listener = LabListener(server.app, listen, context, graceful_seconds=0.0)
    async with trio.open_nursery() as nursery:
        url = await nursery.start(listener.run)
        yield str(url)
        nursery.cancel_scope.cancel()
