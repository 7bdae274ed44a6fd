"""Checks across several values of a configuration: timers, files, addresses, tenants.

They also run when some section is wrong by itself, on the others, so that one look at the file
shows everything.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final, Self

from config.model import (
    DeviceListener,
    Diameter,
    DiameterPeer,
    Management,
    Sessions,
    Tenant,
)
from config.rules import split_range

DEVICE_SECONDS: Final = 30.0  # the Android client waits no longer for an answer


@dataclass(frozen=True, slots=True)
class Sections:
    """The sections that are checked against each other; None: wrong by itself."""

    diameter: Diameter | None
    device: DeviceListener | None
    management: Management | None
    sessions: Sessions | None
    tenants: tuple[Tenant | None, ...] | None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """From the fields of a `Config` as far as they could be built."""
        return cls(
            diameter=values.get("diameter"),
            device=values.get("device", DeviceListener()),
            management=values.get("management", Management()),
            sessions=values.get("sessions", Sessions()),
            tenants=values.get("tenants"),
        )


def check(sections: Sections, folder: Path | None) -> Iterator[str]:
    """Every problem, as `dotted.path: what is wrong`.

    Args:
        sections: whose values are each right by themselves.
        folder: of the configuration file, to look for the files it names; None: do not look.
    """
    diameter, sessions, device = sections.diameter, sections.sessions, sections.device
    if diameter is not None:
        yield from _diameter_timers(diameter)
        yield from _peers(diameter)
    if sessions is not None:
        yield from _session_timers(sessions)
        if diameter is not None and diameter.exchange_seconds >= sessions.answer_seconds:
            yield "diameter.exchange-seconds: must be less than sessions.answer-seconds"
    if device is not None and sections.management is not None:
        yield from _addresses(device, sections.management)
    if sections.tenants is not None:
        yield from _tenants(sections.tenants)
    if folder is not None:
        yield from _files(device, diameter, folder)


def _diameter_timers(diameter: Diameter) -> Iterator[str]:
    if diameter.answer_seconds > diameter.exchange_seconds:
        yield "diameter.answer-seconds: must not be more than diameter.exchange-seconds"
    if diameter.first_reconnect_seconds > diameter.reconnect_seconds:
        yield "diameter.first-reconnect-seconds: must not be more than diameter.reconnect-seconds"


def _session_timers(sessions: Sessions) -> Iterator[str]:
    patience = f"{DEVICE_SECONDS:g}, for a phone waits that long"
    if sessions.answer_seconds >= DEVICE_SECONDS:
        yield f"sessions.answer-seconds: must be less than {patience}"
    if sessions.challenge_seconds <= DEVICE_SECONDS:
        yield f"sessions.challenge-seconds: must be more than {patience}"


def _addresses(device: DeviceListener, management: Management) -> Iterator[str]:
    if not device.listen:
        yield "device.listen: at least one address is needed"
    taken: dict[str, str] = {}
    named = [(f"device.listen[{at}]", one) for at, one in enumerate(device.listen)]
    for path, address in [*named, ("management.listen", management.listen)]:
        if address.endswith(":0"):
            continue  # any free port
        if address in taken:
            yield f"{path}: {address} is taken by {taken[address]}"
        taken.setdefault(address, path)


def _peers(diameter: Diameter) -> Iterator[str]:
    hosts: dict[str, int] = {}
    for at, peer in enumerate(diameter.peers):
        path = f"diameter.peers[{at}]"
        first = hosts.setdefault(peer.host.lower(), at)
        if first != at:
            yield f"{path}.host: is the same as diameter.peers[{first}].host"
        if peer.host.lower() == diameter.origin_host.lower():
            yield f"{path}.host: is the node's own diameter.origin-host"
        if bool(peer.tls_certificate) != bool(peer.tls_key):
            yield f"{path}.tls-key: tls-certificate and tls-key are given both or not at all"
        if not (peer.plain_application_id or peer.vendor_specific_application_id):
            # RFC 6733 §5.3: without a common application the answer is 5010.
            yield f"{path}.plain-application-id: the CER would name no application at all"


def _files(device: DeviceListener | None, diameter: Diameter | None, folder: Path) -> Iterator[str]:
    named: list[tuple[str, str]] = []
    for at, certificate in enumerate(device.certificates if device else ()):
        named.append((f"device.certificates[{at}].chain", certificate.chain))
        named.append((f"device.certificates[{at}].key", certificate.key))
    for at, peer in enumerate(diameter.peers if diameter else ()):
        named.extend((f"diameter.peers[{at}].{key}", name) for key, name in _peer_files(peer))
    for path, name in named:
        if name and not (folder / name).is_file():
            yield f"{path}: there is no file {folder / name}"


def _peer_files(peer: DiameterPeer) -> tuple[tuple[str, str], ...]:
    return (
        ("tls-ca", peer.tls_ca),
        ("tls-certificate", peer.tls_certificate),
        ("tls-key", peer.tls_key),
    )


def _tenants(tenants: tuple[Tenant | None, ...]) -> Iterator[str]:
    if not tenants:
        yield "tenants: at least one tenant is needed"
    good = [(at, tenant) for at, tenant in enumerate(tenants) if tenant is not None]
    ids: dict[str, int] = {}
    for at, tenant in good:
        first = ids.setdefault(tenant.id, at)
        if first != at:
            yield f"tenants[{at}].id: {tenant.id} is also the id of tenants[{first}]"
        if tenant.versions.first > tenant.versions.last:
            yield f"tenants[{at}].versions.first: must not be more than last"
        for where, text in enumerate(tenant.imsi_ranges):
            if tenant.plmns and not _within_plmns(text, tenant.plmns):
                yield f"tenants[{at}].imsi-ranges[{where}]: is outside the tenant's plmns"
    for (at, one), (other_at, other) in combinations(good, 2):
        if _meet(one, other):
            yield from _clashes(at, one, other_at, other)


def plmn_digits(text: str) -> str:
    """`001/01` and `001-01` as `00101`."""
    return text.replace("/", "").replace("-", "")


def _within_plmns(text: str, plmns: tuple[str, ...]) -> bool:
    first, last = split_range(text)
    return any(first.startswith(p) and last.startswith(p) for p in map(plmn_digits, plmns))


def _meet(one: Tenant, other: Tenant) -> bool:
    """Whether a request can reach both by its host name and its PLMN."""
    hosts = {name.lower() for name in one.hosts} & {name.lower() for name in other.hosts}
    plmns = {plmn_digits(p) for p in one.plmns} & {plmn_digits(p) for p in other.plmns}
    same_hosts = bool(hosts) or not one.hosts or not other.hosts
    return same_hosts and (bool(plmns) or not one.plmns or not other.plmns)


def _clashes(at: int, one: Tenant, other_at: int, other: Tenant) -> Iterator[str]:
    """What does not tell two tenants apart that share a host and a PLMN."""
    path = f"tenants[{other_at}]"
    if not (one.imsi_ranges or one.gid1 or other.imsi_ranges or other.gid1) and (
        bool(one.hosts) == bool(other.hosts) and bool(one.plmns) == bool(other.plmns)
    ):
        yield (
            f"{path}: nothing tells it from tenants[{at}]: they share a host and a PLMN, "
            "and neither has imsi-ranges or gid1"
        )
    for where, text in enumerate(other.imsi_ranges):
        for taken in one.imsi_ranges:
            (first, last), (low, high) = split_range(text), split_range(taken)
            if len(first) == len(low) and first <= high and low <= last:
                yield f"{path}.imsi-ranges[{where}]: overlaps {taken} of tenants[{at}]"
    taken_gid1 = {significant_gid1(text) for text in one.gid1}
    for where, text in enumerate(other.gid1):
        if significant_gid1(text) in taken_gid1:
            yield f"{path}.gid1[{where}]: {text} is also a gid1 of tenants[{at}]"


def significant_gid1(text: str) -> str:
    """A GID1 for comparison: upper case, without the unused octets FF at its end.

    Source: 3GPP TS 31.102 §4.2.10: EF_GID1 may be longer than the value in it.
    """
    text = text.upper()
    unused = (len(text) - len(text.rstrip("F"))) // 2 * 2
    return text[: max(2, len(text) - unused)]
