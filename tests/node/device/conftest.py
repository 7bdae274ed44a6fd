"""Fixtures of the device listener's tests."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio

from config.model import Certificate
from config.model import DeviceListener as Settings
from node.device.listener import DeviceListener
from tests.node.device.running_listener import HOST, Handle, Lab, Listening, Running


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"), [HOST])


@pytest.fixture(scope="session")
def other_lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("other"), ["mvno.example"])


@pytest.fixture
async def listening(lab: Lab) -> AsyncIterator[Listening]:
    """`async with listening(handle, max_connections=3) as running:` on a free port."""

    stopped: list[trio.SocketStream] = []

    @asynccontextmanager
    async def start(
        handle: Handle | None = None,
        certificates: Sequence[Certificate] | None = None,
        *,
        bugs_expected: bool = False,
        hosts: Sequence[str] = (),
        **settings: object,
    ) -> AsyncIterator[Running]:
        running = Running(lab, handle)
        config = Settings(
            listen=("127.0.0.1:0",),
            certificates=tuple(certificates or (lab.certificate(),)),
        )
        config = msgspec.structs.replace(config, **settings)
        running.config = config
        running.listener = DeviceListener(config, running.handle, running.turn, hosts=hosts)
        async with trio.open_nursery() as nursery:
            (running.address,) = await nursery.start(running.listener.run)
            running.port = int(running.address.rpartition(":")[2])
            try:
                yield running
            finally:
                nursery.cancel_scope.cancel()
                running.turn.end()
                stopped.extend(running.clients)
        if not bugs_expected:
            assert running.crashes == []
        assert running.listener.statistics().open == 0

    yield start
    for client in stopped:
        client.socket.close()
