"""What an SM-DP+ tells the operator: HandleDownloadProgressInfo and HandleNotification.

Source: GSMA SGP.22 v2 §5.3.5, §6.5.2.5. The standard contradicts itself (schema `timestamp` and an
integer `notificationPointId`, example `timeStamp` and "4") and vendors follow either, so both are
read. Version 3 replaces the function by HandleNotification; its field names are XXX: from memory,
to be checked against SGP.22 v3. Both are read into the same `ProgressInfo`.
"""

import binascii
from base64 import b64decode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from protocols.es2plus.bodies import ExecutionStatus, Text, Wire, decoded
from protocols.es2plus.failures import Es2PlusError
from protocols.es2plus.installation import InstallationResult
from protocols.es2plus.result_data import decode_result_data
from protocols.identity import Eid, Iccid

_MILLISECONDS_FROM: Final = 100_000_000_000  # an epoch in seconds reaches this in the year 5138
_MAX_POINT: Final = 64  # symbols


class _ProgressBody(Wire, frozen=True, kw_only=True):
    iccid: Text
    eid: Text | None = None
    profile_type: Text | None = None
    timestamp: Text | float | None = None
    time_stamp: Text | float | None = None
    notification_point_id: Text | None = None
    notification_point_status: ExecutionStatus | str | None = None
    # Version 3.
    notification_event: Text | None = None
    notification_event_status: ExecutionStatus | str | None = None
    result_data: str | None = None
    # Some vendors add the device.
    imei: Text | None = None
    tac: Text | None = None


@dataclass(frozen=True, slots=True)
class ProgressInfo:
    """One notification, whichever version and dialect.

    Attributes:
        point: `notificationPointId`, or the event of version 3, as text.
        happened_at: seconds since 1970; None when the time is absent or cannot be read.
        has_result_data: there was some, even when it could not be decoded.
    """

    iccid: Iccid = field(repr=False)
    point: str
    status: ExecutionStatus
    eid: Eid | None = None
    profile_type: str = ""
    happened_at: float | None = None
    has_result_data: bool = False
    installation: InstallationResult | None = None
    imei: str = field(default="", repr=False)
    tac: str = ""


def decode_progress(body: bytes) -> ProgressInfo:
    """Read a notification.

    What the order does not need is dropped when it is wrong (time, EID, resultData): the SM-DP+
    would only repeat the same.

    Raises:
        Es2PlusError: no JSON, or no ICCID, point or status.
    """
    read = decoded(body, _ProgressBody)
    point = read.notification_point_id
    if point is None:
        point = read.notification_event
    if point is None or not 0 < len(str(point)) <= _MAX_POINT:
        raise Es2PlusError("there is no notificationPointId")
    status = read.notification_point_status or read.notification_event_status
    if status is None:
        raise Es2PlusError("there is no notificationPointStatus")
    try:
        iccid = Iccid(str(read.iccid))
    except ValueError as error:
        raise Es2PlusError(str(error)) from None
    when = read.timestamp if read.timestamp is not None else read.time_stamp
    return ProgressInfo(
        iccid,
        _point(point),
        ExecutionStatus(status=status) if isinstance(status, str) else status,
        _eid(read.eid),
        str(read.profile_type or ""),
        _seconds(when),
        bool(read.result_data),
        _installation(read.result_data),
        str(read.imei or ""),
        str(read.tac or ""),
    )


def _point(point: Text) -> str:
    """`4`, `"4"` and `"04"` are the same point."""
    text = str(point).strip()
    return str(int(text)) if text.isascii() and text.isdigit() else text


def _eid(text: Text | None) -> Eid | None:
    try:
        return Eid(str(text)) if text else None
    except ValueError:
        return None


def _seconds(when: Text | float | None) -> float | None:
    """ISO 8601 with `Z` or an offset, or an epoch in seconds or milliseconds."""
    if when is None or isinstance(when, bool):
        return None
    try:
        number = float(when)
    except ValueError:
        return _iso_seconds(str(when))
    except OverflowError:
        return None
    if abs(number) >= _MILLISECONDS_FROM:
        number /= 1000
    return number if 0 <= number < _MILLISECONDS_FROM else None


def _iso_seconds(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text.strip())
        # The schema asks for an offset; without one the peer's clock is taken for UTC.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _installation(encoded: str | None) -> InstallationResult | None:
    if not encoded:
        return None
    try:
        return decode_result_data(b64decode("".join(encoded.split()), validate=True))
    except (binascii.Error, ValueError):
        return None
