"""The checks at the edge: which responses of a device are relayed, and which are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.eap.numbers import EAP_AKA, EAP_AKA_PRIME
from protocols.eap.packet import (
    MAX_PACKET_OCTETS,
    RESPONSE_SUBTYPES,
    EapError,
    build,
    check_header,
    failure,
    identity_response,
    nak_response,
    parse_identity_response,
    parse_response,
    success,
)
from tests.protocols.eap import eap_vectors as v

RESPONSES = [
    (v.RELAY_RESPONSE, 2, 23, 1),
    (v.RELAY_RESYNC, 2, 23, 4),
    (v.AKA_IDENTITY_RESPONSE, 0x64, 23, 5),
    (v.AKA_CHALLENGE_RESPONSE, 0x65, 23, 1),
    (v.AKA_NOTIFICATION_RESPONSE, 0x66, 23, 12),
    (v.AKA_REAUTH_RESPONSE, 0x34, 23, 13),
    (v.PRIME_CHALLENGE_RESPONSE, 0x9A, 50, 1),
    (v.RESYNC_FAILURE, 0x1C, 23, 4),
    (bytes.fromhex("0207000817020000"), 7, 23, 2),
    (bytes.fromhex("0207000c170e000016010000"), 7, 23, 14),
]


@pytest.mark.parametrize(("packet", "identifier", "type_", "subtype"), RESPONSES)
def test_a_sound_response_is_named(
    packet: bytes, identifier: int, type_: int, subtype: int
) -> None:
    response = parse_response(packet)
    assert (response.identifier, response.type, response.subtype) == (identifier, type_, subtype)


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (b"", "octets, not 0"),
        (b"\x02\x02\x00", "octets, not 3"),
        (v.RELAY_RESPONSE[:-1], "length field says 40, there are 39"),
        (v.RELAY_RESPONSE + b"\0", "length field says 40, there are 41"),
        (v.RELAY_REQUEST, "code 1 is not a response"),
        (v.AKA_IDENTITY, "type 1 is neither"),
        (bytes.fromhex("0202000817030000"), "subtype 3"),
        (bytes.fromhex("0202000c1701000003000040"), "length zero"),
        (bytes.fromhex("0202000c1701000003020040"), "do not end with the packet"),
        (bytes.fromhex("02020009170100000b"), "do not end with the packet"),
        (build(2, 1, bytes((23, 1, 0, 0)) + b"\x80\x01\0\0" * 1022), "octets, not 4096"),
    ],
)
def test_an_unsound_response_is_refused(packet: bytes, why: str) -> None:
    with pytest.raises(EapError, match=why):
        parse_response(packet)


@given(st.binary(max_size=200))
def test_garbage_is_an_eap_error_or_a_response(packet: bytes) -> None:
    try:
        response = parse_response(packet)
    except EapError:
        return
    assert packet[0] == 2
    assert response.subtype in RESPONSE_SUBTYPES


@given(
    st.integers(0, 255),
    st.sampled_from([EAP_AKA, EAP_AKA_PRIME]),
    st.sampled_from(sorted(RESPONSE_SUBTYPES)),
    st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=200)), max_size=6),
)
def test_well_formed_attributes_of_any_kind_are_relayed(
    identifier: int, type_: int, subtype: int, attributes: list[tuple[int, bytes]]
) -> None:
    body = b"".join(
        bytes((kind, (len(value) + 5) // 4)) + value.ljust((len(value) + 5) // 4 * 4 - 2, b"\0")
        for kind, value in attributes
    )
    response = parse_response(build(2, identifier, bytes((type_, subtype, 0, 0)) + body))
    assert (response.identifier, response.type, response.subtype) == (identifier, type_, subtype)


@given(st.sampled_from([v.RELAY_RESPONSE, v.RELAY_RESYNC]), st.data())
def test_a_cut_response_is_refused_everywhere(packet: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(packet) - 1))
    with pytest.raises(EapError):
        parse_response(packet[:cut])


def test_the_identity_response_is_the_one_of_the_recorded_first_round() -> None:
    assert identity_response(0x63, v.AKA_NAI) == v.AKA_IDENTITY
    assert identity_response(0x98, v.PRIME_NAI) == v.PRIME_IDENTITY
    assert parse_identity_response(v.AKA_IDENTITY) == v.AKA_NAI
    assert parse_identity_response(v.AKA_REAUTH_IDENTITY) == "44adcd3e5f108dbec49c5"


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        v.AKA_IDENTITY[:-1],
        v.RELAY_REQUEST,
        build(2, 1, b"\x01"),
        build(2, 1, b"\x01\xff"),
        build(1, 1, b"\x01"),
    ],
)
def test_what_is_no_identity_response_is_refused(packet: bytes) -> None:
    with pytest.raises(EapError):
        parse_identity_response(packet)


def test_short_packets() -> None:
    assert success(7) == bytes.fromhex("03070004")
    assert failure(8) == bytes.fromhex("04080004")
    assert nak_response(9, EAP_AKA) == bytes.fromhex("020900060317")


def test_the_largest_packet_is_accepted() -> None:
    check_header(build(1, 1, bytes(MAX_PACKET_OCTETS - 4)))


def test_a_response_shows_no_content() -> None:
    assert repr(parse_response(v.RELAY_RESPONSE)) == "EapResponse(identifier=2, 23/1)"
