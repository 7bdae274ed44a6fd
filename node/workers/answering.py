"""A worker's side of the management listener: answers what the supervisor asks."""

from collections.abc import Callable
from typing import Final

import msgspec
import structlog
import trio

from actors.trace.recorder import TooManyTraces
from node.trace.event_json import HEARTBEAT
from node.view import OwnView, as_json
from node.workers.control import Piece, Question
from protocols.identity import Imsi

ARMED: Final = b"armed"  # the first piece of a trace

_log = structlog.get_logger("management")

Post = Callable[[Piece], object]


class Answering:
    """Answers questions, each in a task of its own."""

    def __init__(self, view: OwnView, post: Post) -> None:
        """Take the parts.

        Args:
            post: sends a piece.
        """
        self._view = view
        self._post = post
        self._open: dict[int, trio.CancelScope] = {}

    def enough(self, number: int) -> None:
        """Nobody reads on."""
        scope = self._open.get(number)
        if scope is not None:
            scope.cancel()

    async def answer(self, question: Question) -> None:
        """Answer one question."""
        number = question.number
        scope = self._open[number] = trio.CancelScope()
        try:
            with scope:
                self._post(await self._piece(question))
        except LookupError as error:
            self._refuse(number, "lookup", error)
        except ValueError as error:
            self._refuse(number, "value", error)
        except TooManyTraces as error:
            self._refuse(number, "full", error)
        except Exception as error:
            _log.error("bug", exc_info=error)
            self._post(Piece(number, b"a fault of the node; the log has more", "crash"))
        finally:
            del self._open[number]

    def _refuse(self, number: int, kind: str, error: Exception) -> None:
        text = str(error.args[0]) if error.args else "not found"
        self._post(Piece(number, text.encode(), kind))

    async def _piece(self, question: Question) -> Piece:
        """The last, mostly the only, piece of the answer."""
        number, args = question.number, question.arguments
        match question.what:
            case "pulse":
                return Piece(number, b"")
            case "ready":
                _, body = await self._view.ready()
                return Piece(number, msgspec.json.encode(body))
            case "dump":
                return Piece(number, self._view.dump())
            case "statistics":
                return Piece(number, as_json(await self._view.statistics()))
            case "explain":
                steps = await self._view.explain(
                    args["tenant"] or None,
                    Imsi(args["imsi"]),
                    args["app"],
                    args["version"],
                    args["language"],
                )
                return Piece(number, as_json(steps))
            case "trace":
                return await self._trace(number, args)
        raise ValueError(f"what is {question.what}?")

    async def _trace(self, number: int, args: dict[str, str]) -> Piece:
        imsi, seconds = Imsi(args["imsi"]), float(args["seconds"])
        async with self._view.trace(imsi, seconds, hide=args["hide"] == "1") as lines:
            self._post(Piece(number, ARMED, last=False))
            async for line in lines:
                if line != HEARTBEAT:
                    self._post(Piece(number, line, last=False))
        return Piece(number, b"")
