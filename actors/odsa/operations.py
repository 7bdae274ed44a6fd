"""What each operation asks of the orders' desk, and how the answer is made of what it says.

The decisions are pure and elsewhere; here is only the order of the questions.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from actors.backends.bss import SubscriberStatus
from actors.entitlement.decision import Decision
from actors.odsa.configuration import decide_configuration
from actors.odsa.eligibility import decide_eligibility, services_of, standing
from actors.odsa.offered import NUMBER_OPERATIONS
from actors.odsa.question import Question, answer, dismiss, portal, why_not
from actors.odsa.subscription import before_order, done, in_portal, order_of, told
from actors.orders.port import Eligible, OrderDesk
from actors.orders.records import OrderView, Progress
from actors.orders.transitions import FINAL
from protocols.identity import Eid, Iccid, Imsi
from protocols.ts43 import odsa_documents as documents
from protocols.ts43 import operations as op
from protocols.ts43.applications import COMPANION_ODSA, DEVICE_AND_USER_INFORMATION
from protocols.ts43.odsa import AppEligibility, OperationResult, OperationType, ServiceStatus
from protocols.ts43.odsa_documents import Offer
from protocols.ts43.odsa_request import OdsaFault, OdsaRequest

Handler = Callable[[OrderDesk, Question, OdsaRequest], Awaitable[Decision]]


async def own_views(
    desk: OrderDesk, question: Question, request: OdsaRequest, *, polls: bool = False
) -> tuple[OrderView, ...]:
    """The subscriber's lines and orders of the device that is meant, by its most exact name.

    Args:
        polls: it is AcquireConfiguration that asks.
    """
    managed = request.managed
    tenant, imsi, app = question.tenant.id, Imsi(question.subscriber.imsi), question.app
    look = partial(desk.configurations, tenant, imsi=imsi, app=app, polls=polls)
    if managed.iccid is not None:
        found = await look(iccid=managed.iccid)
        if found:
            return found
    if managed.eid is not None:
        return await look(eid=managed.eid)
    if managed.id:
        return await look(terminal_id=managed.id)
    return ()


async def _standing(
    desk: OrderDesk, question: Question, request: OdsaRequest
) -> tuple[Eligible | None, tuple[OrderView, ...]]:
    """What eligibility is decided from; nobody is asked about a line that may not anyway."""
    if why_not(question)[0]:
        return None, ()
    tenant, imsi, eid = question.tenant.id, Imsi(question.subscriber.imsi), request.managed.eid
    eligible = await desk.eligibility(tenant, imsi, question.app, eid)
    companions: tuple[OrderView, ...] = ()
    if question.app == COMPANION_ODSA:
        companions = await desk.configurations(tenant, imsi=imsi, app=COMPANION_ODSA, polls=False)
    return eligible, companions


async def check_eligibility(desk: OrderDesk, question: Question, request: OdsaRequest) -> Decision:
    """§6.5.2."""
    eligible, companions = await _standing(desk, question, request)
    return decide_eligibility(question, request, eligible, companions)


# --- ManageSubscription ---------------------------------------------------------------------------


async def subscribe(desk: OrderDesk, question: Question, request: OdsaRequest) -> Decision:
    """Type 0. A repetition finds its order, also when the subscriber may have no more now."""
    early = before_order(question, request)
    if early is not None:
        return early
    eligible, companions = await _standing(desk, question, request)
    found, services, reason, message_id = standing(question, request, eligible, companions)
    if found is not AppEligibility.ENABLED:
        if not await own_views(desk, question, request):
            return dismiss(question, reason, message_id)
        services = services_of(question, None)
    return await _order(desk, question, request, services=services)


async def transfer(desk: OrderDesk, question: Question, request: OdsaRequest) -> Decision:
    """Type 3. Of a line that has moved already the desk finds the order that moved it."""
    reason, message_id = why_not(question)
    if reason and question.subscriber.status is not SubscriberStatus.TERMINATED:
        return dismiss(question, reason, message_id)
    early = before_order(question, request)
    if early is not None:
        return early
    return await _order(desk, question, request, services=services_of(question, None))


async def recover(desk: OrderDesk, question: Question, request: OdsaRequest) -> Decision:
    """Type 7: to the eUICC that the profile was on, unless the request names another."""
    reason, message_id = why_not(question)
    if reason:
        return dismiss(question, reason, message_id)
    early = before_order(question, request)
    if early is not None:
        return early
    eid: Eid | None = None
    if request.managed.eid is None:
        views = await own_views(desk, question, request)
        eid = next((Eid(view.target_eid) for view in views if view.target_eid), None)
    return await _order(desk, question, request, services=services_of(question, None), eid=eid)


async def _order(
    desk: OrderDesk,
    question: Question,
    request: OdsaRequest,
    *,
    services: tuple[str, ...],
    eid: Eid | None = None,
) -> Decision:
    order = order_of(question, request, services=services, eid=eid)
    return told(question, await desk.request(order, question.budget_seconds))


async def unsubscribe(desk: OrderDesk, question: Question, request: OdsaRequest) -> Decision:
    """Type 1: the order that made the line ends it; of another line the business systems know."""
    if in_portal(question, request.kind):
        return portal(question, "unsubscribe")
    # Those that are over come last: two orders within a second are in no order.
    views = await own_views(desk, question, request)
    for view in sorted(views, key=lambda one: one.state in FINAL):
        ended = await desk.unsubscribe(view.tenant, view.order_id, question.budget_seconds)
        if ended is not None:
            return told(question, ended)
    order = order_of(question, request, services=services_of(question, None))
    return told(question, await desk.request(order, question.budget_seconds))


async def change(desk: OrderDesk, question: Question, request: OdsaRequest) -> Decision:
    """Type 2: only people can choose, so it is the portal's."""
    if in_portal(question, request.kind):
        return portal(question, "change")
    return dismiss(question, "there is no portal for changes")


async def update(desk: OrderDesk, question: Question, request: OdsaRequest) -> Decision:
    """Type 4: the profile is on the device (§8.13: 3-DONE, whatever we thought of it)."""
    for view in await own_views(desk, question, request):
        if view.iccid and request.managed.iccid in (None, view.iccid):
            seen = await _seen(desk, question, view)
            return done(question, f"order {seen.state.value}")
    return done(question, "no order is concerned")


async def _seen(desk: OrderDesk, question: Question, view: OrderView) -> OrderView:
    """The new profile is in use; the order as it is then."""
    if view.progress is Progress.DONE:
        return view
    return await desk.seen(question.tenant.id, iccid=Iccid(view.iccid)) or view


async def activation(desk: OrderDesk, question: Question, request: OdsaRequest) -> Decision:
    """Types 5 and 6: the business systems cannot rest a line, only end it."""
    views = await own_views(desk, question, request)
    wanted = request.kind is OperationType.ACTIVATE_ICCID
    for view in views:
        seen = await _seen(desk, question, view) if wanted and view.iccid else view
        if wanted and seen.service_status.value == ServiceStatus.ACTIVATED:
            return done(question, "the line is active")
        return dismiss(question, f"the line is {seen.service_status.name} and stays so")
    return dismiss(question, "there is no such line")


_SUBSCRIPTION: Final[Mapping[OperationType, Handler]] = {
    OperationType.SUBSCRIBE: subscribe,
    OperationType.UNSUBSCRIBE: unsubscribe,
    OperationType.CHANGE: change,
    OperationType.TRANSFER: transfer,
    OperationType.UPDATE: update,
    OperationType.ACTIVATE_ICCID: activation,
    OperationType.DEACTIVATE_ICCID: activation,
    OperationType.RECOVER: recover,
}


async def manage_subscription(
    desk: OrderDesk, question: Question, request: OdsaRequest
) -> Decision:
    """§6.5.3, by operation_type."""
    kind = OperationType.SUBSCRIBE if request.kind is None else request.kind
    return await _SUBSCRIPTION[kind](desk, question, request)


# --- the others -----------------------------------------------------------------------------------


async def manage_service(desk: OrderDesk, question: Question, request: OdsaRequest) -> Decision:
    """§6.5.4: the device is there, so its service is on. Resting is not supported."""
    if not question.tenant.odsa.manage_service:
        raise OdsaFault(OperationResult.NOT_SUPPORTED, "ManageService is switched off")
    views = await own_views(desk, question, request)
    view = next((one for one in views if one.iccid == request.managed.iccid), None)
    if view is None:
        raise OdsaFault(OperationResult.INVALID_PARAMETER, "there is no line with this ICCID")
    if request.kind is OperationType.DEACTIVATE_SERVICE:
        raise OdsaFault(OperationResult.NOT_SUPPORTED, "a line cannot rest")
    seen = await _seen(desk, question, view)
    status = ServiceStatus(seen.service_status.value)
    return answer(question, documents.service(question.app, status), status.name)


async def acquire_configuration(
    desk: OrderDesk, question: Question, request: OdsaRequest
) -> Decision:
    """§6.5.5. A device that names the ICCID of a new profile has it (`seen`)."""
    tenant, imsi = question.tenant.id, Imsi(question.subscriber.imsi)
    everything = question.app == COMPANION_ODSA and question.tenant.odsa.companion_device_info
    if everything:
        views = await desk.configurations(tenant, imsi=imsi, app=question.app)
    else:
        views = await own_views(desk, question, request, polls=True)
    if not views and question.app != COMPANION_ODSA:
        # A device that lost its profiles asks what the subscriber has (§8.13).
        views = await desk.configurations(tenant, imsi=imsi, app=question.app)
    own = request.managed.iccid
    found = [
        await _seen(desk, question, view) if own is not None and view.iccid == own else view
        for view in views
    ]
    return decide_configuration(question, request, found)


async def acquire_plan(desk: OrderDesk, question: Question, request: OdsaRequest) -> Decision:
    """§6.5.6."""
    found = await desk.plans(question.tenant.id, Imsi(question.subscriber.imsi), question.app)
    offers = [Offer(plan.plan_id, plan.name) for plan in found]
    return answer(question, documents.plans(question.app, offers), f"{len(offers)} plans")


async def acquire_temporary_token(
    desk: OrderDesk, question: Question, request: OdsaRequest
) -> Decision:
    """§6.5.7. A token for another token, or for what the tenant does not allow, is not issued."""
    allowed: frozenset[str]
    if question.app == DEVICE_AND_USER_INFORMATION:
        allowed = NUMBER_OPERATIONS - {op.ACQUIRE_TEMPORARY_TOKEN}
    else:
        allowed = frozenset(question.tenant.odsa.temporary_token_operations)
        reason, _ = why_not(question)
        if reason:
            raise OdsaFault(OperationResult.GENERAL_ERROR, reason)
    if not allowed.issuperset(request.targets):
        raise OdsaFault(OperationResult.INVALID_PARAMETER, "operation_targets are not allowed")
    token, stands_for = await desk.issue_token(
        question.tenant.id,
        Imsi(question.subscriber.imsi),
        question.terminal_id,
        question.app,
        request.targets,
        iccid=request.terminal_iccid or question.subscriber.iccid,
    )
    application = documents.temporary_token(
        question.app, token, stands_for.expires_at, request.targets
    )
    return answer(question, application, f"for {', '.join(request.targets)}")


OPERATIONS: Final[Mapping[str, Handler]] = {
    op.CHECK_ELIGIBILITY: check_eligibility,
    op.MANAGE_SUBSCRIPTION: manage_subscription,
    op.MANAGE_SERVICE: manage_service,
    op.ACQUIRE_CONFIGURATION: acquire_configuration,
    op.ACQUIRE_PLAN: acquire_plan,
    op.ACQUIRE_TEMPORARY_TOKEN: acquire_temporary_token,
}
