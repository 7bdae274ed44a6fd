"""What a Diameter result means for the device (GSMA TS.43 v12 table 7, §2.8.1).

Keys are (vendor, code): vendor 0 is Result-Code, 10415 is Experimental-Result of 3GPP. Rows that
table 7 does not have are our policy and say so.
"""

from typing import Final, NamedTuple

CHALLENGE: Final = 200
DOCUMENT: Final = 200
FORBIDDEN: Final = 403
UNAVAILABLE: Final = 503

EXPERIMENTAL: Final = 10415


class Outcome(NamedTuple):
    """One row.

    Attributes:
        name: the standard's name, for counters and logs.
        status: HTTP status; 503 stands for "511 or 503" where `alternative_helps`.
        success: the subscriber is authenticated.
        alternative_helps: 511 when another authentication exists and no token was sent.
        alarm: it points at the configuration, not at the subscriber: tell the operator.
    """

    name: str
    status: int
    success: bool = False
    alternative_helps: bool = False
    alarm: bool = False


def _refused(name: str, alarm: bool = False) -> Outcome:
    return Outcome(name, FORBIDDEN, alarm=alarm)


def _failed(name: str, alarm: bool = True) -> Outcome:
    return Outcome(name, UNAVAILABLE, alternative_helps=True, alarm=alarm)


def _transient(name: str) -> Outcome:
    return Outcome(name, UNAVAILABLE)


OUTCOMES: Final[dict[tuple[int, int], Outcome]] = {
    (0, 1001): Outcome("MULTI_ROUND_AUTH", CHALLENGE),
    (0, 2001): Outcome("SUCCESS", DOCUMENT, success=True),
    (0, 2002): Outcome("LIMITED_SUCCESS", DOCUMENT, success=True),  # ours
    (0, 3001): _failed("COMMAND_UNSUPPORTED"),
    (0, 3002): _failed("UNABLE_TO_DELIVER", alarm=False),
    (0, 3003): _failed("REALM_NOT_SERVED"),
    (0, 3004): _failed("TOO_BUSY", alarm=False),
    (0, 3005): _failed("LOOP_DETECTED"),
    (0, 3006): _failed("REDIRECT_INDICATION", alarm=False),
    (0, 3007): _failed("APPLICATION_UNSUPPORTED"),
    (0, 3008): _failed("INVALID_HDR_BITS"),
    (0, 3009): _failed("INVALID_AVP_BITS"),
    (0, 3010): _failed("UNKNOWN_PEER"),
    (0, 4001): _refused("AUTHENTICATION_REJECTED"),
    # Ours: transient by their class (RFC 6733 §7.1.4), not in table 7.
    (0, 4002): _transient("OUT_OF_SPACE"),
    (0, 4003): _transient("ELECTION_LOST"),
    # Table 7 says 5001 and means USER_UNKNOWN; as a Result-Code it is AVP_UNSUPPORTED.
    (0, 5001): _refused("AVP_UNSUPPORTED", alarm=True),
    (0, 5002): _failed("UNKNOWN_SESSION_ID", alarm=False),
    (0, 5003): _refused("AUTHORIZATION_REJECTED"),
    (0, 5004): _failed("INVALID_AVP_VALUE"),
    (0, 5005): _failed("MISSING_AVP"),
    (0, 5006): _failed("RESOURCES_EXCEEDED", alarm=False),
    (0, 5007): _failed("CONTRADICTING_AVPS"),
    (0, 5008): _failed("AVP_NOT_ALLOWED"),
    (0, 5009): _failed("AVP_OCCURS_TOO_MANY_TIMES"),
    (0, 5010): _failed("NO_COMMON_APPLICATION"),
    (0, 5011): _failed("UNSUPPORTED_VERSION"),
    (0, 5012): _failed("UNABLE_TO_COMPLY", alarm=False),
    (0, 5013): _failed("INVALID_BIT_IN_HEADER"),
    (0, 5014): _failed("INVALID_AVP_LENGTH"),
    (0, 5015): _failed("INVALID_MESSAGE_LENGTH"),
    (0, 5016): _failed("INVALID_AVP_BIT_COMBO"),
    (0, 5017): _failed("NO_COMMON_SECURITY"),
    (EXPERIMENTAL, 5001): _refused("USER_UNKNOWN"),
    (EXPERIMENTAL, 5003): _refused("IDENTITY_NOT_REGISTERED"),
    # Ours: refusals of this one subscriber; table 7 names ranges of Result-Code only.
    (EXPERIMENTAL, 5004): _refused("ROAMING_NOT_ALLOWED"),
    (EXPERIMENTAL, 5420): _refused("UNKNOWN_EPS_SUBSCRIPTION"),
    (EXPERIMENTAL, 5421): _refused("RAT_NOT_ALLOWED"),
    (EXPERIMENTAL, 5422): _refused("EQUIPMENT_UNKNOWN"),
    (EXPERIMENTAL, 5450): _refused("USER_NO_NON_3GPP_SUBSCRIPTION"),
    (EXPERIMENTAL, 5451): _refused("USER_NO_APN_SUBSCRIPTION"),
    (EXPERIMENTAL, 5452): _refused("RAT_TYPE_NOT_ALLOWED"),
    (EXPERIMENTAL, 5554): _refused("ILLEGAL_EQUIPMENT", alarm=True),
    # Ours: passing states of the AAA and HSS, never the device's fault.
    (EXPERIMENTAL, 4181): _transient("AUTHENTICATION_DATA_UNAVAILABLE"),
    (EXPERIMENTAL, 5453): _transient("LATE_OVERLAPPING_REQUEST"),
    (EXPERIMENTAL, 5454): _transient("TIMED_OUT_REQUEST"),
}

# Ours: a code that nobody knows must not become 403, which phones remember until reboot.
_UNKNOWN: Final = _failed("UNKNOWN_RESULT")
_UNKNOWN_TRANSIENT: Final = _transient("UNKNOWN_TRANSIENT_RESULT")


def outcome(vendor: int, code: int) -> Outcome:
    """The row of a result.

    Args:
        vendor: 0 for Result-Code, else the Vendor-Id of Experimental-Result.
        code: the number.
    """
    found = OUTCOMES.get((vendor, code))
    if found is not None:
        return found
    return _UNKNOWN_TRANSIENT if 4000 <= code < 5000 else _UNKNOWN
