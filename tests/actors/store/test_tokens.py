"""The form of device tokens and what they are bound to (TOK-27, TOK-29, TOK-30 of the checks)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.store.records import Token, app_scope
from actors.store.tokens import (
    TOKEN_LENGTH,
    TokenFault,
    code_of,
    fault,
    mint,
    owner_key,
    tenant_code,
    token_hash,
)

IMSI = "001010000000001"


def token(**changes: object) -> Token:
    fields: dict[str, object] = {
        "tenant": "mno",
        "imsi": IMSI,
        "terminal_id": "990000862471854",
        "apps": app_scope(("ap2004", "ap2003")),
        "app_name": "ims",
        "method": "eap-aka",
        "issued": 1_000,
        "expires": 2_000,
        "replaced": 0,
        "revoked": 0,
        "generation": 3,
        "diameter_session_id": b"s",
    }
    return Token(**(fields | changes))  # type: ignore[arg-type]


REQUEST: dict[str, object] = {
    "tenant": "mno",
    "imsi": IMSI,
    "terminal_id": "990000862471854",
    "apps": ("ap2003", "ap2004"),
    "app_name": "ims",
    "generation": 3,
    "now": 1_500.0,
}


def judge(given: Token | None, **changes: object) -> TokenFault | None:
    return fault(given, **(REQUEST | changes))  # type: ignore[arg-type]


@given(secret=st.binary(min_size=32, max_size=32), tenant=st.text(min_size=1, max_size=32))
def test_a_token_has_one_length_and_no_character_that_a_client_splits_at(
    secret: bytes, tenant: str
) -> None:
    text = mint(tenant, IMSI, secret)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert len(text) == TOKEN_LENGTH < 4_096
    assert code_of(text) == tenant_code(tenant)


def test_all_256_bits_of_the_secret_are_in_the_token() -> None:
    base = bytes(32)
    seen = {mint("mno", IMSI, base)}
    for bit in range(256):
        changed = (int.from_bytes(base, "big") ^ 1 << bit).to_bytes(32, "big")
        seen.add(mint("mno", IMSI, changed))
    assert len(seen) == 257


def test_a_token_is_not_minted_from_too_little_randomness() -> None:
    with pytest.raises(ValueError, match="32 random octets"):
        mint("mno", IMSI, bytes(31))
    with pytest.raises(ValueError, match="and an owner"):
        mint("mno", IMSI, bytes(32), bytes(7))


@given(owner=st.binary(min_size=8, max_size=8), secret=st.binary(min_size=32, max_size=32))
def test_a_token_says_whose_it_is(owner: bytes, secret: bytes) -> None:
    hashed = token_hash(mint("mno", IMSI, secret, owner))
    assert hashed is not None
    assert hashed[:8] == owner


def test_an_owner_is_told_from_every_other() -> None:
    base = ("mno", IMSI, "990000862471854", ("ap2003", "ap2004"), "ims")
    others = {
        owner_key(*base[:at], other, *base[at + 1 :])  # type: ignore[arg-type]
        for at, other in enumerate(("mvno", "001010000000002", "\udcff", ("ap2003",), ""))
    }
    assert len(others | {owner_key(*base)}) == 6
    assert owner_key(*base[:3], ("ap2004", "ap2003", "ap2004"), "ims") == owner_key(*base)


@pytest.mark.parametrize(
    "text", ["", "x", "é" * TOKEN_LENGTH, "A" * TOKEN_LENGTH, "A" * 5_000, "1" * 50]
)
def test_garbage_has_no_hash_and_needs_no_look_up(text: str) -> None:
    assert token_hash(text) is None
    assert code_of(text) is None


def test_the_hash_is_of_the_whole_token() -> None:
    text = mint("mno", IMSI, bytes(32))
    other = mint("mvno", IMSI, bytes(32))
    assert token_hash(text) != token_hash(other)
    assert len(token_hash(text) or b"") == 8 + 32


def test_a_good_token_has_no_fault() -> None:
    assert judge(token()) is None


def test_a_token_serves_requests_for_fewer_applications() -> None:
    assert judge(token(), apps=("ap2004",)) is None


def test_the_imsi_need_not_be_sent_with_the_token() -> None:
    assert judge(token(), imsi=None, generation=None) is None


@pytest.mark.parametrize(
    ("given", "changes", "expected"),
    [
        (None, {}, TokenFault.UNKNOWN),
        (token(revoked=1_200), {}, TokenFault.REVOKED),
        (token(), {"generation": 4}, TokenFault.REVOKED),
        (token(), {"now": 2_000.0}, TokenFault.EXPIRED),
        (token(), {"tenant": "mvno"}, TokenFault.OTHER_TENANT),
        (token(), {"imsi": "001010000000002"}, TokenFault.OTHER_SUBSCRIBER),
        (token(), {"terminal_id": "990000862471855"}, TokenFault.OTHER_TERMINAL),
        (token(), {"terminal_id": "\udcff"}, TokenFault.OTHER_TERMINAL),
        (token(), {"app_name": "odsa"}, TokenFault.OTHER_APPS),
        (token(), {"apps": ("ap2003", "ap2006")}, TokenFault.OTHER_APPS),
    ],
)
def test_a_token_that_is_not_for_this_request_is_refused(
    given: Token | None, changes: dict[str, object], expected: TokenFault
) -> None:
    assert judge(given, **changes) is expected


def test_no_repr_shows_a_subscriber() -> None:
    assert IMSI not in repr(token())
