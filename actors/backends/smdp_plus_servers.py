"""All SM-DP+ of all tenants: found by (tenant, name), taken over by a reload, closed at the end."""

from collections.abc import Callable, Iterable
from pathlib import Path

import trio

from actors.backends.smdp_plus_client import SmdpPlusClient, SmdpPlusStatistics
from config.model import SmdpPlus, Tenant

Key = tuple[str, str]


class SmdpPlusServers:
    """The SM-DP+ that orders go to. A client object lives as long as its key is configured."""

    def __init__(
        self,
        tenants: Iterable[Tenant],
        build: Callable[[str, SmdpPlus], SmdpPlusClient] = SmdpPlusClient,
    ) -> None:
        """Build a client for each; nothing is connected yet.

        Raises:
            OSError: a certificate file cannot be used.
        """
        self._build = build
        self._clients: dict[Key, SmdpPlusClient] = {}
        self._files: dict[Key, tuple[bytes, ...]] = {}
        for key, settings in _rows(tenants):
            self._clients[key] = build(key[0], settings)
            self._files[key] = _contents(settings)

    def find(self, tenant: str, name: str) -> SmdpPlusClient | None:
        """The one of that name, also for orders of an earlier configuration; None: not any more."""
        return self._clients.get((tenant, name))

    def of(self, tenant: str) -> tuple[SmdpPlusClient, ...]:
        """All of a tenant, in the order of the configuration."""
        return tuple(client for key, client in self._clients.items() if key[0] == tenant)

    def for_profile_type(self, tenant: str, profile_type: str) -> tuple[SmdpPlusClient, ...]:
        """Those of a tenant that serve a profile type; the available ones first."""
        serving = [
            client
            for client in self.of(tenant)
            if not client.profile_types or profile_type in client.profile_types
        ]
        return tuple(sorted(serving, key=lambda client: not client.available))

    async def reload(self, tenants: Iterable[Tenant]) -> list[str]:
        """Take a new configuration, also the same with new certificate files.

        Returns:
            `tenant/name: why`, of those that keep their old settings.
        """
        problems = []
        kept: dict[Key, SmdpPlusClient] = {}
        for key, settings in _rows(tenants):
            client = self._clients.get(key)
            try:
                contents = _contents(settings)
                if client is None:
                    client = self._build(key[0], settings)
                elif settings != client.settings or contents != self._files[key]:
                    await client.reload(settings)
                self._files[key] = contents
            except OSError as error:
                problems.append(f"{'/'.join(key)}: {error}")
            if client is not None:
                kept[key] = client
        gone = [client for key, client in self._clients.items() if key not in kept]
        self._clients = kept
        for client in gone:
            await client.close()
        return problems

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold the connections until cancelled, then close them."""
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                for client in self._clients.values():
                    await client.close()

    def statistics(self) -> tuple[SmdpPlusStatistics, ...]:
        """Each as it stands now."""
        return tuple(client.statistics() for client in self._clients.values())


def _rows(tenants: Iterable[Tenant]) -> list[tuple[Key, SmdpPlus]]:
    return [((tenant.id, one.name), one) for tenant in tenants for one in tenant.smdp_plus]


def _contents(settings: SmdpPlus) -> tuple[bytes, ...]:
    """Of the certificate files: a renewed certificate has the same name."""
    names = (settings.ca, settings.certificate, settings.key)
    return tuple(Path(name).read_bytes() for name in names if name)
