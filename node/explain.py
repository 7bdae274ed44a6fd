"""Why a subscriber gets what it gets: the same decisions as for a device, with their reasons."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import trio

from actors.backends.bss import Bss, BssUnavailable, Plan, Subscriber
from actors.entitlement.applications import decide
from actors.entitlement.decision import DecisionInput
from actors.session import responses
from actors.session.service_actions import unknown_subscriber
from actors.tenants import Tenants
from config.model import Tenant
from protocols.ts43.document import SLOT, Application, Characteristic
from protocols.ts43.request import RequestError, Ts43Request

ANSWER_SECONDS: Final = 10.0  # the store gives up earlier by itself


class Explainer:
    """Answers the operator's question; nothing is changed by it."""

    def __init__(
        self,
        bss: Bss,
        tenants: Tenants,
        wall_clock: Callable[[], float],
        end_turn: Callable[[], None] = lambda: None,
    ) -> None:
        """Look over the shoulder of the sessions.

        Args:
            end_turn: sends what was asked of a BSS that is not in this process.
        """
        self._bss = bss
        self._end_turn = end_turn
        self._wall_clock = wall_clock
        self.tenants = tenants

    async def explain(
        self, tenant_id: str | None, imsi: str, app: str, version: str, language: str
    ) -> list[dict[str, Any]]:
        """The decisions that a device of this subscriber would get now, step by step.

        Args:
            tenant_id: None finds the tenant by the IMSI, as for an authenticated device.
            imsi: the subscriber.
            app: application ids as in a request; several are separated by commas.
            version: entitlement_version.
            language: Accept-Language.

        Raises:
            LookupError: there is no such tenant, or the BSS cannot be asked.
        """
        tenant = self._tenant(tenant_id, imsi)
        try:
            request = Ts43Request(
                {"app": app, "entitlement_version": version, "requestor_id": "explain"}
            )
            request.check_version(tenant.versions)
        except RequestError as error:
            raise LookupError(error.text) from None
        subscriber, plan = await self._subscriber(tenant, imsi)
        given = responses.decision_input(
            tenant,
            subscriber,
            plan,
            entitlement_version=request.entitlement_version,
            accept_language=language,
            wall_clock=self._wall_clock(),
        )
        return [
            {"tenant": tenant.id, "plan": plan.plan_id, "line": subscriber.status.value},
            *(self._step(app_id, given) for app_id in request.apps),
        ]

    def _step(self, app_id: str, given: DecisionInput) -> dict[str, Any]:
        decision = decide(app_id, given)
        return {
            "app": app_id,
            "reason": decision.reason,
            "EntitlementStatus": decision.entitlement_status,
            "parms": _parms(decision.application),
        }

    def _tenant(self, tenant_id: str | None, imsi: str) -> Tenant:
        if tenant_id is not None:
            found = self.tenants.by_id(tenant_id)
        else:
            found = self.tenants.find("", imsi=imsi)
        if found is None:
            raise LookupError("no such tenant" if tenant_id else "no tenant has this subscriber")
        return found

    async def _subscriber(self, tenant: Tenant, imsi: str) -> tuple[Subscriber, Plan]:
        """What the BSS says: the embedded one at once."""
        answered = trio.Event()
        replies: list[tuple[Subscriber, Plan] | BssUnavailable | None] = []

        def reply(found: tuple[Subscriber, Plan] | BssUnavailable | None) -> None:
            replies.append(found)
            answered.set()

        self._bss.find_subscriber(tenant.id, imsi, reply)
        self._end_turn()
        with trio.move_on_after(ANSWER_SECONDS):
            await answered.wait()
        if not replies or isinstance(replies[0], BssUnavailable):
            raise LookupError("the BSS cannot be asked now")
        return replies[0] or unknown_subscriber(tenant.id, imsi)


def _parms(group: Application | Characteristic) -> dict[str, Any]:
    """Parms and, under their types, the groups within; several of one type are a list."""
    names = Counter(child.type for child in group.children)
    found: dict[str, Any] = {
        name: "(made for each request)" if value == SLOT else value for name, value in group.parms
    }
    for child in group.children:
        if names[child.type] > 1:
            found.setdefault(child.type, []).append(_parms(child))
        else:
            found[child.type] = _parms(child)
    return found
