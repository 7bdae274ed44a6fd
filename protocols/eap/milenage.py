"""Milenage, the example algorithm set of TS 35.206: f1 to f5*, and what TS 33.102 builds from them.

Only the lab uses it (card and home network): the node never sees a key. All values are octets,
most significant first; SQN is an integer of 48 bits. One vector costs two AES calls.
"""

import hmac
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from Crypto.Cipher import AES

from protocols.eap.vector import AuthenticationVector

SQN_BITS: Final = 48
SEPARATION_BIT: Final = 0x80  # in the first octet of AMF: the vector is for EAP-AKA' or EPS
RESYNC_AMF: Final = b"\0\0"  # TS 33.102 §6.3.3: MAC-S uses a dummy AMF

_MASK: Final = (1 << 128) - 1
_BLOCK: Final = 16


@dataclass(frozen=True, slots=True)
class Responses:
    """Outputs of f2 to f5* for one RAND; none of them depends on SQN.

    Attributes:
        res: f2, 8 octets.
        ck, ik: f3 and f4, 16 octets.
        ak: f5, 6 octets, hides SQN in AUTN.
        ak_star: f5*, 6 octets, hides SQN in AUTS.
    """

    res: bytes = field(repr=False)
    ck: bytes = field(repr=False)
    ik: bytes = field(repr=False)
    ak: bytes = field(repr=False)
    ak_star: bytes = field(repr=False)


class Milenage:
    """The functions of one card, that is of one K and OPc."""

    __slots__ = ("_encrypt", "_opc")

    def __init__(self, k: bytes, opc: bytes) -> None:
        """Prepare the cipher.

        Raises:
            ValueError: K or OPc has not 16 octets.
        """
        if len(k) != _BLOCK or len(opc) != _BLOCK:
            raise ValueError("K and OPc have 16 octets each")
        # TS 35.206 is defined on single blocks; ECB over several is the same, in one call.
        self._encrypt = AES.new(k, AES.MODE_ECB).encrypt
        self._opc = int.from_bytes(opc, "big")

    def _temp(self, rand: bytes) -> int:
        octets = (int.from_bytes(rand, "big") ^ self._opc).to_bytes(_BLOCK, "big")
        return int.from_bytes(self._encrypt(octets), "big")

    def _in1(self, temp: int, sqn: int, amf: bytes) -> int:
        """The block that f1 encrypts: IN1 is SQN, AMF twice, rotated by r1 = 64; c1 is 0."""
        half = sqn << 16 | int.from_bytes(amf, "big")
        mixed = (half << 64 | half) ^ self._opc
        return temp ^ ((mixed << 64 | mixed >> 64) & _MASK)

    def _blocks(self, temp: int) -> list[int]:
        """The blocks that f2 to f5* encrypt: rotated by 0, 32, 64, 96 bits; c2 to c5."""
        base = temp ^ self._opc
        return [
            base ^ 1,
            ((base << 32 | base >> 96) & _MASK) ^ 2,
            ((base << 64 | base >> 64) & _MASK) ^ 4,
            ((base << 96 | base >> 32) & _MASK) ^ 8,
        ]

    def _outputs(self, blocks: list[int]) -> list[bytes]:
        opc = self._opc
        out = self._encrypt(b"".join([block.to_bytes(_BLOCK, "big") for block in blocks]))
        return [
            (int.from_bytes(out[at : at + _BLOCK], "big") ^ opc).to_bytes(_BLOCK, "big")
            for at in range(0, len(out), _BLOCK)
        ]

    def macs(self, rand: bytes, sqn: int, amf: bytes) -> tuple[bytes, bytes]:
        """(MAC-A, MAC-S): f1 and f1*, 8 octets each."""
        (out,) = self._outputs([self._in1(self._temp(rand), sqn, amf)])
        return out[:8], out[8:]

    def responses(self, rand: bytes) -> Responses:
        """Run f2 to f5*."""
        out2, out3, out4, out5 = self._outputs(self._blocks(self._temp(rand)))
        return Responses(out2[8:], out3, out4, out2[:6], out5[:6])

    def check(self, rand: bytes, autn: bytes) -> tuple[Responses, int, bool]:
        """The card's half: (responses, SQN, whether MAC-A is right) for a challenge."""
        temp = self._temp(rand)
        out2, ck, ik, out5 = self._outputs(self._blocks(temp))
        sqn = int.from_bytes(autn[:6], "big") ^ int.from_bytes(out2[:6], "big")
        (out1,) = self._outputs([self._in1(temp, sqn, autn[6:8])])
        trusted = hmac.compare_digest(out1[:8], autn[8:])
        return Responses(out2[8:], ck, ik, out2[:6], out5[:6]), sqn, trusted

    def vector(self, rand: bytes, sqn: int, amf: bytes) -> AuthenticationVector:
        """The home network's vector for this RAND and SQN (TS 33.102 §6.3.2)."""
        temp = self._temp(rand)
        out2, ck, ik, out1 = self._outputs([*self._blocks(temp)[:3], self._in1(temp, sqn, amf)])
        return AuthenticationVector(rand, _xor(sqn, out2[:6]) + amf + out1[:8], out2[8:], ck, ik)

    def auts(self, rand: bytes, sqn_ms: int) -> bytes:
        """AUTS: the card's own SQN for the home network (TS 33.102 §6.3.3), 14 octets."""
        mac_s = self.macs(rand, sqn_ms, RESYNC_AMF)[1]
        return _xor(sqn_ms, self.responses(rand).ak_star) + mac_s

    def sqn_of_auts(self, rand: bytes, auts: bytes) -> int | None:
        """SQN_MS of an AUTS, or None when MAC-S is wrong (TS 33.102 §6.3.5)."""
        ak_star = self.responses(rand).ak_star
        sqn_ms = int.from_bytes(auts[:6], "big") ^ int.from_bytes(ak_star, "big")
        mac_s = self.macs(rand, sqn_ms, RESYNC_AMF)[1]
        return sqn_ms if hmac.compare_digest(mac_s, auts[6:]) else None


def _xor(sqn: int, anonymity_key: bytes) -> bytes:
    return (sqn ^ int.from_bytes(anonymity_key, "big")).to_bytes(6, "big")


@lru_cache(maxsize=4096)
def milenage(k: bytes, opc: bytes) -> Milenage:
    """The functions of a card; those of a lab often share one K, and AES keys cost to set up."""
    return Milenage(k, opc)


def opc_of(k: bytes, op: bytes) -> bytes:
    """OPc from the operator's OP (TS 35.206 §4.1)."""
    encrypted = AES.new(k, AES.MODE_ECB).encrypt(op)
    return bytes(a ^ b for a, b in zip(encrypted, op, strict=True))
