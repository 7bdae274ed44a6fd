"""What a User-Agent tells, for statistics only: nothing is ever decided on it.

Source: GSMA TS.43 v12 §2.2.1, and the older and vendor forms that are in the field. Every input
gives a result; what is not there is empty.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

LONGEST: Final = 512  # characters that are looked at

_PROTOCOL: Final = re.compile(r"PRD-TS43(?:/(?P<version>[0-9.]+))?", re.IGNORECASE)
_TERMINAL: Final = re.compile(r"(?:^|\s)(?:term-)?(?P<vendor>[^\s/]*)/(?P<model>[^\s/]*)")
_CLIENT: Final = re.compile(
    r"(?:client-)?(?P<name>IMS-Entitlement|(?:Companion|Primary|Server)-ODSA)/(?P<version>\S+)",
    re.IGNORECASE,
)
_SYSTEM: Final = re.compile(r"OS-(?P<name>[A-Za-z]+)/(?P<version>\S*)", re.IGNORECASE)


class UserAgent(NamedTuple):
    """The parts of a User-Agent.

    Attributes:
        is_ts43: the product `PRD-TS43` is named.
        protocol_version: of `PRD-TS43/<version>`, which the Android 11 client of Samsung sends.
        vendor, model: of the terminal.
        client, client_version: such as `IMS-Entitlement` and `1.0`.
        system, system_version: such as `Android` and `14`.
    """

    is_ts43: bool = False
    protocol_version: str = ""
    vendor: str = ""
    model: str = ""
    client: str = ""
    client_version: str = ""
    system: str = ""
    system_version: str = ""


@lru_cache(maxsize=1024)
def parse_user_agent(text: str) -> UserAgent:
    """Read a User-Agent as far as it can be read."""
    text = text[:LONGEST]
    protocol = _PROTOCOL.search(text)
    client = _CLIENT.search(text)
    system = _SYSTEM.search(text)
    terminal = _TERMINAL.search(_rest(text, protocol, client, system))
    return UserAgent(
        is_ts43=protocol is not None,
        protocol_version=(protocol["version"] or "") if protocol else "",
        vendor=terminal["vendor"] if terminal else "",
        model=terminal["model"] if terminal else "",
        client=client["name"] if client else "",
        client_version=client["version"] if client else "",
        system=system["name"] if system else "",
        system_version=system["version"] if system else "",
    )


def _rest(text: str, *matches: re.Match[str] | None) -> str:
    """The text without what other parts were read from, so that no part is read twice."""
    for match in matches:
        if match is not None:
            text = text.replace(match[0], " ", 1)
    return text
