"""The AVP data formats: Python values to octets and back.

Source: RFC 6733 §4.2 (basic formats) and §4.3 (derived formats). Padding and AVP headers are the
codec's business.
"""

import datetime
import ipaddress
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

from protocols.diameter.dictionary import AvpType
from protocols.diameter.errors import LocalError

_INET: Final = 1  # address families (IANA)
_INET6: Final = 2
# RFC 6733 §4.3.1, Time: NTP seconds since 1900; the era that begins in 2036 has the top bit clear.
_NTP_EPOCH: Final = datetime.datetime(1900, 1, 1, tzinfo=datetime.UTC)
_ERA_SECONDS: Final = 1 << 32

OtherAddress = tuple[int, bytes]  # (address family, octets) of a family other than IPv4 and IPv6
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def _text(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _octets(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("octets are expected")
    return value


def _address(value: object) -> bytes:
    if isinstance(value, tuple):
        family, octets = value
        return struct.pack(">H", family) + bytes(octets)
    address = ipaddress.ip_address(value) if isinstance(value, str) else value
    if isinstance(address, ipaddress.IPv4Address):
        return struct.pack(">H", _INET) + address.packed
    if isinstance(address, ipaddress.IPv6Address):
        return struct.pack(">H", _INET6) + address.packed
    raise TypeError("an IP address is expected")


def _time(value: object) -> bytes:
    if not isinstance(value, datetime.datetime):
        raise TypeError("a datetime is expected")
    seconds = int((value - _NTP_EPOCH).total_seconds())
    return struct.pack(">I", seconds % _ERA_SECONDS)


def _number(form: str) -> Callable[[Any], bytes]:
    return struct.Struct(form).pack


_WRITE: Final[Mapping[AvpType, Callable[[Any], bytes]]] = {
    AvpType.OCTET_STRING: _octets,
    AvpType.UTF8_STRING: _text,
    AvpType.DIAMETER_IDENTITY: _text,
    AvpType.DIAMETER_URI: _text,
    AvpType.INTEGER32: _number(">i"),
    AvpType.INTEGER64: _number(">q"),
    AvpType.UNSIGNED32: _number(">I"),
    AvpType.UNSIGNED64: _number(">Q"),
    AvpType.FLOAT32: _number(">f"),
    AvpType.FLOAT64: _number(">d"),
    AvpType.ENUMERATED: _number(">i"),
    AvpType.ADDRESS: _address,
    AvpType.TIME: _time,
}


def write_value(type_: AvpType, value: object) -> bytes:
    """The data octets of a value that is not a group.

    Raises:
        LocalError: the value does not fit the type.
    """
    try:
        return _WRITE[type_](value)
    except (struct.error, TypeError, ValueError, OverflowError, KeyError) as error:
        # Without the value: it may name a subscriber.
        raise LocalError(f"a value does not fit {type_.name}") from error


# Octets that a value of the type has; types that are not here vary.
SIZES: Final[Mapping[AvpType, int]] = {
    AvpType.INTEGER32: 4,
    AvpType.INTEGER64: 8,
    AvpType.UNSIGNED32: 4,
    AvpType.UNSIGNED64: 8,
    AvpType.FLOAT32: 4,
    AvpType.FLOAT64: 8,
    AvpType.ENUMERATED: 4,
    AvpType.TIME: 4,
}


def _read_number(form: str) -> Callable[[bytes], Any]:
    unpack = struct.Struct(form).unpack
    return lambda data: unpack(data)[0]


def _read_address(data: bytes) -> IpAddress | OtherAddress:
    family = int.from_bytes(data[:2], "big")
    octets = data[2:]
    if len(data) < 2:
        raise ValueError("an address without its family")
    if family == _INET:
        return ipaddress.IPv4Address(octets)
    if family == _INET6:
        return ipaddress.IPv6Address(octets)
    return family, octets


def _read_time(data: bytes) -> datetime.datetime:
    seconds = int.from_bytes(data, "big")
    if not seconds >> 31:
        seconds += _ERA_SECONDS
    return _NTP_EPOCH + datetime.timedelta(seconds=seconds)


_READ: Final[Mapping[AvpType, Callable[[bytes], Any]]] = {
    AvpType.OCTET_STRING: bytes,
    AvpType.UTF8_STRING: bytes.decode,
    AvpType.DIAMETER_IDENTITY: bytes.decode,
    AvpType.DIAMETER_URI: bytes.decode,
    AvpType.INTEGER32: _read_number(">i"),
    AvpType.INTEGER64: _read_number(">q"),
    AvpType.UNSIGNED32: _read_number(">I"),
    AvpType.UNSIGNED64: _read_number(">Q"),
    AvpType.FLOAT32: _read_number(">f"),
    AvpType.FLOAT64: _read_number(">d"),
    AvpType.ENUMERATED: _read_number(">i"),
    AvpType.ADDRESS: _read_address,
    AvpType.TIME: _read_time,
}


def read_value(type_: AvpType, data: bytes) -> Any:  # noqa: ANN401 (the type decides)
    """The value of data octets that are not a group.

    Raises:
        ValueError: the octets are no value of the type (UnicodeDecodeError included).
        struct.error: their number is wrong.
    """
    return _READ[type_](data)
