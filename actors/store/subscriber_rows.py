"""Subscribers as rows, and the text form of their overrides, the same in the table and in CSV."""

from collections.abc import Sequence
from typing import Any, Final

from actors.backends.bss import Subscriber, SubscriberStatus
from actors.store.plans import SERVICES

SUBSCRIBER_COLUMNS: Final = (
    "tenant",
    "imsi",
    "msisdn",
    "iccid",
    "plan_id",
    "status",
    "overrides",
    "vowifi_tc_status",
    "vowifi_addr_status",
    "vowifi_prov_status",
    "vowifi_addr_expiry",
    "vowifi_addr_identifier",
    "token_generation",
)
OVERRIDES: Final = ("allowed", "blocked", "provisioning", "disabled")

# The subscriber, then the name and the body of its plan, NULL if the tenant has no such plan.
FIND_SUBSCRIBER: Final = (
    f"SELECT {', '.join(f's.{name}' for name in SUBSCRIBER_COLUMNS)}, p.name, p.body"  # noqa: S608
    " FROM subscribers s LEFT JOIN plans p ON p.tenant = s.tenant AND p.plan_id = s.plan_id"
    " WHERE s.tenant = ? AND s.imsi = ?"
)

_STATUSES: Final = {status.value: status for status in SubscriberStatus}
_NO_OVERRIDES: Final[tuple[tuple[str, str], ...]] = ()


def subscriber_of(row: Sequence[Any]) -> Subscriber:
    """A subscriber from a row of `SUBSCRIBER_COLUMNS`.

    Raises:
        ValueError: a status or an override that we never write.
    """
    tenant, imsi, msisdn, iccid, plan_id, status, overrides, *rest = row
    try:
        known = _STATUSES[status]
    except KeyError:
        raise ValueError("an unknown status") from None
    return Subscriber(
        tenant,
        imsi,
        msisdn,
        iccid,
        plan_id,
        known,
        parse_overrides(overrides) if overrides else _NO_OVERRIDES,
        *rest,
    )


def row_of(subscriber: Subscriber) -> tuple[Any, ...]:
    """The row of a subscriber, in the order of `SUBSCRIBER_COLUMNS`."""
    return (
        subscriber.tenant,
        subscriber.imsi,
        subscriber.msisdn,
        subscriber.iccid,
        subscriber.plan_id,
        subscriber.status.value,
        format_overrides(subscriber.overrides),
        subscriber.vowifi_tc_status,
        subscriber.vowifi_addr_status,
        subscriber.vowifi_prov_status,
        subscriber.vowifi_addr_expiry,
        subscriber.vowifi_addr_identifier,
        subscriber.token_generation,
    )


def parse_overrides(text: str) -> tuple[tuple[str, str], ...]:
    """`volte=blocked;vowifi=allowed` as pairs.

    Raises:
        ValueError: an unknown service or override, or a service twice.
    """
    pairs: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        service, _, override = part.partition("=")
        if service not in SERVICES:
            raise ValueError(f"no service is called {service!r}; known: {_known_services()}")
        if override not in OVERRIDES:
            raise ValueError(f"{service} may be {', '.join(OVERRIDES)}, not {override!r}")
        if service in pairs:
            raise ValueError(f"{service} stands twice")
        pairs[service] = override
    return tuple(sorted(pairs.items()))


def format_overrides(overrides: Sequence[tuple[str, str]]) -> str:
    """The text form, with the services in order."""
    return ";".join(f"{service}={override}" for service, override in sorted(overrides))


def _known_services() -> str:
    return ", ".join(sorted(SERVICES))
