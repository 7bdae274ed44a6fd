"""AcquireConfiguration (GSMA TS.43 v12 §6.5.5): the profiles that the network has for a device."""

from collections.abc import Sequence

from actors.entitlement.decision import Decision
from actors.odsa.question import Question, answer
from actors.odsa.subscription import download_of
from actors.orders.records import Kind, OrderView
from actors.orders.records import ServiceStatus as LineStatus
from protocols.ts43 import odsa_documents as documents
from protocols.ts43.applications import COMPANION_ODSA
from protocols.ts43.odsa import ServiceStatus
from protocols.ts43.odsa_documents import CompanionInfo, Configuration, Polling
from protocols.ts43.odsa_request import OdsaRequest


def decide_configuration(
    question: Question, request: OdsaRequest, views: Sequence[OrderView]
) -> Decision:
    """The answer: one configuration for each line or order, newest first.

    An old device whose line has moved learns that its profile will not be used again (§8.11).
    """
    left = _left(request, views)
    if left:
        found = [left]
    else:
        found = [
            _configuration(question, view, secondary=number > 0)
            for number, view in enumerate(views)
        ]
    application = documents.configurations(question.app, found)
    words = ", ".join(_words(view) for view in views) or "none"
    return answer(question, application, words)


def _left(request: OdsaRequest, views: Sequence[OrderView]) -> Configuration | None:
    iccid = request.managed.iccid
    if iccid is None or any(view.iccid == iccid for view in views):
        return None
    for view in views:
        if view.kind is Kind.TRANSFER and view.service_status is LineStatus.ACTIVATED:
            return Configuration(status=ServiceStatus.DEACTIVATED_NO_REUSE, iccid=iccid)
    return None


def _configuration(question: Question, view: OrderView, *, secondary: bool) -> Configuration:
    companion = question.app == COMPANION_ODSA
    device = view.device
    info = None
    if companion and question.tenant.odsa.companion_device_info:
        info = CompanionInfo(device.friendly_name, device.vendor, device.model, view.target_eid)
    return Configuration(
        status=ServiceStatus(view.service_status.value),
        iccid=view.iccid,
        service=view.service.value if companion else "",
        secondary=secondary and not companion,
        polling=Polling(view.polling_minutes),
        download=download_of(question, view),
        companion=info,
    )


def _words(view: OrderView) -> str:
    code = " with download" if view.activation_code is not None else ""
    return f"{view.service_status.name} (order {view.state.value}){code}"
