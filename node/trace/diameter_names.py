"""Names for what Diameter writes as numbers: commands, applications, results, enumerations, AVPs.

Source: RFC 6733 §3.1, §7.1 and §8; RFC 4072; 3GPP TS 29.230 and TS 29.273 §9. AVPs that our own
dictionary does not know are named by the dictionary of `python-diameter`, where it is installed.
"""

from functools import cache
from typing import Any, Final

from protocols.diameter import dictionary, numbers
from protocols.diameter.dictionary import BY_KEY, VENDOR_3GPP

COMMANDS: Final = {
    numbers.CAPABILITIES_EXCHANGE: ("CER", "CEA"),
    numbers.RE_AUTH: ("RAR", "RAA"),
    numbers.AA: ("AAR", "AAA"),
    numbers.DIAMETER_EAP: ("DER", "DEA"),
    numbers.ABORT_SESSION: ("ASR", "ASA"),
    numbers.SESSION_TERMINATION: ("STR", "STA"),
    numbers.DEVICE_WATCHDOG: ("DWR", "DWA"),
    numbers.DISCONNECT_PEER: ("DPR", "DPA"),
}

APPLICATIONS: Final = {
    numbers.BASE: "base",
    1: "NASREQ",
    5: "EAP",
    numbers.SWM: "SWm",
    numbers.SWA: "SWa/STa",
    numbers.RELAY: "relay",
}

RESULTS: Final = {
    (0, 1001): "DIAMETER_MULTI_ROUND_AUTH",
    (0, 2001): "DIAMETER_SUCCESS",
    (0, 2002): "DIAMETER_LIMITED_SUCCESS",
    (0, 3001): "DIAMETER_COMMAND_UNSUPPORTED",
    (0, 3002): "DIAMETER_UNABLE_TO_DELIVER",
    (0, 3003): "DIAMETER_REALM_NOT_SERVED",
    (0, 3004): "DIAMETER_TOO_BUSY",
    (0, 3005): "DIAMETER_LOOP_DETECTED",
    (0, 3006): "DIAMETER_REDIRECT_INDICATION",
    (0, 3007): "DIAMETER_APPLICATION_UNSUPPORTED",
    (0, 3008): "DIAMETER_INVALID_HDR_BITS",
    (0, 3009): "DIAMETER_INVALID_AVP_BITS",
    (0, 3010): "DIAMETER_UNKNOWN_PEER",
    (0, 4001): "DIAMETER_AUTHENTICATION_REJECTED",
    (0, 4002): "DIAMETER_OUT_OF_SPACE",
    (0, 4003): "ELECTION_LOST",
    (0, 5001): "DIAMETER_AVP_UNSUPPORTED",
    (0, 5002): "DIAMETER_UNKNOWN_SESSION_ID",
    (0, 5003): "DIAMETER_AUTHORIZATION_REJECTED",
    (0, 5004): "DIAMETER_INVALID_AVP_VALUE",
    (0, 5005): "DIAMETER_MISSING_AVP",
    (0, 5006): "DIAMETER_RESOURCES_EXCEEDED",
    (0, 5007): "DIAMETER_CONTRADICTING_AVPS",
    (0, 5008): "DIAMETER_AVP_NOT_ALLOWED",
    (0, 5009): "DIAMETER_AVP_OCCURS_TOO_MANY_TIMES",
    (0, 5010): "DIAMETER_NO_COMMON_APPLICATION",
    (0, 5011): "DIAMETER_UNSUPPORTED_VERSION",
    (0, 5012): "DIAMETER_UNABLE_TO_COMPLY",
    (0, 5013): "DIAMETER_INVALID_BIT_IN_HEADER",
    (0, 5014): "DIAMETER_INVALID_AVP_LENGTH",
    (0, 5015): "DIAMETER_INVALID_MESSAGE_LENGTH",
    (0, 5016): "DIAMETER_INVALID_AVP_BIT_COMBO",
    (0, 5017): "DIAMETER_NO_COMMON_SECURITY",
    (VENDOR_3GPP, 4181): "DIAMETER_AUTHENTICATION_DATA_UNAVAILABLE",
    (VENDOR_3GPP, 5001): "DIAMETER_ERROR_USER_UNKNOWN",
    (VENDOR_3GPP, 5003): "DIAMETER_ERROR_IDENTITY_NOT_REGISTERED",
    (VENDOR_3GPP, 5004): "DIAMETER_ERROR_ROAMING_NOT_ALLOWED",
    (VENDOR_3GPP, 5420): "DIAMETER_ERROR_UNKNOWN_EPS_SUBSCRIPTION",
    (VENDOR_3GPP, 5421): "DIAMETER_ERROR_RAT_NOT_ALLOWED",
    (VENDOR_3GPP, 5422): "DIAMETER_ERROR_EQUIPMENT_UNKNOWN",
    (VENDOR_3GPP, 5450): "DIAMETER_ERROR_USER_NO_NON_3GPP_SUBSCRIPTION",
    (VENDOR_3GPP, 5451): "DIAMETER_ERROR_USER_NO_APN_SUBSCRIPTION",
    (VENDOR_3GPP, 5452): "DIAMETER_ERROR_RAT_TYPE_NOT_ALLOWED",
    (VENDOR_3GPP, 5453): "DIAMETER_ERROR_LATE_OVERLAPPING_REQUEST",
    (VENDOR_3GPP, 5454): "DIAMETER_ERROR_TIMED_OUT_REQUEST",
    (VENDOR_3GPP, 5554): "DIAMETER_ERROR_ILLEGAL_EQUIPMENT",
}

_VALUES: Final = {
    dictionary.AUTH_REQUEST_TYPE.key: {
        1: "AUTHENTICATE_ONLY",
        2: "AUTHORIZE_ONLY",
        3: "AUTHORIZE_AUTHENTICATE",
    },
    dictionary.RE_AUTH_REQUEST_TYPE.key: {0: "AUTHORIZE_ONLY", 1: "AUTHORIZE_AUTHENTICATE"},
    dictionary.AUTH_SESSION_STATE.key: {0: "STATE_MAINTAINED", 1: "NO_STATE_MAINTAINED"},
    dictionary.RAT_TYPE.key: {0: "WLAN", 1: "VIRTUAL", 1004: "EUTRAN"},
    dictionary.SUBSCRIPTION_ID_TYPE.key: {
        0: "END_USER_E164",
        1: "END_USER_IMSI",
        2: "END_USER_SIP_URI",
        3: "END_USER_NAI",
        4: "END_USER_PRIVATE",
    },
    dictionary.TERMINATION_CAUSE.key: {
        1: "LOGOUT",
        2: "SERVICE_NOT_PROVIDED",
        3: "BAD_ANSWER",
        4: "ADMINISTRATIVE",
        5: "LINK_BROKEN",
        6: "AUTH_EXPIRED",
        7: "USER_MOVED",
        8: "SESSION_TIMEOUT",
    },
    dictionary.DISCONNECT_CAUSE.key: {
        0: "REBOOTING",
        1: "BUSY",
        2: "DO_NOT_WANT_TO_TALK_TO_YOU",
    },
    dictionary.REDIRECT_HOST_USAGE.key: {
        0: "DONT_CACHE",
        1: "ALL_SESSION",
        2: "ALL_REALM",
        3: "REALM_AND_APPLICATION",
        4: "ALL_APPLICATION",
        5: "ALL_HOST",
        6: "ALL_USER",
    },
    dictionary.AN_TRUSTED.key: {0: "TRUSTED", 1: "UNTRUSTED"},
    dictionary.OC_REPORT_TYPE.key: {0: "HOST_REPORT", 1: "REALM_REPORT"},
    dictionary.INBAND_SECURITY_ID.key: {0: "NO_INBAND_SECURITY", 1: "TLS"},
    dictionary.VENDOR_ID.key: {0: "IETF", VENDOR_3GPP: "3GPP"},
    dictionary.SUPPORTED_VENDOR_ID.key: {VENDOR_3GPP: "3GPP"},
    dictionary.AUTH_APPLICATION_ID.key: APPLICATIONS,
    dictionary.ACCT_APPLICATION_ID.key: APPLICATIONS,
}


def command_name(code: int, is_request: bool) -> str:
    """`DER`, `DEA`, …; the number for a command that we do not use."""
    pair = COMMANDS.get(code)
    if pair is None:
        return f"command {code} {'request' if is_request else 'answer'}"
    return pair[0] if is_request else pair[1]


def application_name(application: int) -> str:
    """`SWm`, …; the number for an application that we do not use."""
    return APPLICATIONS.get(application, f"application {application}")


def result_name(vendor: int, code: int) -> str:
    """The result's name; empty where the standards give none."""
    return RESULTS.get((vendor, code), "")


def value_name(key: int, value: int) -> str:
    """Name of an enumerated value; empty where there is none."""
    return _VALUES.get(key, {}).get(value, "")


def avp_name(code: int, vendor: int) -> str:
    """Name of an AVP; its numbers where nobody knows it."""
    known = BY_KEY.get(vendor << 32 | code)
    if known is not None:
        return known.name
    foreign = _foreign_names()
    found = foreign.get(vendor, {}).get(code)
    return str(found["name"]) if found else f"AVP {code}" + (f" vendor {vendor}" if vendor else "")


@cache
def _foreign_names() -> dict[int, dict[int, dict[str, Any]]]:
    """The large dictionary; imported (0.2 s) only when a rare AVP comes."""
    try:
        from diameter.message.avp.dictionary import AVP_DICTIONARY, AVP_VENDOR_DICTIONARY
    except ImportError:
        return {}
    return {**AVP_VENDOR_DICTIONARY, 0: AVP_DICTIONARY}
