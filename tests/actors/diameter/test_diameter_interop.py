"""Foreign peers: freeDiameter as the agent between our client and our server, over TCP and TLS;
python-diameter's Node as the AAA. Over real sockets.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from actors.diameter.outcomes import EapAnswer, EapOutcome, EapRequest
from actors.diameter.router import DiameterRouter
from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from config.model import Diameter, DiameterPeer
from protocols.diameter import numbers
from protocols.diameter.dictionary import BY_KEY, VENDOR_3GPP
from tests.actors.diameter.lab import NODE, REALM, eventually, first_round

HERE = Path(__file__).parent
DRA = f"dra1.{REALM}"
AAA = f"aaa1.{REALM}"

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def has_network_namespaces() -> bool:
    command = ["unshare", "-n", "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"]
    try:
        return subprocess.run(command, capture_output=True, timeout=5).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_freediameter_relays_between_our_client_and_our_server(
    tmp_path: Path, transport: str
) -> None:
    if shutil.which("freeDiameterd") is None:
        pytest.skip("freeDiameterd is missing")
    if not has_network_namespaces():
        pytest.skip("freeDiameterd listens everywhere, and there are no network namespaces")
    subject = ["-subj", f"/CN={DRA}", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)
    scenario = ["unshare", "-n", sys.executable, str(HERE / "freediameter_scenario.py")]
    done = subprocess.run(
        [*scenario, str(tmp_path), transport],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=HERE.parents[2],
        env={"PYTHONPATH": str(HERE.parents[2]), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("REPORT ")]
    assert lines, done.stdout + done.stderr
    report = json.loads(lines[0].removeprefix("REPORT "))
    assert report["first"] == [numbers.MULTI_ROUND_AUTH, AAA, DRA]
    assert report["route_record"] == [NODE]
    assert report["second"] == [numbers.MULTI_ROUND_AUTH, AAA]
    assert report["state"] == "st01"
    assert report["nowhere"] == numbers.UNABLE_TO_DELIVER
    assert report["abort"] == numbers.SUCCESS
    assert report["aborted"] == [f"{NODE};1;1;ecs1-1"]
    assert report["terminated"] == numbers.SESSION_TERMINATION
    assert report["state_after_drain"] == "CLOSED"
    assert report["crashes"] == []
    log = (tmp_path / "fd.log").read_text(errors="replace")
    # freeDiameter complains of AVPs with M that its dictionary lacks. Those we send with M because
    # the standard says so; a wrong M (RAT-Type, overload) would appear here.
    complained = {int(code) for code in re.findall(r"Unsupported AVP: ([0-9]+)", log)}
    rows = [BY_KEY.get(code) or BY_KEY[VENDOR_3GPP << 32 | code] for code in complained]
    assert {row.name for row in rows} <= {
        "Service-Selection",
        "Visited-Network-Identifier",
        "Terminal-Information",
    }


@pytest.fixture
def python_diameter() -> Iterator[int]:
    """The port of python-diameter's Node."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "python_diameter_aaa.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.stdout.close()
        process.kill()
        process.wait()


async def ask(turn: Turn, router: DiameterRouter, request: EapRequest) -> EapOutcome:
    outcomes: list[EapOutcome] = []
    done = trio.Event()

    def reply(outcome: EapOutcome) -> None:
        outcomes.append(outcome)
        done.set()

    router.request(request, reply)
    turn.end()
    with trio.fail_after(10):
        await done.wait()
    return outcomes[0]


async def test_python_diameter_is_an_aaa_for_our_client(python_diameter: int) -> None:
    crashes: list[Exception] = []
    turn = Turn(on_crash=crashes.append)
    timers = TimerWheel(turn)
    section = DiameterPeer(host=AAA, port=python_diameter)
    router = DiameterRouter(
        Diameter(
            origin_host=NODE,
            origin_realm=REALM,
            peers=(section,),
            first_reconnect_seconds=0.1,
            answer_seconds=8.0,
            exchange_seconds=9.0,
        ),
        turn,
        timers,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(timers.run)
        await nursery.start(router.run)
        await eventually(lambda: router.ready)
        first = await ask(turn, router, first_round())
        assert isinstance(first, EapAnswer)
        assert first.code == numbers.MULTI_ROUND_AUTH
        assert first.origin_host == AAA.encode()
        pinned = first_round(destination_host=first.origin_host, state=first.state)
        second = await ask(turn, router, pinned)
        assert isinstance(second, EapAnswer)
        assert second.code == numbers.SUCCESS
        assert second.eap_payload == b"\x03\x01\x00\x04"
        rejected = await ask(turn, router, first_round(user_name=b"rejected@example"))
        assert isinstance(rejected, EapAnswer)
        assert rejected.code == numbers.AUTHENTICATION_REJECTED
        router.terminate(pinned)
        turn.end()
        await eventually(lambda: not router.statistics().peers[0].in_flight)
        await router.drain()
        assert router.statistics().peers[0].state == "CLOSED"
        nursery.cancel_scope.cancel()
    assert crashes == []
