"""Where the listener listens: addresses, shared ports, what cannot be bound."""

import socket
from collections.abc import Sequence

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.runtime.turn import Turn
from config.model import DeviceListener as Settings
from node.device.connection import DeviceConnection
from node.device.listener import DeviceListener
from node.workers.sockets import WorkerSockets
from tests.node.device.running_listener import (
    Lab,
    Listening,
    answer_later,
    answer_with_target,
    read_response,
    read_to_end,
)

GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


def listener(lab: Lab, *addresses: str, sockets: Sequence[socket.socket] = ()) -> DeviceListener:
    settings = Settings(listen=addresses, certificates=(lab.certificate(),))
    return DeviceListener(settings, answer_with_target, Turn(), sockets=sockets)


async def visit(lab: Lab, host: str, port: int) -> bytes:
    raw = await trio.open_tcp_stream(host, port)
    tls = trio.SSLStream(
        raw, lab.client_context(), server_hostname="localhost", https_compatible=True
    )
    await tls.send_all(GET)
    _, body = await read_response(tls)
    await tls.aclose()
    return body


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
async def test_several_addresses_also_of_ipv6(lab: Lab, nursery: trio.Nursery) -> None:
    one = listener(lab, "127.0.0.1:0", "[::1]:0", "localhost:0")
    addresses = await nursery.start(one.run)
    assert len(addresses) == 3
    assert addresses[1].startswith("[::1]:")
    for address in addresses:
        host, _, port = address.rpartition(":")
        assert await visit(lab, host.strip("[]"), int(port)) == b"/"


async def test_a_port_is_shared_by_sockets_that_somebody_has_bound(
    lab: Lab, nursery: trio.Nursery
) -> None:
    shared = WorkerSockets(["127.0.0.1:0"], 16, 2)
    (address,) = shared.addresses
    both = [listener(lab, sockets=shared.of(number)) for number in (1, 2)]
    for one in both:
        assert await nursery.start(one.run) == [address]
    for _ in range(40):
        assert await visit(lab, "127.0.0.1", int(address.rpartition(":")[2])) == b"/"
    shares = [one.statistics().accepted for one in both]
    assert sum(shares) == 40
    assert min(shares) > 0
    for one in both:
        one.leave_queue()


async def test_who_waits_in_the_queue_is_left_to_a_successor(
    lab: Lab, nursery: trio.Nursery
) -> None:
    """Both have the socket; the one that left is not told of it any more."""
    shared = WorkerSockets(["127.0.0.1:0"], 16, 1)
    port = int(shared.addresses[0].rpartition(":")[2])
    old, new = (listener(lab, sockets=[one.dup() for one in shared.of(1)]) for _ in range(2))
    await nursery.start(old.run)
    assert await visit(lab, "127.0.0.1", port) == b"/"
    old.leave_queue()
    assert not old.ready
    answers: list[bytes] = []

    async def wait_in_queue() -> None:
        answers.append(await visit(lab, "127.0.0.1", port))

    async with trio.open_nursery() as visitors:
        for _ in range(5):
            visitors.start_soon(wait_in_queue)
        await trio.testing.wait_all_tasks_blocked()
        await nursery.start(new.run)
    assert answers == [b"/"] * 5
    assert old.statistics().accepted == 1
    assert new.statistics().accepted == 5
    new.leave_queue()
    shared.close()


async def test_a_port_that_is_taken_is_shared_with_nobody(lab: Lab, nursery: trio.Nursery) -> None:
    (address,) = await nursery.start(listener(lab, "127.0.0.1:0").run)
    with pytest.raises(OSError, match=f"cannot listen on {address}"):
        WorkerSockets([address], 16, 2)
    running = WorkerSockets(["127.0.0.1:0"], 16, 2)
    with pytest.raises(OSError, match="cannot listen on"):
        WorkerSockets(running.addresses, 16, 2)
    running.close()


async def test_an_address_in_use_is_an_error_that_names_it(lab: Lab, nursery: trio.Nursery) -> None:
    (address,) = await nursery.start(listener(lab, "127.0.0.1:0").run)
    second = listener(lab, "127.0.0.1:0", address)
    with pytest.raises(OSError, match=f"cannot listen on {address}"):
        await second.run()
    assert not second.ready


async def test_a_listener_may_run_again_after_it_stopped(lab: Lab) -> None:
    one = listener(lab, "127.0.0.1:0")
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            (address,) = await nursery.start(one.run)
            assert await visit(lab, "127.0.0.1", int(address.rpartition(":")[2])) == b"/"
            nursery.cancel_scope.cancel()
    assert one.statistics().accepted == 2


async def test_a_connection_that_cannot_be_set_up_costs_no_other(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(bugs_expected=True) as running:
        good = await running.connect_tls()
        with monkeypatch.context() as patch:

            def fail(self: DeviceConnection, *_: object) -> None:
                raise MemoryError

            patch.setattr(DeviceConnection, "__init__", fail)
            assert await read_to_end(await running.connect()) == b""
        await good.send_all(GET)
        assert (await read_response(good))[1] == b"/"
        assert running.listener.statistics().crashes == 1


async def test_a_machine_that_fails_at_the_end_still_frees_its_exchanges(
    listening: Listening,
) -> None:
    async with listening(answer_later, bugs_expected=True) as running:
        tls = await running.connect_tls()
        await tls.send_all(GET)
        await running.until(lambda now: now.requests == 1)
        (connection,) = running.listener._connections.by_descriptor.values()

        class Broken(type(connection._machine)):  # type: ignore[misc]
            __slots__ = ()

            def eof(self, _now: float) -> list[object]:
                raise RuntimeError("a bug")

        connection._machine.__class__ = Broken
        await tls.transport_stream.aclose()
        await running.until(lambda now: now.open == 0)
        assert running.exchanges[0].gone
        assert running.listener.statistics().crashes == 1


def test_the_limits_of_a_connection_are_those_of_the_configuration(lab: Lab) -> None:
    settings = Settings(certificates=(lab.certificate(),))
    settings = msgspec.structs.replace(
        settings,
        max_streams=7,
        max_header_octets=1_111,
        max_body_octets=2_222,
        max_queued_octets=3_333,
        request_seconds=4.0,
        idle_seconds=5.0,
    )
    limits = DeviceListener(settings, answer_with_target, Turn())._connections.limits
    assert limits.max_streams == 7
    assert (limits.max_header_octets, limits.max_body_octets) == (1_111, 2_222)
    assert limits.max_queued_octets == 3_333
    assert (limits.request_seconds, limits.idle_seconds) == (4.0, 5.0)


async def test_a_reload_applies_limits_and_times_to_connections_to_come(
    listening: Listening, mock_clock: MockClock
) -> None:
    large = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n" + b"x" * 100
    async with listening(idle_seconds=15.0) as running:
        old = await running.connect_tls()
        await old.send_all(large)
        await read_response(old)
        assert running.reload(idle_seconds=5.0, max_body_octets=50) == ()
        new = await running.connect_tls()
        await new.send_all(GET)
        await read_response(new)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(5.1)
        assert await new.receive_some() == b""
        await old.send_all(large)
        assert (await read_response(old))[0].startswith(b"HTTP/1.1 200")
        another = await running.connect_tls()
        await another.send_all(large)
        assert (await read_response(another))[0].startswith(b"HTTP/1.1 413")


async def test_a_reload_applies_to_how_many_connections_there_may_be(listening: Listening) -> None:
    async with listening(max_connections=10) as running:
        await running.connect_tls()
        assert running.reload(max_connections=1) == ()
        await running.connect()
        await running.until(lambda now: now.pauses == {"max_connections": 1})


async def test_a_reload_applies_to_handshakes_to_come(
    listening: Listening, mock_clock: MockClock
) -> None:
    async with listening(handshake_seconds=10.0, max_handshakes=10) as running:
        await running.connect()
        await running.until(lambda now: now.handshakes_in_progress == 1)
        assert running.reload(handshake_seconds=3.0, max_handshakes=2) == ()
        for _ in range(2):
            await running.connect()
        await running.until(lambda now: now.pauses == {"max_handshakes": 1})
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(3.1)
        await running.until(lambda now: now.handshakes_failed.get("timeout") == 1)
