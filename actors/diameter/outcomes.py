"""What a session asks of the Diameter router, and what it gets back.

Source: 3GPP TS 29.273 §4.2.2 (SWa) and §7.2.2 (SWm); RFC 4072 for EAP. One `EapRequest` becomes one
DER, perhaps sent to several peers; it ends in exactly one `EapAnswer` or `NoAnswer`.
"""

from dataclasses import dataclass
from enum import Enum

from msgspec import Struct


class EapProfile(Struct, frozen=True, cache_hash=True):
    """The part of every DER that is the same for a tenant: its encoding is made once.

    Attributes:
        application: `swm` or `swa`.
        auth_request_type: 3 AUTHORIZE_AUTHENTICATE or 1 AUTHENTICATE_ONLY.
        rat_type: RAT-Type, 0 is WLAN; None leaves the AVP out.
        visited_network_identifier: `mnc<MNC>.mcc<MCC>.3gppnetwork.org`; empty leaves it out.
        service_selection: the APN; empty leaves it out.
    """

    application: str = "swm"
    auth_request_type: int = 3
    rat_type: int | None = 0
    visited_network_identifier: str = ""
    service_selection: str = ""


class EapRequest(Struct, gc=False):
    """One round of an EAP conversation. Octet strings; nothing in it is a secret key.

    Attributes:
        session_id: the same for all rounds; from `DiameterRouter.new_session_id`.
        user_name: the NAI exactly as the phone sent it.
        eap_payload: one EAP response.
        destination_realm: where the AAA of this subscriber is.
        state: State of the previous DEA, verbatim; empty when it had none.
        destination_host: Origin-Host of the first DEA; empty in the first round.
        imei, software_version, calling_station_id: of the device; empty leaves them out.
        avoided_host: the AAA that left this device's conversation before; not asked again.
    """

    profile: EapProfile
    session_id: bytes
    user_name: bytes
    eap_payload: bytes
    destination_realm: bytes
    state: bytes = b""
    destination_host: bytes = b""
    imei: bytes = b""
    software_version: bytes = b""
    calling_station_id: bytes = b""
    avoided_host: bytes = b""

    def __repr__(self) -> str:
        """Without what names a subscriber or a device."""
        return f"EapRequest({self.profile.application}, {self.session_id!r})"


class EapAnswer(Struct, gc=False):
    """A DEA, whatever its result.

    Attributes:
        vendor: 0 when `code` is a Result-Code, 10415 when it is a 3GPP Experimental-Result-Code:
            the two ranges overlap, so a result is always the pair.
        code: the result; 0 when the answer carried none.
        eap_payload: the EAP request, success or failure; empty when there is none.
        eap_reissued_payload: send this packet to the phone again (RFC 4072 §4.1.2).
        state: to be echoed in the next round.
        origin_host: the AAA that answered, which the next round must name as destination_host.
        multi_round_time_out, session_timeout: seconds, None when absent.
        user_name, mobile_node_identifier: NAIs; the latter is the permanent one.
        msisdn: Subscription-Id of type END_USER_E164.
        auth_session_state: 0 STATE_MAINTAINED (also when absent), 1 NO_STATE_MAINTAINED.
        error_message: for the log.
        failed_avp: the AVP that the AAA did not like, encoded.
        raw, request_raw: the DEA and the DER as they were on the wire, for the trace.
        peer: Origin-Host of the connection it came over (the AAA, or an agent before it).
    """

    vendor: int
    code: int
    eap_payload: bytes = b""
    eap_reissued_payload: bytes = b""
    state: bytes = b""
    origin_host: bytes = b""
    multi_round_time_out: int | None = None
    user_name: bytes = b""
    mobile_node_identifier: bytes = b""
    msisdn: bytes = b""
    session_timeout: int | None = None
    auth_session_state: int = 0
    error_message: bytes = b""
    failed_avp: bytes = b""
    raw: bytes = b""
    request_raw: bytes = b""
    peer: str = ""

    def __repr__(self) -> str:
        """The result alone: the rest names a subscriber or holds keys (EAP-Master-Session-Key)."""
        return f"EapAnswer(vendor={self.vendor}, code={self.code}, peer={self.peer!r})"


class NoAnswerReason(Enum):
    """Why no DEA came."""

    NO_PEER = "no peer"  # none is open, or none serves the realm or the pinned AAA
    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection lost"
    OVERLOADED = "overloaded"  # every way is closed by overload reports (RFC 7683) or 3004
    TOO_MANY_PENDING = "too many pending"  # our own bound
    MALFORMED_ANSWER = "malformed answer"  # a DEA came, and cannot be read


class NoAnswer(Struct, gc=False):
    """No DEA will come.

    Attributes:
        request_raw: the DER as last sent; empty when it never left.
        elsewhere: the conversation's AAA does not answer, and another one could have a new one.
    """

    reason: NoAnswerReason
    request_raw: bytes = b""
    elsewhere: bool = False

    def __repr__(self) -> str:
        """Without the request, which names a subscriber."""
        return f"NoAnswer({self.reason.name})"


EapOutcome = EapAnswer | NoAnswer


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """RAR or ASR of the AAA.

    Attributes:
        command: 258 RAR or 274 ASR.
        session_id: of the Diameter session it is about.
        origin_host: who asks.
        user_name: empty when absent.
    """

    command: int
    session_id: bytes
    origin_host: bytes
    user_name: bytes = b""

    def __repr__(self) -> str:
        """Without the user."""
        return f"ServerRequest(command={self.command}, session_id={self.session_id!r})"
