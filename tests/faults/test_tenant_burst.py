"""One tenant's phones all come at once; the other's do not notice."""

import subprocess
import sys
from pathlib import Path

import pytest
import trio

from scripts.lab.aaa_running import HOST
from scripts.lab.phone import Target
from tests.faults.aaa_process import aaa_process
from tests.faults.devices import Device
from tests.faults.fault_node import FaultNode, fault_node
from tests.faults.report import Report
from tests.faults.rest import at_rest
from tests.node.whole.lab_folder import LabFolder, mvno_subscriber

pytestmark = [pytest.mark.faults, pytest.mark.slow]

BURST_PER_SECOND = 3_000  # more than any single process does
BURST_SECONDS = 60  # or until the others have been served
OTHERS = 20  # devices of the other tenant, one after the other
OTHER_HOST = "aes.mvno.localhost"
OWN_SHARE_SECONDS = "0.2"  # a bucket of the histogram
LOOK_SECONDS = 0.3  # /metrics is work, too
AT_LEAST = 0.99  # of all legs of the burst


def other_device(node: FaultNode, number: int) -> Device:
    """A phone of the tenant that does not burst."""
    target = Target(("127.0.0.1", node.port), f"{OTHER_HOST}:{node.port}", node.lab.contexts[True])
    return Device(mvno_subscriber(number), target)


async def test_a_burst_of_one_tenant_does_not_slow_another(
    lab: LabFolder, tmp_path: Path, report: Report
) -> None:
    async with aaa_process() as aaa, fault_node(lab, tmp_path, [(HOST, aaa.port)]) as node:
        await aaa.behave("multi-round-time-out=3")  # the devices of the burst leave in the middle
        burst = await trio.lowlevel.open_process(
            [
                sys.executable, "-m", "scripts.bench.overload_client", "--port", str(node.port),
                "--ca", str(lab.ca), "--rate", str(BURST_PER_SECOND),
                "--seconds", str(BURST_SECONDS),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            with trio.fail_after(BURST_SECONDS / 2):
                while not await node.count("admission_limiting"):  # noqa: ASYNC110
                    await trio.sleep(LOOK_SECONDS)
            visits = [
                await other_device(node, number).authenticate() for number in range(1, OTHERS + 1)
            ]
            still = burst.returncode is None
        finally:
            burst.kill()
            with trio.CancelScope(shield=True):
                await burst.wait()
        report.add("the other tenant", *visits)
        assert still, "the burst was over too early to show anything"
        assert {status for one in visits for status in one.statuses} == {200}
        assert max(one.extra_rounds for one in visits) == 0
        assert await node.count("shed_total", tenant="mvno") == 0
        legs = await node.count("own_share_seconds_bucket", le="+Inf")
        quick = await node.count("own_share_seconds_bucket", le=OWN_SHARE_SECONDS)
        assert quick >= legs * AT_LEAST
        await at_rest(node)
