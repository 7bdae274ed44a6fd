"""Bodies under gzip and deflate: decoded within bounds, refused by status otherwise."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.http.content_coding import CodingRefused, decoded

LIMIT = 32_768
TEXT = b'{"app":"ap2004","terminal_id":"351234567890123"}' * 3


def refused(body: bytes, coding: bytes, limit: int = LIMIT) -> int:
    with pytest.raises(CodingRefused) as caught:
        decoded(body, coding, limit)
    assert caught.value.response().status == caught.value.status
    return caught.value.status


@pytest.mark.parametrize("coding", [b"gzip", b"GZIP", b" x-gzip ", b"identity, gzip", b",gzip,"])
def test_gzip_is_decoded(coding: bytes) -> None:
    assert decoded(gzip.compress(TEXT), coding, LIMIT) == TEXT


def test_deflate_is_the_zlib_format() -> None:
    assert decoded(zlib.compress(TEXT), b"deflate", LIMIT) == TEXT


@pytest.mark.parametrize("coding", [b"identity", b"Identity, identity", b"", b","])
def test_identity_leaves_the_body_alone(coding: bytes) -> None:
    assert decoded(TEXT, coding, LIMIT) == TEXT


def test_several_members_are_one_body() -> None:
    assert decoded(gzip.compress(b"a") + gzip.compress(b"b"), b"gzip", LIMIT) == b"ab"
    assert refused(gzip.compress(b"a") * 5, b"gzip") == 400


@given(st.binary(max_size=3_000), st.sampled_from([b"gzip", b"deflate"]))
def test_what_was_compressed_comes_back(body: bytes, coding: bytes) -> None:
    sent = gzip.compress(body) if coding == b"gzip" else zlib.compress(body)
    assert decoded(sent, coding, 3_000) == body


def test_the_limit_is_that_of_the_decoded_octets() -> None:
    body = bytes(range(256)) * 4
    assert decoded(gzip.compress(body), b"gzip", 1_024) == body
    assert refused(gzip.compress(body), b"gzip", 1_023) == 413


@pytest.mark.parametrize(
    "bomb",
    [
        gzip.compress(bytes(10_000_000)),
        gzip.compress(bytes(20_000)),  # within the limit, but nobody's JSON
        gzip.compress(bytes(4_000)) * 3 + gzip.compress(bytes(10_000_000)),
        gzip.compress(bytes(LIMIT)) + gzip.compress(b"x"),
    ],
)
def test_a_bomb_is_413_and_costs_its_limit(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        assert refused(bomb, b"gzip") == 413
        assert tracemalloc.get_traced_memory()[1] < 10 * LIMIT
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [
        TEXT,
        gzip.compress(TEXT)[:-1],
        gzip.compress(TEXT)[:12],
        gzip.compress(TEXT)[:-8] + bytes(8),
        gzip.compress(TEXT) + b"trailing",
        zlib.compress(TEXT),
        b"\x1f",
    ],
)
def test_malformed_gzip_is_400(body: bytes) -> None:
    assert refused(body, b"gzip") == 400


@given(st.binary(max_size=200), st.sampled_from([b"gzip", b"deflate"]))
def test_garbage_is_decoded_or_refused(garbage: bytes, coding: bytes) -> None:
    status = 200
    try:
        assert len(decoded(garbage, coding, LIMIT)) <= LIMIT
    except CodingRefused as error:
        status = error.status
    assert status in (200, 400, 413)


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip, gzip", b"gzip, br", b"compress", b"*"])
def test_an_unknown_coding_is_415_and_says_what_is_known(coding: bytes) -> None:
    with pytest.raises(CodingRefused) as caught:
        decoded(gzip.compress(TEXT), coding, LIMIT)
    response = caught.value.response()
    assert response.status == 415
    assert response.header(b"accept-encoding") == b"gzip, deflate"
