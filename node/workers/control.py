"""What the supervisor and a worker say to each other, over a pair of sockets of their own.

| from the supervisor | means |
|---|---|
| `Start` | who you are, with the whole configuration: no secret stands in arguments or variables |
| `Go` | serve; until then a worker only prepares itself |
| `Reload` | use this configuration from now on |
| `HandOver` | let a successor have your name at the AAA; pass it what your devices still ask |
| `Drain` | the node ends: finish what was begun |
| `End` | end now |
| `Question`, `Enough` | for the management listener; a question may have many answers |

| from a worker | means |
|---|---|
| `Prepared` | waiting for `Go` |
| `Serving` | devices are accepted |
| `Released` | the name at the AAA is free |
| `Failed` | it cannot start, for reasons that a person can do away with |
| `Piece` | a part of the answer to a question |
| `Totals` | what it has counted, as its last word |

The end of the connection is the end of the other side: a worker without supervisor drains and ends.
"""

import socket
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import msgspec
import trio

from config.model import Config
from node.frames import LENGTH_OCTETS, FrameCutter, FrameTooLong, framed

RECEIVE_OCTETS: Final = 65_536
QUEUED: Final = 10_000  # messages that wait to be sent: the other side is stuck, and will be ended


class Start(msgspec.Struct, tag=True):
    """Who a worker is.

    Attributes:
        number, workers, node, folder: see `node.forwarding.place.Place`.
        sockets: descriptors of the listening sockets, in the order of device.listen.
        partner: that of [partner]; -1: it is not this worker's.
    """

    config: Config
    number: int
    workers: int
    node: int
    folder: str
    sockets: list[int]
    partner: int = -1


class Go(msgspec.Struct, tag=True):
    """Serve."""


class Reload(msgspec.Struct, tag=True):
    """Use this configuration."""

    config: Config


class HandOver(msgspec.Struct, tag=True):
    """Make room for a successor."""


class Drain(msgspec.Struct, tag=True):
    """Finish and end."""


class End(msgspec.Struct, tag=True):
    """End at once."""


class Question(msgspec.Struct, tag=True):
    """One of the management listener's.

    Attributes:
        number: its answers carry it.
        what: `ready`, `dump`, `statistics`, `explain`, `trace` or `pulse`.
        arguments: by name, texts.
    """

    number: int
    what: str
    arguments: dict[str, str] = {}


class Enough(msgspec.Struct, tag=True):
    """No more answers to this question are wanted."""

    number: int


class Prepared(msgspec.Struct, tag=True):
    """Ready for `Go`."""


class Serving(msgspec.Struct, tag=True):
    """Devices are accepted at these addresses."""

    addresses: list[str]


class Released(msgspec.Struct, tag=True):
    """A successor may have the name."""


class Failed(msgspec.Struct, tag=True):
    """It cannot start."""

    reasons: list[str]


class Piece(msgspec.Struct, tag=True):
    """A part of an answer.

    Attributes:
        error: `lookup` or `value`: what was asked for does not exist, or makes no sense; the body
            says why. `crash`: the log has more.
        last: nothing follows.
    """

    number: int
    body: bytes
    error: str = ""
    last: bool = True


class Totals(msgspec.Struct, tag=True):
    """The families of the worker's metrics, as `Metrics.dump` gives them."""

    dump: bytes


ToWorker = Start | Go | Reload | HandOver | Drain | End | Question | Enough
ToSupervisor = Prepared | Serving | Released | Failed | Piece | Totals

_encode: Final = msgspec.msgpack.Encoder().encode
to_worker: Final = msgspec.msgpack.Decoder(ToWorker)
to_supervisor: Final = msgspec.msgpack.Decoder(ToSupervisor)

M = TypeVar("M")


class Channel(Generic[M]):
    """One end of the connection. Messages of the type M come in, any go out."""

    def __init__(self, stream: trio.SocketStream, decoder: msgspec.msgpack.Decoder[M]) -> None:
        self._stream = stream
        self._decoder = decoder
        self._cutter = FrameCutter()
        self._send, self._queue = trio.open_memory_channel[bytes](QUEUED)

    def post(self, message: msgspec.Struct) -> bool:
        """Have a message leave; False when the other side is gone or takes nothing."""
        try:
            self._send.send_nowait(framed(_encode(message)))
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return True

    async def run(self, handle: Callable[[M], None]) -> None:
        """Carry messages until the other side ends or `finish` was called."""
        async with self._stream, self._queue, trio.open_nursery() as nursery:
            nursery.start_soon(self._write, nursery.cancel_scope)
            try:
                async for data in self._stream:
                    for content in self._cutter.cut(bytes(data)):
                        handle(self._decoder.decode(content))
            except (trio.BrokenResourceError, FrameTooLong, msgspec.DecodeError):
                pass  # it is gone, or as good as gone
            nursery.cancel_scope.cancel()

    async def _write(self, scope: trio.CancelScope) -> None:
        try:
            async for frame in self._queue:
                await self._stream.send_all(frame)
        except trio.BrokenResourceError:
            pass
        scope.cancel()  # all was said

    def finish(self) -> None:
        """Send what was posted, then end."""
        self._send.close()


def first_message(connection: socket.socket) -> Start:
    """What a new worker is told first; blocks. What follows stays in the socket.

    Raises:
        EOFError: there is no supervisor, or it is none of this version.
    """
    length = connection.recv(LENGTH_OCTETS, socket.MSG_WAITALL)
    content = connection.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)
    try:
        message: ToWorker | None = to_worker.decode(content)
    except msgspec.DecodeError:
        message = None
    if not isinstance(message, Start):
        raise EOFError("a worker is started by `serve` alone, of the same version")
    return message


def say(connection: socket.socket, message: ToSupervisor) -> None:
    """Send a message before there is a channel; blocks, for a moment at most."""
    connection.sendall(framed(_encode(message)))
