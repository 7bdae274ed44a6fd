"""Changing a running SM-DP+ from outside: one command a line over TCP, one JSON value a line back.

printf 'download 8949000000000000000\\n' | nc -N 127.0.0.1 8861
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx2
import trio

from scripts.lab.behaviour_words import BehaviourError
from scripts.lab.smdp_plus_behaviour import WORDS
from scripts.lab.smdp_plus_running import RunningSmdpPlus, WrongState

MAX_LINE_OCTETS: Final = 4_096

HELP: Final = {
    "behaviour WHO WORDS": "treat an ICCID, an EID, *DIGITS or * so",
    "clear": "treat everybody well again",
    "books": "counts of calls, states of profiles, EIDs ordered twice",
    "profile ICCID": "one profile",
    "matching MATCHING-ID": "the profile of a matching id",
    "download ICCID": "a device fetches it (tells the operator: 3)",
    "install ICCID": "a device installed it (4)",
    "fail ICCID SUBJECT/REASON": "a device failed (4 with this code)",
    "delete ICCID": "a device deleted it (5)",
    "notify ICCID POINT [SUBJECT/REASON]": "tell the operator, whatever the state",
    "help": "this",
}


class Control:
    """Carries out commands on one SM-DP+."""

    def __init__(self, running: RunningSmdpPlus) -> None:
        self._running = running
        self._commands: dict[str, Callable[..., Awaitable[Any]]] = {
            "behaviour": self._behaviour,
            "clear": self._clear,
            "books": self._books,
            "profile": self._profile,
            "matching": self._matching,
            "download": self._download,
            "install": self._install,
            "fail": self._fail,
            "delete": self._delete,
            "notify": self._notify,
            "help": self._help,
        }

    async def execute(self, line: str) -> Any:  # noqa: ANN401 (any JSON value)
        """Carry out one line; a mistake is an object with `error`."""
        name, *arguments = line.split()
        act = self._commands.get(name)
        if act is None:
            return {"error": f"unknown command {name!r}; try: help"}
        try:
            return await act(*arguments)
        except TypeError:
            return {"error": f"usage: {next(one for one in HELP if one.split()[0] == name)}"}
        except (BehaviourError, WrongState, LookupError) as error:
            return {"error": str(error)}
        except (httpx2.HTTPError, OSError) as error:
            return {"error": f"the operator was not reached: {type(error).__name__} {error}"}

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end."""
        buffer = b""
        async with stream:
            async for data in stream:
                *lines, buffer = (buffer + data).split(b"\n")
                if len(buffer) > MAX_LINE_OCTETS:
                    return
                for line in lines:
                    text = line.decode("utf-8", "replace").strip()
                    if text:
                        reply = json.dumps(await self.execute(text)).encode() + b"\n"
                        await stream.send_all(reply)

    async def _behaviour(self, who: str, words: str = "") -> str:
        self._running.server.behaviours.set(who, words)
        return "ok"

    async def _clear(self) -> str:
        self._running.server.behaviours.clear()
        return "ok"

    async def _books(self) -> dict[str, Any]:
        server = self._running.server
        states: dict[str, int] = {}
        for profile in server.inventory.profiles.values():
            states[profile.state] = states.get(profile.state, 0) + 1
        return {
            "calls": server.books.counts(),
            "states": states,
            "ordered_twice": server.inventory.ordered_twice(),
            "notifications": [
                {"iccid": one.iccid, "point": one.point, "http": one.http_status}
                for one in (self._running.notifier.sent if self._running.notifier else [])
            ],
        }

    async def _profile(self, iccid: str) -> dict[str, Any]:
        profile = self._running.server.inventory.find(iccid)
        if profile is None:
            raise LookupError(f"there is no profile {iccid}")
        return {
            "iccid": profile.iccid,
            "type": profile.profile_type,
            "state": profile.state,
            "eid": profile.eid,
            "matching_id": profile.matching_id,
            "orders": profile.orders,
            "history": profile.history,
        }

    async def _matching(self, matching_id: str) -> dict[str, Any]:
        profile = self._running.server.inventory.by_matching_id(matching_id)
        if profile is None:
            raise LookupError("no profile has this matching id")
        found: dict[str, Any] = await self._profile(profile.iccid)
        return found

    async def _download(self, iccid: str) -> str:
        return (await self._running.download(iccid)).state

    async def _install(self, iccid: str) -> str:
        return (await self._running.install(iccid)).state

    async def _fail(self, iccid: str, code: str) -> str:
        return (await self._running.fail(iccid, code)).state

    async def _delete(self, iccid: str) -> str:
        return (await self._running.delete(iccid)).state

    async def _notify(self, iccid: str, point: str, code: str = "") -> Any:  # noqa: ANN401
        notifier = self._running.notifier
        profile = self._running.server.inventory.find(iccid)
        if notifier is None:
            raise LookupError("there is no --operator")
        if profile is None:
            raise LookupError(f"there is no profile {iccid}")
        sent = await notifier.notify(profile, int(point) if point.isdigit() else point, code)
        return {"http": sent.http_status}

    async def _help(self) -> dict[str, Any]:
        return {**HELP, "WORDS": {name: row.metadata["text"] for name, row in WORDS.items()}}
