"""One worker process: a node among several of one machine, as its supervisor tells it."""

import contextlib
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog
import trio

from config.model import Logging
from node.failures import reasons
from node.forwarding.place import Place, Seat
from node.node import Node
from node.workers.answering import Answering
from node.workers.control import (
    Channel,
    Drain,
    End,
    Enough,
    Failed,
    Go,
    HandOver,
    Prepared,
    Question,
    Released,
    Reload,
    Serving,
    Start,
    Totals,
    ToWorker,
    to_worker,
)

_log = structlog.get_logger("worker")


class Worker:
    """Runs the node of one process.

    Attributes:
        failed: it could not start.
    """

    def __init__(self, start: Start, set_log: Callable[[Logging], object]) -> None:
        """Build the node; nothing runs yet.

        Raises:
            CertificateError: the device listener's certificates cannot be used.
        """
        place = self._place = Place(start.number, start.workers, start.node, Path(start.folder))
        sockets = tuple(socket.socket(fileno=one) for one in start.sockets)
        for one in sockets:
            one.setblocking(False)  # else `dup` would make them block, also those of other holders
        partner = None
        if start.partner >= 0:
            partner = socket.socket(fileno=start.partner)
            partner.setblocking(False)
        self.node = Node(start.config, Path(), set_log, Seat(place, sockets, partner))
        self.failed = False
        self._go = trio.Event()
        self._ending = False

    async def run(self, connection: socket.socket) -> None:
        """Serve until told to end, or until the supervisor is gone.

        Args:
            connection: to the supervisor.
        """
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(connection))
        channel = self._channel = Channel(stream, to_worker)
        self._answering = Answering(self.node.view, channel.post)
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._carry)
            nursery.start_soon(self._obey_signals)
            try:
                await self.node.prepare(nursery)
                channel.post(Prepared())
                await self._go.wait()
                addresses = await self.node.begin()
                self.node.serving = True
                channel.post(Serving(addresses))
                _log.info("worker serves")
            except Exception as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        why = reasons(error)
        if not why:
            _log.error("bug", exc_info=error)
        self.failed = True
        self._channel.post(Failed(why or [f"{type(error).__name__}: see the log"]))
        self._end()

    # --- the supervisor -------------------------------------------------------------------------

    async def _carry(self) -> None:
        await self._channel.run(self._take)
        if not self._ending:
            _log.warning("the supervisor is gone")
            await self._drain()
            self._tidy()
        self._nursery.cancel_scope.cancel()

    def _tidy(self) -> None:
        """What the supervisor would have done: the last worker takes the sockets' folder away."""
        with contextlib.suppress(OSError):
            self._place.socket_of(self._place.number).unlink(missing_ok=True)
            self._place.folder.rmdir()

    def _take(self, message: ToWorker) -> None:
        match message:
            case Go():
                self._go.set()
            case Reload(config):
                try:
                    self.node.apply(config)
                except Exception as error:
                    _log.error("bug", exc_info=error)
            case HandOver():
                self._nursery.start_soon(self._hand_over)
            case Drain():
                self._nursery.start_soon(self._drain)
            case End():
                self._nursery.cancel_scope.cancel()
            case Question():
                self._nursery.start_soon(self._answering.answer, message)
            case Enough(number):
                self._answering.enough(number)
            case Start():
                pass  # said already

    async def _obey_signals(self) -> None:
        """SIGTERM to this worker alone: it ends in order, and another takes its place.

        What a terminal or an operator sends to all is the supervisor's business.
        """
        obeyed = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
        with trio.open_signal_receiver(*obeyed) as signals:
            async for number in signals:
                if number == signal.SIGTERM:
                    if self.node.draining:
                        self._nursery.cancel_scope.cancel()
                        return
                    self.node.listener.leave_queue()
                    self._nursery.start_soon(self._drain)

    # --- the end --------------------------------------------------------------------------------

    async def _hand_over(self) -> None:
        await self.node.hand_over(partial(self._channel.post, Released()))
        self._end()

    async def _drain(self) -> None:
        if self.node.serving:
            await self.node.drain()
        self._end()

    def _end(self) -> None:
        """Say the last word; the end of the channel is the end of the process."""
        if not self._ending:
            self._ending = True
            self._channel.post(Totals(self.node.view.dump()))
            self._channel.finish()
