"""Clients that are not ours against the listener: curl, nghttp, h2load, openssl."""

import shutil
import subprocess

import pytest
import trio

from protocols.http.message import HttpResponse
from tests.node.device.running_listener import HOST, Listening, answer_later

pytestmark = pytest.mark.interop


async def run(*command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    with trio.fail_after(20):
        return await trio.run_process(
            command, stdin=stdin, capture_stdout=True, capture_stderr=True, check=False
        )


@pytest.mark.parametrize(
    ("option", "version"), [("--http1.1", "1.1"), ("--http2", "2"), ("--no-alpn", "1.1")]
)
@pytest.mark.parametrize("tls", ["1.2", "1.3"])
async def test_curl_gets_and_posts(
    listening: Listening, option: str, version: str, tls: str
) -> None:
    async with listening() as running:
        settings = [
            *("-sS", option, f"--tlsv{tls}", "--tls-max", tls),
            *("--cacert", str(running.lab.authority)),
            *("--resolve", f"{HOST}:{running.port}:127.0.0.1"),
            *("-w", "%{http_version} %{response_code} %{num_connects}\n"),
        ]
        post = ["--data", "x" * 20_000, f"https://{HOST}:{running.port}/post"]
        get = [f"https://{HOST}:{running.port}/get"]
        result = await run("curl", *settings, *post, "--next", *settings, *get)
        assert result.stderr == b""
        assert result.stdout.decode().splitlines() == [
            f"/post{version} 200 1",
            f"/get{version} 200 0",
        ]
        assert running.requests[0].body == b"x" * 20_000
        assert [one.server_name for one in running.exchanges] == [HOST, HOST]
        await running.until(lambda now: now.open == 0)
        assert set(running.listener.statistics().closed) <= {"close_notify", "peer_closed"}


async def test_curl_takes_a_late_answer(listening: Listening, nursery: trio.Nursery) -> None:
    async with listening(answer_later) as running:

        async def answer() -> None:
            await running.until(lambda now: now.requests == 1)
            running.exchanges[0].answer(HttpResponse(511, b"text/plain", b"late"))
            running.turn.end()

        nursery.start_soon(answer)
        result = await run(
            *("curl", "-sS", "--cacert", str(running.lab.authority), "-w", "%{response_code}"),
            f"https://localhost:{running.port}/",
        )
        assert result.stdout == b"late511"


async def test_nghttp_sees_a_clean_connection(listening: Listening) -> None:
    async with listening() as running:
        result = await run("nghttp", "-v", f"https://localhost:{running.port}/clean")
        text = result.stdout.decode()
        assert ":status: 200" in text
        assert "/clean" in text
        assert "RST_STREAM" not in text
        await running.until(lambda now: now.open == 0)
        assert running.listener.statistics().protocol_errors == {}


@pytest.mark.slow
@pytest.mark.parametrize("options", [("-m", "10"), ("--h1",)])
async def test_h2load_loses_nothing(listening: Listening, options: tuple[str, ...]) -> None:
    async with listening() as running:
        result = await run(
            *("h2load", "-n", "1000", "-c", "20", *options),
            f"https://localhost:{running.port}/load",
        )
        assert b"1000 succeeded, 0 failed, 0 errored, 0 timeout" in result.stdout
        await running.until(lambda now: now.open == 0)
        statistics = running.listener.statistics()
        assert statistics.requests == 1_000
        assert statistics.protocol_errors == {}


async def test_openssl_is_offered_no_renegotiation_and_no_weak_version(
    listening: Listening,
) -> None:
    async with listening() as running:
        result = await run(
            *("openssl", "s_client", "-connect", f"127.0.0.1:{running.port}", "-tls1_2"),
            *("-CAfile", str(running.lab.authority), "-verify_return_error"),
            stdin=b"R\n",
        )
        assert b"Verify return code: 0 (ok)" in result.stdout
        assert b"no renegotiation" in result.stderr
