"""A lab's certificate authority that issues to servers and clients, for mutual TLS."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True, slots=True)
class Credential:
    """A chain and its key, as files."""

    chain: Path
    key: Path


class Authority:
    """One certificate authority (ECDSA P-256, as SGP.22 §2.6.6 wants it)."""

    def __init__(self, folder: Path, name: str = "ES2 lab CA") -> None:
        """Make it; `ca` is the file that others trust."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            _builder(self._name, self._name, self._key.public_key(), now, 3650)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, name: str, *, hosts: tuple[str, ...] = (), days: float = 365.0, oid: str = ""
    ) -> Credential:
        """A certificate for a server and a client alike.

        Args:
            name: common name, and the name of the files.
            hosts: DNS names and addresses; without any the common name is the DNS name.
            days: until it expires; below zero: it has expired.
            oid: a registered id, as SGP.22's certificates have.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names: list[x509.GeneralName] = [_general(host) for host in hosts or (name,)]
        if oid:
            names.append(x509.RegisteredID(x509.ObjectIdentifier(oid)))
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            _builder(subject, self._name, key.public_key(), now, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        made = Credential(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        made.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        made.key.touch(mode=0o600)
        made.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return made


def certificates(folder: Path) -> tuple[Credential, Path]:
    """Make an authority and what it issues to all sides, when the folder has none.

    Returns:
        The SM-DP+'s own, and the authority's certificate.
    """
    own = Credential(folder / "dp1.pem", folder / "dp1.key")
    if not (folder / "ca.pem").exists():
        authority = Authority(folder)
        local = ("localhost", "127.0.0.1")
        authority.issue("dp1", hosts=("dp1.lab", *local))
        authority.issue("operator", hosts=("operator.lab",))
        authority.issue("partner", hosts=("partner.lab", *local))
    return own, folder / "ca.pem"


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    days: float,
) -> x509.CertificateBuilder:
    end = now + datetime.timedelta(days=days)
    begin = min(now, end) - datetime.timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
