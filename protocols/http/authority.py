"""The host that a request is for: Host of RFC 9112 §3.2, `:authority` of RFC 9113 §8.3.1.

Source: RFC 3986 §3.2.2 and §3.2.3 for the grammar, RFC 9110 §4.2.2 for what `https` adds: a host
that is not empty. User information, which `https` forbids (§4.2.4), has no place in it.
"""

import ipaddress
from typing import Final

# unreserved, sub-delims and the sign of a percent-encoded octet.
_NAME_OCTETS: Final = (
    b"-._~!$&'()*+,;=%0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
_MOST_OCTETS: Final = 255  # RFC 1035 §2.3.4: no name is longer
_MOST_PORT_DIGITS: Final = 5


def host_of(authority: bytes) -> str | None:
    """The host in lower case, without port and without the dot of the root; None when malformed.

    An IPv6 address keeps its brackets.
    """
    if authority[:1] == b"[":
        address, bracket, rest = authority[1:].partition(b"]")
        if not bracket or (rest and rest[:1] != b":") or not _is_port(rest[1:]):
            return None
        try:
            return f"[{ipaddress.IPv6Address(address.decode('ascii'))}]"
        except ValueError:
            return None
    name, _, port = authority.partition(b":")
    name = name.removesuffix(b".")
    if not name or len(name) > _MOST_OCTETS or name.translate(None, _NAME_OCTETS):
        return None
    return name.decode("ascii").lower() if _is_port(port) else None


def is_address(host: str) -> bool:
    """Whether a host, as `host_of` gives it, is an IP address."""
    if host[:1] == "[":
        return True
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _is_port(text: bytes) -> bool:
    return not text or (text.isdigit() and len(text) <= _MOST_PORT_DIGITS)
