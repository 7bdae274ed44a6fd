"""The BSS port: what the operator's business systems know of a subscriber, and how it is asked.

The embedded implementation is the store (`actors/store`). Answers come back through a callback,
at once or later, so that a session never waits: a point read of the embedded store calls back
before `find_subscriber` returns, a remote BSS calls back when its answer arrives.
"""

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from msgspec import Struct


class SubscriberStatus(Enum):
    """Where the subscription stands."""

    ACTIVE = "active"
    SUSPENDED = "suspended"  # unpaid or on request: services are off, the line comes back
    BARRED = "barred"  # the device shall stop asking (VERS of the tenant's rules)
    TERMINATED = "terminated"


class DataPlan(Struct, frozen=True):
    """One DataPlanInfoDetails row (TS.43 §9.1): AccessType 0-5, Metered or Unmetered."""

    access_type: int
    data_plan_type: str


class Boost(Struct, frozen=True):
    """One boost a plan has (TS.43 §9): BoostType 0..255; status 0, 1, 2, or 4 when included."""

    boost_type: int
    status: int


class Plan(Struct, frozen=True):
    """What a tenant sells under one name.

    `services` holds any of: `volte`, `vonr`, `vonr-roaming`, `volte-roaming`, `vowifi`, `smsoip`,
    `5gsa`, `data-plan`, `boost`.
    """

    plan_id: str
    name: str
    services: frozenset[str]
    data_plans: tuple[DataPlan, ...] = ()
    boosts: tuple[Boost, ...] = ()


class Subscriber(Struct, frozen=True, gc=False):
    """One subscription as the BSS knows it.

    `overrides` maps a service name of `Plan.services` to what differs from the plan for this one
    line: `allowed` (although the plan lacks it), `blocked` (although it has it), `provisioning`
    (being set up) or `disabled` (allowed, but not provisioned). The `vowifi_*` fields are the
    TS.43 table 20 values: 0 not available, 1 available, 2 not required, 3 in progress.
    """

    tenant: str
    imsi: str
    msisdn: str
    iccid: str
    plan_id: str
    status: SubscriberStatus
    overrides: tuple[tuple[str, str], ...] = ()
    vowifi_tc_status: int = 2
    vowifi_addr_status: int = 2
    vowifi_prov_status: int = 2
    vowifi_addr_expiry: str = ""  # ISO 8601, empty when there is none
    vowifi_addr_identifier: str = ""
    token_generation: int = 0  # a token of an older generation is void


class BssUnavailable(Exception):
    """The BSS (or the store that stands for it) could not answer now; the device gets 503."""


SubscriberReply = Callable[["tuple[Subscriber, Plan] | BssUnavailable | None"], None]


class Bss(Protocol):
    """What sessions ask of the business systems."""

    def find_subscriber(self, tenant: str, imsi: str, reply: SubscriberReply) -> None:
        """Call `reply` once with (subscriber, plan), None for a stranger, or BssUnavailable.

        `reply` never raises, and may be called before this returns.
        """
        ...
