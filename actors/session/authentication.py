"""One EAP conversation as the node sees it: it relays, and holds no key.

Source: GSMA TS.43 v12 §2.8.1; TS 29.273 §7.1.2 (all rounds have one Session-Id, State is echoed,
Destination-Host is the Origin-Host of the first answer); RFC 4187 for what a packet says.
"""

from functools import lru_cache
from typing import Final, Self

from actors.diameter.outcomes import EapAnswer, EapProfile, EapRequest, NoAnswer
from actors.session.cookie import ResumePoint
from actors.session.transitions import Input
from config.model import Authentication
from config.model import Sessions as Limits
from protocols.eap.numbers import (
    AUTHENTICATION_REJECT,
    CHALLENGE,
    CLIENT_ERROR,
    EAP_AKA,
    NOTIFICATION_SUCCESS_BIT,
    SYNCHRONIZATION_FAILURE,
)
from protocols.eap.packet import EapError, identity_response, nak_response, parse_response
from protocols.eap.relay import (
    InspectedRequest,
    RequestKind,
    aka_identity_response,
    inspect_request,
    notification_response,
)
from protocols.identity import Nai
from protocols.ts43.request import Ts43Request
from protocols.ts43.result_codes import Outcome, outcome

MULTI_ROUND_AUTH: Final = 1001
UNKNOWN_SESSION_ID: Final = 5002
AUTHENTICATION_REJECTED: Final = (0, 4001)
FIRST_IDENTIFIER: Final = 1  # of the EAP-Response/Identity that no request asked for
# Challenge, Authentication-Reject, Synchronization-Failure, Client-Error: to a challenge, a phone
# says nothing else (RFC 4187 §6.3, §9).
PHONE_SUBTYPES: Final = frozenset(
    {CHALLENGE, AUTHENTICATION_REJECT, SYNCHRONIZATION_FAILURE, CLIENT_ERROR}
)
# An AKA' challenge gets a Nak that asks for EAP-AKA, which phones can do (RFC 3748 §5.3.1).
NODE_ANSWERS: Final = frozenset(
    {
        RequestKind.IDENTITY,
        RequestKind.AKA_IDENTITY,
        RequestKind.NOTIFICATION,
        RequestKind.CHALLENGE_PRIME,
    }
)
# Ends the Session-Id of the one new conversation after an AAA lost the first (RFC 6733 §8.8: the
# last part is ours to choose).
SECOND_CONVERSATION: Final = b"-2"
EAP_FAILURE: Final = b"\x04"  # the code of the packet (RFC 3748 §4.2)
ROUNDS_FOR_DEVICE: Final = 3  # rounds the node answers itself before it calls that a loop

_EVENTS: Final = {
    AUTHENTICATION_REJECT: "device-rejects",
    SYNCHRONIZATION_FAILURE: "resync",
    CLIENT_ERROR: "client-error",
}


class Conversation:
    """The EAP conversation of one session, round by round.

    Attributes:
        session_id: Diameter Session-Id of all rounds.
        outstanding: the EAP request that the device has to answer; empty while there is none.
        fault: why the last answer of the device was malformed.
        last_event: what the last answer of the device was, for counters; empty for a plain one.
        out_of_order: the challenge does not begin with AT_RAND, AT_AUTN (Samsung cannot read it).
    """

    __slots__ = (
        "_aaa_host",
        "_aaa_state",
        "_answered",
        "_avoided_host",
        "_challenges",
        "_eap_id",
        "_identifier",
        "_inspected",
        "_profile",
        "_realm",
        "_resumed",
        "_resynchronisations",
        "_rounds_for_device",
        "_started_again",
        "_terminal_information",
        "_type",
        "_user_name",
        "_was_asked",
        "fault",
        "last_event",
        "out_of_order",
        "outstanding",
        "session_id",
    )

    def __init__(
        self,
        eap_id: str,
        authentication: Authentication,
        session_id: bytes,
    ) -> None:
        """Begin.

        Args:
            eap_id: the identity exactly as the phone sent it.
            authentication: of the tenant.
            session_id: of this conversation.
        """
        self._eap_id = eap_id
        self._user_name = eap_id.encode()
        self._profile = profile_of(authentication)
        self._realm = realm_of(authentication, eap_id)
        self._terminal_information = authentication.terminal_information
        self.session_id = session_id
        self._aaa_host = b""
        self._aaa_state = b""
        self._identifier = FIRST_IDENTIFIER
        self._inspected: InspectedRequest | None = None
        self._type = 0
        self._answered = b""
        self._resumed = False
        self._challenges = 0
        self._resynchronisations = 0
        self._rounds_for_device = 0
        self._started_again = False
        self._was_asked = False  # and answered, in the conversation of now
        self._avoided_host = b""
        self.outstanding = b""
        self.fault = ""
        self.last_event = ""
        self.out_of_order = False

    @classmethod
    def resumed(cls, point: ResumePoint, authentication: Authentication) -> Self:
        """The conversation that a sealed cookie describes, with its challenge outstanding."""
        conversation = cls(point.eap_id, authentication, point.session_id)
        conversation._aaa_host = point.aaa_host
        conversation._aaa_state = point.aaa_state
        conversation._identifier = point.eap_identifier
        conversation._type = point.eap_type
        conversation._challenges = 1
        conversation._resumed = True
        return conversation

    def resume_point(
        self, expires: int, owner: int, tenant: str, request: Ts43Request
    ) -> ResumePoint:
        """What another worker or node needs to go on from here."""
        return ResumePoint(
            expires=expires,
            owner=owner,
            tenant=tenant,
            session_id=self.session_id,
            aaa_host=self._aaa_host,
            aaa_state=self._aaa_state,
            eap_id=self._eap_id,
            eap_identifier=self._identifier,
            eap_type=self._type,
            version=request.entitlement_version,
            apps=request.apps,
            terminal_id=request.terminal_id,
            app_name=request.app_name,
            boost_type=request.boost_type,
        )

    @property
    def session_ids(self) -> tuple[bytes, ...]:
        """Every Diameter Session-Id that this conversation has had."""
        if self._started_again:
            return self.session_id.removesuffix(SECOND_CONVERSATION), self.session_id
        return (self.session_id,)

    # --- what a message means ------------------------------------------------------------------

    def input_of_answer(self, packet: bytes) -> Input:
        """What an EAP packet of the device is to this conversation (RFC 3748 §4.1, §2.1)."""
        if packet == self._answered:
            return Input.ANSWER_REPEATED
        try:
            response = parse_response(packet)
        except EapError as error:
            self.fault = str(error)
            return Input.ANSWER_MALFORMED
        if response.identifier != self._identifier:
            if self._resumed and not (self._answered or self._started_again):
                return Input.ANSWER_OF_LOST_ROUND
            self.fault = "the EAP identifier is not the outstanding request's"
            return Input.ANSWER_MALFORMED
        if response.type != self._type or response.subtype not in PHONE_SUBTYPES:
            self.fault = "the EAP type or subtype does not answer the outstanding request"
            return Input.ANSWER_MALFORMED
        self.fault = "another answer to this request is being checked"  # unless it is the first
        self.last_event = _EVENTS.get(response.subtype, "")
        return Input.ANSWER_RECEIVED

    def input_of_dea(self, answer: EapAnswer, limits: Limits) -> Input:
        """What a DEA is to this conversation (GSMA TS.43 v12 table 7)."""
        if answer.vendor == 0 and answer.code == MULTI_ROUND_AUTH:
            return self._input_of_request(answer, limits)
        failed = answer.eap_payload[:1] == EAP_FAILURE
        rejected = failed or (answer.vendor, answer.code) == AUTHENTICATION_REJECTED
        if rejected and self._resumed and not self._started_again:
            # Ours: the process that is gone may have asked the same, and a challenge is good for
            # one answer. 403 would stop a device whose answer was right (Q-HTTP-3).
            return Input.SESSION_LOST
        if outcome_of(answer).success and not failed:
            # Ours: nobody is accepted who was not challenged, whatever the AAA says.
            return Input.SUCCESS_RECEIVED if self._was_asked else Input.AAA_FAILED
        if failed and (outcome_of(answer).success or not answer.code):
            return Input.REFUSAL_RECEIVED  # the EAP packet says what the result does not
        if answer.vendor == 0 and answer.code == UNKNOWN_SESSION_ID and not self._started_again:
            return Input.SESSION_LOST
        if outcome_of(answer).status == 403:
            return Input.REFUSAL_RECEIVED
        return Input.AAA_FAILED

    def input_of_silence(self, failure: NoAnswer) -> Input:
        """What a DER without an answer is; another AAA does not know this conversation."""
        return (
            Input.SESSION_LOST
            if failure.elsewhere and not self._started_again
            else Input.AAA_FAILED
        )

    def _input_of_request(self, answer: EapAnswer, limits: Limits) -> Input:
        """Who can answer the EAP request of a DEA 1001."""
        try:
            request = inspect_request(answer.eap_reissued_payload or answer.eap_payload)
            self._inspected = request
        except EapError:
            return Input.NOBODY_CAN_ANSWER
        if request.kind is RequestKind.CHALLENGE:
            return (
                Input.CHALLENGE_RECEIVED
                if self._challenges < limits.max_challenges
                and self._resynchronisations <= limits.max_resynchronisations
                else Input.NOBODY_CAN_ANSWER
            )
        if request.kind is RequestKind.NOTIFICATION_AFTER:
            # Its answer needs K_aut; a failure code is the AAA's word all the same (RFC 4187 §6.1).
            success = request.notification & NOTIFICATION_SUCCESS_BIT
            return Input.NOBODY_CAN_ANSWER if success else Input.REFUSAL_RECEIVED
        if request.kind in NODE_ANSWERS and self._rounds_for_device < ROUNDS_FOR_DEVICE:
            return Input.NODE_CAN_ANSWER
        return Input.NOBODY_CAN_ANSWER

    # --- rounds --------------------------------------------------------------------------------

    def begin(self) -> bytes:
        """The EAP-Response/Identity of the first round: the identity exactly as it was sent."""
        return identity_response(FIRST_IDENTIFIER, self._eap_id)

    def begin_again(self, *, elsewhere: bool) -> bytes:
        """The first round of a new conversation.

        Args:
            elsewhere: the AAA is gone; else it is there and forgot the old one.
        """
        self._started_again = True
        self._was_asked = False
        self._avoided_host = self._aaa_host if elsewhere else b""
        self.session_id += SECOND_CONVERSATION
        self._aaa_host = b""
        self._aaa_state = b""
        return self.begin()

    def take_answer(self, packet: bytes) -> bytes:
        """The device's answer on its way to the AAA, untouched."""
        self._answered = packet
        self._was_asked = True
        if self.last_event == "resync":
            self._resynchronisations += 1
        self.outstanding = b""
        return packet

    def take_lost_answer(self, packet: bytes) -> bytes:
        """The device's answer to a round that is lost; what to begin a new conversation with."""
        self._answered = packet
        return self.begin_again(elsewhere=False)

    def take_challenge(self, answer: EapAnswer) -> bytes:
        """The AAA's challenge on its way to the device, untouched."""
        packet = answer.eap_reissued_payload or answer.eap_payload
        request = self._take_inspected()
        self._pin(answer)
        self._identifier = request.identifier
        self._type = request.type
        self._challenges += 1
        self.out_of_order = not request.rand_autn_first
        self.outstanding = packet
        return packet

    def answer_for_device(self, answer: EapAnswer) -> bytes:
        """The node's own answer to a round that no phone can answer and no key is needed for."""
        self._rounds_for_device += 1
        self._pin(answer)
        packet = answer.eap_reissued_payload or answer.eap_payload
        request = self._take_inspected()
        if request.kind is RequestKind.IDENTITY:
            return identity_response(request.identifier, self._eap_id)
        if request.kind is RequestKind.AKA_IDENTITY:
            return aka_identity_response(packet, self._eap_id)
        if request.kind is RequestKind.CHALLENGE_PRIME:
            return nak_response(request.identifier, EAP_AKA)
        return notification_response(packet)

    def der(self, packet: bytes, request: Ts43Request) -> EapRequest:
        """The next DER of this conversation."""
        return EapRequest(
            self._profile,
            self.session_id,
            self._user_name,
            packet,
            self._realm,
            self._aaa_state,
            self._aaa_host,
            imei_of(request.terminal_id) if self._terminal_information else b"",
            avoided_host=self._avoided_host,
        )

    def authenticated_imsi(self, answer: EapAnswer) -> str | None:
        """Whom the AAA accepted: by its permanent identity, never by the phone's pseudonym."""
        for octets in (answer.mobile_node_identifier, answer.user_name, self._user_name):
            imsi = _imsi_in(octets) if octets else ""
            if imsi:
                return imsi
        return None

    def refusal(self, answer: EapAnswer) -> tuple[str, str]:
        """(cause for counters, alarm text or nothing) of a DEA that refuses the subscriber."""
        if answer.vendor == 0 and answer.code == MULTI_ROUND_AUTH:
            return "AKA-Notification of a failure", ""
        found = outcome_of(answer)
        if found.success or not answer.code:
            return "EAP-Failure", ""
        return found.name, describe(answer) if found.alarm else ""

    def failure(self, answer: EapAnswer) -> tuple[str, str]:
        """(cause for counters, alarm text or nothing) of a DEA that leads to an apology."""
        if outcome_of(answer).success:
            return (
                "accepted without a challenge",
                "the AAA accepts devices that it never challenged",
            )
        if answer.vendor == 0 and answer.code == MULTI_ROUND_AUTH:
            return "eap round not answerable", (
                "the AAA sends EAP requests that phones cannot answer (AKA' alone, fast "
                "re-authentication or protected notifications); phones know the challenge alone"
            )
        found = outcome_of(answer)
        return found.name, describe(answer) if found.alarm else ""

    def _take_inspected(self) -> InspectedRequest:
        """What `input_of_dea` saw in the packet."""
        request, self._inspected = self._inspected, None
        assert request is not None
        return request

    def _pin(self, answer: EapAnswer) -> None:
        self._aaa_host = answer.origin_host
        self._aaa_state = answer.state


@lru_cache(maxsize=4_096)  # the AAA mostly repeats what the device said
def _imsi_in(nai: bytes) -> str:
    """The IMSI of a permanent identity; empty when it is none.

    A plain text: encoders take no subclasses.
    """
    try:
        return str(Nai(nai.decode("latin-1")).imsi or "")
    except ValueError:
        return ""


@lru_cache(maxsize=4_096)
def profile_of(authentication: Authentication) -> EapProfile:
    """The constant part of a tenant's DERs."""
    return EapProfile(
        application=authentication.application,
        auth_request_type=authentication.auth_request_type,
        rat_type=authentication.rat_type,
        visited_network_identifier=authentication.visited_network_identifier,
        service_selection=authentication.service_selection,
    )


def realm_of(authentication: Authentication, eap_id: str) -> bytes:
    """Destination-Realm: the tenant's, else the home network's of the NAI (TS 23.003 §19.2)."""
    if authentication.destination_realm:
        return authentication.destination_realm.encode()
    return _home_realm(eap_id.partition("@")[2])


@lru_cache(maxsize=1_024)  # the subscribers of a network share theirs
def _home_realm(realm: str) -> bytes:
    plmn = Nai(f"@{realm}").realm_plmn
    if plmn is None:
        return realm.encode()
    mcc, mnc = plmn
    return f"epc.mnc{mnc}.mcc{mcc}.3gppnetwork.org".encode()


def imei_of(terminal_id: str) -> bytes:
    """The IMEI AVP: 14 digits without the check digit (TS 29.272 §7.3.4); empty for a UUID."""
    return terminal_id[:14].encode() if terminal_id.isdigit() and len(terminal_id) >= 14 else b""


def outcome_of(answer: EapAnswer) -> Outcome:
    """The row of table 7 for a DEA."""
    return outcome(answer.vendor, answer.code)


def describe(answer: EapAnswer) -> str:
    """A DEA that points at the configuration, for the operator."""
    text = f"the AAA answered {outcome_of(answer).name} ({answer.vendor}, {answer.code})"
    if answer.error_message:
        text += f": {answer.error_message.decode('utf-8', 'replace')[:200]}"
    if answer.failed_avp:
        text += f"; Failed-AVP code {int.from_bytes(answer.failed_avp[:4])}"
    return text
