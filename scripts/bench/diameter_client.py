"""One Diameter client under load, a process of its own: our router, or python-diameter's Node.

Every DER is the first of a new session (EAP-Response/Identity), so that no card's arithmetic is in
the account; 64 are in flight. Prints a JSON object.

    python -m scripts.bench.diameter_client --stack ours --aaa 127.0.0.1:3868 --count 20000
"""

import logging
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

import click
import msgspec
import structlog
import trio

from actors.diameter.outcomes import EapAnswer, EapOutcome, EapProfile, EapRequest
from actors.diameter.router import DiameterRouter
from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from config.model import Diameter, DiameterPeer
from protocols.eap.packet import identity_response
from scripts.lab.subscribers import FIRST_IMSI, nai_of

REALM: Final = "epc.mnc001.mcc001.3gppnetwork.org"
AAA_HOST: Final = f"aaa1.{REALM}"
IN_FLIGHT: Final = 64
WARM_UP: Final = 200
READY_SECONDS: Final = 10.0
MULTI_ROUND_AUTH: Final = 1001


class DiameterResult(msgspec.Struct, frozen=True):
    """What a client used and saw; seconds."""

    count: int
    cpu: float
    elapsed: float
    p50: float
    p99: float


class WrongAnswer(Exception):
    """A DEA that is no challenge, or none at all: the figures would mean nothing."""


def nai(number: int) -> str:
    """Identities go round a thousand subscribers."""
    return nai_of(f"{FIRST_IMSI + number % 1_000:015d}")


class OurClient:
    """`DiameterRouter` with a fixed number of DERs in flight."""

    def __init__(self, host: str, port: int) -> None:
        self._turn = Turn()
        self._timers = TimerWheel(self._turn)
        settings = Diameter(
            origin_host=f"ecs7.{REALM}",
            origin_realm=REALM,
            peers=(DiameterPeer(host=AAA_HOST, address=host, port=port),),
        )
        self._router = DiameterRouter(settings, self._turn, self._timers)
        self._profile = EapProfile()
        self._left = self._done = self._count = 0
        self._finished = trio.Event()
        self._latencies: list[float] = []
        self._wrong: EapOutcome | None = None

    async def measure(self, count: int) -> DiameterResult:
        """Warm up, then send `count` DERs.

        Raises:
            WrongAnswer: see there.
        """
        async with trio.open_nursery() as nursery:
            await nursery.start(self._timers.run)
            await nursery.start(self._router.run)
            with trio.fail_after(READY_SECONDS):
                while not self._router.ready:  # noqa: ASYNC110 (before anything is measured)
                    await trio.sleep(0.01)
            await self._send(WARM_UP)
            self._latencies.clear()
            cpu, begin = time.process_time(), time.perf_counter()
            await self._send(count)
            elapsed, cpu = time.perf_counter() - begin, time.process_time() - cpu
            nursery.cancel_scope.cancel()
        return _result(count, cpu, elapsed, self._latencies)

    async def _send(self, count: int) -> None:
        self._left = self._count = count
        self._done = 0
        self._finished = trio.Event()
        for _ in range(min(IN_FLIGHT, count)):
            self._next()
        self._turn.end()
        await self._finished.wait()
        if self._wrong is not None:
            raise WrongAnswer(repr(self._wrong))

    def _next(self) -> None:
        self._left -= 1
        identity = nai(self._left)
        request = EapRequest(
            self._profile,
            self._router.new_session_id("bench"),
            identity.encode(),
            identity_response(1, identity),
            REALM.encode(),
        )
        self._router.request(request, partial(self._answered, time.perf_counter()))

    def _answered(self, began: float, outcome: EapOutcome) -> None:
        self._latencies.append(time.perf_counter() - began)
        if not isinstance(outcome, EapAnswer) or outcome.code != MULTI_ROUND_AUTH:
            self._wrong = outcome
        self._done += 1
        if self._left:
            self._next()
        elif self._done == self._count:
            self._finished.set()


class LibraryClient:
    """python-diameter's Node with as many threads as DERs in flight: it has no other way."""

    def __init__(self, host: str, port: int) -> None:
        from diameter.message import constants
        from diameter.node import Node
        from diameter.node.application import ThreadingApplication

        logging.disable(logging.CRITICAL)
        self._node = Node(f"ecs8.{REALM}", REALM, vendor_ids=[constants.VENDOR_TGPP])
        uri = f"aaa://{AAA_HOST}:{port};transport=tcp"
        peer = self._node.add_peer(uri, REALM, ip_addresses=[host], is_persistent=True)
        self._app = ThreadingApplication(constants.APP_3GPP_SWM, is_auth_application=True)
        self._node.add_application(self._app, [peer])
        self._latencies: list[float] = []
        self._wrong: list[str] = []
        self._number = 0

    def measure(self, count: int) -> DiameterResult:
        """Warm up, then send `count` DERs.

        Raises:
            WrongAnswer: see there.
        """
        self._node.start()
        self._app.wait_for_ready(READY_SECONDS)
        self._send(WARM_UP)
        self._latencies.clear()
        cpu, begin = time.process_time(), time.perf_counter()
        self._send(count)
        elapsed, cpu = time.perf_counter() - begin, time.process_time() - cpu
        return _result(count, cpu, elapsed, self._latencies)

    def _send(self, count: int) -> None:
        numbers = iter(range(count))
        threads = [threading.Thread(target=self._work, args=(numbers,)) for _ in range(IN_FLIGHT)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._wrong:
            raise WrongAnswer(self._wrong[0])

    def _work(self, numbers: Iterator[int]) -> None:
        from diameter.message import constants
        from diameter.message.commands import DiameterEapRequest

        for number in numbers:  # one iterator for all threads: `next` of a range is atomic
            identity = nai(number)
            self._number += 1
            der = DiameterEapRequest()
            der.session_id = f"ecs8.{REALM};{threading.get_ident()};{number};{self._number}"
            der.auth_application_id = constants.APP_3GPP_SWM
            der.origin_host = f"ecs8.{REALM}".encode()
            der.origin_realm = REALM.encode()
            der.destination_realm = REALM.encode()
            der.auth_request_type = 3
            der.user_name = identity
            der.eap_payload = identity_response(1, identity)
            began = time.perf_counter()
            dea = self._app.send_request(der, timeout=READY_SECONDS)
            self._latencies.append(time.perf_counter() - began)
            if dea.result_code != MULTI_ROUND_AUTH:
                self._wrong.append(f"result {dea.result_code}")
                return


def _result(count: int, cpu: float, elapsed: float, latencies: list[float]) -> DiameterResult:
    cuts = statistics.quantiles(latencies, n=100)
    return DiameterResult(count, cpu, elapsed, cuts[49], cuts[98])


def measured(stack: str, host: str, port: int, count: int) -> DiameterResult:
    """Run one of the two clients in this process."""
    if stack == "ours":
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

        async def run() -> DiameterResult:
            return await OurClient(host, port).measure(count)

        return trio.run(run)
    return LibraryClient(host, port).measure(count)


@click.command()
@click.option("--stack", type=click.Choice(["ours", "library"]), required=True)
@click.option("--aaa", required=True, help="ADDRESS:PORT")
@click.option("--count", default=5_000, show_default=True)
def main(stack: str, aaa: str, count: int) -> None:
    """Measure one client."""
    host, _, port = aaa.rpartition(":")
    click.echo(msgspec.json.encode(measured(stack, host, int(port), count)).decode())
    sys.stdout.flush()
    os._exit(0)  # python-diameter's threads are no daemons and take up to ten seconds to end


if __name__ == "__main__":
    main()
