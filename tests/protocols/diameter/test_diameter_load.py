"""Load reports (RFC 8583): which are read, what they make of weights, and how they fade."""

import pytest

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Message, decode
from protocols.diameter.encoding import encode_avp, encode_avps, encode_message
from protocols.diameter.load import FADE_SECONDS, LARGEST, PeerLoad, factors, read_load

PEER = b"agent1.example"


def answer(*loads: bytes) -> Message:
    return decode(encode_message(0, 268, numbers.SWM, 1, 2, b"".join(loads)))


def load(kind: int, value: int, source: str) -> bytes:
    members = [(d.LOAD_TYPE, kind), (d.LOAD_VALUE, value), (d.SOURCE_ID, source)]
    return encode_avp(d.LOAD, members)


def test_the_report_of_the_peer_itself_is_read_whatever_else_there_is() -> None:
    host = load(numbers.HOST_LOAD, 1, "aaa1.example")
    other = load(numbers.PEER_LOAD, 2, "agent2.example")
    assert read_load(answer(host, other, load(1, 3, "Agent1.Example")), PEER) == 3
    assert read_load(answer(host, other), PEER) is None
    assert read_load(answer(), PEER) is None


@pytest.mark.parametrize(
    "spoilt",
    [
        load(numbers.PEER_LOAD, LARGEST + 1, PEER.decode()),
        encode_avp(d.LOAD, encode_avps([(d.LOAD_TYPE, 1), (d.LOAD_VALUE, 5)])),
        encode_avp(d.LOAD, encode_avps([(d.LOAD_TYPE, 1), (d.SOURCE_ID, PEER.decode())])),
        encode_avp(d.LOAD, b"\0\0\2\x8b\0\0\0\xff"),
        encode_avp(d.LOAD, b""),
    ],
)
def test_a_report_that_is_not_sound_is_none(spoilt: bytes) -> None:
    assert read_load(answer(spoilt), PEER) is None


def test_shares_are_those_of_the_reported_values() -> None:
    loads = [PeerLoad(LARGEST, 0.0), PeerLoad(LARGEST // 4, 0.0)]
    one, two = factors(loads, 0.0)
    assert one / two == pytest.approx(4, rel=0.01)


def test_a_peer_that_reports_nothing_counts_as_the_average() -> None:
    one, two, three = factors([PeerLoad(LARGEST, 0.0), PeerLoad(0, 0.0), None], 0.0)
    assert one > three > two > 0
    assert three == pytest.approx((one + two) / 2)
    assert factors([PeerLoad(0, 0.0), None], 0.0) == pytest.approx([0.01, 0.01])
    assert factors([None, None], 0.0) == [1.0, 1.0]


def test_a_report_fades() -> None:
    def ratio(now: float) -> float:
        fresh = PeerLoad(LARGEST, now)
        one, two = factors([fresh, PeerLoad(LARGEST // 2, 0.0)], now)
        return two / one

    assert ratio(0.0) == pytest.approx(0.5, abs=0.01)
    assert 0.5 < ratio(FADE_SECONDS / 2) < 1
    assert ratio(FADE_SECONDS) == ratio(FADE_SECONDS * 9) == 1
