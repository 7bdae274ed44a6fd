"""The card: whom it trusts, which sequence numbers it takes, what it tells a stale network."""

import pytest

from protocols.eap.milenage import milenage
from protocols.eap.vector import CardSuccess, NetworkNotTrusted, SynchronisationFailure
from scripts.lab.subscribers import OPC, K
from scripts.lab.usim import DELTA, Usim

RAND = bytes(range(16))
NETWORK = milenage(K, OPC)


def answer(card: Usim, sqn: int) -> object:
    return card.authenticate(RAND, NETWORK.vector(RAND, sqn, b"\x80\0").autn)


def test_a_fresh_challenge_is_answered_and_remembered() -> None:
    card = Usim("001010000000001", K, OPC)
    found = answer(card, 0x20)
    vector = NETWORK.vector(RAND, 0x20, b"\x80\0")
    assert found == CardSuccess(vector.res, vector.ck, vector.ik)
    assert card.sqn == 0x20


@pytest.mark.parametrize("sqn", [0, 0x20, 0x40])
def test_a_stale_challenge_tells_the_network_where_the_card_is(sqn: int) -> None:
    card = Usim("001010000000001", K, OPC, sqn=0x40)
    found = answer(card, sqn)
    assert isinstance(found, SynchronisationFailure)
    assert NETWORK.sqn_of_auts(RAND, found.auts) == 0x40
    assert card.sqn == 0x40


def test_a_lost_card_is_ahead_of_its_network() -> None:
    card = Usim("001010000000001", K, OPC, sqn=0x20)
    card.lose_synchronisation()
    found = answer(card, 0x40)
    assert isinstance(found, SynchronisationFailure)
    behind = NETWORK.sqn_of_auts(RAND, found.auts)
    assert behind is not None
    assert isinstance(answer(card, behind + 0x20), CardSuccess)


def test_a_jump_too_far_is_not_believed() -> None:
    card = Usim("001010000000001", K, OPC)
    assert isinstance(answer(card, DELTA + 1 << 5), SynchronisationFailure)
    assert isinstance(answer(card, DELTA << 5), CardSuccess)


def test_each_ind_has_its_own_sequence() -> None:
    card = Usim("001010000000001", K, OPC)
    assert isinstance(answer(card, 10 << 5 | 1), CardSuccess)
    assert isinstance(answer(card, 12 << 5 | 2), CardSuccess)
    # A vector that waited in another node's store is still good once.
    assert isinstance(answer(card, 11 << 5 | 1), CardSuccess)
    assert isinstance(answer(card, 11 << 5 | 1), SynchronisationFailure)
    assert card.sqn == 12 << 5 | 2


def test_a_forged_network_is_not_trusted() -> None:
    autn = bytearray(NETWORK.vector(RAND, 0x20, b"\x80\0").autn)
    autn[15] ^= 1
    assert Usim("1", K, OPC).authenticate(RAND, bytes(autn)) == NetworkNotTrusted()


def test_a_wrong_res_has_the_right_keys() -> None:
    card = Usim("001010000000001", K, OPC)
    card.wrong_res = True
    found = answer(card, 0x20)
    vector = NETWORK.vector(RAND, 0x20, b"\x80\0")
    assert isinstance(found, CardSuccess)
    assert found.res != vector.res
    assert (found.ck, found.ik) == (vector.ck, vector.ik)


def test_a_card_shows_two_digits() -> None:
    assert repr(Usim("001010000000042", K, OPC)) == "Usim(…42)"
