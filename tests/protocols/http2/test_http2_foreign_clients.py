"""Both server machines against clients that are not ours, over a cleartext loopback socket."""

import math
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from protocols.http.limits import HttpLimits
from protocols.http.message import HttpRequest, HttpResponse
from protocols.http1.connection import Http1Connection
from protocols.http2.connection import Http2Connection

# nghttp --continuation sends 32 kB of fields.
LIMITS = HttpLimits(max_streams=100, max_header_octets=65_536)


def answer(request: HttpRequest) -> HttpResponse:
    """The body comes back; without one, the target and its cookies."""
    if request.body:
        return HttpResponse(200, b"application/octet-stream", request.body)
    cookies = [value for name, value in request.headers if name == b"cookie"]
    text = b"|".join([request.target, *cookies])
    return HttpResponse(200, b"text/plain", text, ((b"set-cookie", b"SID=abc; Secure"),))


def serve(sock: socket.socket, machine: Http1Connection | Http2Connection) -> None:
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not machine.closed:
            data = machine.data_to_send()
            if data:
                sock.sendall(data)
            wait = machine.next_timeout() - time.monotonic()
            ready = select.select([sock], [], [], None if wait == math.inf else max(0.0, wait))
            now = time.monotonic()
            if not ready[0]:
                machine.timed_out(now)
                continue
            received = sock.recv(65_536)
            if not received:
                machine.eof(now)
                break
            for stream, request in machine.receive(received, now):
                if request is not None:
                    machine.respond(stream, answer(request), now)
        sock.sendall(machine.data_to_send())


class Server:
    """Accepts until closed; a thread for each connection."""

    def __init__(self, machine: type[Http1Connection] | type[Http2Connection]) -> None:
        self.machine = machine
        self.machines: list[Http1Connection | Http2Connection] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            machine = self.machine(LIMITS, time.monotonic())
            self.machines.append(machine)
            threading.Thread(target=self.serve_quietly, args=(sock, machine), daemon=True).start()

    @staticmethod
    def serve_quietly(sock: socket.socket, machine: Http1Connection | Http2Connection) -> None:
        try:
            serve(sock, machine)
        except OSError:
            machine.eof(time.monotonic())

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


@pytest.fixture
def http2() -> Iterator[Server]:
    server = Server(Http2Connection)
    yield server
    server.close()
    assert [machine.counters for machine in server.machines] == [{}] * len(server.machines)


@pytest.fixture
def http1() -> Iterator[Server]:
    server = Server(Http1Connection)
    yield server
    server.close()
    assert [machine.counters for machine in server.machines] == [{}] * len(server.machines)


def run(tool: str, *arguments: str, data: bytes = b"") -> str:
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is missing")
    done = subprocess.run(
        [path, *arguments], input=data, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.interop
@pytest.mark.slow
def test_curl_http2(http2: Server) -> None:
    url = f"http://127.0.0.1:{http2.port}/?app=ap2004"
    curl = ("curl", "-sS", "--http2-prior-knowledge")
    assert run(*curl, "-b", "a=1; b=2", url) == "/?app=ap2004|a=1; b=2"
    assert run(*curl, "--data-binary", "@-", url, data=b"x" * 30_000) == "x" * 30_000
    assert "content-length: 12" in run(*curl, "-I", url)
    # One URL at a time: curl 7.88 cannot reuse a connection that it opened by prior knowledge.


@pytest.mark.interop
@pytest.mark.slow
def test_curl_http1(http1: Server) -> None:
    url = f"http://127.0.0.1:{http1.port}/?app=ap2004"
    curl = ("curl", "-sS", "--http1.1")
    assert run(*curl, "-b", "a=1; b=2", url, url) == "/?app=ap2004|a=1; b=2" * 2
    expect = ("-H", "Expect: 100-continue", "--data-binary", "@-")
    assert run(*curl, *expect, url, data=b"x" * 30_000) == "x" * 30_000
    chunked = ("-H", "Transfer-Encoding: chunked", "--data-binary", "@-")
    assert run(*curl, *chunked, url, data=b"y" * 30_000) == "y" * 30_000
    assert run("curl", "-sS", "--http1.0", url) == "/?app=ap2004"


@pytest.mark.interop
@pytest.mark.slow
def test_nghttp(http2: Server) -> None:
    url = f"http://127.0.0.1:{http2.port}/?app=ap2004"
    assert run("nghttp", url) == "/?app=ap2004"
    assert run("nghttp", "--continuation", "-p", "200", "-b", "50", url) == "/?app=ap2004"
    assert run("nghttp", "-w", "1", "-W", "1", url) == "/?app=ap2004"


@pytest.mark.interop
@pytest.mark.slow
def test_h2load(http2: Server) -> None:
    url = f"http://127.0.0.1:{http2.port}/"
    report = run("h2load", "-n", "3000", "-c", "3", "-m", "50", url)
    assert "3000 succeeded, 0 failed, 0 errored, 0 timeout" in report


@pytest.mark.interop
@pytest.mark.slow
def test_node(http2: Server) -> None:
    script = """
        const http2 = require('http2');
        const client = http2.connect('http://127.0.0.1:' + process.argv[1]);
        let left = 20;
        for (let i = 0; i < 20; i++) {
            const stream = client.request({':method': 'POST', ':path': '/' + i});
            let body = '';
            stream.on('data', part => { body += part; });
            stream.on('end', () => {
                if (body !== 'n'.repeat(1000 + i)) process.exit(1);
                if (--left === 0) client.close();
            });
            stream.end('n'.repeat(1000 + i));
        }
    """
    run("node", "-e", script, str(http2.port))
