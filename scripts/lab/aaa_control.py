"""Changing a running AAA from outside: one command a line over TCP, one JSON value a line back.

printf 'behaviour 001010000000007 delay=2\\n' | nc 127.0.0.1 3869
"""

import json
from collections.abc import Callable
from typing import Any, Final

import trio

from scripts.lab.aaa_behaviour import WORDS, parse_assignments, parse_behaviour
from scripts.lab.aaa_books import AaaSession, SentRequest
from scripts.lab.aaa_running import RunningAaa
from scripts.lab.behaviour_words import BehaviourError

MAX_LINE_OCTETS: Final = 4_096

HELP: Final = {
    "behaviour WHO WORDS": "treat an IMSI, *DIGITS or * so; no WORDS: well again",
    "clear": "treat everybody well again",
    "books": "counts",
    "session IMSI": "the subscriber's sessions",
    "sqn IMSI HEX": "set the network's sequence number (0 makes cards resynchronise)",
    "rar IMSI": "send Re-Auth-Request for the newest session",
    "asr IMSI": "send Abort-Session-Request for the newest session",
    "dpr": "disconnect all nodes in order",
    "reset": "reset all connections",
    "help": "this",
}


class Control:
    """Carries out commands on one AAA."""

    def __init__(self, running: RunningAaa) -> None:
        self._running = running
        self._commands: dict[str, Callable[..., Any]] = {
            "behaviour": self._behaviour,
            "clear": self._clear,
            "books": self._books,
            "session": self._session,
            "sqn": self._sqn,
            "rar": self._rar,
            "asr": self._asr,
            "dpr": self._dpr,
            "reset": self._reset,
            "help": self._help,
        }

    def execute(self, line: str) -> Any:  # noqa: ANN401 (any JSON value)
        """Carry out one line; a mistake is an object with `error`."""
        name, *arguments = line.split()
        try:
            act = self._commands[name]
        except KeyError:
            return {"error": f"unknown command {name!r}; try: help"}
        try:
            return act(*arguments)
        except TypeError:
            return {"error": f"usage: {_usage(name)}"}
        except (BehaviourError, ValueError) as error:
            return {"error": str(error)}

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end."""
        buffer = b""
        async with stream:
            async for data in stream:
                *lines, buffer = (buffer + data).split(b"\n")
                if len(buffer) > MAX_LINE_OCTETS:
                    return
                for line in lines:
                    text = line.decode("ascii", "replace").strip()
                    if text:
                        reply = json.dumps(self.execute(text)).encode() + b"\n"
                        await stream.send_all(reply)

    def _behaviour(self, who: str, words: str = "") -> str:
        parse_assignments([f"{who}={words}"])
        self._running.behaviours.set(who, parse_behaviour(words))
        return "ok"

    def _clear(self) -> str:
        self._running.behaviours.clear()
        return "ok"

    def _books(self) -> dict[str, Any]:
        books = self._running.books
        return {
            "open": len(books.open),
            "dropped": books.dropped,
            "retransmissions": books.retransmissions,
            "answers": [
                {"command": command, "vendor": vendor, "code": code, "count": count}
                for (command, vendor, code), count in sorted(books.answers.items())
            ],
            "peers": {
                host: peer.is_open for host, peer in sorted(self._running.server.peers.items())
            },
        }

    def _session(self, imsi: str) -> list[dict[str, Any]]:
        return [_described(session) for session in self._running.books.of(imsi)]

    def _sqn(self, imsi: str, sqn: str) -> str:
        self._running.home.set_sqn(imsi, int(sqn, 16))
        return "ok"

    def _rar(self, imsi: str) -> Any:  # noqa: ANN401
        return _sent(self._running.reauthorize(imsi))

    def _asr(self, imsi: str) -> Any:  # noqa: ANN401
        return _sent(self._running.abort(imsi))

    def _dpr(self) -> str:
        self._running.disconnect()
        return "ok"

    def _reset(self) -> str:
        self._running.reset()
        return "ok"

    def _help(self) -> dict[str, Any]:
        return {**HELP, "WORDS": {name: row.metadata["text"] for name, row in WORDS.items()}}


def _usage(name: str) -> str:
    return next(usage for usage in HELP if usage.split()[0] == name)


def _sent(sent: SentRequest | None) -> Any:  # noqa: ANN401
    return "sent" if sent is not None else {"error": "the subscriber has no session"}


def _described(session: AaaSession) -> dict[str, Any]:
    return {
        "session_id": session.session_id.decode("utf-8", "replace"),
        "client": session.client.decode("utf-8", "replace"),
        "rounds": session.rounds,
        "results": session.results,
        "authenticated": session.authenticated,
        "end": session.end,
        "imei": session.imei,
    }
