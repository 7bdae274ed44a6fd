"""What a request means: an order of before, a new one, or a refusal.

Whether a device may order is asked first, whose line it is about is found out here, and nothing is
kept yet.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

from actors.backends.bss_lines import BssLines, LineAway
from actors.orders.machine import StockState
from actors.orders.records import Kind, Order, OrderRequest
from actors.orders.transitions import State
from actors.store.order_book import OrderBook
from actors.store.orders import Filter
from config.model import Orders as Settings

COMPANION: Final = "ap2006"
_LIVE: Final = tuple(state.value for state in State if state not in (State.CANCELLED, State.FAILED))


@dataclass(frozen=True, slots=True)
class Known:
    """An order of before answers the request."""

    order: Order
    conflicting: bool = False


@dataclass(frozen=True, slots=True)
class Fresh:
    """A new order, not kept yet."""

    order: Order


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """The business systems do not allow it; `order` only describes what was asked."""

    order: Order
    reason: str


Meaning = Known | Fresh | NotAllowed


class Intake:
    """Finds out what requests mean."""

    def __init__(self, book: OrderBook, bss: BssLines) -> None:
        self._book = book
        self._bss = bss

    async def meaning_of(
        self, request: OrderRequest, order_id: str, now: int, settings: Settings
    ) -> Meaning:
        """Look at what there is and ask whether it may be.

        Raises:
            StoreUnavailable: nobody can say.
        """
        order = _described(request, order_id, now, settings)
        lines = await self._lines_of(request)
        same = [one for one in lines if one.key == order.key and not one.is_final]
        if same and same[0].busy:
            return Known(same[0])
        match request.kind:
            case Kind.SUBSCRIBE:
                return await self._subscribe(request, order, lines, now, settings)
            case Kind.TRANSFER:
                return Known(same[0]) if same else await self._transfer(request, order)
            case Kind.RECOVER:
                return await self._recover(request, order, lines, settings)
            case Kind.UNSUBSCRIBE:
                return await self._unsubscribe(request, order, lines)

    async def _lines_of(self, request: OrderRequest) -> list[Order]:
        """What was ordered for this device before, newest first."""
        device = Filter(
            eid=request.target_eid or "",
            terminal_id="" if request.target_eid else request.target_terminal_id,
            iccid=(request.iccid or "") if request.target_eid is None else "",
            app=request.app,
            states=_LIVE,
        )
        if not (device.eid or device.terminal_id or device.iccid):
            device = replace(device, imsi=request.imsi)
        found = await self._book.search(request.tenant, device)
        return [one for one in found if request.imsi in (one.imsi, one.new_imsi, one.old_imsi)]

    async def _subscribe(
        self, request: OrderRequest, order: Order, lines: list[Order], now: int, settings: Settings
    ) -> Meaning:
        for one in lines:
            if one.state is State.ACTIVE and one.service is order.service:
                lost = now - one.installed_at >= settings.recovery_after_seconds
                if request.iccid == one.iccid or not lost:
                    return Known(one)
                # The device has no such profile any more, or it would not ask (factory reset).
                return await self._recovery(order, one.new_imsi, one.iccid, settings)
            if one.kind is not Kind.UNSUBSCRIBE and not one.is_final:
                return Known(one, conflicting=True)
        allowed = await self._bss.check_eligibility(request.tenant, request.imsi, request.app)
        if not isinstance(allowed, LineAway) and not allowed.allowed:
            return NotAllowed(order, allowed.reason)
        return Fresh(order)

    async def _transfer(self, request: OrderRequest, order: Order) -> Meaning:
        if request.app == COMPANION and request.old_iccid is None:
            return NotAllowed(order, "no-such-line")  # never the phone's own
        line: str | LineAway = request.imsi
        if request.old_iccid is not None:
            line = await self._bss.own_line(request.tenant, request.imsi, request.old_iccid)
        if isinstance(line, LineAway):
            line = request.imsi
        if not line:
            return NotAllowed(order, "not-the-subscribers-line")
        allowed = await self._bss.check_transfer(request.tenant, line, request.app)
        if not isinstance(allowed, LineAway) and not allowed.allowed:
            return NotAllowed(order, allowed.reason)
        return Fresh(replace(order, old_imsi=str(line), subject=line_subject(order.tenant, line)))

    async def _recover(
        self, request: OrderRequest, order: Order, lines: list[Order], settings: Settings
    ) -> Meaning:
        for one in lines:
            if one.state is State.ACTIVE and request.iccid in (None, one.iccid):
                return await self._recovery(order, one.new_imsi, one.iccid, settings)
        iccid = request.iccid or request.old_iccid
        if request.app == COMPANION and iccid is None:
            return NotAllowed(order, "no-such-line")  # never the phone's own
        line: str | LineAway = request.imsi
        if iccid is not None:
            line = await self._bss.own_line(request.tenant, request.imsi, iccid)
        if isinstance(line, LineAway):
            line = request.imsi
        if not line:
            return NotAllowed(order, "not-the-subscribers-line")
        return await self._recovery(order, line, iccid or "", settings)

    async def _recovery(self, order: Order, line: str, iccid: str, settings: Settings) -> Meaning:
        """The line's own profile if that can be, else the line moves to another one."""
        allowed = await self._bss.check_transfer(order.tenant, line, order.app)
        if not isinstance(allowed, LineAway) and not allowed.allowed:
            return NotAllowed(order, allowed.reason)
        recovery = replace(
            order,
            kind=Kind.RECOVER,
            old_iccid=str(iccid),
            old_imsi=str(line),
            subject=line_subject(order.tenant, line),
        )
        if settings.recovery == "reuse" and iccid:
            profile = await self._book.profile(order.tenant, iccid)
            if profile is not None and profile.state in (StockState.INSTALLED, StockState.DELETED):
                recovery = replace(recovery, old_imsi="")
        return Fresh(recovery)

    async def _unsubscribe(
        self, request: OrderRequest, order: Order, lines: list[Order]
    ) -> Meaning:
        for one in lines:
            if one.kind is not Kind.UNSUBSCRIBE:
                return Known(one)
        if request.iccid is None:
            # Ending what nobody named could be the subscriber's own line.
            return NotAllowed(order, "no-such-line")
        line = await self._bss.own_line(request.tenant, request.imsi, request.iccid)
        if isinstance(line, LineAway) or not line:
            return NotAllowed(order, "not-the-subscribers-line")
        ending = replace(order, state=State.ENDING, new_imsi=line, iccid=str(request.iccid))
        return Fresh(replace(ending, subject=line_subject(order.tenant, line)))


def line_subject(tenant: str, imsi: str) -> str:
    """What only one unfinished order may be about: this line."""
    return hashlib.sha256(f"{tenant}\0line\0{imsi}".encode()).hexdigest()[:32]


def _described(request: OrderRequest, order_id: str, now: int, settings: Settings) -> Order:
    waits = request.user_input_missing
    state = State.WAIT_USER if waits else State.REQUESTED
    expires = now + (settings.user_seconds if waits else settings.order_seconds)
    return Order(
        tenant=request.tenant,
        order_id=order_id,
        key=request.key,
        subject=request.subject,
        kind=request.kind,
        app=request.app,
        imsi=str(request.imsi),
        created_at=now,
        changed_at=now,
        service=request.service,
        plan_id=request.plan_id,
        target_eid=str(request.target_eid or ""),
        target_terminal_id=request.target_terminal_id,
        old_terminal_id=request.old_terminal_id,
        old_iccid=str(request.old_iccid or ""),
        device=request.device,
        state=state,
        swap_early=settings.swap_at == "release" and request.kind is not Kind.SUBSCRIBE,
        next_at=expires if waits else now,
        expires_at=expires,
    )
