"""Counting is exact, and nobody on the outside can make the counters grow without bound."""

from actors.counters import BUCKETS, OTHER, PEERS, ROWS, Counter, Counters, Histogram, Label


def rows(counters: Counters, name: str) -> dict[tuple[str | int, ...], int]:
    (found,) = (one for one in counters.all() if one.name == name)
    return found.rows


def test_each_kind_of_event_has_its_rows() -> None:
    counters = Counters()
    for _ in range(3):
        counters.exchange("op1", "ap2004", "200", "entitled")
    counters.http("op1", 200, "2")
    counters.diameter("op1", "swm", 10415, 5001, "aaa1.example")
    counters.no_answer("op1", "swm", "timeout")
    counters.eap("op1", "resync")
    counters.token("op1", "expired")
    counters.operation("op1", "ap2006", "ManageSubscription", "SubscriptionResult 2")
    counters.operation("op1", "ap2006", "Invented", "OperationResult 101")
    counters.bad_input("http2", "rapid-reset")
    counters.session("crashed")
    counters.shed("op1", "authentication", "overload")
    assert {one.name: one.rows for one in counters.all()} == {
        "exchanges": {("op1", "ap2004", "200", "entitled"): 3},
        "http_responses": {("op1", 200, "2"): 1},
        "diameter_answers": {("op1", "swm", "aaa1.example", 10415, 5001): 1},
        "diameter_no_answers": {("op1", "swm", "timeout"): 1},
        "eap_events": {("op1", "resync"): 1},
        "token_events": {("op1", "expired"): 1},
        "operations": {
            ("op1", "ap2006", "ManageSubscription", "SubscriptionResult 2"): 1,
            ("op1", "ap2006", OTHER, "OperationResult 101"): 1,
        },
        "bad_inputs": {("http2", "rapid-reset"): 1},
        "session_events": {("crashed",): 1},
        "shed": {("op1", "authentication", "overload"): 1},
    }


def test_the_same_code_of_two_vendors_is_two_rows() -> None:
    counters = Counters()
    counters.diameter("op1", "swm", 0, 5001)
    counters.diameter("op1", "swm", 10415, 5001)
    assert len(rows(counters, "diameter_answers")) == 2


def test_an_application_that_the_standard_does_not_know_is_other() -> None:
    counters = Counters()
    for number in range(1_000):
        counters.exchange("op1", f"ap9{number}", "400", "unknown-app")
    assert rows(counters, "exchanges") == {("op1", OTHER, "400", "unknown-app"): 1_000}


def test_values_beyond_the_bound_of_a_label_are_other_and_none_is_lost() -> None:
    counter = Counter("events", "Test.", Label("event", bound=3))
    for number in range(10):
        counter.add((f"e{number}",))
    counter.add(("e1",))
    assert counter.rows == {("e0",): 1, ("e1",): 2, ("e2",): 1, (OTHER,): 7}
    assert counter.total() == 11


def test_the_number_of_rows_is_bounded_whatever_the_labels_allow() -> None:
    counter = Counter("pairs", "Test.", Label("a", bound=1_000), Label("b", bound=1_000))
    for first in range(150):
        for second in range(150):
            counter.add((first, second))
    assert len(counter.rows) == ROWS + 1
    assert counter.rows[OTHER, OTHER] == 150 * 150 - ROWS


def test_a_duration_lands_in_the_first_bucket_that_is_not_below_it() -> None:
    histogram = Histogram()
    histogram.observe(0.0)
    histogram.observe(BUCKETS[3])  # "le" of Prometheus: the end belongs to the bucket
    histogram.observe(BUCKETS[3] + 1e-9)
    histogram.observe(3_600.0)
    expected = [0] * (len(BUCKETS) + 1)
    expected[0], expected[3], expected[4], expected[-1] = 1, 1, 1, 1
    assert histogram.counts == expected
    assert histogram.seconds == 3_600.0 + 2 * BUCKETS[3] + 1e-9


def test_the_own_share_is_the_leg_without_the_time_away() -> None:
    counters = Counters()
    counters.leg(0.25, away_seconds=0.245)
    assert counters.legs.seconds == 0.25
    assert round(counters.own_shares.seconds, 6) == 0.005


def test_diameter_legs_are_kept_for_a_bounded_number_of_peers() -> None:
    counters = Counters()
    for number in range(PEERS + 10):
        counters.diameter_leg(f"aaa{number}", 0.01)
    assert len(counters.diameter_legs) == PEERS + 1
    assert sum(counters.diameter_legs[OTHER].counts) == 10
