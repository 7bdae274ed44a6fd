"""The whole document from its decisions: VERS, TOKEN, one APPLICATION each (TS.43 v12 §2.9)."""

from collections.abc import Sequence
from typing import Final

from actors.backends.bss import Subscriber, SubscriberStatus
from actors.entitlement.decision import Decision
from config.model import Tenant
from protocols.ts43.document import Document

CURRENT_VERSION: Final = 1  # of the configuration, not of the protocol: any number above 0
RESET: Final = 0  # RCC.14: back to the defaults, and the device may ask again


def document(
    decisions: Sequence[Decision],
    subscriber: Subscriber,
    tenant: Tenant,
    *,
    token: str = "",
    token_validity_seconds: int | None = None,
    validity_seconds: int | None = None,
    fillings: tuple[str, ...] = (),
) -> Document:
    """Put the decisions together, in their order.

    Args:
        decisions: one for each application of the request.
        subscriber: decides VERS.
        tenant: its rules.
        token: to give out; empty for none.
        token_validity_seconds: its lifetime. Android reads a missing one as unlimited.
        validity_seconds: of VERS instead of the tenant's, to spread devices after an outage.
        fillings: user data for the decisions that have a slot for it, in their order.
    """
    version, validity = vers(subscriber, tenant)
    if version > 0 and validity_seconds is not None:
        validity = validity_seconds
    return Document(
        version,
        validity,
        tuple([decision.application for decision in decisions]),
        token,
        token_validity_seconds,
        fillings,
    )


def vers(subscriber: Subscriber, tenant: Tenant) -> tuple[int, int]:
    """(version, validity) of VERS (RCC.14 through TS.43 v12 §2.9).

    A barred line gets the tenant's 0, -1 or -2 in both. Ours: a terminated one gets 0 in both,
    which switches its services off without keeping the SIM's next owner from asking.
    """
    if subscriber.status is SubscriberStatus.BARRED:
        return tenant.versions.barred, tenant.versions.barred
    if subscriber.status is SubscriberStatus.TERMINATED:
        return RESET, RESET
    return CURRENT_VERSION, tenant.versions.validity_seconds
