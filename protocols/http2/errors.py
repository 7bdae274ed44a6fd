"""Error codes of RFC 9113 §7 and the two ways in which a peer can be wrong."""

from typing import Final

NO_ERROR: Final = 0x0
PROTOCOL_ERROR: Final = 0x1
INTERNAL_ERROR: Final = 0x2
FLOW_CONTROL_ERROR: Final = 0x3
SETTINGS_TIMEOUT: Final = 0x4
STREAM_CLOSED: Final = 0x5
FRAME_SIZE_ERROR: Final = 0x6
REFUSED_STREAM: Final = 0x7
CANCEL: Final = 0x8
COMPRESSION_ERROR: Final = 0x9
CONNECT_ERROR: Final = 0xA
ENHANCE_YOUR_CALM: Final = 0xB
INADEQUATE_SECURITY: Final = 0xC
HTTP_1_1_REQUIRED: Final = 0xD


class ConnectionFault(Exception):
    """RFC 9113 §5.4.1: the connection cannot go on; it ends with GOAWAY and `code`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class AbuseFault(ConnectionFault):
    """A limit of ours was passed: ENHANCE_YOUR_CALM. `reason` is the name of its counter."""

    def __init__(self, reason: str) -> None:
        super().__init__(ENHANCE_YOUR_CALM, reason)


class MalformedRequest(Exception):
    """RFC 9113 §8.1.1: the request is no HTTP message; a stream error PROTOCOL_ERROR."""


class WrongAuthority(MalformedRequest):
    """RFC 9113 §8.3.1: Host contradicts `:authority`, or comes twice; answered 400."""
