"""Checks across several values of a configuration: timers, files, addresses, tenants.

They also run when some value is wrong by itself, on all others, so that one look at the file shows
everything: a check that needs a wrong value says nothing (`config.sections.Partial`).
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import combinations
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, TypeVar

from config.model import Certificate, Config, Diameter, DiameterPeer, Section, Tenant
from config.rules import split_range
from config.sections import BAD, Unknown, is_reference

DEVICE_SECONDS: Final = 30.0  # the Android client waits no longer for an answer
_PATIENCE: Final = f"{DEVICE_SECONDS:g}, for a phone waits that long"

T = TypeVar("T")


def check(config: Config, folder: Path | None) -> Iterator[str]:
    """Every problem, as `dotted.path: what is wrong`.

    Args:
        config: whose values are each right by themselves; `Partial` where some are not.
        folder: of the configuration file, to look for the files it names; None: do not look.
    """
    for one in (*_TIMERS, _peers, _worker_names, _addresses, _tenants):
        yield from _as_far_as_known(one(config))
    if folder is not None:
        yield from _as_far_as_known(_certificate_files(config, folder))
        yield from _as_far_as_known(_peer_files(config, folder))


def _as_far_as_known(problems: Iterator[str]) -> Iterator[str]:
    with suppress(Unknown):
        yield from problems


def _good(values: Iterable[T]) -> Iterator[tuple[int, T]]:
    """Places and values, without those that are wrong or stand in for a value of elsewhere."""
    for at, value in enumerate(values):
        if value is not BAD and not is_reference(value):
            yield at, value


def _known(section: Section, path: str) -> list[Any]:
    """The value at the end of attributes, or nothing when it is wrong."""
    with suppress(Unknown):
        return [attrgetter(path)(section)]
    return []


def _answer_timer(config: Config) -> Iterator[str]:
    if config.diameter.answer_seconds > config.diameter.exchange_seconds:
        yield "diameter.answer-seconds: must not be more than diameter.exchange-seconds"


def _reconnect_timer(config: Config) -> Iterator[str]:
    if config.diameter.first_reconnect_seconds > config.diameter.reconnect_seconds:
        yield "diameter.first-reconnect-seconds: must not be more than diameter.reconnect-seconds"


def _leg_timer(config: Config) -> Iterator[str]:
    if config.sessions.answer_seconds >= DEVICE_SECONDS:
        yield f"sessions.answer-seconds: must be less than {_PATIENCE}"


def _challenge_timer(config: Config) -> Iterator[str]:
    if config.sessions.challenge_seconds <= DEVICE_SECONDS:
        yield f"sessions.challenge-seconds: must be more than {_PATIENCE}"


def _overload_timers(config: Config) -> Iterator[str]:
    if config.overload.retry_after_least > config.overload.retry_after_most:
        yield "overload.retry-after-least: must not be more than overload.retry-after-most"


def _overload_tenants(config: Config) -> Iterator[str]:
    known = [one.id for _, one in _good(config.tenants) for _ in _known(one, "id")]
    for tenant in config.overload.tenant_weights:
        if tenant not in known:
            yield f"overload.tenant-weights.{tenant}: there is no such tenant"


def _exchange_timer(config: Config) -> Iterator[str]:
    if config.diameter.exchange_seconds >= config.sessions.answer_seconds:
        yield "diameter.exchange-seconds: must be less than sessions.answer-seconds"


def _statement_timer(config: Config) -> Iterator[str]:
    if config.store.statement_seconds >= config.store.answer_seconds:
        yield "store.statement-seconds: must be less than store.answer-seconds"


def _store_timer(config: Config) -> Iterator[str]:
    if config.store.answer_seconds >= config.sessions.answer_seconds:
        yield "store.answer-seconds: must be less than sessions.answer-seconds"


def _store_owner(config: Config) -> Iterator[str]:
    if config.store.postgres_owner and not config.store.postgres:
        yield "store.postgres-owner: is of no use without store.postgres"


def _order_lease(config: Config) -> Iterator[str]:
    if config.orders.lease_seconds <= config.orders.call_seconds:
        yield "orders.lease-seconds: must be more than orders.call-seconds"


def _order_token(config: Config) -> Iterator[str]:
    if config.orders.temporary_token_seconds >= config.orders.order_seconds:
        yield "orders.temporary-token-seconds: must be less than orders.order-seconds"


_TIMERS: Final = (
    _order_lease,
    _order_token,
    _answer_timer,
    _reconnect_timer,
    _leg_timer,
    _challenge_timer,
    _exchange_timer,
    _overload_timers,
    _overload_tenants,
    _statement_timer,
    _store_timer,
    _store_owner,
)


def _addresses(config: Config) -> Iterator[str]:
    listen = _known(config, "device.listen")
    if listen == [()]:
        yield "device.listen: at least one address is needed"
    named = [(f"device.listen[{at}]", one) for some in listen for at, one in _good(some)]
    named += [("management.listen", one) for one in _known(config, "management.listen")]
    named += [("partner.listen", one) for one in _known(config, "partner.listen") if one]
    taken: dict[str, str] = {}
    for path, address in named:
        if address.endswith(":0"):
            continue  # any free port
        if address in taken:
            yield f"{path}: {address} is taken by {taken[address]}"
        taken.setdefault(address, path)


def _worker_names(config: Config) -> Iterator[str]:
    """RFC 1035 §2.3.4: a label has 63 octets at most, also the longest one, of worker 255."""
    label = config.diameter.origin_host.partition(".")[0] + config.node.worker_suffix.format(255)
    if config.node.workers != 1 and len(label) > 63:
        yield "node.worker-suffix: makes the first label of diameter.origin-host too long"


def _peers(config: Config) -> Iterator[str]:
    hosts: dict[str, int] = {}
    for at, peer in _good(config.diameter.peers):
        path = f"diameter.peers[{at}]"
        for host in _known(peer, "host"):
            first = hosts.setdefault(host.lower(), at)
            if first != at:
                yield f"{path}.host: is the same as diameter.peers[{first}].host"
        for one in (_peer_is_other, _peer_keys, _peer_applications):
            yield from _as_far_as_known(one(config.diameter, peer, path))


def _peer_is_other(diameter: Diameter, peer: DiameterPeer, path: str) -> Iterator[str]:
    if peer.host.lower() == diameter.origin_host.lower():
        yield f"{path}.host: is the node's own diameter.origin-host"


def _peer_keys(_diameter: Diameter, peer: DiameterPeer, path: str) -> Iterator[str]:
    if bool(peer.tls_certificate) != bool(peer.tls_key):
        yield f"{path}.tls-key: tls-certificate and tls-key are given both or not at all"


def _peer_applications(_diameter: Diameter, peer: DiameterPeer, path: str) -> Iterator[str]:
    if not (peer.plain_application_id or peer.vendor_specific_application_id):
        # RFC 6733 §5.3: without a common application the answer is 5010.
        yield f"{path}.plain-application-id: the CER would name no application at all"


def _certificate_files(config: Config, folder: Path) -> Iterator[str]:
    for at, certificate in _good(config.device.certificates):
        yield from _files(certificate, ("chain", "key"), f"device.certificates[{at}]", folder)


def _peer_files(config: Config, folder: Path) -> Iterator[str]:
    names = ("tls_ca", "tls_certificate", "tls_key")
    for at, peer in _good(config.diameter.peers):
        yield from _files(peer, names, f"diameter.peers[{at}]", folder)


def _files(
    section: Certificate | DiameterPeer, names: tuple[str, ...], path: str, folder: Path
) -> Iterator[str]:
    for name in names:
        with suppress(Unknown):
            file = getattr(section, name)
            if file and not (folder / file).is_file():
                yield f"{path}.{name.replace('_', '-')}: there is no file {folder / file}"


def _tenants(config: Config) -> Iterator[str]:
    if not config.tenants:
        yield "tenants: at least one tenant is needed"
    good = list(_good(config.tenants))
    ids: dict[str, int] = {}
    for at, tenant in good:
        for name in _known(tenant, "id"):
            first = ids.setdefault(name, at)
            if first != at:
                yield f"tenants[{at}].id: {name} is also the id of tenants[{first}]"
        for one in (_versions, _ranges):
            yield from _as_far_as_known(one(tenant, f"tenants[{at}]"))
    yield from _as_far_as_known(_shared_paths(config, good))
    for (at, tenant), (other_at, other) in combinations(good, 2):
        for clashes in (_nothing_between, _range_clashes, _gid1_clashes):
            with suppress(Unknown):
                if _meet(tenant, other):
                    yield from clashes(at, tenant, f"tenants[{other_at}]", other)


def _versions(tenant: Tenant, path: str) -> Iterator[str]:
    if tenant.versions.first > tenant.versions.last:
        yield f"{path}.versions.first: must not be more than last"


def _ranges(tenant: Tenant, path: str) -> Iterator[str]:
    plmns = [plmn for _, plmn in _good(tenant.plmns)]
    if not plmns or len(plmns) < len(tenant.plmns):
        return  # any network, or one that is not known
    for where, text in _good(tenant.imsi_ranges):
        if not _within_plmns(text, plmns):
            yield f"{path}.imsi-ranges[{where}]: is outside the tenant's plmns"


def _shared_paths(config: Config, tenants: list[tuple[int, Tenant]]) -> Iterator[str]:
    everybodys = {path for _, path in _good(config.device.paths)}
    for at, tenant in tenants:
        for paths in _known(tenant, "paths"):
            for where, path in _good(paths):
                if path in everybodys:
                    yield (
                        f"tenants[{at}].paths[{where}]: {path} is one of device.paths, "
                        "where every tenant is served"
                    )


def plmn_digits(text: str) -> str:
    """`001/01` and `001-01` as `00101`."""
    return text.replace("/", "").replace("-", "")


def _within_plmns(text: str, plmns: Iterable[str]) -> bool:
    first, last = split_range(text)
    return any(first.startswith(p) and last.startswith(p) for p in map(plmn_digits, plmns))


def _meet(one: Tenant, other: Tenant) -> bool:
    """Whether a request can reach both by its host name and its PLMN."""
    hosts = _lower(one.hosts) & _lower(other.hosts)
    plmns = _networks(one) & _networks(other)
    same_hosts = bool(hosts) or not one.hosts or not other.hosts
    return same_hosts and (bool(plmns) or not one.plmns or not other.plmns)


def _lower(names: Iterable[str]) -> set[str]:
    return {name.lower() for _, name in _good(names)}


def _networks(tenant: Tenant) -> set[str]:
    return {plmn_digits(plmn) for _, plmn in _good(tenant.plmns)}


def _nothing_between(at: int, one: Tenant, path: str, other: Tenant) -> Iterator[str]:
    """Tenants that share a host and a PLMN."""
    if one.paths and other.paths and not set(one.paths) & set(other.paths):
        return  # their phones are sent to different paths
    if not (one.imsi_ranges or one.gid1 or other.imsi_ranges or other.gid1) and (
        bool(one.hosts) == bool(other.hosts) and bool(one.plmns) == bool(other.plmns)
    ):
        yield (
            f"{path}: nothing tells it from tenants[{at}]: they share a host and a PLMN, "
            "and neither has imsi-ranges, gid1 or paths of its own"
        )


def _range_clashes(at: int, one: Tenant, path: str, other: Tenant) -> Iterator[str]:
    for where, text in _good(other.imsi_ranges):
        for _, taken in _good(one.imsi_ranges):
            (first, last), (low, high) = split_range(text), split_range(taken)
            if len(first) == len(low) and first <= high and low <= last:
                yield f"{path}.imsi-ranges[{where}]: overlaps {taken} of tenants[{at}]"


def _gid1_clashes(at: int, one: Tenant, path: str, other: Tenant) -> Iterator[str]:
    taken = {significant_gid1(text) for _, text in _good(one.gid1)}
    for where, text in _good(other.gid1):
        if significant_gid1(text) in taken:
            yield f"{path}.gid1[{where}]: {text} is also a gid1 of tenants[{at}]"


def significant_gid1(text: str) -> str:
    """A GID1 for comparison: upper case, without the unused octets FF at its end.

    Source: 3GPP TS 31.102 §4.2.10: EF_GID1 may be longer than the value in it.
    """
    text = text.upper()
    unused = (len(text) - len(text.rstrip("F"))) // 2 * 2
    return text[: max(2, len(text) - unused)]
