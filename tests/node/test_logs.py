"""The log: its form, its bounds, and that no identity or secret ever gets into it."""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from config.model import Logging
from node.log_masking import HIDDEN, mask_text, mask_values
from node.log_writer import LogWriter
from node.logs import (
    DIFFERENT_LINES,
    PERIOD_SECONDS,
    REPEATS,
    Repetitions,
    configure_logging,
    get_logger,
)

TOKEN = "Zk9vZ4h-7sQb1nWmT0yXcR2uLp8aEdG5iJ3fKq6oVxY"
IMSI = "001010000000001"


class Log:
    """A configured log and the lines that came out of it."""

    def __init__(self, path: Path, settings: Logging) -> None:
        self._path = path
        self.now = 0.0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT)
        self.writer = LogWriter(self._file)
        configure_logging(settings, self.writer, clock=lambda: self.now)

    def text(self) -> str:
        self.writer.close()
        return self._path.read_text()

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text().splitlines()]

    def close(self) -> None:
        self.writer.close()
        os.close(self._file)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.raiseExceptions)
    log = Log(tmp_path / "log", Logging())
    yield log
    log.close()
    structlog.reset_defaults()
    root.handlers[:], _, logging.raiseExceptions = before
    root.setLevel(before[1])


def test_a_line_is_one_json_object_with_time_level_name_and_event_first(log: Log) -> None:
    get_logger("router").warning("peer lost", peer="aaa1.example", pending=3)
    (line,) = log.lines()
    assert list(line) == ["timestamp", "level", "logger", "event", "peer", "pending"]
    assert (line["level"], line["logger"], line["pending"]) == ("warning", "router", 3)
    assert str(line["timestamp"]).endswith("Z")


def test_lines_below_the_level_do_not_come_out_and_a_reload_changes_that(log: Log) -> None:
    logger = get_logger("router")
    logger.debug("not yet")
    configure_logging(Logging(level="debug"), log.writer)
    logger.debug("now")
    assert [line["event"] for line in log.lines()] == ["now"]


def test_the_console_form_is_for_people(log: Log) -> None:
    configure_logging(Logging(format="console"), log.writer)
    get_logger("router").info("peer open", peer="aaa1")
    assert "peer open" in log.text()
    assert not log.text().startswith("{")


def test_an_exception_is_part_of_its_line_and_masked(log: Log) -> None:
    try:
        raise ValueError(f"subscriber {IMSI} has token={TOKEN}")
    except ValueError:
        get_logger("sessions").exception("crash")
    (line,) = log.lines()
    assert "ValueError: subscriber 00101…01 has token=…" in str(line["exception"])
    assert "test_logs.py" in str(line["exception"])


def test_foreign_libraries_come_out_in_the_same_form(log: Log) -> None:
    logging.getLogger("hypercorn.error").warning("from %s", IMSI)
    logging.getLogger("hypercorn.error").warning("broken %d", "x")
    first, second = log.lines()
    assert (first["logger"], first["event"]) == ("hypercorn.error", "from 00101…01")
    assert second["event"] == "broken %d"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (f"IMSI {IMSI} unknown", "IMSI 00101…01 unknown"),
        ("IMEI 35209900176148", "IMEI 35209…48"),
        ("EID 89049032123451234512345678901235", "EID 89049…35"),
        (f"0{IMSI}@nai.epc.mnc001.mcc001.3gppnetwork.org",
         "00010…01@nai.epc.mnc001.mcc001.3gppnetwork.org"),
        ("call +4915112345678 now", "call +4915…78 now"),
        (f"GET /?token={TOKEN}&vers=1", "GET /?token=…&vers=1"),
        ("Cookie: SID=34567bdf", "Cookie: …"),
        ("authorization: Bearer abc.def next", "authorization: … next"),
        (f"hash of {TOKEN}", "hash of …"),
        ("test_that_a_long_python_name_of_this_kind_is_left_alone", None),
        ("ecs1.epc.mnc001.mcc001.3gppnetwork.org;1764000000;1;ecs1-7", None),
        ("2026-07-31T10:00:00.123456Z", None),
        ("12 of 1234567890123", None),
    ],
)  # fmt: skip
def test_identities_are_shortened_and_secrets_taken_out(given: str, shown: str | None) -> None:
    assert mask_text(given) == (given if shown is None else shown)


def test_values_are_masked_by_their_name_at_any_depth() -> None:
    values = mask_values(
        {
            "imsi": "0010112345",
            "msisdn": "49151123456",
            "token": "short",
            "number": 1010000000001234,
            "count": 12,
            "raw": b"\xff" + IMSI.encode(),
            "nested": {"res": "C79F02A5", IMSI: [IMSI, 1.5, None, True]},
            "thing": Path(f"/x/{IMSI}"),
        }
    )
    assert values == {
        "imsi": "00101…45",
        "msisdn": "49151…56",
        "token": HIDDEN,
        "number": "10100…34",
        "count": 12,
        "raw": "\\xff00101…01",
        "nested": {"res": HIDDEN, "00101…01": ["00101…01", 1.5, None, True]},
        "thing": "PosixPath('/x/00101…01')",
    }


def test_what_repeats_is_held_back_and_counted_in_the_next_period(log: Log) -> None:
    logger = get_logger("router")
    for _ in range(REPEATS + 7):
        logger.warning("peer lost", peer="aaa1")
    logger.warning("peer lost", peer="aaa2")
    log.now = PERIOD_SECONDS
    logger.warning("peer lost", peer="aaa1")
    lines = log.lines()
    assert [line["peer"] for line in lines] == ["aaa1"] * REPEATS + ["aaa2", "aaa1"]
    assert lines[-1]["held_back"] == 7


def test_the_memory_of_repetitions_is_bounded() -> None:
    repetitions = Repetitions(clock=lambda: 0.0)
    for number in range(3 * DIFFERENT_LINES):
        repetitions(None, "warning", {"event": f"line {number}"})
        assert len(repetitions._seen) <= DIFFERENT_LINES


def test_a_full_pipe_costs_lines_and_not_time() -> None:
    reading, writing = os.pipe()
    writer = LogWriter(writing, bound=5)
    for _ in range(20):
        writer.write("x" * 65_536)  # one fills the pipe
    assert writer.statistics().dropped >= 13
    assert writer.statistics().waiting <= 5
    os.close(reading)  # the thread's write fails now, and the rest with it
    writer.close()
    os.close(writing)
    assert writer.statistics().waiting == 0


def test_closing_writes_what_waits_and_a_later_line_begins_again(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer = LogWriter(file.fileno())
        for number in range(100):
            writer.write(str(number))
        writer.close()
        writer.close()
        writer.write("again")
        writer.close()
        assert writer.statistics().written == 101
    assert (tmp_path / "log").read_text().splitlines()[-1] == "again"


def test_a_worker_names_itself_in_every_line(log: Log) -> None:
    configure_logging(Logging(), log.writer, worker=3)
    get_logger("listener").info("one")
    logging.getLogger("hypercorn.error").warning("two")
    assert [(line["worker"], line["event"]) for line in log.lines()] == [(3, "one"), (3, "two")]
