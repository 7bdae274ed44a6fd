"""ap2003, voice over cellular (GSMA TS.43 v12 §4): VoLTE and VoNR, at home and roaming.

From entitlement_version 7.0 on a list of RATVoiceEntitleInfoDetails, before that one status for
VoLTE.
"""

from functools import lru_cache
from typing import Final, NamedTuple

from actors.entitlement.decision import (
    ENABLED,
    INCOMPATIBLE,
    Decision,
    DecisionInput,
    notification_parms,
    text_of,
)
from actors.entitlement.services import Standing, standing
from protocols.ts43.applications import VOICE
from protocols.ts43.document import Application, Characteristic, Parm, plain_text
from protocols.ts43.messages import (
    VOLTE_NOT_OFFERED,
    VOLTE_ROAMING_NOT_OFFERED,
    VONR_NOT_OFFERED,
    VONR_ROAMING_NOT_OFFERED,
)

FIRST_NESTED_VERSION: Final = (7, 0)

LTE: Final = "1"  # AccessType
NG_RAN: Final = "2"
EVERYWHERE: Final = "1"  # HomeRoamingNWType
HOME: Final = "2"
ROAMING: Final = "3"


class _Radio(NamedTuple):
    """One radio access: its name, AccessType, services at home and roaming, their messages."""

    name: str
    access_type: str
    home: str
    roaming: str
    home_message: str
    roaming_message: str


_VOLTE: Final = _Radio(
    "VoLTE", LTE, "volte", "volte-roaming", VOLTE_NOT_OFFERED, VOLTE_ROAMING_NOT_OFFERED
)
_VONR: Final = _Radio(
    "VoNR", NG_RAN, "vonr", "vonr-roaming", VONR_NOT_OFFERED, VONR_ROAMING_NOT_OFFERED
)


def decide_voice(given: DecisionInput) -> Decision:
    """VoLTE and, for clients that know it, VoNR."""
    if given.entitlement_version < FIRST_NESTED_VERSION:
        return _flat(given)
    volte, volte_reason = _rows(given, _VOLTE, given.tenant.voice.irat_4g)
    vonr, vonr_reason = _rows(given, _VONR, given.tenant.voice.irat_5g)
    # The Android client of 2022 flattens the list and keeps the last status: when they differ it
    # must be that of LTE at home, the only one that it means by it.
    differ = len({row.status for row in (*volte, *vonr)}) > 1
    rows = (*vonr, *reversed(volte)) if differ else (*volte, *vonr)
    information = Characteristic(
        "VoiceOverCellularEntitleInfo", children=tuple(row.details for row in rows), form="list"
    )
    return Decision(
        Application(VOICE, notification_parms(given), (information,)),
        f"{volte_reason}; {vonr_reason}",
        volte[0].status,
    )


class _Row(NamedTuple):
    status: int
    details: Characteristic


def _flat(given: DecisionInput) -> Decision:
    found = standing(given, _VOLTE.home)
    parms: list[Parm] = [("EntitlementStatus", str(found.status))]
    if found.status == INCOMPATIBLE:
        parms.append(("MessageForIncompatible", _text(given, found, _VOLTE.home_message)))
    parms.extend(notification_parms(given))
    reason = f"VoLTE {found.status}: {found.reason}"
    return Decision(Application(VOICE, tuple(parms)), reason, found.status)


def _rows(given: DecisionInput, radio: _Radio, capability: str) -> tuple[tuple[_Row, ...], str]:
    """The rows of one radio access, home first, and the reason."""
    home = standing(given, radio.home)
    roaming = standing(given, radio.roaming) if home.status == ENABLED else home
    reason = f"{radio.name} {home.status}: {home.reason}"
    home_text = _text(given, home, radio.home_message)
    if roaming.status == home.status:
        # Not there, or the same there: one row for all networks.
        return (_row(radio.access_type, EVERYWHERE, home.status, home_text, capability),), reason
    roaming_text = _text(given, roaming, radio.roaming_message)
    rows = (
        _row(radio.access_type, HOME, home.status, home_text, capability),
        _row(radio.access_type, ROAMING, roaming.status, roaming_text, capability),
    )
    return rows, f"{reason}; {radio.name} roaming {roaming.status}: {roaming.reason}"


@lru_cache(maxsize=512)
def _row(access_type: str, network: str, status: int, text: str, capability: str) -> _Row:
    """One RATVoiceEntitleInfoDetails (table 21)."""
    parms: list[Parm] = [
        ("AccessType", access_type),
        ("HomeRoamingNWType", network),
        ("EntitlementStatus", str(status)),
    ]
    if text:
        parms.append(("MessageForIncompatible", text))
    elif status == ENABLED and capability:
        # Table 21 has the second spelling; the samples and Android have the first.
        parms.append(("NetworkVoiceIRATCapablity", capability))
        parms.append(("NetworkVoiceIRATCapability", capability))
    return _Row(status, Characteristic("RATVoiceEntitleInfoDetails", tuple(parms)))


def _text(given: DecisionInput, found: Standing, message_id: str) -> str:
    """MessageForIncompatible; empty for any other status, where it must not be sent."""
    if found.status != INCOMPATIBLE:
        return ""
    return plain_text(text_of(given, found.message_id or message_id))
