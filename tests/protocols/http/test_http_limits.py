"""The limits of a connection and the settings of the device listener speak of the same things."""

from dataclasses import fields

from config.model import DeviceListener
from protocols.http.limits import HttpLimits


def test_what_an_operator_may_change_has_the_same_name_and_default() -> None:
    device = DeviceListener()
    limits = HttpLimits()
    shared = {field.name for field in fields(HttpLimits)} & set(DeviceListener.__struct_fields__)
    assert shared == {
        "idle_seconds",
        "request_seconds",
        "max_streams",
        "max_header_octets",
        "max_body_octets",
        "max_queued_octets",
    }
    assert all(getattr(limits, name) == getattr(device, name) for name in shared)


def test_every_time_is_shorter_than_a_phone_waits() -> None:
    """The Android client gives up after 30 s (Q-TR-1)."""
    limits = HttpLimits()
    for field in fields(HttpLimits):
        if field.name.endswith("_seconds"):
            assert 0 < getattr(limits, field.name) < 30
