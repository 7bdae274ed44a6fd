"""The device's side of the EAP relay: a POST with an EAP packet (GSMA TS.43 v12 §2.8.1)."""

import binascii
from collections.abc import Sequence
from typing import Final

from protocols.ts43.cookies import SESSION_COOKIE, find_all
from protocols.ts43.negotiation import DocumentFormat, preferred, read_wishes
from protocols.ts43.request_error import Fault, RequestError

EAP_RELAY_KEY: Final = "eap-relay-packet"
MIN_EAP_OCTETS: Final = 4  # RFC 3748 §4: code, identifier, length


class EapRelayAnswer:
    """An EAP packet from the device; which exchange it belongs to, only its cookie says.

    Attributes:
        session_cookies: values of the session cookie, in the order sent; empty when there is none.
        packet: the EAP packet, at least its header.
        document_format, takes_both_formats, accept_language, accepts_gzip: as in `Ts43Request`.
    """

    __slots__ = (
        "accept_language",
        "accepts_gzip",
        "document_format",
        "packet",
        "session_cookies",
        "takes_both_formats",
    )

    def __init__(self, packet: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
        wishes = read_wishes(headers)
        self.packet = packet
        self.session_cookies = find_all(headers, SESSION_COOKIE)
        self.document_format = wishes.document_format
        self.takes_both_formats = wishes.takes_both_formats
        self.accept_language = wishes.accept_language
        self.accepts_gzip = wishes.accepts_gzip

    def __repr__(self) -> str:
        # Neither the cookie nor the packet: RES and MAC are in it.
        return f"<EapRelayAnswer {len(self.packet)} octets>"

    def format_for(self, prefer_json: bool) -> DocumentFormat:
        """The form of the final document, where the tenant prefers JSON or XML."""
        return preferred(self.document_format, self.takes_both_formats, prefer_json)


def eap_packet(text: object) -> bytes:
    """Decode the base64 of an EAP packet; line ends in it and missing padding are forgiven.

    Raises:
        RequestError: BAD_PACKET.
    """
    if not isinstance(text, str):
        raise RequestError(Fault.BAD_PACKET)
    try:
        packet = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        packet = _forgiving_base64(text)
    if len(packet) < MIN_EAP_OCTETS:
        raise RequestError(Fault.BAD_PACKET)
    return packet


def _forgiving_base64(text: str) -> bytes:
    compact = "".join(text.split()).rstrip("=")
    try:
        return binascii.a2b_base64(compact + "=" * (-len(compact) % 4), strict_mode=True)
    except ValueError:
        raise RequestError(Fault.BAD_PACKET) from None
