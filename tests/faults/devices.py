"""Devices that insist, as real ones do, and how many rounds a fault costs them.

A *round* is a request that was answered. An undisturbed authentication takes two; what a device
needs beyond them are its extra rounds. A request that got no answer is *lost*: the device asks the
same once more on a new connection (Q-TR-16: three tries in all), and that takes no round by itself.
After 503 and 511 it begins anew with its identity (Q-HTTP-2, Q-HTTP-4, Q-HTTP-6); the time of
Retry-After passes quickly here.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import trio

from protocols.eap.numbers import SYNCHRONIZATION_FAILURE
from scripts.lab.device_http import DeviceConnection, DeviceHttpError, Response
from scripts.lab.phone import Phone, PhoneResult, Target
from scripts.lab.phone_habits import AOSP
from scripts.lab.phone_reading import is_challenge, read_document
from scripts.lab.subscribers import LabSubscriber
from tests.node.whole.device_legs import ACCEPT_BOTH, RELAY_TYPE, answer_of, relay_body

UNDISTURBED: Final = 2  # rounds of an authentication
TRIES: Final = 3  # of one request; and of one authentication
READ_SECONDS: Final = 8.0  # a phone waits 30
PAUSE_SECONDS: Final = 0.1  # instead of Retry-After
SUBTYPE: Final = 5  # octet of an EAP-AKA packet

Hook = Callable[[], Awaitable[object]]


class GaveUp(AssertionError):
    """A device got no document with all of its tries."""


@dataclass
class Visit:
    """One authentication, from the first request to the document.

    Attributes:
        statuses: of the answers, in order.
        lost: requests that got no answer.
        resynchronisations: challenges that the card found stale; a round each, whatever happens.
    """

    statuses: list[int] = field(default_factory=list)
    lost: int = 0
    resynchronisations: int = 0

    @property
    def extra_rounds(self) -> int:
        """Rounds that the fault has cost."""
        return len(self.statuses) - UNDISTURBED - self.resynchronisations


class Device:
    """A phone, leg by leg.

    Attributes:
        phone: its card and its token.
        at: what to do at a moment of the visit, once: `connected`, `challenged`, `challenged
            again`, `delivered`. After the last one the device has lost the answer and asks again.
        pause: what it does when it was told to come back later.
    """

    def __init__(self, subscriber: LabSubscriber, target: Target) -> None:
        self.phone = Phone(subscriber, target)
        self.at: dict[str, Hook] = {}
        self.pause: Hook = _a_moment
        self._target = target
        self._connection: DeviceConnection | None = None
        self._visit = Visit()

    async def authenticate(self, app: str = "ap2004") -> Visit:
        """Until it has its document.

        Raises:
            GaveUp: it never got it.
        """
        self._visit = visit = Visit()
        try:
            for _ in range(TRIES + 1):
                if await self._attempt(app):
                    return visit
                await self.pause()
            raise GaveUp(f"{visit}")
        finally:
            self._disconnect()

    async def ask_with_token(self, app: str = "ap2004") -> Visit:
        """One request with its token, until it is answered."""
        self._visit = visit = Visit()
        identity = [("IMSI", self.phone.usim.imsi), ("token", self.phone.token)]
        query = AOSP.query(identity, self.phone.imei, [app], 0)
        try:
            await self._request(b"GET", f"/?{query}".encode())
        finally:
            self._disconnect()
        return visit

    # --- legs -----------------------------------------------------------------------------------

    async def _attempt(self, app: str) -> bool:
        query = AOSP.query([("EAP_ID", self.phone.nai)], self.phone.imei, [app], 0)
        response = await self._request(b"GET", f"/?{query}".encode(), first="connected")
        if response.status != 200:
            return False
        cookie = response.all(b"set-cookie")[0].partition(b";")[0]
        await self._reach("challenged")
        while is_challenge(AOSP, response):
            packet = self._answer(response)
            response = await self._request(b"POST", b"/", cookie, relay_body(packet))
            if is_challenge(AOSP, response):
                await self._reach("challenged again")
            elif response.status == 200 and "delivered" in self.at:
                await self._reach("delivered")
                self._visit.statuses.pop()
                self._visit.lost += 1
                self._disconnect()
                response = await self._request(b"POST", b"/", cookie, relay_body(packet))
            if response.status != 200:
                assert response.status in (503, 511), response  # what no client takes amiss
                return False
        self.phone._take(read_document(AOSP, response), PhoneResult())
        return True

    def _answer(self, response: Response) -> bytes:
        packet = answer_of(self.phone, response)
        self._visit.resynchronisations += packet[SUBTYPE] == SYNCHRONIZATION_FAILURE
        return packet

    async def _request(
        self, method: bytes, path: bytes, cookie: bytes = b"", body: bytes = b"", first: str = ""
    ) -> Response:
        fields = [ACCEPT_BOTH, *([(b"cookie", cookie), RELAY_TYPE] if cookie else [])]
        for _ in range(TRIES):
            try:
                if self._connection is None:
                    with trio.fail_after(READ_SECONDS):
                        self._connection = await self._target.connect()
                await self._reach(first)
                with trio.fail_after(READ_SECONDS):
                    response = await self._connection.request(method, path, fields, body)
            except (DeviceHttpError, trio.TooSlowError):
                self._visit.lost += 1
                self._disconnect()
                await trio.sleep(PAUSE_SECONDS)
                continue
            self._visit.statuses.append(response.status)
            return response
        raise GaveUp(f"no answer: {self._visit}")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _reach(self, moment: str) -> None:
        act = self.at.pop(moment, None)
        if act is not None:
            await act()


async def _a_moment() -> None:
    await trio.sleep(PAUSE_SECONDS)
