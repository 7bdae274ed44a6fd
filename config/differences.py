"""What changed between two configurations, and what of it a running node cannot take over."""

from dataclasses import dataclass
from typing import Final

import msgspec

from config.model import Config

# Bound sockets, open files, identities, and what parts were built with live as long as the process.
# Everything else counts from the next request, session or connection; a test names it all.
RESTART: Final = frozenset(
    {
        "node.name",
        "node.data",
        "node.workers",
        "node.worker-suffix",
        "device.listen",
        "device.backlog",
        "device.gzip-from-octets",
        "management.listen",
        "partner.listen",
        "partner.max-connections",
        "partner.handshake-seconds",
        "partner.idle-seconds",
        "partner.request-seconds",
        "store.path",
        "store.queue-bound",
        "store.busy-seconds",
        "store.tokens-survive-power-cut",
        "store.postgres",
        "store.postgres-owner",
        "store.connect-seconds",
        "store.statement-seconds",
        "store.answer-seconds",
        "store.cache-entries",
        "store.cache-seconds",
        "store.stale-seconds",
        "diameter.origin-host",
        "diameter.origin-realm",
        "orders.parallel",
        "sessions.capacity",
        "sessions.mailbox-bound",
    }
)


@dataclass(frozen=True, slots=True)
class Differences:
    """Dotted paths, as in the file.

    Attributes:
        changed: every key whose value differs; tenants as `tenants.<id>`.
        restart: those of them that count only after a restart.
    """

    changed: tuple[str, ...]
    restart: tuple[str, ...]


def differences(old: Config, new: Config) -> Differences:
    """Compare two loaded configurations."""
    before, after = _flat(old), _flat(new)
    changed = sorted(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )
    return Differences(tuple(changed), tuple(path for path in changed if path in RESTART))


def _flat(config: Config) -> dict[str, object]:
    """Section and key to value; a tenant is one value."""
    flat: dict[str, object] = {}
    for section, value in msgspec.structs.asdict(config).items():
        if section == "tenants":
            flat.update({f"tenants.{tenant.id}": tenant for tenant in value})
        else:
            for name, setting in msgspec.structs.asdict(value).items():
                flat[f"{section}.{name.replace('_', '-')}"] = setting
    return flat
