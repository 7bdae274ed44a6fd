"""Numbers of EAP and EAP-AKA: codes, types, subtypes, attributes, notification codes.

Source: RFC 3748 §4, §5; RFC 4187 §10, §11; RFC 9048 §3. Plain integers: they are compared with
octets of packets on the hot path.
"""

from typing import Final

# --- codes (RFC 3748 §4) ------------------------------------------------------------------------
REQUEST: Final = 1
RESPONSE: Final = 2
SUCCESS: Final = 3
FAILURE: Final = 4

# --- types (RFC 3748 §5, RFC 4187 §11, RFC 9048 §6.1) -------------------------------------------
IDENTITY: Final = 1
NAK: Final = 3
EAP_AKA: Final = 23
EAP_AKA_PRIME: Final = 50

# --- subtypes (RFC 4187 §11) --------------------------------------------------------------------
CHALLENGE: Final = 1
AUTHENTICATION_REJECT: Final = 2
SYNCHRONIZATION_FAILURE: Final = 4
AKA_IDENTITY: Final = 5
NOTIFICATION: Final = 12
REAUTHENTICATION: Final = 13
CLIENT_ERROR: Final = 14

# --- attributes (RFC 4187 §10, RFC 9048 §3) -----------------------------------------------------
AT_RAND: Final = 1
AT_AUTN: Final = 2
AT_RES: Final = 3
AT_AUTS: Final = 4
AT_PADDING: Final = 6
AT_PERMANENT_ID_REQ: Final = 10
AT_MAC: Final = 11
AT_NOTIFICATION: Final = 12
AT_ANY_ID_REQ: Final = 13
AT_IDENTITY: Final = 14
AT_FULLAUTH_ID_REQ: Final = 17
AT_COUNTER: Final = 19
AT_COUNTER_TOO_SMALL: Final = 20
AT_NONCE_S: Final = 21
AT_CLIENT_ERROR_CODE: Final = 22
AT_KDF_INPUT: Final = 23
AT_KDF: Final = 24
AT_IV: Final = 129
AT_ENCR_DATA: Final = 130
AT_NEXT_PSEUDONYM: Final = 132
AT_NEXT_REAUTH_ID: Final = 133
AT_CHECKCODE: Final = 134
AT_RESULT_IND: Final = 135
AT_BIDDING: Final = 136

FIRST_SKIPPABLE: Final = 128  # RFC 4187 §6.2: an unknown attribute below it is an error

# --- values -------------------------------------------------------------------------------------
NOTIFICATION_SUCCESS_BIT: Final = 0x8000  # S (RFC 4187 §10.19)
NOTIFICATION_BEFORE_CHALLENGE_BIT: Final = 0x4000  # P: the packet carries no AT_MAC
NOTIFICATION_SUCCESS: Final = 32768
NOTIFICATION_FAILURE_AFTER: Final = 0
NOTIFICATION_FAILURE: Final = 16384
NOTIFICATION_DENIED: Final = 1026
NOTIFICATION_NOT_SUBSCRIBED: Final = 1031
UNABLE_TO_PROCESS: Final = 0  # AT_CLIENT_ERROR_CODE (RFC 4187 §10.20)
DEFAULT_KDF: Final = 1  # AT_KDF (RFC 9048 §3.2)
