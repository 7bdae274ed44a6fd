"""ap2003, Voice over Cellular (GSMA TS.43 v12 §4): VoLTE and VoNR, at home and roaming.

Below entitlement_version 7.0 the application is VoLTE alone, a flat status; from 7.0 it is one row
per access type and network. The Android IMS application of 2022 flattens the rows, and the last
one wins: where rows differ, LTE comes last.
"""

from enum import IntEnum
from typing import Final

from actors.entitlement.decision import (
    Decision,
    DecisionInput,
    EntitlementStatus,
    Service,
    service,
)
from protocols.ts43.document import Application, Characteristic, Parm
from protocols.ts43.messages import VOLTE_NOT_OFFERED, VONR_NOT_OFFERED

NESTED_FROM: Final = (7, 0)


class AccessType(IntEnum):
    """AccessType of a row."""

    LTE = 1
    NG_RAN = 2


class Network(IntEnum):
    """HomeRoamingNWType of a row."""

    ALL = 1
    HOME = 2
    ROAMING = 3


def decide_voice(given: DecisionInput) -> Decision:
    """Whether the device may make calls over LTE and NR."""
    if given.entitlement_version < NESTED_FROM:
        return _flat(given)
    lte, lte_why = _rows(given, AccessType.LTE, "volte", given.tenant.voice.irat_4g)
    nr, nr_why = _rows(given, AccessType.NG_RAN, "vonr", given.tenant.voice.irat_5g)
    rows = lte + nr if _statuses(lte) == _statuses(nr) else nr + lte
    return Decision(
        Application(
            "ap2003",
            children=(Characteristic("VoiceOverCellularEntitleInfo", (), rows, "list"),),
        ),
        f"VoLTE {lte_why}; VoNR {nr_why}",
    )


def _flat(given: DecisionInput) -> Decision:
    volte = service(given, "volte")
    parms: tuple[Parm, ...] = (("EntitlementStatus", str(int(volte.status))),)
    if volte.status is EntitlementStatus.INCOMPATIBLE:
        parms += (("MessageForIncompatible", given.text(VOLTE_NOT_OFFERED)),)
    return Decision(Application("ap2003", parms), f"VoLTE {int(volte.status)}: {volte.why}")


def _rows(
    given: DecisionInput, access: AccessType, name: str, capability: str
) -> tuple[tuple[Characteristic, ...], str]:
    """The rows of one access type: one for all networks, or home and roaming apart."""
    home = service(given, name)
    roaming = service(given, f"{name}-roaming")
    if home.status is not EntitlementStatus.ENABLED:
        roaming = home  # nobody may abroad what is not allowed at home
    if roaming.status == home.status:
        row = _row(given, access, Network.ALL, home, capability)
        return (row,), f"{int(home.status)}: {home.why}"
    rows = (
        _row(given, access, Network.HOME, home, capability),
        _row(given, access, Network.ROAMING, roaming, capability),
    )
    why = f"{int(home.status)} at home: {home.why}, {int(roaming.status)} roaming: {roaming.why}"
    return rows, why


def _row(
    given: DecisionInput, access: AccessType, network: Network, found: Service, capability: str
) -> Characteristic:
    parms: list[Parm] = [
        ("AccessType", str(int(access))),
        ("HomeRoamingNWType", str(int(network))),
        ("EntitlementStatus", str(int(found.status))),
    ]
    if found.status is EntitlementStatus.INCOMPATIBLE:
        text = VOLTE_NOT_OFFERED if access is AccessType.LTE else VONR_NOT_OFFERED
        parms.append(("MessageForIncompatible", given.text(text)))
    if capability:
        # Table 21 and Samsung write the second, the examples and Android the first.
        parms.append(("NetworkVoiceIRATCapablity", capability))
        parms.append(("NetworkVoiceIRATCapability", capability))
    return Characteristic("RATVoiceEntitleInfoDetails", tuple(parms))


def _statuses(rows: tuple[Characteristic, ...]) -> set[str]:
    return {value for row in rows for name, value in row.parms if name == "EntitlementStatus"}
