"""The exposition as Prometheus reads it, statistics of any shape, and the sum over workers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.counters import BUCKETS, Counters
from actors.runtime.pool import PoolStatistics
from actors.runtime.supervisor import ChildStatistics
from actors.runtime.timers import TimerStatistics
from actors.store.store import StoreStatistics
from actors.trace.recorder import TraceStatistics
from node.families import Family, Row, added
from node.log_writer import LogStatistics
from node.metrics import Metrics, expose, read_dump
from node.statistics_families import Sheet, help_texts

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class PeerState(Enum):
    """Made up for the test."""

    I_OPEN = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class PeerNumbers:
    """One peer.

    Attributes:
        host: who it is.
        sent, received: messages
            in the direction of the name.
    """

    host: str
    state: PeerState
    pending: int  # requests without an answer
    sent: int
    received: int
    results: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """Answers by vendor and code"""


@dataclass(frozen=True, slots=True)
class RouterNumbers:
    """A router."""

    ready: bool
    longest_wait_seconds: float
    last_error: str
    nothing: None
    peers: tuple[PeerNumbers, ...]


ROUTER = RouterNumbers(
    ready=True,
    longest_wait_seconds=0.25,
    last_error="IMSI 001010000000001",
    nothing=None,
    peers=(
        PeerNumbers("aaa1", PeerState.I_OPEN, 3, 10, 7, {(0, 2001): 5, (10415, 5001): 2}),
        PeerNumbers("aaa2", PeerState.CLOSED, 0, 0, 0),
    ),
)


def samples(text: bytes) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def of_statistics(part: str, statistics: object) -> dict[str, Family]:
    sheet = Sheet()
    sheet.add(part, statistics)
    return sheet.families


def test_prometheus_reads_counters_and_histograms() -> None:
    counters = Counters()
    counters.exchange("op1", "ap2004", "200", "entitled")
    counters.diameter("op1", "swm", 10415, 5001, "aaa1")
    counters.leg(0.006, away_seconds=0.0057)
    counters.leg(100.0)
    counters.diameter_leg("aaa1", 0.0055)
    read = samples(Metrics(counters).expose())
    answered = (("app", "ap2004"), ("cause", "entitled"), ("result", "200"), ("tenant", "op1"))
    assert read["entitlement_exchanges_total", answered] == 1
    result = (("code", "5001"), ("peer", "aaa1"), ("tenant", "op1"), ("vendor", "10415"))
    assert read["entitlement_diameter_answers_total", (("application", "swm"), *result)] == 1
    buckets = [
        read["entitlement_leg_seconds_bucket", (("le", edge),)]
        for edge in (*(f"{edge:g}" for edge in BUCKETS), "+Inf")
    ]
    assert buckets == [0.0] * BUCKETS.index(0.01) + [1.0] * (len(buckets) - 5) + [2.0]
    assert read["entitlement_leg_seconds_count", ()] == 2
    assert read["entitlement_leg_seconds_sum", ()] == pytest.approx(100.006)
    assert read["entitlement_own_share_seconds_bucket", (("le", "0.0005"),)] == 1
    assert read["entitlement_diameter_leg_seconds_count", (("peer", "aaa1"),)] == 1


def test_the_process_itself_is_measured_too() -> None:
    read = samples(Metrics(Counters()).expose())
    assert read["process_resident_memory_bytes", ()] > 1e6
    assert read["process_open_fds", ()] > 0


def test_statistics_of_any_shape_become_families() -> None:
    families = of_statistics("router", ROUTER)
    shown = {
        name: (one.kind, one.labels, [(row.labels, row.value) for row in one.rows])
        for name, one in families.items()
    }
    prefix = "entitlement_router"
    peers = [("aaa1",), ("aaa2",)]
    assert shown == {
        f"{prefix}_ready": ("gauge", (), [((), 1.0)]),
        f"{prefix}_longest_wait_seconds": ("gauge", (), [((), 0.25)]),
        f"{prefix}_peers_state": (
            "gauge",
            ("host", "state"),
            [(("aaa1", "i_open"), 1.0), (("aaa2", "closed"), 1.0)],
        ),
        f"{prefix}_peers_pending": (
            "gauge",
            ("host",),
            list(zip(peers, [3.0, 0.0], strict=True)),
        ),
        f"{prefix}_peers_sent": ("counter", ("host",), list(zip(peers, [10.0, 0.0], strict=True))),
        f"{prefix}_peers_received": (
            "counter",
            ("host",),
            list(zip(peers, [7.0, 0.0], strict=True)),
        ),
        f"{prefix}_peers_results": (
            "counter",
            ("host", "kind"),
            [(("aaa1", "0/2001"), 5.0), (("aaa1", "10415/5001"), 2.0)],
        ),
    }


@pytest.mark.parametrize(
    ("part", "statistics", "gauges"),
    [
        ("pool", PoolStatistics(1, 1, 1, 1, 1, 1, 1, 1, 1), {"alive", "ready", "most_mail"}),
        ("timers", TimerStatistics(1, 1, 1, 1), {"waiting"}),
        ("supervisor", (ChildStatistics("router", True, 1, 0, ""),), {"running"}),
        ("log", LogStatistics(1, 1, 1), {"waiting"}),
        ("trace", TraceStatistics(1, 1, 1), {"armed"}),
        (
            "store",
            StoreStatistics(True, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1.0, 1, {"locked": 1}),
            {"open", "waiting", "largest_batch", "longest_wait_seconds"},
        ),
    ],
)
def test_what_is_a_state_is_a_gauge_and_what_grows_is_a_counter(
    part: str, statistics: object, gauges: set[str]
) -> None:
    kinds = {one.name: one.kind for one in of_statistics(part, statistics).values()}
    prefix = f"entitlement_{part}_"
    assert {name.removeprefix(prefix) for name, kind in kinds.items() if kind == "gauge"} == gauges
    assert "counter" in kinds.values()


def test_the_help_text_can_make_a_gauge_and_the_least_of_all_workers_counts() -> None:
    @dataclass(frozen=True, slots=True)
    class Numbers:
        """Made up for the test."""

        connections: int  # that are up now
        expires_in_seconds: float

    families = [list(of_statistics("x", Numbers(2, rest)).values()) for rest in (9.0, 4.0)]
    up, expiry = added(families)
    assert (up.kind, up.rows[0].value) == ("gauge", 4.0)
    assert (expiry.kind, expiry.rows[0].value) == ("gauge", 4.0)


def test_help_comes_from_docstrings_and_comments() -> None:
    assert help_texts(PeerNumbers) == {
        "host": "Who it is.",
        "sent": "Messages in the direction of the name.",
        "received": "Messages in the direction of the name.",
        "pending": "Requests without an answer.",
        "results": "Answers by vendor and code.",
    }
    families = of_statistics("router", ROUTER)
    assert families["entitlement_router_peers_pending"].help == "Requests without an answer."
    assert families["entitlement_router_ready"].help == "Router ready."


def test_a_class_without_source_has_no_help_texts() -> None:
    assert help_texts(type("Made", (), {})) == {}


def test_a_mapping_of_statistics_and_a_sequence_of_children_are_labelled() -> None:
    children = (ChildStatistics("router", True, 2, 1, "OSError: gone"),)
    families = of_statistics("supervisor", {"node": children, "pages": ()})
    rows = families["entitlement_supervisor_crashes"].rows
    assert families["entitlement_supervisor_crashes"].labels == ("part", "name")
    assert [(row.labels, row.value) for row in rows] == [(("node", "router"), 1.0)]
    assert all("gone" not in str(one) for one in families.values())


def test_items_without_identity_are_told_apart_by_their_place() -> None:
    family = of_statistics("log", [LogStatistics(1, 0, 0), LogStatistics(2, 0, 0)])
    rows = family["entitlement_log_written"].rows
    assert [(row.labels, row.value) for row in rows] == [(("0",), 1.0), (("1",), 2.0)]


def test_statistics_for_people_are_plain_and_masked() -> None:
    counters = Counters()
    counters.eap("op1", "resync")
    metrics = Metrics(counters)
    metrics.watch("router", lambda: ROUTER)
    shown = metrics.statistics()
    assert shown["router"]["last_error"] == "IMSI 00101…01"
    assert shown["router"]["peers"][0]["host"] == "aaa1"
    assert shown["counters"]["eap_events"] == [{"tenant": "op1", "event": "resync", "count": 1}]


def test_a_part_is_watched_once() -> None:
    metrics = Metrics(Counters())
    metrics.watch("router", lambda: ROUTER)
    with pytest.raises(ValueError, match="router is watched already"):
        metrics.watch("router", lambda: ROUTER)


def test_workers_are_added_up() -> None:
    dumps = []
    for ready, wait, count in ((True, 0.5, 1), (False, 0.1, 2)):
        counters = Counters()
        for _ in range(count):
            counters.eap("op1", "challenge")
            counters.leg(0.006)
        counters.eap(f"op{count}", "resync")
        metrics = Metrics(counters)
        numbers = RouterNumbers(ready, wait, "", None, ROUTER.peers[:1])
        metrics.watch("router", lambda numbers=numbers: numbers)  # type: ignore[misc]
        dumps.append(metrics.dump())
    read = samples(expose(*map(read_dump, dumps), process=False))
    challenge = (("event", "challenge"), ("tenant", "op1"))
    assert read["entitlement_eap_events_total", challenge] == 3
    assert read["entitlement_eap_events_total", (("event", "resync"), ("tenant", "op2"))] == 1
    assert read["entitlement_leg_seconds_bucket", (("le", "0.01"),)] == 3
    assert read["entitlement_leg_seconds_sum", ()] == pytest.approx(0.018)
    assert read["entitlement_router_ready", ()] == 0  # not every worker is
    assert read["entitlement_router_longest_wait_seconds", ()] == 0.5
    assert read["entitlement_router_peers_pending", (("host", "aaa1"),)] == 6


def test_adding_changes_none_of_the_givers() -> None:
    one = Family("a", "histogram", "A.", (), [Row((), 1.0, [1, 0])])
    assert added([[one], [one]])[0].rows == [Row((), 2.0, [2, 0])]
    assert one.rows == [Row((), 1.0, [1, 0])]


def test_label_values_are_escaped() -> None:
    counters = Counters()
    counters.bad_input("ts43", 'a "quoted"\nline\\')
    read = samples(Metrics(counters).expose())
    labels = (("cause", 'a "quoted"\nline\\'), ("surface", "ts43"))
    assert read["entitlement_bad_inputs_total", labels] == 1
