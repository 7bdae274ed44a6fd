"""The host name in a TLS ClientHello, read without beginning the handshake.

Source: RFC 8446 §4.1.2 and §5.1, RFC 6066 §3 (server_name). Under overload a connection is admitted
or closed by whose host it asks for, before it costs anything else; what cannot be read, because it
is fragmented, incomplete or no TLS at all, has no name, and is no error here.
"""

from typing import Final

_HANDSHAKE: Final = 22  # content type of the record
_CLIENT_HELLO: Final = 1
_RECORD_HEADER: Final = 5
_BEFORE_SESSION_ID: Final = _RECORD_HEADER + 4 + 2 + 32  # message header, version, random
_SERVER_NAME: Final = 0
_HOST_NAME: Final = 0


def server_name(octets: bytes) -> str:
    """The host asked for, lower case; empty when there is none, or it cannot be told.

    Args:
        octets: the first that came on the connection.
    """
    try:
        if octets[0] != _HANDSHAKE or octets[_RECORD_HEADER] != _CLIENT_HELLO:
            return ""
        at = _BEFORE_SESSION_ID
        at += 1 + octets[at]  # legacy_session_id
        at += 2 + (octets[at] << 8 | octets[at + 1])  # cipher_suites
        at += 1 + octets[at]  # legacy_compression_methods
        end = at + 2 + (octets[at] << 8 | octets[at + 1])
        at += 2
        while at < end:
            kind = octets[at] << 8 | octets[at + 1]
            size = octets[at + 2] << 8 | octets[at + 3]
            if kind == _SERVER_NAME:
                return _first_name(octets[at + 4 : at + 4 + size])
            at += 4 + size
    except IndexError:  # the rest has not come
        return ""
    return ""


def _first_name(extension: bytes) -> str:
    """Of a server_name extension; there is one name at most in practice and by RFC 6066."""
    size = extension[3] << 8 | extension[4]
    name = extension[5 : 5 + size]
    if extension[2] != _HOST_NAME or len(name) != size or not name.isascii():
        return ""
    return name.decode().lower()
