"""What the other side's CER or CEA says, and whether we have anything in common.

Source: RFC 6733 §5.3, §2.4 (application ids).
"""

from collections.abc import Collection
from dataclasses import dataclass

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Message


@dataclass(frozen=True, slots=True)
class Capabilities:
    """A peer as it describes itself.

    Attributes:
        applications: Auth- and Acct-Application-Id, plain and vendor-specific.
        inband_security: Inband-Security-Id values; empty means NO_INBAND_SECURITY.
    """

    origin_host: str
    origin_realm: str
    product_name: str
    applications: frozenset[int]
    inband_security: frozenset[int]
    origin_state_id: int | None


def read_capabilities(message: Message) -> Capabilities:
    """Read a CER or CEA.

    Raises:
        DecodeError: an AVP cannot be read.
    """
    applications: set[int] = set()
    for holder in (message, *message.groups(d.VENDOR_SPECIFIC_APPLICATION_ID)):
        for row in (d.AUTH_APPLICATION_ID, d.ACCT_APPLICATION_ID):
            applications.update(int.from_bytes(data, "big") for data in holder.all(row))
    security = message.all(d.INBAND_SECURITY_ID)
    return Capabilities(
        origin_host=message.text(d.ORIGIN_HOST) or "",
        origin_realm=message.text(d.ORIGIN_REALM) or "",
        product_name=message.text(d.PRODUCT_NAME) or "",
        applications=frozenset(applications),
        inband_security=frozenset(int.from_bytes(data, "big") for data in security),
        origin_state_id=message.u32(d.ORIGIN_STATE_ID),
    )


def common_applications(ours: Collection[int], theirs: Collection[int]) -> frozenset[int]:
    """What both serve; a relay serves everything (RFC 6733 §2.4)."""
    if numbers.RELAY in theirs:
        return frozenset(ours)
    if numbers.RELAY in ours:
        return frozenset(theirs)
    return frozenset(ours) & frozenset(theirs)
