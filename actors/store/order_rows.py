"""Orders as rows: what is searched for in columns of its own, the rest as one JSON text."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from actors.orders.records import CallState, Device, Kind, OpenCall, Order, Service
from actors.orders.transitions import State
from protocols.es2plus.status_codes import Function

# Attribute of Order to column, in the order of the columns of the table.
_COLUMNS: Final[tuple[tuple[str, str], ...]] = (
    ("tenant", "tenant"),
    ("order_id", "order_id"),
    ("version", "version"),
    ("key", "request_key"),
    ("subject", "subject"),
    ("busy", "busy"),
    ("kind", "kind"),
    ("app", "app"),
    ("service", "service"),
    ("plan_id", "plan_id"),
    ("imsi", "imsi"),
    ("new_imsi", "line_imsi"),
    ("old_imsi", "old_imsi"),
    ("target_eid", "target_eid"),
    ("target_terminal_id", "terminal_id"),
    ("smdp", "smdp"),
    ("profile_type", "profile_type"),
    ("iccid", "iccid"),
    ("device.vendor", "device_vendor"),
    ("device.model", "device_model"),
    ("state", "state"),
    ("reached", "reached"),
    ("reason", "reason"),
    ("created_at", "created_at"),
    ("changed_at", "changed_at"),
    ("released_at", "released_at"),
    ("downloaded_at", "downloaded_at"),
    ("installed_at", "installed_at"),
    ("ended_at", "ended_at"),
    ("next_at", "next_at"),
    ("expires_at", "expires_at"),
    ("polls", "polls"),
    ("lease_owner", "lease_owner"),
    ("lease_until", "lease_until"),
)
# Changed by statements of their own, which do not count as a step.
_ASIDE: Final = ("polls", "lease_owner", "lease_until")
_KEY: Final = ("tenant", "order_id")

ORDER_COLUMNS: Final = (*(column for _, column in _COLUMNS), "body")
UPDATED_COLUMNS: Final = tuple(
    column for column in ORDER_COLUMNS if column not in _ASIDE and column not in _KEY
)


class _Body(msgspec.Struct, omit_defaults=True):
    """What nobody searches for."""

    aim: State | None = None
    resumes: State | None = None
    tries: int = 0
    attempts: int = 0
    assumed: bool = False
    line_touched: bool = False
    line_moved: bool = False
    swap_early: bool = False
    cancel_as: str = "available"
    cancel_plain: bool = False
    possible_leak: bool = False
    reuse: bool = False
    excluded: tuple[str, ...] = ()
    msisdn: str = ""
    matching_id: str = ""
    smdp_address: str = ""
    smdp_oid: str = ""
    old_terminal_id: str = ""
    old_iccid: str = ""
    sw_version: str = ""
    friendly_name: str = ""
    device_class: str = ""
    call_function: Function | None = None
    call_id: str = ""
    call_body: str = ""
    call_state: CallState = CallState.NONE
    call_doubt: bool = False


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Body)
_OWN: Final = (
    "aim",
    "resumes",
    "tries",
    "attempts",
    "assumed",
    "line_touched",
    "line_moved",
    "swap_early",
    "cancel_as",
    "cancel_plain",
    "possible_leak",
    "reuse",
    "excluded",
    "msisdn",
    "matching_id",
    "smdp_address",
    "smdp_oid",
    "old_terminal_id",
    "old_iccid",
)


def row_of(order: Order) -> dict[str, Any]:
    """Column to value."""
    row: dict[str, Any] = {}
    for attribute, column in _COLUMNS:
        value: Any = order
        for part in attribute.split("."):
            value = getattr(value, part)
        row[column] = int(value) if isinstance(value, bool) else getattr(value, "value", value)
    call, device = order.call, order.device
    body = _Body(
        **{name: getattr(order, name) for name in _OWN},
        sw_version=device.sw_version,
        friendly_name=device.friendly_name,
        device_class=device.device_class,
        call_function=call.function,
        call_id=call.identifier,
        call_body=call.body.decode(),
        call_state=call.state,
        call_doubt=call.doubt,
    )
    row["body"] = _ENCODER.encode(body).decode()
    return row


def order_of(values: Sequence[Any]) -> Order:
    """An order from a row of `ORDER_COLUMNS`.

    Raises:
        ValueError: somebody wrote into the database by hand.
    """
    row = dict(zip(ORDER_COLUMNS, values, strict=True))
    try:
        body = _DECODER.decode(row["body"])
    except msgspec.DecodeError as error:
        raise ValueError(f"the body of an order: {error}") from None
    call = OpenCall(
        body.call_function, body.call_id, body.call_body.encode(), body.call_state, body.call_doubt
    )
    device = Device(
        row["device_vendor"],
        row["device_model"],
        body.sw_version,
        body.friendly_name,
        body.device_class,
    )
    plain = {
        attribute: row[column]
        for attribute, column in _COLUMNS
        if attribute not in _CONVERTED and "." not in attribute
    }
    return Order(
        **plain,
        **{name: getattr(body, name) for name in _OWN},
        kind=Kind(row["kind"]),
        service=Service(row["service"]),
        state=State(row["state"]),
        reached=State(row["reached"]),
        device=device,
        call=call,
    )


_CONVERTED: Final = frozenset({"busy", "kind", "service", "state", "reached"})
