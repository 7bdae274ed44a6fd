"""Answers that hold an AVP with the M bit which we do not know: counted, logged once, and used.

Source: RFC 6733 §4.1 has the receiver of such an AVP send an error message, which nobody can do for
an answer (§7.2), and §8.1 lets a client that cannot process an answer give the session up. This
client does not: it takes from a DEA the result, the EAP packet, identities and State, gives no
network access, and so enforces none of what an unknown AVP may restrict. A subscriber must not fail
because an AAA was upgraded; whoever operates the node sees the counter and the log.
"""

from typing import Final

import structlog

from protocols.diameter.codec import Message
from protocols.diameter.dictionary import BY_KEY

MAX_NAMES: Final = 100  # an AAA that makes up AVPs is counted under one name

_log = structlog.get_logger("diameter")


class Unrecognised:
    """What was found in answers.

    Attributes:
        counts: by "code" or "vendor/code".
    """

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def look_at(self, answer: Message, peer: str) -> None:
        """Count the unknown AVPs with M at the top of an answer. Cheap when there are none."""
        if answer.keys() <= BY_KEY.keys():
            return
        for avp in answer:
            if avp.mandatory and avp.key not in BY_KEY:
                self._count(avp.code, avp.vendor, peer)

    def _count(self, code: int, vendor: int, peer: str) -> None:
        name = f"{vendor}/{code}" if vendor else str(code)
        if name not in self.counts:
            if len(self.counts) >= MAX_NAMES:
                name = "others"
            else:
                _log.warning("answer with an unknown mandatory AVP", avp=name, peer=peer)
        self.counts[name] = self.counts.get(name, 0) + 1
