"""Remembered decisions are the decisions that would be made now."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actors.backends.bss import Boost, DataPlan, Plan, Subscriber, SubscriberStatus
from actors.entitlement.applications import decide
from actors.entitlement.decision import DecisionInput
from actors.entitlement.remembered import ENTRIES, RememberedDecisions
from config.model import Tenant, VoWifi

TENANTS = (
    Tenant(id="one", vowifi=VoWifi(service_flow_url="https://one.example/ws")),
    Tenant(id="two", default_language="fr", vowifi=VoWifi(terms_required=False)),
)
PLANS = (
    Plan("gold", "Gold", frozenset({"volte", "vonr", "vowifi", "smsoip", "5gsa", "boost"})),
    Plan("basic", "Basic", frozenset({"volte"}), (DataPlan(1, "Metered"),), (Boost(0, 1),)),
)
APPS = ("ap2003", "ap2004", "ap2005", "ap2010", "ap2006")

lines = st.builds(
    Subscriber,
    tenant=st.just("one"),
    imsi=st.sampled_from(["001010000000001", "001010000000002"]),
    msisdn=st.just("491700000001"),
    iccid=st.just(""),
    plan_id=st.just("gold"),
    status=st.sampled_from(SubscriberStatus),
    overrides=st.sampled_from([(), (("vowifi", "blocked"),), (("volte", "provisioning"),)]),
    vowifi_tc_status=st.integers(0, 3),
    vowifi_addr_status=st.integers(0, 3),
    vowifi_prov_status=st.integers(0, 3),
    vowifi_addr_expiry=st.sampled_from(["", "2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z"]),
)
inputs = st.builds(
    DecisionInput,
    subscriber=lines,
    plan=st.sampled_from(PLANS),
    tenant=st.sampled_from(TENANTS),
    entitlement_version=st.sampled_from([(2, 0), (8, 0), (12, 0)]),
    language=st.sampled_from(["en", "fr"]),
    now=st.sampled_from([1_700_000_000.0, 1_800_000_000.0]),
    boost_type=st.sampled_from([None, 0, 2]),
    operation=st.sampled_from(["", "CheckEligibility", "ManageService", "AcquirePlan"]),
    notification_status=st.sampled_from([None, 0, 2]),
)
remembered = RememberedDecisions()


@given(inputs, st.lists(st.sampled_from(APPS), min_size=1, max_size=4, unique=True).map(tuple))
def test_the_memory_never_differs_from_the_decision(
    one: DecisionInput, apps: tuple[str, ...]
) -> None:
    assert remembered.decide(apps, one) == tuple(decide(app, one) for app in apps)


def example(**changes: Any) -> DecisionInput:  # noqa: ANN401
    line = Subscriber("one", "001010000000001", "", "", "gold", SubscriberStatus.ACTIVE)
    made = DecisionInput(line, PLANS[0], TENANTS[0], (8, 0), "en", 1_700_000_000.0)
    return msgspec.structs.replace(made, **changes)


def test_a_plan_that_changed_under_its_name_is_decided_anew() -> None:
    memory = RememberedDecisions()
    before = memory.decide(("ap2004",), example())
    changed = Plan("gold", "Gold", frozenset({"volte"}))
    after = memory.decide(("ap2004",), example(plan=changed))
    assert before[0].entitlement_status == 1
    assert after[0].entitlement_status == 2


def test_a_tenant_that_was_reloaded_is_decided_anew() -> None:
    memory = RememberedDecisions()
    memory.decide(("ap2004",), example())
    reloaded = Tenant(id="one", vowifi=VoWifi(service_flow_url="https://new.example"))
    (after,) = memory.decide(("ap2004",), example(tenant=reloaded))
    assert dict(after.application.parms)["ServiceFlow_URL"] == "https://new.example"


def test_the_memory_is_bounded() -> None:
    memory = RememberedDecisions()
    for minor in range(ENTRIES + 10):
        memory.decide(("ap2005",), example(entitlement_version=(8, minor)))
    assert len(memory._known) <= ENTRIES
