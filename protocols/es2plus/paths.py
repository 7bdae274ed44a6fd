"""Paths and header fields of ES2+ over HTTP (GSMA SGP.22 §6.2, §6.4, §6.5)."""

import re
from typing import Final

from protocols.es2plus.status_codes import Function

BASE_PATH: Final = "/gsma/rsp2/es2plus/"
ADMIN_PROTOCOL: Final = "X-Admin-Protocol"
CONTENT_TYPE: Final = "application/json"

_ADMIN_PROTOCOL_VALUE: Final = re.compile(r"gsma/rsp/v([0-9]+)\.([0-9]+)\.([0-9]+)")
VERSION: Final = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")


def function_path(function: Function, prefix: str = "") -> str:
    """The path of a function; some vendors put a prefix before the standard's path."""
    return f"{prefix.rstrip('/')}{BASE_PATH}{function.value}"


def admin_protocol(version: str) -> str:
    """The value of X-Admin-Protocol for a version such as 2.2.0: the highest the sender knows."""
    return f"gsma/rsp/v{version}"


def admin_protocol_version(value: str | None) -> tuple[int, int, int] | None:
    """The version in an X-Admin-Protocol field; None when it is absent or malformed.

    Neither is a reason to refuse a message: peers leave it out, or name a version they like.
    """
    match = _ADMIN_PROTOCOL_VALUE.fullmatch((value or "").strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None
