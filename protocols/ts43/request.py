"""A TS.43 request, by GET or POST, and the EAP answer of the relay (GSMA TS.43 v12 §2.3-2.5, §2.8.1).

`parse_request` needs no tenant. Once the tenant is known, `Ts43Request.check_version` applies its
version rules. Cost: 8 us for a GET with 12 parameters, 3 us for an EAP answer (measured).
"""

import binascii
from collections.abc import Sequence
from typing import Final, Protocol

from protocols.http.message import HttpRequest
from protocols.identity import Imsi, Nai
from protocols.ts43.applications import application_ids
from protocols.ts43.cookies import SESSION_COOKIE, find_all
from protocols.ts43.negotiation import DocumentFormat, Offer, accepts_gzip, offer
from protocols.ts43.parameters import json_object, object_parameters, split_query
from protocols.ts43.request_error import Fault, RequestError

EAP_RELAY_KEY: Final = "eap-relay-packet"
MIN_EAP_OCTETS: Final = 4  # RFC 3748 §4: code, identifier, length
MAX_BOOST_TYPE: Final = 255  # §9.1.2: one octet of TS 24.526
MAX_IDENTIFIER_CHARACTERS: Final = 128  # terminal_id, app_name: both go into the session cookie
LENIENT_VERSION: Final = (2, 0)  # what Android's library sends by default

_WANTED_FIELDS: Final = frozenset(
    {b"accept", b"accept-language", b"accept-encoding", b"user-agent", b"content-type"}
)
# Single-word spelling of each operation; texts compare without case (§1.7).
_OPERATIONS: Final = {
    name.lower(): name
    for name in (
        "CheckEligibility",
        "ManageSubscription",
        "ManageService",
        "AcquireConfiguration",
        "AcquirePlan",
        "AcquireTemporaryToken",
        "GetPhoneNumber",
        "VerifyPhoneNumber",
        "GetSubscriberInfo",
        "AcquireOperatorToken",
        "ValidateOperatorToken",
        "GetSubscriberDeviceInfo",
        "Get3PAppInfo",
    )
}


class VersionRules(Protocol):
    """Which protocol versions a tenant serves: [tenants.versions] of the configuration."""

    @property
    def first(self) -> int:
        """The lowest major version."""
        ...

    @property
    def last(self) -> int:
        """The highest major version."""
        ...

    @property
    def lenient(self) -> bool:
        """Whether a missing entitlement_version is taken as 2.0."""
        ...


class _Parameter:
    """Reads a parameter that few requests are asked about; empty when it was not sent."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, request: "Ts43Request", kind: type) -> str:
        return request.params.get(self._name, "")


class Ts43Request:
    """What a device asks for.

    Texts that were not sent are empty; numbers are None.

    Attributes:
        params: every parameter by its lower-case name, unknown ones too.
        apps: known application ids, each once, in the order of the request; never empty.
        terminal_id: IMEI or UUID; empty only when `requestor_id` was sent (§2.3).
        entitlement_version: (major, minor); (0, 0) when it was not sent.
        vers: version of the document the client holds; 0 when it has none.
        token, imsi, eap_id: what authenticates; `eap_id` exactly as sent.
        app_name: with terminal_id and app, the key of a token (§2.8.5).
        operation: in the spelling of TS.43 when it is one of its operations, else as sent.
        boost_type: 0 to 255 (§9.7).
        notif_action: 0 to 4, or -1 for anything else that was sent (§2.3).
        notif_token: of the push service.
        document_format: of the final document as far as Accept decides it.
        takes_both_formats: Accept allows XML and JSON, so the tenant's preference counts.
        accepts_eap_relay: the client says that it can relay EAP-AKA.
        accepts_gzip: the response may be compressed.
        accept_language, user_agent: the fields as sent.
    """

    __slots__ = (
        "accept_language",
        "accepts_eap_relay",
        "accepts_gzip",
        "app_name",
        "apps",
        "boost_type",
        "document_format",
        "eap_id",
        "entitlement_version",
        "imsi",
        "notif_action",
        "notif_token",
        "operation",
        "params",
        "takes_both_formats",
        "terminal_id",
        "token",
        "user_agent",
        "vers",
    )

    access_token = _Parameter("access_token")
    app_version = _Parameter("app_version")
    gid1 = _Parameter("gid1")
    gid2 = _Parameter("gid2")
    msisdn = _Parameter("msisdn")
    otp = _Parameter("otp")
    requestor_id = _Parameter("requestor_id")
    temporary_token = _Parameter("temporary_token")
    terminal_model = _Parameter("terminal_model")
    terminal_sw_version = _Parameter("terminal_sw_version")
    terminal_vendor = _Parameter("terminal_vendor")

    def __init__(self, params: dict[str, str], headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Read and check.

        Args:
            params: by lower-case name; kept.
            headers: of the HTTP request.

        Raises:
            RequestError: a required parameter is missing, or one is malformed.
        """
        get = params.get
        self.params = params
        self.apps = _apps(get("app"))
        self.terminal_id = _terminal_id(params)
        self.entitlement_version = _version(get("entitlement_version"))
        self.vers = _integer(get("vers", ""))
        self.token = get("token", "")
        imsi = get("imsi", "")
        self.imsi = _imsi(imsi) if imsi else ""
        eap_id = get("eap_id", "")
        self.eap_id = _eap_id(eap_id) if eap_id else ""
        app_name = get("app_name", "")
        self.app_name = _app_name(app_name) if app_name else ""
        operation = get("operation", "")
        self.operation = _OPERATIONS.get(operation.lower(), operation) if operation else ""
        boost_type = get("boost_type")
        self.boost_type = None if boost_type is None else _boost_type(boost_type)
        notif_action = get("notif_action")
        self.notif_action = None if notif_action is None else _notif_action(notif_action)
        self.notif_token = get("notif_token", "")
        fields = _fields(headers)
        accept = offer(fields.get(b"accept", b""))
        self.document_format = accept.document_format
        self.takes_both_formats = accept.both
        self.accepts_eap_relay = accept.eap_relay
        self.accepts_gzip = accepts_gzip(fields.get(b"accept-encoding", b""))
        self.accept_language = fields.get(b"accept-language", b"").decode("latin-1")
        self.user_agent = fields.get(b"user-agent", b"").decode("latin-1")

    def __repr__(self) -> str:
        # No parameter that identifies or authenticates anybody.
        major, minor = self.entitlement_version
        return f"<Ts43Request {','.join(self.apps)} version={major}.{minor}>"

    def check_version(self, rules: VersionRules) -> None:
        """Apply a tenant's version rules (§2.5); an unknown minor version counts as its major.

        Raises:
            RequestError: NO_VERSION (400) or VERSION (406).
        """
        if self.entitlement_version == (0, 0):
            if "entitlement_version" not in self.params:
                if not rules.lenient:
                    raise RequestError(Fault.NO_VERSION)
                self.entitlement_version = LENIENT_VERSION
                return
        if not rules.first <= self.entitlement_version[0] <= rules.last:
            raise RequestError(Fault.VERSION)

    def format_for(self, prefer_json: bool) -> DocumentFormat:
        """The form of the final document, where the tenant prefers JSON or XML."""
        return _preferred(self, prefer_json)


class EapRelayAnswer:
    """An EAP packet from the device; which exchange it belongs to, only its cookie says.

    Attributes:
        session_cookies: values of the session cookie, in the order sent; empty when there is none.
        packet: the EAP packet, at least its header.
        document_format, takes_both_formats, accept_language, accepts_gzip: as in `Ts43Request`.
    """

    __slots__ = (
        "accept_language",
        "accepts_gzip",
        "document_format",
        "packet",
        "session_cookies",
        "takes_both_formats",
    )

    def __init__(self, packet: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
        fields = _fields(headers)
        accept: Offer = offer(fields.get(b"accept", b""))
        self.packet = packet
        self.session_cookies = find_all(headers, SESSION_COOKIE)
        self.document_format = accept.document_format
        self.takes_both_formats = accept.both
        self.accept_language = fields.get(b"accept-language", b"").decode("latin-1")
        self.accepts_gzip = accepts_gzip(fields.get(b"accept-encoding", b""))

    def __repr__(self) -> str:
        # Neither the cookie nor the packet: RES and MAC are in it.
        return f"<EapRelayAnswer {len(self.packet)} octets>"

    def format_for(self, prefer_json: bool) -> DocumentFormat:
        """The form of the final document, where the tenant prefers JSON or XML."""
        return _preferred(self, prefer_json)


def parse_request(http: HttpRequest) -> Ts43Request | EapRelayAnswer:
    """Read a request of a device. The path does not matter.

    Raises:
        RequestError: with status and text for the device.
    """
    if http.method == b"GET":
        query = http.target.partition(b"?")[2].decode("utf-8", "replace")
        return Ts43Request(split_query(query), http.headers)
    if http.method != b"POST":
        raise RequestError(Fault.METHOD)
    given = json_object(http.body)
    # The key decides, not the Content-Type: some clients send the packet as application/json.
    if EAP_RELAY_KEY in given:
        return EapRelayAnswer(eap_packet(given[EAP_RELAY_KEY]), http.headers)
    if "app" not in given and b"eap-relay" in (http.header(b"content-type") or b""):
        raise RequestError(Fault.NO_PACKET)
    return Ts43Request(object_parameters(given), http.headers)


def eap_packet(text: object) -> bytes:
    """Decode the base64 of an EAP packet; line ends in it and missing padding are forgiven.

    Raises:
        RequestError: BAD_PACKET.
    """
    if not isinstance(text, str):
        raise RequestError(Fault.BAD_PACKET)
    try:
        packet = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        packet = _forgiving_base64(text)
    if len(packet) < MIN_EAP_OCTETS:
        raise RequestError(Fault.BAD_PACKET)
    return packet


def _forgiving_base64(text: str) -> bytes:
    compact = "".join(text.split()).rstrip("=")
    try:
        return binascii.a2b_base64(compact + "=" * (-len(compact) % 4), strict_mode=True)
    except ValueError:
        raise RequestError(Fault.BAD_PACKET) from None


def _preferred(message: Ts43Request | EapRelayAnswer, prefer_json: bool) -> DocumentFormat:
    if prefer_json and message.takes_both_formats:
        return DocumentFormat.JSON
    return message.document_format


def _fields(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _WANTED_FIELDS:
            fields[name] = fields[name] + b"," + value if name in fields else value
    return fields


def _apps(text: str | None) -> tuple[str, ...]:
    if not text:
        raise RequestError(Fault.NO_APP)
    apps = application_ids(text)
    if not apps:
        # Ours: TS.43 leaves it open what a request for nothing we know gets.
        raise RequestError(Fault.UNKNOWN_APP)
    return apps


def _terminal_id(params: dict[str, str]) -> str:
    terminal_id = params.get("terminal_id", "").strip()
    if terminal_id:
        if not _is_plain(terminal_id):
            raise RequestError(Fault.BAD_TERMINAL_ID)
    elif not params.get("requestor_id"):
        raise RequestError(Fault.NO_TERMINAL_ID)
    return terminal_id


def _is_plain(text: str) -> bool:
    return len(text) <= MAX_IDENTIFIER_CHARACTERS and text.isascii() and text.isprintable()


def _version(text: str | None) -> tuple[int, int]:
    """§2.3: `1*DIGIT.1*DIGIT`. Ours: a lone major version is accepted, as a JSON number may be."""
    if text is None:
        return (0, 0)
    major, point, minor = text.strip().partition(".")
    if not point:
        minor = "0"
    if len(text) > 16 or not (text.isascii() and major.isdigit() and minor.isdigit()):
        raise RequestError(Fault.BAD_VERSION)
    return (int(major), int(minor))


def _integer(text: str) -> int:
    """`vers`: ours is lenient, because nothing is decided on it."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else 0


def _imsi(text: str) -> str:
    try:
        return Imsi(text.strip())
    except ValueError:
        raise RequestError(Fault.BAD_IMSI) from None


def _eap_id(text: str) -> str:
    try:
        return Nai(text)
    except ValueError:
        raise RequestError(Fault.BAD_EAP_ID) from None


def _app_name(text: str) -> str:
    if len(text) > MAX_IDENTIFIER_CHARACTERS or not text.isprintable():
        raise RequestError(Fault.BAD_APP_NAME)
    return text


def _boost_type(text: str) -> int:
    digits = text.strip()
    if digits.isascii() and digits.isdigit() and len(digits) <= 3 and int(digits) <= MAX_BOOST_TYPE:
        return int(digits)
    raise RequestError(Fault.BAD_BOOST_TYPE)


def _notif_action(text: str) -> int:
    """Not a reason to refuse the rest of the request: RegisterNotifStatus tells (§2.9.5)."""
    text = text.strip()
    return int(text) if len(text) == 1 and text in "01234" else -1
