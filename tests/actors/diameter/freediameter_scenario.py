"""Our router and our server with freeDiameter between them; run by the test in its own network.

Debian's freeDiameter listens on every address, whatever `ListenOn` says, so the whole scenario runs
in a network namespace of its own, which leads nowhere:
`unshare -n python freediameter_scenario.py DIRECTORY`. It prints one JSON object.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import trio

from actors.diameter.outcomes import EapAnswer, EapOutcome, EapProfile, EapRequest
from actors.diameter.peer import Peer
from actors.diameter.router import DiameterRouter
from actors.diameter.server import DiameterServer
from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from config.model import Diameter, DiameterPeer
from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Message
from protocols.diameter.encoding import encode_avp
from protocols.diameter.messages import build_answer, build_eap_answer
from tests.actors.diameter.lab import eventually

REALM = "epc.mnc001.mcc001.3gppnetwork.org"
DRA = f"dra1.{REALM}"
NODE = f"ecs1.{REALM}"
AAA = f"aaa1.{REALM}"
ADDRESS = "10.77.0.1"  # freeDiameter wants an address that is not a loopback's
PORT, SECURE_PORT = 3870, 5868

CONFIGURATION = """
Identity = "{DRA}";
Realm = "{REALM}";
Port = {PORT};
SecPort = {SECURE_PORT};
No_SCTP;
No_IPv6;
ListenOn = "{ADDRESS}";
TcTimer = 6;
TwTimer = 6;
AppServThreads = 2;
TLS_Cred = "{directory}/cert.pem", "{directory}/key.pem";
TLS_CA = "{directory}/cert.pem";
LoadExtension = "dict_nasreq.fdx";
LoadExtension = "dict_eap.fdx";
LoadExtension = "dbg_msg_dumps.fdx" : "0x0080";
LoadExtension = "acl_wl.fdx" : "{directory}/acl.conf";
ConnectPeer = "{AAA}" {{ ConnectTo = "127.0.0.1"; Port = {aaa_port}; No_TLS; }};
"""
ACL = f"ALLOW_OLD_TLS *.{REALM}\nALLOW_IPSEC *.{REALM}\n"


class Scenario:
    """The parts, and what is reported."""

    def __init__(self, directory: Path, transport: str) -> None:
        self.directory = directory
        self.crashes: list[str] = []
        self.requests: list[Message] = []
        self.turn = Turn(on_crash=lambda error: self.crashes.append(repr(error)))
        self.timers = TimerWheel(self.turn)
        applications = (numbers.SWM, numbers.SWA)
        self.server = DiameterServer(AAA, REALM, applications, self.serve, self.turn, self.timers)
        pem = str(directory / "cert.pem")
        tls = {"tls_ca": pem, "tls_certificate": pem, "tls_key": str(directory / "key.pem")}
        section = DiameterPeer(
            host=DRA,
            address=ADDRESS,
            port=SECURE_PORT if transport == "tls" else PORT,
            transport=transport,
            **(tls if transport == "tls" else {}),
        )
        self.router = DiameterRouter(
            Diameter(
                origin_host=NODE,
                origin_realm=REALM,
                peers=(section,),
                first_reconnect_seconds=0.1,
                reconnect_seconds=0.3,
            ),
            self.turn,
            self.timers,
        )
        self.asked: list[bytes] = []
        self.router.on_server_request = self.server_request

    def serve(self, request: Message, peer: Peer) -> None:
        self.requests.append(request)
        origin = self.server.origin
        if request.command == numbers.SESSION_TERMINATION:
            peer.answer(build_answer(request, origin, numbers.SUCCESS))
        else:
            members = [(d.EAP_PAYLOAD, bytes.fromhex("0117000801000000")), (d.STATE, b"st01")]
            peer.answer(build_eap_answer(request, origin, numbers.MULTI_ROUND_AUTH, members))

    def server_request(self, request: object, reply: Callable[[int], None]) -> None:
        self.asked.append(getattr(request, "session_id", b""))
        reply(numbers.SUCCESS)

    def write_files(self, aaa_port: int) -> Path:
        values = {
            "ADDRESS": ADDRESS,
            "DRA": DRA,
            "AAA": AAA,
            "REALM": REALM,
            "PORT": PORT,
            "SECURE_PORT": SECURE_PORT,
            "directory": self.directory,
            "aaa_port": aaa_port,
        }
        path = self.directory / "fd.conf"
        path.write_text(CONFIGURATION.format(**values))
        (self.directory / "acl.conf").write_text(ACL)
        return path

    def start_agent(self, path: Path) -> subprocess.Popen[bytes]:
        with (self.directory / "fd.log").open("w") as log:
            return subprocess.Popen(["freeDiameterd", "-c", str(path)], stdout=log, stderr=log)

    async def ask(self, **fields: object) -> EapOutcome:
        outcomes: list[EapOutcome] = []
        done = trio.Event()
        values: dict[str, object] = {
            "profile": EapProfile(
                visited_network_identifier="mnc001.mcc001.3gppnetwork.org",
                service_selection="ims",
            ),
            "session_id": self.router.new_session_id("1"),
            "user_name": f"0001010000000001@nai.{REALM}".encode(),
            "eap_payload": b"\x02\x01\x00\x06\x01\x30",
            "destination_realm": REALM.encode(),
            "imei": b"35693803564380",
            "software_version": b"01",
            "calling_station_id": b"447700900001",
            **fields,
        }

        def reply(outcome: EapOutcome) -> None:
            outcomes.append(outcome)
            done.set()

        self.router.request(EapRequest(**values), reply)  # type: ignore[arg-type]
        self.turn.end()
        await done.wait()
        return outcomes[0]

    async def run(self) -> dict[str, object]:
        report: dict[str, object] = {}
        async with trio.open_nursery() as nursery:
            await nursery.start(self.timers.run)
            _, port = await nursery.start(self.server.run)
            path = self.write_files(port)
            agent = self.start_agent(path)
            try:
                await nursery.start(self.router.run)
                await eventually(lambda: self.router.ready and self.server.peers, 20)
                await self.converse(report)
            finally:
                report["statistics"] = repr(self.router.statistics())
                agent.kill()
                agent.wait(10)
            report["crashes"] = self.crashes
            nursery.cancel_scope.cancel()
        return report

    async def converse(self, report: dict[str, object]) -> None:
        first = await self.ask()
        assert isinstance(first, EapAnswer), first
        report["first"] = [first.code, first.origin_host.decode(), first.peer]
        report["route_record"] = [one.decode() for one in self.requests[0].all(d.ROUTE_RECORD)]
        pinned = {"destination_host": first.origin_host, "state": first.state}
        second = await self.ask(**pinned)
        assert isinstance(second, EapAnswer), second
        report["second"] = [second.code, second.origin_host.decode()]
        report["state"] = (self.requests[1].octets(d.STATE) or b"").decode()
        nowhere = await self.ask(destination_realm=b"nowhere.example")
        assert isinstance(nowhere, EapAnswer), nowhere
        report["nowhere"] = nowhere.code
        began = time.perf_counter()
        for _ in range(20):
            await self.ask(**pinned)
        report["milliseconds"] = (time.perf_counter() - began) / 20 * 1000
        await self.abort(report)
        self.router.terminate(self.termination(first.origin_host))
        self.turn.end()
        await eventually(lambda: self.requests[-1].command == numbers.SESSION_TERMINATION)
        await eventually(lambda: not self.router.statistics().peers[0].in_flight)
        report["terminated"] = self.requests[-1].command
        await self.router.drain()
        report["state_after_drain"] = self.router.statistics().peers[0].state

    async def abort(self, report: dict[str, object]) -> None:
        """ASR from our AAA through the agent to our node."""
        answers: list[Message | None] = []
        body = (
            encode_avp(d.SESSION_ID, f"{NODE};1;1;ecs1-1")
            + self.server.origin.encoded
            + encode_avp(d.DESTINATION_REALM, REALM)
            + encode_avp(d.DESTINATION_HOST, NODE)
            + encode_avp(d.AUTH_APPLICATION_ID, numbers.SWM)
        )
        agent = self.server.peers[DRA]
        self.server.request(agent, numbers.ABORT_SESSION, numbers.SWM, body, answers.append)
        self.turn.end()
        await eventually(lambda: answers)
        answer = answers[0]
        report["abort"] = answer.u32(d.RESULT_CODE) if answer is not None else None
        report["aborted"] = [one.decode() for one in self.asked]

    def termination(self, host: bytes) -> EapRequest:
        return EapRequest(
            profile=EapProfile(),
            session_id=self.router.new_session_id("1"),
            user_name=b"0001010000000001@nai",
            eap_payload=b"",
            destination_realm=REALM.encode(),
            destination_host=host,
        )


def main() -> None:
    for command in (
        "link set lo up",
        "link add v0 type veth peer name v1",
        f"address add {ADDRESS}/24 dev v0",
        "link set v0 up",
        "link set v1 up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    scenario = Scenario(Path(sys.argv[1]), sys.argv[2])
    report = trio.run(scenario.run)
    print("REPORT " + json.dumps(report))


if __name__ == "__main__":
    main()
