"""Differential test: python-diameter reads what we write and we read what it writes.

Values are compared, not M bits: its dictionary has some of those wrong.
"""

import datetime
import ipaddress

import pytest
from diameter.message import Message as TheirMessage
from diameter.message import avp as their_avp
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import decode
from protocols.diameter.dictionary import BY_KEY, Avp, AvpType
from protocols.diameter.encoding import encode_avp, encode_message

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
SECONDS_2036 = datetime.datetime(2036, 1, 1)
VALUES: dict[AvpType, st.SearchStrategy[object]] = {
    AvpType.OCTET_STRING: st.binary(max_size=40),
    AvpType.UTF8_STRING: TEXT,
    AvpType.DIAMETER_IDENTITY: TEXT,
    AvpType.DIAMETER_URI: TEXT,
    AvpType.ENUMERATED: st.integers(-(2**31), 2**31 - 1),
    AvpType.UNSIGNED32: st.integers(0, 2**32 - 1),
    AvpType.UNSIGNED64: st.integers(0, 2**64 - 1),
    AvpType.ADDRESS: st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)),
    AvpType.TIME: st.datetimes(
        datetime.datetime(1970, 1, 2), SECONDS_2036, timezones=st.just(datetime.UTC)
    ).map(lambda when: when.replace(microsecond=0)),
}
# What is not in its dictionary it cannot give a type to.
ROWS = [
    row
    for row in BY_KEY.values()
    if row.type is not AvpType.GROUPED
    and row.code
    in (
        their_avp.dictionary.AVP_VENDOR_DICTIONARY[row.vendor]
        if row.vendor
        else their_avp.dictionary.AVP_DICTIONARY
    )
]


def normal(value: object) -> object:
    """Their value in our words."""
    if isinstance(value, tuple):
        return ipaddress.ip_address(value[1])
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC)
    return value


def same(row: Avp, ours: object, theirs: object) -> bool:
    theirs = normal(theirs)
    if isinstance(theirs, bytes) and isinstance(ours, str):
        return ours.encode() == theirs
    if isinstance(theirs, str) and isinstance(ours, bytes):
        return ours == theirs.encode()
    if isinstance(theirs, int) and isinstance(ours, int) and theirs != ours:
        # It reads Result-Code and its like as signed numbers.
        return ours - theirs == 1 << 32 and row.type is AvpType.UNSIGNED32
    return bool(ours == theirs)


def test_it_knows_nearly_every_avp_of_our_table() -> None:
    plain = [row for row in BY_KEY.values() if row.type is not AvpType.GROUPED]
    assert len(ROWS) >= len(plain) - 3


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_it_reads_what_we_write(row: Avp, data: st.DataObject) -> None:
    value = data.draw(VALUES[row.type])
    group = encode_avp(d.FAILED_AVP, ((row, value),))
    raw = encode_message(0x80, 9999, numbers.SWM, 1, 2, encode_avp(row, value) + group)
    first, failed = TheirMessage.from_bytes(raw).avps
    assert (first.code, first.vendor_id) == (row.code, row.vendor)
    assert same(row, value, first.value)
    assert same(row, value, failed.value[0].value)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_we_read_what_it_writes(row: Avp, data: st.DataObject) -> None:
    ours = data.draw(VALUES[row.type])
    theirs = their_avp.Avp.new(row.code, row.vendor)
    theirs.payload = encode_avp(row, ours)[12 if row.vendor else 8 :][: _size(row, ours)]
    value = theirs.value
    if isinstance(value, tuple):
        value = value[1]  # it writes the address and works out the family
    theirs.value = value
    message = TheirMessage()
    message.header.command_code = 9999
    message.header.is_request = True
    message.header.application_id = numbers.SWM
    message.header.hop_by_hop_identifier = 7
    message.header.end_to_end_identifier = 8
    message.append_avp(theirs)
    decoded = decode(message.as_bytes())
    assert (decoded.hop_by_hop, decoded.end_to_end) == (7, 8)
    assert decoded.application == numbers.SWM
    assert decoded.value(row) == ours


def _size(row: Avp, value: object) -> int:
    raw = encode_avp(row, value)
    return int.from_bytes(raw[5:8], "big") - (12 if row.vendor else 8)
