"""Every AVP that SWm and SWa use, as one table: code, vendor, name, type, and the M bit we send.

Source: RFC 6733 §4.5, RFC 4072, RFC 7683, RFC 8583, RFC 7944, 3GPP TS 29.273, TS 29.229, TS 29.272.
The M column is what *we* set. On receipt any combination of flags is accepted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

VENDOR_3GPP: Final = 10415

FLAG_VENDOR: Final = 0x80
FLAG_MANDATORY: Final = 0x40


class AvpType(Enum):
    """Data formats of RFC 6733 §4.2 and §4.3."""

    OCTET_STRING = auto()
    UTF8_STRING = auto()
    DIAMETER_IDENTITY = auto()
    DIAMETER_URI = auto()
    INTEGER32 = auto()
    INTEGER64 = auto()
    UNSIGNED32 = auto()
    UNSIGNED64 = auto()
    FLOAT32 = auto()
    FLOAT64 = auto()
    ENUMERATED = auto()  # a signed 32-bit value on the wire
    ADDRESS = auto()
    TIME = auto()
    GROUPED = auto()


@dataclass(frozen=True, slots=True)
class Avp:
    """One row of the table.

    Attributes:
        key: vendor in the high 32 bits, code in the low ones: how decoded messages are indexed.
        flags: the flag octet we send.
    """

    code: int
    name: str
    type: AvpType
    mandatory: bool
    vendor: int = 0
    key: int = field(init=False, repr=False)
    flags: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Work out what the codec needs."""
        flags = (FLAG_VENDOR if self.vendor else 0) | (FLAG_MANDATORY if self.mandatory else 0)
        object.__setattr__(self, "key", self.vendor << 32 | self.code)
        object.__setattr__(self, "flags", flags)


BY_KEY: dict[int, Avp] = {}
BY_NAME: dict[str, Avp] = {}


def _avp(code: int, name: str, type_: AvpType, mandatory: bool, vendor: int = 0) -> Avp:
    row = Avp(code, name, type_, mandatory, vendor)
    BY_KEY[row.key] = BY_NAME[name] = row
    return row


def _3gpp(code: int, name: str, type_: AvpType, mandatory: bool) -> Avp:
    return _avp(code, name, type_, mandatory, VENDOR_3GPP)


# Short names for the columns below. `unsettled`: the sources do not agree, so the safe side:
# an AVP without M is never refused with 5001.
M: Final = True
no: Final = False
unsettled: Final = False
Octets: Final = AvpType.OCTET_STRING
Utf8: Final = AvpType.UTF8_STRING
Identity: Final = AvpType.DIAMETER_IDENTITY
Uri: Final = AvpType.DIAMETER_URI
U32: Final = AvpType.UNSIGNED32
U64: Final = AvpType.UNSIGNED64
Enumerated: Final = AvpType.ENUMERATED
Address: Final = AvpType.ADDRESS
Time: Final = AvpType.TIME
Grouped: Final = AvpType.GROUPED

# --- RFC 6733 §4.5 (codes below 256 are RADIUS's, RFC 2865) -------------------------------------
USER_NAME: Final = _avp(1, "User-Name", Utf8, M)
STATE: Final = _avp(24, "State", Octets, M)
CLASS: Final = _avp(25, "Class", Octets, M)
SESSION_TIMEOUT: Final = _avp(27, "Session-Timeout", U32, M)
CALLED_STATION_ID: Final = _avp(30, "Called-Station-Id", Utf8, M)
CALLING_STATION_ID: Final = _avp(31, "Calling-Station-Id", Utf8, M)
PROXY_STATE: Final = _avp(33, "Proxy-State", Octets, M)
ACCT_INTERIM_INTERVAL: Final = _avp(85, "Acct-Interim-Interval", U32, M)
HOST_IP_ADDRESS: Final = _avp(257, "Host-IP-Address", Address, M)
AUTH_APPLICATION_ID: Final = _avp(258, "Auth-Application-Id", U32, M)
ACCT_APPLICATION_ID: Final = _avp(259, "Acct-Application-Id", U32, M)
VENDOR_SPECIFIC_APPLICATION_ID: Final = _avp(260, "Vendor-Specific-Application-Id", Grouped, M)
REDIRECT_HOST_USAGE: Final = _avp(261, "Redirect-Host-Usage", Enumerated, M)
REDIRECT_MAX_CACHE_TIME: Final = _avp(262, "Redirect-Max-Cache-Time", U32, M)
SESSION_ID: Final = _avp(263, "Session-Id", Utf8, M)
ORIGIN_HOST: Final = _avp(264, "Origin-Host", Identity, M)
SUPPORTED_VENDOR_ID: Final = _avp(265, "Supported-Vendor-Id", U32, M)
VENDOR_ID: Final = _avp(266, "Vendor-Id", U32, M)
FIRMWARE_REVISION: Final = _avp(267, "Firmware-Revision", U32, no)
RESULT_CODE: Final = _avp(268, "Result-Code", U32, M)
PRODUCT_NAME: Final = _avp(269, "Product-Name", Utf8, no)
MULTI_ROUND_TIME_OUT: Final = _avp(272, "Multi-Round-Time-Out", U32, M)
DISCONNECT_CAUSE: Final = _avp(273, "Disconnect-Cause", Enumerated, M)
AUTH_REQUEST_TYPE: Final = _avp(274, "Auth-Request-Type", Enumerated, M)
AUTH_GRACE_PERIOD: Final = _avp(276, "Auth-Grace-Period", U32, M)
AUTH_SESSION_STATE: Final = _avp(277, "Auth-Session-State", Enumerated, M)
ORIGIN_STATE_ID: Final = _avp(278, "Origin-State-Id", U32, M)
FAILED_AVP: Final = _avp(279, "Failed-AVP", Grouped, M)
PROXY_HOST: Final = _avp(280, "Proxy-Host", Identity, M)
ERROR_MESSAGE: Final = _avp(281, "Error-Message", Utf8, no)
ROUTE_RECORD: Final = _avp(282, "Route-Record", Identity, M)
DESTINATION_REALM: Final = _avp(283, "Destination-Realm", Identity, M)
PROXY_INFO: Final = _avp(284, "Proxy-Info", Grouped, M)
RE_AUTH_REQUEST_TYPE: Final = _avp(285, "Re-Auth-Request-Type", Enumerated, M)
AUTHORIZATION_LIFETIME: Final = _avp(291, "Authorization-Lifetime", U32, M)
REDIRECT_HOST: Final = _avp(292, "Redirect-Host", Uri, M)
DESTINATION_HOST: Final = _avp(293, "Destination-Host", Identity, M)
ERROR_REPORTING_HOST: Final = _avp(294, "Error-Reporting-Host", Identity, no)
TERMINATION_CAUSE: Final = _avp(295, "Termination-Cause", Enumerated, M)
ORIGIN_REALM: Final = _avp(296, "Origin-Realm", Identity, M)
EXPERIMENTAL_RESULT: Final = _avp(297, "Experimental-Result", Grouped, M)
EXPERIMENTAL_RESULT_CODE: Final = _avp(298, "Experimental-Result-Code", U32, M)
INBAND_SECURITY_ID: Final = _avp(299, "Inband-Security-Id", U32, M)

# --- RFC 7944 -----------------------------------------------------------------------------------
DRMP: Final = _avp(301, "DRMP", Enumerated, no)

# --- RFC 4072 (EAP) -----------------------------------------------------------------------------
EAP_KEY_NAME: Final = _avp(102, "EAP-Key-Name", Octets, no)
EAP_PAYLOAD: Final = _avp(462, "EAP-Payload", Octets, M)
EAP_REISSUED_PAYLOAD: Final = _avp(463, "EAP-Reissued-Payload", Octets, M)
EAP_MASTER_SESSION_KEY: Final = _avp(464, "EAP-Master-Session-Key", Octets, no)
ACCOUNTING_EAP_AUTH_METHOD: Final = _avp(465, "Accounting-EAP-Auth-Method", U64, no)

# --- other RFCs: 5447, 5778 (mobile IP), 8506 (subscription), 5777 (QoS) ------------------------
MIP6_FEATURE_VECTOR: Final = _avp(124, "MIP6-Feature-Vector", U64, M)
SUBSCRIPTION_ID: Final = _avp(443, "Subscription-Id", Grouped, M)
SUBSCRIPTION_ID_DATA: Final = _avp(444, "Subscription-Id-Data", Utf8, M)
SUBSCRIPTION_ID_TYPE: Final = _avp(450, "Subscription-Id-Type", Enumerated, M)
MIP6_AGENT_INFO: Final = _avp(486, "MIP6-Agent-Info", Grouped, M)
SERVICE_SELECTION: Final = _avp(493, "Service-Selection", Utf8, M)
MOBILE_NODE_IDENTIFIER: Final = _avp(506, "Mobile-Node-Identifier", Utf8, M)
QOS_CAPABILITY: Final = _avp(578, "QoS-Capability", Grouped, unsettled)

# --- RFC 7683 (overload), RFC 8581 (peer report), RFC 8583 (load): all without M ----------------
OC_SUPPORTED_FEATURES: Final = _avp(621, "OC-Supported-Features", Grouped, no)
OC_FEATURE_VECTOR: Final = _avp(622, "OC-Feature-Vector", U64, no)
OC_OLR: Final = _avp(623, "OC-OLR", Grouped, no)
OC_SEQUENCE_NUMBER: Final = _avp(624, "OC-Sequence-Number", U64, no)
OC_VALIDITY_DURATION: Final = _avp(625, "OC-Validity-Duration", U32, no)
OC_REPORT_TYPE: Final = _avp(626, "OC-Report-Type", Enumerated, no)
OC_REDUCTION_PERCENTAGE: Final = _avp(627, "OC-Reduction-Percentage", U32, no)
OC_PEER_ALGO: Final = _avp(648, "OC-Peer-Algo", U64, no)
SOURCE_ID: Final = _avp(649, "SourceID", Identity, no)
LOAD: Final = _avp(650, "Load", Grouped, no)
LOAD_TYPE: Final = _avp(651, "Load-Type", Enumerated, no)
LOAD_VALUE: Final = _avp(652, "Load-Value", U64, no)

# --- 3GPP: TS 29.061, 29.212, 29.214, 29.229, 29.272, 29.273 ------------------------------------
CHARGING_CHARACTERISTICS: Final = _3gpp(13, "3GPP-Charging-Characteristics", Utf8, M)
MAX_REQUESTED_BANDWIDTH_DL: Final = _3gpp(515, "Max-Requested-Bandwidth-DL", U32, M)
MAX_REQUESTED_BANDWIDTH_UL: Final = _3gpp(516, "Max-Requested-Bandwidth-UL", U32, M)
VISITED_NETWORK_IDENTIFIER: Final = _3gpp(600, "Visited-Network-Identifier", Octets, M)
SUPPORTED_FEATURES: Final = _3gpp(628, "Supported-Features", Grouped, M)
FEATURE_LIST_ID: Final = _3gpp(629, "Feature-List-ID", U32, no)
FEATURE_LIST: Final = _3gpp(630, "Feature-List", U32, no)
QOS_CLASS_IDENTIFIER: Final = _3gpp(1028, "QoS-Class-Identifier", Enumerated, M)
RAT_TYPE: Final = _3gpp(1032, "RAT-Type", Enumerated, no)
ALLOCATION_RETENTION_PRIORITY: Final = _3gpp(1034, "Allocation-Retention-Priority", Grouped, M)
PRIORITY_LEVEL: Final = _3gpp(1046, "Priority-Level", U32, M)
PRE_EMPTION_CAPABILITY: Final = _3gpp(1047, "Pre-emption-Capability", Enumerated, M)
PRE_EMPTION_VULNERABILITY: Final = _3gpp(1048, "Pre-emption-Vulnerability", Enumerated, M)
TERMINAL_INFORMATION: Final = _3gpp(1401, "Terminal-Information", Grouped, M)
IMEI: Final = _3gpp(1402, "IMEI", Utf8, M)  # 14 digits, no check digit
SOFTWARE_VERSION: Final = _3gpp(1403, "Software-Version", Utf8, M)
CONTEXT_IDENTIFIER: Final = _3gpp(1423, "Context-Identifier", U32, M)
APN_OI_REPLACEMENT: Final = _3gpp(1427, "APN-OI-Replacement", Utf8, M)
APN_CONFIGURATION: Final = _3gpp(1430, "APN-Configuration", Grouped, M)
EPS_SUBSCRIBED_QOS_PROFILE: Final = _3gpp(1431, "EPS-Subscribed-QoS-Profile", Grouped, M)
VPLMN_DYNAMIC_ADDRESS_ALLOWED: Final = _3gpp(1432, "VPLMN-Dynamic-Address-Allowed", Enumerated, M)
AMBR: Final = _3gpp(1435, "AMBR", Grouped, M)
PDN_TYPE: Final = _3gpp(1456, "PDN-Type", Enumerated, M)
MEID_3GPP2: Final = _3gpp(1471, "3GPP2-MEID", Octets, M)
AN_TRUSTED: Final = _3gpp(1503, "AN-Trusted", Enumerated, no)
ANID: Final = _3gpp(1504, "ANID", Utf8, M)
TRACE_INFO: Final = _3gpp(1505, "Trace-Info", Grouped, unsettled)
WLAN_IDENTIFIER: Final = _3gpp(1509, "WLAN-Identifier", Grouped, no)
FULL_NETWORK_NAME: Final = _3gpp(1516, "Full-Network-Name", Octets, no)
SHORT_NETWORK_NAME: Final = _3gpp(1517, "Short-Network-Name", Octets, no)
AAA_FAILURE_INDICATION: Final = _3gpp(1518, "AAA-Failure-Indication", U32, no)
TRANSPORT_ACCESS_TYPE: Final = _3gpp(1519, "Transport-Access-Type", Enumerated, no)
DER_FLAGS: Final = _3gpp(1520, "DER-Flags", U32, no)
DEA_FLAGS: Final = _3gpp(1521, "DEA-Flags", U32, no)
ACCESS_NETWORK_INFO: Final = _3gpp(1526, "Access-Network-Info", Grouped, no)
EMERGENCY_SERVICES: Final = _3gpp(1538, "Emergency-Services", U32, no)
AAR_FLAGS: Final = _3gpp(1539, "AAR-Flags", U32, no)
# XXX: the type of High-Priority-Access-Info (1542) is not confirmed; TS 29.273 §9.2.3 settles it.
HIGH_PRIORITY_ACCESS_INFO: Final = _3gpp(1542, "High-Priority-Access-Info", U32, unsettled)
UE_USAGE_TYPE: Final = _3gpp(1680, "UE-Usage-Type", U32, unsettled)
EMERGENCY_INFO: Final = _3gpp(1687, "Emergency-Info", Grouped, no)
CORE_NETWORK_RESTRICTIONS: Final = _3gpp(1704, "Core-Network-Restrictions", U32, no)
UE_LOCAL_IP_ADDRESS: Final = _3gpp(2805, "UE-Local-IP-Address", Address, unsettled)
USER_LOCATION_INFO_TIME: Final = _3gpp(2812, "User-Location-Info-Time", Time, unsettled)

# What a group holds, where the standard says so; other members are allowed ("* [AVP]").
GROUPS: Final[Mapping[int, tuple[Avp, ...]]] = {
    VENDOR_SPECIFIC_APPLICATION_ID.key: (VENDOR_ID, AUTH_APPLICATION_ID, ACCT_APPLICATION_ID),
    EXPERIMENTAL_RESULT.key: (VENDOR_ID, EXPERIMENTAL_RESULT_CODE),
    PROXY_INFO.key: (PROXY_HOST, PROXY_STATE),
    SUBSCRIPTION_ID.key: (SUBSCRIPTION_ID_TYPE, SUBSCRIPTION_ID_DATA),
    OC_SUPPORTED_FEATURES.key: (OC_FEATURE_VECTOR, OC_PEER_ALGO, SOURCE_ID),
    OC_OLR.key: (
        OC_SEQUENCE_NUMBER,
        OC_REPORT_TYPE,
        OC_REDUCTION_PERCENTAGE,
        OC_VALIDITY_DURATION,
    ),
    LOAD.key: (LOAD_TYPE, LOAD_VALUE, SOURCE_ID),
    SUPPORTED_FEATURES.key: (VENDOR_ID, FEATURE_LIST_ID, FEATURE_LIST),
    TERMINAL_INFORMATION.key: (IMEI, SOFTWARE_VERSION, MEID_3GPP2),
    APN_CONFIGURATION.key: (
        CONTEXT_IDENTIFIER,
        PDN_TYPE,
        SERVICE_SELECTION,
        EPS_SUBSCRIBED_QOS_PROFILE,
        VPLMN_DYNAMIC_ADDRESS_ALLOWED,
        AMBR,
    ),
    EPS_SUBSCRIBED_QOS_PROFILE.key: (QOS_CLASS_IDENTIFIER, ALLOCATION_RETENTION_PRIORITY),
    ALLOCATION_RETENTION_PRIORITY.key: (
        PRIORITY_LEVEL,
        PRE_EMPTION_CAPABILITY,
        PRE_EMPTION_VULNERABILITY,
    ),
    AMBR.key: (MAX_REQUESTED_BANDWIDTH_UL, MAX_REQUESTED_BANDWIDTH_DL),
}
