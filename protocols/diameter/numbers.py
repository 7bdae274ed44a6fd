"""Numbers of Diameter: applications, commands, result codes and enumerated values.

Source: RFC 6733 §3.1, §7.1, §8; RFC 7683 §7.6; 3GPP TS 29.273 (applications), TS 29.230 (codes).
"""

from typing import Final

# --- applications -------------------------------------------------------------------------------
BASE: Final = 0
SWM: Final = 16777264
SWA: Final = 16777250  # SWa reuses the STa id (TS 29.273 §4.2.2)
RELAY: Final = 0xFFFFFFFF
APPLICATIONS: Final = {"swm": SWM, "swa": SWA}

# --- commands -----------------------------------------------------------------------------------
CAPABILITIES_EXCHANGE: Final = 257
RE_AUTH: Final = 258
AA: Final = 265
DIAMETER_EAP: Final = 268
ABORT_SESSION: Final = 274
SESSION_TERMINATION: Final = 275
DEVICE_WATCHDOG: Final = 280
DISCONNECT_PEER: Final = 282

# --- command flags (RFC 6733 §3) ----------------------------------------------------------------
FLAG_REQUEST: Final = 0x80
FLAG_PROXIABLE: Final = 0x40
FLAG_ERROR: Final = 0x20
FLAG_RETRANSMIT: Final = 0x10

# --- Result-Code (RFC 6733 §7.1) ----------------------------------------------------------------
MULTI_ROUND_AUTH: Final = 1001
SUCCESS: Final = 2001
COMMAND_UNSUPPORTED: Final = 3001
UNABLE_TO_DELIVER: Final = 3002
REALM_NOT_SERVED: Final = 3003
TOO_BUSY: Final = 3004
LOOP_DETECTED: Final = 3005
REDIRECT_INDICATION: Final = 3006
APPLICATION_UNSUPPORTED: Final = 3007
INVALID_HDR_BITS: Final = 3008
INVALID_AVP_BITS: Final = 3009
UNKNOWN_PEER: Final = 3010
AUTHENTICATION_REJECTED: Final = 4001
ELECTION_LOST: Final = 4003
AVP_UNSUPPORTED: Final = 5001
UNKNOWN_SESSION_ID: Final = 5002
AUTHORIZATION_REJECTED: Final = 5003
INVALID_AVP_VALUE: Final = 5004
MISSING_AVP: Final = 5005
NO_COMMON_APPLICATION: Final = 5010
UNSUPPORTED_VERSION: Final = 5011
UNABLE_TO_COMPLY: Final = 5012
INVALID_AVP_LENGTH: Final = 5014
INVALID_MESSAGE_LENGTH: Final = 5015
NO_COMMON_SECURITY: Final = 5017

# --- enumerated values --------------------------------------------------------------------------
REBOOTING: Final = 0  # Disconnect-Cause (RFC 6733 §5.4.3)
BUSY: Final = 1
DO_NOT_WANT_TO_TALK_TO_YOU: Final = 2
STATE_MAINTAINED: Final = 0  # Auth-Session-State (RFC 6733 §8.11)
NO_STATE_MAINTAINED: Final = 1
LOGOUT: Final = 1  # Termination-Cause (RFC 6733 §8.15)
END_USER_E164: Final = 0  # Subscription-Id-Type (RFC 8506 §8.47)
HOST_REPORT: Final = 0  # OC-Report-Type (RFC 7683 §7.6)
REALM_REPORT: Final = 1
HOST_LOAD: Final = 0  # Load-Type (RFC 8583 §7.2)
PEER_LOAD: Final = 1
LOSS_ALGORITHM: Final = 1  # OC-Feature-Vector (RFC 7683 §7.2)
NO_INBAND_SECURITY: Final = 0
DONT_CACHE: Final = 0  # Redirect-Host-Usage (RFC 6733 §6.13)
ALL_SESSION: Final = 1
ALL_REALM: Final = 2
REALM_AND_APPLICATION: Final = 3
ALL_APPLICATION: Final = 4
ALL_HOST: Final = 5
ALL_USER: Final = 6
