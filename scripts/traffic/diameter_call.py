"""Calls without HTTP: DERs straight to the AAA over the node's own Diameter router (SWm).

What the AAA and the Diameter path can carry, without devices in front of them.
"""

import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import trio

from actors.diameter.outcomes import (
    EapAnswer,
    EapOutcome,
    EapProfile,
    EapRequest,
    NoAnswerReason,
)
from actors.diameter.router import DiameterRouter
from actors.runtime.timers import TimerWheel
from actors.runtime.turn import Turn
from config.model import Diameter, DiameterPeer
from protocols.eap.packet import identity_response
from scripts.lab.aaa_running import HOST, REALM
from scripts.traffic.call import MAX_CHALLENGES, MAX_RESYNCHRONISATIONS
from scripts.traffic.eap_answers import answer
from scripts.traffic.outcome import CallFailed, Reason
from scripts.traffic.scenario import Scenario
from scripts.traffic.statistics import CallRecord
from scripts.traffic.step_checks import MULTI_ROUND_AUTH
from scripts.traffic.steps import Abandon, Answer, AnswerKind, Expect, Pause, Send, Step
from scripts.traffic.subscribers import Caller

ORIGIN_HOST: Final = f"traffic1.{REALM}"
READY_SECONDS: Final = 10.0
SUCCESS: Final = 2001
REFUSALS: Final = frozenset({4001, 5001, 5003})  # TS.43 table 7: 403 to a device
MAX_PENDING: Final = 100_000

_REASONS: Final = {
    NoAnswerReason.TIMEOUT: Reason.TIMEOUT,
    NoAnswerReason.MALFORMED_ANSWER: Reason.MALFORMED,
}


@dataclass(frozen=True, slots=True)
class DiameterTarget:
    """The AAA under test: `diameter://[Origin-Host@]address:port`."""

    origin_host: str
    address: str
    port: int

    @classmethod
    def parse(cls, url: str) -> "DiameterTarget":
        """Read it.

        Raises:
            ValueError: it is no such URL.
        """
        parts = urlsplit(url)
        if parts.scheme != "diameter" or not parts.hostname or parts.path.strip("/"):
            raise ValueError("an URL such as diameter://127.0.0.1:3868 is expected")
        return cls(parts.username or HOST, parts.hostname, parts.port or 3868)


class DiameterDriver:
    """Makes calls over one connection to the AAA."""

    def __init__(self, target: DiameterTarget) -> None:
        peer = DiameterPeer(host=target.origin_host, address=target.address, port=target.port)
        realm = target.origin_host.partition(".")[2] or REALM
        settings = Diameter(
            origin_host=ORIGIN_HOST, origin_realm=realm, peers=(peer,), max_pending=MAX_PENDING
        )
        self._realm = realm.encode()
        self._turn = Turn()
        self._timers = TimerWheel(self._turn)
        # Session-Ids begin with the second of the start: two runs in one second must differ, too.
        name = f"traffic-{secrets.token_hex(4)}"
        self._router = DiameterRouter(settings, self._turn, self._timers, node_name=name)
        self._profile = EapProfile()

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, target: DiameterTarget) -> AsyncIterator["DiameterDriver"]:
        """Connect, and disconnect in order (DPR) at the end.

        Raises:
            OSError: the AAA does not accept us in time.
        """
        driver = cls(target)
        ready = False
        async with trio.open_nursery() as nursery:
            await nursery.start(driver._timers.run)
            await nursery.start(driver._router.run)
            with trio.move_on_after(READY_SECONDS):
                while not driver._router.ready:  # noqa: ASYNC110 (once, before the traffic)
                    await trio.sleep(0.01)
                ready = True
            if ready:
                yield driver
                await driver._router.drain()
            nursery.cancel_scope.cancel()
        if not ready:
            raise OSError(f"{target.address}:{target.port} is no open Diameter peer")

    async def call(
        self,
        scenario: Scenario,
        steps: tuple[Step, ...],
        caller: Caller,
        record: CallRecord,
        began: float,
    ) -> None:
        """Make one call.

        Raises:
            CallFailed: the AAA did not do what the scenario wants.
        """
        session_id = self._router.new_session_id(str(caller.place))
        request = EapRequest(self._profile, session_id, caller.nai.encode(), b"", self._realm)
        await _DiameterCall(self, request, caller, record, began).run(steps)

    async def ask(self, request: EapRequest) -> EapAnswer:
        """One DER and its DEA.

        Raises:
            CallFailed: there is none.
        """
        outcomes: list[EapOutcome] = []
        answered = trio.Event()

        def reply(outcome: EapOutcome) -> None:
            outcomes.append(outcome)
            answered.set()

        self._router.request(request, reply)
        self._turn.end()
        await answered.wait()
        (outcome,) = outcomes
        if isinstance(outcome, EapAnswer):
            return outcome
        reason = _REASONS.get(outcome.reason, Reason.CONNECTION)
        raise CallFailed(reason, f"no DEA: {outcome.reason.value}")

    def terminate(self, request: EapRequest) -> None:
        """Tell the AAA that the session is over (STR), as the node does."""
        self._router.terminate(request)
        self._turn.end()


class _DiameterCall:
    """The state of one call."""

    __slots__ = ("_answer", "_caller", "_driver", "_first", "_record", "_request",
                 "_resynchronisations", "_since", "_waits_for_challenge")  # fmt: skip

    def __init__(
        self, driver: DiameterDriver, request: EapRequest, caller: Caller, record: CallRecord,
        began: float,
    ) -> None:  # fmt: skip
        self._driver = driver
        self._request = request
        self._caller = caller
        self._record = record
        self._since = began + record.due
        self._first = True
        self._answer: EapAnswer | None = None
        self._waits_for_challenge = False
        self._resynchronisations = 0

    async def run(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            match step:
                case Send():
                    self._waits_for_challenge = False
                    await self._exchange(identity_response(1, self._caller.nai))
                case Answer(kind):
                    await self._respond(kind)
                case Expect():
                    await self._expect(step)
                case Pause(seconds):
                    await trio.sleep(seconds)
                case Abandon():
                    return

    async def _exchange(self, packet: bytes) -> None:
        if not self._first:
            self._since = trio.current_time()
        self._first = False
        request = self._request
        request.eap_payload = packet
        if self._answer is not None:
            request.state = self._answer.state
            request.destination_host = self._answer.origin_host
        self._answer = await self._driver.ask(request)

    async def _respond(self, kind: AnswerKind) -> None:
        packet, resynchronises = answer(
            self._received().eap_payload, self._caller.card, self._caller.nai, kind
        )
        if resynchronises:
            self._resynchronisations += 1
            if self._resynchronisations > MAX_RESYNCHRONISATIONS:
                raise CallFailed(Reason.RESYNC, "the card is still out of step with its network")
            self._record.resynchronised()
        self._waits_for_challenge = resynchronises
        await self._exchange(packet)

    async def _expect(self, step: Expect) -> None:
        begin = self._since
        for _ in range(MAX_CHALLENGES):
            if step.challenge or self._received().code != MULTI_ROUND_AUTH:
                break
            self._record.timer("challenge", trio.current_time() - self._since)
            await self._respond(AnswerKind.RES)
        found = self._received()
        if found.code != step.status:
            text = f"result {found.code}, {step.status} was expected"
            if self._waits_for_challenge:
                raise CallFailed(Reason.RESYNC, text)
            refused = found.code in REFUSALS
            raise CallFailed(Reason.EAP_REJECT if refused else Reason.SERVER_ERROR, text)
        if found.code == SUCCESS:
            self._driver.terminate(self._request)
        if step.timer:
            self._record.timer(step.timer, trio.current_time() - begin)

    def _received(self) -> EapAnswer:
        if self._answer is None:
            raise CallFailed(Reason.CHECK, "nothing was sent")
        return self._answer
