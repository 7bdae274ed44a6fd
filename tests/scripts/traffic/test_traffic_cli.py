"""The command line: files, exit codes, Ctrl-C."""

import csv
import os
import signal
import socket
import threading
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from scripts.traffic.cli import main
from scripts.traffic.subscribers import Order, read


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


@pytest.fixture
def nobody() -> str:
    """An address where nothing listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"https://127.0.0.1:{found.getsockname()[1]}"


def test_list_names_every_scenario_with_its_title() -> None:
    result = invoke("list")
    assert result.exit_code == 0
    assert "sqn_resync" in result.output
    assert "Synchronisation failure, then success" in result.output


def test_show_prints_the_file() -> None:
    result = invoke("show", "wrong_res")
    assert result.exit_code == 0
    assert 'answer = "wrong-res"' in result.output
    assert invoke("show", "nothing").exit_code == 255


def test_subscribers_are_generated(tmp_path: Path) -> None:
    path = tmp_path / "subs.csv"
    result = invoke("subscribers", "generate", path, "-n", 30, "--random", "--plan", "full")
    assert result.exit_code == 0, result.output
    order, found = read(path)
    assert order is Order.RANDOM
    assert len(found) == 30
    assert found[29].imsi == "001010000000030"
    assert invoke("subscribers", "generate", path, "--first-imsi", "1").exit_code == 2


def test_failed_calls_are_exit_code_1_and_stand_in_the_reports(tmp_path: Path, nobody: str) -> None:
    stat, report, page = (tmp_path / name for name in ("stat.csv", "report.json", "report.html"))
    result = invoke(
        "run", "wrong_res", "--target", nobody, "-r", 200, "-m", 20, "--ramp", "0s",
        "--stat", stat, "--report", report, "--html", page,
    )  # fmt: skip
    assert result.exit_code == 1, result.output
    found = msgspec.json.decode(report.read_bytes())
    assert found["failures"]["connection"] == 20
    assert found["exit-code"] == 1
    assert "Connection refused" in found["examples"]["connection"][0]
    with stat.open() as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert rows[-1]["FailedCall(C)"] == "20"
    assert page.read_text().startswith("<!doctype html>")
    assert "20 failed" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "nothing"],
        ["run", "wrong_res", "--subscribers", "/does/not/exist"],
        ["run", "wrong_res", "--target", "http://localhost"],
        ["run", "wrong_res", "--report", "/does/not/exist.json"],
        ["run", "token_refresh", "-m", "1", "--target", "https://127.0.0.1:1"],
    ],
)
def test_what_cannot_begin_is_fatal(arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 255
    assert "fatal:" in result.output
    assert "Traceback" not in result.output


def test_a_wrong_option_is_a_usage_error() -> None:
    for option, value in (("--ramp", "soon"), ("--stages", "10s"), ("-r", "-1"), ("-l", "0")):
        result = invoke("run", "wrong_res", option, value)
        assert result.exit_code == 2
        assert "Invalid value" in result.output


def test_ctrl_c_ends_with_a_report_and_exit_code_97(tmp_path: Path, nobody: str) -> None:
    report = tmp_path / "report.json"
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    result = invoke("run", "wrong_res", "--target", nobody, "-r", 0, "--report", report)
    assert result.exit_code == 97, result.output
    assert msgspec.json.decode(report.read_bytes())["stopped"] is True


def test_quiet_is_one_line(nobody: str) -> None:
    result = invoke("run", "wrong_res", "--target", nobody, "-r", 200, "-m", 3, "--quiet")
    assert result.output == "wrong_res: 0 passed, 3 failed\n"
