"""The final document of a session: what many share, and what is this request's alone."""

import os
from typing import Any

import msgspec
import pytest

from actors.backends.bss import Boost, Plan
from actors.entitlement.remembered import RememberedDecisions
from actors.session import responses
from actors.session.user_data import PARAMETER, UserDataSeal
from config.model import DataBoost, Tenant, VoWifi
from protocols.ts43.request import Ts43Request
from tests.actors.session.session_bench import GOLD, IMEI, IMSI, SUBSCRIBER, TENANT, get
from tests.protocols.ts43.document_readers import read_json, read_xml

NOW = 1_790_000_000.0
SEAL = UserDataSeal((bytes(32),), os.urandom)
SHEETS = msgspec.structs.replace(
    TENANT,
    vowifi=VoWifi(service_flow_url="https://es.mno.example/ws/vowifi"),
    data_boost=DataBoost(service_flow_url="https://es.mno.example/ws/boost"),
    web_sheet_seconds=300,
)
BOOSTED = Plan("gold", "Gold", GOLD.services | {"boost"}, boosts=(Boost(0, 1),))
remembered = RememberedDecisions()


def read(request: Ts43Request, tenant: Tenant, plan: Plan = GOLD) -> dict[str, Any]:
    """What the client reads of its document."""
    response, _ = responses.document(
        request,
        tenant,
        SUBSCRIBER,
        plan,
        token="t",
        token_seconds=60,
        notification_status=None,
        wall_clock=NOW,
        gzip_from_octets=0,
        remembered=remembered,
        user_data=SEAL,
    )
    reader = read_json if response.content_type == b"application/json" else read_xml
    return reader(response.body)


def test_the_user_data_says_who_opens_the_web_sheet() -> None:
    """TS.43 §3.1.2; APP-37."""
    request = get(app="ap2004&app=ap2005")
    first, second = (read(request, SHEETS)["ap2004"]["ServiceFlow_UserData"] for _ in range(2))
    assert first != second  # remembered decisions, and each request has its own all the same
    name, _, sealed = first.partition("=")
    assert name == PARAMETER
    opened = SEAL.open(sealed, NOW + 300)
    assert opened is not None
    assert opened[:-1] == (int(NOW) + 300, "mno", IMSI, "ap2004", IMEI, "en")
    assert SEAL.open(sealed, NOW + 301) is None


def test_each_application_sends_the_user_to_its_own_web_sheet() -> None:
    """TS.43 §9.5."""
    request = get(app="ap2010&app=ap2004", boost_type="0")
    found = read(request, SHEETS, BOOSTED)
    for app_id in ("ap2010", "ap2004"):
        opened = SEAL.open(found[app_id]["ServiceFlow_UserData"].removeprefix("st="), NOW)
        assert opened is not None
        assert opened.app == app_id


@pytest.mark.parametrize("contents_type", ["json", "xml"])
def test_a_tenant_chooses_how_the_boosts_user_data_is_posted(contents_type: str) -> None:
    """TS.43 table 83."""
    sheet = DataBoost(service_flow_url="https://x/b", service_flow_contents_type=contents_type)
    tenant = msgspec.structs.replace(SHEETS, data_boost=sheet)
    found = read(get(app="ap2010", boost_type="166"), tenant, BOOSTED)["ap2010"]
    assert found["ServiceFlow_ContentsType"] == contents_type
    assert found["ServiceFlow_UserData"].startswith("encodedValue=")


def test_without_a_web_sheet_nothing_is_sealed() -> None:
    def never(octets: int) -> bytes:
        raise AssertionError(octets)

    response, _ = responses.document(
        get(),
        TENANT,
        SUBSCRIBER,
        GOLD,
        token="t",
        token_seconds=60,
        notification_status=None,
        wall_clock=NOW,
        gzip_from_octets=0,
        remembered=remembered,
        user_data=UserDataSeal((bytes(32),), never),
    )
    assert b"ServiceFlow" not in response.body
