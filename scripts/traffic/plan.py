"""How much load a run makes: the scenario's [load], with what the command line replaces."""

import math
from dataclasses import dataclass

from scripts.traffic.arrivals import Arrivals
from scripts.traffic.durations import seconds
from scripts.traffic.sections import Load

Stage = tuple[float, float, bool]


@dataclass(frozen=True, slots=True)
class Plan:
    """The load of one run.

    Attributes:
        rate: calls a second when there are no stages.
        number: calls in all; 0: until the stages end, or for ever.
        stages: (seconds, calls a second, by a ramp).
    """

    rate: float
    number: int
    simultaneous: int
    timeout_seconds: float
    ramp_seconds: float
    warm_up_seconds: float
    stages: tuple[Stage, ...]
    scale: float

    @classmethod
    def of(
        cls,
        load: Load,
        *,
        rate: float | None = None,
        number: int | None = None,
        simultaneous: int | None = None,
        ramp_seconds: float | None = None,
        warm_up_seconds: float | None = None,
        stages: tuple[Stage, ...] = (),
    ) -> "Plan":
        """Replace what is given.

        A rate without stages means that rate for ever: the scenario's stages go. With a number of
        calls and a rate, the run ends with the last call.
        """
        given = stages
        if not given and rate is None:
            given = tuple((seconds(one.lasts), one.rate, one.ramp) for one in load.stages)
        return cls(
            rate=load.call_rate if rate is None else rate,
            number=load.number_calls if number is None else number,
            simultaneous=simultaneous or load.max_simultaneous_calls,
            timeout_seconds=load.call_timeout_ms / 1_000,
            ramp_seconds=seconds(load.ramp) if ramp_seconds is None else ramp_seconds,
            warm_up_seconds=seconds(load.warm_up) if warm_up_seconds is None else warm_up_seconds,
            stages=given,
            scale=load.call_rate_scale,
        )

    def arrivals(self) -> Arrivals:
        """When its calls are due."""
        return Arrivals.staged(self.rate, self.stages, self.ramp_seconds)

    @property
    def ends(self) -> bool:
        """Whether it ends by itself."""
        return bool(self.number) or not math.isinf(self.arrivals().lasts)


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Stages of the command line: `10s@50,30s@100,10s>20` (`@` at once, `>` by a ramp).

    Raises:
        ValueError: it is no list of stages.
    """
    return tuple(_stage(part.strip()) for part in text.split(","))


def _stage(text: str) -> Stage:
    for sign, ramped in (("@", False), (">", True)):
        lasts, found, rate = text.partition(sign)
        if found:
            value = float(rate)
            if value < 0 or not math.isfinite(value):
                raise ValueError("a rate is 0 or more calls a second")
            return seconds(lasts), value, ramped
    raise ValueError("stages are written 10s@50,30s>100: seconds, @ or > (ramp), calls a second")
