"""The host in a ClientHello, as OpenSSL writes it, whole and in pieces."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.tls.client_hello import server_name


def hello(host: str | None, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_name_that_openssl_asks_for_is_read(version: ssl.TLSVersion) -> None:
    assert server_name(hello("AES.mvno.localhost", version=version)) == "aes.mvno.localhost"


def test_a_hello_without_a_name_has_none() -> None:
    assert server_name(hello(None)) == ""


def test_of_a_hello_that_is_cut_anywhere_the_name_is_told_whole_or_not_at_all() -> None:
    whole = hello("aes.example")
    names = {server_name(whole[:size]) for size in range(len(whole) + 1)}
    assert names == {"", "aes.example"}


@given(st.binary(max_size=200))
def test_whatever_comes_is_no_error(octets: bytes) -> None:
    server_name(octets)


@given(st.integers(0, 600), st.integers(0, 255))
def test_a_hello_with_one_wrong_octet_is_no_error(at: int, octet: int) -> None:
    whole = bytearray(hello("aes.example"))
    whole[at % len(whole)] = octet
    assert server_name(bytes(whole)).isascii()
