"""What a single value may be, beyond its type: one table, (section, field) to a rule.

A rule returns what is wrong, or None. For a list it is asked for each item. Rules that need two
values are in `config/checks.py`.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from config.model import (
    Authentication,
    Certificate,
    DataBoost,
    DeviceListener,
    Diameter,
    DiameterPeer,
    Logging,
    Management,
    Node,
    Odsa,
    Orders,
    Overload,
    Partner,
    PhoneNumber,
    Section,
    Sessions,
    SmdpPlus,
    Store,
    Tenant,
    Tokens,
    UserInput,
    Versions,
    Voice,
    VoWifi,
)

Rule = Callable[[Any], str | None]

_LABEL: Final = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_SLUG: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_LISTEN: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:]+):([0-9]{1,5})")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW: Final = re.compile(
    rf"((?P<day>{'|'.join(_WEEKDAYS)}) +)?"
    r"(?P<from_hour>[01][0-9]|2[0-3]):(?P<from_minute>[0-5][0-9])-"
    r"(?P<to_hour>[01][0-9]|2[0-3]):(?P<to_minute>[0-5][0-9])"
)
# Of actors/backends: a test compares.
SMDP_PLUS_DRIVERS: Final = ("standard", "idemia", "monogoto", "china-mobile-international")
PROFILE_EVENTS: Final = (
    "eligibility", "cc_fail", "downloaded", "installed",
    "enabled", "disabled", "deleted", "unknown",
)  # fmt: skip
COOKIE_KEY_OCTETS: Final = 32  # AES-256


def _matches(pattern: re.Pattern[str], text: str) -> Rule:
    return lambda value: None if pattern.fullmatch(value) else text


def _one_of(*allowed: object) -> Rule:
    text = ", ".join(str(value) for value in allowed)
    return lambda value: None if value in allowed else f"must be one of {text}"


def _between(low: float, high: float) -> Rule:
    return lambda value: None if low <= value <= high else f"must be from {low:g} to {high:g}"


def _optional(rule: Rule) -> Rule:
    return lambda value: rule(value) if value not in ("", None) else None


def _above_zero(value: float) -> str | None:
    return None if 0 < value < float("inf") else "must be more than zero"


def _host(value: str) -> str | None:
    if len(value) <= 253 and _HOST.fullmatch(value.lower()):
        return None
    return "a host name is letters, digits, - and ."


def _listen(value: str) -> str | None:
    match = _LISTEN.fullmatch(value)
    if match is None:
        return 'an address is "host:port" or "[IPv6]:port"'
    return None if int(match[2]) <= 65_535 else "a port is from 0 to 65535"


def _plmn(value: str) -> str | None:
    digits = value.replace("/", "").replace("-", "")
    if 5 <= len(digits) <= 6 and digits.isascii() and digits.isdigit():
        return None
    return "a PLMN is five or six digits"


def split_range(value: str) -> tuple[str, str]:
    """The first and the last IMSI of `first-last`.

    Raises:
        ValueError: with what is wrong.
    """
    first, dash, last = value.partition("-")
    for imsi in (first, last):
        if not (dash and 6 <= len(imsi) <= 15 and imsi.isascii() and imsi.isdigit()):
            raise ValueError('a range is two IMSIs, such as "001010000000001-001010000999999"')
    if len(first) != len(last):
        raise ValueError("both ends of a range have the same number of digits")
    if first > last:
        raise ValueError("the first IMSI of a range is above the last")
    return first, last


def _imsi_range(value: str) -> str | None:
    try:
        split_range(value)
    except ValueError as error:
        return str(error)
    return None


def _gid1(value: str) -> str | None:
    if value and len(value) % 2 == 0 and re.fullmatch(r"[0-9a-fA-F]+", value):
        return None
    return "a GID1 is whole octets in hexadecimal, such as A1"


def _path(value: str) -> str | None:
    if value.startswith("/") and value.isascii() and value.isprintable() and " " not in value:
        return None if "?" not in value and "#" not in value else "a path has no ? and no #"
    return "a path begins with /"


def _conninfo(value: str) -> str | None:
    # It is read by libpq; this catches a path or a host name alone. It may hold a password.
    if value.startswith(("postgresql://", "postgres://")) or re.match(r"\s*\w+\s*=", value):
        return None
    return "a connection string is like host=db.example dbname=entitlement user=node"


def _https(value: str) -> str | None:
    return None if value.startswith("https://") and " " not in value else "must be an https:// URL"


def _cookie_key(value: str) -> str | None:
    try:
        key = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) == COOKIE_KEY_OCTETS:
        return None
    return f"a cookie key is {COOKIE_KEY_OCTETS} octets in base64url (43 characters)"


def _worker_suffix(value: str) -> str | None:
    if value.count("{}") == 1 and re.fullmatch(r"[a-z0-9-]{0,16}", value.replace("{}", "1")):
        return None if not value.endswith("-") else "a label of a host name does not end with -"
    return "is letters, digits and -, with {} for the number of the worker, such as -{}"


def _weights(value: dict[str, float]) -> str | None:
    for tenant, weight in value.items():
        if not 0 < weight < float("inf"):
            return f"{tenant}: a weight is more than zero"
    return None


def _messages(value: dict[str, dict[str, str]]) -> str | None:
    for name, texts in value.items():
        for language, text in texts.items():
            if not _LANGUAGE.fullmatch(language):
                return f'{name}: "{language}" is not a language, such as en or fr-CA'
            if not text.strip():
                return f"{name}.{language}: the text is empty"
    return None


def _peer_url(value: str) -> str | None:
    match = re.fullmatch(r"https?://(\[[0-9a-fA-F:.]+\]|[^\[\]:/@?#]+)(:[0-9]{1,5})?/?", value)
    if match is None:
        return "must be https://host or https://host:port, without a path"
    if match[2] and not 0 < int(match[2][1:]) <= 65_535:
        return "a port is from 1 to 65535"
    return None if match[1].startswith("[") else _host(match[1])


def _prefix(value: str) -> str | None:
    if value.endswith("/"):
        return "a prefix does not end with /"
    return _path(value) if value else None


def split_window(value: str) -> tuple[int | None, int, int]:
    """(weekday 0 to 6 from Monday, or None for each day; first minute of the day; last minute).

    A window whose end is before its begin reaches into the next day; it belongs to the day on
    which it begins.

    Raises:
        ValueError: with what is wrong.
    """
    match = _WINDOW.fullmatch(value.strip().lower())
    if match is None:
        raise ValueError('a window is "02:00-04:00" or "sun 22:00-02:00", in UTC')
    begin = int(match["from_hour"]) * 60 + int(match["from_minute"])
    end = int(match["to_hour"]) * 60 + int(match["to_minute"])
    if begin == end:
        raise ValueError("a window does not end when it begins")
    return _WEEKDAYS.index(match["day"]) if match["day"] else None, begin, end


def _window(value: str) -> str | None:
    try:
        split_window(value)
    except ValueError as error:
        return str(error)
    return None


def _points(value: dict[str, str]) -> str | None:
    for point, event in value.items():
        if event not in PROFILE_EVENTS:
            return f'{point}: "{event}" is none of {", ".join(PROFILE_EVENTS)}'
    return None


def _pattern(value: str) -> str | None:
    try:
        re.compile(value)
    except re.error as error:
        return f"is not a regular expression: {error}"
    return None


_COUNT: Final = _between(1, 10_000_000)
_SLUG_RULE: Final = _matches(_SLUG, "must be 1 to 32 lower-case letters, digits and -")
_NAMED: Final = _matches(re.compile(r".+"), "must not be empty")

RULES: Final[Mapping[tuple[type[Section], str], Rule]] = {
    (Certificate, "chain"): _NAMED,
    (Certificate, "key"): _NAMED,
    (Certificate, "hosts"): _host,
    (DeviceListener, "listen"): _listen,
    (DeviceListener, "backlog"): _between(1, 65_535),
    (DeviceListener, "max_connections"): _COUNT,
    (DeviceListener, "max_handshakes"): _COUNT,
    (DeviceListener, "handshake_seconds"): _above_zero,
    (DeviceListener, "idle_seconds"): _above_zero,
    (DeviceListener, "request_seconds"): _above_zero,
    (DeviceListener, "max_streams"): _between(1, 1_000),
    (DeviceListener, "max_header_octets"): _between(1_024, 1_048_576),
    # 65,535 is the initial window of HTTP/2 (RFC 9113 §6.9.2), which is never enlarged.
    (DeviceListener, "max_body_octets"): _between(1_024, 65_535),
    (DeviceListener, "max_queued_octets"): _between(16_384, 67_108_864),
    (DeviceListener, "paths"): _path,
    (DeviceListener, "gzip_from_octets"): _between(0, 10_000_000),
    (Management, "listen"): _listen,
    (Store, "path"): _NAMED,
    (Store, "queue_bound"): _COUNT,
    (Store, "busy_seconds"): _between(0.1, 30),
    (Store, "postgres"): _optional(_conninfo),
    (Store, "postgres_owner"): _optional(_conninfo),
    (Store, "connect_seconds"): _between(0.1, 30),
    (Store, "statement_seconds"): _between(0.1, 30),
    (Store, "answer_seconds"): _between(0.1, 30),
    (Store, "cache_entries"): _between(0, 10_000_000),
    (Store, "cache_seconds"): _between(0, 3_600),
    (Store, "stale_seconds"): _between(0, 604_800),
    (DiameterPeer, "host"): _host,
    (DiameterPeer, "address"): _NAMED,
    (DiameterPeer, "port"): _between(1, 65_535),
    (DiameterPeer, "transport"): _one_of("tcp", "tls"),
    (DiameterPeer, "realms"): _host,
    (DiameterPeer, "priority"): _between(0, 65_535),
    (DiameterPeer, "weight"): _between(1, 65_535),
    (Diameter, "origin_host"): _host,
    (Diameter, "origin_realm"): _host,
    (Diameter, "connect_seconds"): _above_zero,
    (Diameter, "capabilities_seconds"): _above_zero,
    # RFC 3539 §3.4.1: "MUST NOT be set lower than 6 seconds".
    (Diameter, "watchdog_seconds"): _between(6, 3_600),
    (Diameter, "reconnect_seconds"): _above_zero,
    (Diameter, "first_reconnect_seconds"): _above_zero,
    (Diameter, "disconnect_seconds"): _above_zero,
    (Diameter, "answer_seconds"): _above_zero,
    (Diameter, "exchange_seconds"): _above_zero,
    (Diameter, "max_pending"): _COUNT,
    (Diameter, "max_message_octets"): _between(4_096, 16_777_215),  # the length field has 24 bits
    (Sessions, "challenge_seconds"): _above_zero,
    (Sessions, "finished_seconds"): _above_zero,
    (Sessions, "capacity"): _COUNT,
    (Sessions, "mailbox_bound"): _COUNT,
    (Sessions, "max_challenges"): _between(1, 20),
    (Sessions, "max_resynchronisations"): _between(0, 20),
    (Sessions, "max_requests_per_device"): _COUNT,
    (Sessions, "answer_seconds"): _above_zero,
    (Sessions, "retry_after_seconds"): _between(1, 86_400),
    (Overload, "delay_seconds"): _between(0.005, 1),
    (Overload, "aaa_delay_seconds"): _above_zero,
    (Overload, "aaa_least_in_flight"): _COUNT,
    (Overload, "ramp_start"): _between(1, 100_000),
    (Overload, "authentications_per_device"): _between(0, 1_000_000),
    (Overload, "retry_after_least"): _between(1, 86_400),
    (Overload, "retry_after_most"): _between(1, 86_400),
    (Overload, "tenant_weights"): _weights,
    (Orders, "poll_minutes"): _between(0, 1_440),
    (Orders, "max_polls"): _COUNT,
    (Orders, "call_seconds"): _above_zero,
    (Orders, "user_seconds"): _COUNT,
    (Orders, "order_seconds"): _COUNT,
    (Orders, "reservation_seconds"): _COUNT,
    (Orders, "download_seconds"): _COUNT,
    (Orders, "install_seconds"): _COUNT,
    (Orders, "bss_callback_seconds"): _COUNT,
    (Orders, "first_retry_seconds"): _COUNT,
    (Orders, "longest_retry_seconds"): _COUNT,
    (Orders, "profiles_per_order"): _between(1, 20),
    (Orders, "swap_at"): _one_of("install", "release"),
    (Orders, "recovery"): _one_of("reuse", "new"),
    (Orders, "recovery_after_seconds"): _between(0, 10_000_000),
    (Orders, "failed_profile"): _one_of("burn", "reuse"),
    (Orders, "temporary_token_seconds"): _between(10, 86_400),
    (Orders, "low_water"): _between(0, 10_000_000),
    (Orders, "parallel"): _between(1, 10_000),
    (Orders, "lease_seconds"): _between(1, 86_400),
    (Orders, "look_seconds"): _between(0.05, 60),
    (Authentication, "application"): _one_of("swm", "swa"),
    (Authentication, "destination_realm"): _optional(_host),
    # RFC 6733 §8.7 has 1, 2 and 3; without authentication (2) there is no EAP.
    (Authentication, "auth_request_type"): _one_of(1, 3),
    (Authentication, "rat_type"): _optional(_between(0, 2**31 - 1)),
    (Tokens, "validity_seconds"): _between(60, 315_360_000),
    (Tokens, "grace_seconds"): _between(0, 86_400),
    (Versions, "first"): _between(1, 99),
    (Versions, "last"): _between(1, 99),
    (Versions, "validity_seconds"): _between(60, 315_360_000),
    (Versions, "barred"): _one_of(0, -1, -2),  # TS.43 §2.9
    (VoWifi, "service_flow_url"): _optional(_https),
    (DataBoost, "service_flow_url"): _optional(_https),
    (DataBoost, "service_flow_contents_type"): _optional(_one_of("json", "xml")),  # table 83
    (Voice, "irat_5g"): _optional(_NAMED),
    (Tenant, "id"): _SLUG_RULE,
    (Tenant, "plmns"): _plmn,
    (Tenant, "hosts"): _host,
    (Tenant, "imsi_ranges"): _imsi_range,
    (Tenant, "gid1"): _gid1,
    (Tenant, "paths"): _path,
    (Tenant, "default_language"): _matches(_LANGUAGE, "must be a language, such as en or fr-CA"),
    # No less than a person needs to see the page after a phone has asked for it.
    (Tenant, "web_sheet_seconds"): _between(60, 86_400),
    (Tenant, "messages"): _messages,
    (Odsa, "companion_services"): _one_of("SharedNumber", "DiffNumber", "FamilyNumber"),
    (Odsa, "max_companions"): _between(0, 1_000),
    (Odsa, "inline_seconds"): _between(0, 20),
    (Odsa, "eligibility_polling_minutes"): _between(0, 10_080),
    (Odsa, "temporary_token_operations"): _one_of(
        "CheckEligibility", "ManageSubscription", "ManageService", "AcquireConfiguration"
    ),
    (Odsa, "portal_url"): _optional(_https),
    (Odsa, "portal_contents_type"): _optional(_one_of("json", "xml")),
    (Odsa, "portal_operations"): _one_of(
        "subscribe", "unsubscribe", "change", "transfer", "recover"
    ),
    (Odsa, "not_enabled_url"): _optional(_https),
    (Odsa, "error_url"): _optional(_https),
    (UserInput, "operations"): _one_of("subscribe", "transfer", "recover"),
    (UserInput, "pattern"): _pattern,
    (UserInput, "expected"): _optional(_one_of("msisdn-end")),
    (PhoneNumber, "sim_id"): _one_of("hash", "uuid", "imsi"),
    (SmdpPlus, "name"): _SLUG_RULE,
    (SmdpPlus, "url"): _peer_url,
    (SmdpPlus, "requester"): _NAMED,
    (SmdpPlus, "driver"): _one_of(*SMDP_PLUS_DRIVERS),
    (SmdpPlus, "address"): _optional(_host),
    (SmdpPlus, "oid"): _optional(
        _matches(re.compile(r"[0-9]+(\.[0-9]+)+"), "an OID is numbers with dots, such as 2.999.10")
    ),
    (SmdpPlus, "profile_types"): _NAMED,
    (SmdpPlus, "server_name"): _optional(_host),
    (SmdpPlus, "version"): _optional(
        _matches(re.compile(r"[0-9]+\.[0-9]+\.[0-9]+"), "a version is three numbers, such as 2.2.0")
    ),
    (SmdpPlus, "path_prefix"): _prefix,
    (SmdpPlus, "iccid_form"): _one_of("driver", "padded", "plain"),
    (SmdpPlus, "notification_points"): _points,
    (SmdpPlus, "connect_seconds"): _above_zero,
    (SmdpPlus, "download_order_seconds"): _above_zero,
    (SmdpPlus, "confirm_order_seconds"): _above_zero,
    (SmdpPlus, "release_profile_seconds"): _above_zero,
    (SmdpPlus, "cancel_order_seconds"): _above_zero,
    (SmdpPlus, "profile_status_seconds"): _above_zero,
    (SmdpPlus, "max_calls"): _between(1, 1_000),
    (SmdpPlus, "max_calls_per_second"): _between(0, 10_000),
    (SmdpPlus, "maintenance"): _window,
    (SmdpPlus, "notification_names"): _NAMED,
    (SmdpPlus, "notification_prefix"): _prefix,
    (Partner, "listen"): _optional(_listen),
    (Partner, "max_connections"): _COUNT,
    (Partner, "handshake_seconds"): _above_zero,
    (Partner, "idle_seconds"): _above_zero,
    (Partner, "request_seconds"): _above_zero,
    (Logging, "level"): _one_of("debug", "info", "warning", "error"),
    (Logging, "format"): _one_of("json", "console"),
    # It becomes part of every Diameter Session-Id: `<Origin-Host>;<hi>;<lo>;<node>-<actor>`.
    (Node, "name"): _SLUG_RULE,
    (Node, "data"): _NAMED,
    (Node, "cookie_keys"): _cookie_key,
    (Node, "drain_seconds"): _between(0, 600),
    (Node, "workers"): _between(0, 255),  # session cookies have an octet for it
    (Node, "worker_suffix"): _worker_suffix,
}
