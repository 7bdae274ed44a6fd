"""A session whose device asks for an operation: eSIM orders and phone numbers."""

from actors.entitlement.decision import Decision
from actors.odsa.question import DONE
from actors.orders.port import TemporaryToken
from actors.session.messages import (
    AaaAnswered,
    Answer,
    AskDesk,
    DeskAnswered,
    DeskFailed,
    DeviceGone,
    Keep,
    RelayEapAnswer,
    ServeWithToken,
    StartAuthentication,
    Stored,
    SubscriberFound,
    TimePassed,
)
from actors.session.transitions import State
from protocols.identity import Imsi
from protocols.ts43.document import Application
from tests.actors.odsa.asking import EID, WATCH, tenant
from tests.actors.session.session_bench import (
    ANSWER,
    CHALLENGE,
    GOLD,
    IMEI,
    IMSI,
    SUBSCRIBER,
    Bench,
    FakeExchange,
    dea,
    get,
    post,
)

FOUND = SubscriberFound(SUBSCRIBER, GOLD)
ASKED = {
    "app": "ap2006",
    "operation": "ManageSubscription",
    "operation_type": "0",
    "companion_terminal_id": WATCH,
    "companion_terminal_eid": EID,
}
DECIDED = Decision(
    Application("ap2006", (("SubscriptionResult", "2"), ("OperationResult", "1")), shared=False),
    "Companion ODSA ManageSubscription: DOWNLOAD_PROFILE",
    DONE,
)


def bench(*, by_token: bool = False) -> Bench:
    return Bench(tenant(), by_token=by_token)


def presented(exchange: FakeExchange, **more: str) -> ServeWithToken:
    return ServeWithToken(get(**{**ASKED, **more}), exchange, IMSI, "tok", 60, 0)


def test_an_authenticated_device_gets_answer_and_token() -> None:
    """ODSA-44: by EAP-AKA."""
    one, exchange = bench(), FakeExchange()
    one.tell(StartAuthentication(get(**ASKED), FakeExchange()))
    one.tell(AaaAnswered(dea(1001, CHALLENGE)))
    one.tell(RelayEapAnswer(post(ANSWER), exchange))
    one.tell(AaaAnswered(dea(2001)))
    one.tell(FOUND)
    question = one.only(AskDesk).question
    assert (question.app, question.operation) == ("ap2006", "ManageSubscription")
    assert question.params["companion_terminal_eid"] == EID
    assert question.terminal_id == IMEI
    assert question.known
    assert question.budget_seconds == 8.0
    assert one.session.state is State.WAITING_FOR_DESK
    one.tell(DeskAnswered(question, DECIDED))
    assert one.only(Keep).issue_token
    one.tell(Stored("the-token", None))
    answer = one.only(Answer)
    assert answer.exchange is exchange
    body = answer.response.body
    assert b'name="token" value="the-token"' in body
    assert body.count(b"APPLICATION") == 1
    assert b'name="SubscriptionResult" value="2"' in body
    assert [decision.reason for decision in answer.decisions] == [DECIDED.reason]


def test_a_token_needs_nothing_kept() -> None:
    one, exchange = bench(by_token=True), FakeExchange()
    one.tell(presented(exchange))
    one.tell(FOUND)
    one.tell(DeskAnswered(one.only(AskDesk).question, DECIDED))
    assert not one.has(Keep)
    assert one.only(Answer).response.status == 200
    assert one.session.state is State.SERVED


def test_a_registration_for_push_is_told_in_the_operations_application() -> None:
    """APP-42: RegisterNotifStatus beside the answer."""
    one = bench(by_token=True)
    one.tell(presented(FakeExchange(), notif_action="2", notif_token="fcm"))
    one.tell(FOUND)
    one.tell(DeskAnswered(one.only(AskDesk).question, DECIDED))
    assert not one.only(Keep).issue_token
    one.tell(Stored("", 0))
    assert b'name="RegisterNotifStatus" value="0"' in one.only(Answer).response.body


def test_what_else_is_asked_for_is_decided_beside_it() -> None:
    one = bench(by_token=True)
    one.tell(presented(FakeExchange(), app="ap2004,ap2006"))
    one.tell(FOUND)
    one.tell(DeskAnswered(one.only(AskDesk).question, DECIDED))
    body = one.only(Answer).response.body
    assert body.index(b"ap2004") < body.index(b"ap2006")
    assert body.count(b"APPLICATION") == 2


def test_a_temporary_token_gives_no_token() -> None:
    """ODSA-50."""
    one = bench(by_token=True)
    targets = ("ManageSubscription",)
    temporary = TemporaryToken("mno", Imsi(IMSI), IMEI, "", "ap2006", targets, 9, b"h")
    message = presented(FakeExchange())
    message.token, message.temporary = "", temporary
    one.tell(message)
    one.tell(FOUND)
    question = one.only(AskDesk).question
    assert question.token is temporary
    one.tell(DeskAnswered(question, DECIDED))
    assert b"TOKEN" not in one.only(Answer).response.body


def test_nobody_at_the_desk_is_503() -> None:
    one = bench(by_token=True)
    one.tell(presented(FakeExchange()))
    one.tell(FOUND)
    one.tell(DeskFailed(one.only(AskDesk).question, "store busy"))
    answer = one.only(Answer)
    assert (answer.response.status, answer.cause) == (503, "store busy")
    assert one.session.state is State.REFUSED


def test_the_answer_to_an_operation_that_was_given_up_is_nobodys() -> None:
    """Also when the device asks for another one meanwhile."""
    one = bench(by_token=True)
    one.tell(presented(FakeExchange()))
    one.tell(FOUND)
    first = one.only(AskDesk).question
    one.now += 13.0
    one.tell(TimePassed())
    assert one.only(Answer).response.status == 503
    assert one.tell(DeskAnswered(first, DECIDED)) == []
    one.tell(presented(FakeExchange(), operation="AcquireConfiguration"))
    one.tell(FOUND)
    second = one.only(AskDesk).question
    assert one.tell(DeskAnswered(first, DECIDED)) == []
    assert one.tell(DeskFailed(first, "late")) == []
    assert one.session.state is State.WAITING_FOR_DESK
    one.tell(DeskAnswered(second, DECIDED))
    assert one.only(Answer).response.status == 200


def test_an_answer_that_nobody_fetched_is_not_given_to_the_next_request() -> None:
    one = bench(by_token=True)
    one.tell(presented(FakeExchange(), notif_action="2", notif_token="fcm"))
    one.tell(FOUND)
    one.tell(DeskAnswered(one.only(AskDesk).question, DECIDED))
    one.now += 13.0
    one.tell(TimePassed())  # the store did not answer
    one.tell(ServeWithToken(get(), FakeExchange(), IMSI, "tok", 60, 0))
    one.tell(FOUND)
    assert b"ap2006" not in one.only(Answer).response.body


def test_a_device_that_left_does_not_stop_its_order() -> None:
    one, exchange = bench(by_token=True), FakeExchange()
    one.tell(presented(exchange))
    one.tell(FOUND)
    question = one.only(AskDesk).question
    one.tell(DeviceGone(exchange))
    one.tell(DeskAnswered(question, DECIDED))
    assert one.only(Answer).exchange is None
    assert one.session.undelivered is not None


def test_a_tenant_without_smdp_plus_declines_as_ever() -> None:
    one = Bench(by_token=True)
    one.tell(presented(FakeExchange(), operation="CheckEligibility"))
    one.tell(FOUND)
    assert not one.has(AskDesk)
    assert b'name="CompanionAppEligibility" value="0"' in one.only(Answer).response.body


def test_an_application_without_operation_only_authenticates() -> None:
    """§8.7 step 1."""
    one = bench(by_token=True)
    message = presented(FakeExchange(), operation="")
    one.tell(message)
    one.tell(FOUND)
    assert not one.has(AskDesk)
    answer = one.only(Answer)
    assert b'name="OperationResult" value="1"' in answer.response.body
    assert "Companion ODSA 1" in answer.decisions[0].reason
