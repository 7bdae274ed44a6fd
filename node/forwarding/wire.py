"""One Unix connection between two workers: written once a turn, read by one task."""

import socket
from collections.abc import Callable
from typing import Final

import msgspec
import trio

from node.forwarding.messages import Message, decode, encode
from node.frames import FrameCutter, FrameTooLong

RECEIVE_OCTETS: Final = 262_144
UNSENT_OCTETS: Final = 8_388_608  # a worker that reads nothing for so long is not there


class Wire:
    """Carries messages both ways.

    Attributes:
        closed: nothing is carried any more.
    """

    __slots__ = (
        "_changed",
        "_cutter",
        "_handle",
        "_queued",
        "_socket",
        "_stalled",
        "_unsent",
        "closed",
    )

    def __init__(
        self,
        connection: socket.socket,
        changed: Callable[["Wire"], None],
        handle: Callable[[list[Message]], None],
    ) -> None:
        """Take a connected socket over.

        Args:
            changed: told once when there is something to flush.
            handle: takes the messages of a frame; must not raise.
        """
        connection.setblocking(False)
        self._socket = connection
        self._changed = changed
        self._handle = handle
        self._queued: list[Message] = []
        self._unsent = b""
        self._stalled = trio.Event()
        self._cutter = FrameCutter()
        self.closed = False

    def put(self, message: Message) -> None:
        """Have a message leave with the next flush."""
        if not self._queued:
            self._changed(self)
        self._queued.append(message)

    def flush(self) -> None:
        """Write what was put; what the socket does not take leaves as soon as it can."""
        queued, self._queued = self._queued, []
        if not queued or self.closed:
            return
        self._unsent += encode(queued)
        if len(self._unsent) > UNSENT_OCTETS:
            self.close()
        else:
            self._send()

    def _send(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self._stalled.set()

    def look(self) -> bool:
        """Handle what has arrived; False when nothing had, or nothing more will."""
        if self.closed:
            return False
        try:
            data = self._socket.recv(RECEIVE_OCTETS)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        try:
            frames = [decode(one) for one in self._cutter.cut(data)]
        except (FrameTooLong, msgspec.DecodeError):
            data, frames = b"", []
        for messages in frames:
            self._handle(messages)
        if not data:
            self.close()
        return bool(data)

    async def run(self, end_turn: Callable[[], None]) -> None:
        """Read, and write what stalled, until the connection ends.

        Args:
            end_turn: called after each piece that was read.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                while not self.closed:
                    await trio.lowlevel.wait_readable(self._socket)
                    if self.look():
                        end_turn()
                nursery.cancel_scope.cancel()
        except* trio.ClosedResourceError:
            pass  # closed from elsewhere, while this task waited for it
        finally:
            self.close()

    async def _write(self) -> None:
        while True:
            await self._stalled.wait()
            self._stalled = trio.Event()
            while self._unsent and not self.closed:
                await trio.lowlevel.wait_writable(self._socket)
                self._send()

    def close(self) -> None:
        """End it; `run` ends then."""
        if not self.closed:
            self.closed = True
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
