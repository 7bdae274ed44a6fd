"""Scenario files: what they mean, and that every mistake is named with its path."""

from pathlib import Path

import pytest

from scripts.traffic.scenario import ScenarioError, available, find, load_scenario
from scripts.traffic.steps import Abandon, Answer, AnswerKind, Authentication, Expect, Pause, Send

STEPS = """
[[step]]
send = "GET /"
auth = "eap-aka"
app = ["ap2004"]
[[step]]
recv = { status = 200 }
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "one.toml"
    path.write_text(text)
    return path


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(written(tmp_path, text))
    return list(caught.value.problems)


@pytest.mark.parametrize("path", list(available()), ids=lambda path: path.stem)
def test_a_shipped_scenario_loads_and_is_named_like_its_file(path: Path) -> None:
    scenario = load_scenario(path)
    assert scenario.name == path.stem
    assert scenario.head.title
    assert scenario.head.flow
    assert scenario.threshold.p95_ms


def test_the_shipped_scenarios_are_those_that_the_manual_names() -> None:
    assert {path.stem for path in available()} == {
        "volte_vowifi_activation",
        "token_refresh",
        "sqn_resync",
        "wrong_res",
        "abandoned",
        "mixed_busy_hour",
        "diameter_only",
        "watch_companion",
        "primary_new_line",
        "esim_transfer",
        "esim_mixed",
    }


def test_only_subscribers_of_its_plans_call() -> None:
    activation = load_scenario(find("volte_vowifi_activation"))
    assert [activation.takes_plan(plan) for plan in ("full", "", "voice")] == [True, True, False]
    assert not load_scenario(find("mixed_busy_hour")).takes_plan("voice")  # it holds an activation
    assert load_scenario(find("wrong_res")).takes_plan("voice")


def test_a_scenario_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    assert find("wrong_res") == find("wrong_res.toml")
    path = written(tmp_path, "")
    assert find(str(path)) == path
    with pytest.raises(FileNotFoundError, match="no scenario 'nothing'; there are: abandoned"):
        find("nothing")


def test_steps_become_plain_data(tmp_path: Path) -> None:
    scenario = load_scenario(
        written(
            tmp_path,
            """
            [scenario]
            name = "all"
            [[step]]
            send = "POST /path"
            auth = "eap-aka"
            app = ["ap2004", "ap2003"]
            parameters = { GID1 = "A1" }
            [[step]]
            recv = { content-type = "application/vnd.gsma.eap-relay.v1.0+json", rtd = "challenge" }
            [[step]]
            pause = "250ms"
            [[step]]
            answer = "resync"
            [[step]]
            recv = { status = 200, check = { "ap2004.EntitlementStatus" = "1", x = "*" } }
            [[step]]
            end = "abandon"
            """,
        )
    )
    send, challenge, pause, answer, document, end = scenario.steps
    assert isinstance(send, Send)
    assert (send.method, send.path, send.apps) == ("POST", "/path", ("ap2004", "ap2003"))
    assert send.authentication is Authentication.EAP_AKA
    assert send.parameters == (("GID1", "A1"),)
    assert isinstance(challenge, Expect)
    assert challenge.challenge
    assert challenge.timer == "challenge"
    assert pause == Pause(0.25)
    assert answer == Answer(AnswerKind.RESYNC)
    assert isinstance(document, Expect)
    assert not document.challenge
    assert document.checks == ((("ap2004", "EntitlementStatus"), "1"), (("", "x"), "*"))
    assert end == Abandon()


def test_every_mistake_is_named_with_its_path(tmp_path: Path) -> None:
    text = """
    [scenario]
    name = "wrong"
    driver = "pigeon"
    http = "3"
    [load]
    call-rate = 0
    number-calls = -1
    call-timeout-ms = 0
    ramp = "soon"
    stages = [{ for = "10", rate = 5 }, { for = "x", rate = -1 }]
    [[step]]
    answer = "res"
    [[step]]
    send = "FETCH"
    auth = "eap-aka"
    [[step]]
    send = "GET /"
    auth = "magic"
    [[step]]
    recv = { status = 99 }
    app = ["ap2004"]
    [[step]]
    pause = "1s"
    end = "abandon"
    [threshold]
    failed-ratio = 2
    p95-ms = 0
    timers = { challenge = { p99-ms = -1 } }
    """
    assert problems(tmp_path, text) == [
        "scenario.driver: one of device, diameter is expected",
        "scenario.http: one of 2, 1.1 is expected",
        "load.call-rate: a number above 0 is expected",
        "load.call-timeout-ms: a number above 0 is expected",
        "load.number-calls: 0 (no limit) or more is expected",
        "load.ramp: a duration is expected, such as 500ms, 10s or 2m",
        "load.stages[1].for: a duration is expected, such as 500ms, 10s or 2m",
        "load.stages[1].rate: 0 or more is expected",
        "threshold.failed-ratio: 0 to 1 is expected",
        "threshold.p95-ms: a number above 0 is expected",
        "threshold.timers.challenge.p99-ms: a number above 0 is expected",
        "step[0].answer: there was no challenge before (recv of the eap-relay type)",
        'step[1].send: a method and a path are expected, such as "GET /"',
        "step[1]: recv is expected",
        "step[2].auth: one of eap-aka, token, none is expected",
        "step[3].app: belongs to a send",
        "step[3].recv.status: an HTTP status or a Diameter result is expected",
        "step[4]: exactly one of send, answer, recv, pause, end is expected",
    ]


def test_unknown_keys_and_wrong_types_are_named_with_a_suggestion(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        '[scenario]\nname = 5\n[load]\ncall-rat = 5\nstages = "no"\n'
        "[[step]]\nrecv = { stat = 1 }\n",
    )
    assert found[0] == "scenario.name: text is expected"
    assert found[1].startswith("load.call-rat: no such key")
    assert "call-rate" in found[1]
    assert found[2].startswith("load.stages: a list is expected")
    assert found[3].startswith("step[0].recv.stat: no such key")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "scenario: is missing"),
        ("[scenario]\nname = 'x'", "step: there is none"),
        (
            "[scenario]\nname = 'x'\n[[step]]\npause = '1s'",
            "step[0]: the last step is a recv, or end",
        ),
        ("[scenario]\nname = 'x'\n[[step]]\nrecv = {}", "step[0]: recv follows send or answer"),
        ("[[[", "Invalid initial character"),
        ("[[step]]\nrecv = 5", "step[0].recv: a table of keys and values is expected"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, text: str, problem: str) -> None:
    assert any(one.startswith(problem) for one in problems(tmp_path, text))


def test_a_token_needs_init_steps(tmp_path: Path) -> None:
    text = "[scenario]\nname = 'x'\n" + STEPS.replace("eap-aka", "token")
    assert problems(tmp_path, text) == ["init: a call with a token needs init steps that get one"]


def test_a_mix_names_the_problems_of_its_parts(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("[scenario]\nname = 'broken'\n")
    mix = '[scenario]\nname = "m"\n' + "".join(
        f'[[mix]]\nscenario = "{name}"\nweight = {weight}\n'
        for name, weight in (("wrong_res", 0), ("nothing", 1), ("broken", 1), ("diameter_only", 1))
    )
    found = problems(tmp_path, mix)
    assert found[0] == "mix[0].weight: a number above 0 is expected"
    assert found[1].startswith("mix[1].scenario: no scenario 'nothing'")
    assert found[2] == "mix[2].scenario broken: step: there is none"
    assert found[3] == "mix[3].scenario: has another driver"


def test_a_mix_has_no_steps_and_holds_no_mix(tmp_path: Path) -> None:
    text = '[scenario]\nname = "m"\n[[mix]]\nscenario = "mixed_busy_hour"\n' + STEPS
    assert problems(tmp_path, text) == [
        "mix[0].scenario: a mix cannot hold a mix",
        "mix: a mix has no steps of its own",
    ]


def test_a_diameter_call_has_no_http(tmp_path: Path) -> None:
    text = '[scenario]\nname = "d"\ndriver = "diameter"\n' + STEPS.replace("eap-aka", "none")
    assert problems(tmp_path, text) == [
        "step[0].auth: eap-aka is expected: it goes straight to the AAA"
    ]


def test_names_and_repetitions_are_checked(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
[scenario]
name = "one"
title = "t"
[[step]]
send = "GET /"
auth = "none"
app = ["ap2009"]
parameters = { token = "{temporary}", eid = "{eid}", odd = "{" }
[[step]]
recv = { most = 0, every = "soon", capture = { temporary = "ap2009." }, until = { "." = "1" } }
""",
    )
    paths = [problem.partition(": ")[0] for problem in found]
    assert paths == [
        "step[0].parameters.token",
        "step[0].parameters.odd",
        "step[1].recv.until..",
        "step[1].recv.capture.ap2009.",
        "step[1].recv.most",
        "step[1].recv.every",
    ]
