"""What can be wrong with Diameter octets, and the result code each fault deserves.

Source: RFC 6733 §7.1. `RemoteError` is the only class that decoding raises. `LocalError` is a bug
of ours.
"""

from protocols.diameter import numbers


class RemoteError(Exception):
    """The other side broke the protocol.

    Attributes:
        result_code: what to answer a request with.
        failed_avp: the offending AVP, encoded, for Failed-AVP; empty when no AVP is to blame.
    """

    def __init__(self, text: str, result_code: int, failed_avp: bytes = b"") -> None:
        super().__init__(text)
        self.result_code = result_code
        self.failed_avp = failed_avp


class FrameError(RemoteError):
    """The stream has lost its message boundaries (or never had any): only closing helps."""

    def __init__(self, text: str, result_code: int = numbers.INVALID_MESSAGE_LENGTH) -> None:
        super().__init__(text, result_code)


class DecodeError(RemoteError):
    """One message whose boundaries are sound cannot be read."""


class LocalError(Exception):
    """A value that we wanted to send does not fit its AVP, or a message is misused."""
