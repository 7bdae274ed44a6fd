"""The lab's authority and leaf, as clients and auditors look at them."""

import datetime
import ipaddress
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from node.device.certificates import make_lab_certificates

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_leaf_is_no_authority_and_names_every_host(tmp_path: Path) -> None:
    authority, chain, _ = make_lab_certificates(tmp_path, ["a.example", "b.example"], NOW)
    leaf = certificate(chain)
    extensions = leaf.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical
    assert not basic.value.ca
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example", "b.example", "localhost"]
    assert ipaddress.ip_address("127.0.0.1") in names.get_values_for_type(x509.IPAddress)
    usage = extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert certificate(authority).extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    leaf.verify_directly_issued_by(certificate(authority))


def test_keys_are_ecdsa_p256_and_the_private_one_is_its_owners_alone(tmp_path: Path) -> None:
    authority, chain, key = make_lab_certificates(tmp_path / "new" / "folder", [], NOW)
    for path in (authority, chain):
        public = certificate(path).public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        assert isinstance(public.curve, ec.SECP256R1)
    assert key.stat().st_mode & 0o777 == 0o600


def test_the_validity_begins_before_now_for_clocks_that_are_late(tmp_path: Path) -> None:
    _, chain, _ = make_lab_certificates(tmp_path, [], NOW)
    leaf = certificate(chain)
    assert leaf.not_valid_before_utc < NOW < leaf.not_valid_after_utc
    # Some clients refuse leaves that are valid for more than 398 days.
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc < datetime.timedelta(days=398)


@pytest.mark.interop
def test_openssl_takes_the_chain_strictly(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    now = datetime.datetime.now(datetime.UTC)
    authority, chain, _ = make_lab_certificates(tmp_path, ["a.example"], now)
    strictly = ("-x509_strict", "-purpose", "sslserver", "-verify_hostname", "a.example")
    result = subprocess.run(
        ["openssl", "verify", *strictly, "-CAfile", str(authority), str(chain)],
        capture_output=True,
        check=False,
    )
    assert result.stdout.endswith(b": OK\n"), result
