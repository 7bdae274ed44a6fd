"""From the steps of a file to those of a call: which fields go together, and in which order."""

from collections.abc import Callable
from typing import Final

from scripts.traffic import sections
from scripts.traffic.durations import seconds
from scripts.traffic.steps import (
    Abandon,
    Answer,
    AnswerKind,
    Authentication,
    Expect,
    Pause,
    Send,
    Step,
)

EAP_RELAY: Final = "application/vnd.gsma.eap-relay.v1.0+json"
XML: Final = "text/vnd.wap.connectivity-xml"
METHODS: Final = ("GET", "POST")
CONNECTIONS: Final = ("keep", "new")
KINDS: Final = ("send", "answer", "recv", "pause", "end")
ONLY_WITH_SEND: Final = ("app", "auth", "accept", "parameters", "connection")
DIAMETER_RESULTS: Final = range(1_000, 6_000)
MULTI_ROUND_AUTH: Final = 1001  # DIAMETER_MULTI_ROUND_AUTH: the challenge of a Diameter scenario

Problem = Callable[[str, str], None]


def compiled_steps(
    name: str, given: tuple[sections.Step, ...], problem: Problem
) -> tuple[Step, ...]:
    """The steps of `[[name]]`; a step that is wrong is told to `problem` and left out."""
    compiled: list[Step] = []
    waiting = False  # for the answer to a request
    challenged = False
    for at, step in enumerate(given):
        path = f"{name}[{at}]"
        one = _compiled(path, step, problem)
        if one is None:
            continue
        if isinstance(one, Expect) != waiting and not isinstance(one, Pause | Abandon):
            problem(path, "recv follows send or answer" if not waiting else "recv is expected")
        if isinstance(one, Answer) and not challenged:
            problem(f"{path}.answer", "there was no challenge before (recv of the eap-relay type)")
        waiting = isinstance(one, Send | Answer) or (waiting and isinstance(one, Pause))
        if isinstance(one, Expect):
            challenged = one.challenge
        compiled.append(one)
    return tuple(compiled)


def _compiled(path: str, step: sections.Step, problem: Problem) -> Step | None:
    kinds = [
        kind
        for kind in KINDS
        if getattr(step, kind) and getattr(step, kind) is not sections.NO_RECEIVE
    ]
    if len(kinds) != 1:
        problem(path, f"exactly one of {', '.join(KINDS)} is expected")
        return None
    (kind,) = kinds
    default = sections.Step()
    for name in ONLY_WITH_SEND:
        if kind != "send" and getattr(step, name) != getattr(default, name):
            problem(f"{path}.{name}", "belongs to a send")
    match kind:
        case "send":
            return _send(path, step, problem)
        case "answer":
            return _answer(path, step.answer, problem)
        case "recv":
            return _expect(path, step.recv, problem)
        case "pause":
            return _pause(path, step.pause, problem)
    if step.end != "abandon":
        problem(f"{path}.end", "abandon is expected")
    return Abandon()


def _send(path: str, step: sections.Step, problem: Problem) -> Send | None:
    method, _, target = step.send.partition(" ")
    if method not in METHODS or not target.startswith("/") or " " in target:
        problem(f"{path}.send", 'a method and a path are expected, such as "GET /"')
    kinds = [kind.value for kind in Authentication]
    if step.auth not in kinds:
        problem(f"{path}.auth", f"one of {', '.join(kinds)} is expected")
        return None
    if step.connection not in CONNECTIONS:
        problem(f"{path}.connection", f"one of {', '.join(CONNECTIONS)} is expected")
    authentication = Authentication(step.auth)
    first_leg = EAP_RELAY if authentication is Authentication.EAP_AKA else XML
    return Send(
        method,
        target,
        step.app,
        authentication,
        step.accept or first_leg,
        tuple(step.parameters.items()),
        step.connection == "new",
    )


def _answer(path: str, kind: str, problem: Problem) -> Answer | None:
    kinds = [one.value for one in AnswerKind]
    if kind not in kinds:
        problem(f"{path}.answer", f"one of {', '.join(kinds)} is expected")
        return None
    return Answer(AnswerKind(kind))


def _expect(path: str, recv: sections.Receive, problem: Problem) -> Expect:
    if not (100 <= recv.status <= 599 or recv.status in DIAMETER_RESULTS):
        problem(f"{path}.recv.status", "an HTTP status or a Diameter result is expected")
    checks = []
    for name, value in recv.check.items():
        application, dot, parm = name.rpartition(".")
        if not parm or (dot and not application):
            problem(f"{path}.recv.check.{name}", "a name, or application.name, is expected")
        checks.append(((application, parm), value))
    challenge = recv.content_type == EAP_RELAY or recv.status == MULTI_ROUND_AUTH
    if challenge and checks:
        problem(f"{path}.recv.check", "a challenge has no parameters to check")
    return Expect(recv.status, recv.content_type, challenge, tuple(checks), recv.rtd)


def _pause(path: str, text: str, problem: Problem) -> Pause | None:
    try:
        return Pause(seconds(text))
    except ValueError as error:
        problem(f"{path}.pause", str(error))
        return None
