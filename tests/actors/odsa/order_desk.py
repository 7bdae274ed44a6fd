"""An orders' desk in memory, behind the port: what the operations are tested against."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from actors.backends.bss import Plan
from actors.backends.smdp_plus import Disposition, SmdpNotification
from actors.orders.port import (
    Eligibility,
    Eligible,
    OrderChanged,
    TemporaryToken,
    TokenRefusal,
)
from actors.orders.records import (
    Kind,
    OrderRequest,
    OrderView,
    Progress,
    Service,
    ServiceStatus,
)
from actors.orders.transitions import State
from protocols.es2plus.identifiers import ActivationCode, MatchingId
from protocols.identity import Eid, Iccid, Imsi

SMDP = "smdp.example"


class MemoryDesk:
    """Orders that are ready at once, unless `slow`; a test moves them on.

    Attributes:
        installs: what is released is installed when somebody looks again.
        requests: every OrderRequest.
        polls: how often `configurations` was asked for an unfinished order.
    """

    def __init__(self) -> None:
        self.orders: dict[str, OrderView] = {}
        self.requests: list[OrderRequest] = []
        self.slow = False
        self.installs = False
        self.max_polls = 240
        self.polls: dict[str, int] = {}
        self.eligible = Eligible(Eligibility.ENABLED, (Service.SHARED_NUMBER, Service.DIFF_NUMBER))
        self.offers: tuple[Plan, ...] = ()
        self.tokens: dict[str, TemporaryToken] = {}
        self.bound: dict[str, Eid] = {}
        self.now = 1_790_000_000

    # --- what tests do -------------------------------------------------------------------------

    def move(self, order_id: str, state: State) -> None:
        """Let an order reach a state."""
        progress, status = {
            State.RELEASED: (Progress.DOWNLOAD, ServiceStatus.ACTIVATING),
            State.ACTIVE: (Progress.DONE, ServiceStatus.ACTIVATED),
            State.FAILED: (Progress.DISMISS, ServiceStatus.DEACTIVATED_NO_REUSE),
            State.ENDED: (Progress.DONE, ServiceStatus.DEACTIVATED_NO_REUSE),
        }[state]
        view = self.orders[order_id]
        code = None
        if state is State.RELEASED:
            code = ActivationCode(SMDP, MatchingId(f"MATCH-{order_id.upper()}"))
        self.orders[order_id] = replace(
            view,
            state=state,
            progress=progress,
            service_status=status,
            activation_code=code,
            iccid=view.iccid or f"89490000000000005{len(self.orders):02d}",
            polling_minutes=0 if state is not State.RELEASED else 1,
        )

    # --- the port ------------------------------------------------------------------------------

    async def request(self, request: OrderRequest, budget_seconds: float) -> OrderView:
        self.requests.append(request)
        found = self.orders.get(request.key)
        if found is not None and found.progress is not Progress.WEB_SHEET:
            return replace(found, repeated=True)
        if request.kind is Kind.UNSUBSCRIBE:
            progress, state = Progress.DONE, State.ENDED
        elif request.user_input_missing:
            progress, state = Progress.WEB_SHEET, State.WAIT_USER
        else:
            progress, state = Progress.DELAYED, State.REQUESTED
        self.orders[request.key] = OrderView(
            tenant=request.tenant,
            order_id=request.key,
            kind=request.kind,
            app=request.app,
            state=state,
            progress=progress,
            service_status=ServiceStatus.ACTIVATING,
            polling_minutes=1,
            activation_code=None,
            iccid="",
            smdp_address=SMDP,
            service=request.service,
            plan_id=request.plan_id,
            imsi=request.imsi,
            line_imsi="",
            old_imsi=request.imsi if request.kind is Kind.TRANSFER else "",
            target_eid=request.target_eid or "",
            target_terminal_id=request.target_terminal_id,
            device=request.device,
            reason="",
            created_at=self.now,
            changed_at=self.now,
        )
        if progress is Progress.DELAYED and not self.slow:
            self.move(request.key, State.RELEASED)
        return self.orders[request.key]

    async def answered(self, tenant: str, order_id: str, budget_seconds: float) -> OrderView | None:
        if order_id in self.orders:
            self.move(order_id, State.RELEASED)
        return self.orders.get(order_id)

    async def find(self, tenant: str, order_id: str) -> OrderView | None:
        return self.orders.get(order_id)

    async def configurations(
        self,
        tenant: str,
        *,
        imsi: Imsi | None = None,
        eid: Eid | None = None,
        terminal_id: str = "",
        iccid: Iccid | None = None,
        app: str = "",
        polls: bool = True,
    ) -> tuple[OrderView, ...]:
        found = [
            view
            for view in reversed(self.orders.values())
            if view.tenant == tenant
            and (imsi is None or imsi in (view.imsi, view.line_imsi))
            and (eid is None or view.target_eid == eid)
            and (not terminal_id or view.target_terminal_id == terminal_id)
            and (iccid is None or view.iccid == iccid)
            and (not app or view.app == app)
            and view.kind is not Kind.UNSUBSCRIBE
        ]
        if self.installs:
            for view in found:
                self.move(view.order_id, State.ACTIVE)
            found = [self.orders[view.order_id] for view in found]
        return tuple(self._polled(found) if polls else found)

    def _polled(self, found: Iterable[OrderView]) -> Iterable[OrderView]:
        for view in found:
            count = self.polls[view.order_id] = self.polls.get(view.order_id, 0) + 1
            waiting = view.progress is Progress.DELAYED
            if waiting and count > self.max_polls:
                yield replace(view, service_status=ServiceStatus.DEACTIVATED_NO_REUSE)
            else:
                yield view

    async def seen(
        self, tenant: str, *, iccid: Iccid | None = None, imsi: Imsi | None = None
    ) -> OrderView | None:
        for order_id, view in self.orders.items():
            if view.iccid and view.iccid == iccid:
                self.orders[order_id] = replace(
                    view,
                    state=State.ACTIVE,
                    progress=Progress.DONE,
                    service_status=ServiceStatus.ACTIVATED,
                    activation_code=None,
                )
                return self.orders[order_id]
        return None

    async def unsubscribe(
        self, tenant: str, order_id: str, budget_seconds: float
    ) -> OrderView | None:
        if order_id not in self.orders:
            return None
        self.move(order_id, State.ENDED)
        return self.orders[order_id]

    async def notified(self, notification: SmdpNotification) -> Disposition:
        raise NotImplementedError

    def watch(self, changed: OrderChanged) -> None:
        raise NotImplementedError

    async def eligibility(self, tenant: str, imsi: Imsi, app: str, eid: Eid | None) -> Eligible:
        return self.eligible

    async def plans(self, tenant: str, imsi: Imsi, app: str) -> tuple[Plan, ...]:
        return self.offers

    async def issue_token(
        self,
        tenant: str,
        imsi: Imsi,
        terminal_id: str,
        app: str,
        operations: tuple[str, ...],
        *,
        iccid: str = "",
    ) -> tuple[str, TemporaryToken]:
        token = f"temporary-{len(self.tokens)}"
        hashed = hashlib.sha256(token.encode()).digest()
        self.tokens[token] = TemporaryToken(
            tenant, imsi, terminal_id, iccid, app, operations, self.now + 300, hashed
        )
        return token, self.tokens[token]

    async def redeem_token(
        self, tenant: str, token: str, app: str, operation: str, eid: Eid | None
    ) -> TemporaryToken | TokenRefusal:
        found = self.tokens.get(token)
        if found is None or found.tenant != tenant or found.expires_at <= self.now:
            return TokenRefusal.UNKNOWN
        if app != found.app or operation not in found.operations:
            return TokenRefusal.OUTSIDE_TARGETS
        if eid is not None and self.bound.setdefault(token, eid) != eid:
            return TokenRefusal.UNKNOWN
        return found

    async def consume_token(self, tenant: str, token_hash: bytes) -> bool:
        before = len(self.tokens)
        self.tokens = {
            text: token for text, token in self.tokens.items() if token.token_hash != token_hash
        }
        return len(self.tokens) < before
