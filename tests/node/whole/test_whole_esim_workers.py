"""eSIM orders of a node with several workers: killed, replaced, and reported to all the time."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx2
import pytest
import trio

from protocols.es2plus.identifiers import ActivationCode
from scripts.lab.odsa_flows import watch_parameters
from scripts.lab.odsa_phone import COMPANION, EsimDevice, activation_code
from scripts.lab.smdp_plus_profiles import INSTALLED, RELEASED
from tests.node.whole.lab_folder import LabFolder
from tests.node.whole.order_crash_rig import POLL_SECONDS, SECONDS, CrashRig, crash_rig
from tests.node.whole.workers_node import ServedNode, alive

pytestmark = pytest.mark.slow

WORKERS = {"node": {"workers": 2, "drain-seconds": 5.0}}
SERVE = ("node", "serve", "--config")


@asynccontextmanager
async def rig_with_workers(
    lab: LabFolder, folder: Path
) -> AsyncIterator[tuple[CrashRig, ServedNode]]:
    async with crash_rig(lab, folder, 40, WORKERS) as rig:
        rig.module = SERVE
        node = await rig.start()
        await node.all_ready()
        yield rig, node
        assert await node.end() == 0
        assert rig.server.inventory.ordered_twice() == {}
        assert rig.server.inventory.leaked(rig.known()) == []
        assert not node.logged("bug")


async def ordered(rig: CrashRig, number: int) -> tuple[EsimDevice, ActivationCode]:
    """A watch that has its activation code, however often the phone must ask."""
    phone, watch = rig.phone(number, COMPANION), rig.device()
    named = watch_parameters(watch) | {"companion_terminal_service": "SharedNumber"}
    with trio.fail_after(SECONDS):
        while True:
            asked = await phone.operate("ManageSubscription", operation_type="0", **named)
            if asked.application.get("SubscriptionResult") == "2":
                return watch, activation_code(asked.group("DownloadInfo"))
            assert asked.application.get("SubscriptionResult") in (None, "4"), asked
            await trio.sleep(POLL_SECONDS)


async def until_active(rig: CrashRig, device: EsimDevice) -> None:
    """Until its one order is."""
    with trio.fail_after(SECONDS):
        while [state for state, _, _ in rig.orders(device.eid)] != ["active"]:  # noqa: ASYNC110
            await trio.sleep(POLL_SECONDS)


async def test_every_worker_takes_orders_and_one_hears_of_downloads(
    lab: LabFolder, tmp_path: Path
) -> None:
    async with rig_with_workers(lab, tmp_path) as (rig, node):
        orders, requests = 0, {1: 0, 2: 0}
        while not all(requests.values()):  # the kernel spreads connections
            orders += 1
            device, code = await ordered(rig, orders)
            await rig.install(code)
            await until_active(rig, device)
            requests = await node.statistics("orders", "requests")
        statistics = (await node.json("/statistics"))["workers"]
        assert [number for number, parts in statistics.items() if "partner" in parts] == ["1"]
        kept = await node.count("partner_notifications_received_total", kind="kept")
        assert kept == 2 * orders
        assert await node.count("orders_requests_total") >= orders
        calls = await node.count("smdp_plus_calls_total", kind="downloadOrder executed")
        assert calls == orders


async def test_a_report_waits_while_the_first_worker_is_killed_and_replaced(
    lab: LabFolder, tmp_path: Path
) -> None:
    """No connection of an SM-DP+ is refused: the socket is the supervisor's, too."""
    async with rig_with_workers(lab, tmp_path) as (rig, node):
        device, code = await ordered(rig, 1)
        profile = rig.smdp.server.inventory.by_matching_id(code.matching_id)
        assert profile is not None
        assert profile.state == RELEASED
        pid = (await node.pids())[1]
        os.kill(pid, signal.SIGKILL)
        while alive(pid):  # noqa: ASYNC110
            await trio.sleep(POLL_SECONDS)
        await rig.smdp.download(profile.iccid)  # at once: nobody accepts
        assert rig.smdp.notifier is not None
        assert [one.http_status for one in rig.smdp.notifier.sent] == [204]
        await rig.smdp.install(profile.iccid)
        await until_active(rig, device)


async def test_orders_go_on_while_the_workers_are_replaced(lab: LabFolder, tmp_path: Path) -> None:
    """A rolling restart loses no order, no answer of an SM-DP+ and no report."""
    async with rig_with_workers(lab, tmp_path) as (rig, node):
        rig.server.behaviours.set("*", "delay=0.05")
        devices: list[EsimDevice] = []
        rolled = trio.Event()

        async def order_on(first: int) -> None:
            number = first
            while not rolled.is_set() or number == first:
                device, code = await ordered(rig, number)
                devices.append(device)
                profile = rig.smdp.server.inventory.by_matching_id(code.matching_id)
                assert profile is not None
                await rig.smdp.download(profile.iccid)
                await rig.smdp.install(profile.iccid)
                number += 2
                if number > 30:
                    return

        async with trio.open_nursery() as nursery:
            for first in (1, 2):
                nursery.start_soon(order_on, first)
            node.process.send_signal(signal.SIGUSR2)
            await node.until("rolling restart done")
            rolled.set()
        for device in devices:
            await until_active(rig, device)
            ((_, _, iccid),) = rig.orders(device.eid)
            (live,) = rig.server.inventory.of_eid(device.eid)
            assert (live.iccid, live.state, live.orders) == (iccid, INSTALLED, 1)
        assert rig.smdp.notifier is not None
        assert {one.http_status for one in rig.smdp.notifier.sent} == {204}
        results = rig.server.books.counts()
        assert {name.partition(" ")[2] for name in results} == {"Executed-Success"}, results


async def test_a_worker_that_is_killed_leaves_its_orders_to_the_others(
    lab: LabFolder, tmp_path: Path
) -> None:
    """Or takes them up itself, when it is back: its name in the leases is the same."""
    async with rig_with_workers(lab, tmp_path) as (rig, node):
        for number, number_of_worker in enumerate((1, 2), start=1):
            rig.server.behaviours.set("*", "late=1.0,function=confirmOrder,times=1")
            phone, watch = rig.phone(number, COMPANION), rig.device()
            named = watch_parameters(watch) | {"companion_terminal_service": "SharedNumber"}
            confirmed = len(rig.server.books.of("confirmOrder"))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(
                    partial(phone.operate, "ManageSubscription", operation_type="0", **named)
                )
                with trio.fail_after(SECONDS):
                    while len(rig.server.books.of("confirmOrder")) == confirmed:  # noqa: ASYNC110
                        await trio.sleep(POLL_SECONDS)
                os.kill((await node.pids())[number_of_worker], signal.SIGKILL)
            with trio.fail_after(SECONDS):
                while rig.orders(watch.eid)[0][0] != "released":  # noqa: ASYNC110
                    await trio.sleep(POLL_SECONDS)
            (live,) = rig.server.inventory.of_eid(watch.eid)
            await rig.smdp.download(live.iccid)
            await rig.smdp.install(live.iccid)
            await until_active(rig, watch)


async def test_nobody_without_a_certificate_reports(lab: LabFolder, tmp_path: Path) -> None:
    async with rig_with_workers(lab, tmp_path) as (rig, _):
        assert rig.smdp.notifier is not None
        rig.smdp.notifier.credential = None
        with pytest.raises(httpx2.HTTPError):
            await rig.smdp.notifier.send(b"{}")
