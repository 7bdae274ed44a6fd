"""Application ids of TS.43 (GSMA TS.43 v12 §2.3) and the spellings in which clients list them."""

from functools import lru_cache
from typing import Final

VOICE: Final = "ap2003"
WIFI_CALLING: Final = "ap2004"
SMS_OVER_IP: Final = "ap2005"
COMPANION_ODSA: Final = "ap2006"
PRIMARY_ODSA: Final = "ap2009"
DATA_PLAN: Final = "ap2010"
SERVER_ODSA: Final = "ap2011"
CARRIER_BILLING: Final = "ap2012"
PRIVATE_USER_IDENTITY: Final = "ap2013"
DEVICE_AND_USER_INFORMATION: Final = "ap2014"
DEVICE_APPLICATION: Final = "ap2015"
SATELLITE: Final = "ap2016"
CROSS_PLATFORM_ODSA: Final = "ap2017"  # after v12; Android's constants have it

APPLICATION_NAMES: Final = {
    VOICE: "Voice over Cellular",
    WIFI_CALLING: "VoWiFi",
    SMS_OVER_IP: "SMSoIP",
    COMPANION_ODSA: "Companion ODSA",
    PRIMARY_ODSA: "Primary ODSA",
    DATA_PLAN: "Data plan",
    SERVER_ODSA: "Server-initiated ODSA",
    CARRIER_BILLING: "Direct carrier billing",
    PRIVATE_USER_IDENTITY: "Private user identity",
    DEVICE_AND_USER_INFORMATION: "Device and user information",
    DEVICE_APPLICATION: "Device application authentication",
    SATELLITE: "SatMode",
    CROSS_PLATFORM_ODSA: "Cross-platform ODSA",
}

# Whatever stands around the ids in a list: the Android client sends "[ap2004,ap2003]" as one text,
# and `["ap2004"]` has been seen with its JSON quotes.
_AROUND: Final = " \t[]\"'"


@lru_cache(maxsize=1024)
def application_ids(text: str) -> tuple[str, ...]:
    """The known ids in a comma list, each once, in the order of the request.

    Brackets, quotes, blanks and letter case do not matter (TS.43 §1.7: texts compare without
    case). Ids that TS.43 does not define are left out.
    """
    ids = (part.strip(_AROUND).lower() for part in text.split(","))
    return tuple(dict.fromkeys(app_id for app_id in ids if app_id in APPLICATION_NAMES))
