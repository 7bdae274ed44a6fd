"""An operator and a virtual operator on one node: told apart, and nothing leaks (MT-54)."""

import pytest
import trio

from scripts.lab.phone_habits import AOSP, SAMSUNG, XML, Habits
from tests.node.whole.conftest import Whole
from tests.node.whole.whole_node import (
    MNO_HOST,
    MVNO_HOST,
    Changes,
    WholeNode,
    asking,
    mvno_subscriber,
    subscriber,
)
from tests.protocols.ts43.document_readers import read_xml

ACCEPT_XML = (b"accept", XML)
BY_GID1: Changes = {"tenants": {1: {"imsi-ranges": []}}}
BOTH_HABITS = pytest.mark.parametrize("habits", [AOSP, SAMSUNG], ids=lambda one: one.name)


def served(node: WholeNode) -> set[str]:
    """Tenants that answered 200 with a document."""
    rows = node.counted("exchanges")
    return {str(tenant) for (tenant, _, status, _) in rows if status == "200"}


async def validity(node: WholeNode, phone_parameters: dict[str, str], host: str) -> str:
    """Of TOKEN: an hour at the virtual operator, two days at the operator."""
    response = await node.get(phone_parameters, ACCEPT_XML, host=host)
    assert response.status == 200
    token: dict[str, str] = read_xml(response.body)["TOKEN"]
    return "mvno" if int(token["validity"]) <= 3_600 else "mno"


@BOTH_HABITS
async def test_the_imsi_range_tells_the_tenants_apart_on_one_host(
    whole: Whole, habits: Habits
) -> None:
    """MT-54."""
    async with whole() as node:
        ours, theirs = node.phone(1, habits), node.phone(mvno_subscriber(1), habits)
        assert (await theirs.authenticate()).ok
        assert served(node) == {"mvno"}
        assert (await ours.authenticate()).ok
        assert served(node) == {"mno", "mvno"}
        assert await validity(node, asking(ours), MNO_HOST) == "mno"
        assert await validity(node, asking(theirs), MNO_HOST) == "mvno"


async def test_the_host_name_leads_to_its_tenant_and_not_to_another(whole: Whole) -> None:
    """MT-54: a name of the virtual operator alone serves none of the operator's subscribers."""
    async with whole() as node:
        assert (await node.phone(mvno_subscriber(1), host=MVNO_HOST).authenticate()).ok
        asked = node.asked()
        refused = await node.phone(1, host=MVNO_HOST).authenticate()
        assert refused.status == 403
        assert node.asked() == asked
        assert served(node) == {"mvno"}


async def test_gid1_tells_the_tenants_apart_where_nothing_else_does(whole: Whole) -> None:
    """MT-54: two of the same network, without ranges."""
    async with whole(BY_GID1) as node:
        with_gid, without = node.phone(mvno_subscriber(1)), node.phone(1)
        with_gid.more = (("GID1", "a1"),)
        assert (await with_gid.authenticate()).ok
        assert served(node) == {"mvno"}
        assert (await without.authenticate()).ok
        assert served(node) == {"mno", "mvno"}


async def test_the_same_subscriber_at_two_tenants_has_two_lives(whole: Whole) -> None:
    """MT-54: tokens, plans and revocation of one do not touch the other's."""
    async with whole(BY_GID1) as node:
        imsi = mvno_subscriber(1).imsi
        await node.operate("subscribers", "set", "-t", "mno", imsi, "--add", "--plan", "no-vowifi")
        here, there = node.phone(mvno_subscriber(1)), node.phone(mvno_subscriber(1))
        there.more = (("GID1", "A1"),)
        assert (await here.authenticate()).ok
        result = await there.authenticate()
        assert result.document is not None
        assert result.document.status("ap2004") == "1"
        again = await here.with_token()
        assert again.document is not None
        assert again.document.status("ap2004") == "2"
        # A token is worth nothing at the other one.
        stolen = {**asking(here), "token": there.token}
        by_token_alone = await node.get(stolen)
        assert by_token_alone.status in (200, 511)
        if by_token_alone.status == 200:  # the token itself says whose it is
            assert read_xml(by_token_alone.body)["ap2004"]["EntitlementStatus"] == "1"
        await node.operate("tokens", "revoke", "-t", "mno", "--imsi", imsi)
        assert (await node.get(asking(here))).status == 511
        assert (await there.with_token()).ok


async def test_tenants_speak_their_own_language(whole: Whole) -> None:
    """MT-54, T-11; Q-TR-10."""
    async with whole() as node:
        texts = {}
        for name, who in (("mno", subscriber(8)), ("mvno", mvno_subscriber(20))):
            await node.change(who, "--override", "vowifi=blocked")
            phone = node.phone(who)
            assert (await phone.authenticate(("ap2004",))).ok
            found = await node.get(asking(phone), ACCEPT_XML)
            texts[name] = read_xml(found.body)["ap2004"]["MessageForIncompatible"]
        assert texts["mno"] != texts["mvno"]


async def test_both_tenants_at_once_never_mix(whole: Whole) -> None:
    """MT-54: fifteen phones each, interleaved."""
    async with whole() as node:
        found: dict[str, str] = {}

        async def ask(who: str, number: int) -> None:
            own = mvno_subscriber(number) if who == "mvno" else subscriber(number)
            phone = node.phone(own, SAMSUNG if number % 2 else AOSP)
            result = await phone.authenticate(("ap2004",))
            assert result.ok, result
            found[own.imsi] = await validity(node, asking(phone), MNO_HOST)
            assert found[own.imsi] == who

        async with trio.open_nursery() as nursery:
            for number in range(1, 16):
                nursery.start_soon(ask, "mno", number)
                nursery.start_soon(ask, "mvno", number)
        assert len(found) == 30


async def test_who_comes_to_the_wrong_operator_gets_nothing_of_the_right_one(whole: Whole) -> None:
    """MT-54: no host in common, so the other tenant's record is out of reach."""
    async with whole({"tenants": {1: {"hosts": [MVNO_HOST]}}}) as node:
        lost = node.phone(mvno_subscriber(1), host=MNO_HOST)
        result = await lost.authenticate()
        assert result.document is not None
        assert {one["EntitlementStatus"] for one in result.document.applications.values()} == {"2"}
        assert served(node) == {"mno"}
        right = node.phone(mvno_subscriber(1), host=MVNO_HOST)
        result = await right.authenticate()
        assert result.document is not None
        assert result.document.status("ap2004") == "1"
        # And the token of the one is none at the other.
        assert (await node.get(asking(lost), host=MVNO_HOST)).status == 511
