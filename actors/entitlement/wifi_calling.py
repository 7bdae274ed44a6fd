"""ap2004, Wi-Fi calling (GSMA TS.43 v12 §3): whether it may be used, and what is missing.

The combinations of table 20 alone leave this file: a phone shows an error for any other.
"""

from datetime import UTC, datetime
from enum import Enum
from typing import Final, NamedTuple

from actors.entitlement.decision import (
    DISABLED,
    ENABLED,
    INCOMPATIBLE,
    PROVISIONING,
    Decision,
    DecisionInput,
    notification_parms,
    text_of,
)
from actors.entitlement.services import Standing, standing
from actors.entitlement.web_sheet import AS_QUERY, web_sheet_parms
from protocols.ts43.applications import WIFI_CALLING
from protocols.ts43.document import Application, Parm, plain_text
from protocols.ts43.messages import VOWIFI_NOT_OFFERED

NOT_AVAILABLE: Final = 0  # TC_Status and AddrStatus (tables 16, 17)
AVAILABLE: Final = 1
NOT_REQUIRED: Final = 2
IN_PROGRESS: Final = 3
NOT_PROVISIONED: Final = 0  # ProvStatus (table 18); 2 and 3 are the same as above
PROVISIONED: Final = 1


class Mode(Enum):
    """What the client does with a combination (table 20)."""

    CANNOT_BE_OFFERED = "cannot be offered"
    SERVICE_DATA_MISSING = "service data missing"
    SERVICE_DATA_BEING_UPDATED = "service data being updated"
    SERVICE_BEING_PROVISIONED = "service being provisioned"
    CAN_BE_ACTIVATED = "can be activated"


class Address(NamedTuple):
    """The emergency address as it stands now.

    Attributes:
        status: AddrStatus.
        expiry: in UTC, None when it does not expire.
        expired: it was there, and its time is over.
    """

    status: int
    expiry: datetime | None = None
    expired: bool = False


def decide_wifi_calling(given: DecisionInput) -> Decision:
    """VoWiFi: entitlement, terms, address, provisioning, web sheet."""
    subscriber, rules = given.subscriber, given.tenant.vowifi
    found = standing(given, "vowifi")
    terms = _known(subscriber.vowifi_tc_status) if rules.terms_required else NOT_REQUIRED
    address = _address(given)
    provisioning = _known(subscriber.vowifi_prov_status)
    status, provisioning = _combine(found.status, terms, address.status, provisioning)
    parms: list[Parm] = [("EntitlementStatus", str(status))]
    parms.extend(web_sheet_parms(rules.service_flow_url))
    parms.append(_message(given, found))
    parms.append(("AddrStatus", str(address.status)))
    parms.extend(_address_details(given, address))
    parms.append(("TC_Status", str(terms)))
    parms.append(("ProvStatus", str(provisioning)))
    parms.extend(notification_parms(given))
    shared = address.expiry is None and not subscriber.vowifi_addr_identifier
    return Decision(
        Application(WIFI_CALLING, tuple(parms), shared=shared),
        _reason(found, status, terms, address, provisioning),
        status,
        AS_QUERY if rules.service_flow_url else None,
    )


def mode_of(status: int, terms: int, address: int, provisioning: int) -> Mode | None:
    """What a client does with a combination; None for one that table 20 does not have."""
    data = (terms, address)
    if status == INCOMPATIBLE:
        return Mode.CANNOT_BE_OFFERED
    if status == PROVISIONING:
        return Mode.SERVICE_BEING_PROVISIONED
    if status == DISABLED and NOT_AVAILABLE in data:
        return Mode.SERVICE_DATA_MISSING
    if status == DISABLED and IN_PROGRESS in data:
        return Mode.SERVICE_DATA_BEING_UPDATED
    complete = NOT_AVAILABLE not in data and IN_PROGRESS not in data
    provisioned = provisioning in (PROVISIONED, NOT_REQUIRED)
    if status == DISABLED and not provisioned:
        return Mode.SERVICE_BEING_PROVISIONED
    if status == ENABLED and complete and provisioned:
        return Mode.CAN_BE_ACTIVATED
    return None


def _combine(allowed: int, terms: int, address: int, provisioning: int) -> tuple[int, int]:
    """(EntitlementStatus, ProvStatus) that table 20 has for these."""
    if allowed in (INCOMPATIBLE, PROVISIONING):
        return allowed, provisioning
    if {NOT_AVAILABLE, IN_PROGRESS} & {terms, address}:
        return DISABLED, provisioning
    if allowed == DISABLED:
        # Nothing is missing and it is not on: table 20 has that only while it is provisioned.
        return DISABLED, IN_PROGRESS if provisioning == IN_PROGRESS else NOT_PROVISIONED
    if provisioning == IN_PROGRESS:
        return PROVISIONING, provisioning
    return (DISABLED if provisioning == NOT_PROVISIONED else ENABLED), provisioning


def _known(value: int) -> int:
    """A status of the record; one that TS.43 does not have counts as 0, which is always safe."""
    return value if 0 <= value <= 3 else 0


def _address(given: DecisionInput) -> Address:
    """AddrStatus; an address whose time is over must be entered again (§3.1.3)."""
    if not given.tenant.vowifi.emergency_address_required:
        return Address(NOT_REQUIRED)
    status = _known(given.subscriber.vowifi_addr_status)
    if status != AVAILABLE or not given.subscriber.vowifi_addr_expiry:
        return Address(status)
    expiry = _moment(given.subscriber.vowifi_addr_expiry)
    if expiry is not None and expiry.timestamp() <= given.now:
        return Address(NOT_AVAILABLE, expired=True)
    return Address(status, expiry)


def _moment(text: str) -> datetime | None:
    """ISO 8601, UTC when no zone is given. Ours: what is no time does not expire either."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _address_details(given: DecisionInput, address: Address) -> list[Parm]:
    if address.status != AVAILABLE:
        return []
    parms: list[Parm] = []
    if address.expiry is not None:
        parms.append(("AddrExpiry", address.expiry.strftime("%Y-%m-%dT%H:%M:%SZ")))
    if given.subscriber.vowifi_addr_identifier:
        identifier = plain_text(given.subscriber.vowifi_addr_identifier)
        parms.append(("AddrIdentifier", identifier))
    return parms


def _message(given: DecisionInput, found: Standing) -> Parm:
    """Mandatory with every status (§3.1.6); shown for INCOMPATIBLE."""
    text = text_of(given, found.message_id or VOWIFI_NOT_OFFERED)
    return ("MessageForIncompatible", plain_text(text))


_TERMS: Final = {
    NOT_AVAILABLE: "the terms are not accepted",
    IN_PROGRESS: "the terms are being accepted",
}
_ADDRESSES: Final = {
    NOT_AVAILABLE: "the emergency address is missing",
    IN_PROGRESS: "the emergency address is being checked",
}
_PROVISIONINGS: Final = {
    NOT_PROVISIONED: "it is not provisioned",
    IN_PROGRESS: "it is being provisioned",
}


def _reason(found: Standing, status: int, terms: int, address: Address, provisioning: int) -> str:
    if status in (INCOMPATIBLE, ENABLED):
        return f"VoWiFi {status}: {found.reason}"
    causes = [found.reason]
    if terms in _TERMS:
        causes.append(_TERMS[terms])
    if address.expired:
        causes.append("the emergency address has expired")
    elif address.status in _ADDRESSES:
        causes.append(_ADDRESSES[address.status])
    if len(causes) == 1 and found.status == ENABLED and provisioning in _PROVISIONINGS:
        causes.append(_PROVISIONINGS[provisioning])
    return f"VoWiFi {status}: {', '.join(causes)}"
