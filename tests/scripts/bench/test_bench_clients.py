"""The measuring programs measure what they say, in small; and a wrong server is no figure."""

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
import trio

from scripts.bench.diameter_client import DiameterResult
from scripts.bench.idle_sessions import measure as measure_idle
from scripts.bench.load_http1 import Http1
from scripts.bench.load_http2 import Http2
from scripts.bench.load_messages import LoadError, Request
from scripts.bench.measure import MeasurementFailed
from scripts.bench.processes import free_ports, python, running, wait_until_listening
from scripts.bench.rounds import child
from scripts.bench.store_load import StoreResult

GET = Request(b"GET", b"/?x=%40", [(b"accept", b"text/xml"), (b"user-agent", b"phone")])
POST = Request(b"POST", b"/", [(b"cookie", b"SID=3456")], b"body")


class H2Server:
    """The `h2` library as the other end."""

    def __init__(self) -> None:
        self.machine = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        self.machine.initiate_connection()
        self.requests: list[dict[str, str]] = []
        self.bodies = b""

    def take(self, data: bytes) -> bytes:
        for event in self.machine.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.requests.append(dict(event.headers or []))
            elif isinstance(event, h2.events.DataReceived):
                self.bodies += event.data or b""
            elif isinstance(event, h2.events.StreamEnded):
                number = event.stream_id or 0
                fields = [
                    (":status", "200"),
                    ("content-type", "text/xml"),
                    ("set-cookie", "a=b; c"),
                ]
                self.machine.send_headers(number, fields)
                self.machine.send_data(number, b"<x/>", end_stream=True)
        return self.machine.data_to_send()


def test_the_http2_client_is_understood_by_the_h2_library_and_understands_it() -> None:
    client, server = Http2(b"localhost:1"), H2Server()
    for number in range(3):
        assert client.request(GET) == 4 * number + 1
        assert client.request(POST) == 4 * number + 3
        octets = server.take(b"".join(client.out))
        client.out.clear()
        done = [answer for at in octets for answer in client.receive(bytes((at,)))]
        assert [stream for stream, _ in done] == [4 * number + 1, 4 * number + 3]
        for _, answer in done:
            assert (answer.status, answer.content_type) == (200, b"text/xml")
            assert (answer.body, answer.cookie) == (b"<x/>", b"a=b")
    assert server.requests[0] == {
        ":method": "GET",
        ":scheme": "https",
        ":authority": "localhost:1",
        ":path": "/?x=%40",
        "accept": "text/xml",
        "user-agent": "phone",
    }
    assert server.requests[1]["cookie"] == "SID=3456"
    assert server.requests[1]["content-length"] == "4"
    assert server.bodies == b"body" * 3


@pytest.mark.parametrize("kind", [3, 7])
def test_a_reset_or_goaway_ends_the_run(kind: int) -> None:
    client = Http2(b"localhost")
    client.request(GET)
    with pytest.raises(LoadError, match=f"frame type {kind}"):
        client.receive(struct.pack(">HBBBLLL", 0, 8, kind, 0, 0, 1, 2))


def test_http1_is_one_request_at_a_time() -> None:
    client = Http1(b"localhost")
    client.request(GET)
    with pytest.raises(LoadError, match="two requests at once"):
        client.request(GET)
    assert client.receive(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n") == []
    ((_, answer),) = client.receive(b"ok")
    assert (answer.status, answer.body) == (200, b"ok")
    client.request(POST)
    with pytest.raises(LoadError):
        client.receive(b"SSH-2.0\r\n\r\n")


@pytest.fixture(scope="module")
def aaa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The lab's AAA; its port."""
    (port,) = free_ports(1)
    command = python("scripts.lab.aaa", "--listen", f"127.0.0.1:{port}")
    with running("aaa", command, tmp_path_factory.mktemp("aaa"), ready="") as program:
        wait_until_listening(program, port)
        yield port


def diameter(stack: str, port: int, count: int) -> DiameterResult:
    """In a process of its own, as in the benchmark: both clients change the process's logging."""
    aaa = f"127.0.0.1:{port}"
    module = "scripts.bench.diameter_client"
    return child(python(module, "--stack", stack, "--aaa", aaa, "--count", count), DiameterResult)


@pytest.mark.slow
@pytest.mark.parametrize("stack", ["ours", "library"])
def test_both_diameter_clients_are_measured(aaa: int, stack: str) -> None:
    found = diameter(stack, aaa, 300)
    assert found.count == 300
    assert found.cpu > 0
    assert 0 < found.p50 <= found.p99 <= found.elapsed


@pytest.mark.slow
def test_an_aaa_that_refuses_is_no_figure(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    command = python(
        "scripts.lab.aaa", "--listen", f"127.0.0.1:{port}", "--behaviour", "*=result=5003"
    )
    with running("aaa", command, tmp_path, ready="") as program:
        wait_until_listening(program, port)
        with pytest.raises(MeasurementFailed, match=r"code=5003"):
            diameter("ours", port, 10)


@pytest.mark.slow
def test_idle_sessions_are_really_there() -> None:
    found = trio.run(measure_idle, 2_000)
    assert (found.count, found.alive) == (2_000, 2_000)
    assert found.cpu_each > 0


@pytest.mark.slow
def test_the_store_is_measured(tmp_path: Path) -> None:
    found = child(
        python("scripts.bench.store_load", "--folder", tmp_path, "--count", 300), StoreResult
    )
    assert found.count == 300
    assert 0 < found.find_token_us < 10_000
    assert found.saved_per_second > 1


def test_a_server_that_closes_is_no_figure() -> None:
    """The load client says so and ends, instead of measuring a fast refusal."""
    import ssl

    from scripts.bench.load_exchanges import BenchDevice
    from scripts.bench.load_loop import LoadLoop
    from scripts.lab.subscribers import sequential

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def refuse() -> None:
            accepted, _ = listener.accept()
            accepted.close()

        threading.Thread(target=refuse, daemon=True).start()
        context = ssl.create_default_context()
        loop = LoadLoop(listener.getsockname(), context, http2=True, shared=0)
        devices = [BenchDevice(one, at) for at, one in enumerate(sequential(2))]
        with pytest.raises(LoadError, match=r"closed the connection|connection: "):
            loop.closed(devices, BenchDevice.authenticate, 1, 1)
        loop.close()
