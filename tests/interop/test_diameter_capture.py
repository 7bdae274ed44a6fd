"""tshark reads everything that the node says to its AAA, and has nothing to complain of."""

from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from protocols.diameter import numbers
from scripts.lab.aaa_books import SentRequest
from scripts.lab.aaa_running import running_aaa
from tests.interop.diameter_capture import WARNING, capture, commands, tshark
from tests.interop.programs import needs
from tests.node.whole.whole_node import HOST, LabFolder, mvno_subscriber, serving
from tests.node.whole.wire import wire_to

pytestmark = [pytest.mark.interop, pytest.mark.slow]

CER, RAR, DER, ASR, STR, DWR, DPR = 257, 258, 268, 274, 275, 280, 282
EVERYTHING = {
    "tenants": {
        0: {
            "authentication": {
                "visited-network-identifier": "mnc001.mcc001.3gppnetwork.org",
                "terminal-information": True,
                "service-selection": "ims",
            }
        },
        1: {"authentication": {"application": "swa", "session-termination": False}},
    },
    "sessions": {"finished-seconds": 0.05},
}


@pytest.mark.parametrize("with_everything", [False, True], ids=["as shipped", "every AVP"])
async def test_tshark_reads_the_diameter_leg_without_a_warning(
    lab: LabFolder, tmp_path: Path, mock_clock: MockClock, with_everything: bool
) -> None:
    """CER, DER (four rounds and kinds), STR, ASR, RAR, DWR, DPR, and their answers."""
    needs("tshark")
    needs("text2pcap")
    mock_clock.rate = 1.0
    changes = EVERYTHING if with_everything else {}
    async with running_aaa() as aaa, wire_to(aaa.port) as wire:
        path = lab.prepare(tmp_path / "node", [(HOST, wire.port)], changes)
        async with serving(lab, path, [aaa]) as node:
            await node.connected_to_aaa()
            phone = node.phone(1)
            phone.usim.lose_synchronisation()
            assert (await phone.authenticate()).challenges == 2
            node.behave("unknown,notify-failure")
            assert (await node.phone(3).authenticate()).status == 403
            node.behave("aka-identity,overload=10")  # last: it sheds one session in ten
            assert (await node.phone(mvno_subscriber(1)).authenticate()).ok
            if with_everything:
                for ask in (aaa.reauthorize, aaa.abort):
                    sent = ask(mvno_subscriber(1).imsi)
                    assert sent is not None
                    await node.until(partial(succeeded, sent))
            mock_clock.jump(33)  # Tw
            await node.until(lambda: watched(wire.carried))
            await node.node.router.drain()
            await trio.testing.wait_all_tasks_blocked()
        found = await capture(wire.carried, tmp_path / "leg.pcapng")
    asked = {code for code, is_request in await commands(found) if is_request}
    answered = {code for code, is_request in await commands(found) if not is_request}
    assert asked >= {CER, DER, STR, DWR, DPR} | ({RAR, ASR} if with_everything else set())
    assert answered == asked
    complaints = await tshark(
        found, "-Y", f"_ws.malformed || _ws.expert.severity >= {WARNING}", "-V"
    )
    assert complaints == ""
    kinds = await tshark(found, "-Y", "eap", "-T", "fields", "-e", "eap.type")
    assert {"1", "23"} <= set(kinds.replace(",", "\n").split())


def succeeded(sent: SentRequest) -> bool:
    return sent.code == numbers.SUCCESS


def watched(carried: list[tuple[bool, bytes]]) -> bool:
    """A DWA has passed."""
    return any(
        octets[5:8] == DWR.to_bytes(3, "big") and not octets[4] & 0x80 for _, octets in carried
    )
