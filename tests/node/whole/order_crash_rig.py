"""A node that dies in the middle of orders and is started again; its SM-DP+ and AAA live on."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx2
import trio

from actors.store.database import open_database
from actors.store.profiles import Profile as StockProfile
from actors.store.profiles import put_profiles
from actors.store.sql import transaction
from protocols.es2plus.identifiers import ActivationCode
from scripts.lab.aaa_running import HOST, running_aaa
from scripts.lab.odsa_phone import EsimDevice, OdsaPhone
from scripts.lab.phone import Phone, Target
from scripts.lab.smdp_plus_certificates import Authority
from scripts.lab.smdp_plus_notifier import Notifier
from scripts.lab.smdp_plus_profiles import DOWNLOADED, INSTALLED, RELEASED, Inventory, inventory
from scripts.lab.smdp_plus_running import RunningSmdpPlus, running_smdp_plus
from scripts.lab.smdp_plus_server import Receive, Send, SmdpPlusServer
from tests.node.whole.lab_folder import Changes, LabFolder, changed_settings, free_port, subscriber
from tests.node.whole.workers_node import ServedNode

OWNER: Final = "2.999.20"
SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.02
FIRST_LINE: Final = 1_010_000_700_001


class WitnessServer(SmdpPlusServer):
    """An SM-DP+ that can have the node killed around one of its functions.

    Attributes:
        deadly: `before FUNCTION`: the request came, nothing was done; `after FUNCTION`: it was
            done, and no answer goes out; empty: neither.
        kill: ends the node.
    """

    deadly = ""
    kill: Callable[[], object] = staticmethod(lambda: None)

    async def app(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        function = scope.get("path", "").rpartition("/")[2]
        when, _, which = self.deadly.partition(" ")
        if not which or function != which:
            await super().app(scope, receive, send)
            return
        self.deadly = ""
        if when == "after":
            await super().app(scope, receive, _nowhere)
        self.kill()


async def _nowhere(_message: dict[str, Any]) -> None:
    await trio.lowlevel.checkpoint()


@dataclass
class CrashRig:
    """Everything around the node that dies.

    Attributes:
        smdp: lives through all of it; its inventory is the witness.
        node: the process of the moment.
    """

    lab: LabFolder
    folder: Path
    config: Path
    port: int
    management: str
    smdp: RunningSmdpPlus
    server: WitnessServer
    nursery: trio.Nursery
    module: tuple[str, ...] = ("tests.node.whole.dying_node",)
    node: ServedNode | None = None
    numbers: Any = field(default_factory=lambda: count(1))

    @property
    def die_file(self) -> Path:
        """See `dying_node`."""
        return self.folder / "die"

    # --- the process ----------------------------------------------------------------------------

    async def start(self) -> ServedNode:
        """Start a node, and wait until it serves."""
        self.die_file.unlink(missing_ok=True)
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", *self.module, str(self.config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "DIE_FILE": str(self.die_file)},
        )
        node = ServedNode(process, self.lab, self.config, self.port, self.management)
        self.node = node
        self.server.kill = process.kill
        self.nursery.start_soon(node.read_log)
        await node.until("serving")
        with trio.fail_after(SECONDS):
            while (await node.get("/ready"))[0] != 200:  # noqa: ASYNC110
                await trio.sleep(POLL_SECONDS)
        return node

    async def end(self) -> None:
        """Kill it, if it still runs, and wait for its end."""
        node, self.node = self.node, None
        if node is None:
            return
        if node.process.returncode is None:
            node.process.kill()
        with trio.CancelScope(shield=True):
            await node.process.wait()
            assert node.process.stderr is not None
            await node.process.stderr.aclose()

    def phone(self, number: int, app: str) -> OdsaPhone:
        """The phone of a seeded subscriber."""
        context = self.lab.contexts[True]
        target = Target(("127.0.0.1", self.port), f"localhost:{self.port}", context)
        return OdsaPhone(Phone(subscriber(number), target), app)

    def device(self) -> EsimDevice:
        """A device that nobody has ordered for."""
        number = next(self.numbers)
        return EsimDevice(f"35000000{number:06}0", f"8904903200000100000000{number:010}")

    # --- the other sides ------------------------------------------------------------------------

    async def install(self, code: ActivationCode) -> None:
        """Download and install, or go on where that was left; what was not heard is told again."""
        profile = self.smdp.server.inventory.by_matching_id(code.matching_id)
        assert profile is not None, "nobody released this"
        with suppress(httpx2.HTTPError):
            if profile.state == RELEASED:
                await self.smdp.download(profile.iccid)
        with suppress(httpx2.HTTPError):
            if profile.state == DOWNLOADED:
                await self.smdp.install(profile.iccid)
            elif profile.state == INSTALLED and self.smdp.notifier is not None:
                await self.smdp.notifier.notify(profile, 4)

    def orders(self, eid: str) -> list[tuple[str, str, str]]:
        """State, reason and ICCID of the orders for an eUICC."""
        with closing(open_database(self.config.parent / "node.db")) as database:
            return database.execute(
                "SELECT state, reason, iccid FROM orders WHERE target_eid = ? ORDER BY created_at",
                (eid,),
            ).fetchall()

    def known(self) -> list[str]:
        """The ICCIDs that orders have or had."""
        with closing(open_database(self.config.parent / "node.db")) as database:
            rows = database.execute("SELECT iccid FROM orders WHERE iccid <> ''").fetchall()
        return [iccid for (iccid,) in rows]

    def ordered(self, eid: str) -> int:
        """How often a DownloadOrder for an eUICC was carried out."""
        return sum(
            call.result == "Executed-Success" and call.fields.get("eid") == eid
            for call in self.server.books.of("downloadOrder")
        )


@asynccontextmanager
async def crash_rig(
    lab: LabFolder, folder: Path, profiles: int, changes: Changes | None = None
) -> AsyncIterator[CrashRig]:
    """SM-DP+ and AAA, and the configuration of a node that is not started yet."""
    port, management, partner_port = free_port(), free_port(), free_port()
    authority = Authority(folder / "es2")
    own = authority.issue("dp1.lab", hosts=("dp1.lab", "localhost", "127.0.0.1"))
    partner = authority.issue("partner.lab", hosts=("localhost", "127.0.0.1"))
    operator = authority.issue("operator.lab")
    server = WitnessServer(Inventory(inventory(profiles, owner=OWNER)))
    notifier = Notifier(f"https://127.0.0.1:{partner_port}", str(authority.ca), own)
    trusted = authority.ca.read_text()
    async with (
        running_smdp_plus(server, own, trusted, notifier=notifier) as smdp,
        running_aaa() as aaa,
        trio.open_nursery() as nursery,
    ):
        base: dict[str, Any] = {
            "device": {"listen": [f"127.0.0.1:{port}"]},
            "management": {"listen": f"127.0.0.1:{management}"},
            "node": {"workers": 1, "drain-seconds": 2.0},
            "logging": {"level": "info"},
            "orders": {"look-seconds": 0.05, "call-seconds": 5.0},
            "partner": {
                "listen": f"127.0.0.1:{partner_port}",
                "certificate": str(partner.chain),
                "key": str(partner.key),
            },
            "tenants": {
                0: {
                    "odsa": {"inline-seconds": 1.0, "max-companions": 1_000},
                    "smdp-plus": [
                        {
                            "name": "dp1",
                            "url": smdp.url,
                            "requester": OWNER,
                            "address": "dp1.lab",
                            "ca": str(authority.ca),
                            "certificate": str(operator.chain),
                            "key": str(operator.key),
                            "notification-ca": str(authority.ca),
                            "notification-names": ["dp1.lab"],
                        }
                    ],
                }
            },
        }
        path = lab.prepare(folder, [(HOST, aaa.port)], changed_settings(base, changes or {}))
        _stock(folder, server.inventory)
        rig = CrashRig(
            lab, folder, path, port, f"http://127.0.0.1:{management}", smdp, server, nursery
        )
        try:
            yield rig
        finally:
            await rig.end()
            nursery.cancel_scope.cancel()


def _stock(folder: Path, profiles: Inventory) -> None:
    rows = [
        StockProfile(one.iccid, "dp1", one.profile_type, imsi=f"{FIRST_LINE + at:015}")
        for at, one in enumerate(profiles.profiles.values())
    ]
    with closing(open_database(folder / "node.db")) as database, transaction(database):
        put_profiles(database, "mno", rows, 0)
