"""Which host names a connection may be asked for, and who a request is for (RFC 9110 §7.4).

A request for a name that the connection does not stand for is misdirected (RFC 9110 §15.5.20,
RFC 9113 §9.1.2): a client may use a connection for several names, if its certificate covers them.
Phones are taken as they are: the name of the handshake is good whatever the certificate says, as
some do not check it, and so is an IP address.
"""

from collections.abc import Container, Iterable
from typing import Final

from protocols.http.authority import host_of, is_address
from protocols.http.message import HttpResponse, text_response

MISDIRECTED: Final = 421
MALFORMED: Final = 400


class AuthorityRefused(Exception):
    """A request for a host that is malformed or not served on its connection.

    Attributes:
        status: 400 or 421.
        reason: one line for a person.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

    def response(self) -> HttpResponse:
        """What the client is told."""
        return text_response(self.status, self.reason)


class CoveredNames:
    """The DNS names of certificates; `*.` covers one label (RFC 6125 §6.4.3)."""

    __slots__ = ("_exact", "_parents")

    def __init__(self, names: Iterable[str]) -> None:
        names = {name.lower().removesuffix(".") for name in names}
        self._parents = frozenset(name[2:] for name in names if name[:2] == "*.")
        self._exact = frozenset(name for name in names if name[:2] != "*.")

    def __contains__(self, host: object) -> bool:
        return host in self._exact or (
            isinstance(host, str) and host.partition(".")[2] in self._parents
        )


def name_of(authority: bytes, server_name: str, covered: Container[str]) -> str:
    """The name by which the tenant of a request is found, lower case, without port.

    That is the host of the request, which is nearly always the name of the handshake; where there
    is none or it is an address, the name of the handshake, empty when there was none either.

    Args:
        authority: `:authority` or Host; empty when the client sent neither.
        server_name: of the handshake (SNI).
        covered: for what else the connection may be used.

    Raises:
        AuthorityRefused: 400 or 421.
    """
    if not authority:
        return server_name
    host = host_of(authority)
    if host is None:
        raise AuthorityRefused(MALFORMED, "the host of the request is malformed")
    if host == server_name or host in covered:
        return host
    if is_address(host):
        return server_name
    raise AuthorityRefused(MISDIRECTED, "this connection does not serve that host")
