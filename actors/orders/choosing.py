"""Which profile an order takes: profile types by the operator's rules, SM-DP+ by health."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from actors.backends.smdp_plus import SmdpPlus
from actors.orders.records import Order
from actors.store.profiles import Wanted
from config.model import ProfileTypes

TAC_DIGITS: Final = 8
ANY: Final = ("",)


def profile_types(order: Order, rules: Iterable[ProfileTypes]) -> tuple[str, ...]:
    """The types that this device may get, best first; the empty one means any."""
    for rule in rules:
        if _fits(rule, order):
            return rule.profile_types or ANY
    return ANY


def _fits(rule: ProfileTypes, order: Order) -> bool:
    device = order.device
    equal = (
        (rule.tenant, order.tenant),
        (rule.app, order.app),
        (rule.service, order.service.value),
        (rule.device_class, device.device_class),
        (rule.vendor, device.vendor),
        (rule.model, device.model),
        (rule.plan, order.plan_id),
    )
    if any(wanted and wanted != given for wanted, given in equal):
        return False
    return order.target_terminal_id.startswith(rule.tac) and order.target_eid.startswith(
        rule.eid_prefix
    )


def pools(
    order: Order, smdps: Sequence[SmdpPlus], rules: Iterable[ProfileTypes]
) -> tuple[Wanted, ...]:
    """The pools to try, in order: by type, then SM-DP+ that work before those that do not."""
    types = profile_types(order, rules)
    return tuple(_pools(order, smdps, types))


def _pools(order: Order, smdps: Sequence[SmdpPlus], types: tuple[str, ...]) -> Iterator[Wanted]:
    healthy = sorted(smdps, key=lambda one: not one.available)
    for wanted in types:
        for smdp in healthy:
            for profile_type in _served(smdp, wanted):
                pool = f"{smdp.name}/{profile_type}"
                if pool not in order.excluded and f"{smdp.name}/" not in order.excluded:
                    yield Wanted(smdp.name, profile_type)


def _served(smdp: SmdpPlus, wanted: str) -> tuple[str, ...]:
    if not wanted:
        return smdp.profile_types or ANY
    return (wanted,) if not smdp.profile_types or wanted in smdp.profile_types else ()
