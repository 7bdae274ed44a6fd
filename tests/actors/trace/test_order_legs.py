"""What an order asks of others is recorded for its subscriber, and only while somebody looks."""

import json

from actors.backends.bss import Plan
from actors.backends.bss_lines import (
    LineAway,
    LineChange,
    LineDone,
    LineEligibility,
    LineOutcome,
    LineRefused,
)
from actors.backends.bss_lines_traced import TracedBssLines
from actors.trace.order_legs import Concerned, OrderLegs, unseen
from actors.trace.recorder import Trace, TraceEvent, TraceRecorder
from node.trace.event_json import event_line
from protocols.http.message import HttpRequest, HttpResponse
from protocols.identity import Imsi

OWNER, LINE = Imsi("001010000000001"), Imsi("001010000000900")
ICCID, EID = "8949000000000000011", "89049032000001000000000012345678"
ORDER = Concerned("6924aa", (OWNER, LINE, ""))


class Book:
    """Finds the order of one profile and of one eUICC."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    async def find(self, tenant: str, iccid: str, eid: str) -> Concerned | None:
        self.asked.append((tenant, iccid, eid))
        return ORDER if iccid == ICCID or eid == EID else None


def request(**fields: object) -> HttpRequest:
    body = json.dumps(fields).encode()
    return HttpRequest(b"POST", b"/gsma/rsp2/es2plus/confirmOrder", b"dp1.lab", [], body)


async def events_of(trace: Trace) -> list[TraceEvent]:
    trace.close()
    return [event async for event in trace]


async def test_a_call_and_its_answer_are_recorded_for_the_subscriber_who_ordered() -> None:
    recorder, book = TraceRecorder(), Book()
    legs = OrderLegs(recorder, book.find, clock=lambda: 5.0)
    assert not legs.armed
    trace = recorder.arm(OWNER, 60, 10)
    assert legs.armed
    call, answer = (
        request(iccid=ICCID + "F", eid=EID),
        HttpResponse(200, b"application/json", b"{}"),
    )
    answered = await legs.message("mno", "dp1", call, "out")
    answered(answer)
    assert book.asked == [("mno", ICCID, EID)]
    assert [
        (one.leg, one.direction, one.exchange, one.imsi, one.peer, one.payload)
        for one in await events_of(trace)
    ] == [
        ("es2+", "out", "order 6924aa", OWNER, "mno/dp1", call),
        ("es2+", "in", "order 6924aa", OWNER, "mno/dp1", answer),
    ]


async def test_traces_of_subscriber_and_line_both_see_a_notification() -> None:
    recorder = TraceRecorder()
    legs = OrderLegs(recorder, Book().find)
    traces = [recorder.arm(imsi, 60, 10) for imsi in (OWNER, LINE)]
    (await legs.message("mno", "dp1", request(iccid=ICCID), "in"))(HttpResponse(204))
    for trace in traces:
        assert [one.direction for one in await events_of(trace)] == ["in", "out"]


async def test_what_concerns_nobody_who_is_traced_is_not_recorded() -> None:
    recorder = TraceRecorder()
    legs = OrderLegs(recorder, Book().find)
    trace = recorder.arm("001010000000002", 60, 10)
    assert await legs.message("mno", "dp1", request(iccid=ICCID), "out") is unseen
    assert await legs.message("mno", "dp1", request(iccid="1" * 19), "out") is unseen
    assert (
        await legs.message("mno", "dp1", HttpRequest(b"POST", b"/", b"", [], b"{"), "in") is unseen
    )
    assert await events_of(trace) == []


class Lines:
    """Business systems that say what they are told to say."""

    outcome: LineOutcome = LineDone()

    async def check_eligibility(
        self, tenant: str, imsi: str, app: str
    ) -> LineEligibility | LineAway:
        return LineEligibility(True, ("SharedNumber",))

    async def check_transfer(self, tenant: str, imsi: str, app: str) -> LineEligibility | LineAway:
        return LineAway("timeout")

    async def plans(self, tenant: str, imsi: str, app: str) -> tuple[Plan, ...] | LineAway:
        return ()

    async def own_line(self, tenant: str, owner_imsi: str, iccid: str) -> str | LineAway:
        return LINE

    async def activate(self, change: LineChange) -> LineOutcome:
        return self.outcome

    recover = move = restore = undo = end = activate


async def test_changes_of_lines_are_recorded_without_whole_identities() -> None:
    recorder = TraceRecorder()
    lines = Lines()
    traced = TracedBssLines(lines, OrderLegs(recorder, Book().find))
    change = LineChange("mno", "6924aa-1-activate", "6924aa", OWNER, "ap2006", LINE, ICCID, eid=EID)
    assert await traced.activate(change) == LineDone()
    trace = recorder.arm(OWNER, 60, 20)
    await traced.activate(change)
    lines.outcome = LineRefused("imsi-in-use")
    await traced.end(change)
    await traced.check_eligibility("mno", OWNER, "ap2006")
    await traced.check_transfer("mno", OWNER, "ap2009")
    found = await events_of(trace)
    assert all(map(event_line, found))
    assert [one.direction for one in found] == ["out", "in"] * 4
    assert {one.leg for one in found} == {"bss"}
    texts = [str(one.payload) for one in found]
    assert texts[0].startswith("activate line 00101…00, iccid 89490…11")
    assert texts[1] == "activate: done"
    assert texts[3] == "end: refused: imsi-in-use"
    assert texts[5] == "yes SharedNumber"
    assert texts[7] == "no answer: timeout"
    assert not any(secret in text for text in texts for secret in (LINE, ICCID, EID))
