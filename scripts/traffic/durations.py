"""Times as people write them: `500ms`, `10s`, `1.5m`, `2h`; a bare number is seconds."""

import re
from typing import Final

_DURATION: Final = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>ms|s|m|h|)")
_SECONDS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0}


def seconds(text: str) -> float:
    """The seconds that `text` says.

    Raises:
        ValueError: it is no duration.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("a duration is expected, such as 500ms, 10s or 2m")
    return float(match["number"]) * _SECONDS[match["unit"]]
