"""Who reports: from a client certificate to the SM-DP+ of a tenant, and its dialect.

Source: GSMA SGP.22 §2.6.6: "Sender authentication relies solely on the TLS certificate". TLS has
checked that some trusted authority issued it; here it must be the one of this very SM-DP+, so that
no vendor can report for another.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from actors.backends.smdp_plus import SmdpNotification
from actors.backends.smdp_plus_answers import for_people
from actors.backends.smdp_plus_drivers import Driver, driver_of
from config.model import SmdpPlus, Tenant
from protocols.es2plus.progress import decode_progress
from protocols.es2plus.status_codes import Function, status_class

_REMEMBERED: Final = 256  # certificates; there are as many as SM-DP+ and their successors


class Reporter:
    """One SM-DP+ as the sender of notifications."""

    __slots__ = ("_issuers", "_names", "driver", "name", "tenant")

    def __init__(self, tenant: str, settings: SmdpPlus) -> None:
        """Read its authority's certificates.

        Raises:
            OSError: the file cannot be read.
            ValueError: it holds no certificate.
        """
        self.tenant = tenant
        self.name = settings.name
        self.driver: Driver = driver_of(settings)
        self._names = frozenset(name.lower() for name in settings.notification_names)
        self._issuers = x509.load_pem_x509_certificates(Path(settings.notification_ca).read_bytes())

    @property
    def issuers(self) -> list[x509.Certificate]:
        """The authority's certificates, root and intermediate ones."""
        return self._issuers

    def owns(self, certificate: x509.Certificate) -> bool:
        """Whether the certificate has a name of this SM-DP+ and is from its authority."""
        return bool(self._names & names_of(certificate)) and any(
            _issued(certificate, issuer) for issuer in self._issuers
        )

    def notification(self, body: bytes) -> SmdpNotification:
        """The notification in a body.

        Raises:
            Es2PlusError: there is none.
        """
        info = decode_progress(body)
        status = info.status
        failed = not status.succeeded
        function = Function.HANDLE_DOWNLOAD_PROGRESS_INFO
        return SmdpNotification(
            self.tenant,
            self.name,
            info.iccid,
            self.driver.event(info.point),
            info.point,
            status.succeeded,
            code=status.code if failed else None,
            status_class=status_class(function, status.code) if failed else None,
            message=for_people(status.message),
            profile_type=info.profile_type,
            eid=info.eid,
            imei=info.imei,
            tac=info.tac,
            happened_at=info.happened_at,
            installation=info.installation,
            raw=body,
        )


class Reporters:
    """All SM-DP+ that may report."""

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        """Read the certificates of every SM-DP+ that has a `notification-ca`.

        Raises:
            OSError: a file cannot be read.
            ValueError: a file holds no certificate.
        """
        self._reporters = [
            Reporter(tenant.id, settings)
            for tenant in tenants
            for settings in tenant.smdp_plus
            if settings.notification_ca
        ]
        self._found: dict[tuple[bytes, str], Reporter | None] = {}

    def authorities(self) -> list[x509.Certificate]:
        """Every authority's certificates: what TLS must trust."""
        return [issuer for reporter in self._reporters for issuer in reporter.issuers]

    def find(self, certificate_der: bytes, prefix: str) -> Reporter | None:
        """The SM-DP+ with this certificate that reports under this path prefix.

        Args:
            certificate_der: that TLS has verified.
            prefix: what stands before the standard's path; empty: nothing.
        """
        key = (certificate_der, prefix)
        if key not in self._found:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[key] = self._look_up(certificate_der, prefix)
        return self._found[key]

    def _look_up(self, certificate_der: bytes, prefix: str) -> Reporter | None:
        try:
            certificate = x509.load_der_x509_certificate(certificate_der)
        except ValueError:
            return None
        for reporter in self._reporters:
            if reporter.driver.notification_prefix == prefix and reporter.owns(certificate):
                return reporter
        return None


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """Lower-case names: DNS, URI, registered ids (an OID such as 2.999.10), and the common name."""
    names: set[str] = set()
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        names.add(str(attribute.value).lower())
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return frozenset(names)
    alternatives = extension.value
    names.update(name.lower() for name in alternatives.get_values_for_type(x509.DNSName))
    names.update(
        name.lower() for name in alternatives.get_values_for_type(x509.UniformResourceIdentifier)
    )
    names.update(oid.dotted_string for oid in alternatives.get_values_for_type(x509.RegisteredID))
    return frozenset(names)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
