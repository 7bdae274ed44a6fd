"""Checks across the values of [tenants.odsa] and [tenants.phone-number].

As in `config/checks.py` a check that needs a wrong value says nothing.
"""

from collections.abc import Iterator
from contextlib import suppress

from config.model import Config, Tenant
from config.sections import BAD, Unknown


def check_odsa(config: Config) -> Iterator[str]:
    """Every problem, as `dotted.path: what is wrong`."""
    with suppress(Unknown):
        for number, tenant in enumerate(config.tenants):
            if tenant is not BAD:
                yield from _check(tenant, f"tenants[{number}]")


def _check(tenant: Tenant, path: str) -> Iterator[str]:
    with suppress(Unknown):
        odsa = tenant.odsa
        if odsa.portal_operations and not odsa.portal_url:
            yield f"{path}.odsa.portal-operations: there is no portal-url"
        asked = odsa.user_input
        if asked.expected and not asked.free_text:
            yield f"{path}.odsa.user-input.expected: nothing is typed without free-text"
        if asked.pattern and not asked.free_text:
            yield f"{path}.odsa.user-input.pattern: nothing is typed without free-text"
    with suppress(Unknown):
        number = tenant.phone_number
        if number.offered and number.sim_id in ("hash", "uuid") and not number.sim_id_key:
            yield f"{path}.phone-number.sim-id-key: {number.sim_id} needs it"
