"""Random octets in bulk: lengths, and that nothing is given twice."""

from actors.session.randomness import BULK_OCTETS, RandomOctets


def test_every_piece_has_its_length_and_no_piece_comes_twice() -> None:
    random = RandomOctets()
    pieces = [random.take(count) for count in (12, 32) * 1_000]
    assert [len(piece) for piece in pieces] == [12, 32] * 1_000
    assert len(set(pieces)) == len(pieces)


def test_two_stocks_differ() -> None:
    assert RandomOctets().take(BULK_OCTETS) != RandomOctets().take(BULK_OCTETS)
