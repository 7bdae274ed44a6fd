"""The peer of EAP-AKA and EAP-AKA' as the RFCs want it: the side of the card.

Source: RFC 4187, RFC 9048; fast re-authentication §5. Stricter and more able than a phone over
TS.43 (`scripts/lab/phone.py`): it checks AT_MAC and AT_CHECKCODE, answers identity rounds and
notifications, and reports errors instead of going silent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from protocols.eap import aka, keys
from protocols.eap import numbers as n
from protocols.eap.keys import Keys
from protocols.eap.packet import EapError, check_header, identity_response, nak_response
from protocols.eap.vector import CardAnswer, CardSuccess, SynchronisationFailure

Card = Callable[[bytes, bytes], CardAnswer]  # (RAND, AUTN) to the card's answer


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """What this peer can and wants.

    Attributes:
        type: the method it accepts, 23 or 50; another one is answered with Nak.
        result_indication: return AT_RESULT_IND when the server offers it.
        checkcode: return AT_CHECKCODE when the server sends it.
    """

    type: int = n.EAP_AKA
    result_indication: bool = False
    checkcode: bool = False


class PeerResult(Enum):
    """How the conversation stands."""

    OPEN = "open"
    SUCCESS = "success"
    FAILURE = "failure"


class AkaPeer:
    """One card's conversations with one server, one after the other.

    Attributes:
        result: of the current conversation.
        keys: of the last full authentication; None before.
        msk: of the current conversation; empty before it succeeded.
        next_reauth_id, next_pseudonym: as the server gave them; empty when it did not.
        notification: the last code that the server notified, None when there was none.
    """

    __slots__ = (
        "_card",
        "_counter",
        "_identity",
        "_identity_round",
        "_options",
        "_permanent",
        "_reauthenticated",
        "keys",
        "msk",
        "next_pseudonym",
        "next_reauth_id",
        "notification",
        "result",
    )

    def __init__(self, permanent: str, card: Card, options: PeerOptions) -> None:
        """A card whose permanent identity is the NAI `permanent`."""
        self._permanent = permanent
        self._card = card
        self._options = options
        self._identity = permanent
        self._identity_round: list[bytes] = []
        self._counter = 0
        self._reauthenticated = False
        self.keys: Keys | None = None
        self.msk = b""
        self.next_pseudonym = b""
        self.next_reauth_id = b""
        self.notification: int | None = None
        self.result = PeerResult.OPEN

    def __repr__(self) -> str:
        return f"AkaPeer({self.result.name})"

    def start(self, identifier: int, identity: str = "") -> bytes:
        """EAP-Response/Identity of a new conversation.

        Args:
            identity: a pseudonym or re-authentication identity; the permanent one when empty.
        """
        self._identity = identity or self._permanent
        self._identity_round = []
        self._reauthenticated = False
        self.notification = None
        self.msk = b""
        self.result = PeerResult.OPEN
        return identity_response(identifier, self._identity)

    def receive(self, packet: bytes, iv: bytes = b"") -> bytes:
        """Take a request, success or failure; return the response, empty for the latter two.

        Args:
            iv: 16 random octets, for responses with encrypted attributes.

        Raises:
            EapError: it is no EAP packet from a server.
        """
        check_header(packet)
        code, identifier = packet[0], packet[1]
        if code in (n.SUCCESS, n.FAILURE):
            # RFC 4187 §6.2 and RFC 3748 §4.2: a success without keys is nobody's.
            won = code == n.SUCCESS and bool(self.msk)
            self.result = PeerResult.SUCCESS if won else PeerResult.FAILURE
            return b""
        if code != n.REQUEST or len(packet) < 5:
            raise EapError("not from a server")
        if packet[4] == n.IDENTITY:
            return identity_response(identifier, self._identity)
        if packet[4] != self._options.type:
            return nak_response(identifier, self._options.type)
        try:
            return self._request(aka.AkaPacket(packet), packet, iv)
        except EapError:
            return self._client_error(identifier)

    def _request(self, request: aka.AkaPacket, packet: bytes, iv: bytes) -> bytes:
        if request.subtype == n.CHALLENGE:
            return self._challenge(request)
        if request.subtype == n.AKA_IDENTITY:
            return self._identity_request(request, packet)
        if request.subtype == n.NOTIFICATION:
            return self._notification(request, iv)
        if request.subtype == n.REAUTHENTICATION:
            return self._reauthentication(request, iv)
        raise EapError("no such request")

    def _identity_request(self, request: aka.AkaPacket, packet: bytes) -> bytes:
        if n.AT_ANY_ID_REQ not in request:
            self._identity = self._permanent
        attribute = aka.at_text(n.AT_IDENTITY, self._identity.encode())
        response = self._build(request, attribute)
        self._identity_round += [packet, response]
        return response

    # --- full authentication (RFC 4187 §9.3, §9.4) ---------------------------------------------

    def _challenge(self, request: aka.AkaPacket) -> bytes:
        rand, autn = request.fixed(n.AT_RAND), request.fixed(n.AT_AUTN)
        network_name = b""
        if request.type == n.EAP_AKA_PRIME:
            network_name = request.text(n.AT_KDF_INPUT)
            if n.DEFAULT_KDF not in request.key_derivations or not network_name:
                raise EapError("no key derivation that we know")
            # RFC 9048 §3.3: the separation bit of AMF must be 1.
            if not autn[6] & 0x80:
                return self._build(request, subtype=n.AUTHENTICATION_REJECT)
        match self._card(rand, autn):
            case CardSuccess(res, ck, ik):
                self._derive(request.type, network_name, autn, ck, ik)
                return self._answer_challenge(request, res)
            case SynchronisationFailure(auts):
                return aka.synchronization_failure(
                    request.identifier, request.type, auts, request.key_derivations
                )
            case _:
                return self._build(request, subtype=n.AUTHENTICATION_REJECT)

    def _derive(self, type_: int, network_name: bytes, autn: bytes, ck: bytes, ik: bytes) -> None:
        identity = self._identity.encode()
        if type_ == n.EAP_AKA_PRIME:
            ck, ik = keys.ck_ik_prime(ck, ik, network_name, autn)
            self.keys = keys.aka_prime_keys(identity, ik, ck)
        else:
            self.keys = keys.aka_keys(identity, ik, ck)

    def _answer_challenge(self, request: aka.AkaPacket, res: bytes) -> bytes:
        own = self._sealed(request)
        self._check_identity_round(request)
        if n.AT_ENCR_DATA in request:
            self._keep_identities(request.decrypted(own.k_encr))
        self.msk = own.msk
        self._counter = 0
        attributes = aka.at_res(res) + self._options_back(request)
        return self._build(request, attributes, k_aut=own.k_aut)

    def _keep_identities(self, hidden: dict[int, bytes]) -> None:
        def text(attribute: int) -> bytes:
            value = hidden.get(attribute, b"\0\0")
            return value[2 : 2 + (value[0] << 8 | value[1])]

        self.next_pseudonym = text(n.AT_NEXT_PSEUDONYM) or self.next_pseudonym
        self.next_reauth_id = text(n.AT_NEXT_REAUTH_ID)

    # --- fast re-authentication (RFC 4187 §5) --------------------------------------------------

    def _reauthentication(self, request: aka.AkaPacket, iv: bytes) -> bytes:
        own = self._sealed(request)
        self._check_identity_round(request)
        hidden = request.decrypted(own.k_encr)
        if n.AT_COUNTER not in hidden or n.AT_NONCE_S not in hidden:
            raise EapError("AT_COUNTER or AT_NONCE_S is missing")
        counter = int.from_bytes(hidden[n.AT_COUNTER], "big")
        nonce_s = hidden[n.AT_NONCE_S][2:]
        inside = aka.at_number(n.AT_COUNTER, counter)
        if counter <= self._counter:
            inside += aka.at_number(n.AT_COUNTER_TOO_SMALL)
        else:
            self._counter = counter
            self._reauthenticated = True
            identity = self._identity.encode()
            if request.type == n.EAP_AKA_PRIME:
                pair = keys.aka_prime_reauthentication_keys(own.k_re, identity, counter, nonce_s)
            else:
                pair = keys.aka_reauthentication_keys(own.mk, identity, counter, nonce_s)
            self.msk = pair[0]
            self._keep_identities(hidden)
        attributes = aka.at_encrypted(own.k_encr, iv, inside) + self._options_back(request)
        return self._build(request, attributes, k_aut=own.k_aut, more=nonce_s)

    # --- notifications (RFC 4187 §6.1) ---------------------------------------------------------

    def _notification(self, request: aka.AkaPacket, iv: bytes) -> bytes:
        self.notification = request.number(n.AT_NOTIFICATION)
        if self.notification & n.NOTIFICATION_BEFORE_CHALLENGE_BIT:
            return self._build(request)
        own = self._sealed(request)
        attributes = b""
        if self._reauthenticated:
            hidden = request.decrypted(own.k_encr)
            if hidden.get(n.AT_COUNTER) != self._counter.to_bytes(2, "big"):
                raise EapError("AT_COUNTER is not the one of this re-authentication")
            inside = aka.at_number(n.AT_COUNTER, self._counter)
            attributes = aka.at_encrypted(own.k_encr, iv, inside)
        return self._build(request, attributes, k_aut=own.k_aut)

    # --- parts ---------------------------------------------------------------------------------

    def _sealed(self, request: aka.AkaPacket) -> Keys:
        if self.keys is None or not request.mac_is_right(self.keys.k_aut):
            raise EapError("AT_MAC is missing or wrong")
        return self.keys

    def _check_identity_round(self, request: aka.AkaPacket) -> None:
        theirs = request.checkcode()
        if theirs is not None and theirs != keys.checkcode(request.type, self._identity_round):
            raise EapError("AT_CHECKCODE is wrong: somebody changed the identity round")

    def _options_back(self, request: aka.AkaPacket) -> bytes:
        parts = b""
        if self._options.checkcode and n.AT_CHECKCODE in request:
            code = keys.checkcode(request.type, self._identity_round)
            parts += aka.at_fixed(n.AT_CHECKCODE, code)
        if self._options.result_indication and n.AT_RESULT_IND in request:
            parts += aka.at_number(n.AT_RESULT_IND)
        return parts

    def _build(
        self,
        request: aka.AkaPacket,
        attributes: bytes = b"",
        *,
        subtype: int = 0,
        k_aut: bytes = b"",
        more: bytes = b"",
    ) -> bytes:
        head = (n.RESPONSE, request.identifier, request.type, subtype or request.subtype)
        if k_aut:
            return aka.build_with_mac(*head, attributes, k_aut, more)
        return aka.build_aka(*head, attributes)

    def _client_error(self, identifier: int) -> bytes:
        attribute = aka.at_number(n.AT_CLIENT_ERROR_CODE, n.UNABLE_TO_PROCESS)
        return aka.build_aka(n.RESPONSE, identifier, self._options.type, n.CLIENT_ERROR, attribute)
