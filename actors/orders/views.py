"""An order as devices see it (TS.43 §6.5.3, §6.5.5): pure."""

from typing import Final

from actors.orders.answers import PROFILE_IN_USE
from actors.orders.records import Kind, Order, OrderView, Progress, ServiceStatus
from actors.orders.transitions import RANK, State
from config.model import Orders as Settings

_DOWNLOADABLE: Final = (State.RELEASED, State.DOWNLOADED)
_WORKING: Final = (State.INSTALLED, State.SWAPPED, State.ACTIVE)


def view_of(
    order: Order, settings: Settings, *, repeated: bool = False, conflicting: bool = False
) -> OrderView:
    """A snapshot.

    Args:
        repeated, conflicting: as in `OrderView`.
    """
    status = _service_status(order, settings)
    polling = settings.poll_minutes if status is ServiceStatus.ACTIVATING else 0
    code = order.activation_code if _apparent(order) in _DOWNLOADABLE else None
    return OrderView(
        order.tenant,
        order.order_id,
        order.kind,
        order.app,
        order.state,
        Progress.DISMISS if conflicting else _progress(order),
        status,
        polling,
        None if conflicting else code,
        order.iccid,
        order.smdp_address,
        order.service,
        order.plan_id,
        order.imsi,
        order.new_imsi,
        order.target_eid,
        order.target_terminal_id,
        order.device,
        order.reason,
        order.created_at,
        order.changed_at,
        repeated,
        conflicting,
        order.old_imsi,
    )


def is_answerable(view: OrderView) -> bool:
    """Whether waiting longer would not give the device another answer soon."""
    return view.progress is not Progress.DELAYED or view.state is State.MANUAL


def _apparent(order: Order) -> State:
    """A device need not know of people who look at its order."""
    return order.reached if order.state is State.MANUAL else order.state


def _progress(order: Order) -> Progress:
    state = _apparent(order)
    if state is State.WAIT_USER:
        return Progress.WEB_SHEET
    if state in _DOWNLOADABLE:
        return Progress.DOWNLOAD
    if state in _WORKING or state is State.ENDED:
        return Progress.DONE
    if state in (State.FAILED, State.CANCELLED):
        in_use = order.reason.startswith(PROFILE_IN_USE)
        return Progress.DELETE_PROFILE_IN_USE if in_use else Progress.DISMISS
    if order.kind is Kind.UNSUBSCRIBE or state is State.ENDING:
        return Progress.DELAYED
    if state is State.COMPENSATING and order.aim is not State.REQUESTED:
        return Progress.DISMISS
    return Progress.DELAYED


def _service_status(order: Order, settings: Settings) -> ServiceStatus:
    state = _apparent(order)
    if state is State.ACTIVE:
        return ServiceStatus.ACTIVATED
    if state is State.ENDING:
        return ServiceStatus.DEACTIVATED
    if order.is_final or (state is State.COMPENSATING and order.aim is not State.REQUESTED):
        return ServiceStatus.DEACTIVATED_NO_REUSE
    if order.polls >= settings.max_polls and order.rank < RANK[State.INSTALLED]:
        return ServiceStatus.DEACTIVATED_NO_REUSE  # MaxRefreshRequest: the device stops polling
    return ServiceStatus.ACTIVATING
