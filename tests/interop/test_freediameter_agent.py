"""freeDiameter between the whole node and its AAA: relay, Route-Record, death of the agent."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.programs import ROOT, SEARCH_PATH, needs

pytestmark = [pytest.mark.interop, pytest.mark.slow]

SCENARIO = Path(__file__).with_name("freediameter_whole.py")
SCENARIO_SECONDS = 60
MOBILE_NODE_IDENTIFIER = 506
REALM = "epc.mnc001.mcc001.3gppnetwork.org"


def needs_network_namespaces() -> None:
    """freeDiameter listens everywhere: without a network of its own it is not run."""
    needs("unshare")
    needs("ip")
    command = ["unshare", "-n", "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"]
    if subprocess.run(command, capture_output=True, timeout=5, check=False).returncode:
        pytest.skip("network namespaces (unshare -n) are not allowed here")


def test_freediameter_relays_for_the_whole_node(tmp_path: Path) -> None:
    """EAP-14, EAP-15, EAP-16, EAP-18; interoperation with an agent that is not ours."""
    needs("freeDiameterd")
    needs("openssl")
    needs_network_namespaces()
    subject = f"/CN=dra1.{REALM}"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    make += ["-subj", subject, "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run(
        ["unshare", "-n", sys.executable, str(SCENARIO), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=SCENARIO_SECONDS,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": SEARCH_PATH},
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("REPORT ")]
    log = (tmp_path / "fd.log").read_text(errors="replace")
    assert lines, done.stdout[-3_000:] + done.stderr[-3_000:] + log[-2_000:]
    report = json.loads(lines[0].removeprefix("REPORT "))
    assert report["authenticated"] == [True, 2]
    assert report["samsung"] is True
    assert report["wrong res"] == 403
    # Every request came through the agent, which noted from whom it had it.
    assert report["route records"] == [[f"ecs1.{REALM}"]] * len(report["route records"])
    assert list(report["by"]) == [f"dra1.{REALM}"]
    assert report["abort"] == 2001
    assert report["token after abort"] == 511
    assert report["after the agent's death"] == 200
    assert report["next phone"] is True
    assert report["left over"] == {}
    # A wrong M bit (RAT-Type, overload control) makes it complain. Mobile-Node-Identifier is the
    # AAA's, has the M bit by RFC 5779 §6, and is not in its dictionary.
    complained = {int(code) for code in re.findall(r"Unsupported AVP: ([0-9]+)", log)}
    assert complained <= {MOBILE_NODE_IDENTIFIER}
