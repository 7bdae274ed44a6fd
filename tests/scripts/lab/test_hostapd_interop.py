"""Our peer and card against hostapd's EAP-AKA server, by RADIUS, with our authentication centre."""

import pytest
import trio

from protocols.eap.aka import AkaPacket, challenge_response
from protocols.eap.aka_peer import AkaPeer, PeerOptions, PeerResult
from protocols.eap.keys import aka_authentication_key
from protocols.eap.numbers import (
    AT_AUTN,
    AT_RAND,
    EAP_AKA,
    EAP_AKA_PRIME,
    NOTIFICATION_SUCCESS,
)
from protocols.eap.relay import (
    RequestKind,
    aka_identity_response,
    identity_response,
    inspect_request,
)
from protocols.eap.vector import CardSuccess
from scripts.lab.aaa_eap import EapConversation, EapStep, StepKind
from scripts.lab.home_network import HomeNetwork
from scripts.lab.hostapd import find_hostapd, running_hostapd
from scripts.lab.subscribers import OPC, K, nai_of
from scripts.lab.usim import Usim

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(find_hostapd() is None, reason="hostapd is missing"),
]

IMSI = "001010000000001"
TYPES = pytest.mark.parametrize("type_", [EAP_AKA, EAP_AKA_PRIME], ids=["AKA", "AKA'"])


async def ask(conversation: EapConversation, packet: bytes) -> EapStep:
    sender, receiver = trio.open_memory_channel[EapStep](1)
    conversation.receive(packet, sender.send_nowait)
    with trio.fail_after(5):
        return await receiver.receive()


def peer_of(card: Usim, type_: int, **options: bool) -> AkaPeer:
    nai = nai_of(IMSI, prefix="6" if type_ == EAP_AKA_PRIME else "0")
    return AkaPeer(nai, card.authenticate, PeerOptions(type=type_, **options))


async def converse(
    conversation: EapConversation, peer: AkaPeer, identity: str = ""
) -> tuple[EapStep, list[RequestKind]]:
    """Run one conversation to its end: (last step, what the server sent)."""
    step = await ask(conversation, peer.start(1, identity))
    kinds = []
    while step.kind is StepKind.REQUEST:
        kinds.append(inspect_request(step.packet).kind)
        step = await ask(conversation, peer.receive(step.packet, bytes(16)))
    peer.receive(step.packet)
    return step, kinds


CHALLENGES = {EAP_AKA: RequestKind.CHALLENGE, EAP_AKA_PRIME: RequestKind.CHALLENGE_PRIME}


@TYPES
async def test_hostapd_authenticates_our_card(type_: int) -> None:
    async with running_hostapd(HomeNetwork()) as (open_conversation, _):
        peer = peer_of(Usim(IMSI, K, OPC), type_)
        step, kinds = await converse(open_conversation(), peer)
    assert step.kind is StepKind.SUCCESS
    assert kinds == [RequestKind.AKA_IDENTITY, CHALLENGES[type_]]
    assert peer.result is PeerResult.SUCCESS
    assert step.msk == peer.msk


@TYPES
async def test_hostapd_resynchronises_with_our_card(type_: int) -> None:
    home = HomeNetwork()
    async with running_hostapd(home) as (open_conversation, centre):
        card = Usim(IMSI, K, OPC)
        card.lose_synchronisation()
        before = card.sqn
        peer = peer_of(card, type_)
        step, kinds = await converse(open_conversation(), peer)
    assert step.kind is StepKind.SUCCESS
    assert kinds.count(CHALLENGES[type_]) == 2
    assert centre.resynchronisations == 1
    assert home.sqn(IMSI) == card.sqn == before + 0x20
    assert step.msk == peer.msk


@TYPES
async def test_hostapd_and_our_peer_use_every_option_and_reauthenticate(type_: int) -> None:
    async with running_hostapd(HomeNetwork(), identities=3, result_indication=True) as (
        open_conversation,
        _,
    ):
        peer = peer_of(Usim(IMSI, K, OPC), type_, result_indication=True, checkcode=True)
        step, kinds = await converse(open_conversation(), peer)
        assert step.kind is StepKind.SUCCESS
        assert kinds[-1] is RequestKind.NOTIFICATION_AFTER
        assert peer.notification == NOTIFICATION_SUCCESS
        assert peer.next_pseudonym
        for _ in range(2):
            identity = peer.next_reauth_id.decode()
            step, kinds = await converse(open_conversation(), peer, identity)
            assert kinds[0] is RequestKind.REAUTHENTICATION
            assert step.kind is StepKind.SUCCESS
            assert step.msk == peer.msk


async def test_hostapd_refuses_a_wrong_res_and_a_stranger() -> None:
    async with running_hostapd(HomeNetwork()) as (open_conversation, _):
        card = Usim(IMSI, K, OPC)
        card.wrong_res = True
        peer = peer_of(card, EAP_AKA)
        step, kinds = await converse(open_conversation(), peer)
        assert step.kind is StepKind.FAILURE
        assert peer.result is PeerResult.FAILURE
        # hostapd notifies first; the node can answer that itself.
        assert kinds[-1] is RequestKind.NOTIFICATION
        stranger = AkaPeer(nai_of("999990000000001"), card.authenticate, PeerOptions())
        step, _ = await converse(open_conversation(), stranger)
        assert step.kind is StepKind.FAILURE


async def test_hostapd_accepts_the_nodes_answer_to_its_identity_round() -> None:
    """As the node relays it: the node answers the identity round, the phone never sees it."""
    async with running_hostapd(HomeNetwork()) as (open_conversation, _):
        conversation = open_conversation()
        nai = nai_of(IMSI)
        step = await ask(conversation, identity_response(1, nai))
        assert inspect_request(step.packet).kind is RequestKind.AKA_IDENTITY
        step = await ask(conversation, aka_identity_response(step.packet, nai))
        assert inspect_request(step.packet).kind is RequestKind.CHALLENGE
        # A phone returns no AT_CHECKCODE, although the server sent one; it looks at RAND and AUTN.
        request = AkaPacket(step.packet)
        answer = Usim(IMSI, K, OPC).authenticate(request.fixed(AT_RAND), request.fixed(AT_AUTN))
        assert isinstance(answer, CardSuccess)
        k_aut = aka_authentication_key(nai.encode(), answer.ik, answer.ck)
        assert request.checkcode() is not None
        response = challenge_response(request.identifier, EAP_AKA, answer.res, k_aut)
        step = await ask(conversation, response)
    assert step.kind is StepKind.SUCCESS
