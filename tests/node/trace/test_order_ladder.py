"""An eSIM order in a trace: beside the device that waits for it, or by itself; nothing secret."""

import base64
import io
import json
from collections.abc import Iterable

from actors.trace.recorder import Direction, Leg, Payload, TraceEvent
from node.ladder import AAA, NODE, Style, ladder
from node.pcapng import PcapngWriter
from node.trace.conversations import Conversations
from node.trace.event_json import event_line, read_line
from node.trace.redaction import redacted
from protocols.http.message import HttpRequest, HttpResponse

EID, MATCHING_ID = "89049032000001000000000012345678", "4AXD-7ZZ2-KK9Q-33PL"
CODE = f"1$dp1.lab${MATCHING_ID}"
SECRETS = (EID, MATCHING_ID, CODE, base64.b64encode(CODE.encode()).decode(), "T0PSECRET")
PATH = b"/gsma/rsp2/es2plus/"


def event(at: float, leg: Leg, direction: Direction, payload: Payload, exchange: str) -> TraceEvent:
    peer = {"http": "192.0.2.7", "es2+": "mno/dp1"}.get(leg, "")
    return TraceEvent(at, exchange, "mno", "001010000000001", leg, direction, payload, peer)


def call(function: str, **fields: object) -> HttpRequest:
    return HttpRequest(
        b"POST", PATH + function.encode(), b"dp1.lab", [], json.dumps(fields).encode()
    )


def answer(status: str, code: tuple[str, str] | None = None, **fields: object) -> HttpResponse:
    execution: dict[str, object] = {"status": status}
    if code is not None:
        execution["statusCodeData"] = {"subjectCode": code[0], "reasonCode": code[1]}
    body = {"header": {"functionExecutionStatus": execution}, **fields}
    return HttpResponse(200, b"application/json", json.dumps(body).encode())


QUERY = f"/?operation=ManageSubscription&app=ap2006&companion_terminal_eid={EID}&token=T0PSECRET"
DOCUMENT = json.dumps(
    {
        "ap2006": {
            "SubscriptionResult": "2",
            "DownloadInfo": {"ProfileActivationCode": base64.b64encode(CODE.encode()).decode()},
        },
        "TemporaryToken": "T0PSECRET",
    }
).encode()
ORDERED = [
    event(1.0, "http", "in", HttpRequest(b"GET", QUERY.encode(), b"aes", []), "7"),
    event(1.1, "bss", "out", "may have another line for ap2006", "order none yet"),
    event(1.1, "bss", "in", "yes SharedNumber", "order none yet"),
    event(1.2, "es2+", "out", call("confirmOrder", eid=EID, matchingId=MATCHING_ID), "order a1"),
    event(
        1.3, "es2+", "in", answer("Executed-Success", matchingId=MATCHING_ID, eid=EID), "order a1"
    ),
    event(1.4, "http", "out", HttpResponse(200, b"application/json", DOCUMENT), "7"),
]
REPORTED = [
    event(9.0, "es2+", "in", call("handleDownloadProgressInfo", eid=EID), "order a1"),
    event(9.1, "es2+", "out", HttpResponse(204), "order a1"),
]


def sorted_out(events: Iterable[TraceEvent]) -> list[list[TraceEvent]]:
    conversations = Conversations()
    found = [over for one in events for over in conversations.add(one)]
    return [*found, *conversations.quiet()]


def test_what_an_order_does_while_the_device_waits_belongs_to_the_devices_exchange() -> None:
    assert sorted_out(ORDERED) == [ORDERED]


def test_what_an_order_does_later_is_a_conversation_of_its_own() -> None:
    assert sorted_out([*ORDERED, *REPORTED]) == [ORDERED, REPORTED]


def test_the_ladder_shows_device_sm_dp_and_business_systems() -> None:
    text = ladder(ORDERED)
    rows = [line for line in text.splitlines() if line.lstrip()[:1].isdigit()]
    assert "SM-DP+ mno/dp1, BSS" in text.splitlines()[1]
    assert rows[1][NODE + 1 : AAA].startswith("─ BSS may have another line for ap2006 ─")
    assert rows[2][NODE:AAA].endswith(" BSS yes SharedNumber ─")
    assert rows[3][NODE + 1 : AAA].startswith("─ ES2+ confirmOrder ─")
    assert rows[3][AAA - 1] == "►"
    assert rows[4][NODE + 1] == "◄"
    assert rows[4][NODE:AAA].endswith(" ES2+ 200 Executed-Success ─")


def test_a_notification_points_to_the_node() -> None:
    rows = [line for line in ladder(REPORTED).splitlines() if line.lstrip()[:1].isdigit()]
    assert rows[0][NODE + 1] == "◄"
    assert rows[0][NODE:AAA].endswith(" ES2+ handleDownloadProgressInfo ─")
    assert rows[1][NODE + 1 : AAA].startswith("─ ES2+ 204 ─")


def test_a_refusal_and_no_answer_are_told_apart() -> None:
    refused = event(2.0, "es2+", "in", answer("Failed", ("8.2.1", "3.3")), "order a1")
    silent = event(2.0, "es2+", "in", "no answer: timeout, sent (ReadTimeout)", "order a1")
    assert "ES2+ 200 Failed 8.2.1/3.3" in ladder([refused])
    assert "ES2+ no answer: timeout, sent" in ladder([silent])


def test_no_eid_matching_id_or_activation_code_leaves_the_node() -> None:
    for one in (*ORDERED, *REPORTED):
        line = event_line(redacted(one)).decode()
        read = read_line(line.encode())
        assert isinstance(read, TraceEvent)
        shown = ladder([read])
        bodies = getattr(read.payload, "body", b"").decode()
        for secret in SECRETS:
            assert secret not in line
            assert secret not in shown
            assert secret not in bodies
    assert EID in ladder(ORDERED, Style(show_secrets=True))


def test_a_capture_has_a_connection_for_each_direction_of_es2() -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file)
    for one in (*ORDERED, *REPORTED):
        writer.add(redacted(one))
    capture = file.getvalue()
    assert b"POST /gsma/rsp2/es2plus/confirmOrder HTTP/1.1" in capture
    assert b"SM-DP+ mno/dp1" in capture
    assert b"bss: yes SharedNumber" in capture
    for secret in SECRETS:
        assert secret.encode() not in capture
