"""What an idle session costs in memory: a process of its own holds many and reports.

Idle is the longest wait of a session: the challenge went out, the phone is thinking. All that
belongs to it is there: the actor, the request it keeps, the conversation with the AAA, the sealed
cookie, three indices, the timer. The AAA answers at once and from memory; devices are gone after
the answer, as phones that open a new connection for each leg.

    python -m scripts.bench.idle_sessions --count 100000
"""

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import click
import msgspec
import trio

from actors.backends.bss import SubscriberReply
from actors.counters import Counters
from actors.diameter.outcomes import EapAnswer, EapOutcome, EapRequest
from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from actors.session.cookie import CookieSeal
from actors.session.sessions import Sessions
from actors.session.user_data import UserDataSeal
from actors.store.store import Store
from actors.tenants import Tenants
from actors.trace.recorder import TraceRecorder
from config.load import load
from config.model import Config
from protocols.eap.aka import at_fixed, build_with_mac
from protocols.eap.milenage import milenage
from protocols.eap.numbers import AT_AUTN, AT_RAND, CHALLENGE, EAP_AKA, REQUEST
from protocols.http.message import HttpRequest, HttpResponse
from protocols.ts43.request import Ts43Request, parse_request
from scripts.bench.processes import PAGE_OCTETS
from scripts.lab.subscribers import FIRST_IMSI, OPC, K, imei_of, nai_of

LAB: Final = Path(__file__).parents[2] / "config" / "lab.toml"
AAA_HOST: Final = b"aaa1.epc.mnc001.mcc001.3gppnetwork.org"
HEADERS: Final = [
    (b"user-agent", b"PRD-TS43 term-vend/modelY IMS-Entitlement/6.0 OS-Android/14"),
    (b"accept", b"application/vnd.gsma.eap-relay.v1.0+json"),
]
WARM_UP: Final = 1_000


class IdleResult(msgspec.Struct, frozen=True):
    """Octets and seconds; `alive` is how many sessions the pool says there are."""

    count: int
    alive: int
    octets_each: float
    cpu_each: float


class _Aaa:
    """Answers every DER at once with a challenge, each octet its own."""

    def __init__(self) -> None:
        vector = milenage(K, OPC).vector(bytes(16), 32, b"\x80\0")
        attributes = at_fixed(AT_RAND, vector.rand) + at_fixed(AT_AUTN, vector.autn)
        self._packet = build_with_mac(REQUEST, 2, EAP_AKA, CHALLENGE, attributes, bytes(16))
        self._number = 0

    def request(self, der: EapRequest, reply: Callable[[EapOutcome], None]) -> None:
        # Slices of larger octets, as the codec makes them: nothing is shared between sessions.
        state = b"lab-%d" % self._number
        packet = bytes(bytearray(self._packet))
        reply(EapAnswer(0, 1001, packet, state=state, origin_host=bytes(bytearray(AAA_HOST))))

    def terminate(self, request: EapRequest) -> None:
        """Nobody finishes here."""

    def new_session_id(self, actor: str) -> bytes:
        self._number += 1
        return b"ecs1.epc.mnc001.mcc001.3gppnetwork.org;1;%d;ecs1-%s" % (
            self._number,
            actor.encode(),
        )


class _NoBss:
    def find_subscriber(self, tenant: str, imsi: str, reply: SubscriberReply) -> None:
        """Nobody gets so far."""
        reply(None)


class _Exchange:
    """A device that is gone as soon as it has its answer."""

    __slots__ = ("gone", "on_gone", "peer", "server_name", "status")

    http_version = "2"

    def __init__(self, peer: str) -> None:
        self.on_gone: Callable[[], None] | None = None
        self.gone = False
        self.server_name = "localhost"
        self.peer = peer
        self.status = 0

    def answer(self, response: HttpResponse) -> None:
        self.status = response.status
        self.gone = True


class IdleSessions:
    """The session side of a node, without sockets."""

    def __init__(self, config: Config) -> None:
        self._turn = Turn()
        self._tenants = Tenants(config)
        self._tenant = config.tenants[0]
        limits = msgspec.structs.replace(
            config.sessions, capacity=2_000_000, challenge_seconds=86_400.0
        )
        self.sessions = Sessions(
            limits,
            aaa=_Aaa(),
            bss=_NoBss(),
            store=cast("Store", None),  # no session gets as far as to a token
            timers=TimerWheel(self._turn),
            counters=Counters(),
            recorder=TraceRecorder(),
            seal=CookieSeal((bytes(32),)),
            user_data=UserDataSeal((bytes(32),), os.urandom),
            tenants=self._tenants,
        )
        self._turn.before_flush(self.sessions.pool.run_ready)

    def begin(self, number: int) -> None:
        """One device asks and gets its challenge.

        Raises:
            RuntimeError: it did not.
        """
        imsi = f"{FIRST_IMSI + number:015d}"
        nai = nai_of(imsi).replace("@", "%40")
        target = (
            f"/?EAP_ID={nai}&terminal_id={imei_of(number)}&app=ap2004&app=ap2003&app=ap2005"
            "&terminal_vendor=vend&terminal_model=modelY&terminal_sw_version=versionZ"
            "&vers=0&entitlement_version=8.0"
        )
        http = HttpRequest(b"GET", target.encode(), b"localhost", list(HEADERS))
        request = parse_request(http)
        exchange = _Exchange(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
        if isinstance(request, Ts43Request):
            self.sessions.authenticate(self._tenant, request, exchange, http)
        self._turn.end()
        if exchange.status != 200:
            raise RuntimeError(f"session {number}: status {exchange.status}")


def resident_octets() -> int:
    """Of this process, now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_OCTETS


async def measure(count: int) -> IdleResult:
    """Hold `count` idle sessions."""
    idle = IdleSessions(load(LAB, here=False))
    for number in range(WARM_UP):
        idle.begin(number)
    gc.collect()
    before, cpu = resident_octets(), time.process_time()
    for number in range(WARM_UP, WARM_UP + count):
        idle.begin(number)
    cpu = time.process_time() - cpu
    gc.collect()
    after = resident_octets()
    alive = idle.sessions.pool.statistics().alive - WARM_UP
    return IdleResult(count, alive, (after - before) / count, cpu / count)


@click.command()
@click.option("--count", default=100_000, show_default=True)
def main(count: int) -> None:
    """Measure and print a JSON object."""
    click.echo(msgspec.json.encode(trio.run(measure, count)).decode())


if __name__ == "__main__":
    main()
