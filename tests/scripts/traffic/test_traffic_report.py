"""A whole run against a node in memory, and everything that is written about it."""

import csv
import datetime
import io
import random
import re
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
import trio
import trio.testing

from scripts.lab.subscribers import sequential
from scripts.traffic.call import Call
from scripts.traffic.cli import timer_names
from scripts.traffic.html_report import html_report
from scripts.traffic.mix import Mix
from scripts.traffic.outcome import Reason
from scripts.traffic.plan import Plan
from scripts.traffic.report import report
from scripts.traffic.run import InitFailed, Run, Traffic
from scripts.traffic.scenario import Scenario, find, load_scenario
from scripts.traffic.stat_file import StatFile
from scripts.traffic.statistics import CallRecord
from scripts.traffic.steps import Step
from scripts.traffic.subscribers import Caller, Order
from scripts.traffic.thresholds import ExitCode
from tests.scripts.traffic.fake_node import FakeNode, respond

BEGAN = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


class Driver:
    """Calls to a node in memory; every tenth fails when it shall."""

    def __init__(self, delay: float = 0.1, *, failing: bool = False) -> None:
        self.node = FakeNode(delay)
        self.failing = failing
        self.made = 0

    async def call(
        self, scenario: Scenario, steps: tuple[Step, ...], caller: Caller, record: CallRecord,
        began: float,
    ) -> None:  # fmt: skip
        self.made += 1
        node = self.node
        if self.failing and self.made % 10 == 0:
            node = FakeNode()
            node.forced = respond(503 if self.made % 20 else 404)
        await Call(caller, record, node.open, "", began).run(steps)


async def run(
    name: str,
    driver: Driver,
    **plan: Any,  # noqa: ANN401 (what `Plan.of` takes)
) -> tuple[Run, str]:
    scenario = load_scenario(find(name))
    callers = [Caller(one, at) for at, one in enumerate(sequential(200))]
    made = Plan.of(scenario.load, **plan)
    mix = Mix(scenario, Order.SEQUENTIAL, callers, made.number, random.Random(1))  # noqa: S311
    text = io.StringIO()
    stat = StatFile(text, timer_names(scenario), BEGAN)
    traffic = Traffic(
        scenario, made, mix, driver.call, "https://node", BEGAN,
        on_period=lambda one: stat.period(one, traffic.run.statistics),
    )  # fmt: skip
    return await traffic.make(), text.getvalue()


class ReportForm(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
    """The JSON report, written down: a field that goes or changes breaks somebody's tool."""

    format: int
    scenario: dict[str, Any]
    target: str
    began_at: datetime.datetime
    elapsed_seconds: float
    stopped: bool
    exit_code: int
    load: "LoadForm"
    calls: "CallsForm"
    latest_start_ms: float
    failures: dict[str, int]
    examples: dict[str, list[str]]
    timers: dict[str, "TimerForm"]
    distribution: dict[str, list[tuple[float, int]]]
    thresholds: list["ThresholdForm"]
    periods: list["PeriodForm"]


class LoadForm(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
    rate: float
    stages: list[dict[str, float | bool]]
    ramp_seconds: float
    warm_up_seconds: float
    max_simultaneous_calls: int
    number_calls: int
    call_timeout_ms: float


class CallsForm(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
    created: int
    passed: int
    failed: int
    resynchronisations: int
    warm_up: int
    initialised: int
    most_simultaneous: int
    rate: float
    failed_ratio: float


class TimerForm(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
    count: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class ThresholdForm(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    limit: float
    measured: float | None
    passed: bool


class PeriodForm(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
    begin: float
    end: float
    wanted_rate: float
    rate: float
    running: int
    created: int
    passed: int
    failed: int
    resynchronisations: int
    failures: dict[str, int]
    timers: dict[str, TimerForm]


def decoded(finished: Run) -> ReportForm:
    return msgspec.json.decode(msgspec.json.encode(report(finished)), type=ReportForm)


async def test_the_json_report_keeps_its_form(autojump_clock: trio.testing.MockClock) -> None:
    finished, _ = await run("volte_vowifi_activation", Driver(), rate=20, number=100)
    found = decoded(finished)
    assert found.format == 1
    assert found.exit_code == 0
    assert (found.calls.created, found.calls.passed, found.calls.failed) == (100, 100, 0)
    assert found.timers["challenge"].p50_ms == pytest.approx(100, rel=0.02)
    assert found.timers["call"].p99_ms == pytest.approx(200, rel=0.02)
    assert found.timers["call"].count == 100
    assert [one.name for one in found.thresholds] == ["failed-ratio", "call p95-ms"]
    assert sum(count for _, count in found.distribution["call"]) == 100
    assert sum(one.created for one in found.periods) == 100
    assert sum(one.passed for one in found.periods) == 100


async def test_failures_stand_with_their_reasons_and_examples(
    autojump_clock: trio.testing.MockClock,
) -> None:
    finished, _ = await run("wrong_res", Driver(failing=True), rate=50, number=200)
    found = decoded(finished)
    assert finished.code is ExitCode.SOME_FAILED
    assert found.failures["5xx"] == 10
    assert found.failures["4xx"] == 10
    assert found.examples["5xx"] == ["status 503, 200 was expected"]
    assert found.calls.failed_ratio == pytest.approx(0.1)
    assert not found.thresholds[0].passed


async def test_the_warm_up_and_the_init_steps_are_left_out(
    autojump_clock: trio.testing.MockClock,
) -> None:
    finished, _ = await run(
        "token_refresh", Driver(), rate=10, number=100, ramp_seconds=0, warm_up_seconds=4
    )
    found = decoded(finished)
    assert (found.calls.warm_up, found.calls.created, found.calls.initialised) == (40, 60, 100)
    assert found.timers["document"].count == 60
    assert "challenge" not in found.timers
    assert found.calls.rate == pytest.approx(10, rel=0.05)


async def test_init_that_fails_ends_the_run(autojump_clock: trio.testing.MockClock) -> None:
    driver = Driver()
    driver.node.forced = respond(503)
    with pytest.raises(InitFailed, match="token_refresh: 5xx: status 503"):
        await run("token_refresh", driver, rate=10, number=100)


async def test_a_mix_reports_the_timers_of_all_parts(
    autojump_clock: trio.testing.MockClock,
) -> None:
    finished, _ = await run(
        "mixed_busy_hour", Driver(), stages=((20.0, 10.0, False),), warm_up_seconds=0
    )
    assert finished.statistics.total.created == 200
    assert finished.statistics.total.passed == 200
    assert finished.statistics.total.resynchronisations == 8
    timers = set(finished.statistics.total.timers)
    assert {"call", "connect", "document", "challenge", "authenticate", "refused"} <= timers


async def test_the_statistics_file_has_a_line_a_period(
    autojump_clock: trio.testing.MockClock,
) -> None:
    finished, text = await run("wrong_res", Driver(failing=True), rate=50, number=200)
    rows = list(csv.DictReader(io.StringIO(text), delimiter=";"))
    assert len(rows) == len(finished.statistics.periods)
    last = rows[-1]
    assert last["TotalCallCreated"] == "200"
    assert (last["SuccessfulCall(C)"], last["FailedCall(C)"]) == ("180", "20")
    assert last["Failed[5xx](C)"] == "10"
    assert sum(int(row["SuccessfulCall(P)"]) for row in rows) == 180
    assert rows[3]["StartTime"] == "2026-03-01T12:00:00.000+00:00"
    assert rows[3]["CurrentTime"] == "2026-03-01T12:00:04.000+00:00"
    assert float(rows[3]["call.p95ms(P)"]) > 0
    assert all(None not in row.values() for row in rows)


async def test_the_page_needs_no_network_and_is_well_formed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    finished, _ = await run("wrong_res", Driver(failing=True), rate=50, number=200)
    page = html_report(report(finished))
    outside = re.findall(r"(?:src|href|url|import)\s*[=(]\s*[\"']?(?!#)[^\"')\s]+", page)
    assert outside == []
    assert "://" not in page.replace("https://node", "")
    assert "<script" not in page
    assert "default-src 'none'" in page
    for plot in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        root = ElementTree.fromstring(plot)  # noqa: S314 (our own)
        numbers = re.findall(r' (?:x|y|x1|y1|height|width)="([^"]*)"', plot)
        assert all(re.fullmatch(r"-?[0-9.]+", number) for number in numbers)
        assert len(root) > 5
    assert page.count("<svg") == 4
    for words in ("p99", "5xx", "status 503, 200 was expected", "failed-ratio"):
        assert words in page


async def test_the_page_of_a_run_without_calls_can_be_written(
    autojump_clock: trio.testing.MockClock,
) -> None:
    finished, _ = await run("wrong_res", Driver(), stages=((1.0, 0.0, False),), ramp_seconds=0)
    assert finished.code is ExitCode.NO_CALLS
    page = html_report(report(finished))
    assert "no calls" in page
    assert "nan" not in page.lower().replace("finance", "")


def test_texts_are_escaped() -> None:
    scenario = load_scenario(find("wrong_res"))
    from scripts.traffic.statistics import Statistics

    statistics = Statistics()
    made = Plan.of(scenario.load)
    finished = Run(scenario, made, "https://<script>alert(1)</script>", statistics, BEGAN)
    assert "<script" not in html_report(report(finished))
    assert Reason.TIMEOUT.value == "timeout"
