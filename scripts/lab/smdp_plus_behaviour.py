"""How the lab's SM-DP+ treats calls beyond doing them.

A behaviour is words with commas between them, such as `delay=2,function=confirmOrder,times=1`. It
holds for an ICCID, an EID, an ending of either (`*07`), or for everything (`*`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from scripts.lab.behaviour_words import described, read_words, words_of


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One treatment. The default is an SM-DP+ that does what it is told."""

    function: str = described("", "only this function, such as confirmOrder; empty: every one")
    times: int = described(0, "only so many calls; 0: all")
    # Before the function is carried out.
    delay: float = described(0.0, "seconds before it is carried out")
    lost: bool = described(False, "not carried out and never answered")
    http: int = described(0, "not carried out; this HTTP status with an HTML page")
    retry_after: str = described("", "Retry-After of that status")
    refuse: str = described("", "not carried out; Failed with SUBJECT/REASON")
    bare: bool = described(False, "with refuse: without statusCodeData")
    # After it was carried out.
    notify: int = described(0, "this notification point is reported before the answer")
    notify_twice: bool = described(False, "and reported once more")
    install: float = described(0.0, "a device installs what is released after so many seconds")
    late: float = described(0.0, "seconds after it was carried out, before the answer")
    silent: bool = described(False, "carried out, never answered")
    reset: bool = described(False, "carried out, then the connection is reset")
    broken: int = described(0, "carried out, then this HTTP status")
    status: str = described("", "carried out; Executed-WithWarning or Expired instead of Success")
    padded: bool = described(False, "ICCIDs of the answer with F")
    other_iccid: bool = described(False, "the answer names another ICCID")
    other_matching_id: bool = described(False, "the answer names another matching id")
    no_matching_id: bool = described(False, "the answer has no matching id")
    smdp_address: str = described("", "smdpAddress of confirmOrder")
    no_version: bool = described(False, "no X-Admin-Protocol in the answer")
    version: str = described("", "X-Admin-Protocol of the answer, such as 3.1.0")
    charset: bool = described(False, "Content-Type with charset=UTF-8")
    truncated: bool = described(False, "half of the answer's JSON")
    huge: bool = described(False, "an answer without end")
    drip: float = described(0.0, "seconds between the octets of the answer")
    redirect: str = described("", "carried out, then HTTP 307 to this place")
    repeatable: bool = described(False, "the same functionCallIdentifier gets the same answer")

    def fits(self, function: str) -> bool:
        """Whether it holds for a function."""
        return self.function in ("", function)


WORDS: Final = words_of(Behaviour)


def parse_behaviour(text: str) -> Behaviour:
    """Read `word` and `word=value` with commas between them.

    Raises:
        BehaviourError: a word is unknown or its value wrong.
    """
    return Behaviour(**read_words(text, WORDS))


class Behaviours:
    """Who is treated how. Change it at any time; the newest that fits counts."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, Behaviour]] = []
        self._used: list[int] = []

    def set(self, who: str, behaviour: Behaviour | str) -> None:
        """Treat an ICCID, an EID, `*DIGITS` or `*` so.

        Raises:
            BehaviourError: a text is wrong.
        """
        if isinstance(behaviour, str):
            behaviour = parse_behaviour(behaviour)
        self._rows.insert(0, (who, behaviour))
        self._used.insert(0, 0)

    def clear(self) -> None:
        """Treat everybody well again."""
        self._rows.clear()
        self._used.clear()

    def of(self, function: str, names: Iterable[str]) -> Behaviour:
        """The behaviour for a call about these ICCIDs and EIDs; counts as used."""
        known = [name for name in names if name]
        for at, (who, behaviour) in enumerate(self._rows):
            if behaviour.times and self._used[at] >= behaviour.times:
                continue
            if behaviour.fits(function) and _is_meant(who, known):
                self._used[at] += 1
                return behaviour
        return Behaviour()


def _is_meant(who: str, names: list[str]) -> bool:
    if who.startswith("*"):
        return who == "*" or any(name.endswith(who[1:]) for name in names)
    return who in names
