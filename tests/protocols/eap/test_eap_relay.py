"""What the node makes of each request of an AAA, and the answers it gives in the phone's place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.eap.packet import EapError, build, parse_response
from protocols.eap.relay import (
    RequestKind,
    aka_identity_response,
    challenge_warnings,
    inspect_request,
    notification_response,
)
from tests.protocols.eap import eap_vectors as v

REQUESTS = [
    (v.RELAY_REQUEST, RequestKind.CHALLENGE, 2, 23),
    (v.AKA_CHALLENGE, RequestKind.CHALLENGE, 0x65, 23),
    (v.PRIME_CHALLENGE, RequestKind.CHALLENGE_PRIME, 0x9A, 50),
    (bytes.fromhex("0105000501"), RequestKind.IDENTITY, 5, 1),
    (bytes.fromhex("0105000601") + b"?", RequestKind.IDENTITY, 5, 1),
    (v.AKA_IDENTITY_REQUEST, RequestKind.AKA_IDENTITY, 0x64, 23),
    (v.PRIME_IDENTITY_REQUEST, RequestKind.AKA_IDENTITY, 0x99, 50),
    (bytes.fromhex("0105000c170c00000c014000"), RequestKind.NOTIFICATION, 5, 23),
    (v.AKA_NOTIFICATION, RequestKind.NOTIFICATION_AFTER, 0x66, 23),
    (v.AKA_REAUTH_NOTIFICATION, RequestKind.NOTIFICATION_AFTER, 0x35, 23),
    (v.AKA_REAUTH, RequestKind.REAUTHENTICATION, 0x34, 23),
    (v.PRIME_REAUTH, RequestKind.REAUTHENTICATION, 0xB9, 50),
    (bytes.fromhex("03050004"), RequestKind.SUCCESS, 5, 0),
    (bytes.fromhex("04050004"), RequestKind.FAILURE, 5, 0),
    (bytes.fromhex("010500060410"), RequestKind.UNKNOWN, 5, 4),  # MD5-Challenge
    (bytes.fromhex("01050008170b0000"), RequestKind.UNKNOWN, 5, 23),
]


@pytest.mark.parametrize(("packet", "kind", "identifier", "type_"), REQUESTS)
def test_every_kind_of_request_is_known(
    packet: bytes, kind: RequestKind, identifier: int, type_: int
) -> None:
    request = inspect_request(packet)
    assert (request.kind, request.identifier, request.type) == (kind, identifier, type_)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        v.RELAY_RESPONSE,  # a response
        v.RELAY_REQUEST[:-4],
        v.RELAY_REQUEST + b"\0\0\0\0",
        bytes.fromhex("01050004"),  # no type
        bytes.fromhex("010500061705"),  # half an EAP-AKA header
        bytes.fromhex("0105000c1701000001000000"),  # attribute of length zero
        bytes.fromhex("0105000c1705000001020000"),  # attribute reaches over the end
        bytes.fromhex("01050008170c0000"),  # a notification without its code
        bytes.fromhex("01050010170c00000c02400000000000"),  # AT_NOTIFICATION of two units
        bytes.fromhex("0305000500"),  # success with content
        bytes.fromhex("05050004"),  # no such code
    ],
)
def test_an_unsound_request_is_refused(packet: bytes) -> None:
    with pytest.raises(EapError):
        inspect_request(packet)


@given(st.binary(max_size=200))
def test_garbage_from_an_aaa_is_an_eap_error_or_a_kind(packet: bytes) -> None:
    try:
        request = inspect_request(packet)
    except EapError:
        return
    assert packet[1] == request.identifier


def moved(packet: bytes, first: int, last: int, to_front: bool) -> bytes:
    """The packet with octets [first, last) moved to the front or the end of the attributes."""
    rest = packet[8:first] + packet[last:]
    part = packet[first:last]
    return packet[:8] + (part + rest if to_front else rest + part)


def test_rand_and_autn_not_in_front_are_noticed() -> None:
    assert inspect_request(v.RELAY_REQUEST).rand_autn_first
    assert not inspect_request(moved(v.RELAY_REQUEST, 8, 28, False)).rand_autn_first
    mac_first = moved(v.RELAY_REQUEST, 48, 68, True)
    assert not inspect_request(mac_first).rand_autn_first
    assert "Samsung" in challenge_warnings(mac_first)[0]


def test_a_notification_tells_its_code() -> None:
    assert inspect_request(v.AKA_NOTIFICATION).notification == 32768
    assert inspect_request(bytes.fromhex("0105000c170c00000c014000")).notification == 16384


def test_the_node_answers_an_identity_round_as_the_recorded_peer_did() -> None:
    answer = aka_identity_response(v.AKA_IDENTITY_REQUEST, v.AKA_NAI)
    assert answer == v.AKA_IDENTITY_RESPONSE
    answer = aka_identity_response(v.PRIME_IDENTITY_REQUEST, v.PRIME_NAI)
    assert answer == v.PRIME_IDENTITY_RESPONSE


@pytest.mark.parametrize("size", range(1, 10))
def test_an_identity_of_any_length_is_padded(size: int) -> None:
    answer = aka_identity_response(v.AKA_IDENTITY_REQUEST, "0" * size)
    assert parse_response(answer).subtype == 5
    assert answer[10:12] == bytes((0, size))
    assert answer[12 : 12 + size] == b"0" * size
    assert not any(answer[12 + size :])


def test_a_notification_before_the_challenge_is_answered_empty() -> None:
    request = bytes.fromhex("0105000c170c00000c014000")
    assert notification_response(request) == bytes.fromhex("02050008170c0000")


def test_what_troubles_phones_is_listed() -> None:
    assert challenge_warnings(v.RELAY_REQUEST) == []
    found = challenge_warnings(v.PRIME_CHALLENGE)
    assert [text.split(":")[0] for text in found] == [
        "EAP-AKA'",
        "AT_RESULT_IND",
        "AT_CHECKCODE",
    ]


def test_a_challenge_with_no_attribute_is_a_challenge_out_of_order() -> None:
    request = inspect_request(build(1, 1, bytes((23, 1, 0, 0))))
    assert request.kind is RequestKind.CHALLENGE
    assert not request.rand_autn_first


def test_a_request_shows_no_content() -> None:
    assert repr(inspect_request(v.RELAY_REQUEST)) == "InspectedRequest(CHALLENGE, identifier=2)"
