"""Frame layer of RFC 9113 §4 and §6: numbers, the header, and the frames that a server writes."""

from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

ACK: Final = 0x01
END_STREAM: Final = 0x01
END_HEADERS: Final = 0x04
PADDED: Final = 0x08
PRIORITIZED: Final = 0x20

HEADER_TABLE_SIZE: Final = 0x1
ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6
NO_RFC7540_PRIORITIES: Final = 0x9  # RFC 9218 §2.1

TABLE_OCTETS: Final = 4_096  # SETTINGS_HEADER_TABLE_SIZE that both sides begin with
HEADER_OCTETS: Final = 9
FRAME_OCTETS: Final = 16_384  # the initial SETTINGS_MAX_FRAME_SIZE, and what we stay with
LARGEST_FRAME_SIZE: Final = (1 << 24) - 1
WINDOW: Final = 65_535  # the initial window of a connection and of a stream
LARGEST_WINDOW: Final = (1 << 31) - 1
LARGEST_STREAM: Final = (1 << 31) - 1

HEADER: Final = Struct(">HBBBL")
"""Length as 16 and 8 bits, type, flags, stream identifier with the reserved bit."""
UINT32: Final = Struct(">L")
SETTING: Final = Struct(">HL")
_RST_STREAM: Final = Struct(">HBBBLL")
_GOAWAY: Final = Struct(">HBBBLLL")
_SERVER_SETTINGS: Final = Struct(">HBBBLHLHLHLHL")


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """A whole frame; `payload` is at most `FRAME_OCTETS`."""
    length = len(payload)
    return HEADER.pack(length >> 8, length & 0xFF, kind, flags, stream_id) + payload


def rst_stream(stream_id: int, code: int) -> bytes:
    """§6.4."""
    return _RST_STREAM.pack(0, 4, RST_STREAM, 0, stream_id, code)


def window_update(stream_id: int, increment: int) -> bytes:
    """§6.9; stream 0 is the connection."""
    return _RST_STREAM.pack(0, 4, WINDOW_UPDATE, 0, stream_id, increment)


def goaway(last_stream: int, code: int) -> bytes:
    """§6.8, without debug data."""
    return _GOAWAY.pack(0, 8, GOAWAY, 0, 0, last_stream, code)


def server_settings(max_streams: int, initial_window: int, max_header_octets: int) -> bytes:
    """§6.5: the one SETTINGS frame that we send, 33 octets. Priorities are not used (RFC 9218)."""
    return _SERVER_SETTINGS.pack(
        0,
        24,
        SETTINGS,
        0,
        0,
        MAX_CONCURRENT_STREAMS,
        max_streams,
        INITIAL_WINDOW_SIZE,
        initial_window,
        MAX_HEADER_LIST_SIZE,
        max_header_octets,
        NO_RFC7540_PRIORITIES,
        1,
    )


SETTINGS_ACK: Final = frame(SETTINGS, ACK, 0)
