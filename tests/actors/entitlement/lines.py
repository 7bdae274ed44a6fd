"""Subscribers, plans and tenants to decide about."""

from typing import Any

from msgspec.structs import replace

from actors.backends.bss import Plan, Subscriber, SubscriberStatus
from actors.entitlement.decision import Decision, DecisionInput
from config.model import Tenant, VoWifi
from protocols.ts43.document import Document
from protocols.ts43.json_document import render_json
from protocols.ts43.xml_document import render_xml
from tests.protocols.ts43.document_readers import (
    read_json,
    read_like_android,
    read_like_samsung,
    read_xml,
)

SERVICES = frozenset(
    {
        "volte",
        "volte-roaming",
        "vonr",
        "vonr-roaming",
        "vowifi",
        "smsoip",
        "5gsa",
        "data-plan",
        "boost",
    }
)
EVERYTHING = Plan("gold", "Gold", SERVICES)
NOTHING = Plan("basic", "Basic", frozenset())
TENANT = Tenant(id="mno", vowifi=VoWifi(service_flow_url="https://es.mno.example/ws/vowifi"))
LINE = Subscriber("mno", "001010000000001", "4912345", "8949", "gold", SubscriberStatus.ACTIVE)
USER_DATA = "st=2b7e"
NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z


def line(**changes: Any) -> Subscriber:  # noqa: ANN401 - fields of Subscriber
    """The usual line with changes."""
    return replace(LINE, **changes)


def plan(*services: str, **changes: Any) -> Plan:  # noqa: ANN401 - fields of Plan
    """A plan with these services."""
    return replace(NOTHING, services=frozenset(services), **changes)


def given(
    subscriber: Subscriber = LINE,
    of_plan: Plan = EVERYTHING,
    tenant: Tenant = TENANT,
    **changes: Any,  # noqa: ANN401 - fields of DecisionInput
) -> DecisionInput:
    """Decision input for a client of version 8.0 that speaks English."""
    usual: dict[str, Any] = {"entitlement_version": (8, 0), "language": "en", "now": NOW}
    return DecisionInput(subscriber, of_plan, tenant, **{**usual, **changes})


def seen(decision: Decision) -> dict[str, Any]:
    """What clients read of a decision, all of them the same."""
    fillings = () if decision.user_data_as is None else (USER_DATA,)
    document = Document(1, 60, (decision.application,), fillings=fillings)
    xml = render_xml(document)
    found = read_xml(xml)[decision.application.app_id]
    for other in (read_like_android(xml), read_like_samsung(xml), read_json(render_json(document))):
        assert other[decision.application.app_id] == found
    assert isinstance(found, dict)
    return found
