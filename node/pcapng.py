"""A trace as a capture file that Wireshark opens: Diameter as it was, HTTP as if without TLS.

Source: draft-ietf-opsawg-pcapng (section header, interface description, name resolution and
enhanced packet blocks). Connections are made up (`trace/tcp_synthesis.py`); addresses of Diameter
peers and of the node are from the documentation ranges, with the real names beside them.
"""

import ipaddress
import struct
from collections.abc import Iterator
from http import HTTPStatus
from ipaddress import IPv4Address
from typing import BinaryIO, Final

from actors.trace.recorder import TraceEvent
from node.trace.tcp_synthesis import TcpConnection
from protocols.http.message import HttpRequest, HttpResponse

DIAMETER_PORT: Final = 3868
HTTP_PORT: Final = 80
TLS_NOTE: Final = "HTTP was in TLS on the wire, often as HTTP/2; it is rendered as HTTP/1.1 here."

_NODE: Final = IPv4Address("192.0.2.1")  # RFC 5737
_PEERS: Final = ipaddress.IPv4Network("198.51.100.0/24")
_PHONES: Final = ipaddress.IPv4Network("203.0.113.0/24")

_SECTION_HEADER: Final = 0x0A0D0D0A
_INTERFACE_DESCRIPTION: Final = 1
_NAME_RESOLUTION: Final = 4
_ENHANCED_PACKET: Final = 6
_BYTE_ORDER: Final = 0x1A2B3C4D
_ETHERNET: Final = 1
_COMMENT: Final = 1
_APPLICATION: Final = 4
_INTERFACE_NAME: Final = 2


class PcapngWriter:
    """Writes events to a capture file as they come; the file is whole after each of them."""

    def __init__(self, file: BinaryIO) -> None:
        """Write the head.

        Args:
            file: opened for writing; it is flushed, not closed.
        """
        self._file = file
        self._connections: dict[tuple[str, str], TcpConnection] = {}
        self._addresses: dict[str, IPv4Address] = {}
        self._notes: list[str] = []
        self._time = 0.0
        self._write(
            _SECTION_HEADER,
            struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1),
            [(_COMMENT, TLS_NOTE), (_APPLICATION, "entitlement-node")],
        )
        self._write(
            _INTERFACE_DESCRIPTION,
            struct.pack("<HHI", _ETHERNET, 0, 0),
            [(_INTERFACE_NAME, "trace")],
        )
        self._name(_NODE, "entitlement-node")

    def add(self, event: TraceEvent) -> None:
        """Write one event. A reason becomes a comment of the next packet."""
        payload = event.payload
        if isinstance(payload, str):
            self._notes.append(f"{event.leg}: {payload}")
            return
        self._time = max(self._time, event.time)
        if isinstance(payload, bytes):
            is_client = event.direction == "out"
            connection = self._diameter(event.peer)
        elif event.leg == "es2+":
            is_client = isinstance(payload, HttpRequest)
            connection = self._es2plus(event, is_client)
            payload = http_message(payload)
        else:
            payload = http_message(payload)
            is_client = event.direction == "in"
            connection = self._http(event)
        self._packets(connection.send(payload, from_client=is_client))
        self._file.flush()

    def _diameter(self, peer: str) -> TcpConnection:
        known = self._connections.get(("diameter", peer))
        if known is not None:
            return known
        address = self._address(peer or "AAA", _PEERS)
        return self._open(("diameter", peer), _NODE, address, DIAMETER_PORT)

    def _es2plus(self, event: TraceEvent, is_client: bool) -> TcpConnection:
        """A connection for what the node asks the SM-DP+, another one for what that reports."""
        asks = is_client == (event.direction == "out")
        key = ("es2+ asks" if asks else "es2+ reports", event.peer)
        known = self._connections.get(key)
        if known is not None:
            return known
        address = self._address(f"SM-DP+ {event.peer}", _PEERS)
        self._notes.append(TLS_NOTE)
        return self._open(key, *((_NODE, address) if asks else (address, _NODE)), port=HTTP_PORT)

    def _http(self, event: TraceEvent) -> TcpConnection:
        key = (event.exchange, event.peer)
        known = self._connections.get(key)
        if known is not None:
            return known
        address = self._address(event.peer or "phone", _PHONES)
        self._notes.append(TLS_NOTE)
        return self._open(key, address, _NODE, HTTP_PORT)

    def _open(
        self, key: tuple[str, str], client: IPv4Address, server: IPv4Address, port: int
    ) -> TcpConnection:
        own_port = 49_152 + len(self._connections) % 16_000  # the dynamic range (RFC 6335)
        connection = self._connections[key] = TcpConnection((client, own_port), (server, port))
        self._packets(connection.open())
        return connection

    def _address(self, name: str, pool: ipaddress.IPv4Network) -> IPv4Address:
        """The address itself where it is one of IPv4, else one of the pool with that name."""
        known = self._addresses.get(name)
        if known is not None:
            return known
        try:
            address = IPv4Address(name)
        except ValueError:
            taken = sum(one in pool for one in self._addresses.values())
            address = pool[1 + taken % (pool.num_addresses - 2)]
            self._name(address, name)
        self._addresses[name] = address
        return address

    def _name(self, address: IPv4Address, name: str) -> None:
        value = address.packed + name.encode() + b"\0"
        record = struct.pack("<HH", 1, len(value)) + _padded(value)
        self._write(_NAME_RESOLUTION, record + struct.pack("<HH", 0, 0), [])

    def _packets(self, frames: Iterator[bytes]) -> None:
        stamp = int(self._time * 1_000_000)  # microseconds, the default resolution
        for frame in frames:
            comments = [(_COMMENT, note) for note in self._notes]
            self._notes.clear()
            head = struct.pack("<IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), len(frame))
            self._write(_ENHANCED_PACKET, head + _padded(frame), comments)

    def _write(self, kind: int, body: bytes, options: list[tuple[int, str]]) -> None:
        for code, text in options:
            value = text.encode()[:65_535]
            body += struct.pack("<HH", code, len(value)) + _padded(value)
        if options:
            body += struct.pack("<HH", 0, 0)
        length = struct.pack("<I", 12 + len(body))
        self._file.write(struct.pack("<I", kind) + length + body + length)


def http_message(message: HttpRequest | HttpResponse) -> bytes:
    """The message in the form of HTTP/1.1 (RFC 9112)."""
    if isinstance(message, HttpRequest):
        first = b" ".join((message.method, message.target, b"HTTP/1.1"))
        fields = [(b"host", message.authority), *message.headers]
        fields = [one for one in fields if one[0] not in (b"content-length", b"transfer-encoding")]
    else:
        first = b"HTTP/1.1 " + _status(message.status)
        fields = [*message.headers]
        if message.content_type:
            fields.insert(0, (b"content-type", message.content_type))
    if message.body or isinstance(message, HttpResponse):
        fields.append((b"content-length", str(len(message.body)).encode()))
    lines = [first, *(name + b": " + value for name, value in fields)]
    head = b"\r\n".join(line.replace(b"\r", b" ").replace(b"\n", b" ") for line in lines)
    return head + b"\r\n\r\n" + message.body


def _status(status: int) -> bytes:
    try:
        return f"{status} {HTTPStatus(status).phrase}".encode()
    except ValueError:
        return f"{status} ".encode()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
