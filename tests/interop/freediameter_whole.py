"""The whole node, freeDiameter as its Diameter agent, and the lab's AAA behind that.

Run by the test as `unshare -n python freediameter_whole.py FOLDER`: Debian's freeDiameter listens
on every address, whatever `ListenOn` says, so all of it lives in a network namespace that leads
nowhere. Prints one line, `REPORT` and a JSON object.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import trio

from protocols.diameter import dictionary as d
from scripts.lab.aaa_running import HOST, REALM, RunningAaa, _NodePeer, running_aaa
from scripts.lab.phone import Phone
from scripts.lab.phone_habits import SAMSUNG
from tests.node.whole.device_legs import answer_of, first_leg, relay
from tests.node.whole.whole_node import LabFolder, WholeNode, asking, serving

DRA: Final = f"dra1.{REALM}"
ADDRESS: Final = "10.77.0.1"  # freeDiameter wants one that is not a loopback's
PORT: Final = 3870

NETWORK: Final = (
    "link set lo up",
    "link add v0 type veth peer name v1",
    f"address add {ADDRESS}/24 dev v0",
    "link set v0 up",
    "link set v1 up",
)
CONFIGURATION: Final = """
Identity = "{DRA}";
Realm = "{REALM}";
Port = {PORT};
SecPort = 0;
No_SCTP;
No_IPv6;
ListenOn = "{ADDRESS}";
TcTimer = 6;
TwTimer = 6;
AppServThreads = 2;
TLS_Cred = "{folder}/cert.pem", "{folder}/key.pem";
TLS_CA = "{folder}/cert.pem";
LoadExtension = "dict_nasreq.fdx";
LoadExtension = "dict_eap.fdx";
LoadExtension = "dbg_msg_dumps.fdx" : "0x0080";
LoadExtension = "acl_wl.fdx" : "{folder}/acl.conf";
ConnectPeer = "{HOST}" {{ ConnectTo = "127.0.0.1"; Port = {aaa_port}; No_TLS; }};
"""
ACL: Final = f"ALLOW_OLD_TLS *.{REALM}\nALLOW_IPSEC *.{REALM}\n"
CHANGES: Final[dict[str, Any]] = {
    "sessions": {"finished-seconds": 0.05, "answer-seconds": 9.0},
    "diameter": {"answer-seconds": 3.0, "exchange-seconds": 8.0},
    "tenants": {0: {"authentication": {"session-termination": False}}},
}


AGENT_PEER: Final = {"host": DRA, "address": ADDRESS, "port": PORT, "priority": 1}


def direct_peer(aaa: RunningAaa) -> dict[str, Any]:
    """The AAA itself, as second choice."""
    return {"host": HOST, "address": "127.0.0.1", "port": aaa.port, "priority": 2}


def with_peers(*peers: dict[str, Any]) -> dict[str, Any]:
    """The scenario's settings, with these peers."""
    return {**CHANGES, "diameter": {**CHANGES["diameter"], "peers": list(peers)}}


@contextmanager
def running_agent(folder: Path, aaa_port: int) -> Iterator[subprocess.Popen[bytes]]:
    """freeDiameterd, killed at the end of the block."""
    values = {
        "DRA": DRA, "REALM": REALM, "PORT": PORT, "ADDRESS": ADDRESS, "HOST": HOST,
        "folder": folder, "aaa_port": aaa_port,
    }  # fmt: skip
    (folder / "fd.conf").write_text(CONFIGURATION.format(**values))
    (folder / "acl.conf").write_text(ACL)
    with (folder / "fd.log").open("w") as log:
        command = ["freeDiameterd", "-c", str(folder / "fd.conf")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


async def run(folder: Path) -> dict[str, Any]:
    """Everything; what was seen is in the report."""
    lab = LabFolder(folder / "lab")
    report: dict[str, Any] = {}
    async with running_aaa() as aaa:
        with running_agent(folder, aaa.port) as agent:
            path = lab.prepare(folder / "node", changes=with_peers(AGENT_PEER))
            async with serving(lab, path, [aaa]) as node:
                await node.until(lambda: node.open_peers() == 1 and DRA in aaa.server.peers)
                await converse(node, aaa, report)
                node.rewrite(with_peers(AGENT_PEER, direct_peer(aaa)))
                node.node.reload()
                await node.until(lambda: node.open_peers() == 2)
                await outlive(node, agent, report)
                await node.at_rest()
                report["left over"] = node.left_over()
    return report


async def converse(node: WholeNode, aaa: RunningAaa, report: dict[str, Any]) -> None:
    """Authentications through the agent, and an abort back through it."""
    seen = node.requests_to(aaa)
    phone = node.phone(1)
    phone.usim.lose_synchronisation()
    result = await phone.authenticate()
    report["authenticated"] = [result.ok, result.challenges]
    report["samsung"] = (await node.phone(2, SAMSUNG).authenticate()).ok
    report["wrong res"] = (await node.phone(3).wrong_res()).status
    report["route records"] = [[one.decode() for one in der.all(d.ROUTE_RECORD)] for der in seen]
    report["by"] = {peer.host: peer.requests for peer in node.node.router.statistics().peers}
    report["abort"] = await abort(node, aaa, phone)
    report["token after abort"] = (await node.get(asking(phone))).status


async def abort(node: WholeNode, aaa: RunningAaa, phone: Phone) -> int | None:
    """An ASR that takes the way through the agent, with its Route-Record."""
    session = next(one for one in aaa.books.open.values() if one.imsi == phone.usim.imsi)
    sent = aaa.aaa.abort(session, _NodePeer(aaa.server, aaa.server.peers[DRA]))
    aaa.turn.end()
    await node.until(
        lambda: (
            sent.code is not None and node.counted("token_events").get(("mno", "revoked-by-aaa"))
        )
    )
    return sent.code


async def outlive(node: WholeNode, agent: subprocess.Popen[bytes], report: dict[str, Any]) -> None:
    """The agent dies between the legs; the same AAA is reached by the other way."""
    async with node.connected() as connection:
        phone = node.phone(4)
        leg = await first_leg(phone, connection)
        agent.kill()
        await node.until(lambda: node.open_peers() == 1)
        final = await relay(answer_of(phone, leg.response), connection, leg.cookie_field)
        report["after the agent's death"] = final.status
        report["next phone"] = (await node.phone(5).authenticate()).ok


def main() -> None:
    """Make the network, run, report."""
    for command in NETWORK:
        subprocess.run(["ip", *command.split()], check=True)
    print("REPORT " + json.dumps(trio.run(run, Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
