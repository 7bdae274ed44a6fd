"""The EAP side of the lab's AAA: one conversation, served by our own EAP-AKA server.

`aaa_hostapd.py` has the same shape with hostapd behind it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from protocols.eap import aka
from protocols.eap import numbers as n
from protocols.eap.aka_server import (
    AkaServer,
    FailureReason,
    FetchVector,
    Output,
    SendRequest,
    Succeeded,
)
from protocols.eap.aka_server_table import IllegalTransition
from protocols.eap.packet import EapError, build, failure, parse_identity_response
from protocols.eap.vector import AuthenticationVector
from scripts.lab.aaa_behaviour import Behaviour
from scripts.lab.home_network import HomeNetwork

RandomOctets = Callable[[int], bytes]


class StepKind(Enum):
    """What a step of a conversation leads to."""

    REQUEST = "request"  # DEA 1001
    REISSUE = "reissue"  # DEA 1001 with EAP-Reissued-Payload: the answer did not fit
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class EapStep:
    """The EAP packet that answers, and what it means.

    Attributes:
        msk: 64 octets with a success, else empty.
        reason: of a failure.
    """

    kind: StepKind
    packet: bytes
    msk: bytes = field(default=b"", repr=False)
    reason: FailureReason = FailureReason.UNSOUND_PACKET


class EapConversation(Protocol):
    """One conversation with one peer."""

    def receive(self, packet: bytes, reply: Callable[[EapStep], None]) -> None:
        """Take one EAP response; `reply` is called once, now or later."""
        ...


def imsi_of(identity: str) -> str:
    """The IMSI of a permanent identity; empty for another one."""
    user = identity.partition("@")[0]
    return user[1:] if len(user) > 6 and user.isdigit() and user[0] in "06" else ""


class LocalConversation:
    """Our own EAP-AKA server with the lab's home network behind it."""

    def __init__(self, home: HomeNetwork, behaviour: Behaviour, random: RandomOctets) -> None:
        self._home = home
        self._behaviour = behaviour
        self._random = random
        self._server: AkaServer | None = None
        self._stale = behaviour.stale
        self._asked_identity = False

    def receive(self, packet: bytes, reply: Callable[[EapStep], None]) -> None:
        """Take one EAP response; the reply comes before this returns."""
        reply(self._step(packet))

    def _step(self, packet: bytes) -> EapStep:
        try:
            return self._received(packet)
        except (EapError, IllegalTransition):
            if self._server is None or not self._server.outstanding:
                return EapStep(StepKind.FAILURE, failure(packet[1] if len(packet) > 1 else 0))
            # RFC 4072 §4.1.2: the answer did not fit; the last request goes out again.
            return EapStep(StepKind.REISSUE, self._server.outstanding)

    def _received(self, packet: bytes) -> EapStep:
        if self._server is None:
            identity = parse_identity_response(packet)
            if self._behaviour.eap_identity and not self._asked_identity:
                self._asked_identity = True
                request = build(n.REQUEST, (packet[1] + 1) & 0xFF, bytes((n.IDENTITY,)))
                return EapStep(StepKind.REQUEST, request)
            if self._behaviour.reauthentication:
                return EapStep(StepKind.REQUEST, self._reauthentication(packet[1]))
            prime = identity.startswith("6")
            self._server = AkaServer(self._behaviour.server_options(prime))
        return self._meaning(self._server, self._server.receive(packet))

    def _meaning(self, server: AkaServer, output: Output) -> EapStep:
        if isinstance(output, FetchVector):
            output = self._vector(server, output)
        if isinstance(output, SendRequest):
            return EapStep(StepKind.REQUEST, output.packet)
        if isinstance(output, Succeeded):
            return EapStep(StepKind.SUCCESS, output.packet, output.keys.msk)
        if isinstance(output, FetchVector):
            raise AssertionError("a vector leads to a request or a failure")
        return EapStep(StepKind.FAILURE, output.packet, reason=output.reason)

    def _vector(self, server: AkaServer, wanted: FetchVector) -> Output:
        imsi = imsi_of(wanted.identity)
        if wanted.auts and not self._home.resynchronise(imsi, wanted.rand, wanted.auts):
            return server.vector_missing(FailureReason.RESYNCHRONISATION_FAILED)
        vector = self._next_vector(imsi)
        if vector is None or self._behaviour.unknown:
            return server.vector_missing()
        iv = self._random(16) if self._behaviour.pseudonym else b""
        return server.vector_found(vector, iv)

    def _next_vector(self, imsi: str) -> AuthenticationVector | None:
        rand = self._random(16)
        if self._behaviour.forged:
            return self._home.forged_vector(rand)
        if self._stale:
            self._stale -= 1
            return self._home.stale_vector(imsi, rand)
        return self._home.vector(imsi, rand)

    def _reauthentication(self, identifier: int) -> bytes:
        """A fast re-authentication of a context that no phone over TS.43 has."""
        k_encr, k_aut = self._random(16), self._random(16)
        inside = aka.at_number(n.AT_COUNTER, 1) + aka.at_fixed(n.AT_NONCE_S, self._random(16))
        attributes = aka.at_encrypted(k_encr, self._random(16), inside)
        return aka.build_with_mac(
            n.REQUEST, (identifier + 1) & 0xFF, n.EAP_AKA, n.REAUTHENTICATION, attributes, k_aut
        )
