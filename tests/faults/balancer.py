"""A plain TCP balancer before several nodes: HAProxy, or a few lines of ours without it."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import trio

from tests.interop.programs import SEARCH_PATH
from tests.node.whole.lab_folder import free_port

SECONDS: Final = 10.0
_BROKEN: Final = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)

# A dead node is found by its refused connections (option redispatch) before its check fails.
HAPROXY: Final = """\
defaults
    mode tcp
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    retries 3
    option redispatch 1

frontend devices
    bind 127.0.0.1:{port}
    default_backend nodes

backend nodes
    balance roundrobin
{servers}
"""


def balancer(folder: Path, ports: Sequence[int]) -> AbstractAsyncContextManager[int]:
    """A balancer before these ports of 127.0.0.1, for a block; gives its own port."""
    found = shutil.which("haproxy", path=SEARCH_PATH)
    return _own(ports) if found is None else _haproxy(found, folder, ports)


@asynccontextmanager
async def _haproxy(program: str, folder: Path, ports: Sequence[int]) -> AsyncIterator[int]:
    """HAProxy in TCP mode."""
    port = free_port()
    servers = "\n".join(
        f"    server node{at} 127.0.0.1:{one} check inter 200ms fall 1 rise 1"
        for at, one in enumerate(ports, 1)
    )
    path = folder / "haproxy.cfg"
    path.write_text(HAPROXY.format(port=port, servers=servers))
    process = await trio.lowlevel.open_process([program, "-db", "-q", "-f", str(path)])
    try:
        await _listens(port)
        yield port
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def _listens(port: int) -> None:
    with trio.fail_after(SECONDS):
        while True:
            try:
                stream = await trio.open_tcp_stream("127.0.0.1", port)
            except OSError:
                await trio.sleep(0.02)
                continue
            await stream.aclose()
            return


@asynccontextmanager
async def _own(ports: Sequence[int]) -> AsyncIterator[int]:
    """Takes the nodes in turn, and the next one when a connection is refused."""
    turns = count()

    async def serve(client: trio.SocketStream) -> None:
        async with client:
            turn = next(turns)
            for at in range(len(ports)):  # of its own turn on: others take theirs meanwhile
                try:
                    port = ports[(turn + at) % len(ports)]
                    node = await trio.open_tcp_stream("127.0.0.1", port)
                except OSError:
                    continue
                async with node, trio.open_nursery() as nursery:
                    nursery.start_soon(_carry, client, node)
                    nursery.start_soon(_carry, node, client)
                return

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def _carry(source: trio.SocketStream, sink: trio.SocketStream) -> None:
    with suppress(*_BROKEN):
        async for octets in source:
            await sink.send_all(octets)
    for stream in (source, sink):
        with suppress(*_BROKEN):
            await trio.aclose_forcefully(stream)
