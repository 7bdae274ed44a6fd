"""What a home network and a card know after one AKA run (3GPP TS 33.102 §6.3).

None of these shows its octets in `repr`: CK, IK and RES are secret.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AuthenticationVector:
    """One vector as the home network hands it to the AAA.

    Attributes:
        rand: 16 octets.
        autn: 16 octets: SQN xor AK (6), AMF (2), MAC-A (8).
        res: the expected response, 4 to 16 octets.
        ck, ik: 16 octets each.
    """

    rand: bytes
    autn: bytes
    res: bytes = field(repr=False)
    ck: bytes = field(repr=False)
    ik: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CardSuccess:
    """The card trusts the network and answers (TS 31.102 §7.1.2.1)."""

    res: bytes = field(repr=False)
    ck: bytes = field(repr=False)
    ik: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SynchronisationFailure:
    """SQN is out of range: `auts` (14 octets) tells the home network the card's own."""

    auts: bytes


@dataclass(frozen=True, slots=True)
class NetworkNotTrusted:
    """MAC-A of AUTN is wrong, or (for EAP-AKA') the separation bit of AMF is 0."""


CardAnswer = CardSuccess | SynchronisationFailure | NetworkNotTrusted
