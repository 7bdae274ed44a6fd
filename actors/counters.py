"""What the hot path counts: plain dictionaries in the Trio thread, read out by `node/metrics.py`.

A count costs 0.2 µs, a bound child of prometheus_client 0.3 and the look-up of it (measured). The
number of rows is bounded: a value that does not belong to its label, or comes after the label's
bound was reached, is counted as `other`.
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from protocols.ts43.applications import APPLICATION_NAMES
from protocols.ts43.operations import OPERATION_NAMES

OTHER: Final = "other"
ROWS: Final = 20_000  # of one counter; Prometheus advises against more from one process

# Seconds. Fine where the node's own share lies, coarse up to the 30 s for which phones wait.
BUCKETS: Final = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
)  # fmt: skip

# What a device may name as `app`; everything else is invented.
APPLICATIONS: Final = frozenset({"", *APPLICATION_NAMES})

Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Label:
    """One dimension of a counter.

    Attributes:
        bound: distinct values; later ones are counted as `other`.
        allowed: the only values there are; None when any may come.
    """

    name: str
    bound: int = 64
    allowed: frozenset[str] | None = None


class Counter:
    """Counts by a fixed tuple of labels.

    Attributes:
        name: without prefix and `_total`.
        help: one sentence for the exposition.
        rows: label values to count; only this class writes it.
    """

    __slots__ = ("_seen", "help", "labels", "name", "rows")

    def __init__(self, name: str, help_text: str, *labels: Label) -> None:
        self.name = name
        self.help = help_text
        self.labels = labels
        self.rows: dict[Key, int] = {}
        self._seen: tuple[set[str | int], ...] = tuple(set() for _ in labels)

    def add(self, key: Key) -> None:
        """Count one. `key` has a value for each label, in their order."""
        try:
            self.rows[key] += 1
        except KeyError:
            key = self._bounded(key)
            self.rows[key] = self.rows.get(key, 0) + 1

    def total(self) -> int:
        """The sum of all rows."""
        return sum(self.rows.values())

    def _bounded(self, key: Key) -> Key:
        """The key of the row that a new combination is counted in."""
        if len(self.rows) >= ROWS:
            return (OTHER,) * len(key)
        return tuple(
            self._bounded_value(label, seen, value)
            for label, seen, value in zip(self.labels, self._seen, key, strict=True)
        )

    def _bounded_value(self, label: Label, seen: set[str | int], value: str | int) -> str | int:
        if value in seen:
            return value
        if label.allowed is not None and value not in label.allowed:
            return OTHER
        if len(seen) >= label.bound:
            return OTHER
        seen.add(value)
        return value


class Histogram:
    """How long something took, in the fixed buckets.

    Attributes:
        counts: per bucket, not cumulated; the last one is for everything longer.
        seconds: the sum of all observations.
    """

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds


_TENANT: Final = Label("tenant", bound=4_096)  # they come from the configuration
PEERS: Final = 256  # histograms of Diameter legs


class Counters:
    """All counters of one process. One instance, used from the Trio thread alone.

    Attributes:
        legs: durations of whole HTTP legs, from the complete request to the answer.
        own_shares: the part of them that the node itself took.
        diameter_legs: from a DER to its DEA, by peer (Origin-Host of the connection).
    """

    __slots__ = (
        "_bad_inputs",
        "_diameter",
        "_eap",
        "_exchanges",
        "_http",
        "_no_answers",
        "_operations",
        "_sessions",
        "_shed",
        "_tokens",
        "diameter_legs",
        "legs",
        "own_shares",
    )

    def __init__(self) -> None:
        self._exchanges = Counter(
            "exchanges",
            "Answers to devices, one for each application asked for, by HTTP status and reason.",
            _TENANT,
            Label("app", allowed=APPLICATIONS),
            Label("result"),
            Label("cause", bound=128),
        )
        self._http = Counter(
            "http_responses",
            "Responses of the device listener.",
            _TENANT,
            Label("status"),
            Label("http_version", allowed=frozenset({"1.0", "1.1", "2"})),
        )
        self._diameter = Counter(
            "diameter_answers",
            "DEAs; vendor 0 is a Result-Code, 10415 a 3GPP Experimental-Result-Code.",
            _TENANT,
            Label("application"),
            Label("peer", bound=PEERS),
            Label("vendor"),
            Label("code"),
        )
        self._no_answers = Counter(
            "diameter_no_answers",
            "DERs that no DEA came for.",
            _TENANT,
            Label("application"),
            Label("reason"),
        )
        self._eap = Counter("eap_events", "Events of EAP-AKA.", _TENANT, Label("event"))
        self._tokens = Counter(
            "token_events", "What became of tokens presented or issued.", _TENANT, Label("event")
        )
        self._operations = Counter(
            "operations",
            "Operations of ODSA and of phone numbers, by what the device was told.",
            _TENANT,
            Label("app", allowed=APPLICATIONS),
            Label("operation", allowed=OPERATION_NAMES),
            Label("result"),
        )
        self._bad_inputs = Counter(
            "bad_inputs",
            "What the other side sent against its standard, or to harm.",
            Label("surface"),
            Label("cause", bound=256),
        )
        self._sessions = Counter("session_events", "Life of session actors.", Label("event"))
        self._shed = Counter(
            "shed",
            "What was not allowed to begin, by what it was and why.",
            _TENANT,
            Label("what"),
            Label("cause"),
        )
        self.legs = Histogram()
        self.own_shares = Histogram()
        self.diameter_legs: dict[str, Histogram] = {}

    def exchange(self, tenant: str, app: str, result: str, cause: str) -> None:
        """A device was answered: `result` is the HTTP status, `cause` the word for why."""
        self._exchanges.add((tenant, app, result, cause))

    def exchanges(self, tenant: str, apps: tuple[str, ...], status: int, cause: str) -> None:
        """A device was answered that asked for these applications; one without any counts once."""
        rows, result = self._exchanges.rows, str(status)
        for app in apps or ("",):
            key = (tenant, app, result, cause)
            if key in rows:
                rows[key] += 1
            else:
                self._exchanges.add(key)

    def http(self, tenant: str, status: int, http_version: str) -> None:
        """The device listener sent a response; version `1.0`, `1.1` or `2`."""
        self._http.add((tenant, status, http_version))

    def diameter(
        self, tenant: str, application: str, vendor: int, code: int, peer: str = ""
    ) -> None:
        """A DEA came: its result is the pair of vendor and code."""
        self._diameter.add((tenant, application, peer, vendor, code))

    def no_answer(self, tenant: str, application: str, reason: str) -> None:
        """No DEA will come."""
        self._no_answers.add((tenant, application, reason))

    def eap(self, tenant: str, event: str) -> None:
        """`challenge`, `resync`, `reject`, `success`, `abandoned`, `replayed`, …"""
        self._eap.add((tenant, event))

    def token(self, tenant: str, event: str) -> None:
        """`issued`, `good`, `expired`, …"""
        self._tokens.add((tenant, event))

    def operation(self, tenant: str, app: str, operation: str, result: str) -> None:
        """An operation was answered: `SubscriptionResult 2`, `OperationResult 102`, …"""
        self._operations.add((tenant, app, operation, result))

    def bad_input(self, surface: str, cause: str) -> None:
        """Something came that must not: `surface` is `http2`, `ts43`, `diameter`, …"""
        self._bad_inputs.add((surface, cause))

    def session(self, event: str) -> None:
        """`started`, `ended`, `crashed`, `resumed`, …"""
        self._sessions.add((event,))

    def shed(self, tenant: str, what: str, cause: str) -> None:
        """Something was not allowed to begin: `authentication`, `token`; `overload`, `aaa busy`."""
        self._shed.add((tenant, what, cause))

    def leg(self, seconds: float, away_seconds: float = 0.0) -> None:
        """An HTTP leg was answered.

        Args:
            seconds: from the complete request to the answer.
            away_seconds: of these, waited for the AAA or a store; the rest is the own share.
        """
        legs, shares = self.legs, self.own_shares
        legs.counts[bisect_left(BUCKETS, seconds)] += 1
        legs.seconds += seconds
        own = seconds - away_seconds
        shares.counts[bisect_left(BUCKETS, own)] += 1
        shares.seconds += own

    def diameter_leg(self, peer: str, seconds: float) -> None:
        """A DEA came `seconds` after its DER."""
        try:
            self.diameter_legs[peer].observe(seconds)
        except KeyError:
            name = peer if len(self.diameter_legs) < PEERS else OTHER
            self.diameter_legs.setdefault(name, Histogram()).observe(seconds)

    def all(self) -> tuple[Counter, ...]:
        """The counters that have labels."""
        return (
            self._exchanges,
            self._http,
            self._diameter,
            self._no_answers,
            self._eap,
            self._operations,
            self._tokens,
            self._bad_inputs,
            self._sessions,
            self._shed,
        )
