"""Milenage against TS 35.208 and against the recorded conversations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.eap.milenage import Milenage, milenage, opc_of
from tests.protocols.eap import eap_vectors as v

CARD = Milenage(v.CARD_K, v.CARD_OPC)


def test_test_set_1_of_ts_35_208() -> None:
    rand = bytes.fromhex("23553cbe9637a89d218ae64dae47bf35")
    sqn, amf = 0xFF9BB4D0B607, bytes.fromhex("b9b9")
    mac_a, mac_s = CARD.macs(rand, sqn, amf)
    found = CARD.responses(rand)
    assert mac_a.hex() == "4a9ffac354dfafb3"
    assert mac_s.hex() == "01cfaf9ec4e871e9"
    assert found.res.hex() == "a54211d5e3ba50bf"
    assert found.ck.hex() == "b40ba9a3c58b2a05bbf0d987b21bf8cb"
    assert found.ik.hex() == "f769bcd751044604127672711c6d3441"
    assert found.ak.hex() == "aa689c648370"
    assert found.ak_star.hex() == "451e8beca43b"


def test_opc_of_test_set_1() -> None:
    assert opc_of(v.CARD_K, bytes.fromhex("cdc202d5123e20f62b6d676ac72cb318")) == v.CARD_OPC


@pytest.mark.parametrize(
    ("rand", "sqn", "autn", "ik", "ck", "res"),
    [
        (v.AKA_RAND, v.AKA_SQN, v.AKA_AUTN, v.AKA_IK, v.AKA_CK, v.AKA_RES),
        (v.PRIME_RAND, v.PRIME_SQN, v.PRIME_AUTN, v.PRIME_IK, v.PRIME_CK, v.PRIME_RES),
        (
            v.RESYNC_FIRST_RAND,
            v.RESYNC_FIRST_SQN,
            v.RESYNC_FIRST_AUTN,
            v.RESYNC_FIRST_IK,
            v.RESYNC_FIRST_CK,
            v.RESYNC_FIRST_RES,
        ),
    ],
)
def test_vectors_of_the_recorded_conversations(
    rand: bytes, sqn: bytes, autn: bytes, ik: bytes, ck: bytes, res: bytes
) -> None:
    vector = CARD.vector(rand, int.from_bytes(sqn, "big"), bytes.fromhex("8000"))
    assert (vector.autn, vector.ik, vector.ck, vector.res) == (autn, ik, ck, res)
    found = CARD.responses(rand)
    assert (found.ik, found.ck, found.res) == (ik, ck, res)


def test_the_recorded_auts_is_made_and_read() -> None:
    assert CARD.auts(v.RESYNC_FIRST_RAND, v.RESYNC_SQN_MS) == v.RESYNC_AUTS
    assert CARD.sqn_of_auts(v.RESYNC_FIRST_RAND, v.RESYNC_AUTS) == v.RESYNC_SQN_MS


def test_the_vector_after_resynchronisation() -> None:
    sqn = int.from_bytes(v.RESYNC_SECOND_SQN, "big")
    assert CARD.vector(v.RESYNC_SECOND_RAND, sqn, b"\x80\0").autn == v.RESYNC_SECOND_AUTN


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**48 - 1), st.integers(0, 127))
def test_a_card_checks_what_the_network_made(rand: bytes, sqn: int, bit: int) -> None:
    vector = CARD.vector(rand, sqn, b"\x80\0")
    found, read, trusted = CARD.check(rand, vector.autn)
    assert (read, trusted) == (sqn, True)
    assert (found.res, found.ck, found.ik) == (vector.res, vector.ck, vector.ik)
    forged = (int.from_bytes(vector.autn, "big") ^ 1 << bit).to_bytes(16, "big")
    assert not CARD.check(rand, forged)[2]


@given(st.integers(0, 13), st.integers(1, 255))
def test_a_forged_auts_is_refused(at: int, change: int) -> None:
    forged = bytearray(v.RESYNC_AUTS)
    forged[at] ^= change
    assert CARD.sqn_of_auts(v.RESYNC_FIRST_RAND, bytes(forged)) is None


@given(
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**48 - 1),
)
def test_every_card_reads_its_own_auts(k: bytes, opc: bytes, rand: bytes, sqn: int) -> None:
    card = milenage(k, opc)
    assert card.sqn_of_auts(rand, card.auts(rand, sqn)) == sqn


@pytest.mark.parametrize(("k", "opc"), [(b"", bytes(16)), (bytes(16), bytes(15))])
def test_keys_of_another_length_are_refused(k: bytes, opc: bytes) -> None:
    with pytest.raises(ValueError, match="16 octets"):
        Milenage(k, opc)


def test_secrets_are_not_shown() -> None:
    vector = CARD.vector(v.AKA_RAND, 64, b"\x80\0")
    for secret in (vector.res, vector.ck, vector.ik):
        assert repr(secret) not in repr(vector)
    assert repr(CARD.responses(v.AKA_RAND)) == "Responses()"
