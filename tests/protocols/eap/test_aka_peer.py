"""The EAP-AKA peer: what it answered hostapd, octet for octet, and what it refuses."""

import pytest

from protocols.eap import aka
from protocols.eap import numbers as n
from protocols.eap.aka_peer import AkaPeer, PeerOptions, PeerResult
from protocols.eap.milenage import Milenage
from protocols.eap.packet import EapError
from protocols.eap.vector import CardAnswer, CardSuccess, SynchronisationFailure
from tests.protocols.eap import eap_vectors as v

CARD = Milenage(v.CARD_K, v.CARD_OPC)


def card(rand: bytes, autn: bytes) -> CardAnswer:
    found = CARD.responses(rand)
    return CardSuccess(found.res, found.ck, found.ik)


def iv_of(packet: bytes) -> bytes:
    return aka.AkaPacket(packet).fixed(n.AT_IV)


def test_the_peer_sends_the_recorded_eap_aka_conversations() -> None:
    options = PeerOptions(result_indication=True, checkcode=True)
    peer = AkaPeer(v.AKA_NAI, card, options)
    assert peer.start(0x63) == v.AKA_IDENTITY
    assert peer.receive(v.AKA_IDENTITY_REQUEST) == v.AKA_IDENTITY_RESPONSE
    assert peer.receive(v.AKA_CHALLENGE) == v.AKA_CHALLENGE_RESPONSE
    assert peer.receive(v.AKA_NOTIFICATION) == v.AKA_NOTIFICATION_RESPONSE
    assert peer.notification == n.NOTIFICATION_SUCCESS
    assert peer.receive(bytes.fromhex("03660004")) == b""
    assert peer.result is PeerResult.SUCCESS
    assert peer.msk == v.AKA_MSK

    reauth_id = peer.next_reauth_id.decode()
    assert peer.start(0x33, reauth_id) == v.AKA_REAUTH_IDENTITY
    iv = iv_of(v.AKA_REAUTH_RESPONSE)
    assert peer.receive(v.AKA_REAUTH, iv) == v.AKA_REAUTH_RESPONSE
    iv = iv_of(v.AKA_REAUTH_NOTIFICATION_RESPONSE)
    response = peer.receive(v.AKA_REAUTH_NOTIFICATION, iv)
    assert response == v.AKA_REAUTH_NOTIFICATION_RESPONSE
    assert peer.msk == v.AKA_REAUTH_MSK


def test_the_peer_sends_the_recorded_eap_aka_prime_conversations() -> None:
    options = PeerOptions(type=n.EAP_AKA_PRIME, result_indication=True, checkcode=True)
    peer = AkaPeer(v.PRIME_NAI, card, options)
    assert peer.start(0x98) == v.PRIME_IDENTITY
    assert peer.receive(v.PRIME_IDENTITY_REQUEST) == v.PRIME_IDENTITY_RESPONSE
    assert peer.receive(v.PRIME_CHALLENGE) == v.PRIME_CHALLENGE_RESPONSE
    assert peer.receive(v.PRIME_NOTIFICATION) == v.PRIME_NOTIFICATION_RESPONSE
    assert peer.msk == v.PRIME_MSK

    assert peer.start(0xB8, peer.next_reauth_id.decode()) == v.PRIME_REAUTH_IDENTITY
    assert peer.receive(v.PRIME_REAUTH, iv_of(v.PRIME_REAUTH_RESPONSE)) == v.PRIME_REAUTH_RESPONSE
    iv = iv_of(v.PRIME_REAUTH_NOTIFICATION_RESPONSE)
    response = peer.receive(v.PRIME_REAUTH_NOTIFICATION, iv)
    assert response == v.PRIME_REAUTH_NOTIFICATION_RESPONSE
    assert peer.msk == v.PRIME_REAUTH_MSK


def test_the_peer_sends_the_recorded_resynchronisation() -> None:
    peer = AkaPeer(
        v.AKA_NAI, lambda rand, autn: SynchronisationFailure(v.RESYNC_AUTS), PeerOptions()
    )
    peer.start(1)
    assert peer.receive(v.RESYNC_CHALLENGE) == v.RESYNC_FAILURE


def test_a_replayed_reauthentication_is_too_small() -> None:
    peer = AkaPeer(v.AKA_NAI, card, PeerOptions(result_indication=True, checkcode=True))
    peer.start(0x63)
    peer.receive(v.AKA_IDENTITY_REQUEST)
    peer.receive(v.AKA_CHALLENGE)
    assert peer.keys is not None
    for expected in (False, True):
        peer.start(0x33, peer.next_reauth_id.decode() or "44adcd3e5f108dbec49c5")
        response = aka.AkaPacket(peer.receive(v.AKA_REAUTH, bytes(16)))
        assert (n.AT_COUNTER_TOO_SMALL in response.decrypted(peer.keys.k_encr)) is expected


@pytest.mark.parametrize(
    "packet",
    [
        v.AKA_CHALLENGE[:-1] + b"\0",  # wrong MAC
        v.AKA_NOTIFICATION,  # protected, and no keys yet
        v.AKA_REAUTH,
        bytes.fromhex("0105000817010000"),  # a challenge without anything
        bytes.fromhex("01050008170b0000"),  # no such subtype
        bytes.fromhex("0105000c170100007f010000"),  # unknown and not skippable
    ],
)
def test_what_is_wrong_is_a_client_error(packet: bytes) -> None:
    peer = AkaPeer(v.AKA_NAI, card, PeerOptions())
    peer.start(1)
    response = aka.AkaPacket(peer.receive(packet))
    assert response.subtype == n.CLIENT_ERROR
    assert response.identifier == packet[1]
    assert response.number(n.AT_CLIENT_ERROR_CODE) == n.UNABLE_TO_PROCESS


def test_a_changed_identity_round_is_noticed() -> None:
    peer = AkaPeer(v.AKA_NAI, card, PeerOptions(checkcode=True))
    peer.start(0x63)  # the recorded challenge has the checkcode of a round that this peer never saw
    assert peer.receive(v.AKA_CHALLENGE)[5] == n.CLIENT_ERROR


def test_the_separation_bit_must_be_set_for_aka_prime() -> None:
    peer = AkaPeer(v.PRIME_NAI, card, PeerOptions(type=n.EAP_AKA_PRIME))
    peer.start(1)
    changed = bytearray(v.PRIME_CHALLENGE)
    changed[32 + 6] = 0
    assert peer.receive(bytes(changed))[5] == n.AUTHENTICATION_REJECT


def test_another_method_is_refused_by_name() -> None:
    peer = AkaPeer(v.AKA_NAI, card, PeerOptions())
    peer.start(1)
    assert peer.receive(v.PRIME_CHALLENGE) == bytes.fromhex("029a00060317")
    assert peer.receive(bytes.fromhex("0105000501"))[5:] == v.AKA_NAI.encode()


def test_success_without_keys_is_a_failure() -> None:
    peer = AkaPeer(v.AKA_NAI, card, PeerOptions())
    peer.start(1)
    peer.receive(bytes.fromhex("03050004"))
    assert peer.result is PeerResult.FAILURE


@pytest.mark.parametrize("packet", [b"", b"\x01\x02\x00\x04", b"\x02\x02\x00\x05\x01"])
def test_what_is_from_no_server_is_refused(packet: bytes) -> None:
    with pytest.raises(EapError):
        AkaPeer(v.AKA_NAI, card, PeerOptions()).receive(packet)
