"""ap2004, VoWiFi (GSMA TS.43 v12 §3): the service, terms and conditions, emergency address.

Table 20 ties the four statuses together. A device shows an error for EntitlementStatus 1 with an
open TC_Status or AddrStatus, so that combination cannot leave this module.
"""

from datetime import datetime
from enum import IntEnum

from actors.entitlement.decision import Decision, DecisionInput, EntitlementStatus, service
from protocols.ts43.document import Application, Parm, plain_text, plain_url
from protocols.ts43.messages import VOWIFI_NOT_OFFERED


class DataStatus(IntEnum):
    """AddrStatus, TC_Status and ProvStatus (tables 17 to 19)."""

    NOT_AVAILABLE = 0
    AVAILABLE = 1
    NOT_REQUIRED = 2
    IN_PROGRESS = 3


_DONE = (DataStatus.AVAILABLE, DataStatus.NOT_REQUIRED)


def decide_wifi_calling(given: DecisionInput) -> Decision:
    """Whether the device may call over Wi-Fi, and what its user still has to give."""
    terms, address = _terms(given), _address(given)
    provisioning = DataStatus(given.subscriber.vowifi_prov_status)
    status, why = _status(given, terms, address, provisioning)
    parms: list[Parm] = [("EntitlementStatus", str(int(status)))]
    url = given.tenant.vowifi.service_flow_url
    if url:
        parms.append(("ServiceFlow_URL", plain_url(url)))
        if given.websheet_user_data:
            parms.append(("ServiceFlow_UserData", given.websheet_user_data))
    if status is EntitlementStatus.INCOMPATIBLE:
        parms.append(("MessageForIncompatible", given.text(VOWIFI_NOT_OFFERED)))
    parms.append(("AddrStatus", str(int(address))))
    if address is DataStatus.AVAILABLE:
        parms += _address_parms(given)
    parms.append(("TC_Status", str(int(terms))))
    parms.append(("ProvStatus", str(int(provisioning))))
    return Decision(Application("ap2004", tuple(parms)), f"VoWiFi {int(status)}: {why}")


def _status(
    given: DecisionInput, terms: DataStatus, address: DataStatus, provisioning: DataStatus
) -> tuple[EntitlementStatus, str]:
    """Table 20, from the first thing that stands in the way to the last."""
    allowed = service(given, "vowifi")
    if allowed.status is not EntitlementStatus.ENABLED:
        return allowed.status, allowed.why
    for name, status in (("terms and conditions", terms), ("emergency address", address)):
        if status is DataStatus.NOT_AVAILABLE:
            return EntitlementStatus.DISABLED, f"{name} missing"
    for name, status in (("terms and conditions", terms), ("emergency address", address)):
        if status is DataStatus.IN_PROGRESS:
            return EntitlementStatus.DISABLED, f"{name} being updated"
    if provisioning not in _DONE:
        return EntitlementStatus.DISABLED, "being provisioned in the network"
    return EntitlementStatus.ENABLED, allowed.why


def _terms(given: DecisionInput) -> DataStatus:
    if not given.tenant.vowifi.terms_required:
        return DataStatus.NOT_REQUIRED
    return DataStatus(given.subscriber.vowifi_tc_status)


def _address(given: DecisionInput) -> DataStatus:
    """An address that expired is as good as none."""
    if not given.tenant.vowifi.emergency_address_required:
        return DataStatus.NOT_REQUIRED
    status = DataStatus(given.subscriber.vowifi_addr_status)
    if status is DataStatus.AVAILABLE and _expired(given.subscriber.vowifi_addr_expiry, given.now):
        return DataStatus.NOT_AVAILABLE
    return status


def _expired(expiry: str, now: float) -> bool:
    """Whether an ISO 8601 time has passed; a date alone ends with its first moment in UTC."""
    if not expiry:
        return False
    try:
        moment = datetime.fromisoformat(expiry)
    except ValueError:
        return False  # the import checks it; an unreadable one must not take the service away
    if moment.tzinfo is None:
        moment = datetime.fromisoformat(f"{moment.isoformat()}+00:00")
    return moment.timestamp() <= now


def _address_parms(given: DecisionInput) -> list[Parm]:
    parms = []
    if given.subscriber.vowifi_addr_expiry:
        parms.append(("AddrExpiry", plain_text(given.subscriber.vowifi_addr_expiry)))
    if given.subscriber.vowifi_addr_identifier:
        parms.append(("AddrIdentifier", plain_text(given.subscriber.vowifi_addr_identifier)))
    return parms
