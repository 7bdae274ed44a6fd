"""The commands against a real management listener: what a person sees, also when it goes wrong."""

import dataclasses
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result

from actors.counters import Counters
from actors.trace.recorder import TraceEvent, TraceRecorder
from config.model import Management as Settings
from node.cli_trace import explain, trace
from node.management import Management
from node.metrics import Metrics
from node.trace.conversations import Conversations
from node.view import OwnView

IMSI = "001010000000001"
STEPS = [
    {
        "subscriber": {"plan": "gold", "blocked": False, "features": ["vowifi", "volte"]},
        "tenant": "op1",
    },
    {
        "app": "ap2004",
        "entitlement_status": 1,
        "parms": {"TC_Status": "2", "Info": {"Details": [{"Status": "1"}, {"Status": "2"}]}},
        "document": "<a>\n  <b/>\n</a>",
        "changes": [],
        "note": None,
    },
]


@pytest.fixture(autouse=True)
def _quick_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command prints what is over when the next heartbeat comes."""
    monkeypatch.setattr("node.view.HEARTBEAT_SECONDS", 0.02)


class Running:
    """A management listener that runs, and its recorder."""

    def __init__(self, recorder: TraceRecorder, url: str) -> None:
        self.recorder = recorder
        self.url = url

    async def invoke(self, command: Any, *arguments: str) -> Result:  # noqa: ANN401 (click's)
        call = partial(CliRunner().invoke, command, [*arguments, "--management", self.url])
        return await trio.to_thread.run_sync(call, abandon_on_cancel=True)

    async def record(self, events: Sequence[TraceEvent]) -> None:
        while not self.recorder.armed:  # a request from another thread arms it
            await trio.lowlevel.checkpoint()
        for event in events:
            self.recorder.record(event)

    async def trace(self, events: Sequence[TraceEvent], *arguments: str) -> Result:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.record, events)
            with trio.fail_after(20):
                return await self.invoke(trace, "--imsi", IMSI, *arguments)
        raise AssertionError("the nursery cannot end before")


def explained(tenant: str | None, imsi: str, app: str, version: str, language: str) -> Any:  # noqa: ANN401
    if tenant is not None:
        raise LookupError(f"no tenant {tenant}")
    return [*STEPS, {"asked": f"{imsi} {app} {version} {language}"}]


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    recorder = TraceRecorder()
    management = Management(
        Settings(listen="127.0.0.1:0"),
        OwnView(metrics=Metrics(Counters()), recorder=recorder, readiness={}, explain=explained),
    )
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(management.run)
        yield Running(recorder, url)
        nursery.cancel_scope.cancel()


async def test_an_exchange_is_printed_as_a_ladder_when_it_is_over(
    exchange: list[TraceEvent],
) -> None:
    async with running() as node:
        result = await node.trace(exchange, "--exchanges", "1")
    assert result.exit_code == 0
    assert f"tracing {IMSI} for 60 s" in result.stderr
    assert result.stdout.count("│─ GET / ─") == 1
    assert "Result-Code: 2001 DIAMETER_SUCCESS" in result.stdout
    assert "● decision: ap2004 enabled" in result.stdout
    assert "(8 octets hidden)" in result.stdout


async def test_secrets_come_from_the_node_only_on_demand(
    exchange: list[TraceEvent], secrets: tuple[bytes, ...]
) -> None:
    async with running() as node:
        hidden = await node.trace(exchange, "--exchanges", "1", "--json")
        shown = await node.trace(exchange, "--exchanges", "1", "--show-secrets")
    token = secrets[0].decode()
    assert token not in hidden.stdout
    assert token in shown.stdout
    assert "AT_RES c79f02a59fc9a38f" in shown.stdout


async def test_json_gives_one_object_a_line_and_nothing_else(exchange: list[TraceEvent]) -> None:
    async with running() as node:
        result = await node.trace(exchange, "--exchanges", "1", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == len(exchange)
    assert lines[0]["request"]["method"] == "GET"


async def test_a_capture_is_written_on_the_side(
    exchange: list[TraceEvent], secrets: tuple[bytes, ...], tmp_path: Path
) -> None:
    path = tmp_path / "phone.pcapng"
    async with running() as node:
        result = await node.trace(exchange, "--exchanges", "1", "--pcapng", str(path))
    assert result.exit_code == 0
    data = path.read_bytes()
    assert data[:4] == b"\x0a\x0d\x0d\x0a"
    assert b"GET /?EAP_ID=0001010000000001%40nai" in data
    assert all(secret not in data for secret in secrets)


async def test_what_is_unfinished_when_time_is_up_is_printed_too(
    exchange: list[TraceEvent],
) -> None:
    async with running() as node:
        result = await node.trace(exchange[:3], "--seconds", "0.2")
    assert result.exit_code == 0
    assert "DEA SWm 1001" in result.stdout


async def test_nothing_seen_is_said() -> None:
    async with running() as node:
        result = await node.trace([], "--seconds", "0.05")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "no exchange of this subscriber was seen" in result.stderr


async def test_explain_says_what_and_why() -> None:
    async with running() as node:
        result = await node.invoke(
            explain, "--imsi", IMSI, "--app", "ap2004", "--language", "fr",
            "--entitlement-version", "8.0",
        )  # fmt: skip
        as_json = await node.invoke(explain, "--imsi", IMSI, "--app", "ap2004", "--json")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "subscriber:",
        "  plan: gold",
        "  blocked: no",
        "  features:",
        "    - vowifi",
        "    - volte",
        "tenant: op1",
        "app: ap2004",
        "entitlement_status: 1",
        "parms:",
        "  TC_Status: 2",
        "  Info:",
        "    Details:",
        "      -",
        "        Status: 1",
        "      -",
        "        Status: 2",
        "document:",
        "  <a>",
        "    <b/>",
        "  </a>",
        "changes: none",
        "note: none",
        f"asked: {IMSI} ap2004 8.0 fr",
    ]
    assert json.loads(as_json.stdout)[:2] == STEPS


@pytest.mark.parametrize(
    ("command", "arguments", "says"),
    [
        (explain, ("--app", "ap2004", "--tenant", "x"), "Error: no tenant x"),
        (explain, ("--app", "vowifi"), "Error: app is an application id of TS.43"),
        (trace, ("--seconds", "99999"), "99999.0 is not in the range 0<x<=3600.0"),
    ],
)
async def test_what_is_wrong_is_said_in_one_line(
    command: Any,  # noqa: ANN401 (click's)
    arguments: tuple[str, ...],
    says: str,
) -> None:
    async with running() as node:
        result = await node.invoke(command, "--imsi", IMSI, *arguments)
    assert result.exit_code != 0
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_a_wrong_imsi_is_refused_before_anything_is_asked() -> None:
    result = CliRunner().invoke(trace, ["--imsi", "12ab"])
    assert result.exit_code == 2
    assert "12ab: an IMSI is 6 to 15 digits" in result.stderr


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1", "Is the node running"),
        ("ftp://127.0.0.1", "is no URL such as"),
        ("http://127.0.0.1:99999", "has no port that exists"),
    ],
)
def test_a_node_that_is_not_there_is_explained(url: str, says: str) -> None:
    for command, more in ((trace, []), (explain, ["--app", "ap2004"])):
        result = CliRunner().invoke(command, ["--imsi", IMSI, "--management", url, *more])
        assert result.exit_code == 1
        assert says in result.stderr


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n", "is no management listener"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\n<htm>", "answered 404"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>", ""),
    ],
)
async def test_a_listener_that_is_something_else_is_recognised(answer: bytes, says: str) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        node = Running(TraceRecorder(), f"http://127.0.0.1:{listener.socket.getsockname()[1]}")
        for command, more in ((trace, ()), (explain, ("--app", "ap2004"))):
            result = await node.invoke(command, "--imsi", IMSI, *more)
            assert result.exit_code == 1
            assert says in result.stderr
            assert "Traceback" not in result.output
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("command", [trace, explain])
def test_the_help_has_an_example_to_act_on(command: Any) -> None:  # noqa: ANN401 (click's)
    text = CliRunner().invoke(command, ["--help"], terminal_width=100).stdout
    assert "--imsi 001010000000001" in text
    assert "ENTITLEMENT_MANAGEMENT" in text


def test_exchanges_that_overlap_are_kept_apart(exchange: list[TraceEvent]) -> None:
    second = [dataclasses.replace(event, exchange="op1-18") for event in exchange]
    conversations = Conversations()
    mixed = [event for pair in zip(exchange, second, strict=True) for event in pair]
    assert [one for event in mixed for one in conversations.add(event)] == []
    assert list(conversations.quiet()) == [exchange, second]
    assert list(conversations.rest()) == []


def test_the_next_request_of_a_session_begins_another_exchange(
    exchange: list[TraceEvent],
) -> None:
    conversations = Conversations()
    twice = [*exchange, *exchange[:1]]
    assert [one for event in twice for one in conversations.add(event)] == [exchange]
    assert list(conversations.quiet()) == []
    assert list(conversations.rest()) == [exchange[:1]]
