"""ap2003: VoLTE and VoNR, flat and nested (TS.43 §4)."""

import itertools
from typing import Any

import msgspec
import pytest

from actors.backends.bss import Plan
from actors.entitlement.applications import decide
from config.model import Voice
from protocols.ts43.messages import DEFAULT_MESSAGES
from tests.actors.entitlement.lines import EVERYTHING, NOTHING, TENANT, given, line, plan, seen

ROW = "RATVoiceEntitleInfoDetails"
NOT_OFFERED = {name: texts["en"] for name, texts in DEFAULT_MESSAGES.items()}


def rows(of_plan: Plan, **changes: Any) -> list[dict[str, str]]:  # noqa: ANN401
    found = seen(decide("ap2003", given(of_plan=of_plan, **changes)))
    return [row[ROW] for row in found["VoiceOverCellularEntitleInfo"]]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (6, 0), (6, 1), (6, 99)])
def test_below_7_there_is_one_flat_status_for_volte(version: tuple[int, int]) -> None:
    """APP-38."""
    decision = decide("ap2003", given(of_plan=plan("volte"), entitlement_version=version))
    assert seen(decision) == {"EntitlementStatus": "1"}
    assert decision.entitlement_status == 1
    decision = decide("ap2003", given(of_plan=NOTHING, entitlement_version=version))
    assert seen(decision) == {
        "EntitlementStatus": "2",
        "MessageForIncompatible": NOT_OFFERED["volte-not-offered"],
    }
    assert decision.reason == "VoLTE 2: plan basic lacks volte"


@pytest.mark.parametrize("version", [(7, 0), (8, 0), (12, 0)])
def test_from_7_on_there_is_a_row_for_each_radio(version: tuple[int, int]) -> None:
    """APP-38, Q-DOC-13: both spellings."""
    decision = decide("ap2003", given(entitlement_version=version))
    assert seen(decision) == {
        "VoiceOverCellularEntitleInfo": [
            {ROW: {"AccessType": "1", "HomeRoamingNWType": "1", "EntitlementStatus": "1"}},
            {
                ROW: {
                    "AccessType": "2",
                    "HomeRoamingNWType": "1",
                    "EntitlementStatus": "1",
                    "NetworkVoiceIRATCapablity": "EPS-Fallback",
                    "NetworkVoiceIRATCapability": "EPS-Fallback",
                }
            },
        ]
    }
    assert decision.reason == "VoLTE 1: plan gold has volte; VoNR 1: plan gold has vonr"


def test_home_without_roaming_has_its_own_rows_and_lte_at_home_comes_last() -> None:
    """Q-DOC-12: the Android client of 2022 keeps the last status."""
    found = rows(plan("volte", "vonr", "vonr-roaming"))
    assert found == [
        {
            "AccessType": "2",
            "HomeRoamingNWType": "1",
            "EntitlementStatus": "1",
            "NetworkVoiceIRATCapablity": "EPS-Fallback",
            "NetworkVoiceIRATCapability": "EPS-Fallback",
        },
        {
            "AccessType": "1",
            "HomeRoamingNWType": "3",
            "EntitlementStatus": "2",
            "MessageForIncompatible": NOT_OFFERED["volte-roaming-not-offered"],
        },
        {"AccessType": "1", "HomeRoamingNWType": "2", "EntitlementStatus": "1"},
    ]


def test_what_the_plan_lacks_everywhere_is_one_row() -> None:
    found = rows(plan("volte", "volte-roaming"))
    assert found == [
        {
            "AccessType": "2",
            "HomeRoamingNWType": "1",
            "EntitlementStatus": "2",
            "MessageForIncompatible": NOT_OFFERED["vonr-not-offered"],
        },
        {"AccessType": "1", "HomeRoamingNWType": "1", "EntitlementStatus": "1"},
    ]
    assert rows(plan("volte-roaming", "vonr-roaming"))[0]["EntitlementStatus"] == "2"


VOICES = ("volte", "volte-roaming", "vonr", "vonr-roaming")


@pytest.mark.parametrize("has", list(itertools.product([False, True], repeat=4)))
@pytest.mark.parametrize("override", ["", "allowed", "blocked", "provisioning", "disabled"])
def test_every_combination_is_complete_and_without_contradiction(
    has: tuple[bool, ...], override: str
) -> None:
    """APP-38."""
    services = [name for name, there in zip(VOICES, has, strict=True) if there]
    overrides = (("volte", override),) if override else ()
    decision = decide("ap2003", given(line(overrides=overrides), plan(*services)))
    found = [row[ROW] for row in seen(decision)["VoiceOverCellularEntitleInfo"]]
    for access_type in ("1", "2"):
        networks = sorted(
            row["HomeRoamingNWType"] for row in found if row["AccessType"] == access_type
        )
        assert networks in (["1"], ["2", "3"])
    for row in found:
        assert ("MessageForIncompatible" in row) == (row["EntitlementStatus"] == "2")
        assert row["EntitlementStatus"] in {"0", "1", "2", "3"}
    home = next(r for r in found if r["AccessType"] == "1" and r["HomeRoamingNWType"] != "3")
    if len({row["EntitlementStatus"] for row in found}) > 1:
        assert found[-1] is home
    assert home["EntitlementStatus"] == str(decision.entitlement_status)
    flat = decide(
        "ap2003", given(line(overrides=overrides), plan(*services), entitlement_version=(6, 0))
    )
    assert seen(flat)["EntitlementStatus"] == home["EntitlementStatus"]


def test_capabilities_are_the_tenants() -> None:
    tenant = msgspec.structs.replace(TENANT, voice=Voice(irat_5g="", irat_4g="4G-SRVCC"))
    lte, nr = rows(EVERYTHING, tenant=tenant)
    assert lte["NetworkVoiceIRATCapability"] == lte["NetworkVoiceIRATCapablity"] == "4G-SRVCC"
    assert "NetworkVoiceIRATCapability" not in nr


def test_the_reason_names_what_decided() -> None:
    overrides = (("volte", "allowed"), ("vonr", "provisioning"))
    decision = decide("ap2003", given(line(overrides=overrides), plan("vonr")))
    assert decision.reason == (
        "VoLTE 1: volte is allowed for this line; "
        "VoLTE roaming 2: plan basic lacks volte-roaming; "
        "VoNR 3: vonr is being set up for this line"
    )
