"""A scenario as it stands in its TOML file, typed, with its defaults.

Keys are the field names with `-` for `_`, as in SIPp's and Seagull's files where they have the
same (call-rate, call-rate-scale, max-simultaneous-calls, number-calls, call-timeout-ms). What the
fields mean together is checked in `scenario.py`.
"""

from typing import Final

import msgspec

from config.model import Section


class Head(Section, frozen=True, kw_only=True):
    """[scenario]: what it is, for the person who chooses one."""

    name: str
    title: str = ""
    provisions: str = ""  # what must exist beforehand
    plans: tuple[str, ...] = ()  # only subscribers of these, or of none, call; empty: all
    flow: str = ""  # the messages of one call
    driver: str = "device"  # or "diameter": no HTTP, DERs straight to the AAA
    http: str = "2"  # or "1.1", which Android's own client speaks


class Stage(Section, frozen=True, kw_only=True):
    """One stage of the load: `for` how long, which rate in calls a second, reached at once or
    by a straight ramp from the stage before."""

    lasts: str = msgspec.field(name="for")
    rate: float
    ramp: bool = False


class Load(Section, frozen=True, kw_only=True):
    """[load]: how many calls, how fast. The command line can replace each of them."""

    call_rate: float = 10.0  # calls a second
    call_rate_scale: float = 10.0  # one key stroke of + or -, in calls a second
    max_simultaneous_calls: int = 1_000
    number_calls: int = 0  # 0: until the stages end, or for ever
    call_timeout_ms: int = 30_000  # what a phone waits
    ramp: str = "0s"  # from nothing to the first rate, before the stages
    warm_up: str = "0s"  # calls due before it are made and not counted
    stages: tuple[Stage, ...] = ()
    init_subscribers: int = 1_000  # at most so many run the init steps


class Receive(Section, frozen=True, kw_only=True):
    """What the answer must be. A challenge that comes instead is answered, as a phone would."""

    status: int = 200
    content_type: str = ""  # compared without parameters; empty: any
    # parm name, or ap2004.name, to its value; "*": any value
    check: dict[str, str] = msgspec.field(default_factory=dict)
    capture: dict[str, str] = msgspec.field(default_factory=dict)  # name: parm, for later {name}
    # Checks; until they hold the request is repeated, `every` so long, `most` times.
    until: dict[str, str] = msgspec.field(default_factory=dict)
    every: str = "1s"
    most: int = 30
    rtd: str = ""  # the timer that takes the time since `send` or `answer`


NO_RECEIVE: Final = Receive()
"""Stands where a step has no recv; compared by identity."""


class Step(Section, frozen=True, kw_only=True):
    """[[step]] or [[init]]: exactly one of send, answer, recv, pause, end."""

    send: str = ""  # "GET /"
    app: tuple[str, ...] = ()
    auth: str = ""  # eap-aka, token or none
    accept: str = ""  # empty: what AOSP's IMS application sends
    parameters: dict[str, str] = msgspec.field(default_factory=dict)  # more, or others; {name}
    connection: str = "keep"  # or "new"
    answer: str = ""  # res, wrong-res, resync
    recv: Receive = NO_RECEIVE
    pause: str = ""
    end: str = ""  # abandon: leave without a word


class Share(Section, frozen=True, kw_only=True):
    """[[mix]]: another scenario and its weight among the calls."""

    scenario: str
    weight: float = 1.0


class Limits(Section, frozen=True, kw_only=True):
    """Upper limits of one timer, in ms; none: no limit."""

    p50_ms: float | None = None
    p90_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None


class Threshold(Limits, frozen=True, kw_only=True):
    """[threshold]: what decides over passed and failed. The limits of the top are for the whole
    call; `timers` has those of named timers."""

    failed_ratio: float | None = None
    timers: dict[str, Limits] = msgspec.field(default_factory=dict)


class File(Section, frozen=True, kw_only=True):
    """The whole file."""

    scenario: Head
    load: Load = Load()
    init: tuple[Step, ...] = ()
    step: tuple[Step, ...] = ()
    mix: tuple[Share, ...] = ()
    threshold: Threshold = Threshold()
