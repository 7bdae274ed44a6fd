"""An EAP-AKA or EAP-AKA' server, one object per conversation, for the lab's AAA.

Source: RFC 4187, RFC 9048. The home network is not in here: `FetchVector` asks for a vector, and
`vector_found` or `vector_missing` answers. Randomness (RAND, IV) comes in as arguments.
"""

import hmac
from dataclasses import dataclass, field
from enum import Enum

from protocols.eap import aka, keys
from protocols.eap import numbers as n
from protocols.eap.aka_server_table import Action, IllegalTransition, Input, State, step
from protocols.eap.keys import Keys
from protocols.eap.packet import (
    EapError,
    check_header,
    failure,
    parse_identity_response,
    success,
)
from protocols.eap.vector import AuthenticationVector


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How this server behaves; the defaults are what phones over TS.43 can follow.

    Attributes:
        type: 23 EAP-AKA or 50 EAP-AKA'.
        network_name: AT_KDF_INPUT of EAP-AKA'.
        identity_request: AT_ANY_ID_REQ, AT_FULLAUTH_ID_REQ or AT_PERMANENT_ID_REQ; 0: no round.
        result_indication: offer AT_RESULT_IND.
        checkcode: send AT_CHECKCODE, and check the peer's if it returns one.
        bidding: send AT_BIDDING (EAP-AKA only): "I could do EAP-AKA' as well".
        notify_failure: an AKA-Notification round before EAP-Failure.
        rand_autn_first: False puts AT_MAC first, which is legal and breaks Samsung's clients.
        next_pseudonym, next_reauth_id: sent encrypted when not empty.
        max_resynchronisations: of one conversation.
    """

    type: int = n.EAP_AKA
    network_name: bytes = b"WLAN"
    identity_request: int = 0
    result_indication: bool = False
    checkcode: bool = False
    bidding: bool = False
    notify_failure: bool = False
    rand_autn_first: bool = True
    next_pseudonym: bytes = b""
    next_reauth_id: bytes = b""
    max_resynchronisations: int = 2


class FailureReason(Enum):
    """Why a conversation failed."""

    USER_UNKNOWN = "the home network does not know the user"
    WRONG_RESPONSE = "RES or AT_MAC is wrong"
    REJECTED_BY_PEER = "the peer does not trust the network"
    CLIENT_ERROR = "the peer could not process a packet"
    RESYNCHRONISATION_FAILED = "AUTS is wrong, or too many resynchronisations"
    UNSOUND_PACKET = "the peer sent an unsound or unfitting packet"
    TYPE_REFUSED = "the peer wants an EAP method that is not served"


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Output: send this EAP request."""

    packet: bytes


@dataclass(frozen=True, slots=True)
class FetchVector:
    """Output: get a vector for the identity, then call `vector_found` or `vector_missing`.

    Attributes:
        rand, auts: of a synchronisation failure: set SQN first; empty otherwise.
    """

    identity: str
    rand: bytes = b""
    auts: bytes = b""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Output: send EAP-Success; the peer is who it says it is."""

    packet: bytes
    identity: str
    keys: Keys = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """Output: send EAP-Failure."""

    packet: bytes
    reason: FailureReason


Output = SendRequest | FetchVector | Succeeded | Failed


class AkaServer:
    """One conversation.

    Attributes:
        state: of the table.
        identity: the last that the peer sent, which is the one of the key derivation.
        outstanding: the request that waits for a response, for EAP-Reissued-Payload.
    """

    __slots__ = (
        "_identifier",
        "_identity_round",
        "_keys",
        "_options",
        "_reason",
        "_resynchronisations",
        "_type",
        "_vector",
        "identity",
        "outstanding",
        "state",
    )

    def __init__(self, options: ServerOptions) -> None:
        self.state = State.START
        self.identity = ""
        self.outstanding = b""
        self._options = options
        self._type = options.type
        self._identifier = 0
        self._identity_round: list[bytes] = []
        self._vector: AuthenticationVector | None = None
        self._keys: Keys | None = None
        self._reason = FailureReason.UNSOUND_PACKET
        self._resynchronisations = 0

    def __repr__(self) -> str:
        return f"AkaServer({self.state.name}, identifier={self._identifier})"

    # --- what comes in -------------------------------------------------------------------------

    def receive(self, packet: bytes) -> Output:
        """Take one EAP response of the peer.

        Raises:
            EapError: its identifier is not the outstanding one's; nothing changed. RFC 3748 §4.1:
                such a packet is discarded; over Diameter the last request is sent again.
            IllegalTransition: the conversation is over or waits for a vector.
        """
        if self.state is State.START:
            return self._start(packet)
        if self.state in (State.VECTOR, State.ENDED):
            raise IllegalTransition(self.state, Input.FAULT)
        check_header(packet)
        if packet[0] != n.RESPONSE or packet[1] != self._identifier:
            raise EapError("the packet does not answer the outstanding request")
        if len(packet) > 5 and packet[4] == n.NAK:
            return self._nak(packet[5:])
        try:
            response = aka.AkaPacket(packet)
            if response.type != self._type:
                raise EapError("another type than the request")
            return self._response(response, packet)
        except EapError:
            return self._fault(FailureReason.UNSOUND_PACKET)

    def vector_found(self, vector: AuthenticationVector, iv: bytes = b"") -> Output:
        """The home network's answer to `FetchVector`.

        Args:
            iv: 16 random octets, needed when the options hold something to encrypt.
        """
        action, self.state = step(self.state, Input.VECTOR_FOUND)
        assert action is Action.CHALLENGE  # noqa: S101 (the table has no other)
        self._vector = vector
        identity = self.identity.encode()
        if self._type == n.EAP_AKA_PRIME:
            ck, ik = keys.ck_ik_prime(vector.ck, vector.ik, self._options.network_name, vector.autn)
            self._keys = keys.aka_prime_keys(identity, ik, ck)
        else:
            self._keys = keys.aka_keys(identity, vector.ik, vector.ck)
        return self._send(n.CHALLENGE, self._challenge(vector, self._keys, iv), self._keys)

    def vector_missing(self, reason: FailureReason = FailureReason.USER_UNKNOWN) -> Output:
        """The home network knows no such user, or refuses AUTS."""
        return self._fault(reason, notify=True)

    # --- what it means -------------------------------------------------------------------------

    def _start(self, packet: bytes) -> Output:
        self.identity = parse_identity_response(packet)
        self._identifier = packet[1]
        if self._options.identity_request:
            return self._do(Input.IDENTITY_NOT_ENOUGH)
        return self._do(Input.IDENTITY_ENOUGH)

    def _nak(self, wanted: bytes) -> Output:
        other = n.EAP_AKA if self._type == n.EAP_AKA_PRIME else n.EAP_AKA_PRIME
        # A server falls back to what its peer can do, but never offers a better method second.
        if self._type == n.EAP_AKA_PRIME and other in wanted:
            self._type = other
            return self._do(Input.OTHER_TYPE_WANTED)
        return self._fault(FailureReason.TYPE_REFUSED)

    def _response(self, response: aka.AkaPacket, packet: bytes) -> Output:
        subtype = response.subtype
        if subtype == n.CLIENT_ERROR:
            return self._fault(FailureReason.CLIENT_ERROR)
        if self.state is State.CHALLENGE:
            if subtype == n.CHALLENGE:
                return self._challenge_answered(response)
            if subtype == n.SYNCHRONIZATION_FAILURE:
                return self._resynchronise(response.fixed(n.AT_AUTS))
            if subtype == n.AUTHENTICATION_REJECT:
                return self._fault(FailureReason.REJECTED_BY_PEER)
        elif self.state is State.IDENTITY and subtype == n.AKA_IDENTITY:
            return self._identity_answered(response, packet)
        elif subtype == n.NOTIFICATION:
            return self._notification_answered(response)
        raise EapError("a subtype that does not answer the request")

    def _identity_answered(self, response: aka.AkaPacket, packet: bytes) -> Output:
        try:
            self.identity = response.text(n.AT_IDENTITY).decode("ascii")
        except UnicodeDecodeError:
            raise EapError("the identity is not ASCII") from None
        self._identity_round += [self.outstanding, packet]
        return self._do(Input.IDENTITY_ENOUGH)

    def _challenge_answered(self, response: aka.AkaPacket) -> Output:
        if self._keys is None or self._vector is None:
            raise EapError("no challenge was sent")
        right = response.mac_is_right(self._keys.k_aut) and hmac.compare_digest(
            response.res(), self._vector.res
        )
        theirs = response.checkcode()
        if theirs is not None and theirs != keys.checkcode(self._type, self._identity_round):
            right = False
        if not right:
            return self._fault(FailureReason.WRONG_RESPONSE, notify=True)
        if self._options.result_indication and n.AT_RESULT_IND in response:
            return self._do(Input.RESPONSE_RIGHT_TO_NOTIFY)
        return self._do(Input.RESPONSE_RIGHT)

    def _resynchronise(self, auts: bytes) -> Output:
        self._resynchronisations += 1
        if self._resynchronisations > self._options.max_resynchronisations:
            return self._fault(FailureReason.RESYNCHRONISATION_FAILED)
        rand = self._vector.rand if self._vector is not None else b""
        return self._do(Input.RESYNCHRONISATION, rand, auts)

    def _notification_answered(self, response: aka.AkaPacket) -> Output:
        if self.state is State.SUCCESS_NOTIFICATION and not (
            self._keys is not None and response.mac_is_right(self._keys.k_aut)
        ):
            return self._fault(FailureReason.WRONG_RESPONSE)
        return self._do(Input.NOTIFICATION_ANSWERED)

    def _fault(self, reason: FailureReason, notify: bool = False) -> Output:
        self._reason = reason
        notify = notify and self._options.notify_failure
        return self._do(Input.FAULT_TO_NOTIFY if notify else Input.FAULT)

    # --- what goes out -------------------------------------------------------------------------

    def _do(self, given: Input, rand: bytes = b"", auts: bytes = b"") -> Output:
        action, self.state = step(self.state, given)
        match action:
            case Action.ASK_IDENTITY:
                return self._send(n.AKA_IDENTITY, aka.at_number(self._options.identity_request))
            case Action.FETCH_VECTOR:
                return FetchVector(self.identity, rand, auts)
            case Action.NOTIFY_SUCCESS:
                code = aka.at_number(n.AT_NOTIFICATION, n.NOTIFICATION_SUCCESS)
                return self._send(n.NOTIFICATION, code, self._keys)
            case Action.NOTIFY_FAILURE:
                code = aka.at_number(n.AT_NOTIFICATION, n.NOTIFICATION_FAILURE)
                return self._send(n.NOTIFICATION, code)
            case Action.SUCCEED if self._keys is not None:
                self.outstanding = b""
                return Succeeded(success(self._identifier), self.identity, self._keys)
            case _:
                self.outstanding = b""
                return Failed(failure(self._identifier), self._reason)

    def _send(self, subtype: int, attributes: bytes, sealed_by: Keys | None = None) -> SendRequest:
        self._identifier = (self._identifier + 1) & 0xFF
        head = (n.REQUEST, self._identifier, self._type, subtype)
        if sealed_by is None:
            self.outstanding = aka.build_aka(*head, attributes)
        else:
            first = subtype != n.CHALLENGE or self._options.rand_autn_first
            build = aka.build_with_mac if first else aka.build_with_mac_first
            self.outstanding = build(*head, attributes, sealed_by.k_aut)
        return SendRequest(self.outstanding)

    def _challenge(self, vector: AuthenticationVector, own: Keys, iv: bytes) -> bytes:
        """Attributes in hostapd's order: AT_RAND and AT_AUTN first."""
        options = self._options
        parts = [aka.at_fixed(n.AT_RAND, vector.rand), aka.at_fixed(n.AT_AUTN, vector.autn)]
        if self._type == n.EAP_AKA_PRIME:
            parts.append(aka.at_number(n.AT_KDF, n.DEFAULT_KDF))
            parts.append(aka.at_text(n.AT_KDF_INPUT, options.network_name))
        hidden = b""
        if options.next_pseudonym:
            hidden += aka.at_text(n.AT_NEXT_PSEUDONYM, options.next_pseudonym)
        if options.next_reauth_id:
            hidden += aka.at_text(n.AT_NEXT_REAUTH_ID, options.next_reauth_id)
        if hidden:
            parts.append(aka.at_encrypted(own.k_encr, iv, hidden))
        if options.checkcode:
            code = keys.checkcode(self._type, self._identity_round)
            parts.append(aka.at_fixed(n.AT_CHECKCODE, code))
        if options.result_indication:
            parts.append(aka.at_number(n.AT_RESULT_IND))
        if options.bidding and self._type == n.EAP_AKA:
            parts.append(aka.at_number(n.AT_BIDDING, 0x8000))
        return b"".join(parts)
