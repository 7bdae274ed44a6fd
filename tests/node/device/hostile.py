"""Clients that mean harm, and honest ones beside them that must go on being served."""

import contextlib
from collections.abc import AsyncIterator, Iterator

import trio

from tests.node.device.running_listener import Running, Stream, read_response
from tests.protocols.http2.raw_client import (
    ACK,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PREFACE,
    SETTINGS,
    Frame,
    frame,
    settings,
)

GET = b"GET /honest HTTP/1.1\r\nhost: localhost\r\n\r\n"
AUTHORITY = b"\x01\x09localhost"  # HPACK: `:authority`, a literal without indexing
REQUEST = b"\x82\x87\x84" + AUTHORITY  # GET https /
POST = b"\x83\x87\x84" + AUTHORITY
OPENING = PREFACE + settings() + frame(SETTINGS, ACK, 0)
PIECE = 16_000  # octets of one write of an attack
PATIENCE = 10.0  # seconds, of everybody, for anything


def headers(stream: int, block: bytes = REQUEST, *, end: bool = True) -> bytes:
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)


class Honest:
    """Phones that come on new connections, ask three times, and leave."""

    def __init__(self, running: Running, *, tries_again: bool) -> None:
        self._running = running
        self._tries_again = tries_again
        self.served = 0
        self.visits = 0

    async def keep_coming(self) -> None:
        while True:
            with trio.fail_after(PATIENCE):
                tls = await self._enter()
                for _ in range(3):
                    await self._ask(tls)
                await tls.transport_stream.aclose()
            self.visits += 1

    async def stay(self) -> None:
        """One connection that is kept: it must be served as well."""
        tls = await self._enter()
        while True:
            with trio.fail_after(PATIENCE):
                await self._ask(tls)

    async def _enter(self) -> Stream:
        while True:
            try:
                return await self._running.connect_tls()
            except trio.BrokenResourceError:
                if not self._tries_again:
                    raise

    async def _ask(self, tls: Stream) -> None:
        await tls.send_all(GET)
        head, body = await read_response(tls)
        assert head.startswith(b"HTTP/1.1 200")
        assert body == b"/honest"
        self.served += 1


@contextlib.asynccontextmanager
async def honest_traffic(
    running: Running, rounds: int = 5, *, tries_again: bool = False
) -> AsyncIterator[Honest]:
    """Two honest phones during the block, and at least `rounds` more visits before it ends.

    Args:
        running: the listener.
        rounds: of the phone that comes and goes.
        tries_again: a handshake may fail; phones come back then (Q-TR-16).
    """
    honest = Honest(running, tries_again=tries_again)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(honest.keep_coming)
        nursery.start_soon(honest.stay)
        yield honest
        enough = honest.visits + rounds
        await running.until(lambda _: honest.visits >= enough, PATIENCE)
        nursery.cancel_scope.cancel()


class Attacker:
    """One connection over HTTP/2 that sends what it likes and keeps what it is told."""

    def __init__(self, tls: Stream) -> None:
        self.tls = tls
        self.received = bytearray()
        self.over = trio.Event()

    @classmethod
    async def connect(cls, running: Running, nursery: trio.Nursery) -> "Attacker":
        attacker = cls(await running.connect_tls("h2"))
        nursery.start_soon(attacker._read)
        await attacker.send(OPENING)
        return attacker

    async def _read(self) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while part := await self.tls.receive_some():
                self.received += part
        self.over.set()

    async def send(self, octets: bytes) -> None:
        await self.tls.send_all(octets)

    async def flood(self, frames: Iterator[bytes]) -> int:
        """Send until it is thrown out; the number of octets that it got rid of."""
        sent = 0
        with (
            trio.fail_after(PATIENCE),
            contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError),
        ):
            while not self.over.is_set():
                piece = b""
                while len(piece) < PIECE:
                    piece += next(frames)
                await self.send(piece)
                sent += len(piece)
        return sent

    def frames(self) -> list[Frame]:
        """Every whole frame that came."""
        frames = []
        data = bytes(self.received)
        while len(data) >= 9:
            length = int.from_bytes(data[:3], "big")
            stream = int.from_bytes(data[5:9], "big")
            frames.append(Frame(data[3], data[4], stream, data[9 : 9 + length]))
            data = data[9 + length :]
        return frames

    async def verdict(self) -> int:
        """The code of the GOAWAY with which the connection was ended."""
        with trio.fail_after(PATIENCE):
            await self.over.wait()
        [goaway] = [one for one in self.frames() if one.kind == GOAWAY]
        return int.from_bytes(goaway.payload[4:8], "big")
