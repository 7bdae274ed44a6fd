"""HPACK against RFC 7541's own examples and against the `hpack` library, in both directions."""

import hpack
import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.table import HeaderTable
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.http2 import huffman
from protocols.http2.errors import COMPRESSION_ERROR, ConnectionFault
from protocols.http2.hpack_decoder import HpackDecoder, read_integer
from protocols.http2.hpack_encoder import (
    encode_content_length,
    encode_field,
    encode_fields,
    encode_integer,
    encode_start,
    encode_string,
)
from protocols.http2.huffman_code import CODE_LENGTHS, canonical_codes
from protocols.http2.huffman_deflate import inflate
from protocols.http2.static_table import STATIC_TABLE

HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
NAMES = st.sampled_from([b":path", b"cookie", b"x-a", b"x-b", b"user-agent", b"authorization"])
VALUES = st.one_of(st.binary(max_size=40), st.text(max_size=200).map(str.encode))
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=12)


def decode_or_refuse(decoder: HpackDecoder, block: bytes) -> list[tuple[bytes, bytes]] | None:
    """None for a compression error; no other exception may come out."""
    try:
        return decoder.decode(block)
    except ConnectionFault as fault:
        if fault.code != COMPRESSION_ERROR:
            raise
        return None


def test_the_static_table_is_that_of_the_standard() -> None:
    assert STATIC_TABLE[1:] == HeaderTable.STATIC_TABLE


def test_the_codes_are_those_of_appendix_b() -> None:
    codes = canonical_codes(CODE_LENGTHS)
    assert codes == list(zip(REQUEST_CODES, REQUEST_CODES_LENGTH, strict=True))


def test_every_octet_is_decoded() -> None:
    everything = bytes(range(256))
    assert huffman.decode(HUFFMAN.encode(everything)) == everything
    for octet in range(256):
        assert huffman.decode(HUFFMAN.encode(bytes((octet,)) * 3)) == bytes((octet,)) * 3


@given(st.one_of(st.binary(max_size=300), st.text(max_size=100).map(str.encode)))
def test_huffman_decoding_agrees_with_hpack(text: bytes) -> None:
    assert huffman.decode(HUFFMAN.encode(text)) == text


def by_octets(data: bytes) -> bytes | None:
    try:
        return huffman.decode_by_octets(data)
    except huffman.HuffmanError:
        return None


TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60).map(str.encode)


@settings(max_examples=300)
@given(TEXTS, st.binary(max_size=3), st.binary(max_size=3), st.integers(0, 24))
def test_zlib_and_the_automaton_agree_on_every_end_of_a_string(
    text: bytes, behind: bytes, other: bytes, cut: int
) -> None:
    """Right and wrong padding, symbols cut off, codes of more than 15 bits, EOS."""
    coded = HUFFMAN.encode(text)
    changed = int.from_bytes(coded, "big") ^ (int.from_bytes(other, "big") & (1 << cut) - 1)
    candidates = [
        coded,
        coded + behind,
        coded[:-1],
        changed.to_bytes(len(coded) + 3, "big")[3:],
        *(coded + b"\xff" * many for many in range(1, 5)),
        HUFFMAN.encode(text + other),
    ]
    for data in candidates:
        if data:
            inflated = inflate(data)
            assert inflated is None or inflated == by_octets(data)


@pytest.mark.parametrize("symbol", range(256))
def test_zlib_decodes_what_is_text(symbol: int) -> None:
    """By symbol and by every length of padding; only a last octet of ones needs another look."""
    for others in range(8):
        text = bytes((symbol,)) * 3 + b"x" * 8 + b"a" * others  # the code of "a" has five bits
        coded = HUFFMAN.encode(text)
        inflated = inflate(coded)
        if CODE_LENGTHS[symbol] > 15 or (inflated is None and coded[-1] == 0xFF):
            assert inflated is None
            assert huffman.decode(coded) == text
        else:
            assert inflated == text


@given(st.binary(min_size=1, max_size=60))
def test_huffman_garbage_is_decoded_as_hpack_does_or_refused_by_both(data: bytes) -> None:
    block = b"\x00\x01x" + encode_integer(len(data), 7, 0x80) + data
    try:
        expected = hpack.Decoder().decode(block, raw=True)
    except hpack.HPACKError:
        with pytest.raises(ConnectionFault):
            HpackDecoder().decode(block)
    else:
        assert HpackDecoder().decode(block) == [tuple(field) for field in expected]


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        # RFC 7541 C.3 and C.4: three requests on one connection, without and with Huffman coding.
        (
            [
                "828684410f7777772e6578616d706c652e636f6d",
                "828684be58086e6f2d6361636865",
                "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
            ],
            164,
        ),
        (
            [
                "828684418cf1e3c2e5f23a6ba0ab90f4ff",
                "828684be5886a8eb10649cbf",
                "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
            ],
            164,
        ),
    ],
)
def test_the_examples_of_appendix_c(blocks: list[str], expected: int) -> None:
    decoder = HpackDecoder()
    first, second, third = [decoder.decode(bytes.fromhex(block)) for block in blocks]
    common = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/")]
    authority = (b":authority", b"www.example.com")
    assert first == [*common, authority]
    assert second == [*common, authority, (b"cache-control", b"no-cache")]
    assert third == [
        common[0],
        (b":scheme", b"https"),
        (b":path", b"/index.html"),
        authority,
        (b"custom-key", b"custom-value"),
    ]
    assert decoder.octets == expected
    assert decoder.entries[-1] == (b"custom-key", b"custom-value")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(FIELDS, st.sampled_from([None, 0, 60, 300, 4_096])), max_size=8))
def test_blocks_of_hpack_are_decoded_on_one_connection(
    rounds: list[tuple[list[tuple[bytes, bytes]], int | None]],
) -> None:
    encoder = hpack.Encoder()
    decoder = HpackDecoder()
    for fields, size in rounds:
        if size is not None:
            encoder.header_table_size = size
        for huffman_coded in (True, False):
            assert decoder.decode(encoder.encode(fields, huffman=huffman_coded)) == fields
            entries = encoder.header_table.dynamic_entries
            assert decoder.entries == [tuple(entry) for entry in reversed(entries)]
            assert decoder.octets == encoder.header_table._current_size


@given(st.binary(max_size=60))
def test_garbage_never_raises_anything_but_a_compression_error(block: bytes) -> None:
    decoder = HpackDecoder()
    decode_or_refuse(decoder, block)
    assert decoder.octets == sum(len(n) + len(v) + 32 for n, v in decoder.entries) <= 4_096


@given(FIELDS, st.integers(0, 100))
def test_a_block_that_is_cut_is_refused_or_a_prefix(
    fields: list[tuple[bytes, bytes]], cut: int
) -> None:
    block = hpack.Encoder().encode(fields)[:cut]
    decoded = decode_or_refuse(HpackDecoder(), block)
    assert decoded is None or decoded == fields[: len(decoded)]


def test_an_entry_larger_than_the_table_empties_it() -> None:
    decoder = HpackDecoder()
    decoder.decode(hpack.Encoder().encode([(b"x-a", b"1")]))
    assert decoder.decode(b"\x40\x01x" + encode_string(b"y" * 4_096)) == [(b"x", b"y" * 4_096)]
    assert (decoder.entries, decoder.octets) == ([], 0)


@given(FIELDS)
def test_the_bound_of_a_list_is_never_too_low(fields: list[tuple[bytes, bytes]]) -> None:
    encoder = hpack.Encoder()
    decoder = HpackDecoder()
    for _ in range(2):
        block = encoder.encode(fields)
        size = sum(len(n) + len(v) + 32 for n, v in decoder.decode(block))
        assert decoder.list_octets(block, fields, 1_000_000) >= size
        assert decoder.list_octets(block, fields, 0) == size


@given(st.integers(0, 1 << 21), st.integers(4, 7))
def test_integers_are_read_as_written(value: int, bits: int) -> None:
    data = encode_integer(value, bits, 0)
    limit = (1 << bits) - 1
    read = (value, 1) if value < limit else read_integer(data, 1, limit)
    assert read == (value, len(data))


def test_the_examples_of_5_1() -> None:
    assert encode_integer(10, 5, 0) == b"\x0a"
    assert encode_integer(1_337, 5, 0) == b"\x1f\x9a\x0a"


@given(
    st.sampled_from([200, 204, 302, 304, 400, 403, 404, 429, 500, 503, 511]),
    st.sampled_from([b"", b"application/json", b"text/vnd.wap.connectivity-xml"]),
    st.integers(0, 100_000),
    st.lists(
        st.tuples(
            st.sampled_from([b"set-cookie", b"cache-control", b"x-own", b"retry-after"]),
            st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=300).map(
                str.encode
            ),
        ),
        max_size=5,
    ),
)
def test_our_blocks_are_understood_by_hpack_and_leave_its_table_empty(
    status: int, content_type: bytes, length: int, fields: list[tuple[bytes, bytes]]
) -> None:
    block = encode_start(status, content_type) + encode_content_length(length)
    block += encode_fields(tuple(fields))
    decoder = hpack.Decoder()
    expected = [(b":status", b"%d" % status)]
    if content_type:
        expected.append((b"content-type", content_type))
    expected += [(b"content-length", b"%d" % length), *fields]
    decoded = decoder.decode(block, raw=True)
    assert decoded == expected
    assert [f.indexable for f in decoded if f[0] == b"set-cookie"] == [False] * sum(
        name == b"set-cookie" for name, _ in fields
    )
    assert not decoder.header_table.dynamic_entries


def test_the_octets_of_known_fields() -> None:
    assert encode_start(200, b"application/json") == b"\x88\x0f\x10\x10application/json"
    assert encode_start(503, b"") == b"\x08\x03503"
    assert encode_content_length(330) == b"\x0f\x0d\x03330"
    assert encode_field(b"retry-after", b"5") == b"\x0f\x26\x015"
    assert encode_field(b"set-cookie", b"a" * 130) == b"\x1f\x28\x7f\x03" + b"a" * 130


@pytest.mark.parametrize("value", [b"a\r\nb", b"a\n", b"\0"])
def test_a_value_that_would_split_a_response_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="location"):
        encode_field(b"location", value)
