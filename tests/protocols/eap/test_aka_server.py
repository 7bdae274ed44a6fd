"""The EAP-AKA server: the recorded conversations octet for octet, then all that goes wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.eap import aka
from protocols.eap import numbers as n
from protocols.eap.aka_peer import AkaPeer, PeerOptions, PeerResult
from protocols.eap.aka_server import (
    AkaServer,
    Failed,
    FailureReason,
    FetchVector,
    SendRequest,
    ServerOptions,
    Succeeded,
)
from protocols.eap.aka_server_table import IllegalTransition, State
from protocols.eap.milenage import Milenage
from protocols.eap.packet import EapError, build, identity_response, nak_response
from protocols.eap.vector import CardAnswer, CardSuccess, NetworkNotTrusted, SynchronisationFailure
from tests.protocols.eap import eap_vectors as v

CARD = Milenage(v.CARD_K, v.CARD_OPC)
AMF = b"\x80\0"


def sent(output: object) -> bytes:
    assert isinstance(output, SendRequest), output
    return output.packet


def hidden_text(plain: bytes, attribute: int) -> bytes:
    """An identity inside the recorded AT_ENCR_DATA."""
    at = plain.index(bytes((attribute, 7)))
    return plain[at + 4 : at + 4 + plain[at + 3]]


def test_the_server_sends_the_recorded_eap_aka_conversation() -> None:
    server = AkaServer(
        ServerOptions(
            identity_request=n.AT_ANY_ID_REQ,
            result_indication=True,
            checkcode=True,
            bidding=True,
            next_pseudonym=hidden_text(v.AKA_CHALLENGE_PLAIN, n.AT_NEXT_PSEUDONYM),
            next_reauth_id=hidden_text(v.AKA_CHALLENGE_PLAIN, n.AT_NEXT_REAUTH_ID),
        )
    )
    assert sent(server.receive(v.AKA_IDENTITY)) == v.AKA_IDENTITY_REQUEST
    assert server.receive(v.AKA_IDENTITY_RESPONSE) == FetchVector(v.AKA_NAI)
    vector = CARD.vector(v.AKA_RAND, int.from_bytes(v.AKA_SQN, "big"), AMF)
    iv = aka.AkaPacket(v.AKA_CHALLENGE).fixed(n.AT_IV)
    # hostapd sends AT_BIDDING with its D bit clear, hence another AT_MAC.
    challenge = sent(server.vector_found(vector, iv))
    expected = aka.AkaPacket(v.AKA_CHALLENGE)
    ours = aka.AkaPacket(challenge)
    assert list(ours.attributes) == list(expected.attributes)
    differing = {k for k in ours.attributes if ours.attributes[k] != expected.attributes[k]}
    assert differing <= {n.AT_BIDDING, n.AT_MAC}
    assert sent(server.receive(v.AKA_CHALLENGE_RESPONSE)) == v.AKA_NOTIFICATION
    end = server.receive(v.AKA_NOTIFICATION_RESPONSE)
    assert isinstance(end, Succeeded)
    assert (end.packet, end.identity) == (bytes.fromhex("03660004"), v.AKA_NAI)
    assert (end.keys.msk, end.keys.emsk) == (v.AKA_MSK, v.AKA_EMSK)


def test_the_server_sends_the_recorded_eap_aka_prime_conversation() -> None:
    server = AkaServer(
        ServerOptions(
            type=n.EAP_AKA_PRIME,
            identity_request=n.AT_ANY_ID_REQ,
            result_indication=True,
            checkcode=True,
            next_pseudonym=hidden_text(v.PRIME_CHALLENGE_PLAIN, n.AT_NEXT_PSEUDONYM),
            next_reauth_id=hidden_text(v.PRIME_CHALLENGE_PLAIN, n.AT_NEXT_REAUTH_ID),
        )
    )
    assert sent(server.receive(v.PRIME_IDENTITY)) == v.PRIME_IDENTITY_REQUEST
    assert server.receive(v.PRIME_IDENTITY_RESPONSE) == FetchVector(v.PRIME_NAI)
    vector = CARD.vector(v.PRIME_RAND, int.from_bytes(v.PRIME_SQN, "big"), AMF)
    iv = aka.AkaPacket(v.PRIME_CHALLENGE).fixed(n.AT_IV)
    assert sent(server.vector_found(vector, iv)) == v.PRIME_CHALLENGE
    assert sent(server.receive(v.PRIME_CHALLENGE_RESPONSE)) == v.PRIME_NOTIFICATION
    end = server.receive(v.PRIME_NOTIFICATION_RESPONSE)
    assert isinstance(end, Succeeded)
    assert end.keys.msk == v.PRIME_MSK


def test_the_server_follows_the_recorded_resynchronisation() -> None:
    server, _ = challenged(sqn=int.from_bytes(v.RESYNC_FIRST_SQN, "big"), identifier=0x1B)
    output = server.receive(v.RESYNC_FAILURE)
    assert output == FetchVector(v.AKA_NAI, v.AKA_RAND, v.RESYNC_AUTS)
    sqn = int.from_bytes(v.RESYNC_SECOND_SQN, "big")
    vector = CARD.vector(v.RESYNC_SECOND_RAND, sqn, AMF)
    request = aka.AkaPacket(sent(server.vector_found(vector)))
    assert request.identifier == 0x1D
    assert request.fixed(n.AT_AUTN) == v.RESYNC_SECOND_AUTN


def challenged(
    options: ServerOptions | None = None, sqn: int = 64, identifier: int = 1
) -> tuple[AkaServer, bytes]:
    """A server whose challenge waits for a response, and that challenge."""
    server = AkaServer(options or ServerOptions())
    output = server.receive(identity_response(identifier, v.AKA_NAI))
    assert output == FetchVector(v.AKA_NAI)
    challenge = sent(server.vector_found(CARD.vector(v.AKA_RAND, sqn, AMF)))
    return server, challenge


def card(rand: bytes, autn: bytes) -> CardAnswer:
    """A card that trusts everybody."""
    found = CARD.responses(rand)
    return CardSuccess(found.res, found.ck, found.ik)


def peer(type_: int = n.EAP_AKA, **wishes: bool) -> AkaPeer:
    return AkaPeer(v.AKA_NAI, card, PeerOptions(type=type_, **wishes))


def test_the_default_server_starts_with_a_challenge_that_phones_can_read() -> None:
    _, challenge = challenged()
    assert list(aka.AkaPacket(challenge).attributes) == [n.AT_RAND, n.AT_AUTN, n.AT_MAC]


def test_a_server_may_put_the_mac_first() -> None:
    _, challenge = challenged(ServerOptions(rand_autn_first=False))
    assert list(aka.AkaPacket(challenge).attributes) == [n.AT_MAC, n.AT_RAND, n.AT_AUTN]
    ours = peer()
    ours.start(1)
    assert ours.receive(challenge)[5] == n.CHALLENGE


@pytest.mark.parametrize("type_", [n.EAP_AKA, n.EAP_AKA_PRIME])
@pytest.mark.parametrize("identity_request", [0, n.AT_ANY_ID_REQ, n.AT_PERMANENT_ID_REQ])
@pytest.mark.parametrize("wishes", [False, True])
def test_server_and_peer_agree_on_the_keys(type_: int, identity_request: int, wishes: bool) -> None:
    server = AkaServer(
        ServerOptions(
            type=type_,
            identity_request=identity_request,
            result_indication=wishes,
            checkcode=wishes,
            bidding=wishes,
        )
    )
    ours = peer(type_, result_indication=wishes, checkcode=wishes)
    output = server.receive(ours.start(200))
    for _ in range(6):
        if isinstance(output, FetchVector):
            output = server.vector_found(CARD.vector(v.AKA_RAND, 64, AMF))
        elif isinstance(output, SendRequest):
            output = server.receive(ours.receive(output.packet))
        else:
            break
    assert isinstance(output, Succeeded)
    ours.receive(output.packet)
    assert ours.result is PeerResult.SUCCESS
    assert ours.msk == output.keys.msk
    assert ours.notification == (n.NOTIFICATION_SUCCESS if wishes else None)


def failed(output: object) -> FailureReason:
    assert isinstance(output, Failed), output
    assert output.packet[0] == n.FAILURE
    assert output.packet[2:] == b"\0\x04"
    return output.reason


@given(st.integers(0, 63), st.booleans())
def test_a_wrong_res_fails(bit: int, with_right_mac: bool) -> None:
    server, challenge = challenged()
    keys_of = peer()
    keys_of.start(1)
    right = keys_of.receive(challenge)
    assert keys_of.keys is not None
    res = (int.from_bytes(CARD.responses(v.AKA_RAND).res, "big") ^ 1 << bit).to_bytes(8, "big")
    wrong = aka.challenge_response(2, n.EAP_AKA, res, keys_of.keys.k_aut)
    if not with_right_mac:
        wrong = right[:-1] + bytes((right[-1] ^ 1,))
    assert failed(server.receive(wrong)) is FailureReason.WRONG_RESPONSE
    assert server.state is State.ENDED


def test_a_failure_may_be_notified_first() -> None:
    server, challenge = challenged(ServerOptions(notify_failure=True))
    ours = peer()
    ours.start(1)
    response = ours.receive(challenge)
    notification = sent(server.receive(response[:-1] + b"\0"))
    assert notification == bytes.fromhex("0103000c170c00000c014000")
    assert failed(server.receive(ours.receive(notification))) is FailureReason.WRONG_RESPONSE
    assert ours.notification == n.NOTIFICATION_FAILURE


def test_an_unknown_user_fails_with_and_without_notification() -> None:
    server = AkaServer(ServerOptions())
    server.receive(v.AKA_IDENTITY)
    assert failed(server.vector_missing()) is FailureReason.USER_UNKNOWN
    server = AkaServer(ServerOptions(notify_failure=True))
    server.receive(v.AKA_IDENTITY)
    notification = sent(server.vector_missing())
    answer = peer().receive(notification)
    assert failed(server.receive(answer)) is FailureReason.USER_UNKNOWN


def test_resynchronisation_is_limited() -> None:
    server, _ = challenged(ServerOptions(max_resynchronisations=1))
    output = server.receive(aka.synchronization_failure(2, n.EAP_AKA, v.RESYNC_AUTS))
    assert isinstance(output, FetchVector)
    server.vector_found(CARD.vector(v.AKA_RAND, 70, AMF))
    output = server.receive(aka.synchronization_failure(3, n.EAP_AKA, v.RESYNC_AUTS))
    assert failed(output) is FailureReason.RESYNCHRONISATION_FAILED


def test_a_refused_auts_fails() -> None:
    server, _ = challenged()
    server.receive(aka.synchronization_failure(2, n.EAP_AKA, v.RESYNC_AUTS))
    reason = FailureReason.RESYNCHRONISATION_FAILED
    assert failed(server.vector_missing(reason)) is reason


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("0202000817020000", FailureReason.REJECTED_BY_PEER),
        ("0202000c170e000016010000", FailureReason.CLIENT_ERROR),
        ("0202000817010000", FailureReason.WRONG_RESPONSE),  # neither RES nor MAC
        ("0202000817050000", FailureReason.UNSOUND_PACKET),  # not what was asked
        ("0202000832010000", FailureReason.UNSOUND_PACKET),  # EAP-AKA' to EAP-AKA
        ("0202000601ff", FailureReason.UNSOUND_PACKET),
        ("02020006030d", FailureReason.TYPE_REFUSED),
        ("020200060332", FailureReason.TYPE_REFUSED),
        ("0202000817040000", FailureReason.UNSOUND_PACKET),  # AT_AUTS is missing
    ],
)
def test_a_response_of_another_kind_ends_the_conversation(
    response: str, reason: FailureReason
) -> None:
    server, _ = challenged()
    assert failed(server.receive(bytes.fromhex(response))) is reason


def test_a_response_without_res_but_with_the_right_mac_is_unsound() -> None:
    server, challenge = challenged()
    ours = peer()
    ours.start(1)
    ours.receive(challenge)
    assert ours.keys is not None
    response = aka.build_with_mac(2, 2, n.EAP_AKA, n.CHALLENGE, b"", ours.keys.k_aut)
    assert failed(server.receive(response)) is FailureReason.UNSOUND_PACKET


def test_a_peer_that_cannot_do_aka_prime_gets_aka() -> None:
    server, challenge = challenged(ServerOptions(type=n.EAP_AKA_PRIME))
    ours = peer()
    ours.start(1)
    nak = ours.receive(challenge)
    assert nak == nak_response(2, n.EAP_AKA)
    assert server.receive(nak) == FetchVector(v.AKA_NAI)
    challenge = sent(server.vector_found(CARD.vector(v.AKA_RAND, 65, AMF)))
    assert isinstance(server.receive(ours.receive(challenge)), Succeeded)


def test_a_wrong_identifier_changes_nothing() -> None:
    server, challenge = challenged()
    with pytest.raises(EapError, match="does not answer"):
        server.receive(bytes.fromhex("0207000817020000"))
    with pytest.raises(EapError):
        server.receive(b"garbage")
    assert server.state is State.CHALLENGE
    assert server.outstanding == challenge


def test_nothing_is_taken_while_a_vector_is_awaited_or_after_the_end() -> None:
    server = AkaServer(ServerOptions())
    server.receive(v.AKA_IDENTITY)
    with pytest.raises(IllegalTransition):
        server.receive(v.AKA_IDENTITY)
    server.vector_missing()
    with pytest.raises(IllegalTransition):
        server.receive(v.AKA_IDENTITY)
    with pytest.raises(IllegalTransition):
        server.vector_found(CARD.vector(v.AKA_RAND, 1, AMF))


def test_a_forged_answer_to_the_success_notification_fails() -> None:
    server, challenge = challenged(ServerOptions(result_indication=True))
    ours = peer(result_indication=True)
    ours.start(1)
    notification = sent(server.receive(ours.receive(challenge)))
    answer = ours.receive(notification)
    forged = answer[:-1] + bytes((answer[-1] ^ 1,))
    assert failed(server.receive(forged)) is FailureReason.WRONG_RESPONSE


def test_a_wrong_checkcode_fails() -> None:
    server, challenge = challenged(ServerOptions(checkcode=True))
    ours = peer(checkcode=True)
    ours.start(1)
    ours.receive(challenge)
    assert ours.keys is not None
    body = aka.at_res(CARD.responses(v.AKA_RAND).res) + aka.at_fixed(n.AT_CHECKCODE, bytes(20))
    response = aka.build_with_mac(2, 2, n.EAP_AKA, n.CHALLENGE, body, ours.keys.k_aut)
    assert failed(server.receive(response)) is FailureReason.WRONG_RESPONSE


def test_an_identity_that_is_no_text_fails() -> None:
    server = AkaServer(ServerOptions(identity_request=n.AT_ANY_ID_REQ))
    server.receive(v.AKA_IDENTITY)
    identifier = server.outstanding[1]
    body = aka.at_text(n.AT_IDENTITY, b"\xff")
    response = aka.build_aka(2, identifier, n.EAP_AKA, n.AKA_IDENTITY, body)
    assert failed(server.receive(response)) is FailureReason.UNSOUND_PACKET


@given(st.binary(max_size=60))
def test_garbage_never_raises_anything_else(body: bytes) -> None:
    server, _ = challenged()
    output = server.receive(build(2, 2, body))
    assert isinstance(output, Failed | FetchVector)


def test_a_server_shows_no_secret() -> None:
    server, _ = challenged()
    assert repr(server) == "AkaServer(CHALLENGE, identifier=2)"


def test_cards_may_refuse() -> None:
    _, challenge = challenged()
    for answer, subtype in (
        (NetworkNotTrusted(), n.AUTHENTICATION_REJECT),
        (SynchronisationFailure(v.RESYNC_AUTS), n.SYNCHRONIZATION_FAILURE),
    ):
        ours = AkaPeer(v.AKA_NAI, lambda rand, autn, a=answer: a, PeerOptions())  # type: ignore[misc]
        ours.start(1)
        assert ours.receive(challenge)[5] == subtype
