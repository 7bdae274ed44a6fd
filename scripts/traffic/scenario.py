"""Scenario files: read, checked as a whole, and every mistake named with its path.

A scenario says what one call does (`[[step]]`, steps as data), how many calls are made and how
fast (`[load]`), and what counts as passed (`[threshold]`). `[[mix]]` makes calls of several others.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.sections import Walk
from scripts.traffic import sections
from scripts.traffic.durations import seconds
from scripts.traffic.step_checks import compiled_steps
from scripts.traffic.steps import Abandon, Authentication, Expect, Send, Step

SCENARIOS: Final = Path(__file__).parent / "scenarios"
DRIVERS: Final = ("device", "diameter")
HTTP_VERSIONS: Final = ("2", "1.1")


class ScenarioError(Exception):
    """The file cannot be used.

    Attributes:
        problems: one line each, `path.in.file: what is wrong`.
    """

    def __init__(self, path: Path, problems: list[str]) -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{path}: {len(problems)} problem{'s' * (len(problems) > 1)}{lines}")
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of call.

    Attributes:
        init: steps that every subscriber makes once, before the traffic and uncounted.
        shares: of a mix, (scenario, weight); else empty.
    """

    head: sections.Head
    load: sections.Load
    threshold: sections.Threshold
    init: tuple[Step, ...]
    steps: tuple[Step, ...]
    shares: tuple[tuple["Scenario", float], ...] = ()

    @property
    def name(self) -> str:
        """As its file says."""
        return self.head.name

    def takes_plan(self, plan: str) -> bool:
        """Whether a subscriber of `plan` can make its calls; "" is a plan that nobody knows."""
        return all(
            not plan or not part.head.plans or plan in part.head.plans for part, _ in self.parts
        )

    @property
    def uses_diameter(self) -> bool:
        """Whether its calls are DERs to the AAA, without HTTP."""
        return self.head.driver == "diameter"

    @property
    def parts(self) -> tuple[tuple["Scenario", float], ...]:
        """What its calls are: (scenario, weight); itself, when it is no mix."""
        return self.shares or ((self, 1.0),)


def available() -> Iterator[Path]:
    """The scenarios that come with the program."""
    yield from sorted(SCENARIOS.glob("*.toml"))


def find(name: str) -> Path:
    """The file of a scenario: a path, or the name of one that comes with the program.

    Raises:
        FileNotFoundError: there is none.
    """
    for path in (Path(name), SCENARIOS / name, SCENARIOS / f"{name}.toml"):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"no scenario {name!r}; there are: {', '.join(path.stem for path in available())}"
    )


def load_scenario(path: Path) -> Scenario:
    """Read and check a file, and those of its mix.

    Raises:
        ScenarioError: with every problem of the file.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # TOML and UTF-8 errors are ValueErrors
        raise ScenarioError(path, [str(error)]) from None
    walk = Walk(str)
    values = walk.fields(sections.File, table, "")
    if walk.problems:  # the checks below want the whole file, well typed
        raise ScenarioError(path, walk.problems)
    file = sections.File(**values)
    _check_head(file.scenario, walk)
    _check_load(file.load, walk)
    _check_threshold(file.threshold, walk)
    init = compiled_steps("init", file.init, walk.problem)
    steps = compiled_steps("step", file.step, walk.problem)
    shares = _shares(file, path, walk)
    _check_what_is_there(file, steps, walk)
    if walk.problems:
        raise ScenarioError(path, walk.problems)
    return Scenario(file.scenario, file.load, file.threshold, init, steps, shares)


def _check_head(head: sections.Head, walk: Walk) -> None:
    if head.driver not in DRIVERS:
        walk.problem("scenario.driver", f"one of {', '.join(DRIVERS)} is expected")
    if head.http not in HTTP_VERSIONS:
        walk.problem("scenario.http", f"one of {', '.join(HTTP_VERSIONS)} is expected")


def _check_load(load: sections.Load, walk: Walk) -> None:
    positive = ("call_rate", "call_rate_scale", "max_simultaneous_calls", "call_timeout_ms")
    for name in (*positive, "init_subscribers"):
        if getattr(load, name) <= 0:
            walk.problem(f"load.{name.replace('_', '-')}", "a number above 0 is expected")
    if load.number_calls < 0:
        walk.problem("load.number-calls", "0 (no limit) or more is expected")
    _check_duration("load.ramp", load.ramp, walk)
    _check_duration("load.warm-up", load.warm_up, walk)
    for at, stage in enumerate(load.stages):
        _check_duration(f"load.stages[{at}].for", stage.lasts, walk)
        if stage.rate < 0:
            walk.problem(f"load.stages[{at}].rate", "0 or more is expected")


def _check_duration(path: str, text: str, walk: Walk) -> None:
    try:
        seconds(text)
    except ValueError as error:
        walk.problem(path, str(error))


def _check_threshold(threshold: sections.Threshold, walk: Walk) -> None:
    if threshold.failed_ratio is not None and not 0 <= threshold.failed_ratio <= 1:
        walk.problem("threshold.failed-ratio", "0 to 1 is expected")
    each = [("threshold", sections.Limits(**_limits(threshold)))]
    each += [(f"threshold.timers.{name}", limits) for name, limits in threshold.timers.items()]
    for path, limits in each:
        for name, value in _limits(limits).items():
            if value is not None and value <= 0:
                walk.problem(f"{path}.{name.replace('_', '-')}", "a number above 0 is expected")


def _limits(limits: sections.Limits) -> dict[str, float | None]:
    return {name: getattr(limits, name) for name in sections.Limits.__struct_fields__}


def _shares(file: sections.File, path: Path, walk: Walk) -> tuple[tuple[Scenario, float], ...]:
    shares = []
    for at, share in enumerate(file.mix):
        where = f"mix[{at}]"
        if share.weight <= 0:
            walk.problem(f"{where}.weight", "a number above 0 is expected")
        try:
            beside = path.parent / f"{share.scenario}.toml"
            other = load_scenario(beside if beside.is_file() else find(share.scenario))
        except FileNotFoundError as error:
            walk.problem(f"{where}.scenario", str(error))
            continue
        except ScenarioError as error:
            for problem in error.problems:
                walk.problem(f"{where}.scenario {share.scenario}", problem)
            continue
        if other.shares:
            walk.problem(f"{where}.scenario", "a mix cannot hold a mix")
        elif other.uses_diameter != (file.scenario.driver == "diameter"):
            walk.problem(f"{where}.scenario", "has another driver")
        shares.append((other, share.weight))
    return tuple(shares)


def _check_what_is_there(file: sections.File, steps: tuple[Step, ...], walk: Walk) -> None:
    if file.mix:
        if file.step or file.init:
            walk.problem("mix", "a mix has no steps of its own")
        return
    if not file.step:
        walk.problem("step", "there is none")
        return
    if file.scenario.driver == "diameter":
        _check_diameter(file, steps, walk)
        return
    if not isinstance(steps[-1] if steps else None, Expect | Abandon):
        walk.problem(f"step[{len(file.step) - 1}]", "the last step is a recv, or end")
    tokens = any(
        isinstance(step, Send) and step.authentication is Authentication.TOKEN for step in steps
    )
    authenticated = any(
        isinstance(step, Send) and step.authentication is Authentication.EAP_AKA for step in steps
    )
    if tokens and not file.init and not authenticated:
        walk.problem("init", "a call with a token needs init steps that get one")


def _check_diameter(file: sections.File, steps: tuple[Step, ...], walk: Walk) -> None:
    """A Diameter call has one shape: identity, and an answer to each challenge."""
    if file.init:
        walk.problem("init", "a Diameter call needs none")
    for at, step in enumerate(steps):
        if isinstance(step, Send) and step.authentication is not Authentication.EAP_AKA:
            walk.problem(f"step[{at}].auth", "eap-aka is expected: it goes straight to the AAA")
