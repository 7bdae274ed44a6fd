"""Made-up TCP connections around real messages, so that packet analysers can read a trace.

Ethernet, IPv4 (RFC 791) and TCP (RFC 9293): a handshake, segments with consistent sequence numbers,
acknowledgements, right checksums. Nothing of it was on the wire; the payload was.
"""

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Final

MAX_SEGMENT_OCTETS: Final = 1_460  # Ethernet's 1500 without IPv4 and TCP headers
_FIRST_SEQUENCE: Final = 1_000
_WINDOW: Final = 65_535

FIN: Final = 0x01
SYN: Final = 0x02
PSH: Final = 0x08
ACK: Final = 0x10

_MSS_OPTION: Final = struct.pack(">BBH", 2, 4, MAX_SEGMENT_OCTETS)


class _End:
    """One end of a connection."""

    __slots__ = ("address", "mac", "next_sequence", "port")

    def __init__(self, address: IPv4Address, port: int, mac: bytes) -> None:
        self.address = address
        self.port = port
        self.mac = mac
        self.next_sequence = _FIRST_SEQUENCE


class TcpConnection:
    """One connection; every method gives the frames to write."""

    def __init__(self, client: tuple[IPv4Address, int], server: tuple[IPv4Address, int]) -> None:
        self._client = _End(*client, mac=_mac(client[0]))
        self._server = _End(*server, mac=_mac(server[0]))
        self._identification = 0

    def open(self) -> Iterator[bytes]:
        """The handshake."""
        client, server = self._client, self._server
        yield self._frame(client, server, SYN)
        client.next_sequence += 1
        yield self._frame(server, client, SYN | ACK)
        server.next_sequence += 1
        yield self._frame(client, server, ACK)

    def send(self, data: bytes, *, from_client: bool) -> Iterator[bytes]:
        """A message in one direction, and the acknowledgement."""
        sender, receiver = self._client, self._server
        if not from_client:
            sender, receiver = receiver, sender
        for at in range(0, len(data), MAX_SEGMENT_OCTETS):
            part = data[at : at + MAX_SEGMENT_OCTETS]
            is_last = at + len(part) == len(data)
            yield self._frame(sender, receiver, ACK | (PSH if is_last else 0), part)
            sender.next_sequence = (sender.next_sequence + len(part)) & 0xFFFFFFFF
        yield self._frame(receiver, sender, ACK)

    def _frame(self, sender: _End, receiver: _End, flags: int, data: bytes = b"") -> bytes:
        options = _MSS_OPTION if flags & SYN else b""
        segment = struct.pack(
            ">HHIIBBHHH",
            sender.port,
            receiver.port,
            sender.next_sequence,
            receiver.next_sequence if flags & ACK else 0,
            (20 + len(options)) // 4 << 4,
            flags,
            _WINDOW,
            0,
            0,
        )
        segment += options + data
        ends = sender.address.packed + receiver.address.packed
        sum_ = checksum(ends + struct.pack(">HH", 6, len(segment)) + segment)
        segment = segment[:16] + struct.pack(">H", sum_) + segment[18:]
        self._identification = (self._identification + 1) & 0xFFFF
        header = struct.pack(
            ">BBHHHBBH", 0x45, 0, 20 + len(segment), self._identification, 0x4000, 64, 6, 0
        )
        header += ends
        header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
        return receiver.mac + sender.mac + b"\x08\x00" + header + segment


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _mac(address: IPv4Address) -> bytes:
    return b"\x02\x00" + address.packed  # locally administered
