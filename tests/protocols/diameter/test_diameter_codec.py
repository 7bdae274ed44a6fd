"""Framing, the checks of every length, typed access and values; what malformed octets may do."""

import datetime
import ipaddress
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.checks import find_fault
from protocols.diameter.codec import MAX_DEPTH, Framer, Message, decode
from protocols.diameter.dictionary import BY_KEY, GROUPS, Avp, AvpType
from protocols.diameter.encoding import (
    encode_avp,
    encode_message,
    encode_u32,
    with_hop_by_hop,
    with_retransmit_flag,
)
from protocols.diameter.errors import DecodeError, FrameError, LocalError, RemoteError
from protocols.diameter.identifiers import Counter32, SessionIds, end_to_end_identifiers
from protocols.diameter.messages import Origin, build_dwr

DWR = build_dwr(Origin("ecs1.example", "example", 7), 1, 2)


def message(*avps: bytes, flags: int = numbers.FLAG_REQUEST) -> bytes:
    return encode_message(flags, numbers.DEVICE_WATCHDOG, 0, 1, 2, b"".join(avps))


# --- frames -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (bytes(20), "version 0"),
        (b"\x01" + bytes(19), "message length 0"),
        (b"\x01\x00\x00\x08" + bytes(16), "message length 8"),
        (b"\x01\xff\xff\xff" + bytes(16), "message length 16777215"),
        (b"\x01\x00\x00\x15" + bytes(17), "message length 21"),
        (b"\x02\x00\x00\x14" + bytes(16), "version 2"),
    ],
)
def test_a_bad_header_loses_the_stream(first: bytes, reason: str) -> None:
    with pytest.raises(FrameError, match=reason):
        Framer().cut(first)
    with pytest.raises(FrameError, match=reason):
        decode(first)


def test_the_limit_is_inclusive() -> None:
    assert Framer(len(DWR)).cut(DWR) == [DWR]
    with pytest.raises(FrameError, match="message length"):
        Framer(len(DWR) - 4).cut(DWR)


def test_half_a_message_or_two_are_not_one() -> None:
    for raw in (DWR[:-4], DWR + DWR, b"", b"\x01"):
        with pytest.raises(FrameError):
            decode(raw)


def test_a_stream_in_single_octets_gives_the_same_messages() -> None:
    framer = Framer()
    got = [raw for octet in DWR * 3 for raw in framer.cut(bytes((octet,)))]
    assert got == [DWR] * 3
    assert framer.waiting == 0


@given(st.lists(st.integers(1, 400), max_size=20), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_a_stream_cut_anywhere_gives_the_same_messages(cuts: list[int], count: int) -> None:
    framer, stream, got = Framer(), DWR * count, []
    for size in [*cuts, len(stream)]:
        got += framer.cut(stream[:size])
        stream = stream[size:]
    assert got == [DWR] * count


# --- AVPs ---------------------------------------------------------------------------------------


def avp_header(code: int, flags: int, length: int, *rest: bytes) -> bytes:
    return struct.pack(">II", code, flags << 24 | length) + b"".join(rest)


@pytest.mark.parametrize(
    "avp",
    [
        avp_header(1, 0x40, 0),
        avp_header(1, 0x40, 7),
        avp_header(1, 0x40, 9),
        avp_header(1, 0x40, 0xFFFFFF),
        avp_header(1, 0x40, 12, b"ab\0\0", b"\0\0\0\0") + avp_header(1, 0x40, 9),
        avp_header(1032, 0x80, 11, b"\0\0\x28\xaf"),
        avp_header(1032, 0x80, 8),
        avp_header(1, 0x40, 8)[:4],
    ],
)
def test_a_bad_avp_length_is_5014(avp: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(message(avp))
    assert caught.value.result_code == numbers.INVALID_AVP_LENGTH


def test_a_bad_avp_length_names_the_avp() -> None:
    with pytest.raises(DecodeError) as caught:
        decode(message(avp_header(d.RESULT_CODE.code, 0x40, 100)))
    failed = decode(message(caught.value.failed_avp))
    assert failed.u32(d.RESULT_CODE) == 0


def test_an_empty_avp_is_sound() -> None:
    assert decode(message(avp_header(24, 0x40, 8))).octets(d.STATE) == b""


def test_a_vendor_field_of_zero_is_no_vendor() -> None:
    raw = message(avp_header(24, 0xC0, 13, bytes(4), b"x\0\0\0"))
    assert decode(raw).octets(d.STATE) == b"x"


def test_repeated_avps_keep_their_order() -> None:
    raw = message(*(encode_u32(d.SUPPORTED_VENDOR_ID, number) for number in (3, 1, 2)))
    decoded = decode(raw)
    assert [int.from_bytes(data, "big") for data in decoded.all(d.SUPPORTED_VENDOR_ID)] == [3, 1, 2]
    assert decoded.u32(d.SUPPORTED_VENDOR_ID) == 3
    assert decoded.all(d.STATE) == []


def test_a_group_may_leave_out_its_last_padding() -> None:
    members = encode_avp(d.PROXY_HOST, "a.b") + encode_avp(d.PROXY_STATE, b"x").rstrip(b"\0")
    group = decode(message(encode_avp(d.PROXY_INFO, members))).group(d.PROXY_INFO)
    assert group is not None
    assert group.octets(d.PROXY_STATE) == b"x"


def nested(depth: int) -> bytes:
    avp = encode_avp(d.STATE, b"deep")
    for _ in range(depth):
        avp = encode_avp(d.FAILED_AVP, avp)
    return message(avp, encode_avp(d.ORIGIN_HOST, "a"), encode_avp(d.ORIGIN_REALM, "b"))


def test_groups_nest_up_to_the_limit() -> None:
    assert find_fault(decode(nested(MAX_DEPTH))) is None
    with pytest.raises(DecodeError, match="too deeply"):
        find_fault(decode(nested(MAX_DEPTH + 1)))


def test_a_member_of_a_group_may_not_leave_it() -> None:
    raw = message(encode_avp(d.FAILED_AVP, avp_header(1, 0x40, 100)), bytes(0))
    with pytest.raises(DecodeError):
        decode(raw).group(d.FAILED_AVP)
    with pytest.raises(DecodeError):
        find_fault(decode(raw))


@pytest.mark.parametrize("row", [d.RESULT_CODE, d.AUTH_SESSION_STATE, d.OC_FEATURE_VECTOR])
@pytest.mark.parametrize("size", [0, 1, 3, 5, 7, 9, 16])
def test_a_number_of_the_wrong_size_is_5014(row: Avp, size: int) -> None:
    raw = message(avp_header(row.code, row.flags, 8 + size, bytes(size), bytes(-size & 3)))
    decoded = decode(raw)
    read = {
        AvpType.UNSIGNED32: decoded.u32,
        AvpType.ENUMERATED: decoded.i32,
        AvpType.UNSIGNED64: decoded.u64,
    }[row.type]
    for reader in (read, decoded.value):
        with pytest.raises(DecodeError) as caught:
            reader(row)
        assert caught.value.result_code == numbers.INVALID_AVP_LENGTH
    assert decoded.octets(row) == bytes(size)


def test_a_text_that_is_not_utf8_is_5004() -> None:
    decoded = decode(message(avp_header(1, 0x40, 10, b"\xff\xfe\0\0")))
    for reader in (decoded.text, decoded.value):
        with pytest.raises(DecodeError) as caught:
            reader(d.USER_NAME)
        assert caught.value.result_code == numbers.INVALID_AVP_VALUE
        assert caught.value.failed_avp == avp_header(1, 0x40, 10, b"\xff\xfe\0\0")


def test_a_bad_address_is_5004() -> None:
    for data in (b"", b"\0", b"\0\1abc", b"\0\2abcd"):
        raw = message(avp_header(257, 0x40, 8 + len(data), data, bytes(-len(data) & 3)))
        with pytest.raises(DecodeError):
            decode(raw).value(d.HOST_IP_ADDRESS)


def test_absent_avps_are_none() -> None:
    empty = decode(message())
    assert empty.u32(d.RESULT_CODE) is None
    assert empty.i32(d.RAT_TYPE) is None
    assert empty.u64(d.LOAD_VALUE) is None
    assert empty.text(d.USER_NAME) is None
    assert empty.octets(d.STATE) is None
    assert empty.group(d.LOAD) is None
    assert empty.groups(d.LOAD) == []
    assert empty.value(d.USER_NAME) is None
    assert list(empty) == []


def test_a_request_with_the_e_bit_is_3008() -> None:
    with pytest.raises(DecodeError) as caught:
        decode(message(flags=numbers.FLAG_REQUEST | numbers.FLAG_ERROR))
    assert caught.value.result_code == numbers.INVALID_HDR_BITS


def test_reserved_bits_are_ignored() -> None:
    # RFC 6733 §3: they "MUST be ignored by the receiver".
    assert decode(message(avp_header(24, 0x5F, 8), flags=0x8F)).octets(d.STATE) == b""


def test_an_unknown_avp_is_a_fault_only_with_the_m_bit() -> None:
    raw = message(avp_header(9999, 0x00, 8))
    origin = encode_avp(d.ORIGIN_HOST, "a") + encode_avp(d.ORIGIN_REALM, "b")
    assert find_fault(decode(message(origin, avp_header(9999, 0x00, 8)))) is None
    fault = find_fault(decode(message(origin, avp_header(9999, 0x40, 8))))
    assert fault is not None
    assert fault.result_code == numbers.AVP_UNSUPPORTED
    assert fault.failed_avp == avp_header(9999, 0x40, 8)
    missing = find_fault(decode(raw))
    assert missing is not None
    assert missing.result_code == numbers.MISSING_AVP
    assert missing.failed_avp == avp_header(d.ORIGIN_HOST.code, 0x40, 8)


def test_identifiers_and_the_t_bit_are_patched_in_place() -> None:
    patched = decode(with_retransmit_flag(with_hop_by_hop(DWR, 0xFFFFFFFF)))
    assert patched.hop_by_hop == 0xFFFFFFFF
    assert patched.end_to_end == 2
    assert patched.is_retransmitted
    assert patched.raw[20:] == DWR[20:]


# --- values -------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
VALUES: dict[AvpType, st.SearchStrategy[object]] = {
    AvpType.OCTET_STRING: st.binary(max_size=40),
    AvpType.UTF8_STRING: TEXT,
    AvpType.DIAMETER_IDENTITY: TEXT,
    AvpType.DIAMETER_URI: TEXT,
    AvpType.INTEGER32: st.integers(-(2**31), 2**31 - 1),
    AvpType.ENUMERATED: st.integers(-(2**31), 2**31 - 1),
    AvpType.INTEGER64: st.integers(-(2**63), 2**63 - 1),
    AvpType.UNSIGNED32: st.integers(0, 2**32 - 1),
    AvpType.UNSIGNED64: st.integers(0, 2**64 - 1),
    AvpType.FLOAT32: st.floats(width=32, allow_nan=False),
    AvpType.FLOAT64: st.floats(allow_nan=False),
    AvpType.ADDRESS: st.one_of(
        st.ip_addresses(v=4), st.ip_addresses(v=6), st.tuples(st.integers(3, 9), st.binary())
    ),
    AvpType.TIME: st.datetimes(
        datetime.datetime(1970, 1, 1),
        datetime.datetime(2103, 1, 1),
        timezones=st.just(datetime.UTC),
    ).map(lambda when: when.replace(microsecond=0)),
}
SYNTHETIC = [
    Avp(60_000 + at, kind.name, kind, mandatory, vendor)
    for at, (kind, mandatory, vendor) in enumerate(
        (kind, mandatory, vendor)
        for kind in AvpType
        if kind is not AvpType.GROUPED
        for mandatory in (False, True)
        for vendor in (0, 10415)
    )
]
ROWS = [row for row in BY_KEY.values() if row.type is not AvpType.GROUPED] + SYNTHETIC


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_every_value_reads_back(data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.sampled_from(ROWS), unique_by=lambda row: row.key, max_size=6))
    members = [(row, data.draw(VALUES[row.type])) for row in rows]
    holder = Avp(60_999, "Holder", AvpType.GROUPED, True)
    raw = message(encode_avp(holder, members), *(encode_avp(*member) for member in members))
    assert len(raw) % 4 == 0
    decoded = decode(raw)
    group = decoded.value(holder)
    for row, value in members:
        assert decoded.value(row) == value
        assert group.value(row) == value
        raw_avp = next(avp for avp in decoded if avp.key == row.key)
        assert raw_avp.flags == row.flags
        assert raw_avp.encode() == encode_avp(row, value)


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (d.RESULT_CODE, -1),
        (d.RESULT_CODE, 2**32),
        (d.RESULT_CODE, "1"),
        (d.RAT_TYPE, 2**31),
        (d.STATE, "text"),
        (d.STATE, 5),
        (d.HOST_IP_ADDRESS, "nowhere"),
        (d.HOST_IP_ADDRESS, 7),
        (d.USER_LOCATION_INFO_TIME, 7),
        (d.USER_LOCATION_INFO_TIME, datetime.datetime(2026, 1, 1)),
        (d.LOAD, 7),
        (d.STATE, bytes(0xFFFFFF)),
    ],
)
def test_a_value_that_does_not_fit_is_our_own_error(row: Avp, value: object) -> None:
    with pytest.raises(LocalError):
        encode_avp(row, value)


def test_times_go_on_after_2036() -> None:
    when = datetime.datetime(2040, 1, 1, tzinfo=datetime.UTC)
    raw = message(encode_avp(d.USER_LOCATION_INFO_TIME, when))
    assert decode(raw).value(d.USER_LOCATION_INFO_TIME) == when


def test_an_address_may_be_given_as_text() -> None:
    raw = message(encode_avp(d.HOST_IP_ADDRESS, "2001:db8::1"))
    assert decode(raw).value(d.HOST_IP_ADDRESS) == ipaddress.ip_address("2001:db8::1")


# --- the table ----------------------------------------------------------------------------------


def test_the_table_names_every_avp_once() -> None:
    assert len(BY_KEY) == len(d.BY_NAME)
    assert BY_KEY[10415 << 32 | 1032] is d.RAT_TYPE
    assert all(BY_KEY[key].type is AvpType.GROUPED for key in GROUPS)
    assert all(BY_KEY[row.key] is row for members in GROUPS.values() for row in members)


def test_identifiers_wrap_and_name_the_start() -> None:
    counter = Counter32(0xFFFFFFFF)
    assert [counter.next(), counter.next()] == [0xFFFFFFFF, 0]
    end_to_end = end_to_end_identifiers(0x12345ABC, 0xFFFFFF01)
    assert end_to_end.next() == 0xABC << 20 | 0xFFF01
    ids = SessionIds("ecs1.example", 1_764_000_000)
    assert ids.next("ecs1-42") == b"ecs1.example;1764000000;1;ecs1-42"
    assert ids.next() == b"ecs1.example;1764000000;2"


# --- bounded fuzzing ----------------------------------------------------------------------------


def read_or_refuse(raw: bytes) -> int:
    """Read all there is to read; the result code of the refusal, or success."""
    try:
        read_everything(raw)
    except RemoteError as error:
        return error.result_code
    return numbers.SUCCESS


def read_everything(raw: bytes) -> None:
    for decoded in (decode(part) for part in Framer(4096).cut(raw)):
        assert isinstance(decoded, Message)
        for avp in decoded:
            row = BY_KEY.get(avp.key)
            if row is not None:
                decoded.value(row)
        find_fault(decoded)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_random_octets_are_read_or_refused(raw: bytes) -> None:
    assert 2001 <= read_or_refuse(raw) < 6000


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_spoilt_message_is_read_or_refused(data: st.DataObject) -> None:
    members = [
        encode_avp(d.SESSION_ID, "a;1;2"),
        encode_avp(d.ORIGIN_HOST, "ecs1.example"),
        encode_avp(d.EXPERIMENTAL_RESULT, ((d.VENDOR_ID, 10415), (d.EXPERIMENTAL_RESULT_CODE, 1))),
        encode_avp(d.HOST_IP_ADDRESS, "127.0.0.1"),
        encode_avp(d.RAT_TYPE, 0),
        encode_avp(d.OC_OLR, ((d.OC_SEQUENCE_NUMBER, 1), (d.OC_REPORT_TYPE, 0))),
    ]
    raw = bytearray(message(*data.draw(st.permutations(members))))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(raw)))
    assert 2001 <= read_or_refuse(bytes(raw[:end])) < 6000


def test_a_session_counter_that_is_full_moves_the_high_part() -> None:
    ids = SessionIds("ecs1.example", 5)
    ids._count = 0xFFFFFFFF
    assert ids.next() == b"ecs1.example;6;1"
