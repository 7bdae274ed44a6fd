"""Who has more than a fair share, by weight, of what is done lately."""

from actors.admission.shares import Shares


def worked(shares: Shares, intervals: int = 10, **work: float) -> frozenset[str]:
    for _ in range(intervals):
        for tenant, amount in work.items():
            shares.add(tenant, amount)
        shares.judge()
    return shares.greedy


def test_who_is_alone_has_everything() -> None:
    assert worked(Shares({}), a=100.0) == frozenset()


def test_a_burst_of_one_tenant_is_more_than_its_share() -> None:
    assert worked(Shares({}), a=100.0, b=5.0) == frozenset("a")


def test_equal_use_is_no_ones_fault() -> None:
    assert worked(Shares({}), a=50.0, b=50.0) == frozenset()


def test_a_weight_is_a_larger_share() -> None:
    assert worked(Shares({"a": 9.0}), a=85.0, b=15.0) == frozenset("b")
    assert worked(Shares({"a": 9.0}), a=90.0, b=10.0) == frozenset()


def test_what_was_is_forgotten() -> None:
    shares = Shares({})
    worked(shares, a=100.0, b=5.0)
    for _ in range(60):
        shares.judge()
    assert shares.greedy == frozenset()
    assert worked(shares, 1, b=1.0) == frozenset()


def test_who_has_had_little_beside_others_is_modest() -> None:
    shares = Shares({"c": 9.0})
    assert not shares.modest("a")
    worked(shares, a=100.0)
    assert not shares.modest("a")
    assert shares.modest("b")
    worked(shares, a=100.0, b=20.0)
    assert shares.modest("b")
    worked(shares, a=100.0, b=40.0)
    assert not shares.modest("b")
    assert shares.modest("c")
    worked(shares, a=10.0, c=60.0)
    assert not shares.modest("c")
