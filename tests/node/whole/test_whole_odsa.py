"""On-device service activation through the whole node: TLS, sessions, tokens; orders in memory."""

import base64
from pathlib import Path
from typing import Any

import pytest

from actors.orders.transitions import State
from protocols.es2plus.identifiers import ActivationCode
from scripts.lab.aaa_running import running_aaa
from scripts.lab.odsa_device import FLOWS, new_device, walk
from scripts.lab.odsa_flows import (
    new_line,
    pair_watch,
    server_initiated,
    temporary_token,
    transfer_by_old_phone,
    transfer_by_token,
)
from scripts.lab.odsa_phone import (
    COMPANION,
    PRIMARY,
    SERVER,
    EsimDevice,
    FlowFailed,
    OdsaPhone,
    TokenBearer,
)
from scripts.lab.phone_habits import SAMSUNG
from tests.actors.odsa.order_desk import SMDP, MemoryDesk
from tests.node.whole.conftest import Whole
from tests.node.whole.device_legs import answer_of, first_leg, relay
from tests.node.whole.whole_node import HOST, LabFolder, WholeNode, asking, serving, subscriber
from tests.protocols.ts43.document_readers import read_xml

WATCH = EsimDevice("350000000000026", "89049032000001000000000012345678")
NEW_PHONE = EsimDevice("350000000000034", "89049032000001000000000087654321", name="")
SMDP_PLUS = {
    "name": "dp1",
    "url": "http://127.0.0.1:1",
    "requester": "2.999.20",
    "inside-vpn": True,
    "ca": "",
    "certificate": "",
    "key": "",
}


def offering(**odsa: object) -> dict[str, Any]:
    """The settings of a tenant that offers it."""
    return {
        "tenants": {
            0: {
                "smdp-plus": [SMDP_PLUS],
                "odsa": {"server": True, "inline-seconds": 0.5, **odsa},
                "phone-number": {"offered": True, "sim-id-key": "key"},
            }
        }
    }


def desk_of(node: WholeNode) -> MemoryDesk:
    """Orders in memory, behind the running node."""
    desk = MemoryDesk()
    node.node.clerk.desk = desk
    return desk


def installing(desk: MemoryDesk) -> Any:  # noqa: ANN401
    """The eUICC and the SM-DP+: what was downloaded is installed."""

    async def install(code: ActivationCode) -> None:
        for order_id, view in desk.orders.items():
            if view.activation_code == code:
                desk.move(order_id, State.ACTIVE)
                return
        raise AssertionError("nobody ordered this")

    return install


async def test_a_watch_is_paired_from_eligibility_to_service(whole: Whole) -> None:
    """ODSA-43, ODSA-44, FLOW-01: the first request by EAP-AKA, the others by token."""
    async with whole(offering()) as node:
        desk = desk_of(node)
        phone = OdsaPhone(node.phone(1), COMPANION)
        code = await pair_watch(phone, WATCH, install=installing(desk), poll_seconds=0)
        assert code.smdp_address == SMDP
        assert [step.name for step in phone.steps] == [
            "CheckEligibility",
            "AcquireConfiguration",
            "ManageSubscription(0)",
            "ManageService(10)",
            "AcquireConfiguration",
        ]
        assert phone.steps[0].result.challenges == 1
        assert not any(step.result.challenges for step in phone.steps[1:])
        assert all(step.application["OperationResult"] == "1" for step in phone.steps)
        (order,) = desk.requests
        assert order.imsi == phone.phone.usim.imsi
        assert (order.target_eid, order.device.friendly_name) == (WATCH.eid, "Lab watch")
        counted = {key[1:]: number for key, number in node.counted("operations").items()}
        assert counted == {
            (COMPANION, "CheckEligibility", "CompanionAppEligibility 1"): 1,
            (COMPANION, "AcquireConfiguration", "OperationResult 1"): 2,
            (COMPANION, "ManageSubscription", "SubscriptionResult 2"): 1,
            (COMPANION, "ManageService", "ServiceStatus 1"): 1,
        }


async def test_a_watch_whose_profile_is_delayed_polls(whole: Whole) -> None:
    """ODSA-46a, FLOW-11."""
    async with whole(offering()) as node:
        desk = desk_of(node)
        desk.slow = True
        phone = OdsaPhone(node.phone(1), COMPANION)
        operate = phone.operate

        async def impatient(operation: str, **params: str) -> Any:  # noqa: ANN401
            step = await operate(operation, **params)
            if len(phone.steps) == 5:
                desk.move(next(iter(desk.orders)), State.RELEASED)
            return step

        phone.operate = impatient  # type: ignore[method-assign]
        await pair_watch(phone, WATCH, install=installing(desk), poll_seconds=0)
        assert phone.steps[2].application["SubscriptionResult"] == "4"
        waiting = phone.steps[3].group("CompanionConfigurations", "CompanionConfiguration")
        assert (waiting["ServiceStatus"], waiting["PollingInterval"]) == ("2", "1")


async def test_a_repeated_subscription_gives_the_same_code_once(whole: Whole) -> None:
    """FLOW-02."""
    async with whole(offering()) as node:
        desk = desk_of(node)
        phone = OdsaPhone(node.phone(1), PRIMARY)
        codes = [await new_line_code(phone) for _ in range(2)]
        assert codes[0] == codes[1]
        assert len(desk.orders) == 1


async def new_line_code(phone: OdsaPhone) -> str:
    step = await phone.operate(
        "ManageSubscription", operation_type="0", target_terminal_eid=NEW_PHONE.eid
    )
    found: str = step.group("DownloadInfo")["ProfileActivationCode"]
    assert base64.b64decode(found, validate=True).startswith(b"1$")
    return found


async def test_a_phone_gets_another_line(whole: Whole) -> None:
    async with whole(offering()) as node:
        desk = desk_of(node)
        phone = OdsaPhone(node.phone(2), PRIMARY)
        await new_line(phone, NEW_PHONE, install=installing(desk), poll_seconds=0)
        (view,) = desk.orders.values()
        assert view.state is State.ACTIVE


async def test_the_old_phone_transfers_its_line(whole: Whole) -> None:
    """ODSA-47."""
    async with whole(offering()) as node:
        desk = desk_of(node)
        phone = OdsaPhone(node.phone(3), PRIMARY)
        first = await transfer_by_old_phone(phone, NEW_PHONE)
        assert await transfer_by_old_phone(phone, NEW_PHONE) == first
        assert len(desk.orders) == 1
        assert desk.requests[0].old_terminal_id == phone.phone.imei


async def test_a_new_phone_transfers_with_a_temporary_token(whole: Whole) -> None:
    """ODSA-50, AUTH-35."""
    async with whole(offering()) as node:
        desk = desk_of(node)
        desk.slow = True
        old = OdsaPhone(node.phone(4), PRIMARY)
        token = await temporary_token(old)
        bearer = TokenBearer(node.target(), NEW_PHONE, token, PRIMARY)
        asked = await bearer.operate(
            "ManageSubscription", operation_type="3", target_terminal_eid=NEW_PHONE.eid,
            target_terminal_id=NEW_PHONE.id,
        )  # fmt: skip
        assert asked.application["SubscriptionResult"] == "4"
        assert asked.result.document is not None
        assert asked.result.document.token == ""
        desk.move(next(iter(desk.orders)), State.RELEASED)
        await transfer_by_token(bearer, NEW_PHONE, install=installing(desk))
        order = desk.requests[0]
        assert (order.imsi, order.old_terminal_id) == (old.phone.usim.imsi, old.phone.imei)
        assert order.token_hash


async def test_a_temporary_token_that_is_no_good_is_401_or_403(whole: Whole) -> None:
    """FLOW-17, AUTH-35; TS.43 table 8."""
    async with whole(offering()) as node:
        desk = desk_of(node)
        token = await temporary_token(OdsaPhone(node.phone(5), PRIMARY))
        named = {"target_terminal_eid": NEW_PHONE.eid, "target_terminal_id": NEW_PHONE.id}

        async def status(token: str, operation: str, app: str = PRIMARY, **params: str) -> int:
            bearer = TokenBearer(node.target(), NEW_PHONE, token, app)
            return (await bearer.operate(operation, **params)).result.status

        transfer = {"operation_type": "3", **named}
        assert await status("unknown", "ManageSubscription", **transfer) == 401
        assert await status(token, "CheckEligibility") == 403
        assert await status(token, "ManageSubscription", SERVER, **transfer) == 403
        for kind in ("0", "1", "7"):
            given = {**named, "operation_type": kind, "terminal_iccid": "8949000000000000001"}
            assert await status(token, "ManageSubscription", **given) == 403
        assert await status(token, "ManageSubscription", **transfer) == 200
        other = {**transfer, "target_terminal_eid": WATCH.eid}
        assert await status(token, "ManageSubscription", **other) == 401
        desk.now += 301
        assert await status(token, "ManageSubscription", **transfer) == 401
        assert len(desk.orders) == 1


async def test_a_server_orders_for_a_device_of_its_enterprise(whole: Whole) -> None:
    """ODSA-43 for ap2011, §10.2."""
    async with whole(offering()) as node:
        desk = desk_of(node)
        await server_initiated(OdsaPhone(node.phone(6), SERVER), NEW_PHONE)
        (view,) = desk.orders.values()
        assert (view.app, view.target_terminal_id) == (SERVER, NEW_PHONE.id)


async def test_a_samsung_phone_reads_the_documents_as_well(whole: Whole) -> None:
    """Q-DOC-5, Q-TR-5: one tag a line, and operation_targets that come apart at the comma."""
    async with whole(offering()) as node:
        desk_of(node)
        phone = OdsaPhone(node.phone(7, SAMSUNG), COMPANION)
        await pair_watch(phone, WATCH, install=None, poll_seconds=0)
        primary = OdsaPhone(node.phone(8, SAMSUNG), PRIMARY)
        assert await temporary_token(primary)


async def test_no_order_desk_is_503_and_nothing_else_suffers(whole: Whole) -> None:
    async with whole(offering()) as node:
        node.node.clerk.desk = None
        phone = OdsaPhone(node.phone(9), PRIMARY)
        step = await phone.operate("CheckEligibility")
        assert step.result.status == 503
        assert step.result.retry_after is not None
        assert (await node.phone(9).authenticate()).ok


async def test_a_desk_that_never_answers_costs_the_budget_of_the_leg(whole: Whole) -> None:
    class SilentDesk(MemoryDesk):
        async def eligibility(self, *given: object, **more: object) -> Any:  # noqa: ANN401
            import trio

            await trio.sleep_forever()

    async with whole(offering()) as node:
        node.node.clerk.desk = SilentDesk()
        step = await OdsaPhone(node.phone(10), PRIMARY).operate("CheckEligibility")
        assert step.result.status == 503
        assert node.node.clerk.statistics()["open"] == 1


async def test_moved_companions_are_406_where_they_are_not_offered(whole: Whole) -> None:
    """ODSA-49."""
    async with whole(offering()) as node:
        desk_of(node)
        phone = OdsaPhone(node.phone(11), COMPANION)
        step = await phone.operate(
            "ManageSubscription",
            operation_type="3",
            companion_terminal_id=WATCH.id,
            companion_terminal_eid=WATCH.eid,
            old_companion_terminal_id="350000000000059",
        )
        assert step.result.status == 406


async def test_a_portal_gets_user_data_that_the_node_can_open(whole: Whole) -> None:
    """WS: the ticket names subscriber and device, and nobody else can read it."""
    portal = {"portal-url": "https://portal.example/ws", "portal-operations": ["change"]}
    async with whole(offering(**portal)) as node:
        desk_of(node)
        phone = OdsaPhone(node.phone(12), COMPANION)
        step = await phone.operate(
            "ManageSubscription", operation_type="2", companion_terminal_id=WATCH.id
        )
        assert step.application["SubscriptionResult"] == "1"
        ticket = step.one("SubscriptionServiceUserData").removeprefix("st=")
        data = node.node._user_data.open(ticket, 0)
        assert data is not None
        assert (data.imsi, data.app) == (phone.phone.usim.imsi, COMPANION)


async def test_phone_numbers_by_the_device_and_once_by_a_server(whole: Whole) -> None:
    """§13; AUTH-35: the temporary token of a server is used up by its first use."""
    async with whole(offering()) as node:
        desk_of(node)
        phone = await node.with_token(13, "ap2014")
        given = {**asking(phone, "ap2014", "12.0"), "operation": "GetPhoneNumber"}
        told = read_xml((await node.get(given)).body)["ap2014"]
        assert told["MSISDN"].startswith("+")
        given |= {"operation": "VerifyPhoneNumber", "msisdn": told["MSISDN"]}
        assert read_xml((await node.get(given)).body)["ap2014"]["PhoneNumberVerification"] == "1"
        given |= {"operation": "AcquireTemporaryToken", "operation_targets": "GetPhoneNumber"}
        token = read_xml((await node.get(given)).body)["ap2014"]["TemporaryToken"]
        server = {
            "requestor_id": "191fd7cc-f7cd-4bb4-a5d2-455ae1fb9a19",
            "temporary_token": token,
            "app": "ap2014",
            "operation": "GetPhoneNumber",
            "entitlement_version": "12.0",
        }
        first = await node.get(server)
        assert read_xml(first.body)["ap2014"]["MSISDN"] == told["MSISDN"]
        assert b"TOKEN" not in first.body
        assert (await node.get(server)).status == 401


async def test_an_operation_does_not_outlive_the_node_so_its_device_starts_over(
    lab: LabFolder, tmp_path: Path
) -> None:
    """Its parameters are in no cookie: an answer to something else would end the flow (101)."""
    keys = {"node": {"cookie-keys": ["A" * 42 + "E"]}}
    async with running_aaa() as aaa:
        path = lab.prepare(tmp_path, [(HOST, aaa.port)], {**offering(), **keys})
        async with serving(lab, path, [aaa]) as node:
            await node.connected_to_aaa()
            phone = node.phone(15)
            async with node.connected() as connection:
                leg = await first_leg(phone, connection, PRIMARY, operation="CheckEligibility")
                answer = answer_of(phone, leg.response)
        async with serving(lab, path, [aaa]) as node, node.connected() as connection:
            await node.connected_to_aaa()
            assert (await relay(answer, connection, leg.cookie_field)).status == 511


async def test_a_person_can_walk_each_flow_from_the_command_line(
    whole: Whole, capsys: pytest.CaptureFixture[str]
) -> None:
    async with whole(offering()) as node:
        desk = desk_of(node)
        desk.installs = True
        for number, flow in enumerate(sorted(FLOWS), 16):
            url = f"https://localhost:{node.port}"
            code = await walk(flow, url, str(node.lab.ca), subscriber(number), new_device())
            assert code.smdp_address == SMDP
        told = capsys.readouterr().out
        assert "AcquireTemporaryToken" in told
        assert "CompanionDeviceServices=SharedNumber,DiffNumber" in told
        assert "ManageSubscription(3)" in told


async def test_without_an_smdp_plus_nothing_is_offered(whole: Whole) -> None:
    """APP-40: as before."""
    async with whole() as node:
        phone = OdsaPhone(node.phone(14), COMPANION)
        with pytest.raises(FlowFailed):
            await pair_watch(phone, WATCH)
        assert phone.steps[0].application["CompanionAppEligibility"] == "0"
