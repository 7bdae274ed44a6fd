"""One subscriber's exchange as the running node records it: ladder, and a capture for tshark."""

import shutil
import subprocess
from pathlib import Path

import pytest
import trio

from actors.trace.recorder import TraceEvent
from node.ladder import Style, ladder
from node.pcapng import PcapngWriter
from tests.node.whole.conftest import Whole
from tests.node.whole.whole_node import WholeNode

IMSI = "001010000000001"
WARNING = 0x00600000  # of tshark's expert information; errors are above


async def recorded(node: WholeNode, words: str = "", resync: bool = False) -> list[TraceEvent]:
    """Everything that is recorded of one authentication, while others go on."""
    node.behave(words, IMSI)
    with node.node.recorder.arm(IMSI, 60, 1_000) as trace:
        phone = node.phone(1)
        if resync:
            phone.usim.lose_synchronisation()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(phone.authenticate)
            nursery.start_soon(node.phone(2).authenticate)
        trace.close()
        return [event async for event in trace]


async def test_a_ladder_shows_both_rounds_and_no_secret(whole: Whole) -> None:
    async with whole() as node:
        events = await recorded(node)
        assert {event.imsi for event in events} == {IMSI}
        assert [(one.leg, one.direction) for one in events if one.leg != "decision"] == [
            ("http", "in"),
            ("swm", "out"),
            ("swm", "in"),
            ("http", "out"),
            ("http", "in"),
            ("swm", "out"),
            ("swm", "in"),
            ("http", "out"),
        ]
        text = ladder(events)
        assert text.count("DER SWm") == 2
        assert "DIAMETER_MULTI_ROUND_AUTH" in text
        assert "DIAMETER_SUCCESS" in text
        assert "plan full has vowifi" in text
        phone = node.phone(1)
        token = next(line for line in text.splitlines() if 'name="token"' in line)
        assert "hidden" in token
        assert phone.nai in text
        assert node.node.recorder.statistics().armed == 0


async def test_with_secrets_the_ladder_shows_them(whole: Whole) -> None:
    async with whole() as node:
        events = await recorded(node)
        assert "hidden" in ladder(events)
        assert "hidden" not in ladder(events, Style(show_secrets=True))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("unknown", ("5001", "403")),
        ("silent", ("no answer: timeout", "503")),
        ("result=3004", ("3004", "503")),
        ("reset", ("no answer: connection lost", "503")),
    ],
)
async def test_a_failed_exchange_tells_why(
    whole: Whole, words: str, expected: tuple[str, ...]
) -> None:
    async with whole() as node:
        text = ladder(await recorded(node, words))
        for part in expected:
            assert part in text


@pytest.mark.interop
async def test_tshark_reads_the_capture_of_a_trace(whole: Whole, tmp_path: Path) -> None:
    """DER and DEA with EAP-AKA inside, HTTP with its bodies, and nothing malformed."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    async with whole() as node:
        events = await recorded(node, resync=True)
    capture = tmp_path / "trace.pcapng"
    with capture.open("wb") as file:
        writer = PcapngWriter(file)
        for event in events:
            writer.add(event)
    fields = ["diameter.cmd.code", "diameter.Result-Code", "eap.type", "http.response.code"]
    options = [part for name in fields for part in ("-e", name)]
    rows = (await tshark(capture, "-T", "fields", *options)).split("\n")
    found = [tuple(row.split("\t")) for row in rows if row.strip()]
    der, challenge = ("268", "", "23", ""), ("268", "1001", "23", "")
    assert found == [
        ("268", "", "1", ""),
        challenge,
        ("", "", "", "200"),
        der,
        challenge,
        ("", "", "", "200"),
        der,
        ("268", "2001", "", ""),
        ("", "", "", "200"),
    ]
    assert await tshark(capture, "-Y", f"_ws.malformed || _ws.expert.severity >= {WARNING}") == ""


async def tshark(capture: Path, *options: str) -> str:
    with trio.fail_after(30):
        done = await trio.run_process(
            ["tshark", "-r", str(capture), *options],
            capture_stdout=True,
            stderr=subprocess.DEVNULL,
        )
    return done.stdout.decode()
