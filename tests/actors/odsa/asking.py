"""One question to the clerk, and what the device would read."""

from typing import Any

import trio

from actors.backends.bss import Plan, Subscriber, SubscriberStatus
from actors.entitlement.decision import Decision, DecisionInput
from actors.odsa.clerk import Clerk
from actors.odsa.question import Question, Unanswered
from actors.orders.port import OrderDesk, TemporaryToken
from actors.runtime.turn import Turn
from config.model import Odsa, PhoneNumber, SmdpPlus, Tenant
from protocols.ts43.document import Document
from protocols.ts43.xml_document import render_xml
from tests.protocols.ts43.document_readers import read_like_android

IMSI = "001010000000001"
PHONE = "350000000000018"
WATCH = "350000000000026"
EID = "89049032000001000000000012345678"
GOLD = Plan("gold", "Gold", frozenset({"volte"}))
SMDP_PLUS = SmdpPlus(
    name="dp1", url="https://dp.example", requester="2.999", ca="a", certificate="b", key="c"
)


def tenant(phone_number: PhoneNumber | None = None, **odsa: Any) -> Tenant:  # noqa: ANN401
    """A tenant that offers eSIM activation."""
    return Tenant(
        id="mno",
        smdp_plus=(SMDP_PLUS,),
        odsa=Odsa(**odsa),
        phone_number=phone_number or PhoneNumber(),
    )


def line(**changes: Any) -> Subscriber:  # noqa: ANN401
    """The subscriber."""
    given = {
        "tenant": "mno",
        "imsi": IMSI,
        "msisdn": "491700000001",
        "iccid": "8949000000000000001",
        "plan_id": "gold",
        "status": SubscriberStatus.ACTIVE,
        **changes,
    }
    return Subscriber(**given)


class Asker:
    """A device that asks a clerk."""

    def __init__(
        self,
        clerk: Clerk,
        rules: Tenant | None = None,
        subscriber: Subscriber | None = None,
        *,
        known: bool = True,
    ) -> None:
        self._clerk = clerk
        self.rules = rules or tenant()
        self.subscriber = subscriber or line()
        self.known = known
        self.reasons: list[str] = []

    async def decision(
        self, app: str, operation: str, token: TemporaryToken | None = None, **params: str
    ) -> Decision | Unanswered:
        """What the clerk says."""
        given = DecisionInput(self.subscriber, GOLD, self.rules, (12, 0), "en", 1_790_000_000.0)
        named = {"terminal_id": PHONE, **params}
        question = Question(app, operation, named, given, self.known, PHONE, token, 5.0)
        answered = trio.Event()
        found: list[Decision | Unanswered] = []

        def reply(said: Decision | Unanswered) -> None:
            found.append(said)
            answered.set()

        self._clerk.ask(question, reply)
        await answered.wait()
        return found[0]

    async def ask(
        self, app: str, operation: str, token: TemporaryToken | None = None, **params: str
    ) -> dict[str, Any]:
        """The application as Android's client reads it."""
        said = await self.decision(app, operation, token, **params)
        assert isinstance(said, Decision), said
        self.reasons.append(said.reason)
        fillings = () if said.user_data_as is None else ("st=00",)
        document = Document(1, 60, (said.application,), fillings=fillings)
        read: dict[str, Any] = read_like_android(render_xml(document))[app]
        return read

    async def watch(self, kind: int, **params: str) -> dict[str, Any]:
        """ManageSubscription for the watch."""
        return await self.ask(
            "ap2006",
            "ManageSubscription",
            operation_type=str(kind),
            **{"companion_terminal_id": WATCH, "companion_terminal_eid": EID, **params},
        )

    async def phone(self, kind: int, **params: str) -> dict[str, Any]:
        """ManageSubscription for a new phone."""
        return await self.ask(
            "ap2009",
            "ManageSubscription",
            operation_type=str(kind),
            target_terminal_id="350000000000034",
            **{"target_terminal_eid": EID, **params},
        )


async def working(nursery: trio.Nursery, desk: OrderDesk | None) -> Clerk:
    """A clerk that runs."""

    def crashed(error: Exception) -> None:
        raise error

    clerk = Clerk(desk, Turn(), crashed=crashed)
    await nursery.start(clerk.run)
    return clerk
