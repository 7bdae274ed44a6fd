"""RADIUS for the lab: the example of RFC 3579's kind, keys, and what is not authentic."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.lab import radius
from scripts.lab.home_network import HomeNetwork
from scripts.lab.hostapd import AuthenticationCentre
from scripts.lab.radius import AccessAnswer, RadiusError, access_request, read_answer

SECRET = b"lab"
AUTHENTICATOR = bytes(range(16))


def request(eap: bytes = b"\x02\x01\0\x05\x01", state: bytes = b"") -> bytes:
    return access_request(7, AUTHENTICATOR, SECRET, b"0001", eap, state)


def answer(code: int, attributes: list[tuple[int, bytes]], asked: bytes = b"") -> bytes:
    """What a server would send, signed as RFC 2865 §3 and RFC 3579 §3.2 say."""
    attributes = [*attributes, (radius.MESSAGE_AUTHENTICATOR, bytes(16))]
    body = b"".join(bytes((kind, len(value) + 2)) + value for kind, value in attributes)
    head = bytes((code, 7)) + (20 + len(body)).to_bytes(2, "big")
    body = body[:-16] + hmac.digest(SECRET, head + AUTHENTICATOR + body, "md5")
    signature = hashlib.md5(head + AUTHENTICATOR + body + SECRET).digest()  # noqa: S324
    return head + signature + body


def test_a_request_carries_eap_in_pieces_and_is_signed() -> None:
    eap = bytes(range(256)) * 2
    packet = request(eap, b"state")
    assert packet[0] == 1
    assert int.from_bytes(packet[2:4], "big") == len(packet)
    assert packet[4:20] == AUTHENTICATOR
    pieces = [value for kind, _, value in radius._attributes(packet) if kind == radius.EAP_MESSAGE]
    assert [len(piece) for piece in pieces] == [253, 253, 6]
    assert b"".join(pieces) == eap
    unsigned = packet[:-16] + bytes(16)
    assert packet[-16:] == hmac.digest(SECRET, unsigned, "md5")


def test_an_answer_is_read() -> None:
    packet = answer(11, [(79, b"a" * 253), (79, b"b"), (24, b"state")])
    assert read_answer(packet, request(), SECRET) == AccessAnswer(
        11, b"a" * 253 + b"b", b"state", b""
    )


def mppe(kind: int, key: bytes) -> tuple[int, bytes]:
    salt = b"\x80\x01"
    plain = (bytes((len(key),)) + key).ljust(48, b"\0")
    out, previous = b"", AUTHENTICATOR + salt
    for at in range(0, 48, 16):
        mask = hashlib.md5(SECRET + previous).digest()  # noqa: S324
        previous = bytes(a ^ b for a, b in zip(plain[at : at + 16], mask, strict=True))
        out += previous
    value = salt + out
    return 26, (311).to_bytes(4, "big") + bytes((kind, len(value) + 2)) + value


def test_the_msk_is_the_receive_key_and_then_the_send_key() -> None:
    msk = bytes(range(64))
    packet = answer(2, [mppe(16, msk[32:]), mppe(17, msk[:32])])
    found = read_answer(packet, request(), SECRET)
    assert found.msk == msk
    assert "msk" not in repr(found)


@given(st.integers(0, 60), st.integers(1, 255))
def test_a_changed_answer_is_refused(at: int, change: int) -> None:
    packet = bytearray(answer(11, [(79, b"abc"), (24, b"state")]))
    packet[at % len(packet)] ^= change
    with pytest.raises(RadiusError):
        read_answer(bytes(packet), request(), SECRET)


@given(st.binary(max_size=60))
def test_garbage_is_refused(packet: bytes) -> None:
    with pytest.raises(RadiusError):
        read_answer(packet, request(), SECRET)


def test_a_wrong_key_is_refused_even_when_signed() -> None:
    kind, value = mppe(17, bytes(32))
    for wrong in (value[:8], value[:-40]):
        with pytest.raises(RadiusError, match="MS-MPPE"):
            read_answer(answer(2, [(kind, wrong)]), request(), SECRET)


def test_the_authentication_centre_speaks_hostapds_language() -> None:
    home = HomeNetwork()
    centre = AuthenticationCentre(home, lambda size: bytes(size))
    imsi = "001010000000001"
    words = (centre.answer(f"AKA-REQ-AUTH {imsi}") or "").split()
    assert words[:2] == ["AKA-RESP-AUTH", imsi]
    vector = HomeNetwork().vector(imsi, bytes(16))
    assert vector is not None
    parts = [vector.rand, vector.autn, vector.ik, vector.ck, vector.res]
    assert words[2:] == [part.hex() for part in parts]
    assert centre.answer("AKA-REQ-AUTH 999990000000001") == "AKA-RESP-AUTH 999990000000001 FAILURE"
    assert centre.answer("what") is None
