"""Attributes and packets: the recorded ones, round trips, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.eap import aka
from protocols.eap import numbers as n
from protocols.eap.packet import EapError, build
from tests.protocols.eap import eap_vectors as v


def test_the_relay_example_is_read() -> None:
    request = aka.AkaPacket(v.RELAY_REQUEST)
    assert (request.code, request.identifier, request.type, request.subtype) == (1, 2, 23, 1)
    assert list(request.attributes) == [
        n.AT_RAND,
        n.AT_AUTN,
        n.AT_MAC,
        n.AT_IV,
        n.AT_ENCR_DATA,
    ]
    assert request.fixed(n.AT_RAND).hex() == "5ce6529028f1cac804e37196a8726f81"
    assert request.fixed(n.AT_AUTN).hex() == "6b8a4586ade90000b354e13c660833e8"
    assert request.mac_is_right(v.RELAY_K_AUT)
    assert not request.mac_is_right(v.AKA_K_AUT)
    assert len(request.fixed(n.AT_ENCR_DATA)) == 32


def test_the_answers_of_the_relay_example_are_built() -> None:
    assert aka.challenge_response(2, 23, v.RELAY_RES, v.RELAY_K_AUT) == v.RELAY_RESPONSE
    assert aka.synchronization_failure(2, 23, v.RELAY_AUTS) == v.RELAY_RESYNC
    assert aka.AkaPacket(v.RELAY_RESPONSE).res() == v.RELAY_RES
    assert aka.AkaPacket(v.RELAY_RESYNC).fixed(n.AT_AUTS) == v.RELAY_AUTS


def test_the_recorded_challenge_of_eap_aka_prime_is_read() -> None:
    request = aka.AkaPacket(v.PRIME_CHALLENGE)
    assert request.text(n.AT_KDF_INPUT) == b"WLAN"
    assert request.key_derivations == [n.DEFAULT_KDF]
    assert request.mac_is_right(v.PRIME_K_AUT)
    assert n.AT_RESULT_IND in request
    inside = request.decrypted(v.PRIME_K_ENCR)
    assert list(inside) == [n.AT_NEXT_PSEUDONYM, n.AT_NEXT_REAUTH_ID, n.AT_PADDING]


def test_the_recorded_reauthentication_is_read() -> None:
    request = aka.AkaPacket(v.AKA_REAUTH)
    inside = request.decrypted(v.AKA_K_ENCR)
    assert inside[n.AT_NONCE_S][2:] == v.AKA_NONCE_S
    assert inside[n.AT_COUNTER] == b"\0\x01"
    response = aka.AkaPacket(v.AKA_REAUTH_RESPONSE)
    assert response.mac_is_right(v.AKA_K_AUT, v.AKA_NONCE_S)
    assert not response.mac_is_right(v.AKA_K_AUT)


def test_the_recorded_encrypted_attributes_are_built() -> None:
    request = aka.AkaPacket(v.AKA_REAUTH_RESPONSE)
    iv = request.fixed(n.AT_IV)
    built = aka.at_encrypted(v.AKA_K_ENCR, iv, aka.at_number(n.AT_COUNTER, 1))
    assert v.AKA_REAUTH_RESPONSE[8:].startswith(built)


def test_an_identity_and_a_client_error_are_read() -> None:
    assert aka.AkaPacket(v.AKA_IDENTITY_RESPONSE).text(n.AT_IDENTITY) == v.AKA_NAI.encode()
    error = aka.AkaPacket(bytes.fromhex("0207000c170e000016010000"))
    assert error.number(n.AT_CLIENT_ERROR_CODE) == n.UNABLE_TO_PROCESS
    assert aka.AkaPacket(v.AKA_NOTIFICATION).number(n.AT_NOTIFICATION) == n.NOTIFICATION_SUCCESS


def packet_of(attributes: bytes) -> bytes:
    return build(n.RESPONSE, 1, bytes((23, 1, 0, 0)) + attributes)


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (bytes.fromhex("03070004"), "neither a request nor a response"),
        (bytes.fromhex("0207000804000000"), "neither EAP-AKA"),
        (packet_of(bytes.fromhex("7f010000")), "attribute 127 is unknown"),
        (packet_of(aka.at_res(bytes(8)) * 2), "attribute 3 twice"),
        (packet_of(aka.at_fixed(n.AT_RAND, bytes(12))), "attribute 1 has 4 units"),
        (packet_of(aka.at_fixed(n.AT_CHECKCODE, bytes(16))), "attribute 134 has 5 units"),
        (packet_of(bytes((n.AT_MAC, 1, 0, 0))), "attribute 11 has 1 units"),
    ],
)
def test_an_unsound_packet_is_refused(packet: bytes, why: str) -> None:
    with pytest.raises(EapError, match=why):
        aka.AkaPacket(packet)


@pytest.mark.parametrize(
    "res", ["0301ffff", "03010040", "0301001f", "03020018" + "00" * 4, "03020021" + "00" * 4]
)
def test_a_res_of_no_sound_length_is_refused(res: str) -> None:
    packet = aka.AkaPacket(packet_of(bytes.fromhex(res)))
    with pytest.raises(EapError, match="AT_RES"):
        packet.res()


def test_a_missing_or_too_short_attribute_is_an_error() -> None:
    packet = aka.AkaPacket(packet_of(bytes((n.AT_IDENTITY, 1, 0, 1))))
    with pytest.raises(EapError, match="shorter than it says"):
        packet.text(n.AT_IDENTITY)
    with pytest.raises(EapError, match="attribute 3 is missing"):
        packet.res()
    with pytest.raises(EapError, match="attribute 130 is missing"):
        packet.decrypted(bytes(16))
    assert packet.checkcode() is None
    assert not packet.mac_is_right(bytes(16))


def test_encrypted_attributes_must_be_whole_blocks() -> None:
    body = aka.at_fixed(n.AT_IV, bytes(16)) + aka.at_fixed(n.AT_ENCR_DATA, bytes(12))
    with pytest.raises(EapError, match="multiple of 16"):
        aka.AkaPacket(packet_of(body)).decrypted(bytes(16))


def test_an_unknown_skippable_attribute_is_skipped() -> None:
    packet = aka.AkaPacket(packet_of(bytes.fromhex("ff010000") + aka.at_res(bytes(8))))
    assert packet.res() == bytes(8)


@given(st.binary(max_size=120))
def test_garbage_is_an_eap_error_or_a_packet(body: bytes) -> None:
    try:
        packet = aka.AkaPacket(packet_of(body))
    except EapError:
        return
    for read in (packet.res, packet.checkcode, lambda: packet.decrypted(bytes(16))):
        try:
            read()
        except EapError:
            pass
        except Exception as error:
            pytest.fail(f"{error!r} from {packet!r}")


@given(
    st.binary(min_size=4, max_size=16),
    st.binary(max_size=100),
    st.binary(min_size=16, max_size=16),
    st.sampled_from([n.EAP_AKA, n.EAP_AKA_PRIME]),
)
def test_what_is_built_is_read(res: bytes, identity: bytes, k_aut: bytes, type_: int) -> None:
    attributes = aka.at_res(res) + aka.at_text(n.AT_IDENTITY, identity)
    packet = aka.AkaPacket(aka.build_with_mac(2, 9, type_, n.CHALLENGE, attributes, k_aut))
    assert packet.res() == res
    assert packet.text(n.AT_IDENTITY) == identity
    assert packet.mac_is_right(k_aut)


@given(st.integers(0, 39), st.integers(1, 255))
def test_a_changed_octet_breaks_the_mac_or_the_packet(at: int, change: int) -> None:
    changed = bytearray(v.RELAY_RESPONSE)
    changed[at] ^= change
    try:
        packet = aka.AkaPacket(bytes(changed))
    except EapError:
        return
    assert not packet.mac_is_right(v.RELAY_K_AUT)


def test_a_packet_shows_no_values() -> None:
    assert repr(aka.AkaPacket(v.RELAY_RESPONSE)) == "AkaPacket(2, 23/1, attributes 3,11)"
