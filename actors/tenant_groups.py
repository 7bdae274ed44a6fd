"""Tenants that share a host name and a PLMN, told apart by IMSI range, token and GID1."""

from bisect import bisect_right
from enum import Enum
from functools import lru_cache
from typing import Final

from actors.store.tokens import code_of, tenant_code
from config.checks import plmn_digits, significant_gid1
from config.model import Tenant
from config.rules import split_range


class Nobody(Enum):
    """Why there is no tenant although some might do."""

    AMBIGUOUS = 1


AMBIGUOUS: Final = Nobody.AMBIGUOUS

Owner = Tenant | Nobody | None
"""A tenant; AMBIGUOUS: several fit equally well, ask no further; None: none of these."""


class Group:
    """Tenants that nothing but IMSI range, token and GID1 can tell apart."""

    __slots__ = ("_general", "_gid1", "_ranges", "_tenants", "_tokens")

    def __init__(self, tenants: list[Tenant]) -> None:
        self._tenants = tenants
        self._ranges = Ranges(tenants)
        self._tokens: dict[str, Owner] = {}
        self._gid1: dict[str, Owner] = {}
        for one in tenants:
            _claim(self._tokens, tenant_code(one.id), one)
            for text in one.gid1:
                _claim(self._gid1, significant_gid1(text), one)
        # Who has neither ranges nor GID1 gets what nobody else claims.
        general = [one for one in tenants if not one.imsi_ranges and not one.gid1]
        self._general = general[0] if len(general) == 1 else None

    def by_range(self, imsi: str) -> Owner:
        """Who has a range that holds the IMSI."""
        return self._ranges.owner(imsi)

    def find(self, imsi: str | None, gid1: str | None, token: str | None) -> Owner:
        """Who a request belongs to that named the host and the PLMN of this group."""
        if imsi is not None:
            owner = self._ranges.owner(imsi)
            if owner is not None:
                return owner
        if len(self._tenants) > 1:
            if token is not None:
                named = self._tokens.get(code_of(token) or "")
                if isinstance(named, Tenant) and may_have(named, imsi):
                    return named
            if gid1:
                named = self._gid1.get(significant_gid1(gid1))
                if named is AMBIGUOUS or (isinstance(named, Tenant) and may_have(named, imsi)):
                    return named
        general = self._general
        if general is not None:
            return general if may_have(general, imsi) else None
        return self._the_one_that_fits(imsi, gid1)

    def _the_one_that_fits(self, imsi: str | None, gid1: str | None) -> Owner:
        fits = [
            one
            for one in self._tenants
            if may_have(one, imsi) and not (one.gid1 and gid1 and not _has_gid1(one, gid1))
        ]
        return AMBIGUOUS if len(fits) > 1 else fits[0] if fits else None


class Ranges:
    """IMSI ranges of several tenants, cut into pieces with one owner each."""

    __slots__ = ("_owners", "_starts")

    def __init__(self, tenants: list[Tenant]) -> None:
        ranges = [
            (_number(first), _number(last), tenant)
            for tenant in tenants
            for first, last in map(split_range, tenant.imsi_ranges)
        ]
        cuts = {first for first, _, _ in ranges} | {last + 1 for _, last, _ in ranges}
        self._starts = sorted(cuts)
        self._owners: list[Owner] = []
        for start in self._starts:
            owners = {id(one): one for first, last, one in ranges if first <= start <= last}
            one = next(iter(owners.values()), None)
            self._owners.append(AMBIGUOUS if len(owners) > 1 else one)

    def owner(self, imsi: str) -> Owner:
        """Whose range holds the IMSI; None: nobody's."""
        if not self._starts or not _is_imsi(imsi):
            return None
        at = bisect_right(self._starts, _number(imsi)) - 1
        return self._owners[at] if at >= 0 else None


def may_have(tenant: Tenant, imsi: str | None) -> bool:
    """Whether this IMSI can be a subscriber of the tenant: inside its PLMNs and its ranges."""
    if imsi is None:
        return True
    prefixes, ranges = _claims(tenant.plmns, tenant.imsi_ranges)
    if prefixes and not imsi.startswith(prefixes):
        return False
    if not ranges:
        return True
    number = _number(imsi) if _is_imsi(imsi) else 0
    return any(first <= number <= last for first, last in ranges)


@lru_cache(maxsize=4_096)
def _claims(
    plmns: tuple[str, ...], ranges: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]]:
    """A tenant's PLMNs as IMSI prefixes, and its ranges as numbers."""
    numbers = tuple((_number(a), _number(b)) for a, b in map(split_range, ranges))
    return tuple(map(plmn_digits, plmns)), numbers


def _is_imsi(text: str) -> bool:
    # What a device sends as its IMSI may be anything, also thousands of digits.
    return 6 <= len(text) <= 15 and text.isascii() and text.isdigit()


def _number(imsi: str) -> int:
    """An IMSI for comparison: only those of the same number of digits are in one range."""
    return len(imsi) * 10**16 + int(imsi)


def _has_gid1(tenant: Tenant, gid1: str) -> bool:
    return significant_gid1(gid1) in map(significant_gid1, tenant.gid1)


def _claim(claims: dict[str, Owner], key: str, tenant: Tenant) -> None:
    taken = claims.get(key)
    claims[key] = tenant if taken is None or taken is tenant else AMBIGUOUS
