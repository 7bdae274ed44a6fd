"""From the steps of a file to those of a call: which fields go together, and in which order."""

from collections.abc import Callable
from string import Formatter
from typing import Final

from scripts.traffic import sections
from scripts.traffic.durations import seconds
from scripts.traffic.steps import (
    VARIABLES,
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
    known = set(VARIABLES)
    for at, step in enumerate(given):
        path = f"{name}[{at}]"
        one = _compiled(path, step, problem)
        if one is None:
            continue
        if isinstance(one, Expect) != waiting and not isinstance(one, Pause | Abandon):
            problem(path, "recv follows send or answer" if not waiting else "recv is expected")
        if isinstance(one, Answer) and not challenged:
            problem(f"{path}.answer", "there was no challenge before (recv of the eap-relay type)")
        if isinstance(one, Send):
            _check_names(path, one, known, problem)
        if isinstance(one, Expect):
            known.update(variable for variable, _ in one.captures)
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


def _check_names(path: str, send: Send, known: set[str], problem: Problem) -> None:
    for parameter, value in send.parameters:
        try:
            names = [name for _, name, _, _ in Formatter().parse(value) if name is not None]
        except ValueError as error:
            problem(f"{path}.parameters.{parameter}", str(error))
            continue
        for name in names:
            if name not in known:
                text = f"{{{name}}} is none of {', '.join(sorted(known))}"
                problem(f"{path}.parameters.{parameter}", text)


def _answer(path: str, kind: str, problem: Problem) -> Answer | None:
    kinds = [one.value for one in AnswerKind]
    if kind not in kinds:
        problem(f"{path}.answer", f"one of {', '.join(kinds)} is expected")
        return None
    return Answer(AnswerKind(kind))


def _expect(path: str, recv: sections.Receive, problem: Problem) -> Expect:
    if not (100 <= recv.status <= 599 or recv.status in DIAMETER_RESULTS):
        problem(f"{path}.recv.status", "an HTTP status or a Diameter result is expected")
    checks = _places(f"{path}.recv.check", recv.check, problem)
    until = _places(f"{path}.recv.until", recv.until, problem)
    wanted = {where: name for name, where in recv.capture.items()}
    captures = tuple(
        (name, where) for where, name in _places(f"{path}.recv.capture", wanted, problem)
    )
    challenge = recv.content_type == EAP_RELAY or recv.status == MULTI_ROUND_AUTH
    if challenge and (checks or until or captures):
        problem(f"{path}.recv.check", "a challenge has no parameters to check")
    if recv.most < 1:
        problem(f"{path}.recv.most", "1 or more is expected")
    try:
        every = seconds(recv.every)
    except ValueError as error:
        problem(f"{path}.recv.every", str(error))
        every = 1.0
    return Expect(
        recv.status,
        recv.content_type,
        challenge,
        checks,
        recv.rtd,
        captures,
        until,
        every,
        recv.most,
    )


def _places(
    path: str, given: dict[str, str], problem: Problem
) -> tuple[tuple[tuple[str, str], str], ...]:
    """((application or "", parm name), what stands beside it) of each."""
    places = []
    for name, value in given.items():
        application, dot, parm = name.rpartition(".")
        if not parm or (dot and not application):
            problem(f"{path}.{name}", "a name, or application.name, is expected")
        places.append(((application, parm), value))
    return tuple(places)


def _pause(path: str, text: str, problem: Problem) -> Pause | None:
    try:
        return Pause(seconds(text))
    except ValueError as error:
        problem(f"{path}.pause", str(error))
        return None
