"""Whatever a node answers, a phone reads it or says that it is malformed; nothing else happens."""

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.lab.device_http import Response
from scripts.lab.phone_habits import AOSP, EAP_RELAY, JSON, SAMSUNG, XML, Habits
from scripts.lab.phone_reading import (
    Challenge,
    Malformed,
    is_challenge,
    read_challenge,
    read_document,
)
from tests.protocols.eap.eap_vectors import RELAY_REQUEST
from tests.scripts.lab.fake_ecs import DOCUMENT

HABITS = st.sampled_from([AOSP, SAMSUNG])
LEAVES = st.one_of(st.text(max_size=5), st.integers(), st.none(), st.lists(st.text(max_size=3)))
NAMES = st.one_of(
    st.sampled_from(["Vers", "TOKEN", "version", "validity", "token", "EntitlementStatus"]),
    st.text(max_size=4),
)
OBJECTS = st.dictionaries(NAMES, st.dictionaries(NAMES, LEAVES, max_size=4), max_size=4)


def response(content_type: bytes, body: bytes) -> Response:
    return Response(200, [(b"content-type", content_type), (b"set-cookie", b"SID=1")], body)


def relay(packet: bytes) -> Response:
    body = json.dumps({"eap-relay-packet": base64.b64encode(packet).decode()})
    return response(EAP_RELAY, body.encode())


@pytest.mark.parametrize("habits", [AOSP, SAMSUNG], ids=lambda habits: habits.name)
def test_the_relay_example_is_read_by_both(habits: Habits) -> None:
    found = read_challenge(habits, relay(RELAY_REQUEST), first=True)
    assert found == Challenge(2, RELAY_REQUEST[12:28], RELAY_REQUEST[32:48])
    assert is_challenge(habits, relay(RELAY_REQUEST))


@given(HABITS, st.integers(0, len(RELAY_REQUEST) - 1), st.integers(1, 255))
def test_a_changed_challenge_is_read_or_malformed(habits: Habits, at: int, change: int) -> None:
    packet = bytearray(RELAY_REQUEST)
    packet[at] ^= change
    with contextlib.suppress(Malformed):
        found = read_challenge(habits, relay(bytes(packet)), first=True)
        assert len(found.rand) == len(found.autn) == 16


@given(HABITS, st.sampled_from([XML, JSON, EAP_RELAY, b""]), st.binary(max_size=60))
def test_garbage_is_malformed(habits: Habits, content_type: bytes, body: bytes) -> None:
    answer = response(content_type, body)
    is_challenge(habits, answer)
    with contextlib.suppress(Malformed):
        read_challenge(habits, answer, first=True)
    with contextlib.suppress(Malformed):
        read_document(habits, answer)


@given(HABITS, OBJECTS)
def test_any_json_object_is_read_or_malformed(habits: Habits, given_object: object) -> None:
    with contextlib.suppress(Malformed):
        read_document(habits, response(JSON, json.dumps(given_object).encode()))


@given(HABITS, st.integers(0, len(DOCUMENT)), st.binary(max_size=4), st.integers(0, 8))
def test_a_changed_document_is_read_or_malformed(
    habits: Habits, at: int, inserted: bytes, lost: int
) -> None:
    body = DOCUMENT[:at] + inserted + DOCUMENT[at + lost :]
    with contextlib.suppress(Malformed):
        read_document(habits, response(XML, body))


def test_the_sample_document_is_read_as_it_stands() -> None:
    document = read_document(SAMSUNG, response(XML, DOCUMENT))
    assert document.applications["ap2003"] == {
        "AppID": "ap2003",
        "VoiceOverCellularEntitleInfo": [{"RATVoiceEntitleInfoDetails": [{"AccessType": "1"}]}],
    }
    assert (document.token, document.token_validity) == ("Zk3_x-9", 3600)
    assert "Zk3" not in repr(document)
