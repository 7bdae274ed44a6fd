"""Builders of every message that the node or the lab's AAA sends. They return whole messages.

Source: RFC 6733 §5.3-5.5 (base), §7.2 (errors), §8.3-8.5 (sessions); 3GPP TS 29.273 §7.2.2 (SWm).
The DER of the hot path has a template of its own (`der_template.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Avps, Message
from protocols.diameter.encoding import (
    GroupMember,
    encode_avp,
    encode_avps,
    encode_message,
    encode_octets,
    encode_u32,
)

BASE_REQUEST: Final = numbers.FLAG_REQUEST
APPLICATION_REQUEST: Final = numbers.FLAG_REQUEST | numbers.FLAG_PROXIABLE


@dataclass(frozen=True, slots=True)
class Origin:
    """Who we are; its two AVPs are encoded once.

    Attributes:
        state_id: Origin-State-Id, grows with each restart: seconds of the epoch.
    """

    host: str
    realm: str
    state_id: int = 0
    encoded: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Encode Origin-Host and Origin-Realm."""
        encoded = encode_avps(((d.ORIGIN_HOST, self.host), (d.ORIGIN_REALM, self.realm)))
        object.__setattr__(self, "encoded", encoded)


@dataclass(frozen=True, slots=True)
class Offer:
    """What our CER and CEA say besides the origin.

    Attributes:
        addresses: Host-IP-Address, as text, at least one.
        applications: authentication application ids.
        plain_form: send them as Auth-Application-Id.
        vendor_specific_form: send them inside Vendor-Specific-Application-Id (3GPP's).
    """

    addresses: tuple[str, ...]
    applications: tuple[int, ...] = (numbers.SWM, numbers.SWA)
    product_name: str = "entitlement-node"
    vendor_id: int = d.VENDOR_3GPP
    supported_vendors: tuple[int, ...] = (d.VENDOR_3GPP,)
    plain_form: bool = True
    vendor_specific_form: bool = True


def _offered(origin: Origin, offer: Offer) -> bytes:
    members: list[GroupMember] = [(d.HOST_IP_ADDRESS, address) for address in offer.addresses]
    members += [
        (d.VENDOR_ID, offer.vendor_id),
        (d.PRODUCT_NAME, offer.product_name),
        (d.ORIGIN_STATE_ID, origin.state_id),
    ]
    members += [(d.SUPPORTED_VENDOR_ID, vendor) for vendor in offer.supported_vendors]
    for application in offer.applications:
        # The relay id is nobody's: RFC 6733 §2.4 has it in the plain form only.
        if offer.plain_form or application == numbers.RELAY:
            members.append((d.AUTH_APPLICATION_ID, application))
        if offer.vendor_specific_form and application != numbers.RELAY:
            ids = ((d.VENDOR_ID, d.VENDOR_3GPP), (d.AUTH_APPLICATION_ID, application))
            members.append((d.VENDOR_SPECIFIC_APPLICATION_ID, ids))
    return encode_avps(members)


def build_cer(origin: Origin, offer: Offer, hop_by_hop: int, end_to_end: int) -> bytes:
    """Capabilities-Exchange-Request (RFC 6733 §5.3.1)."""
    body = origin.encoded + _offered(origin, offer)
    return encode_message(
        BASE_REQUEST, numbers.CAPABILITIES_EXCHANGE, numbers.BASE, hop_by_hop, end_to_end, body
    )


def build_cea(
    cer: Message, origin: Origin, offer: Offer, result_code: int, failed_avp: bytes = b""
) -> bytes:
    """Capabilities-Exchange-Answer (RFC 6733 §5.3.2).

    Args:
        failed_avp: the AVP to blame, encoded.
    """
    body = encode_u32(d.RESULT_CODE, result_code) + origin.encoded + _offered(origin, offer)
    if failed_avp:
        body += encode_avp(d.FAILED_AVP, failed_avp)
    return _answer(cer, result_code, body)


def build_dwr(origin: Origin, hop_by_hop: int, end_to_end: int) -> bytes:
    """Device-Watchdog-Request (RFC 6733 §5.5.1)."""
    body = origin.encoded + encode_u32(d.ORIGIN_STATE_ID, origin.state_id)
    return encode_message(
        BASE_REQUEST, numbers.DEVICE_WATCHDOG, numbers.BASE, hop_by_hop, end_to_end, body
    )


def build_dwa(dwr: Message, origin: Origin) -> bytes:
    """Device-Watchdog-Answer (RFC 6733 §5.5.2)."""
    result = encode_u32(d.RESULT_CODE, numbers.SUCCESS)
    state = encode_u32(d.ORIGIN_STATE_ID, origin.state_id)
    return _answer(dwr, numbers.SUCCESS, result + origin.encoded + state)


def build_dpr(origin: Origin, cause: int, hop_by_hop: int, end_to_end: int) -> bytes:
    """Disconnect-Peer-Request (RFC 6733 §5.4.1)."""
    body = origin.encoded + encode_u32(d.DISCONNECT_CAUSE, cause)
    return encode_message(
        BASE_REQUEST, numbers.DISCONNECT_PEER, numbers.BASE, hop_by_hop, end_to_end, body
    )


def build_dpa(dpr: Message, origin: Origin) -> bytes:
    """Disconnect-Peer-Answer (RFC 6733 §5.4.2)."""
    result = encode_u32(d.RESULT_CODE, numbers.SUCCESS)
    return _answer(dpr, numbers.SUCCESS, result + origin.encoded)


@dataclass(frozen=True, slots=True)
class SessionAddress:
    """Which session a request is about, and where it goes. Octets as on the wire.

    Attributes:
        application: of the header and of Auth-Application-Id.
        destination_host: empty leaves it out.
        user_name: empty leaves it out.
    """

    application: int
    session_id: bytes
    destination_realm: bytes
    destination_host: bytes = b""
    user_name: bytes = b""


def build_str(
    origin: Origin, to: SessionAddress, cause: int, hop_by_hop: int, end_to_end: int
) -> bytes:
    """Session-Termination-Request (RFC 6733 §8.4.1, TS 29.273 §7.2.2.3)."""
    own = encode_u32(d.TERMINATION_CAUSE, cause)
    return _session_request(numbers.SESSION_TERMINATION, origin, to, own, hop_by_hop, end_to_end)


def build_rar(
    origin: Origin, to: SessionAddress, re_auth_type: int, hop_by_hop: int, end_to_end: int
) -> bytes:
    """Re-Auth-Request (RFC 6733 §8.3.1), as an AAA sends it."""
    own = encode_u32(d.RE_AUTH_REQUEST_TYPE, re_auth_type)
    return _session_request(numbers.RE_AUTH, origin, to, own, hop_by_hop, end_to_end)


def build_asr(origin: Origin, to: SessionAddress, hop_by_hop: int, end_to_end: int) -> bytes:
    """Abort-Session-Request (RFC 6733 §8.5.1), as an AAA sends it."""
    return _session_request(numbers.ABORT_SESSION, origin, to, b"", hop_by_hop, end_to_end)


def _session_request(
    command: int, origin: Origin, to: SessionAddress, own: bytes, hop_by_hop: int, end_to_end: int
) -> bytes:
    body = b"".join(
        (
            encode_octets(d.SESSION_ID, to.session_id),
            origin.encoded,
            encode_octets(d.DESTINATION_REALM, to.destination_realm),
            encode_octets(d.DESTINATION_HOST, to.destination_host) if to.destination_host else b"",
            encode_u32(d.AUTH_APPLICATION_ID, to.application),
            own,
            encode_octets(d.USER_NAME, to.user_name) if to.user_name else b"",
        )
    )
    return encode_message(
        APPLICATION_REQUEST, command, to.application, hop_by_hop, end_to_end, body
    )


def build_eap_answer(
    request: Message,
    origin: Origin,
    code: int,
    members: Sequence[GroupMember] = (),
    *,
    vendor: int = 0,
) -> bytes:
    """Diameter-EAP-Answer (RFC 4072 §3.2, TS 29.273 §7.2.2.1.2).

    Args:
        code: Result-Code, or with a `vendor` an Experimental-Result-Code.
        members: EAP-Payload, State and the rest, in the order to send them.
    """
    auth_request_type = request.octets(d.AUTH_REQUEST_TYPE)
    body = b"".join(
        (
            encode_u32(d.AUTH_APPLICATION_ID, request.application),
            encode_octets(d.AUTH_REQUEST_TYPE, auth_request_type) if auth_request_type else b"",
            encode_result(code, vendor),
            origin.encoded,
            encode_avps(members),
        )
    )
    return _answer(request, code if not vendor else 0, body)


def build_answer(
    request: Message,
    origin: Origin,
    code: int,
    members: Sequence[GroupMember] = (),
    *,
    vendor: int = 0,
) -> bytes:
    """RAA, ASA, STA or another answer: result, origin, then `members`."""
    body = encode_result(code, vendor) + origin.encoded + encode_avps(members)
    return _answer(request, code if not vendor else 0, body)


def build_error(
    request: Message, origin: Origin, code: int, text: str = "", failed_avp: bytes = b""
) -> bytes:
    """An answer that refuses a request; the E bit goes with 3xxx codes (RFC 6733 §7.1.3, §7.2).

    Args:
        text: Error-Message, for people.
        failed_avp: the AVP to blame, encoded.
    """
    body = origin.encoded + encode_u32(d.RESULT_CODE, code)
    if text:
        body += encode_avp(d.ERROR_MESSAGE, text)
    if failed_avp:
        body += encode_avp(d.FAILED_AVP, failed_avp)
    return _answer(request, code, body)


def encode_result(code: int, vendor: int = 0) -> bytes:
    """Result-Code, or Experimental-Result when a vendor is given (RFC 6733 §7.6)."""
    if not vendor:
        return encode_u32(d.RESULT_CODE, code)
    return encode_avp(
        d.EXPERIMENTAL_RESULT, ((d.VENDOR_ID, vendor), (d.EXPERIMENTAL_RESULT_CODE, code))
    )


def _answer(request: Message, code: int, body: bytes) -> bytes:
    """An answer around `body`: same identifiers, P bit, Session-Id and Proxy-Info (§6.2)."""
    flags = request.flags & numbers.FLAG_PROXIABLE
    if 3000 <= code < 4000:
        flags |= numbers.FLAG_ERROR
    session_id = request.octets(d.SESSION_ID)
    if session_id is not None:
        body = encode_octets(d.SESSION_ID, session_id) + body
    if d.PROXY_INFO in request:
        body += b"".join([encode_octets(d.PROXY_INFO, data) for data in request.all(d.PROXY_INFO)])
    return encode_message(
        flags,
        request.command,
        request.application,
        request.hop_by_hop,
        request.end_to_end,
        body,
    )


# --- what answers say ---------------------------------------------------------------------------


def result_of(answer: Avps) -> tuple[int, int]:
    """(vendor, code) of an answer; (0, 0) when it has neither kind of result.

    An Experimental-Result wins over a Result-Code beside it: SWa sends both (TS 29.273 §4.2.2).

    Raises:
        DecodeError: the result cannot be read.
    """
    if d.EXPERIMENTAL_RESULT in answer:
        group = answer.group(d.EXPERIMENTAL_RESULT)
        if group is not None:
            code = group.u32(d.EXPERIMENTAL_RESULT_CODE)
            if code is not None:
                return group.u32(d.VENDOR_ID) or 0, code
    return 0, answer.u32(d.RESULT_CODE) or 0


def msisdn_of(answer: Avps) -> bytes:
    """Subscription-Id-Data of the END_USER_E164 Subscription-Id; empty when there is none.

    Raises:
        DecodeError: a Subscription-Id cannot be read.
    """
    for group in answer.groups(d.SUBSCRIPTION_ID):
        if group.u32(d.SUBSCRIPTION_ID_TYPE) == numbers.END_USER_E164:
            return group.octets(d.SUBSCRIPTION_ID_DATA) or b""
    return b""
