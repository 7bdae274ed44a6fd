"""The host in Host and `:authority`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.http.authority import host_of, is_address


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        (b"aes.example", "aes.example"),
        (b"AES.Example:443", "aes.example"),
        (b"aes.example.:9014", "aes.example"),
        (b"aes.example:", "aes.example"),
        (b"a_b-c~d.example", "a_b-c~d.example"),
        (b"127.0.0.1:8443", "127.0.0.1"),
        (b"[::1]", "[::1]"),
        (b"[2001:DB8:0::1]:443", "[2001:db8::1]"),
        (b"x" * 255, "x" * 255),
    ],
)
def test_hosts(authority: bytes, host: str) -> None:
    assert host_of(authority) == host


@pytest.mark.parametrize(
    "authority",
    [
        b"",
        b".",
        b":443",
        b"user@aes.example",
        b"aes.example/",
        b"aes.example?x",
        b"aes example",
        b"aes.example:https",
        b"aes.example:-1",
        b"aes.example:443:443",
        b"aes.example:123456",
        b"a,b c",
        b"a\x00b",
        b"caf\xc3\xa9.example",
        b"::1",
        b"[::1",
        b"[::1]x",
        b"[::1]:x",
        b"[::g]",
        b"[127.0.0.1]",
        b"[]",
        b"x" * 256,
    ],
)
def test_what_is_no_host(authority: bytes) -> None:
    assert host_of(authority) is None


@given(st.binary(max_size=20))
def test_anything_is_a_host_or_none(authority: bytes) -> None:
    host = host_of(authority)
    if host is not None:
        assert host_of(host.encode()) == host
        assert host == host.lower()
        is_address(host)


def test_addresses_are_told_from_names() -> None:
    assert is_address("127.0.0.1")
    assert is_address("[::1]")
    assert not is_address("127.0.0.1.example")
    assert not is_address("1.2.3")
