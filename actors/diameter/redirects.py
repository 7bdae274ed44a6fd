"""Redirect indications (3006) that are remembered.

Source: RFC 6733 §6.12-6.14. Only peers of the configuration are redirected to: a node never opens a
connection to a host that an answer made up.
"""

import re
from dataclasses import dataclass
from typing import Final

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Message

MAX_ENTRIES: Final = 10_000  # ours
_URI: Final = re.compile(r"aaas?://([^:;/]+)", re.IGNORECASE)

Key = tuple[int, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Redirect:
    """One redirect indication. `hosts` are identities in lower case, in the order given."""

    hosts: tuple[str, ...]
    usage: int
    cache_seconds: int


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request is about, as far as a cached redirect may depend on it."""

    session_id: bytes
    realm: bytes
    application: bytes
    user_name: bytes
    destination_host: bytes


def read_redirect(answer: Message) -> Redirect:
    """Read a 3006 answer.

    Raises:
        DecodeError: an AVP in it cannot be read.
    """
    found = [_URI.match(uri.decode(errors="replace")) for uri in answer.all(d.REDIRECT_HOST)]
    usage = answer.i32(d.REDIRECT_HOST_USAGE)
    return Redirect(
        hosts=tuple(match[1].lower() for match in found if match),
        usage=numbers.DONT_CACHE if usage is None else usage,
        cache_seconds=answer.u32(d.REDIRECT_MAX_CACHE_TIME) or 0,
    )


def _key(usage: int, subject: Subject) -> Key | None:
    """What the usage of §6.13 makes the entry depend on."""
    parts = {
        numbers.ALL_SESSION: (subject.session_id, b""),
        numbers.ALL_REALM: (subject.realm, b""),
        numbers.REALM_AND_APPLICATION: (subject.realm, subject.application),
        numbers.ALL_APPLICATION: (subject.application, b""),
        numbers.ALL_HOST: (subject.destination_host, b""),
        numbers.ALL_USER: (subject.user_name, b""),
    }.get(usage)
    return (usage, *parts) if parts is not None and parts[0] else None


# §6.13: "the most specific first": the order in which the RFC wants the usages looked at.
_PRECEDENCE: Final = (
    numbers.ALL_SESSION,
    numbers.ALL_USER,
    numbers.REALM_AND_APPLICATION,
    numbers.ALL_REALM,
    numbers.ALL_APPLICATION,
    numbers.ALL_HOST,
)


class RedirectCache:
    """Redirects in force."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[Key, tuple[tuple[str, ...], float]] = {}

    def __bool__(self) -> bool:
        """Whether there is any entry: the hot path asks only then."""
        return bool(self._entries)

    def put(self, redirect: Redirect, subject: Subject, now: float) -> None:
        """Remember for its cache time, when its usage allows that."""
        key = _key(redirect.usage, subject)
        if key is None or not redirect.cache_seconds or not redirect.hosts:
            return
        if len(self._entries) >= MAX_ENTRIES:
            self._entries = {key: one for key, one in self._entries.items() if one[1] > now}
        if len(self._entries) < MAX_ENTRIES:
            self._entries[key] = (redirect.hosts, now + redirect.cache_seconds)

    def find(self, subject: Subject, now: float) -> tuple[str, ...]:
        """Hosts that this request should go to; empty when nothing is remembered."""
        for usage in _PRECEDENCE:
            key = _key(usage, subject)
            entry = self._entries.get(key) if key is not None else None
            if key is None or entry is None:
                continue
            if entry[1] > now:
                return entry[0]
            del self._entries[key]
        return ()
