"""TLS of the device listener: contexts, the choice of a certificate by SNI, reload at run time.

Source: RFC 8446 and RFC 5246 with RFC 9113 §9.2 (what HTTP/2 forbids), RFC 6066 §3 (SNI), RFC 7301
(ALPN). One `SSLContext` per certificate; a connection keeps its own, so a reload drops nobody.
"""

import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, cast

from cryptography import x509

from config.model import Certificate
from node.device.authority import CoveredNames

ALPN: Final = ("h2", "http/1.1")
# RFC 9113 §9.2.2: ephemeral keys and AEAD only. TLS 1.3 suites are not named here.
TLS_1_2_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


class CertificateError(Exception):
    """The certificates cannot be used.

    Attributes:
        problems: every one of them, with the file's name.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class DeviceContext(ssl.SSLContext):
    """What the connections of one certificate share.

    Attributes:
        covered: its names: what a client that asked for one of them may ask for as well.
        all_covered: of every certificate and tenant: a client without SNI could not choose.
    """

    covered: CoveredNames
    all_covered: CoveredNames


class DeviceTls(ssl.SSLObject):
    """One TLS connection and the name that its client asked for."""

    server_name: str = ""  # lower case, empty when the client sent none

    @property
    def covered(self) -> CoveredNames:
        """The names that the connection may be used for besides the one asked for."""
        context = cast("DeviceContext", self.context)
        return context.covered if self.server_name else context.all_covered


@dataclass(frozen=True, slots=True)
class CertificateStatistics:
    """A certificate in use."""

    name: str
    """Its host names, or `default`."""
    expires_in_seconds: float
    """Until the first certificate of its chain expires; negative: expired."""


class ServerCertificates:
    """What new connections are offered."""

    def __init__(self, certificates: Sequence[Certificate], hosts: Iterable[str] = ()) -> None:
        """Load all of them.

        Args:
            certificates: the first without hosts is the default one, else the first.
            hosts: further names that a client without SNI may ask for.

        Raises:
            CertificateError: there is none, or one cannot be used.
        """
        self._context, self._expiries = _load(certificates, hosts)

    def wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> DeviceTls:
        """The server's end of a new connection."""
        wrapped = self._context.wrap_bio(incoming, outgoing, server_side=True)
        return cast("DeviceTls", wrapped)  # `sslobject_class` says so

    def reload(self, certificates: Sequence[Certificate], hosts: Iterable[str] = ()) -> None:
        """Load anew for connections to come.

        Raises:
            CertificateError: one cannot be used; the old ones stay, all of them.
        """
        self._context, self._expiries = _load(certificates, hosts)

    def statistics(self) -> tuple[CertificateStatistics, ...]:
        """Each certificate and how long it lasts."""
        now = time.time()
        return tuple(CertificateStatistics(name, at - now) for name, at in self._expiries.items())


def _load(
    certificates: Sequence[Certificate], hosts: Iterable[str]
) -> tuple[DeviceContext, dict[str, float]]:
    """The default context, which knows the others by host name; (name, wall-clock expiry)."""
    problems: list[str] = []
    by_host: dict[str, DeviceContext] = {}
    names = list(hosts)
    expiries: dict[str, float] = {}
    default: DeviceContext | None = None
    named_default = False
    for certificate in certificates:
        try:
            context, expiry = _context(certificate, names)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            problems.append(f"{certificate.chain} with {certificate.key}: {_reason(error)}")
            continue
        problems.extend(
            f"{certificate.chain}: {host} has a certificate already"
            for host in map(str.lower, certificate.hosts)
            if by_host.setdefault(host, context) is not context
        )
        expiries[", ".join(certificate.hosts) or "default"] = expiry
        if default is None or (not certificate.hosts and not named_default):
            default = context
            named_default = not certificate.hosts
    if default is None and not problems:
        problems.append("no certificate is configured")
    if default is None or problems:
        raise CertificateError(problems)
    # A partial, not a method of ours: contexts of before a reload keep their own names.
    default.sni_callback = partial(_choose, by_host)
    default.all_covered = CoveredNames(names)
    return default, expiries


def _context(certificate: Certificate, names: list[str]) -> tuple[DeviceContext, float]:
    """The context and its expiry; the names of the certificate are added to `names`."""
    context = DeviceContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = DeviceTls
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS_1_2_CIPHERS)
    context.set_alpn_protocols(list(ALPN))
    # A ticket of one worker does not resume on another, and costs a write in each handshake.
    # TLS 1.2 keeps its tickets: without them OpenSSL would hold up to 20,480 sessions in memory.
    context.num_tickets = 0
    # Clients that prefer AES-128 get it: 20 us less per handshake (measured).
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    # A password, so that OpenSSL does not ask the terminal for that of an encrypted key.
    context.load_cert_chain(certificate.chain, certificate.key, password="")
    chain = x509.load_pem_x509_certificates(Path(certificate.chain).read_bytes())
    own = [*certificate.hosts, *_dns_names(chain[0])]
    context.covered = CoveredNames(own)
    names += own
    return context, min(one.not_valid_after_utc.timestamp() for one in chain)


def _dns_names(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.DNSName)


def _choose(
    by_host: Mapping[str, DeviceContext],
    connection: ssl.SSLSocket | ssl.SSLObject,
    name: str | None,
    _default: ssl.SSLContext,
) -> None:
    """RFC 6066 §3: an unknown name gets the default certificate; the client then decides."""
    if name and isinstance(connection, DeviceTls):
        connection.server_name = name = name.lower()
        context = by_host.get(name)
        if context is not None:
            connection.context = context


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
