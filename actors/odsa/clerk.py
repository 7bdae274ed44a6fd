"""Answers operations beside the sessions, which never wait: one short task for each.

A session asks and goes on with its other mail; the answer comes back through a callback, in the
Trio thread, at once when nobody has to be asked (phone numbers, faults).
"""

from collections.abc import Callable
from typing import Final

import trio

from actors.entitlement.decision import Decision
from actors.odsa.numbers import decide_number
from actors.odsa.offered import NUMBER_OPERATIONS
from actors.odsa.operations import OPERATIONS
from actors.odsa.question import Question, Unanswered, refuse
from actors.orders.port import OrderDesk, TemporaryToken, TokenRefusal
from actors.runtime.turn import Turn
from actors.store.store import StoreUnavailable
from config.model import Tenant
from protocols.identity import Eid
from protocols.ts43 import operations as op
from protocols.ts43.applications import DEVICE_AND_USER_INFORMATION
from protocols.ts43.odsa import OperationResult, OperationType
from protocols.ts43.odsa_request import OdsaFault, OdsaRequest, read_odsa
from protocols.ts43.request import Ts43Request

CAPACITY: Final = 2_000  # operations at the same time; each is a device that waits

Reply = Callable[[Decision | Unanswered], None]
TokenReply = Callable[[TemporaryToken | TokenRefusal | Unanswered], None]
# What a temporary token allows of ManageSubscription: a transfer (§8.9), and word of its end.
_BY_TOKEN: Final = frozenset({OperationType.TRANSFER, OperationType.UPDATE})


class Clerk:
    """Carries questions to the orders' desk and answers back.

    Attributes:
        desk: None: nothing can be ordered; phone numbers are told all the same.
    """

    def __init__(
        self,
        desk: OrderDesk | None,
        turn: Turn,
        *,
        crashed: Callable[[Exception], None],
        capacity: int = CAPACITY,
    ) -> None:
        """Take the parts; nothing is asked before `run`.

        Args:
            desk: where orders are taken.
            turn: ended after each answer.
            crashed: told of bugs.
            capacity: operations at the same time.
        """
        self.desk = desk
        self._turn = turn
        self._crashed = crashed
        self._capacity = capacity
        self._nursery: trio.Nursery | None = None
        self._open = 0
        self._answered = 0
        self._failed = 0

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Work until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def statistics(self) -> dict[str, int]:
        """Operations that are being worked on, and that were."""
        return {"open": self._open, "answered": self._answered, "failed": self._failed}

    # --- operations ----------------------------------------------------------------------------

    def ask(self, question: Question, reply: Reply) -> None:
        """Answer an operation; `reply` is called exactly once, perhaps before this returns."""
        try:
            request = question.read()
            if question.app == DEVICE_AND_USER_INFORMATION and (
                request.operation != op.ACQUIRE_TEMPORARY_TOKEN
            ):
                self._answered += 1
                return reply(decide_number(question, request))
        except OdsaFault as fault:
            self._answered += 1
            return reply(refuse(question, fault))
        desk, nursery = self.desk, self._nursery
        if desk is None or nursery is None or self._open >= self._capacity:
            self._failed += 1
            return reply(Unanswered("no desk" if desk is None else "too many operations"))
        self._open += 1
        nursery.start_soon(self._work, desk, question, request, reply)

    async def _work(
        self, desk: OrderDesk, question: Question, request: OdsaRequest, reply: Reply
    ) -> None:
        found: Decision | Unanswered
        try:
            found = await OPERATIONS[request.operation](desk, question, request)
        except OdsaFault as fault:
            found = refuse(question, fault)
        except StoreUnavailable as error:
            found = Unanswered(f"store {error.reason}")
        except Exception as error:
            self._crashed(error)
            found = Unanswered("crash")
        finally:
            self._open -= 1
        self._failed += isinstance(found, Unanswered)
        self._answered += not isinstance(found, Unanswered)
        reply(found)
        self._turn.end()

    # --- temporary tokens ----------------------------------------------------------------------

    def redeem(self, tenant: Tenant, app: str, request: Ts43Request, reply: TokenReply) -> None:
        """Whether the temporary token of a request authorises its operation (§2.8.6).

        Args:
            app: that the operation is for.
            reply: called exactly once, perhaps before this returns.
        """
        number = app == DEVICE_AND_USER_INFORMATION
        requestors = tenant.phone_number.requestors if number else ()
        if requestors and request.requestor_id not in requestors:
            return reply(TokenRefusal.OUTSIDE_TARGETS)
        eid: Eid | None = None
        try:
            read = read_odsa(app, request.operation, request.params)
        except OdsaFault as fault:
            if fault.result is OperationResult.INVALID_OPERATION:
                return reply(TokenRefusal.OUTSIDE_TARGETS)
        else:
            eid = read.managed.eid
            if read.operation == op.MANAGE_SUBSCRIPTION and read.kind not in _BY_TOKEN:
                return reply(TokenRefusal.OUTSIDE_TARGETS)
        desk, nursery = self.desk, self._nursery
        if desk is None or nursery is None or self._open >= self._capacity:
            return reply(Unanswered("no desk" if desk is None else "too many operations"))
        self._open += 1
        nursery.start_soon(self._redeem, desk, tenant, app, request, eid, reply)

    async def _redeem(
        self,
        desk: OrderDesk,
        tenant: Tenant,
        app: str,
        request: Ts43Request,
        eid: Eid | None,
        reply: TokenReply,
    ) -> None:
        found: TemporaryToken | TokenRefusal | Unanswered
        try:
            found = await desk.redeem_token(
                tenant.id, request.temporary_token, app, request.operation, eid
            )
            # Phone numbers are told once for each token; a transfer is asked about again and again.
            once = request.operation in NUMBER_OPERATIONS
            if (
                once
                and isinstance(found, TemporaryToken)
                and not await desk.consume_token(tenant.id, found.token_hash)
            ):
                found = TokenRefusal.UNKNOWN
        except StoreUnavailable as error:
            found = Unanswered(f"store {error.reason}")
        except Exception as error:
            self._crashed(error)
            found = Unanswered("crash")
        finally:
            self._open -= 1
        reply(found)
        self._turn.end()
