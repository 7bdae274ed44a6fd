"""The Diameter-only scenario against the lab's AAA: real sockets, real EAP-AKA."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from scripts.bench.processes import free_ports, python, running, wait_until_listening
from scripts.traffic.cli import main
from scripts.traffic.diameter_call import DiameterTarget

WRONG_RES = """
[scenario]
name = "wrong"
driver = "diameter"
[[step]]
send = "GET /"
auth = "eap-aka"
[[step]]
recv = { status = 1001, rtd = "challenge" }
[[step]]
answer = "wrong-res"
[[step]]
recv = { status = 4001, rtd = "refused" }
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An AAA that treats some subscribers badly."""
    (port,) = free_ports(1)
    command = python(
        "scripts.lab.aaa", "--listen", f"127.0.0.1:{port}",
        "--behaviour", "001010000000002=stale=1", "--behaviour", "001010000000003=result=5003",
        "--behaviour", "001010000000004=silent", "--behaviour", "001010000000005=forged",
    )  # fmt: skip
    with running("aaa", command, tmp_path_factory.mktemp("aaa"), ready="") as program:
        wait_until_listening(program, port)
        yield f"diameter://127.0.0.1:{port}"


def invoke(folder: Path, scenario: object, target: str, subscriber: int, *more: object) -> Result:
    """Calls of one subscriber."""
    file = folder / "subs.csv"
    file.write_text(f"SEQUENTIAL\n0010100000000{subscriber:02};;;;;full;mno\n")
    arguments = ["run", scenario, "--target", target, "--ramp", "0s", "-r", 100]
    arguments += ["--subscribers", file, *more]
    return CliRunner().invoke(main, [str(one) for one in arguments])


@pytest.mark.slow
def test_calls_pass_and_their_timers_are_named(target: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    found = invoke(tmp_path, "diameter_only", target, 1, "-m", 5, "--report", report)
    assert found.exit_code == 0, found.output
    written = msgspec.json.decode(report.read_bytes())
    assert written["calls"]["passed"] == 5
    assert written["timers"]["challenge"]["count"] == 5
    assert written["timers"]["authenticate"]["count"] == 5
    assert written["target"] == target


@pytest.mark.slow
def test_a_card_out_of_step_is_resynchronised(target: str, tmp_path: Path) -> None:
    scenario = tmp_path / "auto.toml"
    scenario.write_text(
        '[scenario]\nname = "auto"\ndriver = "diameter"\n[[step]]\nsend = "GET /"\n'
        'auth = "eap-aka"\n[[step]]\nrecv = { status = 2001 }\n'
    )
    report = tmp_path / "report.json"
    found = invoke(tmp_path, scenario, target, 2, "-m", 1, "--report", report)
    assert found.exit_code == 0, found.output
    assert msgspec.json.decode(report.read_bytes())["calls"]["resynchronisations"] == 1


@pytest.mark.slow
def test_a_wrong_res_is_refused(target: str, tmp_path: Path) -> None:
    scenario = tmp_path / "wrong.toml"
    scenario.write_text(WRONG_RES)
    found = invoke(tmp_path, scenario, target, 1, "-m", 3)
    assert found.exit_code == 0, found.output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("subscriber", "reason", "detail"),
    [
        (3, "eap-reject", "result 5003, 1001 was expected"),
        (5, "eap-reject", "the card does not trust the network (AUTN)"),
    ],
)
def test_failures_have_their_reason(
    target: str, tmp_path: Path, subscriber: int, reason: str, detail: str
) -> None:
    report = tmp_path / "report.json"
    found = invoke(tmp_path, "diameter_only", target, subscriber, "-m", 1, "--report", report)
    assert found.exit_code == 1
    assert msgspec.json.decode(report.read_bytes())["examples"] == {reason: [detail]}


@pytest.mark.slow
def test_a_silent_aaa_is_a_timeout(target: str, tmp_path: Path) -> None:
    scenario = tmp_path / "short.toml"
    scenario.write_text(WRONG_RES + "[load]\ncall-timeout-ms = 200\n")
    report = tmp_path / "report.json"
    found = invoke(tmp_path, scenario, target, 4, "-m", 1, "--report", report)
    assert found.exit_code == 1
    assert msgspec.json.decode(report.read_bytes())["examples"] == {"timeout": ["no end in 0.2 s"]}


def test_an_aaa_that_is_not_there_is_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.traffic.diameter_call.READY_SECONDS", 0.1)
    (port,) = free_ports(1)
    found = invoke(tmp_path, "diameter_only", f"diameter://127.0.0.1:{port}", 1, "-m", 1)
    assert found.exit_code == 255
    assert "is no open Diameter peer" in found.output


def test_a_target_is_a_diameter_url() -> None:
    target = DiameterTarget.parse("diameter://aaa7.example.org@127.0.0.1:3870")
    assert (target.origin_host, target.address, target.port) == (
        "aaa7.example.org",
        "127.0.0.1",
        3870,
    )
    assert DiameterTarget.parse("diameter://127.0.0.1").port == 3868
    for wrong in ("https://127.0.0.1", "diameter://", "diameter://x/y"):
        with pytest.raises(ValueError, match="an URL such as"):
            DiameterTarget.parse(wrong)
