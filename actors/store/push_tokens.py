"""Whether a device's `notif_token` can be one of the push service that it names.

Source: GSMA TS.43 v12 §2.3 (notif_action), §2.9.5 (status 1, invalid token); the forms are the
push services' own, loosely: their servers have the last word.
"""

import re
from collections.abc import Mapping
from typing import Final

from actors.store.records import NotificationAction

_GOOGLE: Final = re.compile(r"[!-~]{1,4096}")
_FORMS: Final[Mapping[int, re.Pattern[str]]] = {
    NotificationAction.GCM: _GOOGLE,
    NotificationAction.FCM: _GOOGLE,
    NotificationAction.WNS: re.compile(r"https://[!-~]{1,2048}"),
    NotificationAction.APNS: re.compile(r"(?:[0-9a-fA-F]{2}){32,100}"),
}


def is_valid(action: int, push_token: str) -> bool:
    """Whether to take this registration; ending one needs no token."""
    if action == NotificationAction.DISABLE:
        return True
    form = _FORMS.get(action)
    return form is not None and form.fullmatch(push_token) is not None
