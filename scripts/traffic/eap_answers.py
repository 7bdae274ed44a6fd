"""What a phone answers to an EAP-AKA challenge: RES, the wrong RES, or AUTS (RFC 4187 §9)."""

from protocols.eap import aka
from protocols.eap import numbers as n
from protocols.eap.keys import aka_authentication_key
from protocols.eap.packet import EapError
from protocols.eap.vector import CardSuccess, SynchronisationFailure
from scripts.lab.usim import Usim
from scripts.traffic.outcome import CallFailed, Reason
from scripts.traffic.steps import AnswerKind


def answer(packet: bytes, card: Usim, nai: str, kind: AnswerKind) -> tuple[bytes, bool]:
    """The response to a request of the AAA.

    Args:
        packet: EAP-Request/AKA-Challenge.
        nai: the identity that went into the first leg, exactly.
        kind: RES is what the card really says, which may be AUTS.

    Returns:
        The EAP response, and whether it reports a synchronisation failure.

    Raises:
        CallFailed: it is no challenge, or the card does not trust the network.
    """
    try:
        request = aka.AkaPacket(packet)
        if request.code != n.REQUEST or request.subtype != n.CHALLENGE:
            raise EapError("not a challenge")
        rand, autn = request.fixed(n.AT_RAND), request.fixed(n.AT_AUTN)
    except EapError as error:
        raise CallFailed(Reason.MALFORMED, f"EAP: {error}") from None
    if kind is AnswerKind.RESYNC:
        card.lose_synchronisation()
    card.wrong_res = kind is AnswerKind.WRONG_RES
    found = card.authenticate(rand, autn)
    if isinstance(found, CardSuccess):
        k_aut = aka_authentication_key(nai.encode(), found.ik, found.ck)
        response = aka.challenge_response(request.identifier, request.type, found.res, k_aut)
        return response, False
    if isinstance(found, SynchronisationFailure):
        return aka.synchronization_failure(request.identifier, request.type, found.auts), True
    raise CallFailed(Reason.EAP_REJECT, "the card does not trust the network (AUTN)")
