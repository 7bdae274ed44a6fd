"""Events survive the way to the command line, and only events do."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.trace.recorder import Payload, TraceEvent
from node.trace.event_json import (
    HEARTBEAT,
    NotATraceLine,
    TraceEnd,
    end_line,
    event_line,
    read_line,
)
from protocols.http.message import HttpRequest, HttpResponse

FIELDS = st.lists(st.tuples(st.binary(min_size=1), st.binary()), max_size=3)


def parts(payload: Payload) -> object:
    if isinstance(payload, HttpRequest):
        return (
            payload.method,
            payload.target,
            payload.authority,
            payload.headers,
            payload.body,
        )
    if isinstance(payload, HttpResponse):
        return payload.status, payload.content_type, payload.body, payload.headers
    return payload


PAYLOADS: st.SearchStrategy[Payload] = st.one_of(
    st.builds(HttpRequest, st.binary(), st.binary(), st.binary(), FIELDS, st.binary()),
    st.builds(
        HttpResponse,
        st.integers(100, 599),
        st.binary(),
        st.binary(),
        FIELDS.map(tuple),
    ),
    st.binary(),
    st.text(),
)


@given(PAYLOADS, st.sampled_from(["http", "swm", "swa", "decision", "store"]))
def test_an_event_comes_back_as_it_was_and_stays_on_one_line(payload: Payload, leg: str) -> None:
    event = TraceEvent(1.5, "x1", "op1", "001010000000001", leg, "out", payload, "aaa1")  # type: ignore[arg-type]
    line = event_line(event)
    assert line.count(b"\n") == 1
    read = read_line(line)
    assert isinstance(read, TraceEvent)
    assert parts(read.payload) == parts(event.payload)
    assert (read.time, read.exchange, read.tenant, read.imsi) == (1.5, "x1", "op1", event.imsi)
    assert (read.leg, read.direction, read.peer) == (leg, "out", "aaa1")


def test_octets_are_base64_for_other_readers() -> None:
    event = TraceEvent(1.5, "x1", "op1", "001010000000001", "swm", "in", b"\x01\x00", "aaa1")
    assert json.loads(event_line(event))["diameter"] == "AQA="


def test_the_end_and_the_heartbeat_are_told_apart() -> None:
    assert read_line(HEARTBEAT) is None
    assert read_line(end_line(3)) == TraceEnd(3)


@pytest.mark.parametrize(
    "line", [b"<html>", b"[]", b'{"time": 1.0, "leg": "http"}', b'{"leg": "x", "reason": ""}', b"{"]
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(NotATraceLine):
        read_line(line)
