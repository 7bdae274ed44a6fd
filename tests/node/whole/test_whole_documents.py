"""What is in the documents, over the wire and from the database (APP-37 to APP-42)."""

import itertools
import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from scripts.lab.phone_habits import JSON, SAMSUNG, XML
from tests.node.whole.conftest import Whole
from tests.node.whole.whole_node import WholeNode, asking
from tests.protocols.ts43.document_readers import read_xml

ACCEPT_XML = (b"accept", XML)

# TS.43 §3.3, table 20: (EntitlementStatus, TC, Addr, Prov) that a client has a mode for.
CAN_BE_ACTIVATED = {(1, *rest) for rest in itertools.product((1, 2), (1, 2), (1, 2))}
BEING_PROVISIONED = {(0, *rest) for rest in itertools.product((1, 2), (1, 2), (0, 3))} | {
    (3, *rest) for rest in itertools.product(range(4), repeat=3)
}
DATA_MISSING = {
    (0, tc, addr, prov)
    for tc, addr, prov in itertools.product(range(4), repeat=3)
    if {0, 3} & {tc, addr}
}
CANNOT_BE_OFFERED = {(2, *rest) for rest in itertools.product(range(4), repeat=3)}
TABLE_20 = CAN_BE_ACTIVATED | BEING_PROVISIONED | DATA_MISSING | CANNOT_BE_OFFERED


async def document(node: WholeNode, phone: Any, app: str, version: str = "2.0") -> dict[str, Any]:  # noqa: ANN401
    response = await node.get(asking(phone, app, version), ACCEPT_XML)
    assert response.status == 200, response
    return read_xml(response.body)


def put_vowifi(node: WholeNode, imsi: str, *statuses: int) -> None:
    """Terms, address and provisioning, as a BSS would change them."""
    with closing(sqlite3.connect(node.config.parent / "node.db")) as database, database:
        database.execute(
            "UPDATE subscribers SET vowifi_tc_status = ?, vowifi_addr_status = ?,"
            " vowifi_prov_status = ? WHERE imsi = ?",
            (*statuses, imsi),
        )


async def test_no_combination_outside_table_20_leaves_the_node(whole: Whole) -> None:
    """APP-37; Q-DOC-16: all 64 records, seen by the same phone through its token."""
    async with whole() as node:
        phone = await node.with_token(1)
        seen, user_data = set(), set()
        for statuses in itertools.product(range(4), repeat=3):
            put_vowifi(node, phone.usim.imsi, *statuses)
            found = (await document(node, phone, "ap2004"))["ap2004"]
            names = ("EntitlementStatus", "TC_Status", "AddrStatus", "ProvStatus")
            status, *rest = (int(found[name]) for name in names)
            assert (status, *rest) in TABLE_20, statuses
            seen.add(status)
            if status == 1:
                assert {1, 2} >= set(statuses)
            assert found["ServiceFlow_URL"].startswith("https://")
            assert found["ServiceFlow_UserData"] not in user_data
            user_data.add(found["ServiceFlow_UserData"])
        assert seen == {0, 1, 3}


async def test_what_the_operator_changes_is_in_the_next_answer(whole: Whole) -> None:
    """APP-37: by the command line, beside the running node."""
    async with whole() as node:
        phone = await node.with_token(1)
        assert (await document(node, phone, "ap2004"))["ap2004"]["EntitlementStatus"] == "1"
        await node.change(1, "--vowifi-addr-status", "0")
        assert (await document(node, phone, "ap2004"))["ap2004"]["EntitlementStatus"] == "0"
        await node.change(1, "--override", "vowifi=blocked")
        assert (await document(node, phone, "ap2004"))["ap2004"]["EntitlementStatus"] == "2"


@pytest.mark.parametrize(("version", "nested"), [("2.0", False), ("6.0", False), ("8.0", True)])
async def test_voice_is_flat_before_version_7_and_nested_after(
    whole: Whole, version: str, nested: bool
) -> None:
    """APP-38; Q-DOC-12, Q-DOC-13: both spellings of the capability."""
    async with whole() as node:
        phone = await node.with_token(1)
        found = (await document(node, phone, "ap2003", version))["ap2003"]
        if not nested:
            assert found == {"EntitlementStatus": "1"}
            return
        rows = [row["RATVoiceEntitleInfoDetails"] for row in found["VoiceOverCellularEntitleInfo"]]
        assert [row["AccessType"] for row in rows] == ["1", "2"]
        assert rows[1]["NetworkVoiceIRATCapablity"] == rows[1]["NetworkVoiceIRATCapability"]


async def test_a_data_plan_tells_plan_boosts_and_5g(whole: Whole) -> None:
    """APP-39."""
    async with whole() as node:
        phone = await node.with_token(1, "ap2010")
        found = (await document(node, phone, "ap2010", "12.0"))["ap2010"]
        assert found["DataPlanInfo"][0]["DataPlanInfoDetails"]["AccessType"] == "0"
        assert found["5GSAInfo"][0]["5GSAInfoDetails"] == {"5GSAStatus": "1"}
        without = await node.with_token(7, "ap2010")  # the plan without 5G
        found = (await document(node, without, "ap2010", "12.0"))["ap2010"]
        assert found["5GSAInfo"][0]["5GSAInfoDetails"] == {"5GSAStatus": "0"}


@pytest.mark.parametrize("boost_type", ["0", "166", "2", "77"])
async def test_a_boost_is_answered_with_a_pair_that_android_takes(
    whole: Whole, boost_type: str
) -> None:
    """APP-39; Q-DOC-15."""
    async with whole() as node:
        phone = await node.with_token(1, "ap2010")
        asked = {**asking(phone, "ap2010", "12.0"), "boost_type": boost_type}
        found = read_xml((await node.get(asked, ACCEPT_XML)).body)["ap2010"]
        pair = (int(found["EntitlementStatus"]), int(found["ProvStatus"]))
        assert pair not in {(4, 0), (4, 3), (3, 0), (3, 1)}
        assert (pair[0] == 1) is (boost_type in ("0", "166"))


NOT_OFFERED = {
    "ap2012": ("EntitlementStatus", "2"),
    "ap2013": ("EntitlementStatus", "2"),
    "ap2016": ("EntitlementStatus", "2"),
    "ap2006": ("OperationResult", "101"),  # the request has no operation
    "ap2014": ("OperationResult", "101"),
}


@pytest.mark.parametrize("app", NOT_OFFERED)
async def test_an_application_that_this_node_does_not_offer_is_said_to_be_so(
    whole: Whole, app: str
) -> None:
    """APP-40; Q-DOC-14, Q-DOC-17: all that was asked for is answered, with digits, also in JSON."""
    name, value = NOT_OFFERED[app]
    async with whole() as node:
        phone = await node.with_token(1, app)
        assert (await document(node, phone, app, "12.0"))[app][name] == value
        response = await node.get(asking(phone, app, "12.0"), (b"accept", JSON))
        assert json.loads(response.body)[app][name] == value


async def test_operations_of_an_application_that_is_not_offered(whole: Whole) -> None:
    """TS.43 §2.10, tables 38 and 39; Q-HTTP-5: 405 is one of the statuses that are not sticky."""
    async with whole() as node:
        phone = await node.with_token(1, "ap2004", "ap2009")
        asked = {**asking(phone, "ap2009", "12.0"), "operation": "checkeligibility"}
        found = read_xml((await node.get(asked, ACCEPT_XML)).body)["ap2009"]
        assert found == {"PrimaryAppEligibility": "0", "OperationResult": "1"}
        asked["operation"] = "AcquireConfiguration"
        refused = await node.get(asked, ACCEPT_XML)
        assert refused.status == 405
        mixed = {**asked, "app": "ap2004,ap2009"}
        found = read_xml((await node.get(mixed, ACCEPT_XML)).body)
        assert found["ap2004"]["EntitlementStatus"] == "1"
        assert found["ap2009"]["OperationResult"] == "100"


@pytest.mark.parametrize("barred", [0, -1, -2])
async def test_a_barred_line_gets_the_vers_that_is_configured(whole: Whole, barred: int) -> None:
    """APP-41; Q-HTTP-11."""
    async with whole({"tenants": {0: {"versions": {"barred": barred}}}}) as node:
        phone = await node.with_token(1)
        await node.change(1, "--status", "barred")
        found = await document(node, phone, "ap2004")
        assert found["VERS"] == {"version": str(barred), "validity": str(barred)}
        assert found["ap2004"]["EntitlementStatus"] == "2"
        await node.change(1, "--status", "active")
        found = await document(node, phone, "ap2004")
        assert int(found["VERS"]["version"]) > 0
        assert found["ap2004"]["EntitlementStatus"] == "1"


async def test_a_phone_of_samsung_registers_for_notifications(whole: Whole) -> None:
    """APP-42; Q-TR-15: RegisterNotifStatus 0, then 2 for the same again, 1 for nonsense."""
    async with whole() as node:
        phone = node.phone(1, SAMSUNG)
        phone.more = (("notif_action", "2"), ("notif_token", "fcm:token,with,commas"))
        for expected in ("0", "2"):
            result = await phone.authenticate()
            assert result.document is not None, result
            assert {
                one["RegisterNotifStatus"] for one in result.document.applications.values()
            } == {expected}
        found = await node.get(
            {**asking(phone), "notif_action": "9", "notif_token": "x"}, ACCEPT_XML
        )
        assert read_xml(found.body)["ap2004"]["RegisterNotifStatus"] == "1"


async def test_a_subscriber_whom_the_bss_does_not_know_is_told_that_nothing_was_sold(
    whole: Whole,
) -> None:
    """APP-37: authenticated by the AAA, unknown to the BSS; never an error."""
    async with whole() as node:
        phone = await node.with_token(99_999)
        found = await document(node, phone, "ap2004,ap2003,ap2005")
        apps = {name: one["EntitlementStatus"] for name, one in found.items() if name[:2] == "ap"}
        assert apps == {"ap2004": "2", "ap2003": "2", "ap2005": "2"}
