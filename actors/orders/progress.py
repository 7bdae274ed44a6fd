"""What a notification of the SM-DP+ means for an order: pure.

Source: GSMA SGP.22 §5.3.5 (notification points) and §5.7.14, table 32b (why a session was
cancelled). Unknown points and failures that keep the order as it is give no event.
"""

from dataclasses import replace
from typing import Final

from actors.backends.smdp_plus import ProfileEvent, SmdpNotification
from actors.orders.machine import Event
from actors.orders.transitions import Input
from protocols.es2plus.installation import InstallationError

_REJECTED: Final = ("8.8.5", "3.8")  # endUserRejection
_SUCCESSES: Final = {
    ProfileEvent.DOWNLOADED: Input.DOWNLOADED,
    ProfileEvent.INSTALLED: Input.INSTALLED,
    ProfileEvent.ENABLED: Input.INSTALLED,
    ProfileEvent.DELETED: Input.PROFILE_DELETED,
}
# The LPA may try again by itself with the same activation code.
_RETRYABLE: Final = frozenset({InstallationError.INTERRUPTION})


def read_notification(notification: SmdpNotification, blank: Event) -> Event | None:
    """The event that a notification is; None: it changes nothing."""
    result = notification.installation
    if notification.succeeded and (result is None or result.succeeded):
        given = _SUCCESSES.get(notification.event)
        return replace(blank, given=given) if given is not None else None
    if result is not None and result.error == InstallationError.ICCID_ALREADY_EXISTS_ON_EUICC:
        # It is on the device: perhaps from a download that we never heard of.
        return replace(blank, given=Input.DOWNLOADED, reason="already-on-device")
    if result is not None and result.error in _RETRYABLE:
        return None
    if notification.event in (ProfileEvent.DISABLED, ProfileEvent.DELETED, ProfileEvent.ENABLED):
        return None
    return _failure(notification, blank)


def _failure(notification: SmdpNotification, blank: Event) -> Event:
    code = notification.code
    if code is not None and (code.subject, code.reason) == _REJECTED:
        return replace(blank, given=Input.USER_REJECTED, reason="user-rejected")
    reason = f"installation-failed: {code.text} ({code})" if code else "installation-failed"
    if notification.installation is not None and notification.installation.error is not None:
        reason += f", eUICC error {notification.installation.error}"
    return replace(blank, given=Input.INSTALLATION_FAILED, reason=reason)
