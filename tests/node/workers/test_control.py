"""What the supervisor and a worker say to each other, and how many workers there are."""

import socket
from pathlib import Path

import msgspec
import pytest
import trio

from node.frames import framed
from node.workers.control import (
    Channel,
    Drain,
    Go,
    Prepared,
    Question,
    Reload,
    Serving,
    ToSupervisor,
    ToWorker,
    first_message,
    say,
    to_supervisor,
    to_worker,
)
from node.workers.cores import worker_count
from node.workers.supervising import private_folder, with_cookie_keys
from tests.node.workers.starts import start_of


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


def stream(one: socket.socket) -> trio.SocketStream:
    return trio.SocketStream(trio.socket.from_stdlib_socket(one))


def test_a_worker_gets_the_whole_configuration_as_it_is() -> None:
    ours, theirs = pair()
    with ours, theirs:
        start = start_of(2)
        content = msgspec.msgpack.encode(start)
        ours.sendall(framed(content) + framed(msgspec.msgpack.encode(Go())))
        read = first_message(theirs)
        assert read == start
        assert read.config == start.config
        # What was said next is still there.
        assert to_worker.decode(theirs.recv(100)[4:]) == Go()


@pytest.mark.parametrize("content", [b"", framed(b"\xc1"), framed(msgspec.msgpack.encode(Go()))])
def test_a_worker_without_its_supervisor_does_not_start(content: bytes) -> None:
    ours, theirs = pair()
    with theirs:
        with ours:
            ours.sendall(content)
        with pytest.raises(EOFError, match="started by `serve` alone"):
            first_message(theirs)


async def test_messages_go_both_ways_in_their_order() -> None:
    ours, theirs = pair()
    supervisor: Channel[ToSupervisor] = Channel(stream(ours), to_supervisor)
    worker: Channel[ToWorker] = Channel(stream(theirs), to_worker)
    heard: list[ToWorker] = []
    said: list[ToSupervisor] = []

    def hear(message: ToWorker) -> None:
        heard.append(message)
        if isinstance(message, Drain):
            worker.post(Prepared())
            worker.post(Serving(["127.0.0.1:1"]))
            worker.finish()  # what was posted still leaves

    config = start_of().config
    for message in (Reload(config), Question(1, "dump"), Drain()):
        assert supervisor.post(message)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.run, hear)
            nursery.start_soon(supervisor.run, said.append)
    assert heard == [Reload(config), Question(1, "dump"), Drain()]
    assert said == [Prepared(), Serving(["127.0.0.1:1"])]
    assert not supervisor.post(Go())


async def test_the_end_of_a_process_is_the_end_of_its_channel() -> None:
    ours, theirs = pair()
    say(theirs, Prepared())
    theirs.close()
    said: list[ToSupervisor] = []
    with trio.fail_after(10):
        await Channel(stream(ours), to_supervisor).run(said.append)
    assert said == [Prepared()]


async def test_another_language_ends_the_channel() -> None:
    ours, theirs = pair()
    with theirs:
        theirs.sendall(framed(b"\xc1"))
        with trio.fail_after(10):
            await Channel(stream(ours), to_supervisor).run(lambda _: None)


@pytest.mark.parametrize(
    ("limit", "most"),
    [
        ("max 100000", 255),
        ("100000 100000", 1),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("", 255),
    ],
)
def test_a_worker_for_each_core_that_may_be_used(tmp_path: Path, limit: str, most: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(limit)
    assert 1 <= worker_count(0, file) <= most
    assert worker_count(3, file) == 3
    assert worker_count(0, tmp_path / "missing") >= 1


def test_workers_share_a_random_key_that_a_reload_keeps() -> None:
    config = start_of().config
    assert not config.node.cookie_keys
    first = with_cookie_keys(config, config)
    again = with_cookie_keys(config, first)
    assert len(first.node.cookie_keys) == 1
    assert first.node.cookie_keys == again.node.cookie_keys
    assert with_cookie_keys(config, config).node.cookie_keys != first.node.cookie_keys
    named = msgspec.structs.replace(
        config, node=msgspec.structs.replace(config.node, cookie_keys=("A" * 43,))
    )
    assert with_cookie_keys(named, first) is named


def test_the_folder_of_the_sockets_is_short_and_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 90)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    folder = private_folder()
    assert len(str(folder)) < 80
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()
