"""A USIM: Milenage, the check of the network's AUTN, and the window of sequence numbers.

Source: 3GPP TS 31.102 §7.1 (AUTHENTICATE), TS 33.102 §6.3.3 and annex C.2 (SQN = SEQ, then 5 bits
IND; one SEQ is kept for each IND).
"""

from typing import Final

from protocols.eap.milenage import milenage
from protocols.eap.vector import (
    CardAnswer,
    CardSuccess,
    NetworkNotTrusted,
    SynchronisationFailure,
)

IND_BITS: Final = 5
IND_MASK: Final = (1 << IND_BITS) - 1
DELTA: Final = 1 << 28  # TS 33.102 annex C.2.1: a jump of SEQ beyond it is not believed


class Usim:
    """One card. About 20 µs an authentication.

    Attributes:
        imsi: its subscriber.
        sqn: the highest SQN that it accepted (SQN_MS), which AUTS tells the network.
        wrong_res: answer challenges with a wrong RES, as a card of another network would.
    """

    __slots__ = ("_milenage", "_newest", "imsi", "sqn", "wrong_res")

    def __init__(self, imsi: str, k: bytes, opc: bytes, sqn: int = 0) -> None:
        """A card that has seen `sqn` last."""
        self.imsi = imsi
        self.sqn = sqn
        self.wrong_res = False
        self._milenage = milenage(k, opc)
        self._newest: dict[int, int] | None = None  # IND to SEQ; made when the second IND comes

    def __repr__(self) -> str:
        return f"Usim(…{self.imsi[-2:]})"

    def authenticate(self, rand: bytes, autn: bytes) -> CardAnswer:
        """Check the network, then answer (TS 33.102 §6.3.3)."""
        found, sqn, trusted = self._milenage.check(rand, autn)
        if not trusted:
            return NetworkNotTrusted()
        if not self._is_fresh(sqn):
            return SynchronisationFailure(self._milenage.auts(rand, self.sqn))
        self._remember(sqn)
        res = found.res
        if self.wrong_res:
            res = bytes((res[0] ^ 0xFF,)) + res[1:]
        return CardSuccess(res, found.ck, found.ik)

    def lose_synchronisation(self, steps: int = 1_000) -> None:
        """Let the card be ahead of its network by `steps` numbers: the next challenge is stale."""
        self.sqn += steps << IND_BITS
        self._newest = None

    def _is_fresh(self, sqn: int) -> bool:
        seq = sqn >> IND_BITS
        if self._newest is not None and sqn & IND_MASK in self._newest:
            last = self._newest[sqn & IND_MASK]
        else:
            last = self.sqn >> IND_BITS
        return last < seq and seq - (self.sqn >> IND_BITS) <= DELTA

    def _remember(self, sqn: int) -> None:
        if self._newest is not None or sqn & IND_MASK != self.sqn & IND_MASK:
            if self._newest is None:
                self._newest = {self.sqn & IND_MASK: self.sqn >> IND_BITS}
            self._newest[sqn & IND_MASK] = sqn >> IND_BITS
        self.sqn = max(self.sqn, sqn)
