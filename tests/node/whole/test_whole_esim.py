"""A device's eSIM from the first request to the working line: node, AAA and SM-DP+ on sockets.

Nothing is replaced: EAP-AKA over Diameter, ES2+ over mutual TLS both ways, SQLite.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

from protocols.es2plus.identifiers import ActivationCode
from scripts.lab.odsa_flows import (
    new_line,
    pair_watch,
    temporary_token,
    transfer_by_old_phone,
    transfer_by_token,
    watch_parameters,
)
from scripts.lab.odsa_phone import COMPANION, PRIMARY, EsimDevice, OdsaPhone, TokenBearer
from scripts.lab.smdp_plus_behaviour import Behaviours
from scripts.lab.smdp_plus_certificates import Authority, Credential
from scripts.lab.smdp_plus_notifier import Notifier
from scripts.lab.smdp_plus_profiles import Inventory, inventory
from scripts.lab.smdp_plus_running import RunningSmdpPlus, running_smdp_plus
from scripts.lab.smdp_plus_server import SmdpPlusServer
from scripts.traffic.call import Call
from scripts.traffic.device import HttpsDevices, Target
from scripts.traffic.scenario import find, load_scenario
from scripts.traffic.statistics import Statistics
from scripts.traffic.subscribers import Caller
from tests.node.whole.conftest import Whole
from tests.node.whole.whole_node import WholeNode, free_port, subscriber

OWNER = "2.999.20"
WATCH = EsimDevice("350000000000026", "89049032000001000000000012345678")
NEW_PHONE = EsimDevice("350000000000034", "89049032000001000000000087654321", name="")
PROFILES = 6


@dataclass
class Vendor:
    """Certificates of an SM-DP+ and of the operator, and a running SM-DP+."""

    authority: Authority
    server: Credential
    operator: Credential
    partner: Credential
    partner_port: int
    running: RunningSmdpPlus

    def settings(self, **odsa: object) -> dict[str, Any]:
        """What the node is configured with."""
        smdp_plus = {
            "name": "dp1",
            "url": self.running.url,
            "requester": OWNER,
            "address": "dp1.lab",
            "ca": str(self.authority.ca),
            "certificate": str(self.operator.chain),
            "key": str(self.operator.key),
            "notification-ca": str(self.authority.ca),
            "notification-names": ["dp1.lab"],
        }
        return {
            "partner": {
                "listen": f"127.0.0.1:{self.partner_port}",
                "certificate": str(self.partner.chain),
                "key": str(self.partner.key),
            },
            "orders": {"look-seconds": 0.05},
            "tenants": {0: {"smdp-plus": [smdp_plus], "odsa": {"inline-seconds": 1.0, **odsa}}},
        }

    async def install(self, code: ActivationCode) -> None:
        """The device fetches the profile and installs it; both are reported."""
        profile = self.running.server.inventory.by_matching_id(code.matching_id)
        assert profile is not None, "nobody released this"
        await self.running.download(profile.iccid)
        await self.running.install(profile.iccid)

    def calls(self) -> list[str]:
        """The functions called so far."""
        return self.running.server.books.order()


@asynccontextmanager
async def vendor_at(folder: Path, *behaviours: str) -> AsyncIterator[Vendor]:
    authority = Authority(folder / "es2")
    server = authority.issue("dp1.lab", hosts=("dp1.lab", "localhost", "127.0.0.1"))
    partner = authority.issue("partner.lab", hosts=("localhost", "127.0.0.1"))
    port = free_port()
    notifier = Notifier(f"https://127.0.0.1:{port}", str(authority.ca), server)
    lab = SmdpPlusServer(Inventory(inventory(PROFILES, owner=OWNER)), Behaviours())
    for one in behaviours:
        who, _, words = one.partition("=")
        lab.behaviours.set(who, words)
    trusted = authority.ca.read_text()
    async with running_smdp_plus(lab, server, trusted, notifier=notifier) as running:
        yield Vendor(authority, server, authority.issue("operator.lab"), partner, port, running)


def stock(node: WholeNode, vendor: Vendor) -> None:
    """Bring the vendor's profiles into the tenant's pool, each with its IMSI."""
    rows = [
        ("mno", one.iccid, "dp1", one.profile_type, f"00101090000000{number:01d}")
        for number, one in enumerate(vendor.running.server.inventory.profiles.values())
    ]
    with closing(sqlite3.connect(node.config.parent / "node.db")) as database, database:
        database.executemany(
            "INSERT INTO profiles (tenant, iccid, smdp, profile_type, state, imsi, msisdn,"
            " matching_id, batch, imported_at, changed_at, order_id)"
            " VALUES (?, ?, ?, ?, 'available', ?, '', '', 'test', 0, 0, '')",
            rows,
        )


def states(node: WholeNode) -> list[str]:
    """The state of each order, in the order of their beginning."""
    with closing(sqlite3.connect(node.config.parent / "node.db")) as database:
        return [row[0] for row in database.execute("SELECT state FROM orders ORDER BY order_id")]


async def test_a_watch_gets_its_line_from_the_smdp_plus(whole: Whole, tmp_path: Path) -> None:
    """FLOW-01, FLOW-02, ODSA-43, ODSA-44: exactly the calls of one order."""
    async with vendor_at(tmp_path) as vendor, whole(vendor.settings()) as node:
        stock(node, vendor)
        phone = OdsaPhone(node.phone(1), COMPANION)
        code = await pair_watch(phone, WATCH, install=vendor.install, poll_seconds=0.05)
        assert code.smdp_address == "dp1.lab"
        assert vendor.calls() == ["downloadOrder", "confirmOrder", "releaseProfile"]
        assert states(node) == ["active"]
        again = await phone.operate(
            "ManageSubscription",
            operation_type="0",
            companion_terminal_service="SharedNumber",
            **watch_parameters(WATCH),
        )
        assert again.application["SubscriptionResult"] == "3"
        assert len(vendor.calls()) == 3


async def test_ten_requests_at_the_same_time_are_one_order(whole: Whole, tmp_path: Path) -> None:
    """FLOW-03."""
    async with vendor_at(tmp_path) as vendor, whole(vendor.settings()) as node:
        stock(node, vendor)
        phone = OdsaPhone(node.phone(2), PRIMARY)
        await phone.operate("CheckEligibility")
        codes = set()

        async def subscribe() -> None:
            twin = OdsaPhone(node.phone(2), PRIMARY)
            twin.phone.token = phone.phone.token
            step = await twin.operate(
                "ManageSubscription",
                operation_type="0",
                target_terminal_id=NEW_PHONE.id,
                target_terminal_eid=NEW_PHONE.eid,
            )
            codes.add(step.group("DownloadInfo").get("ProfileActivationCode"))

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(subscribe)
        assert len(codes) == 1
        assert vendor.calls().count("downloadOrder") == 1


async def test_a_slow_smdp_plus_is_polled_until_the_profile_is_there(
    whole: Whole, tmp_path: Path
) -> None:
    """FLOW-11, ODSA-46a."""
    slow = vendor_at(tmp_path, "*=delay=0.6,function=confirmOrder")
    async with slow as vendor, whole(vendor.settings(**{"inline-seconds": 0.2})) as node:
        stock(node, vendor)
        phone = OdsaPhone(node.phone(3), PRIMARY)
        await new_line(phone, NEW_PHONE, install=vendor.install, poll_seconds=0.1)
        results = [step.application.get("SubscriptionResult") for step in phone.steps]
        assert results[1] == "4"
        assert vendor.calls().count("downloadOrder") == 1


async def test_an_old_phone_transfers_its_line_and_keeps_it_until_the_new_one_has_it(
    whole: Whole, tmp_path: Path
) -> None:
    """FLOW-12, ODSA-47: the old line ends after the installation, and once."""
    async with vendor_at(tmp_path) as vendor, whole(vendor.settings()) as node:
        stock(node, vendor)
        phone = OdsaPhone(node.phone(4), PRIMARY)
        code = await transfer_by_old_phone(phone, NEW_PHONE)
        assert await transfer_by_old_phone(phone, NEW_PHONE) == code
        assert vendor.calls().count("downloadOrder") == 1
        assert line_status(node, phone.phone.usim.imsi) == "active"
        await vendor.install(code)
        await until(lambda: states(node) == ["active"])
        assert line_status(node, phone.phone.usim.imsi) == "terminated"


async def test_a_new_phone_transfers_a_line_with_a_temporary_token(
    whole: Whole, tmp_path: Path
) -> None:
    """ODSA-50, FLOW-17 (the device that used it first is the only one)."""
    async with vendor_at(tmp_path) as vendor, whole(vendor.settings()) as node:
        stock(node, vendor)
        token = await temporary_token(OdsaPhone(node.phone(5), PRIMARY))
        bearer = TokenBearer(node.target(), NEW_PHONE, token, PRIMARY)
        await transfer_by_token(bearer, NEW_PHONE, install=vendor.install)
        await until(lambda: states(node) == ["active"])
        thief = TokenBearer(node.target(), WATCH, token, PRIMARY)
        step = await thief.operate(
            "ManageSubscription",
            operation_type="3",
            target_terminal_id=WATCH.id,
            target_terminal_eid=WATCH.eid,
        )
        assert step.result.status == 401


async def test_an_empty_pool_is_a_delayed_download(whole: Whole, tmp_path: Path) -> None:
    """FLOW-04: no error page."""
    async with vendor_at(tmp_path) as vendor, whole(vendor.settings()) as node:
        phone = OdsaPhone(node.phone(6), PRIMARY)
        step = await phone.operate(
            "ManageSubscription", operation_type="0", target_terminal_eid=NEW_PHONE.eid
        )
        assert step.application["SubscriptionResult"] == "4"
        assert vendor.calls() == []


async def test_a_watch_is_unsubscribed_before_and_after_its_download(
    whole: Whole, tmp_path: Path
) -> None:
    """FLOW-14 and type 1."""
    async with vendor_at(tmp_path) as vendor, whole(vendor.settings()) as node:
        stock(node, vendor)
        phone = OdsaPhone(node.phone(7), COMPANION)
        await pair_watch(phone, WATCH, install=vendor.install, poll_seconds=0.05)
        step = await phone.operate(
            "ManageSubscription", operation_type="1", **watch_parameters(WATCH)
        )
        assert step.application["SubscriptionResult"] in ("3", "4")
        await until(lambda: states(node) == ["ended"])


def line_status(node: WholeNode, imsi: str) -> str:
    """Of a subscriber, as the embedded BSS has it."""
    with closing(sqlite3.connect(node.config.parent / "node.db")) as database:
        query = "SELECT status FROM subscribers WHERE tenant = 'mno' AND imsi = ?"
        found: str = database.execute(query, (imsi,)).fetchone()[0]
        return found


async def until(condition: Callable[[], bool]) -> None:
    """For what is told by nobody: the state of an order in the database."""
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.02)


async def test_of_two_servers_with_one_temporary_token_one_hears_the_number(
    whole: Whole, tmp_path: Path
) -> None:
    """AUTH-35: single use, also at the same moment."""
    async with vendor_at(tmp_path) as vendor:
        settings = vendor.settings()
        settings["tenants"][0]["phone-number"] = {"offered": True, "sim-id": "imsi"}
        async with whole(settings) as node:
            phone = OdsaPhone(node.phone(9), "ap2014")
            issued = await phone.operate(
                "AcquireTemporaryToken", operation_targets="GetPhoneNumber"
            )
            server = {
                "requestor_id": "191fd7cc-f7cd-4bb4-a5d2-455ae1fb9a19",
                "temporary_token": issued.one("TemporaryToken"),
                "app": "ap2014",
                "operation": "GetPhoneNumber",
                "entitlement_version": "12.0",
            }
            statuses: list[int] = []

            async def ask() -> None:
                statuses.append((await node.get(server)).status)

            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(ask)
            assert sorted(statuses) == [200, 401, 401, 401]


# --- traffic --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["primary_new_line", "esim_transfer", "watch_companion"])
async def test_a_traffic_scenario_passes_twice_for_one_subscriber(
    whole: Whole, tmp_path: Path, name: str
) -> None:
    """What a call took is given back, so that a load can go on for hours."""
    scenario = load_scenario(find(name))
    installs = ["*=install=0.05,function=releaseProfile"] if name == "watch_companion" else []
    async with vendor_at(tmp_path, *installs) as vendor, whole(vendor.settings()) as node:
        stock(node, vendor)
        target = Target.parse(f"https://localhost:{node.port}")
        devices = await HttpsDevices.to(target, str(node.lab.ca), http2=True)
        caller, statistics = Caller(subscriber(8)), Statistics()
        for _ in range(2):
            record = statistics.begin(due=0.0, now=0.0)
            await Call(caller, record, devices.open, "", trio.current_time()).run(scenario.steps)
        wanted = {"watch_companion": "ended"}.get(name, "cancelled")
        await until(lambda: states(node) == [wanted] * 2)
