"""The owner's side: requests that other workers pass on are served like those of devices."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import trio

from node.forwarding.messages import Answered, Ask, Gone, Message, Refused, Taken
from node.forwarding.wire import Wire
from protocols.http.message import HttpRequest, HttpResponse

BACKLOG: Final = 512  # workers, and there are 255 at most


class ForwardedExchange:
    """The exchange of a device that is connected to another worker.

    Attributes:
        hops: how often it was passed on.
        gone: the device left, or the worker that it is connected to.
        on_gone: set by whoever has work under way for it: called once when it is gone.
    """

    __slots__ = (
        "_number",
        "_source",
        "gone",
        "hops",
        "http_version",
        "on_gone",
        "peer",
        "server_name",
    )

    def __init__(self, source: "_Source", ask: Ask) -> None:
        self._source = source
        self._number = ask.number
        self.peer = ask.peer
        self.server_name = ask.server_name
        self.http_version = ask.http_version
        self.hops = ask.hops
        self.gone = False
        self.on_gone: Callable[[], None] | None = None

    def answer(self, response: HttpResponse) -> None:
        """Give the response, once; ignored when the exchange is gone."""
        if self._source.answered(self._number, response):
            self.on_gone = None

    def lose(self) -> None:
        """Nobody waits any more: tell whoever works for it."""
        self.gone = True
        on_gone, self.on_gone = self.on_gone, None
        if on_gone is not None:
            on_gone()


Serve = Callable[[HttpRequest, ForwardedExchange], None]


class Inlet:
    """Where the other workers of this node connect.

    Attributes:
        refusing: no further request is taken; those that were are answered.
        served: requests taken from others.
        refused: requests that came too late or while refusing.
        lost: exchanges whose device, or whose worker, went away.
    """

    def __init__(
        self,
        path: Path,
        serve: Serve,
        changed: Callable[[Wire], None],
        end_turn: Callable[[], None],
    ) -> None:
        """Describe it; `run` begins.

        Args:
            path: of the socket.
            serve: must not raise.
            changed: told of wires that have something to flush.
            end_turn: called after what was read.
        """
        self.serve = serve
        self.refusing = False
        self.served = self.refused = self.lost = 0
        self._path = path
        self._changed = changed
        self._end_turn = end_turn
        self._sources: set[_Source] = set()
        self._listening: socket.socket | None = None

    @property
    def waiting(self) -> int:
        """Requests taken and not answered yet."""
        return sum(len(source.open) for source in self._sources)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Accept until cancelled, or until `refuse`; then serve what is connected.

        Raises:
            OSError: the socket cannot be made.
        """
        listening = self._listening = self._bind()
        try:
            async with trio.open_nursery() as nursery:
                task_status.started()
                while True:
                    try:
                        await trio.lowlevel.wait_readable(listening)
                        connected, _ = listening.accept()
                    except BlockingIOError:
                        continue
                    except (trio.ClosedResourceError, OSError):
                        if self._listening is None:
                            break
                        await trio.sleep(0.1)  # no descriptor is left: wait instead of spinning
                        continue
                    nursery.start_soon(self._serve, connected)
        finally:
            self._stop_listening()

    def _bind(self) -> socket.socket:
        """Take the name over from a predecessor, if there is one, without a gap."""
        own = self._path.with_suffix(f".{os.getpid()}")
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(str(own))
            listening.listen(BACKLOG)
            listening.setblocking(False)
            own.rename(self._path)
        except BaseException:
            listening.close()
            raise
        return listening

    async def _serve(self, connected: socket.socket) -> None:
        source = _Source(self)
        wire = source.wire = Wire(connected, self._changed, source.handle)
        self._sources.add(source)
        try:
            await wire.run(self._end_turn)
        finally:
            self._sources.discard(source)
            source.lose_all()
            self._end_turn()

    def refuse(self) -> None:
        """Take nothing more: another process will serve in this worker's place."""
        self.refusing = True
        self._stop_listening()

    def _stop_listening(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            trio.lowlevel.notify_closing(listening)
            listening.close()  # the name stays: it may be a successor's by now


class _Source:
    """One worker that passes requests on."""

    __slots__ = ("_inlet", "open", "wire")

    def __init__(self, inlet: Inlet) -> None:
        self._inlet = inlet
        self.open: dict[int, ForwardedExchange] = {}
        self.wire: Wire

    def handle(self, messages: list[Message]) -> None:
        """Take the messages of one frame."""
        withdrawn = {one.number for one in messages if type(one) is Gone}
        now = time.monotonic()
        taken = []
        for message in messages:
            if type(message) is Ask:
                if self._take(message, withdrawn, now):
                    taken.append(message.number)
            elif type(message) is Gone:
                exchange = self.open.pop(message.number, None)
                if exchange is not None:
                    self._lose(exchange)
        taken = [number for number in taken if number in self.open]
        if taken:
            self.wire.put(Taken(taken))

    def _take(self, ask: Ask, withdrawn: set[int], now: float) -> bool:
        inlet = self._inlet
        if inlet.refusing or ask.number in withdrawn or now > ask.until:
            inlet.refused += 1
            self.wire.put(Refused(ask.number))
            return False
        inlet.served += 1
        exchange = self.open[ask.number] = ForwardedExchange(self, ask)
        inlet.serve(ask.request(), exchange)
        return True

    def answered(self, number: int, response: HttpResponse) -> bool:
        """Send a response back; False when nobody waits for it."""
        if self.open.pop(number, None) is None:
            return False
        self.wire.put(
            Answered(
                number, response.status, response.content_type, response.body, response.headers
            )
        )
        return True

    def lose_all(self) -> None:
        """The worker on the other side is gone."""
        exchanges, self.open = self.open, {}
        for exchange in exchanges.values():
            self._lose(exchange)

    def _lose(self, exchange: ForwardedExchange) -> None:
        self._inlet.lost += 1
        exchange.lose()
