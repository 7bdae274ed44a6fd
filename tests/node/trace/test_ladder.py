"""The ladder says everything that matters, in order, and nothing that is secret."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.trace.recorder import Payload, TraceEvent
from node.ladder import AAA, NODE, PHONE, Style, ladder
from protocols.http.message import HttpRequest, HttpResponse, text_response


def with_payload(event: TraceEvent, payload: Payload) -> str:
    return ladder([dataclasses.replace(event, payload=payload)])


def rows(text: str) -> list[str]:
    """The lines that begin with an offset: one for each event."""
    return [line for line in text.splitlines() if re.match(r" *[0-9]+\.[0-9] ", line)]


def test_every_message_is_an_arrow_with_its_time(exchange: list[TraceEvent]) -> None:
    assert [line.split()[0] for line in rows(ladder(exchange))] == [
        "0.0", "0.4", "12.1", "12.3", "350.2", "350.5", "362.0", "362.1", "362.2"
    ]  # fmt: skip


def test_arrows_lie_between_the_right_lines_in_the_right_direction(
    exchange: list[TraceEvent],
) -> None:
    get, der, dea, challenge, *_ = rows(ladder(exchange))
    assert get[PHONE] == get[NODE] == get[AAA] == "│"
    assert get[PHONE + 1 : NODE].startswith("─ GET / ─")
    assert get[NODE - 1] == "►"
    assert der[PHONE] == der[NODE] == der[AAA] == "│"
    assert der[NODE + 1 : AAA].startswith("─ DER SWm ─")
    assert der[AAA - 1] == "►"
    assert dea[NODE + 1] == "◄"
    assert dea[NODE:AAA].endswith(" DEA SWm 1001 DIAMETER_MULTI_ROUND_AUTH ─")
    assert challenge[PHONE + 1] == "◄"
    assert challenge[PHONE:NODE].endswith(" 200 OK AKA-Challenge ─")


@pytest.mark.parametrize(
    "line",
    [
        "IMSI 001010000000001   tenant op1   exchange op1-17   2025-11-24 16:00:00.000 UTC",
        "phone 192.0.2.7",
        "AAA aaa1.epc.mnc001.mcc001.3gppnetwork.org",
        "EAP_ID = 0001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org",
        "app = ap2004",
        "user-agent: PRD-TS43 term-vendX/modelY OS-Android/15",
        "Session-Id: ecs1.epc.mnc001.mcc001.3gppnetwork.org;1764000000;1",
        "EAP-Payload: EAP-Response/Identity id 1 (59 octets)",
        "RAT-Type: 0 WLAN",
        "eap-relay-packet: EAP-Request/AKA-Challenge id 2 (124 octets)",
        "AT_RAND 5ce6529028f1cac804e37196a8726f81",
        "AT_AUTN 6b8a4586ade90000b354e13c660833e8 (AMF 0000)",
        "AT_RES (8 octets hidden)",
        "AT_MAC (16 octets hidden)",
        'State: "st01"',
        "Result-Code: 2001 DIAMETER_SUCCESS",
        "EAP-Payload: EAP-Success id 2 (4 octets)",
        "EAP-Master-Session-Key: (64 octets hidden)",
        "set-cookie: SID=(144 hidden); Path=/; Secure; HttpOnly",
        "cookie: SID=(144 hidden)",
        "● decision: ap2004 enabled: the plan has vowifi, terms accepted",
        '    <parm name="EntitlementStatus" value="1"/>',
        '    <parm name="token" value="(42 hidden)"/>',
    ],
)
def test_everything_that_matters_is_there(exchange: list[TraceEvent], line: str) -> None:
    assert line in ladder(exchange)


def test_no_secret_is_shown_unless_asked_for(
    exchange: list[TraceEvent], secrets: tuple[bytes, ...]
) -> None:
    plain = ladder(exchange)
    shown = ladder(exchange, Style(show_secrets=True))
    for secret in secrets:
        text = secret.decode() if secret.isascii() and secret.isalnum() else secret.hex()
        assert text not in plain
        assert text in "".join(shown.split()).replace("│", "")


def test_colour_is_only_added(exchange: list[TraceEvent]) -> None:
    coloured = ladder(exchange, Style(colour=True))
    assert "\x1b[36m" in coloured
    bare = re.sub(r"\x1b\[[0-9]*m", "", coloured)
    assert [line.rstrip() for line in bare.splitlines()] == ladder(exchange).splitlines()


def test_a_refusal_is_red_and_a_success_is_not(exchange: list[TraceEvent]) -> None:
    answer = dataclasses.replace(exchange[-1], payload=text_response(403, "not ours"))
    assert "\x1b[31m" in ladder([answer], Style(colour=True))
    assert "\x1b[31m" not in ladder(exchange, Style(colour=True))


def test_no_answer_of_the_aaa_is_a_note(exchange: list[TraceEvent]) -> None:
    text = ladder([dataclasses.replace(exchange[2], payload="no answer: timeout")])
    assert "● swm: no answer: timeout" in text


def test_a_terminal_is_never_commanded_from_outside(exchange: list[TraceEvent]) -> None:
    evil = HttpRequest(b"GET", b"/\x1b[2J", b"", [(b"user-agent", b"\x1b]0;owned\x07")])
    text = with_payload(exchange[0], evil)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\\x1b]0;owned" in text


def test_a_json_document_and_a_form_are_laid_out(exchange: list[TraceEvent]) -> None:
    response = HttpResponse(200, b"application/json", b'{"Vers":{"version":"1"},"Token":{}}')
    assert '│       "version": "1"' in with_payload(exchange[-1], response)
    form = HttpRequest(
        b"POST",
        b"/",
        b"",
        [(b"content-type", b"application/x-www-form-urlencoded")],
        b"app=ap2004&terminal_model=model+Y",
    )
    assert "terminal_model = model Y" in with_payload(exchange[0], form)


def test_long_lines_are_folded_with_their_indent(exchange: list[TraceEvent]) -> None:
    response = text_response(503, "word " * 60)
    lines = with_payload(exchange[-1], response).splitlines()
    assert max(map(len, lines)) < 133
    assert sum(line.count("word") for line in lines) == 60


@given(
    st.one_of(
        st.binary(max_size=120),
        st.builds(HttpRequest, st.binary(), st.binary(), st.binary(), st.just([]), st.binary()),
        st.builds(HttpResponse, st.integers(0, 999), st.binary(), st.binary()),
        st.text(),
    )
)
def test_any_octets_make_a_ladder(payload: Payload) -> None:
    event = TraceEvent(1.0, "x", "op1", "001010000000001", "swm", "in", payload)
    for leg in ("http", "swm"):
        text = ladder([dataclasses.replace(event, leg=leg)], Style(show_secrets=True))
        assert text.isprintable() or "\n" in text
        assert all(line.isprintable() for line in text.split("\n"))
