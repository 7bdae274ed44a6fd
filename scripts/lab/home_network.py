"""The home network of the lab: whose card has which keys, and the sequence number of each.

Source: 3GPP TS 33.102 §6.3.2 (vectors), §6.3.5 (resynchronisation), annex C.1 (SQN counts in steps
of one SEQ, IND stays 0).
"""

from collections.abc import Iterable
from typing import Final

from protocols.eap.milenage import Milenage, milenage
from protocols.eap.vector import AuthenticationVector
from scripts.lab.subscribers import OPC, PLMN, K, LabSubscriber
from scripts.lab.usim import IND_BITS

AMF: Final = b"\x80\0"  # separation bit set: good for EAP-AKA and EAP-AKA'

_FOREIGN: Final = Milenage(bytes(16), bytes(16))
_ONE_SEQ: Final = 1 << IND_BITS
_SQN_MASK: Final = (1 << 48) - 1


class HomeNetwork:
    """Keys and sequence numbers. Only a subscriber with own keys, or asked before, costs memory."""

    def __init__(
        self,
        subscribers: Iterable[LabSubscriber] = (),
        *,
        known_prefixes: Iterable[str] = (PLMN,),
        k: bytes = K,
        opc: bytes = OPC,
    ) -> None:
        """A network with these subscribers.

        Args:
            known_prefixes: every IMSI that begins so is a subscriber too, with `k` and `opc`.
        """
        self._prefixes = tuple(known_prefixes)
        self._default = milenage(k, opc)
        self._cards: dict[str, Milenage] = {}
        self._sqn: dict[str, int] = {}
        for subscriber in subscribers:
            self._cards[subscriber.imsi] = milenage(subscriber.k, subscriber.opc)
            if subscriber.sqn:
                self._sqn[subscriber.imsi] = subscriber.sqn

    def knows(self, imsi: str) -> bool:
        """Whether this is one of ours."""
        return imsi in self._cards or imsi.startswith(self._prefixes)

    def sqn(self, imsi: str) -> int:
        """The last sequence number that was used for a vector."""
        return self._sqn.get(imsi, 0)

    def set_sqn(self, imsi: str, sqn: int) -> None:
        """Forget or jump, to make cards ask for resynchronisation or refuse."""
        self._sqn[imsi] = sqn

    def vector(self, imsi: str, rand: bytes) -> AuthenticationVector | None:
        """The next vector, None for a stranger."""
        card = self._cards.get(imsi)
        if card is None:
            if not self.knows(imsi):
                return None
            card = self._default
        sqn = self._sqn[imsi] = (self._sqn.get(imsi, 0) + _ONE_SEQ) & _SQN_MASK
        return card.vector(rand, sqn, AMF)

    def stale_vector(self, imsi: str, rand: bytes) -> AuthenticationVector:
        """A vector that every card has seen: it answers with AUTS. SQN stays."""
        return self._cards.get(imsi, self._default).vector(rand, 0, AMF)

    @staticmethod
    def forged_vector(rand: bytes) -> AuthenticationVector:
        """A vector of somebody else: no card trusts it."""
        return _FOREIGN.vector(rand, _ONE_SEQ, AMF)

    def resynchronise(self, imsi: str, rand: bytes, auts: bytes) -> bool:
        """Take over the card's SQN; False when AUTS is not from this card."""
        sqn = self._cards.get(imsi, self._default).sqn_of_auts(rand, auts)
        if sqn is None:
            return False
        self._sqn[imsi] = sqn
        return True
