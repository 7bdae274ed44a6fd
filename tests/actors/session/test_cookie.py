"""The sealed session cookie."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.session.cookie import CookieSeal, ResumePoint

KEY, OLD_KEY = b"k" * 32, b"o" * 32
NONCE = b"n" * 12

POINT = ResumePoint(
    expires=1_790_000_000,
    owner=7,
    tenant="mno",
    session_id=b"ecs1.epc.mnc001.mcc001.3gppnetwork.org;1764000000;17;ecs1-17",
    aaa_host=b"aaa1.epc.mnc001.mcc001.3gppnetwork.org",
    aaa_state=b"st\x00\xff01",
    eap_id="0001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org",
    eap_identifier=3,
    eap_type=23,
    version=(12, 0),
    apps=("ap2004", "ap2003", "ap2005"),
    terminal_id="350000000000018",
    app_name="",
)

names = st.one_of(
    st.from_regex(r"[a-z0-9.]{1,20}\.mnc[0-9]{3}\.mcc[0-9]{3}\.3gppnetwork\.org", fullmatch=True),
    st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=";@"), max_size=60
    ),
)
points = st.builds(
    ResumePoint,
    expires=st.integers(100, 2**32 - 1),
    owner=st.integers(0, 2**32 - 1),
    tenant=st.text("abc-", max_size=12),
    session_id=st.builds(
        lambda host, high, low, rest: f"{host};{high};{low}{rest}".encode(),
        names,
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        st.sampled_from(["", ";ecs1-7", ";a;b"]),
    ),
    aaa_host=names.map(str.encode),
    aaa_state=st.binary(max_size=80),
    eap_id=st.one_of(
        names,
        st.builds(lambda u, n: f"{u}@{n}", st.from_regex(r"[0-9]{1,20}", fullmatch=True), names),
    ),
    eap_identifier=st.integers(0, 255),
    eap_type=st.sampled_from([23, 50]),
    version=st.tuples(st.integers(0, 255), st.integers(0, 255)),
    apps=st.lists(st.integers(2000, 2099).map("ap{}".format), max_size=6).map(tuple),
    terminal_id=st.one_of(st.from_regex(r"[0-9]{1,20}", fullmatch=True), st.text(max_size=40)),
    app_name=st.text(max_size=20),
    boost_type=st.one_of(st.none(), st.integers(0, 255)),
)


@given(points)
def test_every_point_opens_as_it_was_sealed(point: ResumePoint) -> None:
    seal = CookieSeal((KEY,))
    cookie = seal.seal(point, NONCE)
    assert seal.open(cookie, now=0) == point
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cookie)
    assert len(cookie) % 4 == 0


def test_a_usual_cookie_is_short() -> None:
    assert len(CookieSeal((KEY,)).seal(POINT, NONCE)) <= 280


def test_an_expired_cookie_does_not_open() -> None:
    seal = CookieSeal((KEY,))
    cookie = seal.seal(POINT, NONCE)
    assert seal.open(cookie, now=POINT.expires) == POINT
    assert seal.open(cookie, now=POINT.expires + 1) is None


def test_after_a_rotation_old_cookies_open_and_new_ones_use_the_new_key() -> None:
    old = CookieSeal((OLD_KEY,)).seal(POINT, NONCE)
    rotated = CookieSeal((KEY, OLD_KEY))
    assert rotated.open(old, now=0) == POINT
    assert CookieSeal((KEY,)).open(rotated.seal(POINT, NONCE), now=0) == POINT
    assert CookieSeal((KEY,)).open(old, now=0) is None


@pytest.mark.parametrize("position", [0, 30, -1])
def test_a_changed_cookie_does_not_open(position: int) -> None:
    seal = CookieSeal((KEY,))
    symbols = list(seal.seal(POINT, NONCE))
    symbols[position] = "4" if symbols[position] != "4" else "5"
    # The last symbol may be the padding, which is not sealed: then the point is the same one.
    assert seal.open("".join(symbols), now=0) in (None, POINT)
    assert position == -1 or seal.open("".join(symbols), now=0) is None


@given(st.text(max_size=300))
def test_garbage_does_not_open(cookie: str) -> None:
    assert CookieSeal((KEY,)).open(cookie, now=0) is None
