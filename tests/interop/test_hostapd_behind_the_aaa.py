"""hostapd's EAP server behind the AAA, the whole node before it, phones at the other end.

Chain: phone, node, SWm, our AAA, RADIUS, hostapd, authentication centre. hostapd begins with an
AKA-Identity round, sends AT_CHECKCODE and notifies before it refuses, as real AAA servers do.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from scripts.lab.aaa_running import running_aaa
from scripts.lab.hostapd import find_hostapd
from scripts.lab.phone_habits import AOSP, SAMSUNG, Habits
from tests.node.whole.whole_node import HOST, LabFolder, WholeNode, asking, serving, subscriber

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(find_hostapd() is None, reason="hostapd is not installed"),
]

PATIENT = {
    "sessions": {"finished-seconds": 0.05, "answer-seconds": 9.0},
    "diameter": {"answer-seconds": 4.0, "exchange-seconds": 8.0},
}
BOTH_HABITS = pytest.mark.parametrize("habits", [AOSP, SAMSUNG], ids=lambda one: one.name)


@asynccontextmanager
async def behind(lab: LabFolder, folder: Path) -> AsyncIterator[WholeNode]:
    """A node whose AAA has hostapd behind it."""
    async with running_aaa(hostapd=True) as aaa:
        path = lab.prepare(folder, [(HOST, aaa.port)], PATIENT)
        async with serving(lab, path, [aaa]) as node:
            await node.connected_to_aaa()
            yield node


@BOTH_HABITS
async def test_a_phone_is_authenticated_by_hostapd(
    lab: LabFolder, tmp_path: Path, habits: Habits
) -> None:
    """EAP-13, EAP-14, TOK-26: the identity round is the node's to answer."""
    async with behind(lab, tmp_path) as node:
        phone = node.phone(1, habits)
        result = await phone.authenticate()
        assert (result.ok, result.challenges) == (True, 1), result
        assert node.aaa.books.of(phone.usim.imsi)[0].rounds == 3
        assert (await node.get(asking(phone))).status == 200
        await node.at_rest()


@BOTH_HABITS
async def test_a_card_out_of_step_is_resynchronised_by_hostapd(
    lab: LabFolder, tmp_path: Path, habits: Habits
) -> None:
    """EAP-15."""
    async with behind(lab, tmp_path) as node:
        phone = node.phone(1, habits)
        phone.usim.lose_synchronisation()
        before = phone.usim.sqn
        result = await phone.authenticate()
        assert (result.ok, result.challenges) == (True, 2), result
        assert node.aaa.home.sqn(phone.usim.imsi) == phone.usim.sqn == before + 0x20
        # In step again: the next time one challenge is enough.
        assert (await phone.authenticate()).challenges == 1


async def test_hostapd_refuses_a_wrong_res_and_a_stranger(lab: LabFolder, tmp_path: Path) -> None:
    """EAP-16, EAP-17: the notification before the failure is the node's to answer."""
    async with behind(lab, tmp_path) as node:
        phone = node.phone(1)
        assert (await phone.wrong_res()).status == 403
        assert phone.token == ""
        node.aaa.home._prefixes = ()  # nobody's home network any more
        stranger = await node.phone(subscriber(77)).authenticate()
        assert stranger.status == 403
        await node.at_rest()
